"""What git said of the index is said again only while the index is the very same one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from captain.systems.git import shared as module
from captain.systems.git.shared import shared
from tests.git_repo import Repo


class Asked:
    """Counts how often git was really asked."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> int:
        self.times += 1
        return self.times


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.setattr(module, "RACY", -(10**18))
    made = Repo(tmp_path / "shop")
    made.write("a.txt")
    made.commit("first")
    return made


async def test_probes_side_by_side_ask_once(repo: Repo) -> None:
    ask = Asked()
    assert [await shared(repo.path, "index", ask) for _ in range(3)] == [1, 1, 1]
    assert await shared(repo.path, "another question", ask) == 2


async def test_a_file_that_is_added_is_asked_about_again(repo: Repo) -> None:
    ask = Asked()
    await shared(repo.path, "index", ask)
    (repo.path / "b.txt").write_text("2\n")
    repo.git("add", "b.txt")
    assert await shared(repo.path, "index", ask) == 2


async def test_a_config_of_the_same_size_and_date_is_another_one(repo: Repo) -> None:
    ask = Asked()
    config = repo.path / ".git" / "config"
    await shared(repo.path, "index", ask)
    other = config.with_name("other")
    other.write_text(config.read_text().swapcase())
    seen = config.stat()
    os.utime(other, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    other.replace(config)
    assert await shared(repo.path, "index", ask) == 2


async def test_a_repository_in_its_place_is_another_one(repo: Repo, tmp_path: Path) -> None:
    ask = Asked()
    await shared(repo.path, "index", ask)
    repo.path.rename(tmp_path / "gone")
    again = Repo(repo.path)
    again.write("a.txt")
    again.commit("first")
    assert await shared(repo.path, "index", ask) == 2


async def test_what_was_written_a_moment_ago_is_never_shared(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RACY", 10**18)
    ask = Asked()
    assert [await shared(repo.path, "index", ask) for _ in range(2)] == [1, 2]


async def test_outside_of_a_plain_work_tree_git_is_asked_each_time(repo: Repo, tmp_path: Path) -> None:
    ask = Asked()
    below = repo.path / "below"
    below.mkdir()
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    for place in (below, tmp_path / "linked", tmp_path):
        before = ask.times
        assert [await shared(place, "index", ask) for _ in range(2)] == [before + 1, before + 2]


async def test_an_index_that_changes_while_git_reads_it_is_not_kept(repo: Repo) -> None:
    ask = Asked()

    async def meanwhile() -> int:
        (repo.path / f"{ask.times}.txt").write_text("x\n")
        repo.git("add", ".")
        return await ask()

    assert await shared(repo.path, "index", meanwhile) == 1
    assert await shared(repo.path, "index", ask) == 2
