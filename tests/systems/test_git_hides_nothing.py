"""The repository's own config cannot make its work tree look clean."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from captain.errors import ProbeError
from captain.systems.git.program import Git, toplevel
from captain.systems.git.worktree import changes
from tests.git_repo import ENVIRON, Repo


async def test_a_work_tree_that_the_config_puts_elsewhere_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    repo = Repo(tmp_path / "repo")
    repo.commit("one")
    repo.git("config", "core.worktree", str(tmp_path / "clean"))
    with pytest.raises(ProbeError, match="work tree"):
        await toplevel(repo.path, ENVIRON)


async def test_a_list_of_ignored_files_outside_the_tree_hides_nothing(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.commit("one")
    everything = tmp_path / "everything"
    everything.write_text("*\n")
    repo.git("config", "core.excludesFile", str(everything))
    (repo.path / "evil.py").write_text("print()\n")
    found = await changes(Git(repo.path, ENVIRON))
    assert found.untracked == 1


async def test_a_list_of_ignored_files_in_the_git_folder_hides_nothing(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.commit(".gitignore", "*.log\nnode_modules/\n")
    (repo.path / ".git" / "info").mkdir(exist_ok=True)
    (repo.path / ".git" / "info" / "exclude").write_text("evil.sh\n*.py\n")
    for name in ("evil.sh", "deep/er/evil.py", "a.log", "node_modules/x.js", "two\nlines.py"):
        repo.write(name)
    found = await changes(Git(repo.path, ENVIRON))
    assert (found.untracked, found.dirty) == (3, 0)
    assert set(found.paths) == {"? evil.sh", "? deep/er/evil.py", "? two\nlines.py"}


async def test_a_list_of_ignored_files_in_a_submodule_hides_nothing(tmp_path: Path) -> None:
    lib, repo = Repo(tmp_path / "lib"), Repo(tmp_path / "repo")
    lib.commit("one")
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib.path), "lib")
    repo.git("commit", "--quiet", "--message", "add lib")
    folder = repo.path / ".git" / "modules" / "lib" / "info"
    folder.mkdir(exist_ok=True)
    (folder / "exclude").write_text("*\n")
    repo.write("lib/evil.py")
    found = await changes(Git(repo.path, ENVIRON))
    assert (found.untracked, found.dirty) == (1, 0)
    assert found.paths == ("? lib/evil.py",)


async def test_another_repository_in_the_tree_is_one_untracked_path(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.commit(".gitignore", "node_modules/\n")
    Repo(repo.path / "node_modules" / "theirs").write("new.py")
    Repo(repo.path / "inner").write("new.py")
    (repo.path / "empty").mkdir()
    assert (await changes(Git(repo.path, ENVIRON))).paths == ("? inner/",)


@pytest.mark.parametrize("key", ["core.fileMode", "core.symlinks"])
async def test_a_config_that_looks_away_from_modes_hides_no_change_of_one(tmp_path: Path, key: str) -> None:
    repo = Repo(tmp_path / "repo")
    repo.commit("deploy.sh")
    (repo.path / "current").symlink_to("deploy.sh")
    repo.git("add", "current")
    repo.git("commit", "--quiet", "--message", "link")
    repo.git("config", key, "false")
    if key == "core.fileMode":
        (repo.path / "deploy.sh").chmod(0o755)
    else:
        (repo.path / "current").unlink()
        repo.write("current", "deploy.sh")
    assert repo.git("status", "--porcelain") == ""
    assert (await changes(Git(repo.path, ENVIRON))).dirty == 1


async def test_a_config_that_trusts_sizes_and_times_hides_no_change_of_content(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.write("deploy.sh", "echo good\n")
    file = repo.path / "deploy.sh"
    # Older than the index, so that git has no reason to compare it.
    os.utime(file, (1_600_000_000, 1_600_000_000))
    repo.git("add", ".")
    repo.git("commit", "--quiet", "--message", "one")
    repo.git("config", "core.trustctime", "false")
    repo.git("config", "core.checkStat", "minimal")
    before = file.stat().st_ctime
    file.write_text("echo evil\n")
    # git compares whole seconds.
    while file.stat().st_ctime < int(before) + 1:
        time.sleep(0.02)
        os.utime(file, (1_600_000_000, 1_600_000_000))
    assert repo.git("status", "--porcelain") == ""
    assert (await changes(Git(repo.path, ENVIRON))).dirty == 1


async def test_a_name_in_other_letters_is_another_file(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.commit("deploy.sh")
    repo.git("config", "core.ignoreCase", "true")
    repo.write("DEPLOY.sh")
    if (repo.path / "deploy.sh").samefile(repo.path / "DEPLOY.sh"):
        pytest.skip("this file system knows no letter case")
    assert (await changes(Git(repo.path, ENVIRON))).untracked == 1
