"""The kind `ignore`: whether secrets are kept out of git and out of image builds."""

from __future__ import annotations

import time
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, Field, model_validator

from captain.errors import ProbeError
from captain.fields import Bool, Text, wrong
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe

_CANDIDATES = {
    "git": (".env", "sub/folder/.env", ".env.local", ".env.production"),
    "docker": (
        *(".env", "sub/folder/.env", ".env.production", "key.pem", "id_rsa", ".git/config", ".npmrc"),
        ".aws/credentials",
    ),
}
_KEEP = {"git": (".env.example",), "docker": ()}
_PLACES = ("uncovered", "present_uncovered", "tracked")
_MARGIN = 0.9
_SHOWN = 200


def _relative(value: str) -> str:
    if "${{" not in value and (value.startswith(("/", "~")) or ".." in value.split("/") or "\0" in value or not value):
        raise wrong("is no path within the folder of captain.yaml")
    return value.removeprefix("./")


Path = Annotated[Text, AfterValidator(_relative)]


@probe("ignore")
class IgnoreProbe(Probe):
    """Are secrets kept out of git, or out of image builds?

    With `mode: git` the .gitignore files are asked by git itself, with `mode: docker` the .dockerignore by Docker's
    rules, which are others: there `.env` is the one at the top only and `**/.env` is any. Names are tried whether
    such a file is there or not, then the files that are there and hold a secret: .env, private keys, credentials. A
    file counts by its name, and where that says too little (.pem, .npmrc) by its content.

    Of git also: what is tracked although it is a secret (an ignore rule changes nothing about that), and what any
    branch, tag or stash once held. A person's own excludes (.git/info/exclude) keep nothing away for others.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("uncovered_count == 0", "present_uncovered_count == 0")
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    errors: ClassVar[str] = "unknown: git or the folder cannot be asked, it is no work tree, no such folder"
    example: ClassVar[str] = """\
id: gitignore-env
title: .env files never reach git
ignore: { mode: git }
expect: ['uncovered_count == 0', 'tracked_count == 0']
warn: ['tracked_count == 0']"""

    mode: Literal["git", "docker"]
    """Whose rules."""
    root: Path = "."
    """The folder that is asked about; for docker the context of the build."""
    dockerfile: Path | None = None
    """For docker: the Dockerfile, whose own `<Dockerfile>.dockerignore` comes first."""
    candidates: Annotated[tuple[Path, ...], Field(max_length=200)] = ()
    """Names that must be kept away, there or not, default the usual ones: .env, also in a folder, key.pem, id_rsa …"""
    keep: Annotated[tuple[Path, ...], Field(max_length=200)] | None = None
    """Names that must not be kept away and hold no secret, default for git .env.example."""
    history: Bool = True
    """For git: look through all commits too."""

    class Observes(TypedDict, total=False):
        """What is kept away and what is not."""

        has_file: Annotated[bool, "there is a .gitignore, or a .dockerignore for this build"]
        uncovered: Annotated[list[str], "candidates that no rule keeps away"]
        uncovered_count: Annotated[int, "how many"]
        present_uncovered: Annotated[list[str], "files with a secret that reach git (or are in it), or the build"]
        present_uncovered_count: Annotated[int, "how many"]
        over_ignored: Annotated[list[str], "names of keep that a rule keeps away"]
        tracked: Annotated[list[str], "files with a secret that git has"]
        tracked_count: Annotated[int, "how many"]
        history_count: Annotated[int, "files with a secret that a commit holds (left out of a shallow clone)"]
        findings: Annotated[list[dict[str, Any]], "each of them: file, rule"]

    @model_validator(mode="after")
    def _fits(self) -> IgnoreProbe:
        if self.mode == "git" and self.dockerfile is not None:
            raise wrong("takes dockerfile with mode: docker only")
        if self.mode == "docker" and "history" in self.model_fields_set:
            raise wrong("takes history with mode: git only")
        return self

    def asks(self) -> str:
        return f"{'.gitignore' if self.mode == 'git' else '.dockerignore'} of {self.root}"

    @property
    def _tried(self) -> tuple[str, ...]:
        return self.candidates or _CANDIDATES[self.mode]

    @property
    def _kept(self) -> tuple[str, ...]:
        return _KEEP[self.mode] if self.keep is None else self.keep

    async def measure(self, ctx: Context) -> Measurement:
        if not (ctx.root / self.root).is_dir():
            raise ProbeError(f"ignore: {safe(self.root, 200)} is no folder", hint="check `root`")
        findings: list[dict[str, Any]] = []
        notes: list[str] = []
        if self.mode == "git":
            observed = await self._git(ctx, findings, notes)
        else:
            observed = await ctx.blocking(lambda: self._docker(ctx, findings, notes))
        observed["findings"] = findings
        body = "\n".join(f"{one['file']}: {one['rule']}" for one in findings)
        return Measurement(
            observed,
            self.asks(),
            ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=tuple(notes),
            places={f"{name}_count": observed[name] for name in _PLACES if name in observed},
        )

    def _docker(self, ctx: Context, findings: list[dict[str, Any]], notes: list[str]) -> dict[str, Any]:
        from captain.systems.secrets.docker_ignore import read_docker_ignore
        from captain.systems.secrets.files import secret_files
        from captain.systems.tree_files import Tree

        tree = Tree(ctx.root)
        if self.dockerfile is not None and tree.read(self.dockerfile) is None:
            raise ProbeError(f"ignore: {safe(self.dockerfile, 200)}: there is no such file", hint="check `dockerfile`")
        until = time.monotonic() + ctx.timeout.total_seconds() * _MARGIN
        ignore = read_docker_ignore(tree, self.root, self.dockerfile, until)
        if ignore.path is None:
            notes.append("there is no .dockerignore: every file of the context reaches the build")
        else:
            notes.append(f"the rules stand in {safe(ignore.path, 200)}")
        there = secret_files(
            ctx.root / self.root, lambda folder: not ignore.brings_back and ignore.covers(folder), until
        )
        uncovered = [path for path in self._tried if not ignore.covers(path)]
        present = {path: rule for path, rule in there.items() if path not in self._kept and not ignore.covers(path)}
        over = [path for path in self._kept if ignore.covers(path)]
        return {"has_file": ignore.path is not None, **_told(uncovered, present, over, findings)}

    async def _git(self, ctx: Context, findings: list[dict[str, Any]], notes: list[str]) -> dict[str, Any]:
        from captain.systems.git.program import Git, toplevel
        from captain.systems.secrets import git_ignore

        where = ctx.root / self.root
        if await toplevel(where, ctx.environ, ctx.timeout) is None:
            raise ProbeError(f"git in {safe(where)}: not a git work tree", hint="name one with `root`")
        git = Git(where, ctx.environ, ctx.timeout * _MARGIN)
        rules = await git_ignore.rules(git, list(dict.fromkeys((*self._tried, *self._kept))))
        held, loose = await git_ignore.tracked(git), await git_ignore.would_take(git)

        def holding(paths: list[str]) -> dict[str, str]:
            found = git_ignore.secrets_among(git, paths)
            return {path: rule for path, rule in sorted(found.items()) if path not in self._kept}

        tracked, free = await ctx.blocking(lambda: (holding(held), holding(loose)))
        uncovered = [path for path in self._tried if not rules[path].ignored]
        alone = [path for path in uncovered if rules[path].source and ".gitignore:" not in rules[path].source]
        notes += [f"{safe(path, 80)} is kept away on this machine only" for path in alone[:5]]
        over = [path for path in self._kept if rules[path].ignored]
        observed: dict[str, Any] = {
            "has_file": (where / ".gitignore").is_file(),
            **_told(uncovered, {**tracked, **free}, over, findings),
            "tracked": [_shown(path) for path in list(tracked)[:_SHOWN]],
            "tracked_count": len(tracked),
        }
        if self.history:
            await self._past(git, observed, findings, notes)
        return observed

    async def _past(self, git: Any, observed: dict[str, Any], findings: list[dict[str, Any]], notes: list[str]) -> None:
        from captain.systems.secrets.git_ignore import history

        try:
            found, why = await history(git)
        except ProbeError as error:
            found, why = None, f"the history is not known: {error.message}"
        if found is None:
            notes.append(why)
            return
        past = {path: commit for path, commit in found.items() if path not in self._kept}
        observed["history_count"] = len(past)
        findings += [
            {"file": _shown(path), "rule": f"in commit {commit}"} for path, commit in list(past.items())[:_SHOWN]
        ]


def _told(
    uncovered: list[str], present: dict[str, str], over: list[str], findings: list[dict[str, Any]]
) -> dict[str, Any]:
    findings += [{"file": path, "rule": "no rule keeps it away"} for path in uncovered]
    findings += [{"file": _shown(path), "rule": rule} for path, rule in sorted(present.items())[:_SHOWN]]
    findings += [{"file": path, "rule": "is kept away"} for path in over]
    return {
        "uncovered": uncovered,
        "uncovered_count": len(uncovered),
        "present_uncovered": [_shown(path) for path in sorted(present)[:_SHOWN]],
        "present_uncovered_count": len(present),
        "over_ignored": over,
    }


def _shown(path: str) -> str:
    return safe(path, 300)
