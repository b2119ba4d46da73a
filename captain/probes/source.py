"""The kind `source`: patterns over the files of the repository."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from captain.errors import UsageError
from captain.fields import Bool, Text, wrong
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.tree_files import check_pattern

_MARGIN = 0.9
_LONGEST = 500


def _glob(value: str) -> str:
    try:
        return value if "${{" in value else check_pattern(value)
    except UsageError as error:
        raise wrong(error.message) from error


def _regex(value: str) -> str:
    if len(value) > _LONGEST:
        raise wrong(f"is longer than {_LONGEST} characters")
    try:
        re.compile(value, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise wrong(f"is no regex: {error}") from error
    return value


def _number(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"0|[1-9][0-9]{0,8}", value):
        return int(value)
    raise wrong("takes a whole number, 0 or more")


Glob = Annotated[Text, AfterValidator(_glob)]


class Pattern(BaseModel):
    """What is looked for, and how often it may or must be there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[Text, Field(min_length=1, max_length=64)]
    """Its name in per_pattern."""
    regex: Annotated[Text, AfterValidator(_regex)]
    """A regex of Python; `^` and `$` are the ends of a line, `(?i)` at its beginning ignores case."""
    expect: Literal["max", "min"] = "max"
    """Whether `n` is the most or the least."""
    n: Annotated[int, BeforeValidator(_number), Field(ge=0)] | None = None
    """How many matches, default 0 for max and 1 for min."""

    def met(self, count: int, *, whole: bool) -> bool | None:
        """Whether so many matches are as they should be; None where unread files could change that."""
        if self.expect == "max":
            enough = count <= (self.n or 0)
            return None if enough and not whole else enough
        enough = count >= (1 if self.n is None else self.n)
        return None if not enough and not whole else enough


@probe("source")
class SourceProbe(Probe):
    """Does the source hold what it must, and nothing that it must not?

    Looks through the tracked files as they lie on disk; outside of git through all files. Binary files are passed
    over, and in git neither links nor submodules are followed. The regexes run in a process of their own, so that one
    that never ends is ended with it.

    That something is nowhere is only said where all files were read: a file that cannot be, or has more than 4 MiB,
    leaves counts of 0 out. Findings name file, line and pattern, never the text.
    """

    rests: ClassVar[str] = "without check: [syntax]"
    default_expect: ClassVar[tuple[str, ...]] = ("files > 0", "size(unmet) == 0")
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    timeout: ClassVar[timedelta] = timedelta(seconds=60)
    errors: ClassVar[str] = "unknown: git or the folder cannot be asked, the search takes longer than there is time"
    example: ClassVar[str] = """\
id: tls-outbound
title: Nothing turns the verification of certificates off
source:
  globs: ['**/*.py', '**/*.ts']
  patterns:
    - { id: verify_false, regex: 'verify\\s*=\\s*False' }
    - { id: unauthorized, regex: 'rejectUnauthorized:\\s*false' }
expect: ['files > 0', 'per_pattern["verify_false"] == 0 && per_pattern["unauthorized"] == 0']"""

    globs: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=50)] = ("**",)
    """The files, relative to the folder of captain.yaml; `*` within a name, `**` for any folders."""
    exclude: Annotated[tuple[Glob, ...], Field(max_length=50)] = ()
    """Files that are not meant: `tests/**`."""
    patterns: Annotated[tuple[Pattern, ...], Field(max_length=50)] = ()
    """What to look for: id, regex, and with expect and n how often."""
    secrets: Bool = False
    """Look for what has the shape of a secret too: private keys, tokens, passwords in addresses and in quotes."""
    tracked_only: Bool = True
    """Only what git has; else also what it would take."""
    check: tuple[Literal["executable", "syntax"], ...] = ()
    """Whether all of the files are executable, and whether the shell scripts among them can be read (bash -n)."""

    class Observes(TypedDict, total=False):
        """What was found. Where not one file was looked through, only files = 0."""

        files: Annotated[int, "files that were looked through"]
        matches: Annotated[int, "matches of all patterns"]
        per_pattern: Annotated[dict[str, int], "matches by id; without those of 0 where not all files were read"]
        secrets: Annotated[int, "matches of captain's own patterns for secrets"]
        unmet: Annotated[list[str], "ids of patterns with more or fewer matches than they should, failed checks too"]
        executable: Annotated[bool, "every file can be executed"]
        syntax_ok: Annotated[bool, "every shell script can be read by its shell (left out where there is none)"]
        skipped: Annotated[int, "binary files that were passed over"]
        findings: Annotated[list[dict[str, Any]], "each match: file, line, id"]

    @model_validator(mode="after")
    def _names_differ(self) -> SourceProbe:
        from captain.systems.search.files import BUILT_IN

        names = [one.id for one in self.patterns] + (list(BUILT_IN) if self.secrets else [])
        if len(names) != len(set(names)):
            raise wrong("has two patterns of the same id")
        return self

    def asks(self) -> str:
        sought = [one.id for one in self.patterns] + (["secrets"] if self.secrets else []) + list(self.check)
        return f"{', '.join(sought) or 'files'} in {', '.join(self.globs)}"

    async def measure(self, ctx: Context) -> Measurement:
        from captain.systems.search.files import chosen, files_of, search

        until = time.monotonic() + ctx.timeout.total_seconds() * _MARGIN

        def left() -> timedelta:
            return timedelta(seconds=max(until - time.monotonic(), 0.05))

        notes: list[str] = []
        meant = chosen(self.globs, self.exclude)
        files = await files_of(ctx.root, ctx.environ, left(), tracked_only=self.tracked_only, meant=meant)
        if not files.in_git:
            notes.append("it is no git work tree, so all files are meant")
        if files.elsewhere:
            notes.append(f"{files.elsewhere} submodules are not looked into")
        rests = self._rests(files)
        found = await search(ctx.root, files, self._patterns(), ctx.environ, left())
        if not found.looked:
            notes.append(f"no text file matches {', '.join(safe(one, 80) for one in self.globs)}")
            return Measurement({"files": 0}, self.asks(), notes=tuple(notes), rests=rests)
        whole = not found.unread_count
        if not whole:
            shown = ", ".join(safe(path, 80) for path in found.unread[:3])
            notes.append(f"{found.unread_count} files were not read (gone, a link on the way, over 4 MiB): {shown}")
        observed: dict[str, Any] = {"files": found.looked, "skipped": found.binary}
        findings = [{"file": path, "line": line, "id": name} for path, line, name in found.places]
        observed |= self._counted(found.counts, whole=whole)
        failed = await self._checks(ctx, files, left, observed, findings)
        self._unmet(found.counts, whole, failed, observed)
        observed["findings"] = findings
        body = "\n".join(f"{one['file']}:{one['line']}: {one['id']}" for one in findings)
        return Measurement(
            observed,
            self.asks(),
            ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=tuple(notes),
            places=self._places(findings),
            lacks=self._lacks(found.counts),
            rests=rests,
        )

    def _places(self, findings: list[dict[str, Any]]) -> dict[str, list[str]]:
        """Where what was found stands."""
        own = {one.id for one in self.patterns}
        at: dict[str, list[str]] = {}
        for one in findings:
            name = one["id"]
            told = {"executable": "executable", "syntax": "syntax_ok"}.get(name) or ("matches", "secrets")[
                name not in own
            ]
            at.setdefault(told, []).append(f"{safe(one['file'], 100)}:{one['line']} {name}")
            at.setdefault(f"per_pattern.{name}", []).append(f"{safe(one['file'], 100)}:{one['line']}")
        return at

    def _lacks(self, counts: Mapping[str, int]) -> dict[str, list[str]]:
        """What was looked for and is nowhere."""
        nowhere = {one.id: f"no line fits {safe(one.regex, 80)}" for one in self.patterns if not counts.get(one.id)}
        return {"matches": [*nowhere.values()], **{f"per_pattern.{name}": [said] for name, said in nowhere.items()}}

    def _rests(self, files: Any) -> tuple[str, ...] | None:
        from captain.systems.rests import Chosen, listing

        if "syntax" in self.check:
            # What a shell can read hangs on the shell.
            return None
        listed = listing(files.paths, files.executable)
        return (Chosen(self.globs, self.exclude, self.tracked_only, listed).item,)

    def _patterns(self) -> dict[str, str]:
        from captain.systems.search.files import BUILT_IN

        return {one.id: one.regex for one in self.patterns} | (dict(BUILT_IN) if self.secrets else {})

    def _counted(self, counts: Mapping[str, int], *, whole: bool) -> dict[str, Any]:
        told: dict[str, Any] = {
            "per_pattern": {name: count for name, count in counts.items() if count or whole},
            "matches": sum(counts.values()),
        }
        if self.secrets:
            own = {one.id for one in self.patterns}
            told["secrets"] = sum(count for name, count in counts.items() if name not in own)
        return {name: value for name, value in told.items() if whole or value}

    async def _checks(
        self, ctx: Context, files: Any, left: Any, observed: dict[str, Any], findings: list[dict[str, Any]]
    ) -> list[str]:
        failed = []
        if "executable" in self.check:
            lacking = [path for path in files.paths if path not in files.executable]
            observed["executable"] = not lacking
            findings += [{"file": safe(path, 300), "line": 1, "id": "executable"} for path in lacking[:100]]
            failed += ["executable"] if lacking else []
        if "syntax" in self.check:
            from captain.systems.search.shell import broken

            looked, bad = await broken(ctx.root, files.paths, ctx.environ, left())
            if looked:
                observed["syntax_ok"] = not bad
            findings += [{"file": safe(path, 300), "line": line, "id": "syntax"} for path, line in bad]
            failed += ["syntax"] if bad else []
        return failed

    def _unmet(self, counts: Mapping[str, int], whole: bool, failed: list[str], observed: dict[str, Any]) -> None:
        given = {one.id: one for one in self.patterns}
        said = {
            name: given[name].met(count, whole=whole)
            if name in given
            else (None if not count and not whole else not count)
            for name, count in counts.items()
        }
        unmet = [name for name, met in said.items() if met is False] + failed
        unknown = None in said.values() or ("syntax" in self.check and "syntax_ok" not in observed)
        if unmet or not unknown:
            observed["unmet"] = unmet
