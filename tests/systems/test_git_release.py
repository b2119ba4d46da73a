"""Which commit a release is bound to, and what git refuses to say."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.errors import ProbeError, UsageError
from captain.systems.git.program import Bound, Git, check_ref, committed_at, resolve_release, toplevel
from tests.git_repo import ENVIRON, Repo
from tests.requirements import need


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "shop")
    made.commit()
    return made


async def bound(repo: Repo, *, tag: str | None = None, version: str | None = None, commit: str | None = None) -> Bound:
    return await resolve_release(repo.path, tag=tag, version=version, commit=commit, environ=ENVIRON)


async def test_the_commit_of_a_release_is_the_declared_tags(repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "--annotate", "--message", "out", "release-1.4.0")
    repo.commit("later.py")
    assert await bound(repo, tag="release-1.4.0", version="1.4.0") == Bound(first, tag="release-1.4.0")


async def test_a_declared_tag_that_is_missing_names_the_way_out(repo: Repo) -> None:
    with pytest.raises(UsageError, match=r"^tag v1\.4\.1 not found; --commit SHA binds it by hand$"):
        await bound(repo, tag="v1.4.1", version="1.4.1")


async def test_without_a_declared_tag_v_and_the_bare_version_are_tried_then_head(repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "1.0")
    second = repo.commit("b.py")
    assert await bound(repo, version="1.0") == Bound(first, tag="1.0")
    repo.git("tag", "v1.0")
    assert await bound(repo, version="1.0") == Bound(second, tag="v1.0")
    assert await bound(repo, version="2.0") == Bound(second, untagged=True)
    assert await bound(repo) == Bound(second)


async def test_a_commit_given_by_hand_binds_and_keeps_the_tag_only_if_it_agrees(repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "v1.4.0")
    second = repo.commit("b.py")
    assert await bound(repo, version="1.4.0", commit=first[:9].upper()) == Bound(first, tag="v1.4.0")
    assert await bound(repo, version="1.4.0", commit=second) == Bound(second)
    assert await bound(repo, tag="v9", version="1.4.0", commit=second) == Bound(second)


@pytest.mark.parametrize("commit", ["main", "v1.4.0", "abc", "0" * 40, "deadbee", "HEAD~1", "--all"])
async def test_a_commit_that_is_not_here_or_no_id_is_refused(repo: Repo, commit: str) -> None:
    repo.git("tag", "v1.4.0")
    repo.git("branch", "deadbee")
    with pytest.raises(UsageError):
        await bound(repo, version="1.4.0", commit=commit)


async def test_a_branch_of_the_tags_name_is_not_the_tag(repo: Repo) -> None:
    repo.git("branch", "v1.4.0")
    with pytest.raises(UsageError, match="not found"):
        await bound(repo, tag="v1.4.0", version="1.4.0")


async def test_a_repository_without_commits_has_no_commit(tmp_path: Path) -> None:
    empty = Repo(tmp_path / "new")
    assert await bound(empty, version="1.0") == Bound(None, untagged=True)
    assert await Git(empty.path, ENVIRON).resolve("HEAD") is None


async def test_sha256_repositories_are_read_like_any_other(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "long", "--object-format=sha256")
    sha = repo.commit(at="2026-11-23T01:02:03Z")
    repo.git("tag", "v1.0")
    assert len(sha) == 64
    assert await bound(repo, version="1.0") == Bound(sha, tag="v1.0")
    assert await committed_at(Git(repo.path, ENVIRON), sha) == datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)


async def test_a_folder_knows_its_work_tree_and_one_outside_knows_none(repo: Repo, tmp_path: Path) -> None:
    repo.write("deep/er/file")
    assert await toplevel(repo.path / "deep" / "er", ENVIRON) == repo.path.resolve()
    outside = tmp_path / "outside"
    outside.mkdir()
    assert await toplevel(outside, {**ENVIRON, "GIT_CEILING_DIRECTORIES": str(tmp_path)}) is None


async def test_a_commit_that_names_no_readable_time_is_no_answer(repo: Repo) -> None:
    tree = repo.git("rev-parse", "HEAD^{tree}")
    for line in ("committer Ann <ann@example.com> 999999999999999 +0000", "committer Ann"):
        raw = f"tree {tree}\nauthor Ann <ann@example.com> 1 +0000\n{line}\n\ncommitter Eve <e@x> 5 +0000\n"
        done = subprocess.run(
            ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
            cwd=repo.path,
            input=raw,
            text=True,
            capture_output=True,
            check=True,
        )
        with pytest.raises(ProbeError, match="names no time"):
            await committed_at(Git(repo.path, ENVIRON), done.stdout.strip())


async def test_row_46_a_repository_of_somebody_else_is_an_error_with_gits_words(repo: Repo) -> None:
    need("another user's files", None if os.geteuid() == 0 else "chown needs root")
    subprocess.run(["chown", "-R", "12345:12345", str(repo.path)], check=True)
    environ = {name: value for name, value in ENVIRON.items() if name != "SUDO_UID"}
    for question in (toplevel(repo.path, environ), bound(repo, version="1.0")):
        with pytest.raises(ProbeError, match="dubious ownership") as refused:
            await question
        assert refused.value.fault == "instrument"
        assert "run captain as their owner" in (refused.value.hint or "")


async def test_row_46_a_bare_repository_inside_the_tree_is_refused(repo: Repo) -> None:
    repo.git("init", "--quiet", "--bare", "nested.git")
    with pytest.raises(ProbeError, match="bareRepository"):
        await Git(repo.path / "nested.git", ENVIRON).resolve("HEAD")


async def test_a_missing_git_says_so(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"cannot start git: it is in no folder of PATH"):
        await Git(repo.path, {"PATH": str(tmp_path)}).resolve("HEAD")


async def test_row_64_a_git_in_the_repository_is_never_started(repo: Repo) -> None:
    canary = repo.path / "ran"
    fake = repo.write("git", f"#!/bin/sh\ntouch {canary}\n")
    fake.chmod(0o755)
    await Git(repo.path, {**ENVIRON, "PATH": f".::{ENVIRON['PATH']}"}).resolve("HEAD")
    assert not canary.exists()


async def test_no_time_left_is_said_before_git_is_asked(repo: Repo) -> None:
    with pytest.raises(ProbeError, match="no answer within 0 s"):
        await Git(repo.path, ENVIRON, timedelta(0)).text("version")


@pytest.mark.parametrize(
    "name",
    [
        *("--upload-pack=x", "-c", "x;rm -rf\t", "refs/../..", "@{u}", "main@{1}", "a..b", "a b", "a~1", "a^", "a:b"),
        *("", "@", ".hidden", "a/.b", "a//b", "a.lock", "a.lock/b", "a.", "a/", "/a", "a\x00b", "a\nb", "a*", "a\\b"),
        "x" * 300,
    ],
)
def test_row_44_names_that_are_no_refs_never_reach_git(name: str) -> None:
    with pytest.raises(UsageError, match="is not a name of a branch, tag or commit"):
        check_ref(name)


@pytest.mark.parametrize("name", ["main", "v1.4.0", "release/2026-11", "HEAD", "fix;rm", "ü", "a@b", "a-b"])
def test_names_that_git_takes_are_taken(name: str) -> None:
    assert check_ref(name) == name


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab-./~^:@{}*[\\ lock\x7f", min_size=1, max_size=8))
def test_what_captain_accepts_git_accepts(name: str) -> None:
    try:
        check_ref(name)
    except UsageError:
        return
    allowed = subprocess.run(
        ["git", "check-ref-format", "--allow-onelevel", name], env=ENVIRON, check=False, capture_output=True
    )
    assert allowed.returncode == 0
