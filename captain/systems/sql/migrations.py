"""What a project's own migration tool says, asked with the project's own Python. Knows no probe and no verdict.

A text of captain's is run there and answers with one line of JSON behind a mark; everything else that the project
prints is passed over.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from captain.documents import parse_json
from captain.effects.program import Finished
from captain.errors import ProbeError, UsageError
from captain.safe import safe
from captain.systems.git.program import Git, decoded

Tool = Literal["django", "alembic"]

_INSIDE = Path(__file__).with_name("inside")
MAX_FILES = 90 * 1024
"""Characters of all names of files that are asked about: the text goes to the program as one argument."""
_FOLDERS = ("migrations", "versions")


@dataclass(frozen=True, slots=True)
class Finding:
    """What stands in the way back from one operation."""

    migration: str
    op: str
    kind: str
    """irreversible, destructive or breaking."""
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the project said. None where it could not say."""

    known: int
    """Migrations that there are."""
    unapplied: tuple[str, ...] | None
    """In the order they would be applied."""
    applied: int | None
    foreign: tuple[str, ...] | None
    """In the database and not in the files."""
    conflicts: int | None
    drift: tuple[str, ...] | None
    """Changes of the models that no migration has."""
    new: tuple[str, ...]
    """Migrations among the files that were asked about."""
    missing: tuple[str, ...]
    """Files of migrations that were asked about and that the project does not have."""
    looked_at: tuple[str, ...] | None
    findings: tuple[Finding, ...] | None
    errors: Mapping[str, str]
    """By part of the question, the last line of the traceback."""


Run = Callable[[Sequence[str]], Awaitable[Finished]]


async def ask_project(
    asked: str, tool: Tool, run: Run, argv: Sequence[str], files: Sequence[str], *, database: str, config: str
) -> Told:
    """Ask once. `run` starts a program where the project lies, `argv` is its Python or its manage.py.

    Raises ProbeError, fault `unclear`, with the last line of the traceback where the project does not load.
    """
    mark = f"captain-{secrets.token_hex(8)} "
    question = {"mark": mark, "files": list(files), "database": database, "config": config}
    text = (_INSIDE / f"{tool}_migrations.py").read_text(encoding="utf-8")
    text = f"{text}\n\nmain(json.loads({json.dumps(question)!r}))\n"
    done = await run((*argv, "shell", "-c", text) if tool == "django" else (*argv, "-c", text))
    if done.timed_out:
        raise ProbeError(
            f"{asked}: did not end in time and was stopped", fault="unclear", hint="give it more `timeout`"
        )
    line = _behind(mark, done.stdout)
    if line is None:
        raise ProbeError(f"{asked}: the project did not load: {_last_line(done)}", fault="unclear")
    try:
        document = parse_json(line)
    except ValueError as error:
        raise ProbeError(f"{asked}: {error}") from error
    told = told_of(document if isinstance(document, dict) else {}, files)
    if "files" in told.errors:
        raise ProbeError(f"{asked}: the migrations did not load: {told.errors['files']}", fault="unclear")
    return told


def told_of(document: Mapping[str, Any], files: Sequence[str] = ()) -> Told:
    """The report of a project, whatever it holds."""
    found = set(_texts(document.get("found")) or ())
    errors = document.get("errors")
    return Told(
        known=_whole(document.get("known")) or 0,
        unapplied=_texts(document.get("unapplied")),
        applied=_whole(document.get("applied")),
        foreign=_texts(document.get("foreign")),
        conflicts=_whole(document.get("conflicts")),
        drift=_texts(document.get("drift")),
        new=_texts(document.get("new")) or (),
        missing=tuple(file for file in files if is_migration(file) and file not in found),
        looked_at=_texts(document.get("looked_at")),
        findings=_findings(document.get("findings")),
        errors={str(part): safe(text, 300) for part, text in errors.items()} if isinstance(errors, dict) else {},
    )


def is_migration(file: str) -> bool:
    """Whether a file's place says that it is one."""
    path = Path(file)
    return path.suffix == ".py" and path.parent.name in _FOLDERS and path.name != "__init__.py"


async def added_files(git: Git, earlier: str, later: str, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Files that one commit has and an earlier one has not. Raises ProbeError where that cannot be known."""
    names = []
    for revision in (earlier, later):
        try:
            sha = await git.resolve(revision)
        except UsageError as error:
            raise ProbeError(error.message, hint="check `range`") from error
        if sha is None:
            raise ProbeError(f"git in {safe(git.root)}: {safe(revision)} is no commit here")
        names.append(sha)
    listed = await git.run("diff-tree", "-r", "-z", "--no-renames", "--diff-filter=A", "--name-only", *names)
    files = [file for file in decoded(listed.stdout).split("\0") if file.endswith(suffixes)]
    if listed.truncated or sum(map(len, files)) > MAX_FILES:
        raise ProbeError(f"git in {safe(git.root)}: too many files were added since {safe(earlier)}")
    return tuple(files)


def _behind(mark: str, stdout: bytes) -> str | None:
    text = stdout.decode("utf-8", "replace")
    at = text.rfind(mark)
    return None if at < 0 else text[at + len(mark) :].partition("\n")[0]


def _last_line(done: Finished) -> str:
    for stream in (done.stderr, done.stdout):
        lines = [line.strip() for line in stream.decode("utf-8", "replace").splitlines() if line.strip()]
        if lines:
            return safe(lines[-1], 300)
    return f"exit {done.exit_code}" if done.signal is None else f"ended by {done.signal}"


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(str(one) for one in value) if isinstance(value, list) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _findings(value: Any) -> tuple[Finding, ...] | None:
    if not isinstance(value, list):
        return None
    keys = ("migration", "op", "kind", "reason")
    return tuple(Finding(*(str(one.get(key, "")) for key in keys)) for one in value if isinstance(one, dict))
