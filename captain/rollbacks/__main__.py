"""Executes one part of a rollback as a process of its own: `python -m captain.rollbacks DIR`.

The shim starts it with the attempt's directory, whose part.json says what to do. Lines of progress go to stdout,
the reason of a failure to stderr; it ends with 0 or 1.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from captain.errors import CaptainError
from captain.rollbacks import PART_FILE, PART_FORMAT, RollbackContext, strategies
from captain.threads import on_daemon


def main(argv: list[str]) -> int:
    """Exit code."""
    try:
        if len(argv) != 2:
            raise CaptainError("captain starts this by itself, with the directory of an attempt")
        asyncio.run(execute(_part(Path(argv[1]))))
    except CaptainError as error:
        _complain(error.message + (f"; {error.hint}" if error.hint else ""))
        return 1
    except Exception as error:  # the top of a process: whatever went wrong is said in one line
        _complain(f"unexpected {type(error).__name__}: {error}")
        return 1
    return 0


async def execute(part: dict[str, Any]) -> None:
    """Run the strategy of a part. Raises CaptainError."""
    kind = strategies.find(part["strategy"])
    if kind is None:
        raise CaptainError(f"this captain has no strategy {part['strategy']}")
    ctx = RollbackContext(
        root=Path(part["root"]),
        environ=dict(os.environ),
        secrets={},
        blocking=on_daemon,
        resolve=_refuse,
        values=part["values"],
    )
    await kind.model_validate(part["keys"]).execute(part["target"], ctx, _say, part["attempt"])


def _part(directory: Path) -> dict[str, Any]:
    path = directory / PART_FILE
    try:
        part = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CaptainError(f"cannot read {path}: {error}") from error
    if not isinstance(part, dict) or part.get("format") != PART_FORMAT:
        raise CaptainError(f"{path} is not a part this captain can execute")
    return part


def _refuse(text: str) -> str:
    raise CaptainError("templates are resolved before a part starts")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
