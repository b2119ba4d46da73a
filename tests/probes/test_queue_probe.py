"""What the queue probe tells about queues that real libraries made, and what an empty answer is not."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.queue import Canary, QueueProbe, drained
from captain.systems.keys.dramatiq import moment, queue_names
from tests.hostile_server import MANNERS, HostileServer
from tests.memory import grown
from tests.one_step import OneStep
from tests.probe_context import holds, probe_context
from tests.redis_server import PASSWORD, RedisServer

PYTHON = sys.executable


@pytest.fixture
def db(redis_server: RedisServer) -> Iterator[int]:
    """A database of its own, empty before and after."""
    redis_server.run("FLUSHDB", database=9)
    yield 9
    redis_server.run("FLUSHDB", database=9)


async def ask(
    server: RedisServer, db: int, broker: str, *, root: Path | None = None, within: float = 10, **keys: Any
) -> Measurement:
    context = probe_context(root or Path.cwd(), within, {"REDIS_URL": server.url(db)}, run="run-7")
    seen = await QueueProbe(broker=broker, url_env="REDIS_URL", **keys).measure(context)
    assert PASSWORD not in repr(seen)
    return seen


async def refused(server: RedisServer, db: int, broker: str, **keys: Any) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        await ask(server, db, broker, **keys)
    assert PASSWORD not in f"{caught.value!r} {caught.value.hint}"
    return caught.value


def numbers(seen: Measurement, *names: str) -> dict[str, Any]:
    return {name: seen.observed.get(name) for name in names}


class Tasks:
    """Actors of the real Dramatiq over one database."""

    def __init__(self, server: RedisServer, db: int, namespace: str = "dramatiq") -> None:
        import dramatiq
        from dramatiq.brokers.redis import RedisBroker
        from dramatiq.middleware import AgeLimit, TimeLimit

        middleware = [AgeLimit(), TimeLimit(), dramatiq.middleware.Retries(max_retries=0)]
        self.broker = RedisBroker(url=server.url(db), namespace=namespace, middleware=middleware)
        self.ok = dramatiq.Actor(lambda *_: None, broker=self.broker, actor_name="ok", queue_name="default", **NO)
        self.bad = dramatiq.Actor(fails, broker=self.broker, actor_name="bad", queue_name="emails", **NO)
        self.worker = dramatiq.Worker

    def work(self, *queues: str) -> None:
        """Do everything that waits in them."""
        worker = self.worker(self.broker, queues=set(queues), worker_timeout=50, worker_threads=1)
        worker.start()
        for queue in queues:
            with contextlib.suppress(Exception):
                self.broker.join(queue, timeout=5000)
        worker.join()
        worker.stop()


NO: dict[str, Any] = {"priority": 0, "options": {}}


def fails(*_: object) -> None:
    raise ValueError("no such mailbox")


@pytest.fixture
def tasks(redis_server: RedisServer, db: int) -> Iterator[Tasks]:
    made = Tasks(redis_server, db)
    yield made
    made.broker.close()
    made.broker.client.close()


async def test_a_drained_queue_is_healthy_and_a_pile_of_old_tasks_is_not(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    tasks.ok.send(1)
    waiting = await ask(redis_server, db, "dramatiq")
    assert holds(QueueProbe, waiting) is True and waiting.observed["ready"] == 1
    tasks.work("default")
    idle = await ask(redis_server, db, "dramatiq")
    assert holds(QueueProbe, idle) is True
    assert numbers(idle, "ready", "outstanding", "dead") == {"ready": 0, "outstanding": 0, "dead": 0}
    assert "no queue has a key now: all are empty" in idle.notes
    message = tasks.ok.message(2)
    old = message.copy()
    object.__setattr__(old, "message_timestamp", message.message_timestamp - 3_600_000)
    tasks.broker.enqueue(old)
    tasks.ok.send(3)
    piled = await ask(redis_server, db, "dramatiq", queues=("default",))
    assert holds(QueueProbe, piled) is False
    assert timedelta(hours=1) <= piled.observed["oldest_age"] < timedelta(hours=1, minutes=5)  # type: ignore[operator]


async def test_f22_dramatiqs_keys_are_read_as_its_workers_leave_them(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    for number in range(3):
        tasks.ok.send(number)
    tasks.ok.send_with_options(args=(4,), delay=600_000)
    tasks.bad.send()
    tasks.work("emails")
    taken = tasks.broker.consume("default", prefetch=1)
    assert next(taken) is not None
    seen = await ask(redis_server, db, "dramatiq")
    assert numbers(seen, "ready", "in_flight", "outstanding", "delayed", "dead", "dead_recent") == {
        "ready": 2,
        "in_flight": 1,
        "outstanding": 3,
        "delayed": 1,
        "dead": 1,
        "dead_recent": 1,
    }
    assert holds(QueueProbe, seen) is False, "a task died"
    assert [queue["name"] for queue in seen.observed["queues"]] == ["default", "emails"]  # type: ignore[union-attr, index, call-overload]
    taken.close()


async def test_f22_a_producer_alone_looks_like_a_worker_and_that_is_said(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    tasks.ok.send(1)
    seen = await ask(redis_server, db, "dramatiq")
    assert seen.observed["workers_seen"] == 1
    assert any("counts producers too" in note for note in seen.notes)
    assert not any("workers_seen" in condition for condition in QueueProbe.default_expect)


async def test_f22_delayed_tasks_that_a_worker_holds_in_memory_are_still_delayed(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    tasks.ok.send_with_options(args=(1,), delay=600_000)
    taken = tasks.broker.consume("default.DQ", prefetch=1)
    assert next(taken) is not None
    assert redis_server.run("LLEN", "dramatiq:default.DQ", database=db) == 0
    assert (await ask(redis_server, db, "dramatiq")).observed["delayed"] == 1
    taken.close()


async def test_delayed_tasks_that_nobody_moves_when_their_time_comes_are_overdue(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    old = tasks.ok.message_with_options(args=(1,), eta=int(time.time() * 1000) - 600_000)
    for _ in range(51):
        tasks.broker.enqueue(old.copy(queue_name="default.DQ", options={"eta": old.options["eta"]}))
    tasks.ok.send_with_options(args=(2,), delay=600_000)
    seen = await ask(redis_server, db, "dramatiq")
    assert numbers(seen, "ready", "delayed", "overdue") == {"ready": 0, "delayed": 52, "overdue": 51}
    assert timedelta(minutes=10) <= seen.observed["overdue_age"] < timedelta(minutes=11)  # type: ignore[operator]
    assert holds(QueueProbe, seen) is False
    redis_server.run("DEL", "dramatiq:default.DQ", database=db)
    held = await ask(redis_server, db, "dramatiq")
    assert held.observed["overdue"] == 51, "a worker that has them in memory and does nothing is none"
    redis_server.run("DEL", "dramatiq:default.DQ.msgs", database=db)
    tasks.ok.send_with_options(args=(2,), delay=600_000)
    early = await ask(redis_server, db, "dramatiq")
    assert early.observed["overdue"] == 0 and holds(QueueProbe, early) is True


async def test_a_delayed_message_that_does_not_say_when_is_not_on_time(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    tasks.ok.send_with_options(args=(2,), delay=600_000)
    (held,) = redis_server.run("LRANGE", "dramatiq:default.DQ", 0, -1, database=db)
    redis_server.run("HSET", "dramatiq:default.DQ.msgs", held, b"\x80\x04pickled", database=db)
    seen = await ask(redis_server, db, "dramatiq")
    assert "overdue" not in seen.observed and holds(QueueProbe, seen) is None
    assert any("0 of 1 delayed messages was read, so there is no overdue" in note for note in seen.notes)


async def test_scheduled_jobs_without_a_scheduler_are_overdue(redis_server: RedisServer, db: int) -> None:
    import redis
    import rq

    connection: Any = redis.Redis(port=redis_server.port, db=db, password=PASSWORD)
    queue = rq.Queue("default", connection=connection)
    queue.enqueue(print)
    connection.delete("rq:queue:default")
    for minutes in (*range(-20, 0), 60):
        queue.enqueue_in(timedelta(minutes=minutes), print, 1)
    seen = await ask(redis_server, db, "rq")
    assert numbers(seen, "ready", "delayed", "overdue") == {"ready": 0, "delayed": 21, "overdue": 20}
    assert timedelta(minutes=20) <= seen.observed["overdue_age"] < timedelta(minutes=21)  # type: ignore[operator]
    assert holds(QueueProbe, seen) is False
    connection.zremrangebyscore("rq:scheduled:default", "-inf", time.time())
    assert holds(QueueProbe, await ask(redis_server, db, "rq")) is True
    connection.close()


async def test_f22_dead_letters_of_long_ago_are_not_recent(redis_server: RedisServer, db: int, tasks: Tasks) -> None:
    tasks.bad.send()
    tasks.work("emails")
    dead, at = redis_server.run("ZRANGE", "dramatiq:emails.XQ", 0, -1, "WITHSCORES", database=db)
    redis_server.run("ZADD", "dramatiq:emails.XQ", int(at) - 2 * 86_400_000, dead, database=db)
    seen = await ask(redis_server, db, "dramatiq")
    assert numbers(seen, "dead", "dead_recent") == {"dead": 1, "dead_recent": 0}
    assert holds(QueueProbe, seen) is True
    assert (await ask(redis_server, db, "dramatiq", dead_window=timedelta(days=3))).observed["dead_recent"] == 1


@pytest.mark.parametrize("broker", ["dramatiq", "celery", "rq"])
@pytest.mark.parametrize("queues", ["auto", ("default",)])
async def test_a_database_without_the_library_is_unknown_not_empty(
    redis_server: RedisServer, db: int, broker: str, queues: Any
) -> None:
    redis_server.run("SET", "cache:1", "x", database=db)
    error = await refused(redis_server, db, broker, queues=queues)
    assert error.fault == "unclear" and QueueProbe.on_error == "unknown"
    assert "nothing can be said about its queues" in error.message
    assert error.hint is not None and "check the number of the database" in error.hint


async def test_a_wrong_namespace_is_unknown_not_empty(redis_server: RedisServer, db: int, tasks: Tasks) -> None:
    tasks.ok.send(1)
    assert "no key shop:" in (await refused(redis_server, db, "dramatiq", namespace="shop")).message
    for queues in ("auto", ("default",)):
        assert (await ask(redis_server, db, "dramatiq", namespace="dramatiq", queues=queues)).observed["ready"] == 1


async def test_a_named_queue_without_a_key_counts_as_empty_and_says_so(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    tasks.ok.send(1)
    seen = await ask(redis_server, db, "dramatiq", queues=("default", "emials"))
    assert any(note.startswith("emials has no key now") for note in seen.notes)


async def test_no_queue_is_no_list_of_queues() -> None:
    with pytest.raises(ValueError, match="names no queue"):
        QueueProbe(broker="rq", url_env="R", queues=())


async def test_a_message_that_is_no_json_has_no_age_and_passes_nothing(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    tasks.ok.send(1)
    (held,) = redis_server.run("LRANGE", "dramatiq:default", 0, -1, database=db)
    redis_server.run("HSET", "dramatiq:default.msgs", held, b"\x80\x04pickled", database=db)
    seen = await ask(redis_server, db, "dramatiq")
    assert "oldest_age" not in seen.observed and holds(QueueProbe, seen) is None
    assert any("how old the oldest message is could not be read" in note for note in seen.notes)
    redis_server.run("HSET", "dramatiq:default.msgs", held, "{" + " " * 40_000 + "}", database=db)
    assert "oldest_age" not in (await ask(redis_server, db, "dramatiq")).observed


async def test_a_key_of_somebody_else_is_no_queue(redis_server: RedisServer, db: int, tasks: Tasks) -> None:
    tasks.ok.send(1)
    redis_server.run("SET", "dramatiq:mine", "text", database=db)
    error = await refused(redis_server, db, "dramatiq")
    assert "dramatiq:mine" in error.message and "WRONGTYPE" in error.message


def celery_app(server: RedisServer, db: int, **options: Any) -> Any:
    from celery import Celery
    from kombu import pools

    # What a connection of before has bound is not bound again, and the database was emptied since.
    reset: Any = pools.reset
    reset()
    app = Celery("shop", broker=server.url(db), set_as_current=False)
    app.conf.broker_transport_options = options
    app.conf.task_ignore_result = True
    return app


async def test_f23_celerys_lists_with_priorities_and_what_is_unacknowledged_add_up(
    redis_server: RedisServer, db: int
) -> None:
    app = celery_app(redis_server, db)
    for number in range(5):
        app.send_task("shop.ok", (number,))
    app.send_task("shop.ok", (6,), priority=6)
    app.send_task("shop.ok", (7,), queue="emails")
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        for _ in range(2):
            queue.get(timeout=5)
        for queues in ("auto", ("celery", "emails")):
            seen = await ask(redis_server, db, "celery", queues=queues)
            assert numbers(seen, "ready", "in_flight", "outstanding") == {"ready": 5, "in_flight": 2, "outstanding": 7}
            assert {queue["name"]: queue["ready"] for queue in seen.observed["queues"]} == {"celery": 4, "emails": 1}  # type: ignore[union-attr, index, call-overload]
        missing = {"dead", "dead_recent", "delayed", "oldest_age"}
        assert not missing & seen.observed.keys() and any("neither dead letters" in note for note in seen.notes)
        assert holds(QueueProbe, seen) is None, "how old they are is not known"
        assert holds(QueueProbe, seen, "ready <= 3") is False
    app.close()


async def test_f23_an_idle_celery_is_empty_though_its_lists_are_gone(redis_server: RedisServer, db: int) -> None:
    app = celery_app(redis_server, db)
    app.send_task("shop.ok")
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        queue.get(timeout=5).ack()
    assert not redis_server.run("EXISTS", "celery", database=db)
    for queues in ("auto", ("celery",)):
        seen = await ask(redis_server, db, "celery", queues=queues)
        assert numbers(seen, "ready", "outstanding") == {"ready": 0, "outstanding": 0}
        assert holds(QueueProbe, seen) is True
    app.close()


async def test_f23_a_prefix_of_celerys_keys_is_a_namespace(redis_server: RedisServer, db: int) -> None:
    app = celery_app(redis_server, db, global_keyprefix="shop:")
    app.send_task("shop.ok")
    assert "nothing of Celery's" in (await refused(redis_server, db, "celery")).message
    assert (await ask(redis_server, db, "celery", namespace="shop:")).observed["ready"] == 1
    app.close()


@pytest.mark.parametrize("queues", ["auto", ("celery",)])
async def test_celerys_own_separator_is_asked_for_and_every_priority_counts(
    redis_server: RedisServer, db: int, queues: Any
) -> None:
    app = celery_app(redis_server, db, sep=":", priority_steps=list(range(10)), queue_order_strategy="priority")
    for priority in (3, 5, 9):
        app.send_task("shop.ok", priority=priority)
    error = await refused(redis_server, db, "celery", queues=queues)
    assert "another separator" in error.message and "give `separator`" in str(error.hint)
    assert (await ask(redis_server, db, "celery", queues=queues, separator=":")).observed["ready"] == 3
    app.close()
    redis_server.run("FLUSHDB", database=db)
    usual = celery_app(redis_server, db, priority_steps=list(range(10)), queue_order_strategy="priority")
    for priority in range(10):
        usual.send_task("shop.ok", priority=priority)
    assert (await ask(redis_server, db, "celery", queues=queues)).observed["ready"] == 10
    assert "another separator" in (await refused(redis_server, db, "celery", queues=queues, separator=":")).message
    usual.close()
    with pytest.raises(ValueError, match="only with broker: celery"):
        QueueProbe(broker="rq", url_env="R", separator=":")


PAYLOADS = Path(__file__).parents[1] / "data" / "payloads"


@pytest.mark.parametrize(
    ("broker", "keys", "expected"),
    [
        ("dramatiq", {}, {"ready": 2, "outstanding": 3, "delayed": 1, "dead": 1, "dead_recent": 0}),
        ("celery", {"queues": ("celery", "emails")}, {"ready": 7, "in_flight": 2, "outstanding": 9}),
    ],
)
async def test_captured_keys_give_the_captured_numbers(
    redis_server: RedisServer, db: int, broker: str, keys: dict[str, Any], expected: dict[str, int]
) -> None:
    for key, held in json.loads((PAYLOADS / f"{broker}_redis_dump.json").read_text())["keys"].items():
        value = held.get("value") or [f"item-{number}" for number in range(held["len"])]
        add = {"list": "RPUSH", "hash": "HSET", "zset": "ZADD", "set": "SADD"}[held["type"]]
        for item in value:
            pair = {"hash": [item, value[item] if isinstance(value, dict) else "x"]}
            if held["type"] == "zset":
                pair["zset"] = [int(value[item]) - 30 * 86_400_000, item]
            redis_server.run(add, key, *pair.get(held["type"], [item]), database=db)
    seen = await ask(redis_server, db, broker, **keys)
    assert numbers(seen, *expected) == expected


async def test_rqs_registries_tell_what_waits_what_failed_and_who_works(redis_server: RedisServer, db: int) -> None:
    import redis
    import rq

    connection: Any = redis.Redis(port=redis_server.port, db=db, password=PASSWORD)
    waiting, failing = rq.Queue("default", connection=connection), rq.Queue("emails", connection=connection)
    for number in range(2):
        waiting.enqueue(print, number)
    waiting.enqueue_in(timedelta(hours=1), print, 3)
    failing.enqueue("tests.nothing_here.at_all")
    rq.SimpleWorker([failing], connection=connection).work(burst=True, logging_level="CRITICAL")
    seen = await ask(redis_server, db, "rq")
    names = ("ready", "in_flight", "outstanding", "delayed", "dead", "dead_recent", "workers_seen")
    assert list(numbers(seen, *names).values()) == [2, 0, 2, 1, 1, 1, 0]
    assert holds(QueueProbe, seen) is False
    assert timedelta(0) <= seen.observed["oldest_age"] < timedelta(minutes=1)  # type: ignore[operator]
    connection.hset("rq:job:" + waiting.job_ids[0], "enqueued_at", "2020-01-01T00:00:00.000000Z")
    old = await ask(redis_server, db, "rq", queues=("default",))
    assert holds(QueueProbe, old) is False and old.observed["dead"] == 0
    (failed,) = connection.zrange("rq:failed:emails", 0, -1)
    connection.hset(f"rq:job:{failed.decode()}", "ended_at", "2020-01-01T00:00:00.000000Z")
    assert (await ask(redis_server, db, "rq", queues=("emails",))).observed["dead_recent"] == 0
    connection.hdel(f"rq:job:{failed.decode()}", "ended_at")
    unsure = await ask(redis_server, db, "rq", queues=("emails",))
    assert "dead_recent" not in unsure.observed and any("no dead_recent" in note for note in unsure.notes)
    connection.close()


async def test_a_queue_of_which_two_looks_were_taken_has_a_speed(
    redis_server: RedisServer, db: int, tasks: Tasks
) -> None:
    tasks.ok.send(1)
    seen = await ask(redis_server, db, "dramatiq", look_again=timedelta(milliseconds=50))
    assert seen.observed["drained_per_s"] == 0.0
    assert "drained_per_s" not in (await ask(redis_server, db, "dramatiq")).observed
    assert drained(10, 4, 2.0) == {"drained_per_s": 3.0}
    assert drained(4, 10, 2.0) == {"drained_per_s": -3.0}
    assert drained(None, 4, 2.0) == drained(4, 4, 0.0) == {}


PUBLISH = """\
import os
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
broker = RedisBroker(url=os.environ["REDIS_URL"])
broker.enqueue(Message(queue_name="default", actor_name=os.environ.get("ACTOR", "canary"),
    args=(os.environ["CAPTAIN_CANARY"],), kwargs={}, options={}))
"""


async def test_a_canary_makes_the_round_through_a_real_worker(
    redis_server: RedisServer, db: int, tasks: Tasks, tmp_path: Path
) -> None:
    import dramatiq

    (tmp_path / "publish.py").write_text(PUBLISH)
    with redis_server.client(db) as store:
        dramatiq.Actor(
            lambda mark: store.set("shop:canary", mark, ex=60),
            broker=tasks.broker, actor_name="canary", queue_name="default", **NO,
        )  # fmt: skip
        env = {"REDIS_URL": redis_server.url(db), "PYTHONWARNINGS": "ignore"}
        canary = Canary(publish=(PYTHON, "publish.py"), result_key="shop:canary", env=env)
        worker = tasks.worker(tasks.broker, queues={"default"}, worker_timeout=50, worker_threads=1)
        worker.start()
        try:
            tasks.ok.send(1)
            seen = await ask(redis_server, db, "dramatiq", canary=canary, root=tmp_path, within=20)
        finally:
            worker.stop()
        assert seen.observed["canary_ok"] is True
        assert timedelta(0) < seen.observed["canary"] < timedelta(seconds=18)  # type: ignore[operator]
        late = canary.model_copy(update={"timeout": timedelta(milliseconds=200)})
        store.delete("shop:canary")
        nobody = await ask(redis_server, db, "dramatiq", canary=late, root=tmp_path, within=20)
        assert nobody.observed["canary_ok"] is False and "canary" not in nobody.observed
        store.set("shop:canary", "of another time")
        error = await refused(redis_server, db, "dramatiq", canary=late, root=tmp_path, within=20)
        assert error.fault == "instrument" and "holds something else than $CAPTAIN_CANARY" in error.message


async def test_a_canary_that_could_not_be_sent_or_waited_for_is_unknown(
    redis_server: RedisServer, db: int, tasks: Tasks, tmp_path: Path
) -> None:
    tasks.ok.send(1)

    async def unsent(publish: Any, within: float = 5, **keys: Any) -> ProbeError:
        canary = Canary(publish=publish, result_key="shop:canary", **keys)
        return await refused(redis_server, db, "dramatiq", canary=canary, root=tmp_path, within=within)

    assert "exit code 3: no task was sent" in (await unsent("exit 3")).message
    assert "not-there" in (await unsent(("not-there",))).message
    assert "took too long" in (await unsent(("sleep", "30"), within=0.6)).message
    impatient = await unsent(("true",), within=0.6, timeout=timedelta(seconds=30))
    assert impatient.fault == "instrument" and "the step's timeout came before the canary's of 30s" in impatient.message


def test_a_canary_is_active_and_its_program_is_shown_before_it_runs() -> None:
    canary = Canary(publish=("./canary.sh",), result_key="k", env={"B": "1", "A": "2"})
    asked = QueueProbe(broker="rq", url_env="R", canary=canary)
    assert asked.safety == "active" and QueueProbe(broker="rq", url_env="R").safety == "read"
    assert asked.does() == ("starts ./canary.sh, which sends a task", "waits for k in Redis")
    (program,) = asked.programs()
    assert (program.run, program.env) == (("./canary.sh",), ("A", "B"))


CELERY = """\
import os
from celery import Celery
app = Celery("shop", broker=os.environ["REDIS_URL"])
app.conf.broker_connection_retry_on_startup = True
@app.task(name="shop.ok")
def ok(): pass
"""


async def test_f23_a_worker_of_celery_that_was_killed_still_looks_alive(
    redis_server: RedisServer, db: int, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(CELERY)
    worker = subprocess.Popen(
        [PYTHON, "-m", "celery", "-A", "shop", "worker", "-P", "solo", "-l", "CRITICAL", "--without-gossip"],
        cwd=tmp_path,
        env={**os.environ, "REDIS_URL": redis_server.url(db), "C_FORCE_ROOT": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not redis_server.run("EXISTS", "_kombu.binding.celery.pidbox", database=db):
            assert time.monotonic() < deadline and worker.poll() is None
            time.sleep(0.05)
        assert (await ask(redis_server, db, "celery")).observed["workers_seen"] == 1
    finally:
        worker.kill()
        worker.wait(timeout=10)
    seen = await ask(redis_server, db, "celery", queues=("celery",))
    assert seen.observed["workers_seen"] == 1
    assert any("one that was killed leaves its own behind" in note for note in seen.notes)


async def test_so_many_keys_that_not_all_can_be_seen_need_the_queues_named(
    redis_server: RedisServer, db: int, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.ok.send(1)
    with redis_server.client(db) as client:
        client.mset({f"cache:{number}": "x" for number in range(3000)})
    monkeypatch.setattr("captain.systems.keys.backlog.PAGES", 1)
    error = await refused(redis_server, db, "dramatiq")
    assert error.fault == "instrument" and error.hint == "name the queues: queues: [default, …]"
    assert (await ask(redis_server, db, "dramatiq", queues=("default",))).observed["ready"] == 1


@pytest.mark.parametrize("manner", MANNERS)
async def test_no_server_holds_the_probe_or_fills_the_memory(hostile_server: HostileServer, manner: str) -> None:
    port = hostile_server.port(manner, unit=b":1\r\n")
    context = probe_context(Path.cwd(), 0.6, {"R": f"redis://:{PASSWORD}@127.0.0.1:{port}/0"})
    with grown() as memory, pytest.raises(ProbeError) as caught:
        began = time.monotonic()
        await QueueProbe(broker="celery", url_env="R").measure(context)
    assert time.monotonic() - began < 1.1 and memory.bytes < 48 * 1024**2
    assert PASSWORD not in f"{caught.value!r} {caught.value.hint}"


async def test_a_step_is_unknown_where_the_broker_is_gone_or_another_database(
    tmp_path: Path, redis_server: RedisServer, db: int
) -> None:
    step = OneStep(tmp_path, {"REDIS_URL": redis_server.url(db)})
    result = (await step.ask("queue: { broker: dramatiq, url_env: REDIS_URL, queues: [default] }")).data
    assert result["verdict"] == "unknown" and "nothing of Dramatiq's" in result["message"]
    assert all(PASSWORD.encode() not in data for _, data in step.everything())


def test_names_of_queues_are_read_from_their_keys() -> None:
    keys = ["d:a", "d:a.msgs", "d:b.DQ", "d:c.XQ.msgs", "d:__heartbeats__", "d:__acks__.w.a", "d:e.DQ.msgs"]
    assert queue_names(keys, "d:") == {"a", "b", "c", "e"}


@pytest.mark.parametrize(
    "message",
    [b"", b"{}", b"[]", b"null", b'{"message_timestamp": "1"}', b'{"message_timestamp": NaN}', b"[" * 5000,
     b'{"message_timestamp": 1, "options": []}', b'{"message_timestamp": true}', b'{"message_timestamp": -1}'],
)  # fmt: skip
def test_a_message_that_does_not_say_when_it_was_made_has_no_moment(message: bytes) -> None:
    assert moment(message) is None


def test_a_message_that_was_tried_again_counts_from_then() -> None:
    assert moment(b'{"message_timestamp": 5, "options": {"requeue_timestamp": 9}}') == 9
    assert moment(b'{"message_timestamp": 5}') == 5
