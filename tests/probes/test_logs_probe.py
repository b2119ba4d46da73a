"""What the logs probe counts in files, programs and real containers, and what it does not take for health."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.logs import LogsProbe
from tests.docker_engine import Box
from tests.hostile_engine import HostileEngine
from tests.memory import grown
from tests.one_step import OneStep
from tests.probe_context import holds, probe_context

DATA = Path(__file__).parents[1] / "data" / "payloads"
SECRET = "hunter22-log-pw"
NOW = datetime.now(UTC)
TRACE = """\
Traceback (most recent call last):
  File "/app/views.py", line {line}, in items
    return shop[{key}]
KeyError: {key}"""


class Standing(SystemClock):
    """A clock that stands at the moment by which the lines of these tests are dated."""

    def now(self) -> datetime:
        return NOW


async def ask(root: Path, *, within: float = 10, secrets: dict[str, str] | None = None, **keys: Any) -> Measurement:
    deployed = keys.pop("deployed_at", None)
    environ = keys.pop("environ", None)
    context = probe_context(root, within, secrets, deployed_at=deployed)
    if environ is not None:
        object.__setattr__(context, "environ", environ)
    if keys.get("source") != "docker":
        # The lines were dated when this module was loaded, which may be long ago.
        object.__setattr__(context, "clock", Standing())
        for file in root.rglob("*"):
            if file.is_file() and file.stat().st_mtime > NOW.timestamp():
                os.utime(file, (NOW.timestamp(), NOW.timestamp()))
    seen = await LogsProbe(**keys).measure(context)
    assert SECRET not in repr(seen)
    return seen


async def of_file(root: Path, text: str, **keys: Any) -> Measurement:
    (root / "app.log").write_text(text)
    return await ask(root, source="file", path="app.log", **keys)


def line(level: str, message: str, ago: float = 60, **fields: Any) -> str:
    """A line of JSON of so many seconds ago."""
    at = (NOW - timedelta(seconds=ago)).isoformat()
    return json.dumps({"ts": at, "level": level, "logger": "shop", "message": message, **fields}) + "\n"


def plain(text: str, ago: float = 60) -> str:
    return f"{(NOW - timedelta(seconds=ago)).isoformat()} {text}\n"


def groups(seen: Measurement) -> list[dict[str, Any]]:
    found = seen.observed["groups"]
    assert isinstance(found, list)
    return [one for one in found if isinstance(one, dict)]


QUIET = "".join(line("INFO", f"request {number}", 600 - number) for number in range(60))
OLD = line("INFO", "began", 4000)


async def test_a_log_of_a_healthy_service_passes(tmp_path: Path) -> None:
    seen = await of_file(tmp_path, OLD + QUIET)
    assert holds(LogsProbe, seen) is True
    expect = ("json_ratio >= 0.95", "level_known_ratio >= 0.95", "size(fields_missing) == 0", "debug_lines == 0")
    assert holds(LogsProbe, seen, *expect, "lines == 60", "complete", "secrets_found == 0", "new_groups == 0") is True
    assert seen.observed["levels"] == {"INFO": 60}
    assert seen.observed["errors_per_min"] == 0.0


async def test_an_error_and_a_stack_trace_fail_it(tmp_path: Path) -> None:
    seen = await of_file(tmp_path, OLD + QUIET + line("ERROR", "unhandled", exc_info=TRACE.format(line=3, key=7)))
    assert holds(LogsProbe, seen) is False
    assert (seen.observed["errors"], seen.observed["tracebacks"]) == (1, 1)
    (group,) = groups(seen)
    assert group["fingerprint"] == "KeyError in items (/app/views.py)"
    assert group["new"] is True and isinstance(group["first_at"], datetime)
    assert 0 < float(str(seen.observed["errors_per_min"])) <= 1


async def test_silence_passes_nothing(tmp_path: Path) -> None:
    for text in ("", "\n\n\n", OLD):
        seen = await of_file(tmp_path, text)
        assert holds(LogsProbe, seen) is None
        assert {*seen.observed} == {"lines", "records", "complete"} and seen.observed["lines"] == 0
        assert any("silence proves nothing" in note for note in seen.notes)


async def test_a_few_lines_have_no_ratio(tmp_path: Path) -> None:
    seen = await of_file(tmp_path, OLD + line("INFO", "one"))
    assert not {"json_ratio", "level_known_ratio"} & seen.observed.keys()
    assert holds(LogsProbe, seen, "json_ratio >= 0.95") is None
    assert any("fewer than 50 lines" in note for note in seen.notes)


async def test_lines_that_name_no_level_count_no_errors(tmp_path: Path) -> None:
    text = "".join(plain("something went wrong", 300 - number) for number in range(60)) + line("INFO", "fine")
    seen = await of_file(tmp_path, plain("old", 5000) + text)
    assert not {"errors", "warnings", "debug_lines", "errors_per_min"} & seen.observed.keys()
    assert holds(LogsProbe, seen) is None
    assert holds(LogsProbe, seen, "json_ratio >= 0.95") is False
    assert any("60 of 61 records name no level" in note for note in seen.notes)


async def test_what_was_cut_off_is_not_counted_as_none(tmp_path: Path) -> None:
    text = line("ERROR", "long ago", 700) + "".join(line("INFO", "fine", 600 - number) for number in range(200))
    seen = await of_file(tmp_path, text, tail=100)
    assert seen.observed["complete"] is False and seen.observed["lines"] == 100
    counted = {"errors", "tracebacks", "groups", "new_groups", "secrets_found", "slow_queries", "levels", "warnings"}
    assert not counted & seen.observed.keys()
    assert holds(LogsProbe, seen) is None
    assert any("raise tail" in note for note in seen.notes)
    assert holds(LogsProbe, seen, "errors_per_min <= 1.0") is True
    whole = await of_file(tmp_path, text)
    assert holds(LogsProbe, whole) is False
    last = await of_file(tmp_path, text, tail=100, since="all")
    assert holds(LogsProbe, last) is True, "the last hundred lines are what was asked for"


async def test_a_canary_that_may_have_been_cut_off_is_not_missing(tmp_path: Path) -> None:
    text = line("INFO", "GET /", 700, request_id="captain-1") + QUIET
    found = await of_file(tmp_path, OLD + text, canary="captain-1")
    assert found.observed["canary_found"] is True
    assert abs(found.observed["canary"] - (NOW - timedelta(seconds=700))) < timedelta(seconds=1)  # type: ignore[operator]
    assert "canary_found" not in (await of_file(tmp_path, text, canary="captain-1", tail=10)).observed
    missing = await of_file(tmp_path, OLD + QUIET, canary="captain-1")
    assert missing.observed["canary_found"] is False and "canary" not in missing.observed


async def test_a_defect_is_new_only_where_it_was_not_there_before(tmp_path: Path) -> None:
    def failed(ago: float, where: int, key: int) -> str:
        return line("ERROR", "unhandled", ago, exc_info=TRACE.format(line=where, key=key))

    known = OLD + failed(2000, 10, 1) + failed(100, 99, 2) + line("ERROR", "order 17 lost", 90)
    seen = await of_file(tmp_path, known)
    assert (seen.observed["new_groups"], seen.observed["errors"]) == (1, 2)
    assert {group["fingerprint"]: group["new"] for group in groups(seen)} == {
        "KeyError in items (/app/views.py)": False,
        "shop: order … lost": True,
    }
    nothing_before = await of_file(tmp_path, failed(100, 1, 1) + QUIET)
    assert "new_groups" not in nothing_before.observed
    assert holds(LogsProbe, nothing_before, "new_groups == 0") is None
    assert any("nothing of before" in note for note in nothing_before.notes)


async def test_since_the_deploy_is_counted_from_when_it_began(tmp_path: Path) -> None:
    text = OLD + line("ERROR", "the old bug", 300) + line("INFO", "fine", 30)
    deployed = NOW - timedelta(seconds=120)
    seen = await of_file(tmp_path, text, since="deploy", deployed_at=deployed, before=timedelta(hours=2))
    assert holds(LogsProbe, seen) is True and seen.observed["lines"] == 1
    assert holds(LogsProbe, await of_file(tmp_path, text)) is False
    with pytest.raises(ProbeError, match="has not begun to deploy") as caught:
        await of_file(tmp_path, text, since="deploy")
    assert caught.value.fault == "instrument"


async def test_lines_without_a_time_cannot_be_counted_since(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="no line has a time") as caught:
        await of_file(tmp_path, "ERROR no idea when\n" * 60)
    assert caught.value.fault == "instrument" and "since: all" in (caught.value.hint or "")
    assert holds(LogsProbe, await of_file(tmp_path, "ERROR no idea when\n" * 60, since="all")) is False


async def test_a_trace_over_many_lines_is_one_record_and_hides_in_no_info(tmp_path: Path) -> None:
    chained = (
        TRACE.format(line=1, key=1) + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
    )
    chained += TRACE.format(line=2, key=2).replace("KeyError", "shop.errors.Lost").replace("views", "orders")
    text = plain("INFO fine") + plain("ERROR shop failed") + chained + "\n" + plain("INFO goes on")
    seen = await of_file(tmp_path, plain("INFO began", 5000) + text)
    assert (seen.observed["records"], seen.observed["tracebacks"], seen.observed["errors"]) == (3, 1, 1)
    (group,) = groups(seen)
    assert group["fingerprint"] == "shop.errors.Lost in items (/app/orders.py)"


async def test_known_errors_can_be_ignored_and_not_all_of_them(tmp_path: Path) -> None:
    text = OLD + line("ERROR", "client went away") + line("ERROR", "payment 7 failed") + QUIET
    seen = await of_file(tmp_path, text, ignore=("client went away", "/^payment [0-9]+ failed$/"))
    assert holds(LogsProbe, seen, "errors == 0", "size(groups) == 0") is True
    assert (await of_file(tmp_path, text, ignore=("client went away",))).observed["errors"] == 1
    for everything in ("", " ", "//", "/.*/", "/a*/"):
        with pytest.raises(ValueError, match="would ignore everything"):
            LogsProbe(source="file", path="x", ignore=(everything,))


async def test_secrets_in_a_log_are_found_and_never_kept(tmp_path: Path) -> None:
    text = OLD + plain(f"INFO login with password={SECRET}") + plain(f"INFO postgres://shop:{SECRET}@db/shop")
    text += plain(f"ERROR Authorization: Bearer {SECRET}.abc") + plain(f"ERROR could not open vault for {SECRET}")
    for redact in (True, False):
        seen = await of_file(tmp_path, text + QUIET, secrets={"VAULT": SECRET}, redact=redact)
        assert seen.observed["secrets_found"] == 4
        assert any(note.startswith("secrets: ") and "a declared secret (4)" in note for note in seen.notes)


async def test_what_is_written_in_place_of_a_secret_is_none(tmp_path: Path) -> None:
    text = "".join(plain(f"INFO {one}") for one in (
        "password=***", "password=[redacted]", '{"password": null}', "Authorization: Bearer <hidden>",
        "forgot password: please try again", "https://shop.example.com:8000/@me", "token: expired",
    ))  # fmt: skip
    seen = await of_file(tmp_path, plain("INFO began", 5000) + text)
    assert seen.observed["secrets_found"] == 0, seen.notes


async def test_lines_from_outside_are_counted_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "app.log").write_text(plain("INFO began", 5000) + plain("INFO something of somebody's"))
    seen = await ask(tmp_path / "repo", source="file", path=str(tmp_path / "app.log"))
    assert seen.observed["lines"] == 1 and seen.body is None
    (tmp_path / "repo" / "link.log").symlink_to(tmp_path / "app.log")
    assert (await ask(tmp_path / "repo", source="file", path="link.log")).body is None
    (tmp_path / "repo" / "own.log").write_text(plain("INFO began", 5000) + plain("INFO hello bob@example.com"))
    assert (await ask(tmp_path / "repo", source="file", path="own.log")).body == "INFO hello [an address]"


async def test_a_rotated_file_that_is_not_meant_leaves_a_gap(tmp_path: Path) -> None:
    (tmp_path / "app.log.1").write_text(OLD + line("ERROR", "before the rotation", 300))
    text = line("INFO", "after it")
    seen = await of_file(tmp_path, text)
    assert seen.observed["complete"] is False and holds(LogsProbe, seen) is None
    assert any("app.log.1 holds older lines" in note for note in seen.notes)
    both = await ask(tmp_path, source="file", path="app.log*")
    assert both.observed["complete"] is True and holds(LogsProbe, both) is False


async def test_what_is_only_named_alike_is_no_rotated_part(tmp_path: Path) -> None:
    (tmp_path / "app.out").touch()
    (tmp_path / "app.log.1").touch()
    for sibling in ("app.out.1", "app-worker.log", "app.yaml", "app.log.bak"):
        (tmp_path / sibling).write_text(QUIET)
    seen = await of_file(tmp_path, QUIET)
    assert seen.observed["complete"] is True and holds(LogsProbe, seen) is True
    for sibling in ("app.log-20261123", "app.1.log", "app.log.2.gz"):
        (tmp_path / sibling).write_text(QUIET)
        os.utime(tmp_path / sibling, (time.time() - 60,) * 2)
        assert (await of_file(tmp_path, QUIET)).observed["complete"] is False, sibling
        (tmp_path / sibling).unlink()


async def test_one_file_that_fell_silent_is_no_health_though_another_talks(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text(OLD)
    (tmp_path / "app.log").write_text(OLD + QUIET)
    seen = await ask(tmp_path, source="file", path="*.log")
    assert holds(LogsProbe, seen) is None and not {"errors", "tracebacks", "errors_per_min"} & seen.observed.keys()
    assert any("no line of worker.log: silence is no health" in note for note in seen.notes)
    (tmp_path / "worker.log").rename(tmp_path / "app.log.1")
    (tmp_path / "app-20261123.log").write_text(OLD)
    assert holds(LogsProbe, await ask(tmp_path, source="file", path="app*log*")) is True, "parts of one log"


async def test_levels_in_small_letters_count_and_words_that_are_none_are_not_health(tmp_path: Path) -> None:
    fine = plain("INFO began", 5000) + "".join(plain("INFO fine") for _ in range(40))
    small = await of_file(tmp_path, fine + 20 * plain("error: payment failed") + plain("fatal - gone"))
    assert small.observed["errors"] == 21 and holds(LogsProbe, small) is False
    for words in ("boom, it broke", "EROR payment failed", '{"level": "EROR", "message": "lost"}'):
        seen = await of_file(tmp_path, fine + 20 * plain(words))
        assert not {"errors", "errors_per_min", "new_groups"} & seen.observed.keys(), words
        assert holds(LogsProbe, seen) is None and holds(LogsProbe, seen, "new_groups == 0") is None
        assert any("20 records name no level that captain knows" in note for note in seen.notes)
    harmless = await of_file(tmp_path, fine + plain("Listening on 8000"), ignore=("Listening on",))
    assert holds(LogsProbe, harmless) is True
    one = await of_file(tmp_path, fine + plain("Listening on 8000") + plain("ERROR lost"))
    assert holds(LogsProbe, one) is False, "what is known to be an error stays one"


async def test_times_without_a_zone_are_held_against_when_the_file_was_written(tmp_path: Path) -> None:
    def wall(ago: float, text: str) -> str:
        return f"{(NOW - timedelta(seconds=ago)).strftime('%Y-%m-%d %H:%M:%S')} {text}\n"

    for hours in (2, -3, 5.5):
        text = wall(9e4, "INFO began") + wall(3600 * hours + 60, "ERROR lost") + wall(3600 * hours + 5, "INFO fine")
        seen = await of_file(tmp_path, text, since=timedelta(hours=7))
        assert holds(LogsProbe, seen) is None and "errors" not in seen.observed
        assert any("give `timezone`" in note for note in seen.notes), hours
    quiet = await of_file(tmp_path, wall(9e4, "INFO began") + wall(7260, "ERROR lost") + wall(7205, "INFO fine"))
    assert any("-2 h from when it was written" in note for note in quiet.notes)
    zone = (NOW - timedelta(seconds=60)).astimezone(ZoneInfo("Asia/Kolkata")).strftime("%Y-%m-%d %H:%M:%S")
    there = await of_file(tmp_path, f"2026-01-01 10:00:00 INFO began\n{zone} ERROR lost\n", timezone="Asia/Kolkata")
    assert there.observed["errors"] == 1 and holds(LogsProbe, there) is False
    with pytest.raises(ValueError, match="is no time zone"):
        LogsProbe(source="file", path="x", timezone="Nowhere/At_All")


@pytest.mark.parametrize(
    ("path", "words", "fault"),
    [
        ("missing.log", "no file is there", "unclear"),
        ("*.nothing", "no file is there", "unclear"),
        ("folder", "no file is there", "unclear"),
        ("pipe", "no file is there", "unclear"),
        ("packed.log", "is compressed", "instrument"),
        ("**/app.log", "holds a NUL character or", "instrument"),
        ("a\0b", "holds a NUL character or", "instrument"),
        ("many/*", "at most 20 are read", "instrument"),
    ],
)
async def test_a_file_that_cannot_be_read_is_unknown(tmp_path: Path, path: str, words: str, fault: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "many").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "packed.log").write_bytes(b"\x1f\x8b\x08\x00rest")
    for number in range(21):
        (tmp_path / "many" / f"{number}.log").touch()
    with pytest.raises(ProbeError, match=words) as caught:
        await ask(tmp_path, source="file", path=path)
    assert caught.value.fault == fault and LogsProbe.on_error == "unknown"


async def test_a_huge_log_is_read_from_its_end_within_bounds(tmp_path: Path) -> None:
    with (tmp_path / "huge.log").open("w") as file:
        for number in range(400):
            file.write(line("INFO", "x" * 100_000, 500 - number))
        file.write(line("INFO", "y" * 9_000_000, 20))
        file.write(line("INFO", "the last", 10))
    with grown() as memory:
        began = time.monotonic()
        seen = await ask(tmp_path, source="file", path="huge.log", canary="the last")
    assert seen.observed["canary_found"] is True and seen.observed["complete"] is False
    assert time.monotonic() - began < 5 and memory.bytes < 48 * 1024**2


async def test_too_much_to_go_through_in_time_is_said(tmp_path: Path) -> None:
    text = "".join(line("INFO", "eyJ-" * 200, 500) for _ in range(8000))
    with pytest.raises(ProbeError, match="too many lines to go through in time"):
        await of_file(tmp_path, text, within=0.1, tail=50_000)


async def test_captured_logs_give_the_captured_numbers(tmp_path: Path) -> None:
    structured = await of_file(tmp_path, (DATA / "logs_structured.txt").read_text(), since="all")
    assert (structured.observed["lines"], structured.observed["json_ratio"]) == (58, 1.0)
    assert (structured.observed["errors"], structured.observed["tracebacks"]) == (1, 1)
    unstructured = await of_file(tmp_path, (DATA / "logs_unstructured_with_traceback.txt").read_text(), since="all")
    assert (unstructured.observed["lines"], unstructured.observed["tracebacks"]) == (6, 1)
    assert unstructured.observed["errors"] == 2 and "json_ratio" not in unstructured.observed
    slow = await of_file(
        tmp_path, (DATA / "postgres_slow_canary.log").read_text(), since="all", canary="captain:canary:7f3a"
    )
    assert (slow.observed["slow_queries"], slow.observed["canary_found"]) == (1, True)


async def test_f16_the_slow_query_canary_of_postgresql_is_found_with_its_time(tmp_path: Path) -> None:
    text = (DATA / "postgres_slow_canary.log").read_text()
    seen = await of_file(tmp_path, text, since="all", canary="captain:canary:7f3a")
    assert seen.observed["canary"] == datetime(2026, 11, 23, 1, 49, 51, 781000, tzinfo=UTC)


PRINT = "import sys; sys.stdout.write(open('app.txt').read())"


async def test_a_program_that_prints_the_log_is_asked(tmp_path: Path) -> None:
    (tmp_path / "app.txt").write_text(OLD + QUIET)
    seen = await ask(tmp_path, source="command", run=(sys.executable, "-c", PRINT))
    assert holds(LogsProbe, seen) is True and seen.observed["lines"] == 60
    for run, words in (("exit 3", "exit code 3"), (("no-such-program",), "no-such-program"), ("kill -9 $$", "SIGKILL")):
        with pytest.raises(ProbeError, match=words):
            await ask(tmp_path, source="command", run=run)
    nothing = await ask(tmp_path, source="command", run="true")
    assert holds(LogsProbe, nothing) is None


async def test_a_program_that_never_ends_or_floods_is_bounded(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ProbeError, match="did not end within"):
        await ask(tmp_path, source="command", run="sleep 30", within=0.5)
    assert time.monotonic() - began < 1.0
    flood = 'import sys\nfor _ in range(1000): sys.stdout.write(\'{"level": "info", "n": 1}\\n\' * 4000)'
    with grown() as memory:
        seen = await ask(tmp_path, source="command", run=(sys.executable, "-c", flood), since="all", within=20)
    assert seen.observed["lines"] == 5000 and memory.bytes < 64 * 1024**2


def test_a_program_is_shown_before_it_runs_and_each_source_needs_its_key() -> None:
    (program,) = LogsProbe(source="command", run=("journalctl", "-u", "shop"), env={"A": "1"}).programs()
    assert (program.run, program.env) == (("journalctl", "-u", "shop"), ("A",))
    assert LogsProbe(source="docker").programs() == ()
    for source, key in (("file", "path"), ("command", "run")):
        with pytest.raises(ValueError, match=f"needs `{key}`"):
            LogsProbe(source=source)


def talks(box: Box, suffix: str, *commands: str, **config: Any) -> str:
    made = box.start(suffix, Cmd=["sh", "-c", "; ".join(commands)], **config)
    box.until(made, lambda each: each["State"]["Status"] == "exited")
    return box.name(suffix)


async def of_containers(box: Box, *names: str, **keys: Any) -> Measurement:
    environ = {"DOCKER_HOST": box.engine.host}
    return await ask(Path.cwd(), source="docker", names=names, environ=environ, within=20, **keys)


async def test_both_streams_of_a_real_container_are_read_and_stay_apart(docker_box: Box) -> None:
    info = """echo '{"level": "info", "message": "fine"}'"""
    trace = "printf 'Traceback (most recent call last):\\n  File \"/app/a.py\", line 1, in f\\nValueError: boom\\n' >&2"
    name = talks(docker_box, "web", f"for n in $(seq 60); do {info}; done", trace, info)
    seen = await of_containers(docker_box, name)
    assert (seen.observed["lines"], seen.observed["records"]) == (64, 62)
    assert (seen.observed["errors"], seen.observed["tracebacks"], seen.observed["complete"]) == (1, 1, True)
    assert round(float(str(seen.observed["json_ratio"])), 3) == round(61 / 64, 3)
    assert holds(LogsProbe, seen) is False
    cut = await of_containers(docker_box, name, tail=20)
    assert cut.observed["complete"] is False and holds(LogsProbe, cut) is None
    healthy = talks(docker_box, "fine", info)
    assert holds(LogsProbe, await of_containers(docker_box, healthy)) is True
    silent = talks(docker_box, "silent", "true")
    assert holds(LogsProbe, await of_containers(docker_box, silent)) is None


async def test_what_a_real_container_wrote_before_the_deploy_is_what_was_there_before(docker_box: Box) -> None:
    name = talks(docker_box, "web", "echo 'ERROR old 1'", "sleep 1.5", "echo 'ERROR old 2'", "echo 'ERROR brand new'")
    log = docker_box.engine.client.logs(name, timestamps=True).decode().splitlines()
    between = datetime.fromisoformat(log[0].split(" ")[0][:26]).replace(tzinfo=UTC) + timedelta(seconds=1)
    seen = await of_containers(docker_box, name, since="deploy", deployed_at=between)
    assert (seen.observed["errors"], seen.observed["new_groups"]) == (2, 1)


async def test_f9_a_log_driver_that_gives_nothing_back_is_unknown(docker_box: Box) -> None:
    name = talks(docker_box, "mute", "true", HostConfig={"NetworkMode": "none", "LogConfig": {"Type": "none"}})
    with pytest.raises(ProbeError, match="gives no log back") as caught:
        await of_containers(docker_box, name)
    assert caught.value.fault == "instrument" and LogsProbe.on_error == "unknown"


async def test_containers_that_are_not_there_are_unknown(docker_box: Box) -> None:
    with pytest.raises(ProbeError, match="no container matches") as caught:
        await of_containers(docker_box, docker_box.name("none"))
    assert caught.value.fault == "unclear"


async def test_every_container_that_is_named_must_be_there_and_talk(docker_box: Box) -> None:
    info = """echo '{"level": "info", "message": "fine"}'"""
    web, silent = talks(docker_box, "web", info), talks(docker_box, "silent", "true")
    gone = docker_box.name("no-such-worker")
    with pytest.raises(ProbeError, match=f"no container is {gone}") as caught:
        await of_containers(docker_box, web, gone)
    assert caught.value.fault == "unclear"
    with pytest.raises(ProbeError, match="no container matches"):
        await of_containers(docker_box, web, services=("no-such-service",))
    seen = await of_containers(docker_box, web, silent)
    assert holds(LogsProbe, seen) is None
    assert any(f"no line of {silent}: silence is no health" in note for note in seen.notes)


LISTED = json.dumps([{"Id": "a" * 64, "Names": ["/web"], "Labels": {}, "State": "running"}]).encode()
DOCUMENT = json.dumps({"Id": "a" * 64, "Name": "/web", "Config": {"Tty": False}}).encode()


@pytest.mark.parametrize("manner", ["silent", "drip", "flood", "die"])
async def test_an_engine_that_misbehaves_holds_nothing(tmp_path: Path, manner: str) -> None:
    answers = {"/containers/json": LISTED, f"/containers/{'a' * 64}/json": DOCUMENT, "/info": b"{}"}
    began = time.monotonic()
    with HostileEngine(answers, {"/logs": manner}) as engine, grown() as memory:
        try:
            seen = await ask(tmp_path, source="docker", host=engine.host, within=0.8)
        except ProbeError:
            seen = None
    assert time.monotonic() - began < 1.3 and memory.bytes < 64 * 1024**2
    assert seen is None or holds(LogsProbe, seen) is None


async def test_a_step_says_in_the_log_what_was_found_and_keeps_no_secret(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(OLD + line("ERROR", f"login failed for password={SECRET}") + QUIET)
    step = OneStep(tmp_path)
    result = (await step.ask("logs: { source: file, path: app.log, since: 1h }")).data
    assert result["verdict"] == "fail" and result["observed"]["secrets_found"] == 1
    assert all(SECRET.encode() not in data for name, data in step.everything())


async def test_the_line_of_a_canary_says_which_fields_it_lacks(tmp_path: Path) -> None:
    line = f'{{"ts": "{NOW.isoformat()}", "level": "INFO", "message": "captain-1", "method": "GET"}}\n'
    keys: dict[str, Any] = {"since": "all", "canary": "captain-1", "required_fields": ("method", "path")}
    found = await of_file(tmp_path, line, **keys)
    assert found.observed["canary_missing"] == ["path"]
    found = await of_file(tmp_path, "INFO captain-1 GET /\n", **keys)
    assert "canary_missing" not in found.observed, "of a plain line nobody can tell"
