"""A quick look at a repository's files, for screens that may not wait for git."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from captain.systems.git.glance import Glance, glance
from tests.git_repo import Repo


def test_branch_branches_and_remotes_come_from_the_files(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "shop")
    assert glance(repo.path) == Glance(repo.path, "main")
    repo.commit()
    repo.git("branch", "fix/urgent")
    repo.git("remote", "add", "origin", "git@example.com:acme/shop.git")
    (repo.path / "deep").mkdir()
    assert glance(repo.path / "deep") == Glance(
        repo.path, "main", ("fix/urgent", "main"), {"origin": "git@example.com:acme/shop.git"}
    )
    repo.git("checkout", "--quiet", "--detach")
    seen = glance(repo.path)
    assert seen is not None and seen.branch is None


def test_sha256_and_second_work_trees_are_read_and_folders_without_repository_are_none(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "shop", "--object-format=sha256")
    repo.commit()
    repo.git("worktree", "add", "--quiet", "-b", "second", str(tmp_path / "second"))
    seen = glance(tmp_path / "second")
    assert seen is not None and (seen.root, seen.branch) == (tmp_path / "second", "second")
    bare = Repo(tmp_path / "bare", "--bare")
    assert glance(bare.path) is None
    assert glance(tmp_path / "missing") is None


def test_a_glance_starts_no_program(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "shop")
    repo.commit()
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    fake.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from captain.systems.git.glance import glance; print(glance(Path('.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repo.path,
        env={"PATH": str(fake.parent), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "branch='main'" in done.stdout
    assert not (tmp_path / "ran").exists()
