"""Nothing wrong gets into the log, everything recorded comes out again, in order."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from captain.errors import LogError, Refusal
from captain.events import Draft
from captain.log.evidence import MAX_EVIDENCE, Evidence
from captain.log.reader import Reader
from captain.log.store import Log
from captain.log.ulid import is_ulid, ulid
from captain.log.verify import verify
from tests.log_parts import KAREN, HandClock, intruder, note


def test_the_first_open_makes_a_private_log_that_says_who_made_it(log: Log, log_path: Path) -> None:
    assert stat.S_IMODE(log_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(log_path.parent.stat().st_mode) == 0o700
    (first,) = log.entries()
    assert (first.seq, first.type, first.run, first.data) == (1, "log.open", "", {"format": 1})
    assert first.actor == KAREN
    assert log.facts()["synchronous"] == "EXTRA"
    assert log.facts()["journal_mode"] == "delete"


def test_an_umask_does_not_open_the_log_to_others(tmp_path: Path, clock: HandClock) -> None:
    before = os.umask(0)
    try:
        Log.open(tmp_path / "deep" / "er" / "log.sqlite", clock=clock).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep" / "er" / "log.sqlite").stat().st_mode) == 0o600


def test_what_was_appended_is_what_is_read(log: Log, clock: HandClock, log_path: Path) -> None:
    clock.pass_time(1.5)
    (event,) = log.append([note("Grüße ✓ \x1b[2J")], actor=KAREN)
    assert event.data["text"] == "Grüße ✓ \x1b[2J"
    assert (event.seq, event.ts, event.mono) == (2, "2026-11-23T14:00:01.500000Z", 1001500)
    assert is_ulid(event.id)
    assert log.entry(2) == event
    assert list(log.entries(after=1)) == [event]
    log.close()
    with Log.open(log_path, clock=clock) as again:
        assert again.entry(2) == event
        assert again.entry(3) is None


def test_entries_appended_together_stand_together_or_not_at_all(log: Log) -> None:
    events = log.append([note("one"), note("two"), note("three")], actor=KAREN)
    assert [event.seq for event in events] == [2, 3, 4]
    with pytest.raises(LogError):
        log.append([note("four"), Draft("step.note", "r", {"text": "misshapen"})], actor=KAREN)
    assert log.size() == 4


@pytest.mark.parametrize(
    ("draft", "why"),
    [
        (Draft("step.note", "r", {"step": None, "text": "x"}), "data.evidence is missing"),
        (Draft("step.note", "r", {"step": None, "text": "x", "evidence": [], "more": 1}), "does not belong"),
        (Draft("step.nöte", "r", {}), "unknown entry type"),
        (note("x" * 4097), "4 KiB"),
        (note("half \ud83d a pair"), "surrogate"),
        (Draft("lock.release", "r", {"of": 2**53}), "integer"),
        (Draft("lock.release", "r", {"of": True}), "integer"),
        (Draft("checklist.changed", "r", {"decision": "keep", "files": [], "changed": ["x" * 4000] * 20, "added": [],
                                          "removed": []}), "64 KiB"),
    ],
)  # fmt: skip
def test_a_misshapen_entry_is_a_bug_that_never_reaches_the_file(log: Log, draft: Draft, why: str) -> None:
    with pytest.raises(LogError, match=why) as caught:
        log.append([note("good"), draft], actor=KAREN)
    assert caught.value.hint is not None
    assert log.size() == 1


def test_a_check_sees_the_log_inside_the_transaction_and_may_refuse(log: Log) -> None:
    log.append([Draft("lock.acquire", "r", {"service": "s", "environment": "e", "pid": 1, "reason": ""})], actor=KAREN)

    def fence(reader: Reader) -> None:
        newest = reader.last("lock.acquire", "lock.take")
        if newest is None or newest.seq != 1:
            raise Refusal("another captain has taken the lock")

    with pytest.raises(Refusal, match="taken the lock"):
        log.append([note()], actor=KAREN, check=fence, evidence=[Evidence("text/plain", b"x")])
    assert log.size() == 2
    assert verify(log.path).exit_code == 0
    log.append([note()], actor=KAREN)
    assert log.size() == 3


def test_drafts_can_be_built_from_what_is_there(log: Log) -> None:
    def next_free_run(reader: Reader) -> Sequence[Draft]:
        taken = {span.run for span in reader.runs()}
        run = "shop-1" if "shop-1" not in taken else f"shop-1.{len(taken) + 1}"
        return [note(run=run)]

    assert [log.append(build=next_free_run, actor=KAREN)[0].run for _ in range(3)] == ["shop-1", "shop-1.2", "shop-1.3"]


def test_an_error_of_the_builder_leaves_the_log_usable(log: Log) -> None:
    def broken(_: Reader) -> Sequence[Draft]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        log.append(build=broken, actor=KAREN)
    assert log.append([note()], actor=KAREN)[0].seq == 2


def test_appending_the_same_ids_again_changes_nothing(log: Log, clock: HandClock) -> None:
    names = [ulid(clock.now()), ulid(clock.now())]
    first = log.append([note("a"), note("b")], actor=KAREN, ids=names)
    assert [event.id for event in first] == names
    assert log.append([note("a"), note("b")], actor=KAREN, ids=names) == first
    assert log.size() == 3
    with pytest.raises(LogError, match="only some"):
        log.append([note("a"), note("c")], actor=KAREN, ids=[names[0], ulid(clock.now())])
    with pytest.raises(LogError, match="2 ids were given for 1"):
        log.append([note("a")], actor=KAREN, ids=[ulid(clock.now()), ulid(clock.now())])
    with pytest.raises(LogError, match="is not an id"):
        log.append([note("a")], actor=KAREN, ids=["x"])


def test_entries_can_be_asked_for_by_run_and_by_type(log: Log) -> None:
    for number in range(1300):
        if number % 400 == 0:
            log.append([Draft("lock.release", f"run-{number % 2}", {"of": number})], actor=KAREN)
    log.append([note(str(number), f"run-{number % 2}") for number in range(1300)], actor=KAREN)
    notes = list(log.by_type("step.note", run="run-1"))
    assert [event.data["text"] for event in notes] == [str(number) for number in range(1, 1300, 2)]
    backwards = list(log.by_type("step.note", "lock.release", newest_first=True))
    assert len(backwards) == 1304
    assert [event.seq for event in backwards] == sorted((event.seq for event in backwards), reverse=True)
    newest = log.last("lock.release")
    assert newest is not None and newest.data["of"] == 1200
    assert log.last("run.end") is None
    spans = log.runs()
    assert [(span.run, span.entries) for span in spans] == [("run-0", 654), ("run-1", 650)]
    assert spans[0].first == 2 and spans[1].last == log.size()
    assert len(list(log.entries("run-0"))) == 654
    assert len(list(log.bodies())) == 1305
    assert list(log.bodies("run-1", after=1304))[-1].startswith('{"actor":{')


def test_another_process_is_noticed_by_the_data_version(log: Log, log_path: Path, clock: HandClock) -> None:
    before = log.data_version()
    log.append([note()], actor=KAREN)
    assert log.data_version() == before
    with Log.open(log_path, clock=clock) as other:
        other.append([note("from elsewhere")], actor=KAREN)
    assert log.data_version() != before
    assert log.append([note("after it")], actor=KAREN)[0].seq == 4


# Evidence


def test_evidence_is_kept_beside_the_entry_and_found_by_its_digest(log: Log) -> None:
    piece = Evidence("application/json", b'{"status": 200}')
    entry = {"name": "answer", "media": piece.media, "size": len(piece.data), "digest": piece.digest}
    log.append(
        [Draft("step.note", "r", {"step": None, "text": "", "evidence": [entry]})], actor=KAREN, evidence=[piece, piece]
    )
    assert log.evidence(piece.digest) == piece
    assert log.evidence("00" * 32) is None
    assert log.evidence("no hex") is None


def test_the_same_bytes_have_another_digest_each_time() -> None:
    assert Evidence("text/plain", b"admin").digest != Evidence("text/plain", b"admin").digest


def test_evidence_is_bounded() -> None:
    assert Evidence("text/plain", bytes(MAX_EVIDENCE)).digest
    with pytest.raises(LogError, match="at most 1 MiB"):
        Evidence("text/plain", bytes(MAX_EVIDENCE + 1))
    with pytest.raises(LogError, match="media type"):
        Evidence("text/plain\n", b"")


def test_changed_evidence_is_not_given_out(log: Log, log_path: Path) -> None:
    piece = Evidence("text/plain", b"pass")
    log.append([note()], actor=KAREN, evidence=[piece])
    with intruder(log_path) as connection:
        connection.execute("UPDATE evidence SET data = ?", (b"fail",))
    with pytest.raises(LogError, match="was changed"):
        log.evidence(piece.digest)


# The clock


def test_row_67_a_clock_set_back_is_recorded_before_the_next_entry(log: Log, clock: HandClock) -> None:
    clock.jump(-3600)
    (event,) = log.append([note()], actor=KAREN)
    step = log.entry(2)
    assert event.seq == 3 and step is not None
    assert (step.type, step.run) == ("clock.step", event.run)
    assert step.data == {"cause": "backwards", "before": "2026-11-23T14:00:00.000000Z", "drift_ms": -3600_000}
    assert log.append([note()], actor=KAREN)[0].seq == 4
    assert verify(log.path).findings == ()


def test_row_67_a_clock_that_jumps_ahead_is_recorded_as_drift(log: Log, clock: HandClock) -> None:
    clock.pass_time(50)
    clock.jump(1.9)
    assert log.append([note()], actor=KAREN)[0].seq == 2
    clock.jump(2.1)
    assert log.append([note()], actor=KAREN)[0].seq == 4
    step = log.entry(3)
    assert step is not None and step.data["cause"] == "drift" and step.data["drift_ms"] == 2100


@pytest.mark.parametrize("moment", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)])
def test_row_67_no_year_stops_the_log(log: Log, clock: HandClock, moment: datetime) -> None:
    clock.wall = moment
    assert log.append([note()], actor=KAREN)[0].seq == 3
    clock.wall = datetime(2026, 11, 23, 15, tzinfo=UTC)
    clock.seconds += timedelta(hours=1).total_seconds()
    log.append([note()], actor=KAREN)
    assert [event.seq for event in log.entries()] == list(range(1, log.size() + 1))
    assert verify(log.path).findings == ()


def test_time_that_passes_on_both_clocks_is_no_step(log: Log, clock: HandClock) -> None:
    for _ in range(3):
        clock.pass_time(86400 * 30)
        log.append([note()], actor=KAREN)
    assert log.size() == 4


# Reading only


def test_a_spectator_reads_and_cannot_write(log: Log, log_path: Path, clock: HandClock) -> None:
    with Log.open(log_path, clock=clock, read_only=True) as spectator:
        assert spectator.size() == 1
        with pytest.raises(LogError, match="for reading only"):
            spectator.append([note()], actor=KAREN)
        log.append([note("while watched")], actor=KAREN)
        assert spectator.size() == 2


def test_a_spectator_does_not_make_a_log(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(LogError, match="there is no log at"):
        Log.open(tmp_path / "none" / "log.sqlite", clock=clock, read_only=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").touch()
    with pytest.raises(LogError, match="is empty"):
        Log.open(tmp_path / "empty", clock=clock, read_only=True)


def test_the_log_of_a_newer_captain_is_read_but_not_written(ten: Path, clock: HandClock) -> None:
    with intruder(ten) as connection:
        connection.execute("PRAGMA user_version = 2")
    with Log.open(ten, clock=clock) as log:
        assert log.read_only and log.size() == 10
        with pytest.raises(LogError, match="newer captain"):
            log.append([note()], actor=KAREN)


def test_a_closed_log_says_so(log: Log) -> None:
    log.close()
    log.close()
    with pytest.raises(LogError, match="is closed"):
        log.size()
    with pytest.raises(LogError, match="is closed"):
        log.append([note()], actor=KAREN)


def test_a_log_is_not_carried_into_a_child_process(log: Log) -> None:
    child = os.fork()
    if child == 0:
        try:
            log.append([note()], actor=KAREN)
        except LogError as error:
            os._exit(0 if "another process" in error.message else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert log.size() == 1


def test_an_entry_that_cannot_be_decoded_is_named(ten: Path, clock: HandClock) -> None:
    with intruder(ten) as connection:
        connection.execute("DROP TRIGGER entry_update")
        connection.execute("UPDATE entry SET body = 'nothing like it' WHERE seq = 7")
        connection.execute(
            "CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN"
            " SELECT RAISE(ABORT,'captain: entries are immutable'); END"
        )
    with Log.open(ten, clock=clock) as log:
        with pytest.raises(LogError, match="entry 7"):
            list(log.entries())
        log.append([note("the log goes on, and verification tells")], actor=KAREN)
    report = verify(ten)
    assert (report.exit_code, report.first_bad) == (1, 7)
    assert {finding.seq for finding in report.findings} == {7}


def test_ulids_sort_by_time() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = [ulid(start + timedelta(milliseconds=number)) for number in range(50)]
    assert made == sorted(made) and len(set(made)) == 50
    assert all(is_ulid(name) for name in made)
    assert is_ulid(ulid(datetime(9999, 12, 31, tzinfo=UTC))) and is_ulid(ulid(datetime(1, 1, 2, tzinfo=UTC)))
