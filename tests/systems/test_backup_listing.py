"""What a list of backups says, without any storage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from captain.errors import ProbeError
from captain.systems.backups.folder import unmounted
from captain.systems.backups.listing import Item, longest_gap, sort_out, summary
from captain.systems.backups.told import told

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


def nightly(*sizes: int, newest: timedelta = HOUR) -> list[Item]:
    """One a night, the newest last in `sizes`."""
    count = len(sizes)
    return [Item(f"db/{at}.dump", NOW - newest - (count - 1 - at) * 24 * HOUR, size) for at, size in enumerate(sizes)]


def seen(items: list[Item], window: timedelta = WEEK) -> dict[str, object]:
    return dict(summary(sort_out(items, None, None).backups, NOW, window))


def test_a_newest_that_shrank_stands_out_beside_the_median_of_the_others() -> None:
    found = seen(nightly(91_000_111, 91_200_200, 91_400_300, 91_600_400, 91_800_500, 92_000_600, 1204))
    assert (found["count"], found["newest_size"], found["min_size"]) == (7, 1204, 1204)
    assert found["size_ratio"] == pytest.approx(1.3e-05, rel=0.02)


def test_three_others_are_needed_for_a_ratio_of_sizes() -> None:
    assert "size_ratio" not in seen(nightly(100, 100, 100))
    assert seen(nightly(100, 100, 100, 150))["size_ratio"] == 1.5
    assert "size_ratio" not in seen(nightly(0, 0, 0, 100)), "a ratio to nothing is none"


def test_nothing_there_observes_a_count_and_nothing_else() -> None:
    assert seen([]) == {"count": 0}


def test_a_week_of_nights_has_gaps_of_a_day() -> None:
    assert seen(nightly(*[1] * 9))["gap_max"] == 24 * HOUR


def test_a_night_that_was_left_out_is_a_gap_of_two_days() -> None:
    items = nightly(*[1] * 9)
    del items[4]
    assert seen(items)["gap_max"] == 48 * HOUR


def test_a_single_fresh_backup_does_not_look_like_a_week_without_gaps() -> None:
    assert longest_gap([NOW - HOUR], NOW, WEEK) == WEEK - HOUR


def test_time_since_the_newest_is_a_gap_as_well() -> None:
    assert longest_gap([NOW - 50 * HOUR, NOW - 60 * HOUR], NOW, timedelta(days=2)) == 50 * HOUR


def test_a_gap_that_began_before_the_window_counts_whole() -> None:
    assert longest_gap([NOW - HOUR, NOW - 40 * HOUR], NOW, 24 * HOUR) == 39 * HOUR


def test_a_date_in_the_future_is_no_fresh_backup() -> None:
    with pytest.raises(ProbeError, match=r"x\.dump is dated 48\.0 h ahead of the clock") as raised:
        seen([*nightly(1, 1), Item("x.dump", NOW + 48 * HOUR, 1)])
    assert raised.value.fault == "instrument" and raised.value.hint
    assert seen([Item("x.dump", NOW + timedelta(minutes=1), 1)])["newest_age"] == timedelta(0)


def test_digests_logs_and_half_written_files_are_no_backups() -> None:
    names = ("a.dump", "a.dump.sha256", "a.dump.sig", "dump.log", "b.dump.part", ".c.dump", "d.dump.tmp", "e.dump~")
    found = sort_out([Item(name, NOW - HOUR, 1) for name in names], None, NOW)
    assert [one.key for one in found.backups] == ["a.dump"]
    assert {one.key for one in found.unfinished} == {"b.dump.part", ".c.dump", "d.dump.tmp", "e.dump~"}


def test_a_pattern_chooses_by_the_last_part_of_a_name() -> None:
    items = [Item(f"db/{name}", NOW - HOUR, 1) for name in ("a.dump", "a.txt", "b.dump.part", "b.txt.part")]
    found = sort_out(items, "*.dump", None)
    assert [one.key for one in found.backups] == ["db/a.dump"]
    assert [one.key for one in found.unfinished] == ["db/b.dump.part"]


def test_what_was_touched_a_moment_ago_may_still_grow() -> None:
    found = sort_out([Item("a.dump", NOW, 1), Item("b.dump", NOW - HOUR, 1)], None, NOW - timedelta(seconds=10))
    assert [one.key for one in found.backups] == ["b.dump"]
    ahead = sort_out([Item("a.dump", NOW + 48 * HOUR, 1), Item("b.dump", NOW - HOUR, 1)], None, NOW)
    assert ahead.unfinished == (), "it is not growing but wrong"
    with pytest.raises(ProbeError, match="ahead of the clock"):
        summary(ahead.backups, NOW, WEEK)


FSTAB = "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /mnt/backup\\040drive ext4 noauto 0 2\nproc /proc proc defaults 0 0\n"


def test_a_folder_on_a_drive_that_is_not_mounted_is_recognised() -> None:
    root = "/dev/sda1 / ext4 rw 0 0\n"
    folder = Path("/mnt/backup drive/shop")
    assert unmounted(folder, FSTAB, root) == "/mnt/backup drive"
    assert unmounted(folder, FSTAB, root + "/dev/sdb1 /mnt/backup\\040drive ext4 rw 0 0\n") is None
    assert unmounted(Path("/var/backups"), FSTAB, root) is None


def test_a_program_may_list_as_captain_asks_or_as_aws_prints() -> None:
    own = (
        '[{"key": "a", "modified": "2026-11-23T03:04:11Z", "size": 5}, {"key": "b", "modified": 1700000000, "size": 1}]'
    )
    assert told(own)[0] == Item("a", datetime(2026, 11, 23, 3, 4, 11, tzinfo=UTC), 5)
    aws = '{"Contents": [{"Key": "a", "LastModified": "2026-11-23T03:04:11+00:00", "ETag": "x", "Size": 5}]}'
    assert told(aws) == told(own)[:1]
    assert told("[]") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"RequestCharged": null, "Prefix": "db/"}', "no Contents"),
        ('{"IsTruncated": true, "Contents": []}', "not complete"),
        ('[{"key": "a", "modified": "2026-11-23T03:04:11", "size": 5}]', "entry 1 names no time zone"),
        ('[{"key": "a", "modified": "2026-11-23T03:04:11Z"}]', "entry 1 names no size"),
        ('[{"key": "a", "modified": "2026-11-23T03:04:11Z", "size": true}]', "entry 1 names no size"),
        ('[{"key": "a", "modified": true, "size": 1}]', "no moment"),
        ('[{"modified": 1, "size": 1}]', "names no key"),
        ("[7]", r"entry 1 is no \{key"),
        ("7", "no list"),
        ("", "not JSON"),
    ],
)
def test_a_list_that_says_less_is_none(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        told(text)
