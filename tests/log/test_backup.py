"""A backup is a whole log, made while captain works, and never replaces a file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from captain.errors import LogError
from captain.events import Draft
from captain.log.backup import backup
from captain.log.reader import Reader
from captain.log.store import Log
from captain.log.verify import verify
from tests.log_parts import KAREN, HandClock, note


def test_a_backup_is_verified_and_has_the_same_head(ten: Path, tmp_path: Path) -> None:
    report = backup(ten, tmp_path / "copy.sqlite")
    assert (report.exit_code, report.entries) == (0, 10)
    assert report.root == verify(ten).root
    assert stat.S_IMODE((tmp_path / "copy.sqlite").stat().st_mode) == 0o600
    assert sorted(item.name for item in tmp_path.iterdir()) == ["copy.sqlite", "state"]
    with Log.open(tmp_path / "copy.sqlite", clock=HandClock()) as log:
        assert log.append([note("it can be taken up")], actor=KAREN)[0].seq == 11


def test_a_backup_made_during_a_write_holds_what_was_committed(log: Log, tmp_path: Path) -> None:
    def in_between(_: Reader) -> list[Draft]:
        assert backup(log.path, tmp_path / "copy.sqlite").entries == 1
        return [note()]

    log.append(build=in_between, actor=KAREN)
    assert verify(log.path).entries == 2


def test_row_57_a_backup_overwrites_nothing(ten: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(LogError, match="overwrites nothing"):
        backup(ten, there)
    assert there.read_text() == "mine"
    there.unlink()
    there.symlink_to(tmp_path / "target")
    with pytest.raises(LogError, match="overwrites nothing"):
        backup(ten, there)
    assert not (tmp_path / "target").exists()


def test_what_is_no_log_is_not_backed_up(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("no log")
    with pytest.raises(LogError, match=r"cannot back up the log .*other: it is not a captain log"):
        backup(tmp_path / "other", tmp_path / "copy")
    with pytest.raises(LogError, match="there is no log"):
        backup(tmp_path / "none", tmp_path / "copy")
    with pytest.raises(LogError, match="No such file"):
        backup(tmp_path / "other", tmp_path / "no" / "copy")
    assert [item.name for item in tmp_path.iterdir()] == ["other"]
