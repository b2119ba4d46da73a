"""The kind `docs`: whether a document is there, says what it must, and is as new as what it describes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from captain.effects import Program
from captain.errors import ProbeError, ProgramError, UsageError
from captain.fields import Duration, PositiveInt, Text, wrong
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.patterns import chooser
from captain.systems.texts.reading import Text as Document
from captain.systems.texts.reading import is_diagram, is_text, read_text
from captain.systems.tree_files import Tree, check_pattern

_MARGIN = 0.9
_SHOWN = 200
_SOURCES = ("compose", "tables", "alerts", "cmd")
_DEFAULT_FILES = {
    "compose": (),
    "tables": ("**/migrations/**", "**/*.sql"),
    "alerts": ("**/*.rules.yml", "**/alerts*.yml"),
}


def _glob(value: str) -> str:
    try:
        return value if "${{" in value else check_pattern(value)
    except UsageError as error:
        raise wrong(error.message) from error


def _heading(value: str) -> str:
    try:
        chooser(f"/(?:{value})/")
    except UsageError as error:
        raise wrong(error.message) from error
    return value


@dataclass(frozen=True, slots=True)
class From:
    """Where the names come from that documents must mention."""

    source: str
    files: tuple[str, ...] = ()
    run: tuple[str, ...] = ()


def _mentions(value: Any) -> Any:
    if isinstance(value, From | tuple):
        return value
    if isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value):
        return tuple(value)
    if not isinstance(value, Mapping):
        raise wrong("takes a list of texts, or { from: compose }")
    source = value.get("from")
    if source not in _SOURCES or set(value) - {"from", "files", "run"}:
        raise wrong("takes from (compose, tables, alerts or cmd) with files, or with run for cmd")
    files, run = value.get("files") or [], value.get("run") or []
    texts = [files, run]
    if not all(isinstance(each, list) and all(isinstance(one, str) and one for one in each) for each in texts):
        raise wrong("takes lists of texts for files and run")
    if (source == "cmd") != bool(run) or (source == "cmd" and files):
        raise wrong("takes run with from: cmd, and there nothing else")
    return From(source, tuple(_glob(one) for one in files), tuple(run))


Glob = Annotated[Text, AfterValidator(_glob)]
_TEXTS = {"type": "array", "items": {"type": ["string", "number", "boolean"]}}
Mentions = Annotated[
    Any,
    BeforeValidator(_mentions),
    WithJsonSchema(
        {
            "anyOf": [
                _TEXTS,
                {
                    "type": "object",
                    "properties": {"from": {"enum": list(_SOURCES)}, "files": _TEXTS, "run": _TEXTS},
                    "required": ["from"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


@probe("docs")
class DocsProbe(Probe):
    """Is the document there, complete, and as new as what it describes?

    Reads Markdown, reStructuredText and AsciiDoc: headings, words, links, paths and commands. A link or path is dead
    where nothing is there; a command where its script, make target, npm script or compose service is not. Commands
    with placeholders, and those captain does not know, are passed over. Nothing is run. Diagrams as text (Mermaid,
    PlantUML, draw.io, SVG) count for mentions only; of pictures only that they are there.

    How old a document is git says, by its last commit; of a shallow clone or a file git does not have that is left out.
    """

    rests: ClassVar[str] = (
        "with links: files or none, without must_mention by a program, and where no condition asks for the age"
    )
    default_expect: ClassVar[tuple[str, ...]] = (
        "found > 0",
        "missing == 0",
        "short == 0",
        "todo == 0",
        "size(headings_missing) == 0",
        "size(dead_links) == 0",
        "size(dead_paths) == 0",
        "size(dead_commands) == 0",
        "!stale",
    )
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    errors: ClassVar[str] = (
        "unknown: a file that cannot be read; files or the program that name what must be mentioned cannot be asked"
    )
    example: ClassVar[str] = """\
id: deploy-runbook
title: Deployment runbook
docs:
  paths: [docs/deploy.md]
  headings: [Prerequisites, Steps, Verification, Rollback, Contacts]
  newer_than: [.github/workflows/deploy.yml, compose.yaml]
warn: ['found > 0', 'size(headings_missing) == 0', 'size(dead_links) == 0', 'size(dead_commands) == 0']"""

    paths: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=50)]
    """The documents, relative to the folder of captain.yaml; `*` within a name, `**` for any folders."""
    headings: Annotated[tuple[Annotated[Text, AfterValidator(_heading)], ...], Field(max_length=50)] = ()
    """What headings must say, each a regex without regard to case that any of the documents may meet."""
    must_mention: Mentions = ()
    """Words that must stand there; or `{ from: compose }`, tables or alerts, with files; `{ from: cmd, run: [x] }`."""
    min_words: PositiveInt = 100
    """Fewer words make a document short."""
    stale_after: Duration = timedelta(days=180)
    """How old its last commit may be, where newer_than does not say."""
    newer_than: Annotated[tuple[Glob, ...], Field(max_length=50)] = ()
    """Files that the documents describe: a document committed before their last change is stale."""
    links: Literal["none", "local", "all"] = "local"
    """Which links are tried; `all` asks those on the web too."""

    class Observes(TypedDict, total=False):
        """What was found. Where there is no document, only found and missing."""

        found: Annotated[int, "documents"]
        missing: Annotated[int, "patterns of paths that no document matches"]
        headings_missing: Annotated[list[str], "those of headings that no document has"]
        words: Annotated[int, "words of all documents"]
        short: Annotated[int, "documents with fewer words than min_words"]
        todo: Annotated[int, "TODO, TBD, FIXME, XXX"]
        last_commit_age: Annotated[timedelta, "time since a document was last committed, the oldest of them"]
        stale: Annotated[bool, "a document is older than what it describes, or than stale_after"]
        dead_links: Annotated[list[str], "links to nothing, each with its file and line"]
        links_unanswered: Annotated[int, "addresses on the web of which it is not known"]
        dead_paths: Annotated[list[str], "paths in backquotes where nothing is"]
        dead_commands: Annotated[list[str], "commands whose script, target or service is not there"]
        mentions_ratio: Annotated[float, "share of must_mention that is mentioned; left out where that is nothing"]
        not_mentioned: Annotated[list[str], "those that are not"]
        blob: Annotated[str, "git's id of the content, of a single document"]

    def asks(self) -> str:
        return f"documents {', '.join(self.paths)}"

    def programs(self) -> tuple[Program, ...]:
        wanted = self.must_mention
        return (Program(wanted.run),) if isinstance(wanted, From) and wanted.run else ()

    async def measure(self, ctx: Context) -> Measurement:
        until = time.monotonic() + ctx.timeout.total_seconds() * _MARGIN

        def left() -> timedelta:
            return timedelta(seconds=max(until - time.monotonic(), 0.05))

        tree = Tree(ctx.root)
        notes: list[str] = []
        files, documents, observed = await ctx.blocking(lambda: self._found(tree))
        if not files:
            notes.append(f"no file matches {', '.join(safe(one, 80) for one in self.paths)}")
            return Measurement(observed, self.asks(), notes=tuple(notes), rests=self._rests(tree))
        texts = [one for one in documents if is_text(one.path)]
        if texts:
            observed |= await ctx.blocking(lambda: self._read(tree, texts))
        else:
            notes.append("no document is text captain reads, so nothing is said of headings, words and links")
        if self.links == "all" and texts:
            await self._web(texts, left(), observed, notes)
        await self._mentioned(ctx, tree, documents, left(), observed, notes)
        await self._age(ctx, files, left(), observed, notes)
        body = "\n".join(
            f"{name}: {one}"
            for name in ("headings_missing", "dead_links", "dead_paths", "dead_commands", "not_mentioned")
            for one in observed.get(name, ())
        )
        return Measurement(
            observed,
            self.asks(),
            ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=tuple(notes),
            places={
                "short": [f"{safe(one.path, 100)}: {one.words} words" for one in texts if one.words < self.min_words]
            },
            lacks={"mentions_ratio": [f"no word of {name}" for name in observed.get("not_mentioned", ())]},
            rests=self._rests(tree),
        )

    def _rests(self, tree: Tree) -> tuple[str, ...] | None:
        """The files that were looked at; None where others were asked too."""
        told = isinstance(self.must_mention, From) and self.must_mention.source == "cmd"
        return None if told or self.links == "all" else tree.rests

    def aging(self) -> frozenset[str]:
        return frozenset(("last_commit_age", *(() if self.newer_than else ("stale",))))

    def _found(self, tree: Tree) -> tuple[list[str], list[Document], dict[str, Any]]:
        by_pattern = [tree.matching([one]) for one in self.paths]
        files = list(dict.fromkeys(path for found in by_pattern for path in found))
        observed: dict[str, Any] = {"found": len(files), "missing": sum(not found for found in by_pattern)}
        documents = []
        for path in files:
            data = tree.read(path) if is_text(path) or is_diagram(path) or len(files) == 1 else None
            if data is not None and (is_text(path) or is_diagram(path)):
                documents.append(read_text(data.decode("utf-8-sig", "replace"), path))
            if data is not None and len(files) == 1:
                head = f"blob {len(data)}\0".encode()
                observed["blob"] = hashlib.sha1(head + data, usedforsecurity=False).hexdigest()
        return files, documents, observed

    def _read(self, tree: Tree, texts: list[Document]) -> dict[str, Any]:
        from captain.systems.texts.commands import Commands
        from captain.systems.texts.links import dead_links, dead_paths

        said = [heading for text in texts for heading in text.headings]
        observed: dict[str, Any] = {
            "headings_missing": [one for one in self.headings if not _meets(one, said)],
            "words": sum(text.words for text in texts),
            "short": sum(text.words < self.min_words for text in texts),
            "todo": sum(text.todo for text in texts),
        }
        commands = Commands(tree)
        links: list[str] = []
        paths: list[str] = []
        dead: list[str] = []
        for text in texts:
            folder = text.path.rpartition("/")[0]
            if self.links != "none":
                links += [_place(text, line, target) for target, line in dead_links(tree, text)]
            paths += [_place(text, line, target) for target, line in dead_paths(commands, text)]
            for block in text.blocks:
                dead += [_place(text, line, target) for target, line in commands.dead(block, folder)]
        if self.links != "none" and (links or not any(text.cut for text in texts)):
            observed["dead_links"] = links[:_SHOWN]
        if dead or not commands.cut:
            observed["dead_commands"] = dead[:_SHOWN]
        return {**observed, "dead_paths": paths[:_SHOWN]}

    async def _web(self, texts: list[Document], left: timedelta, observed: dict[str, Any], notes: list[str]) -> None:
        from captain.systems.texts.links import addresses, gone

        places = addresses(texts)
        dead, unknown = await gone(places, left * 0.7)
        observed.setdefault("dead_links", [])
        observed["dead_links"] += [f"{places[url][0]}:{places[url][1]}: {safe(url, 300)}" for url in dead][:_SHOWN]
        observed["links_unanswered"] = len(unknown)
        if unknown:
            notes.append(f"{len(unknown)} addresses gave no clear answer: {safe(unknown[0], 200)}")
        if not observed["dead_links"] and (unknown or any(text.cut for text in texts)):
            del observed["dead_links"]

    async def _mentioned(
        self,
        ctx: Context,
        tree: Tree,
        documents: list[Document],
        left: timedelta,
        observed: dict[str, Any],
        notes: list[str],
    ) -> None:
        from captain.systems.texts.mentions import not_mentioned

        if not self.must_mention:
            return
        names = await self._names(ctx, tree, left)
        if not names:
            notes.append("there is nothing that must be mentioned: no name was found")
        elif not documents:
            notes.append("no document is text, so what it mentions is not known")
        else:
            lacking = not_mentioned(names, [one.content for one in documents])
            observed["mentions_ratio"] = 1 - len(lacking) / len(names)
            observed["not_mentioned"] = [safe(name, 200) for name in lacking[:_SHOWN]]

    async def _names(self, ctx: Context, tree: Tree, left: timedelta) -> dict[str, tuple[str, ...]]:
        from captain.systems.compose.files import default_files, read_compose
        from captain.systems.texts.mentions import alerts, given, tables

        wanted = self.must_mention
        if not isinstance(wanted, From):
            return given(wanted)
        if wanted.source == "cmd":
            return given(await self._told(ctx, wanted.run, left))

        def read() -> dict[str, tuple[str, ...]]:
            files = tree.matching(wanted.files or _DEFAULT_FILES[wanted.source])
            if wanted.source == "compose":
                files = files if wanted.files else default_files(tree)
            if not files:
                raise ProbeError(f"docs: no file of {wanted.source} is there", hint="name them in must_mention.files")
            if wanted.source == "tables":
                return tables(tree, files)
            if wanted.source == "alerts":
                return alerts(tree, files)
            compose = read_compose(tree, files)
            if compose.unread:
                raise ProbeError(f"docs: {safe(compose.unread[0], 100)} of the compose files was not read")
            return given(compose.services)

        return await ctx.blocking(read)

    async def _told(self, ctx: Context, run: tuple[str, ...], left: timedelta) -> list[str]:
        from captain.effects.program import probe_environ, run_program

        try:
            done = await run_program(run, cwd=ctx.root, env=probe_environ(ctx.environ), timeout=left)
        except ProgramError as error:
            raise ProbeError(f"docs: {error.message}", hint=error.hint) from error
        if done.exit_code != 0 or done.truncated:
            said = "no end in time" if done.timed_out else f"exit {done.exit_code}"
            raise ProbeError(f"docs: {safe(run[0], 100)} did not name what must be mentioned: {said}")
        return done.stdout.decode("utf-8", "replace").splitlines()

    async def _age(
        self, ctx: Context, files: list[str], left: timedelta, observed: dict[str, Any], notes: list[str]
    ) -> None:
        from captain.systems.git.program import Git, toplevel
        from captain.systems.git.remote import shallow
        from captain.systems.texts.age import last_commit, literal, pattern

        try:
            if await toplevel(Path(ctx.root), ctx.environ, left) is None:
                notes.append("it is no git work tree, so how old the documents are is not known")
                return
            git = Git(ctx.root, ctx.environ, left)
            if await shallow(git):
                notes.append("the clone is shallow, so how old the documents are is not known")
                return
            commits = {path: await last_commit(git, [literal(path)]) for path in files}
            fresh = [path for path, at in commits.items() if at is None]
            if fresh:
                notes.append(f"{safe(fresh[0], 200)} is in no commit, so how old it is is not known")
                return
            oldest = min(at for at in commits.values() if at is not None)
            observed["last_commit_age"] = ctx.clock.now() - oldest
            if not self.newer_than:
                observed["stale"] = observed["last_commit_age"] > self.stale_after
                return
            code = await last_commit(git, [pattern(one) for one in self.newer_than])
            if code is None:
                notes.append("no commit has a file of newer_than, so whether the documents are stale is not known")
            else:
                observed["stale"] = oldest < code
        except ProbeError as error:
            notes.append(f"how old the documents are is not known: {error.message}")


def _meets(pattern: str, headings: list[str]) -> bool:
    meets = chooser(f"/(?:{pattern})/", ignore_case=True)
    return any(meets(heading[:128]) for heading in headings)


def _place(text: Document, line: int, target: str) -> str:
    return f"{safe(text.path, 200)}:{line}: {safe(target, 300)}"
