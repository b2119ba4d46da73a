"""How Celery keeps its queues in Redis: `q` and `q\\x06\\x16` with a priority, `unacked`, `_kombu.binding.*`."""

from __future__ import annotations

from captain.systems.keys.backlog import Ask, Backlog, Queue, at_most, counts, glob_quoted, scan, unknown_place
from captain.systems.keys.client import Client, text

NAMESPACE = ""
_SEPARATOR = "\x06\x16"
_PRIORITIES = range(1, 10)
"""3, 6 and 9 by default; 0 is the queue's own name."""
_INTERNAL = (".pidbox", "celeryev")


def look(client: Client, ask: Ask) -> Backlog:
    """The queues of a key prefix. Raises ProbeError where nothing of Celery's is there."""
    prefix = ask.namespace
    bindings = f"{prefix}_kombu.binding."
    if ask.queues is None:
        keys = scan(client, f"{glob_quoted(bindings)}*", ask)
        names = at_most(_bound(client, keys))
        boxes = [key for key in keys if key.endswith(".pidbox") and ".reply." not in key]
    else:
        names, boxes = list(ask.queues), [f"{bindings}celery.pidbox"]
    queues, missing = [], []
    for name in names:
        lists = [f"{prefix}{name}", *(f"{prefix}{name}{_SEPARATOR}{step}" for step in _PRIORITIES)]
        queues.append(Queue(name, sum(counts(client, [("LLEN", key) for key in lists]))))
        if not queues[-1].ready and not counts(client, [("EXISTS", f"{bindings}{name}")])[0]:
            missing.append(name)
    (flying,) = counts(client, [("HLEN", f"{prefix}unacked")])
    traces = bool(flying) and ask.queues is not None
    if len(missing) == len(names) and not traces and not counts(client, [("EXISTS", f"{bindings}celery")])[0]:
        hint = "check the number of the database in the URL, and namespace: global_keyprefix, nothing by default"
        raise unknown_place("Celery", f"no {prefix}_kombu.binding.…, no list, nothing unacked", hint)
    notes = [
        "in_flight are the unacknowledged tasks of all queues of this database, those with an ETA among them",
        "Celery keeps neither dead letters nor the time of sending in Redis: no dead, dead_recent, delayed, oldest_age",
        "workers_seen counts the mailboxes of workers: one that was killed leaves its own behind",
    ]
    notes += [f"{name} has no key now: it counts as empty because the file names it" for name in missing]
    workers = sum(counts(client, [("SCARD", box) for box in boxes])) if boxes else 0
    return Backlog(queues, workers_seen=workers, in_flight=flying, notes=notes)


def _bound(client: Client, keys: list[str]) -> set[str]:
    """The queues named by bindings, those that Celery talks to itself through left out."""
    found = set()
    for members in client.ask_all([("SMEMBERS", key) for key in keys if not _internal(key)]):
        if isinstance(members, list | set):
            found |= {text(member).rpartition(_SEPARATOR)[2] for member in members}
    return {name for name in found if name and not _internal(name)}


def _internal(name: str) -> bool:
    return any(part in name for part in _INTERNAL)
