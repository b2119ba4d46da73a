"""How Celery keeps its queues in Redis: `q` and `q\\x06\\x16` with a priority, `unacked`, `_kombu.binding.*`."""

from __future__ import annotations

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.keys.backlog import Ask, Backlog, Queue, at_most, counts, glob_quoted, scan, unknown_place
from captain.systems.keys.client import Client, text

NAMESPACE = ""
SEPARATOR = "\x06\x16"
"""Between a queue and a priority, and in members of bindings: `sep` of broker_transport_options."""
_PRIORITIES = range(1, 10)
"""3, 6 and 9 by default, priority_steps can name all of them; 0 is the queue's own name."""
_INTERNAL = (".pidbox", "celeryev")


def look(client: Client, ask: Ask, separator: str = SEPARATOR) -> Backlog:
    """The queues of a key prefix. Raises ProbeError where nothing of Celery's is there, or by another separator."""
    prefix = ask.namespace
    bindings = f"{prefix}_kombu.binding."
    if ask.queues is None:
        keys = scan(client, f"{glob_quoted(bindings)}*", ask)
        names = at_most(_bound(client, keys, separator))
        boxes = [key for key in keys if key.endswith(".pidbox") and ".reply." not in key]
    else:
        names, boxes = list(ask.queues), [f"{bindings}celery.pidbox"]
        # An exchange is called like its queue where nothing else was configured: enough to see the separator.
        exchanges = dict.fromkeys([*names, "celery", "celery.pidbox", "celeryev"])
        _bound(client, [f"{bindings}{name}" for name in exchanges], separator)
    queues, missing = [], []
    for name in names:
        lists = [f"{prefix}{name}", *(f"{prefix}{name}{separator}{step}" for step in _PRIORITIES)]
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
        "Celery keeps neither dead letters nor the time of sending in Redis: no dead, delayed, overdue, oldest_age",
        "workers_seen counts the mailboxes of workers: one that was killed leaves its own behind",
    ]
    notes += [f"{name} has no key now: it counts as empty because the file names it" for name in missing]
    workers = sum(counts(client, [("SCARD", box) for box in boxes])) if boxes else 0
    return Backlog(queues, workers_seen=workers, in_flight=flying, notes=notes)


def _bound(client: Client, keys: list[str], separator: str) -> set[str]:
    """The queues named by bindings, those that Celery talks to itself through left out.

    Raises ProbeError where one is written with another separator: its lists of priorities have other names too.
    """
    found = set()
    for key, members in zip(keys, client.ask_all([("SMEMBERS", key) for key in keys]), strict=True):
        for member in map(text, members) if isinstance(members, list | set) else ():
            if member.count(separator) < 2:
                raise ProbeError(
                    f"{safe(key, 100)} holds {safe(member, 100)!r}, written with another separator than {separator!r}: "
                    "lists of priorities cannot be counted",
                    hint="give `separator`, as `sep` in broker_transport_options; remove members of an earlier one",
                )
            if not _internal(key):
                found.add(member.rpartition(separator)[2])
    return {name for name in found if name and not _internal(name)}


def _internal(name: str) -> bool:
    return any(part in name for part in _INTERNAL)
