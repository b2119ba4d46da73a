"""Which secrets git would take, has, and once had. Asks git and reads file names; knows no verdict.

Only .gitignore files count: what a person's own excludes keep away is kept away on that machine alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.git.program import Git, decoded
from captain.systems.git.remote import shallow
from captain.systems.secret_names import file_rule
from captain.systems.secrets.files import among

_PATHS = (
    *("**/.env*", "**/*.pem", "**/*.key", "**/id_*", "**/*.p12", "**/*.pfx", "**/*.jks", "**/.npmrc", "**/.pypirc"),
    *("**/.netrc", "**/_netrc", "**/.git-credentials", "**/.pgpass", "**/.aws/credentials"),
    *("**/.docker/config.json", "**/.dockercfg", "**/.dockerconfigjson", "**/.kube/config"),
)
_MOST_BLOBS = 500


@dataclass(frozen=True, slots=True)
class Rule:
    """What git says of one path."""

    ignored: bool
    source: str
    """`.gitignore:3`, "" where no rule meets it."""


async def rules(git: Git, paths: Sequence[str]) -> dict[str, Rule]:
    """What the .gitignore files say of each path, whether git has it or not."""
    if not paths:
        return {}
    asked = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
    # Without --no-index a tracked path meets no rule; with -v a path that a `!` brings back meets one.
    done = await git.run("check-ignore", "--no-index", "-v", "-n", "-z", "--stdin", also=(1,), stdin=asked)
    fields = decoded(done.stdout).split("\0")[:-1]
    if done.truncated or len(fields) != 4 * len(paths):
        raise ProbeError(f"git check-ignore in {safe(git.root)}: gave no usable answer")
    found = {}
    for source, line, pattern, path in zip(fields[::4], fields[1::4], fields[2::4], fields[3::4], strict=True):
        shared = source.rpartition("/")[2] == ".gitignore"
        ignored = bool(pattern) and not pattern.startswith("!") and shared
        found[path] = Rule(ignored, f"{source}:{line}" if pattern else "")
    return found


async def tracked(git: Git) -> list[str]:
    """Everything in git's index below where it is asked."""
    return await _listed(git, "--cached")


async def would_take(git: Git) -> list[str]:
    """What is neither in git nor kept away by a .gitignore."""
    return await _listed(git, "--others", "--exclude-per-directory=.gitignore")


async def _listed(git: Git, *which: str) -> list[str]:
    done = await git.run("ls-files", "-z", *which)
    if done.truncated:
        raise ProbeError(f"git ls-files in {safe(git.root)}: more than captain reads")
    return list(dict.fromkeys(filter(None, decoded(done.stdout).split("\0"))))


def secrets_among(git: Git, paths: Sequence[str]) -> dict[str, str]:
    """Path to rule of those that hold a secret. Blocks."""
    return among(git.root, paths)


async def history(git: Git) -> tuple[dict[str, str] | None, str]:
    """Path and first commit of every secret that any branch, tag or stash ever had; else None and why not."""
    if await shallow(git):
        return None, "the clone is shallow, so what its history holds is not known"
    if not (await git.text("rev-list", "--all", "--max-count=1")):
        return None, "there is no commit yet, so there is no history to look at"
    done = await git.run(
        *("log", "--all", "--raw", "--no-abbrev", "--no-renames", "--diff-filter=AMT", "-m", "-z", "--format="),
        # What the repository's config turns on would start gpg.
        *("--no-show-signature", "--no-ext-diff", "--no-textconv", "--no-notes", "--relative", "--format=commit %H"),
        *("--", *(f":(glob,icase){path}" for path in _PATHS)),
    )
    if done.truncated:
        return None, "the history is larger than captain reads"
    blobs = _blobs(decoded(done.stdout))
    if len(blobs) > _MOST_BLOBS:
        return None, f"more than {_MOST_BLOBS} files of the history may hold a secret"
    found: dict[str, str] = {}
    for (path, blob), commit in blobs.items():
        rule = file_rule(path)
        if rule is None or path in found:
            continue
        done = await git.attempt("cat-file", "blob", blob)
        if done.exit_code != 0:
            return None, "objects of the history are missing here (a partial clone)"
        if rule.confirmed(done.stdout):
            found[path] = commit
    return found, ""


def _blobs(text: str) -> dict[tuple[str, str], str]:
    """Path and blob to the commit that brought it, the newest last; of links and submodules nothing."""
    found: dict[tuple[str, str], str] = {}
    commit = ""
    fields = iter(text.split("\0"))
    for part in fields:
        one = part.lstrip("\n")
        if one.startswith("commit "):
            commit = one[7:47]
            one = one[7:].partition("\n")[2].lstrip("\n")
        if one.startswith(":"):
            modes, path = one.split(" "), next(fields, "")
            if len(modes) == 5 and modes[1].startswith("100") and file_rule(path) is not None:
                found.setdefault((path, modes[3]), commit[:12])
    return found
