"""A container's log, from a real engine and from pieces no engine should send."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.systems.docker.logs import LINES, read_log
from captain.systems.docker.reader import Reader, endpoint
from tests.docker_engine import Box
from tests.hostile_engine import MANNERS, HostileEngine

TALK = "echo one; echo two >&2; printf three"


def frame(text: str | bytes, stream: int = 1) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def read(data: bytes, *, terminal: bool = False, most: int = 1 << 20) -> list[tuple[str, str]]:
    return [(line.stream, line.text) for line in read_log(io.BytesIO(data).read, terminal=terminal, most=most).lines]


def talked(box: Box, suffix: str, script: str = TALK, **config: Any) -> str:
    made = box.start(suffix, Cmd=["sh", "-c", script], **config)
    box.until(made, lambda each: each["State"]["Status"] == "exited")
    return made


def test_both_streams_come_line_by_line_with_their_time(docker_box: Box) -> None:
    made = talked(docker_box, "talks")
    with Reader(endpoint(docker_box.engine.host, {}), 10) as engine:
        log = engine.logs(made)
    assert log is not None and not log.truncated
    # Docker reads the two pipes separately, so only the order within one stream is certain.
    assert sorted((line.stream, line.text) for line in log.lines) == [
        ("stderr", "two"),
        ("stdout", "one"),
        ("stdout", "three"),
    ]
    assert all(line.at and abs(datetime.now(UTC) - line.at) < timedelta(minutes=1) for line in log.lines)


def test_a_terminal_has_one_stream_and_no_frames(docker_box: Box) -> None:
    made = talked(docker_box, "terminal", Tty=True)
    with Reader(endpoint(docker_box.engine.host, {}), 10) as engine:
        log = engine.logs(made)
    assert log is not None
    assert [(line.stream, line.text) for line in log.lines] == [("stdout", each) for each in ("one", "two", "three")]


def test_since_and_tail_leave_out_what_is_older(docker_box: Box) -> None:
    made = talked(docker_box, "counts", "for n in 1 2 3 4 5; do echo $n; done")
    with Reader(endpoint(docker_box.engine.host, {}), 10) as engine:
        everything = engine.logs(made)
        last = engine.logs(made, tail=2)
        later = engine.logs(made, since=datetime.now(UTC) + timedelta(minutes=1))
        assert everything is not None and last is not None and later is not None
        third = everything.lines[2].at
        from_third = engine.logs(made, since=third)
    assert [line.text for line in last.lines] == ["4", "5"]
    assert later.lines == ()
    assert from_third is not None and [line.text for line in from_third.lines] == ["3", "4", "5"]


def test_a_long_line_that_the_engine_keeps_in_parts_is_one_line(docker_box: Box) -> None:
    made = talked(docker_box, "long", "head -c 40000 /dev/zero | tr '\\0' a; echo")
    with Reader(endpoint(docker_box.engine.host, {}), 10) as engine:
        log = engine.logs(made)
    assert log is not None and [line.text for line in log.lines] == ["a" * 40000]


def test_a_log_longer_than_its_bound_is_cut_and_says_so(docker_box: Box) -> None:
    made = talked(docker_box, "much", "yes | head -n 20000")
    with Reader(endpoint(docker_box.engine.host, {}), 20) as engine:
        log = engine.logs(made, most=10_000)
        assert engine.info(), "the client goes on"
    assert log is not None and log.truncated and 100 < len(log.lines) < 400


def test_a_container_that_is_not_there_has_no_log(docker_box: Box) -> None:
    with Reader(endpoint(docker_box.engine.host, {}), 10) as engine:
        assert engine.logs(docker_box.name("none")) is None


def test_f9_a_driver_that_gives_no_log_back_is_said_to(docker_box: Box) -> None:
    made = talked(docker_box, "mute", HostConfig={"NetworkMode": "none", "LogConfig": {"Type": "none"}})
    with (
        Reader(endpoint(docker_box.engine.host, {}), 10) as engine,
        pytest.raises(ProbeError, match=r"the log driver none of .* gives no log back") as refused,
    ):
        engine.logs(made)
    assert refused.value.fault == "instrument"
    assert "local, json-file" in (refused.value.hint or "")


def test_frames_of_two_streams_that_interleave_stay_apart() -> None:
    assert read(frame("a") + frame("x\n", 2) + frame("b\n") + frame("", 2) + frame("c\r\n")) == [
        ("stderr", "x"),
        ("stdout", "ab"),
        ("stdout", "c"),
    ]
    assert read(b"a\r\nb\nc", terminal=True) == [("stdout", "a"), ("stdout", "b"), ("stdout", "c")]
    assert read(b"") == read(b"", terminal=True) == []


def test_the_time_of_a_line_is_read_and_a_text_like_a_time_stays() -> None:
    stamped = read_log(io.BytesIO(frame("2026-11-26T20:00:00.123456789Z 9999\n")).read, terminal=False, most=100)
    assert stamped.lines[0].at == datetime(2026, 11, 26, 20, 0, 0, 123456, tzinfo=UTC)
    assert stamped.lines[0].text == "9999"
    assert read(frame("2026-99-99T20:00:00Z x\n")) == [("stdout", "2026-99-99T20:00:00Z x")]


@pytest.mark.parametrize("data", [b"HTTP/1.1 200", frame("abc")[:-1], b"\1\0\0", frame("a", 7), b"\1\1\0\0\0\0\0\0"])
def test_what_is_no_log_is_no_log(data: bytes) -> None:
    with pytest.raises(ValueError, match="log"):
        read(data)


def test_a_frame_that_claims_gigabytes_is_not_waited_for() -> None:
    claims = b"\1\0\0\0\xff\xff\xff\xff"
    log = read_log(io.BytesIO(frame("one\n") + claims).read, terminal=False, most=1000)
    assert log.truncated and [line.text for line in log.lines] == ["one"]


@pytest.mark.parametrize("terminal", [True, False])
def test_no_more_lines_are_kept_than_may_be(terminal: bool) -> None:
    data = b"\n" * (LINES + 5) if terminal else frame(b"\n" * (LINES + 5))
    log = read_log(io.BytesIO(data).read, terminal=terminal, most=1 << 20)
    assert log.truncated and len(log.lines) == LINES


@pytest.mark.parametrize("manner", MANNERS)
def test_an_engine_that_never_ends_its_answer_ends_no_later_than_asked(manner: str) -> None:
    container = b'{"Id": "c", "Config": {}}'
    with (
        HostileEngine({"/containers/c/json": container}, {"/logs": manner}) as hostile,
        hostile.measured(1),
        Reader(endpoint(hostile.host, {}), 1) as engine,
    ):
        if manner == "flood":
            log = engine.logs("c", most=200_000)
            assert log is not None and log.truncated
        else:
            with pytest.raises(ProbeError):
                engine.logs("c")
