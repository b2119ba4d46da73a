"""The terminal dies without a word: captain leaves by itself and gives the lock back."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\-_]|\][^\x07\x1b]*(\x07|\x1b\\))")


def test_captain_ends_when_its_terminal_is_gone(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    # In a session of its own and without this terminal as its controlling one, no hang-up is ever sent.
    process = subprocess.Popen(
        [sys.executable, "-m", "captain", "demo"],
        env={**os.environ, "TERM": "xterm-256color", "TMPDIR": str(tmp_path)},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    try:
        seen, deadline = b"", time.monotonic() + 30
        while b"Release notes" not in ESCAPES.sub(b"", seen):
            assert time.monotonic() < deadline, seen[-2000:]
            if select.select([leader], [], [], 1)[0]:
                seen += os.read(leader, 65536)
    finally:
        os.close(leader)
    try:
        assert process.wait(timeout=20) == 129
    finally:
        process.kill()
        process.wait()
    assert list(tmp_path.glob("captain-demo-*")) == []
