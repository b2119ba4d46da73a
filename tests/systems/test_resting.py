"""Whether files are as they were: what can be told has a digest, and what cannot has none."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from captain.systems import resting
from captain.systems.resting import Ground, Known
from captain.systems.rests import Chosen, Matched, below, listing
from captain.threads import on_daemon
from tests.git_repo import Repo


def ground(root: Path, known: Known | None = None) -> Ground:
    environ = {"PATH": os.environ["PATH"], "HOME": str(root)}
    return Ground(root, environ, timedelta(seconds=10), on_daemon, known or Known())


async def test_the_same_files_have_the_same_digest_wherever_they_lie(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        (root / "a").write_text("a\n")
        found.append(await ground(root).digest(["file a", "file b", "mode a", "there c"]))
    assert found[0] is not None
    assert found[0] == found[1]


@pytest.mark.parametrize("item", ["file a", "mode a", "there a"])
async def test_what_comes_into_being_is_seen(tmp_path: Path, item: str) -> None:
    before = await ground(tmp_path).digest([item])
    (tmp_path / "a").write_text("a")
    assert None is not await ground(tmp_path).digest([item]) != before


async def test_a_file_that_came_while_others_were_read_leaves_nothing_to_rest_on(tmp_path: Path) -> None:
    item = Matched(".", "*.md", listing(["a.md"])).item
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("a")
    assert await ground(tmp_path).digest([item]) is None, "what was read was a.md alone"
    (tmp_path / "b.md").unlink()
    assert await ground(tmp_path).digest([item]) is not None


async def test_a_folder_or_a_pipe_in_place_of_a_file_is_another_thing_and_blocks_nobody(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    seen = {await ground(tmp_path).digest(["file a"])}
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    seen.add(await ground(tmp_path).digest(["file a"]))
    (tmp_path / "a").rmdir()
    os.mkfifo(tmp_path / "a")
    seen.add(await ground(tmp_path).digest(["file a"]))
    assert len(seen) == 3


@pytest.mark.parametrize(
    "item", ["weather today", "file", "match", "match [1]", "chosen", "chosen {}", "chosen [1, 2]", "there \0"]
)
async def test_what_no_captain_understands_cannot_be_told(tmp_path: Path, item: str) -> None:
    found = await ground(tmp_path).digest([item])
    assert found is None or item == "file"


async def test_more_than_can_be_read_cannot_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "TOGETHER", 10)
    (tmp_path / "a").write_text("12345")
    (tmp_path / "b").write_text("123456")
    assert await ground(tmp_path).digest(["file a"]) is not None
    assert await ground(tmp_path).digest(["file a", "file b"]) is None


async def test_what_changed_since_it_was_asked_cannot_be_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    written = (tmp_path / "a").stat().st_ctime_ns
    assert await ground(tmp_path).digest(["file a"], unchanged_since=written + 10**9) is not None
    assert await ground(tmp_path).digest(["file a"], unchanged_since=written) is None
    assert await ground(tmp_path).digest(["there gone"], unchanged_since=tmp_path.stat().st_mtime_ns) is None
    os.utime(tmp_path / "a", (0, 0))
    assert await ground(tmp_path).digest(["file a"], unchanged_since=written) is None, "its own time is not asked"


async def test_what_is_known_already_is_read_again_once_it_has_changed(tmp_path: Path) -> None:
    known = Known()
    (tmp_path / "a").write_text("a")
    one = await ground(tmp_path, known).digest(["file a"])
    (tmp_path / "a").write_text("b")
    two = await ground(tmp_path, known).digest(["file a"])
    assert one != two == await ground(tmp_path).digest(["file a"])
    assert known.files == {} or all(time.time_ns() > described[-1] for described, _ in known.files.values())


async def test_files_by_patterns_are_told_by_what_git_lists(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    repo.write("src/a.py", "1\n")
    repo.git("add", "-A")
    item = Chosen(("src/**",), (), True, listing(["src/a.py"])).item
    one = await ground(tmp_path).digest([item])
    assert one is not None
    repo.write("src/b.py", "2\n")
    assert await ground(tmp_path).digest([item]) == one
    known = Known()
    assert await ground(tmp_path, known).digest([item]) == one
    repo.git("add", "-A")
    assert await ground(tmp_path).digest([item]) is None, "the list is another one"
    newer = Chosen(("src/**",), (), True, listing(["src/a.py", "src/b.py"])).item
    assert await ground(tmp_path, known).digest([newer]) is not None, "a list that is old is made again"


async def test_a_tree_says_what_it_looked_at(tmp_path: Path) -> None:
    from captain.systems.tree_files import Tree

    top = tmp_path / "top"
    (top / "docs").mkdir(parents=True)
    (top / "docs" / "a.md").write_text("a")
    (top / "service").mkdir()
    tree = Tree(top)
    assert tree.matching(["docs/*.md"]) == ["docs/a.md"]
    assert tree.read("docs/a.md") == b"a"
    assert not tree.there("docs/b.md")
    looked = below(top, top / "service", tree.rests)
    assert looked == (
        "file ../docs/a.md",
        Matched("..", "docs/*.md", listing(["docs/a.md"])).item,
        "there ../docs/b.md",
    )
    one = await ground(top / "service").digest(looked)
    (top / "docs" / "c.md").write_text("c")
    assert one is not None is await ground(top / "service").digest(looked)
