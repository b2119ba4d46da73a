"""No durable intent, no effect: a full disk, a log that vanished or cannot be read stop captain with the cause."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from captain.engine import Engine
from captain.errors import AppendUnknown, CaptainError, LogError, Refusal
from captain.events import LogHealth, Recorded, Stopped
from tests.engine.stories import accepted, captain, found, to_deploy, types, until
from tests.log_parts import intruder
from tests.shop import Shop


@contextmanager
def full_disk(shop: Shop) -> Iterator[None]:
    """No file of this process may grow behind the size that the log has now."""
    ballast = [path for path in shop.settings.log.parent.rglob("*ballast*") if path.is_file()]
    for path in ballast:
        path.unlink()
    size = shop.settings.log.stat().st_size
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


async def fill(engine: Engine) -> None:
    """Append until not even a short entry finds room in what the log has. Raises what the last one met."""
    with contextlib.suppress(LogError):
        for _ in range(50):
            await engine.note("x" * 3000)
    for _ in range(50):
        await engine.note("x")


async def test_on_a_full_disk_nothing_is_started_and_the_cause_is_named(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        with full_disk(shop):
            with pytest.raises(LogError, match=r"(?i)full|too large|cannot|disk") as failed:
                await fill(engine)
            assert failed.value.message
            with pytest.raises(CaptainError):
                await engine.act("roll-out")
        assert shop.effects == []
        assert types(shop, "action.intent") == []
        await engine.act("roll-out")
        assert shop.effects == ["1.5.0"]


async def test_a_sign_off_that_was_not_written_is_not_shown(shop: Shop) -> None:
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        with full_disk(shop):
            with pytest.raises(CaptainError):
                await fill(engine)
            with pytest.raises(CaptainError):
                for _ in range(50):
                    await engine.sign("on-call-told", "approve", "n" * 3000)
        signed = len(types(shop, "signoff"))
        assert len([one for one in shop.seen if isinstance(one, Recorded) and one.type == "signoff"]) == signed


async def test_a_log_that_was_taken_away_stops_every_dangerous_key(shop: Shop) -> None:
    engine = shop.engine()
    await engine.open("1.5.0")
    await accepted(engine)
    await to_deploy(engine)
    shop.settings.log.rename(shop.settings.log.with_name("elsewhere.sqlite"))
    for attempt in (engine.act("roll-out"), engine.note("hello"), engine.measure("checkout-works")):
        with pytest.raises(CaptainError) as failed:
            await attempt
        assert str(shop.settings.log) in str(failed.value.message) or "recorded" in failed.value.message
    assert shop.effects == []
    shop.settings.log.with_name("elsewhere.sqlite").rename(shop.settings.log)
    await engine.close()


async def test_what_is_recorded_but_cannot_be_read_back_stops_captain_and_is_not_done_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = shop.engine()
    await engine.open("1.5.0")

    def unreadable() -> list[Recorded]:
        raise LogError("the disk does not answer")

    monkeypatch.setattr(engine._desk, "_news", unreadable)
    with pytest.raises(AppendUnknown, match="is recorded, but"):
        await engine.note("once")
    with pytest.raises(Refusal, match="nothing can be recorded"):
        await engine.note("twice")
    assert [event for event in shop.seen if isinstance(event, Stopped)]
    assert engine.view().stopped is not None
    await engine.close()
    assert [event.data["text"] for event in shop.recorded("step.note")] == ["once"]


async def test_new_entries_are_verified_as_they_come(shop: Shop) -> None:
    async with captain(shop) as engine:
        following = asyncio.create_task(engine.follow())
        healths: list[str] = []

        def states() -> list[str]:
            healths[:] = [event.state for event in shop.seen if isinstance(event, LogHealth)]
            return healths

        await until(lambda: "intact" in states())
        await engine.note("first")
        await until(lambda: len([one for one in states() if one == "intact"]) >= 2)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_following_survives_a_log_that_cannot_be_read_for_a_while(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captain.engine.following.EVERY", 0.05)
    async with captain(shop) as engine:
        real = engine._desk.log.data_version
        broken = True

        def version() -> int:
            if broken:
                raise LogError(f"cannot read: {errno.EIO}")
            return real()

        monkeypatch.setattr(engine._desk.log, "data_version", version)
        following = asyncio.create_task(engine.follow())
        await until(lambda: [one for one in shop.seen if isinstance(one, LogHealth) and one.state == "unreadable"])
        broken = False
        other = shop.engine()
        await other.open("1.5.0")
        await other.sign("on-call-told", "approve")
        await other.close()
        await until(lambda: found(engine, "on-call-told").counts)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_tampering_is_said_and_stays_said(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captain.engine.following.EVERY", 0.05)
    engine = shop.engine()
    await engine.open("1.5.0")
    with intruder(shop.settings.log) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'entry_update'").fetchone()
        connection.execute("DROP TRIGGER entry_update")
        connection.execute("UPDATE entry SET body = replace(body, 'karen', 'mallory') WHERE seq = 1")
        connection.execute(sql)
    following = asyncio.create_task(engine.follow())
    await until(lambda: [one for one in shop.seen if isinstance(one, LogHealth) and one.state == "tampered"])
    await engine.note("went on")
    await asyncio.sleep(0.2)
    assert [one.state for one in shop.seen if isinstance(one, LogHealth)][-1] == "tampered"
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await engine.close()


async def test_a_captain_that_only_looks_records_nothing(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
    before = len(shop.recorded())
    looker = shop.engine(read_only=True)
    await looker.resume("shop-staging-1.5.0")
    for attempt in (
        looker.measure("checkout-works"),
        looker.act("roll-out"),
        looker.gate("deploy", "go"),
        looker.sign("on-call-told", "approve"),
        looker.note("hello"),
        looker.abort("no"),
    ):
        with pytest.raises(Refusal, match="read-only"):
            await attempt
    await looker.close()
    assert len(shop.recorded()) == before


async def test_closing_twice_is_fine_and_a_closed_captain_says_so(shop: Shop) -> None:
    engine = shop.engine()
    await engine.open("1.5.0")
    await engine.close()
    await engine.close()
    with pytest.raises(CaptainError, match="closing"):
        await engine.note("late")
