"""How to look through the files of a repository: which there are, and regexes over them within a time. No verdict."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from captain.documents import parse_json
from captain.effects.program import probe_environ, run_program
from captain.errors import ProbeError, ProgramError
from captain.safe import safe
from captain.systems.git.program import Git, decoded, legible, toplevel
from captain.systems.git.shared import shared
from captain.systems.globs import Glob

MAX_FILES = 50_000
_CHILD = Path(__file__).with_name("child.py")
_OUTPUT = 4 * 1024 * 1024

BUILT_IN: Mapping[str, str] = {
    "private-key": r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----",
    "aws-key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github-token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
    "gitlab-token": r"\bglpat-[A-Za-z0-9_-]{20,64}",
    "slack-token": r"\bxox[abprs]-[A-Za-z0-9-]{10,255}",
    "stripe-key": r"\b[sr]k_live_[A-Za-z0-9]{10,255}",
    "google-key": r"\bAIza[A-Za-z0-9_-]{35}",
    "url-userinfo": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@$<{\"']{1,100}:(?![*xX]+@|\.\.\.)[^\s/@$<{\"']{3,200}@[\w.-]",
    "secret-literal": r"(?i)\b(?:secret_?key|password|passwd|api_?key|auth_?token|access_?token|client_?secret)"
    r"[\"']?\s{0,4}[:=]\s{0,4}[\"'](?=[^\"'\s]*\d)(?=[^\"'\s]*[a-z])[^\"'\s${}<>]{12,200}[\"']",
}
"""Shapes of secrets, by rule. What a name alone suggests counts only with a long value of letters and digits."""


@dataclass(frozen=True, slots=True)
class Files:
    """What there is to look through."""

    paths: tuple[str, ...]
    """As git and the disk know them: bytes that are no UTF-8 are surrogates."""
    executable: frozenset[str] = frozenset()
    """Those of them that git has as executable; outside of git those that are."""
    elsewhere: int = 0
    """Submodules that are meant."""
    in_git: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What a search saw."""

    looked: int
    binary: int
    unread: tuple[str, ...]
    unread_count: int
    counts: Mapping[str, int]
    places: tuple[tuple[str, int, str], ...]
    """Path, line and pattern of the first ones."""


async def files_of(
    root: Path,
    environ: Mapping[str, str],
    timeout: timedelta,
    *,
    tracked_only: bool,
    meant: Callable[[str], bool],
) -> Files:
    """The files below `root` that are meant: git's where it is a work tree, else all there are."""
    if await toplevel(root, environ, timeout) is None:
        paths = tuple(path for path in walked(root) if meant(path))
        return Files(paths, _executable(root, paths), in_git=False)
    git = Git(root, environ, timeout)
    done = await shared(root, "index", lambda: git.run("ls-files", "-z", "--stage"))
    loose = None if tracked_only else await git.run("ls-files", "-z", "--others", "--exclude-standard")
    if done.truncated or (loose is not None and loose.truncated):
        raise ProbeError(f"git ls-files in {safe(root)}: more than captain reads")
    found: dict[str, None] = {}
    executable: set[str] = set()
    elsewhere = 0
    for entry in filter(None, decoded(done.stdout).split("\0")):
        facts, _, path = entry.partition("\t")
        if not meant(path):
            continue
        if facts.startswith("160000"):
            elsewhere += 1
        elif facts.startswith("100"):
            found[path] = None
            if facts.startswith("100755"):
                executable.add(path)
    others = [] if loose is None else [path for path in decoded(loose.stdout).split("\0") if path and meant(path)]
    found.update(dict.fromkeys(others))
    executable |= _executable(root, others)
    if len(found) > MAX_FILES:
        raise ProbeError(f"more than {MAX_FILES} files are meant", hint="narrow `globs`")
    return Files(tuple(found), frozenset(executable), elsewhere)


def _executable(root: Path, paths: Sequence[str]) -> frozenset[str]:
    return frozenset(path for path in paths if os.access(root / path, os.X_OK))


def walked(root: Path) -> Iterator[str]:
    """Every regular file below a folder, bounded; links are not followed."""
    waiting, seen = [""], 0
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_FILES:
                        raise ProbeError(f"more than {MAX_FILES} names lie below {safe(root)}")
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name != ".git":
                            waiting.append(path)
                    elif entry.is_file(follow_symlinks=False):
                        yield path
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise ProbeError(f"{safe(folder or '.', 200)} cannot be listed: {safe(said, 80)}") from error


def chosen(globs: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path is meant."""
    wanted, not_wanted = [Glob(one) for one in globs], [Glob(one) for one in exclude]

    def meant(path: str) -> bool:
        return any(one.matches(path) for one in wanted) and not any(one.matches(path) for one in not_wanted)

    return meant


async def search(
    root: Path, files: Files, patterns: Mapping[str, str], environ: Mapping[str, str], timeout: timedelta
) -> Found:
    """Every match of every pattern. Raises ProbeError where that takes longer than `timeout`."""
    if not files.paths:
        return Found(0, 0, (), 0, dict.fromkeys(patterns, 0), ())
    asked = {
        "root": str(root.resolve()),
        "files": files.paths,
        "patterns": [{"id": name, "regex": regex} for name, regex in patterns.items()],
    }
    given = json.dumps(asked).encode("ascii")
    try:
        done = await run_program(
            [sys.executable, "-I", "-S", str(_CHILD)],
            cwd=root,
            env=probe_environ(environ),
            timeout=timeout,
            limit=_OUTPUT,
            stdin=given,
        )
    except ProgramError as error:
        raise ProbeError(f"source: {error.message}", hint=error.hint) from error
    if done.timed_out:
        raise ProbeError(
            f"source: looking through {len(files.paths)} files took longer than {timeout.total_seconds():g} s",
            hint="simplify the regex, narrow `globs`, or raise the step's timeout",
        )
    try:
        said = parse_json(done.stdout.decode("utf-8", "replace"))
        if not isinstance(said, dict):
            raise ValueError("no mapping")
        if said["empty"]:
            name = safe(said["empty"][0], 60)
            raise ProbeError(
                f"source: the pattern {name} matches where nothing is", hint="a regex must match something"
            )
        places = tuple((legible(files.paths[at]), int(line), str(name)) for at, line, name in said["places"])
        unread = tuple(legible(files.paths[at]) for at in said["unread"])
        return Found(said["looked"], said["binary"], unread, said["unread_count"], said["counts"], places)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        why = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        told = safe(why, 200) or f"exit {done.exit_code} {done.signal or ''}".strip()
        raise ProbeError(f"source: the search ended without an answer: {told}") from error
