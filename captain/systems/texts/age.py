"""When documents and what they describe were last committed. Asks git; knows no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.git.program import Git


async def last_commit(git: Git, pathspecs: Sequence[str]) -> datetime | None:
    """When any of the paths was last committed, None where none ever was."""
    said = await git.text("log", "-1", "--format=%ct", "--no-show-signature", "--", *pathspecs)
    if not said.strip():
        return None
    try:
        return datetime.fromtimestamp(int(said.strip()), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ProbeError(f"git log in {safe(git.root)}: {safe(said, 60)} is no time") from error


def literal(path: str) -> str:
    """One path, whatever characters it holds."""
    return f":(literal){path}"


def pattern(glob: str) -> str:
    """A pattern with `**`."""
    return f":(glob){glob}"
