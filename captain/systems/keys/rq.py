"""How RQ keeps its queues in Redis: `rq:queues`, `rq:queue:q`, `rq:wip:q`, `rq:scheduled:q`, `rq:failed:q`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from captain.systems.keys.backlog import Ask, Backlog, Queue, at_most, count, counts, oldest, server_now, unknown_place
from captain.systems.keys.client import Client, text

NAMESPACE = "rq"
_ENDS = 500
"""Failed jobs that are asked when they ended."""
_MOST_WORKERS = 1000


def look(client: Client, ask: Ask) -> Backlog:
    """The queues of a prefix. Raises ProbeError where nothing of RQ's is there."""
    space = f"{ask.namespace}:"
    registry, workers = f"{space}queues", f"{space}workers"
    listed, at_work = counts(client, [("SCARD", registry), ("SCARD", workers)])
    if not listed and not at_work:
        hint = "check the number of the database in the URL, and namespace: RQ's key prefix, rq by default"
        raise unknown_place("RQ", f"no {registry}", hint)
    # A set of queues has as many members as there are queues; anything else would be no set of queues.
    known = at_most(_members(client, registry)) if listed <= 10_000 else []
    registered = {key.removeprefix(f"{space}queue:") for key in known}
    names = sorted(registered) if ask.queues is None else list(ask.queues)
    now = datetime.fromtimestamp(server_now(client).total_seconds(), UTC)
    notes: list[str] = []
    queues = [_queue(client, space, name, now, ask.dead_window, notes) for name in names]
    notes += [
        f"{name} is not among RQ's queues: it counts as empty because the file names it"
        for name in names
        if name not in registered
    ]
    notes.append("workers_seen counts workers that registered and whose key has not expired: it does so after minutes")
    return Backlog(queues, workers_seen=_workers(client, workers, at_work), notes=notes)


def _queue(client: Client, space: str, name: str, now: datetime, window: timedelta, notes: list[str]) -> Queue:
    key = f"{space}queue:{name}"
    ready, flying, delayed, dead = counts(
        client,
        [
            ("LLEN", key),
            *(("ZCARD", f"{space}{register}:{name}") for register in ("wip", "scheduled", "failed")),
        ],
    )
    recent: int | None = 0
    if dead:
        failed = client.ask("ZREVRANGE", f"{space}failed:{name}", 0, _ENDS - 1)
        ended = _moments(client.ask_all([("HGET", f"{space}job:{text(one)}", "ended_at") for one in failed]))
        recent = sum(now - at <= window for at in ended)
        if not recent and (dead > _ENDS or len(ended) < len(failed)):
            notes.append(f"{name}: not every failed job tells when it ended, so there is no dead_recent")
            recent = None
    ends = client.ask_all([("LINDEX", key, 0), ("LINDEX", key, -1)]) if ready else []
    ids = list(dict.fromkeys(one for one in ends if isinstance(one, bytes)))
    told = oldest(
        client,
        ids,
        lambda one: ("HSTRLEN", f"{space}job:{text(one)}", "enqueued_at"),
        lambda one: ("HGET", f"{space}job:{text(one)}", "enqueued_at"),
    )
    born = _moments(told)
    age = max(now - min(born), timedelta(0)) if born else None
    return Queue(name, ready, flying, delayed, dead, recent, age)


def _members(client: Client, key: str) -> list[str]:
    return [text(member) for member in client.ask("SMEMBERS", key)]


def _workers(client: Client, key: str, many: int) -> int | None:
    if many > _MOST_WORKERS:
        return None
    return sum(count(one, key) for one in client.ask_all([("EXISTS", worker) for worker in _members(client, key)]))


def _moments(values: Iterable[object]) -> list[datetime]:
    """Those that are moments."""
    found = []
    for value in values:
        try:
            at = datetime.fromisoformat(text(value)) if isinstance(value, bytes) else None
        except ValueError:
            continue
        if at is not None:
            found.append(at if at.tzinfo else at.replace(tzinfo=UTC))
    return found
