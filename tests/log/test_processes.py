"""Several captains at once, and captains that are killed: what was acknowledged is there, and the log is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from captain.log.store import Log
from captain.log.verify import verify
from tests.log_parts import KAREN, HandClock, note

WRITER = """
import sys, time
from pathlib import Path
import sqlite_utils
from captain.clock import SystemClock
from captain.events import Actor, Draft
from captain.log.evidence import Evidence
from captain.log.store import Log

path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
go = Path(sys.argv[4]) if len(sys.argv) > 4 else None
while go is not None and not go.exists():
    time.sleep(0.001)
with Log.open(path, clock=SystemClock()) as log:
    print("open", log.log_id(), flush=True)
    for number in range(count):
        piece = Evidence("text/plain", bytes(number % 7 * 1000))
        named = {"name": "e", "media": piece.media, "size": len(piece.data), "digest": piece.digest}
        drafts = [Draft("step.note", name, {"step": None, "text": str(number), "evidence": [named]})]
        drafts += [Draft("lock.release", name, {"of": number})] * (number % 3)
        for event in log.append(drafts, actor=Actor(name, "flag", "x", 1, "h"), evidence=[piece]):
            print(event.seq, event.id, flush=True)
"""


def writer(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> list[list[str]]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return [line.split() for line in out.splitlines()]


def test_four_captains_append_at_once_and_none_meets_an_error(tmp_path: Path) -> None:
    path = tmp_path / "state" / "log.sqlite"
    writers = [writer(path, f"run-{number}", 100) for number in range(4)]
    acknowledged = {tuple(line) for process in writers for line in outcome(process)[1:]}
    with Log.open(path, clock=HandClock()) as log:
        entries = list(log.entries())
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        mine = [entry for entry in entries if entry.run.startswith("run-") and entry.type != "clock.step"]
        assert {(str(entry.seq), entry.id) for entry in mine} == acknowledged
        for number in range(4):
            notes = [entry.data["text"] for entry in log.by_type("step.note", run=f"run-{number}")]
            assert notes == [str(at) for at in range(100)]
    report = verify(path)
    assert (report.exit_code, report.entries) == (0, len(entries))


def test_eight_captains_open_a_new_log_at_once_and_agree(tmp_path: Path) -> None:
    for race in range(2):
        path = tmp_path / f"state-{race}" / "log.sqlite"
        go = tmp_path / f"go-{race}"
        writers = [writer(path, f"run-{number}", 1, go) for number in range(8)]
        time.sleep(0.5)
        go.touch()
        identities = {tuple(outcome(process)[0]) for process in writers}
        assert len(identities) == 1
        with Log.open(path, clock=HandClock()) as log:
            assert sum(entry.type == "log.open" for entry in log.entries()) == 1
            assert len(log.runs()) == 8
        assert verify(path).exit_code == 0


def test_a_captain_that_is_killed_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "state" / "log.sqlite"
    chance = random.Random(9)
    acknowledged: set[tuple[str, str]] = set()
    for round_number in range(15):
        process = writer(path, f"run-{round_number}", 100_000)
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        assert first.startswith("open"), process.stderr.read()
        time.sleep(chance.uniform(0.005, 0.12))
        os.kill(process.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL and not err
        lines = out.splitlines(keepends=True)
        acknowledged.update((line.split()[0], line.split()[1]) for line in lines if line.endswith("\n"))
        report = verify(path)
        assert report.exit_code == 0, report.findings
        with Log.open(path, clock=HandClock()) as log:
            there = {(str(entry.seq), entry.id) for entry in log.entries()}
            assert acknowledged <= there
            assert log.append([note(f"after kill {round_number}")], actor=KAREN)[0].seq > len(acknowledged)
    assert len(acknowledged) > 100


def test_a_reader_that_stops_in_the_middle_does_not_stop_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    with Log.open(path, clock=HandClock()) as log, Log.open(path, clock=HandClock(), read_only=True) as reader:
        log.append([note(str(number)) for number in range(1200)], actor=KAREN)
        entries = reader.entries()
        assert next(entries).type == "log.open"
        log.append([note("meanwhile")], actor=KAREN)
        assert list(entries)[-1].data["text"] == "meanwhile"
