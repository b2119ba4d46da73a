"""How Dramatiq keeps its queues in Redis: `ns:q`, `ns:q.msgs`, `ns:q.DQ`, `ns:q.XQ`, `ns:__heartbeats__`."""

from __future__ import annotations

import json
from datetime import timedelta

from captain.systems.keys.backlog import (
    Ask,
    Backlog,
    Queue,
    at_most,
    counts,
    glob_quoted,
    oldest,
    scan,
    server_now,
    unknown_place,
)
from captain.systems.keys.client import Client, text

NAMESPACE = "dramatiq"
_ALIVE = timedelta(minutes=1)
_SUFFIXES = (".DQ.msgs", ".XQ.msgs", ".msgs", ".DQ", ".XQ")


def look(client: Client, ask: Ask) -> Backlog:
    """The queues of a namespace. Raises ProbeError where the namespace has never been used."""
    space = f"{ask.namespace}:"
    beats = f"{space}__heartbeats__"
    names, known = ask.queues, False
    if names is None:
        keys = scan(client, f"{glob_quoted(space)}*", ask)
        names = tuple(at_most(queue_names(keys, space)))
        known = bool(names)
    now = server_now(client)
    millis = now // timedelta(milliseconds=1)
    queues, seen = [], []
    for name in names:
        queue, there = _queue(client, f"{space}{name}", name, millis, ask.dead_window)
        queues.append(queue)
        seen.append(there)
    beating, fresh = counts(client, [("ZCARD", beats), ("EXISTS", beats)])
    known = known or any(seen) or bool(beating and fresh)
    if not known:
        hint = "check the number of the database in the URL, and namespace: the broker's, dramatiq by default"
        raise unknown_place("Dramatiq", f"no key {space}…", hint)
    since = millis - _ALIVE // timedelta(milliseconds=1)
    workers = client.ask("ZCOUNT", beats, since, "+inf")
    notes = ["workers_seen counts producers too: Dramatiq keeps the heartbeats of both in one set"]
    notes += [
        f"{name} has no key now: it counts as empty because the file names it"
        for name, there in zip(names, seen, strict=True)
        if not there
    ]
    if not names:
        notes.append("no queue has a key now: all are empty")
    return Backlog(queues, workers_seen=workers if isinstance(workers, int) else None, notes=notes)


def queue_names(keys: list[str], space: str) -> set[str]:
    """The queues that the keys of a namespace tell of."""
    found = set()
    for key in keys:
        name = key.removeprefix(space)
        if name.startswith("__"):
            continue
        found.add(next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name))
    return found


def _queue(client: Client, key: str, name: str, now: int, window: timedelta) -> tuple[Queue, bool]:
    """The queue, and whether anything of it is there."""
    asked = [("LLEN", key), ("HLEN", f"{key}.msgs"), ("LLEN", f"{key}.DQ"), ("HLEN", f"{key}.DQ.msgs")]
    ready, stored, waiting, held, dead = counts(client, [*asked, ("ZCARD", f"{key}.XQ")])
    recent = client.ask("ZCOUNT", f"{key}.XQ", now - window // timedelta(milliseconds=1), "+inf")
    age = _age(client, key, now) if ready else None
    queue = Queue(
        name,
        ready,
        in_flight=max(stored - ready, 0),
        # A worker takes delayed messages off the list at once and waits with them in its memory.
        delayed=max(waiting, held),
        dead=dead,
        dead_recent=recent,
        oldest_age=age,
    )
    return queue, bool(ready or stored or waiting or held or dead)


def _age(client: Client, key: str, now: int) -> timedelta | None:
    """Of the first and the last: messages of a worker that died come back at the end."""
    ids = [one for one in client.ask_all([("LINDEX", key, 0), ("LINDEX", key, -1)]) if isinstance(one, bytes)]
    told = oldest(
        client,
        list(dict.fromkeys(ids)),
        lambda one: ("HSTRLEN", f"{key}.msgs", text(one)),
        lambda one: ("HGET", f"{key}.msgs", text(one)),
    )
    born = [at for at in map(moment, told) if at is not None]
    return timedelta(milliseconds=max(now - min(born), 0)) if born else None


def moment(message: bytes) -> int | None:
    """When a message was made, or tried again, in milliseconds; None where it is not JSON."""
    try:
        document = json.loads(message)
        made = document["message_timestamp"]
        again = document.get("options", {}).get("requeue_timestamp", 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    numbers = [at for at in (made, again) if type(at) is int and 0 <= at < 2**53]
    return max(numbers) if len(numbers) == 2 else None
