"""How a local repository stands to its remote: behind, ahead, contained, and how long ago it asked. No verdict.

Counts are against the remote's refs as stored here; only `fetch` speaks to the network.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.git.program import Git, check_ref, decoded
from captain.systems.git.shared import shared

PROTOCOLS = "https:ssh"
_SCP = re.compile(r"(?:[^/@:-][^/@:]*@)?[^/:@-][^/:@]*:(?!:|//)")
_CLONED = re.compile(r" (\d{1,12}) [+-]\d{4}\tclone: from ")


async def fetch(git: Git, remote: str) -> None:
    """Ask the remote for its branches, over https or ssh only. Raises ProbeError with git's words."""
    url = await _url(git, remote)
    # Only the scheme is shown: a URL may hold a password.
    scheme = urlsplit(url).scheme if "://" in url and "::" not in url.split("://")[0] else ""
    if scheme not in ("https", "ssh") and not _SCP.match(url):
        raise ProbeError(
            f"git fetch {safe(remote)}: captain fetches over https and ssh only", hint="set `fetch: false`"
        )
    if await git.text("config", "--get-all", f"remote.{remote}.vcs", also=(1,)):
        raise ProbeError(f"git fetch {safe(remote)}: the remote names a helper program, which captain does not run")
    await git.run(
        *("fetch", "--quiet", "--no-recurse-submodules", "--no-auto-gc", "--no-auto-maintenance"),
        *("--upload-pack=git-upload-pack", "--end-of-options", check_ref(remote)),
        protocols=PROTOCOLS,
    )


async def fetched_at(git: Git, remote: str) -> datetime | None:
    """When the remote was last asked or cloned from, None where nothing here says so."""
    url = _plain(await _url(git, remote, missing="")) or None
    folders = {await _folder(git, "--absolute-git-dir"), await _folder(git, "--git-common-dir")}
    moments = []
    for folder in folders:
        file = folder / "FETCH_HEAD"
        # A fetch that failed leaves it empty, one from elsewhere names another URL.
        if url and _reads(file) and any(line.rstrip().endswith(f" of {url}") for line in _reads(file).splitlines()):
            moments.append(datetime.fromtimestamp(file.stat().st_mtime, UTC))
        for log in (f"refs/remotes/{remote}/HEAD", "HEAD"):
            if match := _CLONED.search(_reads(folder / "logs" / log)):
                moments.append(datetime.fromtimestamp(int(match[1]), UTC))
    return max(moments, default=None)


async def upstream(git: Git, branch: str, remote: str) -> str | None:
    """The remote's commit that `branch` follows, as stored here: its upstream's, else the branch of the same name."""
    shown = await git.text("for-each-ref", "--format=%(upstream)", f"refs/heads/{check_ref(branch)}")
    for ref in (shown, f"refs/remotes/{check_ref(remote)}/{branch}"):
        if ref and (sha := await git.resolve(ref)):
            return sha
    return None


async def main_branch(git: Git, remote: str) -> str | None:
    """The full ref of the remote's default branch as stored here: its HEAD, else main, else master."""
    shown = await git.text("symbolic-ref", "--quiet", f"refs/remotes/{check_ref(remote)}/HEAD", also=(1,))
    for ref in (shown, f"refs/remotes/{remote}/main", f"refs/remotes/{remote}/master"):
        if ref and await git.resolve(ref):
            return ref
    return None


async def ahead_behind(git: Git, ours: str, theirs: str) -> tuple[int, int] | None:
    """Commits only we have and only they have; None where a shallow history cannot tell."""
    if ours != theirs and await shallow(git):
        related = await git.attempt("merge-base", ours, theirs)
        if related.exit_code != 0:
            return None
    counts = await git.text("rev-list", "--left-right", "--count", f"{ours}...{theirs}")
    left, _, right = counts.partition("\t")
    return int(left), int(right)


async def contains(git: Git, theirs: str, ours: str) -> bool | None:
    """Whether `ours` is an ancestor of `theirs`; None where a shallow history cannot tell."""
    done = await git.attempt("merge-base", "--is-ancestor", ours, theirs)
    if done.exit_code == 0:
        return True
    if done.exit_code == 1 and not await shallow(git):
        return False
    return None


async def shallow(git: Git) -> bool:
    """Whether the history was cut when it was cloned or fetched."""
    return await shared(git.root, "shallow", lambda: git.text("rev-parse", "--is-shallow-repository")) == "true"


async def _url(git: Git, remote: str, *, missing: str | None = None) -> str:
    key = f"remote.{check_ref(remote)}.url"
    urls = (await git.text("config", "--get-all", key, also=(1,))).splitlines()
    if urls:
        return urls[0]
    if missing is None:
        raise ProbeError(f"git fetch {safe(remote)}: no such remote here", hint="name one with `remote`")
    return missing


async def _folder(git: Git, which: str) -> Path:
    return (git.root / await git.text("rev-parse", which)).resolve()


def _plain(url: str) -> str:
    """A URL as FETCH_HEAD writes it: without user, trailing slashes and `.git`."""
    if "://" in url:
        parts = urlsplit(url)
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return url.rstrip("/").removesuffix(".git")


def _reads(file: Path) -> str:
    """A small file's text, empty where there is none."""
    try:
        if file.is_file() and file.stat().st_size <= 1024 * 1024:
            return decoded(file.read_bytes())
    except OSError:
        return ""
    return ""
