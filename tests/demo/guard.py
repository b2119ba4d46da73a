"""Runs captain and notes every connection that leaves this machine and every file it would change outside a folder.

python guard.py NOTES FOLDER captain's arguments
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

CHANGES = {"os.remove": 1, "os.rename": 2, "os.mkdir": 1, "os.rmdir": 1, "os.chmod": 1, "os.truncate": 1, "os.link": 2}
"""Events that change what paths stand for, and how many of their arguments are paths."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
HARMLESS = ("/dev/null", "/dev/tty")


def main() -> None:
    notes, folder = sys.argv[1], str(Path(sys.argv[2]).resolve())
    handle = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(what: str) -> None:
        os.write(handle, f"{what}\n".encode())

    def outside(path: Any) -> bool:
        if isinstance(path, int) or path is None:
            return False
        name = Path(os.fsdecode(path)).resolve()
        return str(name) not in HARMLESS and not name.is_relative_to(folder)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            address = arguments[1]
            where = address[0] if isinstance(address, tuple) else os.fsdecode(address)
            note(f"connect {where}")
        elif event == "socket.getaddrinfo":
            note(f"look up {arguments[0]}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITES and outside(path):
                note(f"write {path}")
        elif event == "sqlite3.connect":
            name = os.fsdecode(arguments[0]).removeprefix("file:").partition("?")[0]
            if name != ":memory:" and outside(name):
                note(f"write {name}")
        elif event in CHANGES:
            for path in arguments[: CHANGES[event]]:
                if outside(path):
                    note(f"write {path}")

    sys.dont_write_bytecode = True
    sys.addaudithook(heard)
    sys.argv = ["captain", *sys.argv[3:]]
    runpy.run_module("captain", run_name="__main__")


main()
