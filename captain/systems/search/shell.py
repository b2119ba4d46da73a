"""Whether shell scripts can be read by their shell. Runs nothing of them: `bash -n` only parses."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from captain.effects.program import probe_environ, run_program
from captain.errors import ProbeError, ProgramError
from captain.safe import safe
from captain.systems.git.program import legible
from captain.systems.search.child import content

MAX_SCRIPTS = 200
_SHEBANG = re.compile(rb"#!\s*\S*?(?:env\s+(?:-S\s+)?)?(?:/|\b)(bash|dash|sh)(?:\s|$)")
_LINE = re.compile(r"line (\d{1,7})|: (\d{1,7}): ")


async def broken(
    root: Path, paths: Sequence[str], environ: Mapping[str, str], timeout: timedelta
) -> tuple[int, list[tuple[str, int]]]:
    """How many scripts were looked at, and those their shell cannot read, each with the line."""
    until = time.monotonic() + timeout.total_seconds()
    looked, found = 0, []
    for path in paths:
        shell = _shell(root, path)
        if shell is None:
            continue
        looked += 1
        left = timedelta(seconds=until - time.monotonic())
        if looked > MAX_SCRIPTS or left <= timedelta(0):
            raise ProbeError(f"source: {len(paths)} files are more scripts than can be looked at in time")
        try:
            argv = [shell, "-n", f"./{path}"]
            done = await run_program(argv, cwd=root, env=probe_environ(environ), timeout=left)
        except ProgramError as error:
            raise ProbeError(f"source: {error.message}", hint=error.hint) from error
        if done.exit_code is None:
            raise ProbeError(f"source: {shell} -n of {safe(path, 200)} did not end")
        if done.exit_code != 0:
            line = _LINE.search(done.stderr.decode("utf-8", "replace"))
            found.append((legible(path), int(line[1] or line[2]) if line else 1))
    return looked, found


def _shell(root: Path, path: str) -> str | None:
    """The shell of a script, None of what is none."""
    data = content(str(root.resolve()), path)
    if data is None:
        return None
    match = _SHEBANG.match(data[:200].partition(b"\n")[0])
    if match is not None:
        return "bash" if match[1] == b"bash" else "sh"
    return "bash" if path.endswith((".sh", ".bash")) and not data.startswith(b"#!") else None
