"""What the git probe tells about a work tree, and that nothing of the repository runs while it looks."""

from __future__ import annotations

import http.server
import os
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes import Context
from captain.probes.git import GitProbe
from tests.git_repo import ENVIRON, Repo
from tests.requirements import need

Ask = Callable[..., Awaitable[Measurement]]


async def at_once(call: Callable[[], Any], /) -> Any:
    return call()


@pytest.fixture
def ask(repo: Repo) -> Ask:
    async def asked(**keys: Any) -> Measurement:
        context = Context(
            root=repo.path,
            repo=None,
            timeout=timedelta(seconds=30),
            environ=ENVIRON,
            secrets={},
            blocking=at_once,
            clock=SystemClock(),
        )
        return await GitProbe(**keys).measure(context)

    return asked


@pytest.fixture
def remote(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "remote")
    made.commit(at="2026-11-23T01:00:00Z")
    return made


@pytest.fixture
def repo(tmp_path: Path, remote: Repo) -> Repo:
    remote.git("clone", "--quiet", str(remote.path), str(tmp_path / "shop"))
    return Repo(tmp_path / "shop")


@pytest.fixture
def served(repo: Repo, remote: Repo, tmp_path: Path) -> Iterator[str]:
    """The remote over https on loopback, its certificate known to the clone."""
    need("https for git", None if (Path(repo.git("--exec-path")) / "git-remote-https").exists() else "not installed")
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    repo.git("config", "http.sslCAInfo", str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    handler = partial(Quiet, directory=str(remote.path / ".git"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


async def test_a_fresh_clone_is_clean_and_in_the_main_branch(repo: Repo, ask: Ask) -> None:
    repo.git("tag", "v1.4.0")
    repo.git("tag", "--annotate", "--message", "m", "v1.10.0")
    seen = dict((await ask()).observed)
    assert seen.pop("head_age") > timedelta(0)  # type: ignore[operator]  # a union of value types
    assert timedelta(0) <= seen.pop("fetch_age") < timedelta(minutes=10)  # type: ignore[operator]  # as above
    assert seen == {
        "dirty": 0,
        "untracked": 0,
        "conflicts": 0,
        "hidden_changes": 0,
        "ahead": 0,
        "behind": 0,
        "in_branch": True,
        "detached": False,
        "shallow": False,
        "head_sha": repo.git("rev-parse", "HEAD"),
        "tag": "v1.10.0",
        "tag_signed": "unsigned",
        "stash": 0,
    }


async def test_changes_are_counted_by_what_they_are(repo: Repo, ask: Ask) -> None:
    for name in ("staged.py", "gone.py", "ignored-later.py"):
        repo.commit(name)
    repo.write("staged.py", "staged\n")
    repo.git("add", "staged.py")
    (repo.path / "gone.py").unlink()
    repo.write("shop.py", "edited\n")
    repo.write(".gitignore", "*.log\n")
    repo.write("a.log")
    repo.write("new dir/with\nnewline")
    result = await ask()
    assert (result.observed["dirty"], result.observed["untracked"]) == (3, 2)
    assert set((result.body or "").splitlines()) >= {"M staged.py", "D gone.py", "M shop.py", "? .gitignore"}


async def test_conflicts_are_counted_and_are_dirty(repo: Repo, ask: Ask) -> None:
    repo.git("checkout", "--quiet", "-b", "other")
    repo.commit(text="other\n")
    repo.git("checkout", "--quiet", "main")
    repo.commit(text="ours\n")
    with pytest.raises(AssertionError):
        repo.git("merge", "other")
    seen = (await ask()).observed
    assert (seen["conflicts"], seen["dirty"]) == (1, 1)


async def test_f24_assume_unchanged_hides_edits_from_status_but_not_from_captain(repo: Repo, ask: Ask) -> None:
    repo.commit("b.py")
    repo.git("update-index", "--assume-unchanged", "shop.py")
    repo.git("update-index", "--skip-worktree", "b.py")
    repo.write("shop.py", "hidden\n")
    assert repo.git("status", "--porcelain") == ""
    seen = (await ask()).observed
    assert (seen["dirty"], seen["hidden_changes"]) == (0, 2)


async def test_a_sparse_checkout_hides_nothing(repo: Repo, ask: Ask) -> None:
    repo.commit("docs/a.md")
    repo.commit("src/a.py")
    repo.git("sparse-checkout", "set", "src")
    seen = (await ask()).observed
    assert (seen["dirty"], seen["hidden_changes"]) == (0, 0)


async def test_ahead_behind_and_not_in_main(repo: Repo, remote: Repo, ask: Ask) -> None:
    remote.commit("theirs.py")
    repo.git("fetch", "--quiet")
    repo.commit("ours.py")
    repo.commit("ours2.py")
    seen = (await ask()).observed
    assert (seen["ahead"], seen["behind"], seen["in_branch"]) == (2, 1, False)


async def test_a_branch_without_upstream_is_compared_with_the_branch_of_its_name(repo: Repo, ask: Ask) -> None:
    repo.git("branch", "--unset-upstream")
    repo.commit("ours.py")
    assert (await ask()).observed["ahead"] == 1


async def test_f24_a_detached_head_has_no_upstream_so_ahead_and_behind_are_left_out(repo: Repo, ask: Ask) -> None:
    repo.git("checkout", "--quiet", "--detach")
    seen = (await ask()).observed
    assert seen["detached"] is True
    assert seen["in_branch"] is True
    assert "ahead" not in seen and "behind" not in seen


async def test_f24_a_remote_branch_that_is_not_stored_here_leaves_in_branch_out(repo: Repo, ask: Ask) -> None:
    assert "in_branch" not in (await ask(branch="production")).observed


async def test_another_ref_is_judged_in_its_own_right(repo: Repo, ask: Ask) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "v1.0")
    repo.commit("ours.py")
    seen = (await ask(ref="v1.0")).observed
    assert (seen["head_sha"], seen["tag"], seen["in_branch"]) == (first, "v1.0", True)
    assert (await ask()).observed["tag"] == ""


async def test_a_shallow_clone_does_not_guess(repo: Repo, remote: Repo, tmp_path: Path, ask: Ask) -> None:
    for name in ("a", "b", "c"):
        remote.commit(name)
    shallow = tmp_path / "cut"
    remote.git("clone", "--quiet", "--depth=1", f"file://{remote.path}", str(shallow))
    remote.git("branch", "old", "HEAD~2")
    cut = Repo(shallow)
    cut.git("fetch", "--quiet", "--depth=1", "origin", "old:refs/remotes/origin/old")
    seen = (await ask(repo=str(shallow), branch="old")).observed
    assert seen["shallow"] is True
    assert "in_branch" not in seen


async def test_submodules_are_looked_into(repo: Repo, remote: Repo, ask: Ask) -> None:
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(remote.path), "lib")
    repo.git("commit", "--quiet", "--message", "add lib")
    assert (await ask()).observed["dirty"] == 0
    repo.write("lib/shop.py", "edited inside\n")
    repo.write("lib/new.py")
    result = await ask()
    assert (result.observed["dirty"], result.observed["untracked"]) == (1, 1)
    assert "M lib/shop.py" in (result.body or "")


async def test_a_second_work_tree_is_a_work_tree(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", str(tmp_path / "second"), "-b", "second")
    (tmp_path / "second" / "new").write_text("x")
    seen = (await ask(repo=str(tmp_path / "second"))).observed
    assert (seen["untracked"], seen["detached"]) == (1, False)


async def test_sha256_repositories_are_judged_too(tmp_path: Path, ask: Ask) -> None:
    repo = Repo(tmp_path / "long", "--object-format=sha256")
    sha = repo.commit()
    repo.write("shop.py", "edited\n")
    seen = (await ask(repo=str(repo.path))).observed
    assert (seen["head_sha"], seen["dirty"]) == (sha, 1)
    assert "fetch_age" not in seen and "ahead" not in seen


async def test_a_file_name_that_is_no_unicode_still_counts(repo: Repo, ask: Ask) -> None:
    (repo.path / os.fsdecode(b"caf\xe9")).write_text("x")
    result = await ask()
    assert result.observed["untracked"] == 1
    assert result.body == "? caf\N{REPLACEMENT CHARACTER}"


async def test_a_folder_without_repository_and_a_missing_folder_could_not_be_asked(tmp_path: Path, ask: Ask) -> None:
    for repo in (str(tmp_path), str(tmp_path / "missing")):
        with pytest.raises(ProbeError) as refused:
            await ask(repo=repo)
        assert refused.value.fault == "instrument"


async def test_an_unknown_ref_is_no_verdict(ask: Ask) -> None:
    with pytest.raises(ProbeError, match="v9 is no commit here"):
        await ask(ref="v9")


@pytest.mark.parametrize("key", ["ref", "remote", "branch"])
async def test_row_44_options_and_ranges_are_lint_errors(key: str) -> None:
    for value in ("--upload-pack=x", "-c", "x y", "refs/../..", "@{u}", "a..b"):
        with pytest.raises(ValueError, match="is not a name of a branch"):
            GitProbe(**{key: value})
    assert GitProbe(**{key: "v${{ release.version }}"})


# --- nothing of the repository runs -------------------------------------------------------------------------------


@pytest.fixture
def trapped(repo: Repo, tmp_path: Path) -> tuple[Repo, Path]:
    """A repository whose config and hooks start a canary in every way its git knows."""
    ran = tmp_path / "ran"
    ran.mkdir()
    repo.write(".gitattributes", "*.lfs filter=lfs diff=evil\n*.proc filter=a=b.c\n")
    for name in ("big.lfs", "big.proc"):
        repo.write(name, "one\n")
    repo.git("add", ".")
    repo.git("commit", "--quiet", "--message", "attributes")

    def canary(kind: str) -> str:
        script = tmp_path / f"canary-{kind}"
        script.write_text(f"#!/bin/sh\ntouch '{ran}/{kind}'\ncat\n")
        script.chmod(0o755)
        return str(script)

    config = {
        "core.fsmonitor": canary("fsmonitor"),
        "core.hooksPath": str(tmp_path / "hooks"),
        "core.sshCommand": canary("ssh"),
        "core.askPass": canary("askpass"),
        "core.gitProxy": canary("proxy"),
        "core.alternateRefsCommand": canary("alternates"),
        "core.pager": canary("pager"),
        "core.editor": canary("editor"),
        "credential.helper": canary("credential"),
        "diff.external": canary("diff"),
        "diff.evil.textconv": canary("textconv"),
        "diff.evil.command": canary("diff-driver"),
        "filter.lfs.clean": canary("clean"),
        "filter.lfs.smudge": canary("smudge"),
        "filter.lfs.required": "true",
        "filter.a=b.c.process": canary("process"),
        "gpg.program": canary("gpg"),
        "log.showSignature": "true",
        "remote.origin.uploadpack": canary("uploadpack"),
        "alias.status": f"!{canary('alias')}",
        "include.path": str(tmp_path / "included"),
    }
    (tmp_path / "included").write_text(f'[filter "included"]\n\tclean = {canary("included")}\n')
    for hook in ("post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc", "fsmonitor-watchman"):
        for folder in (tmp_path / "hooks", repo.path / ".git" / "hooks"):
            folder.mkdir(exist_ok=True)
            (folder / hook).write_text(f"#!/bin/sh\ntouch '{ran}/hook-{hook}'\n")
            (folder / hook).chmod(0o755)
    for key, value in config.items():
        repo.git("config", "--local", "--add", key, value)
    # Changed content of the same size: git has to compare it, through the filter if it may.
    for name in ("big.lfs", "big.proc", "shop.py"):
        repo.write(name, "two\n")
    return repo, ran


async def test_row_41_none_of_the_programs_a_repository_names_is_run(trapped: tuple[Repo, Path], ask: Ask) -> None:
    repo, ran = trapped
    result = await ask()
    assert sorted(file.name for file in ran.iterdir()) == []
    assert result.observed["untracked"] == 0
    # The traps do work: they fire for a git that is not told otherwise.
    repo.git("diff", "HEAD")
    repo.git("status")
    assert {"fsmonitor", "clean", "diff-driver", "included"} & {file.name for file in ran.iterdir()}


async def test_row_42_a_changed_file_behind_a_filter_leaves_dirty_out(trapped: tuple[Repo, Path], ask: Ask) -> None:
    result = await ask()
    assert "dirty" not in result.observed
    assert result.observed["conflicts"] == 0
    assert any("big.lfs" in note and "dirty is not known" in note for note in result.notes)


async def test_row_42_an_unchanged_file_behind_a_filter_is_no_obstacle(repo: Repo, ask: Ask) -> None:
    repo.write(".gitattributes", "*.lfs filter=lfs\n")
    repo.commit("big.lfs")
    repo.git("add", ".gitattributes")
    repo.git("commit", "--quiet", "--message", "attributes")
    repo.git("config", "filter.lfs.clean", "false")
    repo.write("shop.py", "edited\n")
    assert (await ask()).observed["dirty"] == 1


async def test_row_42_a_submodules_own_config_runs_nothing_either(
    repo: Repo, remote: Repo, ask: Ask, tmp_path: Path
) -> None:
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(remote.path), "lib")
    repo.git("commit", "--quiet", "--message", "add lib")
    lib, ran = Repo(repo.path / "lib"), tmp_path / "ran"
    for key in ("core.fsmonitor", "filter.evil.clean"):
        script = tmp_path / key
        script.write_text(f"#!/bin/sh\ntouch '{ran}'\ncat\n")
        script.chmod(0o755)
        lib.git("config", key, str(script))
    lib.write(".gitattributes", "*.py filter=evil\n")
    lib.write("shop.py", "other 1\n")
    await ask()
    assert not ran.exists()


async def test_row_43_a_partial_clone_fetches_nothing_while_it_is_asked(trapped: tuple[Repo, Path], ask: Ask) -> None:
    repo, ran = trapped
    repo.git("config", "remote.origin.promisor", "true")
    repo.git("config", "extensions.partialClone", "origin")
    missing = repo.git("rev-parse", "HEAD:shop.py")
    (repo.path / ".git" / "objects" / missing[:2] / missing[2:]).unlink(missing_ok=True)
    await ask()
    assert [file.name for file in ran.iterdir()] == []


@pytest.mark.parametrize("url", ["ext::sh -c 'touch RAN'", "file:///srv/x.git", "/srv/x.git", "git://host/x", "fd::17"])
async def test_row_45_only_https_and_ssh_are_fetched_from(repo: Repo, ask: Ask, url: str) -> None:
    repo.git("remote", "set-url", "origin", url)
    with pytest.raises(ProbeError, match="over https and ssh only") as refused:
        await ask(fetch="true")
    assert refused.value.fault == "instrument"
    assert not (repo.path / "RAN").exists()


async def test_row_45_a_host_that_is_an_option_is_refused(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    for url in (f"ssh://-oProxyCommand=touch${{IFS}}{tmp_path}/ran/x", f"-oProxyCommand=touch {tmp_path}/ran:x"):
        repo.git("config", "remote.origin.url", url)
        with pytest.raises(ProbeError):
            await ask(fetch="true")
    assert not (tmp_path / "ran").exists()


async def test_row_45_insteadof_cannot_smuggle_a_protocol_in(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    repo.git("remote", "set-url", "origin", "https://example.com/x.git")
    repo.git("config", f"url.ext::touch {tmp_path}/ran .insteadOf", "https://example.com/")
    with pytest.raises(ProbeError, match="not allowed"):
        await ask(fetch="true")
    assert not (tmp_path / "ran").exists()


async def test_a_remote_with_a_helper_program_is_not_fetched_from(repo: Repo, ask: Ask) -> None:
    repo.git("remote", "set-url", "origin", "https://example.com/x.git")
    repo.git("config", "remote.origin.vcs", "evil")
    with pytest.raises(ProbeError, match="helper program"):
        await ask(fetch="true")


async def test_a_fetch_that_fails_is_no_verdict_and_starts_no_credential_program(
    trapped: tuple[Repo, Path], ask: Ask
) -> None:
    repo, ran = trapped
    repo.git("remote", "set-url", "origin", "https://127.0.0.1:1/x.git")
    with pytest.raises(ProbeError, match="git fetch") as refused:
        await ask(fetch="true")
    assert refused.value.fault == "instrument"
    assert [file.name for file in ran.iterdir()] == []


async def test_a_failed_fetch_does_not_make_the_counts_younger(repo: Repo, ask: Ask) -> None:
    log = repo.path / ".git" / "logs"
    for name in ("HEAD", "refs/remotes/origin/HEAD"):
        (log / name).write_text((log / name).read_text().replace("clone: from", "moved from"))
    (repo.path / ".git" / "FETCH_HEAD").write_text("")
    assert "fetch_age" not in (await ask()).observed
    repo.git("fetch", "--quiet")
    assert "fetch_age" in (await ask()).observed
    repo.git("remote", "set-url", "origin", "https://elsewhere.example/x.git")
    assert "fetch_age" not in (await ask()).observed


async def test_fetch_asks_the_remote_over_https_first(repo: Repo, remote: Repo, ask: Ask, served: str) -> None:
    repo.git("remote", "set-url", "origin", served)
    newer = remote.commit("newer.py")
    remote.git("update-server-info")
    assert (await ask()).observed["behind"] == 0
    seen = (await ask(fetch="true")).observed
    assert seen["behind"] == 1
    assert repo.git("rev-parse", "origin/main") == newer
    assert "fetch_age" in seen
