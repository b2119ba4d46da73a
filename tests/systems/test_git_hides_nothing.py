"""The repository's own config cannot make its work tree look clean."""

from __future__ import annotations

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
