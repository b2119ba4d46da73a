"""How to ask git without running anything of the repository that is asked. Knows no verdict and no step.

A repository's own config names programs: hooks, fsmonitor, filters, ssh and credential commands. Every call switches
them off, gives no global or system config, and lets git speak no protocol but those named by the caller.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from captain.effects.program import Finished, probe_environ, run_program
from captain.errors import ProbeError, ProgramError, UsageError
from captain.safe import safe
from captain.systems.git.shared import shared

LIMIT = 64 * 1024 * 1024
"""Bytes of output kept: the index of a large repository, listed."""
TIMEOUT = timedelta(seconds=10)

_ENVIRON = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    "GIT_OPTIONAL_LOCKS": "0",
    # Missing objects of a partial clone would be fetched through programs that the repository names.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "LC_ALL": "C",
}
_CONFIG = {
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.alternateRefsCommand": "true",
    # What the repository hides by a list or a setting of its own is there all the same.
    "core.checkStat": "default",
    "core.excludesFile": "/dev/null",
    "core.fileMode": "true",
    "core.ignoreCase": "false",
    "core.symlinks": "true",
    "core.trustctime": "true",
    "core.gitProxy": "",
    "credential.helper": "",
    "diff.external": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
}
_HEX = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[-./]|^@$|[./]$")


@dataclass(frozen=True, slots=True)
class Git:
    """One repository, asked within one deadline. Every method raises ProbeError when git gives no usable answer."""

    root: Path
    """Where git runs: the work tree, or a folder in it."""
    environ: Mapping[str, str]
    """captain's own environment; git gets a few names of it."""
    timeout: timedelta = TIMEOUT
    """For all questions together."""
    config: Mapping[str, str] = field(default_factory=dict)
    """Settings that win over the repository's, beside those that switch its programs off."""
    began: float = field(default_factory=time.monotonic)

    async def run(
        self, *arguments: str, also: tuple[int, ...] = (), stdin: bytes | None = None, protocols: str = "none"
    ) -> Finished:
        """Run one git command. Exit codes other than 0 and those in `also` are a ProbeError with git's own words."""
        done = await self.attempt(*arguments, stdin=stdin, protocols=protocols)
        if done.exit_code not in (0, *also):
            raise self.refused(arguments[0], done)
        return done

    async def attempt(self, *arguments: str, stdin: bytes | None = None, protocols: str = "none") -> Finished:
        """Run one git command whatever its exit code."""
        left = self.left()
        config = {**_CONFIG, **self.config}
        env = {
            **{name: value for name, value in probe_environ(self.environ).items() if not name.startswith("DOCKER_")},
            **_ENVIRON,
            "GIT_ALLOW_PROTOCOL": protocols,
            # Not -c: a driver's name may hold an equals sign.
            "GIT_CONFIG_COUNT": str(len(config)),
            **{f"GIT_CONFIG_KEY_{number}": key for number, key in enumerate(config)},
            **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(config.values())},
        }
        try:
            done = await run_program(
                ["git", *arguments], cwd=self.root, env=env, timeout=left, limit=LIMIT, stdin=stdin
            )
        except ProgramError as error:
            raise ProbeError(f"git in {safe(self.root)}: {error.message}", hint=error.hint) from error
        if done.timed_out:
            raise self._late()
        return done

    def left(self) -> timedelta:
        """What is left of the time. Raises ProbeError where nothing is."""
        left = self.timeout - timedelta(seconds=time.monotonic() - self.began)
        if left <= timedelta(0):
            raise self._late()
        return left

    async def text(self, *arguments: str, also: tuple[int, ...] = ()) -> str:
        """What one git command says, without the newline at its end."""
        return decoded((await self.run(*arguments, also=also)).stdout).rstrip("\n")

    async def resolve(self, revision: str) -> str | None:
        """The full id of a commit that a checked name means, tags peeled; None where there is none."""
        done = await self.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{check_ref(revision)}^{{commit}}", also=(1,)
        )
        return decoded(done.stdout).strip() or None

    def refused(self, command: str, done: Finished) -> ProbeError:
        """What git said when it could not do it."""
        said = next((line for line in decoded(done.stderr).splitlines() if line.strip()), f"exit {done.exit_code}")
        hint = None
        if "dubious ownership" in said:
            hint = "the files belong to somebody else; run captain as their owner (safe.directory is not read)"
        where = safe(self.root)
        return ProbeError(f"git {command} in {where}: {safe(said.removeprefix('fatal: '), 300)}", hint=hint)

    def _late(self) -> ProbeError:
        return ProbeError(f"git in {safe(self.root)}: no answer within {self.timeout.total_seconds():g} s")


def check_ref(name: str) -> str:
    """`name`, if it can be the name of a branch, tag or remote, or a commit's id. Raises UsageError otherwise.

    Options, ranges, `@{…}` and paths that leave the refs never reach git.
    """
    if not name or len(name) > 255 or _FORBIDDEN_IN_REF.search(name):
        raise UsageError(f'"{safe(name, 80)}" is not a name of a branch, tag or commit')
    return name


def decoded(output: bytes) -> str:
    """Output of git as text; bytes that are no UTF-8 survive as surrogates, so that paths still name their files."""
    return output.decode("utf-8", "surrogateescape")


def legible(text: str) -> str:
    """Text of git's as valid Unicode: bytes that are none become the replacement character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def toplevel(path: Path, environ: Mapping[str, str], timeout: timedelta = TIMEOUT) -> Path | None:
    """The work tree that `path`, a folder, lies in; None where it lies in none.

    Raises ProbeError where git refuses to say: the repository belongs to somebody else, or git is missing.
    """
    git = Git(path, environ, timeout)
    done = await shared(path, "toplevel", lambda: git.attempt("rev-parse", "--show-toplevel"))
    said = decoded(done.stderr)
    if done.exit_code == 0:
        top = Path(decoded(done.stdout).rstrip("\n"))
        if not path.resolve().is_relative_to(top.resolve()):
            raise ProbeError(
                f"git in {safe(path)}: the repository's config takes {safe(top)} for its work tree",
                hint="git config --unset core.worktree",
            )
        return top
    if "not a git repository" in said or "must be run in a work tree" in said:
        return None
    raise git.refused("rev-parse", done)


_COMMITTER = re.compile(r"^committer .*> (-?\d{1,15}) [+-]\d{4}$", re.MULTILINE)


async def committed_at(git: Git, sha: str) -> datetime:
    """When the commit says it was made, in UTC. Raises ProbeError for an object that is no readable commit."""
    text = (await git.run("cat-file", "commit", check_ref(sha))).stdout.decode("utf-8", "replace")
    found = _COMMITTER.search(text.partition("\n\n")[0])
    try:
        if found is not None:
            return datetime.fromtimestamp(int(found[1]), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ProbeError(f"git in {safe(git.root)}: commit {safe(sha)} names no time")


_ADDRESS = re.compile(r"<([^<>\s]+)>")


async def authors(git: Git, commit: str, *, behind: str | None) -> set[str] | None:
    """E-mail addresses of who wrote the commits up to `commit` that `behind` does not hold, co-authors included.

    None in a shallow clone, which does not hold them all. The repository's mailmap is not read: it must not say who
    wrote what. Raises ProbeError where a commit is not there.
    """
    if await git.text("rev-parse", "--is-shallow-repository") != "false":
        return None
    form = "--format=<%ae>%n%(trailers:key=Co-authored-by,valueonly)"
    ranges = [check_ref(commit), *([f"^{check_ref(behind)}"] if behind is not None else [])]
    said = legible(await git.text("rev-list", "--no-commit-header", form, "--end-of-options", *ranges))
    return {address.casefold() for address in _ADDRESS.findall(said)}


@dataclass(frozen=True, slots=True)
class Bound:
    """The commit a release is bound to."""

    commit: str | None
    """None only in a repository without commits."""
    tag: str | None = None
    untagged: bool = False
    """True where a version was asked for, no tag has its name, and the commit is HEAD's."""


async def resolve_release(
    repo: Path,
    *,
    tag: str | None,
    version: str | None,
    commit: str | None,
    environ: Mapping[str, str],
    timeout: timedelta = TIMEOUT,
) -> Bound:
    """The commit of a release: `commit` if given, else the declared `tag`'s, else `v<version>`, `<version>`, HEAD.

    `tag` is `release.tag` resolved, or None where captain.yaml declares none. Annotated tags are peeled. Raises
    UsageError where the declared tag or the given commit is not there.
    """
    git = Git(repo, environ, timeout)
    wanted = [tag] if tag else [f"v{version}", version] if version else []
    found = {name: sha for name in wanted if name and (sha := await git.resolve(f"refs/tags/{name}"))}
    if commit is not None:
        sha = await git.resolve(commit) if _HEX.fullmatch(commit) or commit == "HEAD" else None
        # A branch may be named like a short id, and git would take the branch.
        if sha is None or not (commit == "HEAD" or sha.startswith(commit.lower())):
            raise UsageError(
                f"commit {safe(commit, 80)} not found in {safe(repo)}", hint="give at least 7 digits of its id"
            )
        return Bound(sha, tag=next((name for name, peeled in found.items() if peeled == sha), None))
    if found:
        name, sha = next(iter(found.items()))
        return Bound(sha, tag=name)
    if tag:
        raise UsageError(f"tag {safe(tag, 80)} not found; --commit SHA binds it by hand")
    return Bound(await git.resolve("HEAD"), untagged=version is not None)
