"""How to ask hadolint about a Dockerfile. Knows no verdict; where hadolint is not installed there is no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from captain.documents import parse_json
from captain.effects.program import find_program, probe_environ, run_program
from captain.errors import ProgramError
from captain.safe import safe

_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lint:
    """What hadolint found."""

    found: tuple[tuple[int, str, str], ...]
    """Line, level (error, warning, info, style) and rule."""


async def lint(text: str, root: Path, environ: Mapping[str, str], timeout: timedelta) -> Lint | str:
    """Its findings, or why there are none. `root` is where it looks for .hadolint.yaml."""
    env = probe_environ(environ)
    try:
        find_program("hadolint", cwd=root, env=env)
    except ProgramError:
        return "hadolint is not installed, so its findings are left out"
    try:
        done = await run_program(
            ["hadolint", "--no-color", "--no-fail", "-f", "json", "-"],
            cwd=root,
            env=env,
            timeout=timeout,
            limit=_LIMIT,
            stdin=text.encode(),
        )
    except ProgramError as error:
        return f"hadolint: {error.message}"
    if done.timed_out:
        return f"hadolint: no answer within {timeout.total_seconds():g} s, so its findings are left out"
    said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
    if done.exit_code != 0 or done.truncated:
        return f"hadolint ended with exit {done.exit_code}: {safe(said, 200)}"
    try:
        answer = parse_json(done.stdout.decode("utf-8", "replace"))
        if not isinstance(answer, list):
            raise ValueError("no list")
        return Lint(tuple((int(one["line"]), str(one["level"]), str(one["code"])) for one in answer))
    except (ValueError, KeyError, TypeError):
        return "hadolint answered with something that is not its JSON"
