"""Whether one stored row is an entry that captain wrote, and follows the one before. Rows are hostile; no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from captain.events.shapes import ENTRY_TYPES, faults
from captain.log.canonical import leaf_hash, parse
from captain.log.envelope import START, VERSION
from captain.log.merkle import Tree
from captain.log.report import Finding, Upto
from captain.log.ulid import is_ulid
from captain.safe import safe

COLUMNS = (
    "seq, id, prev, hash, run, type, body, "
    "typeof(id)||typeof(prev)||typeof(hash)||typeof(run)||typeof(type)||typeof(body)"
)
"""What `Chain.check` takes, with text as bytes."""
_TYPES = b"textblobblobtexttexttext"
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_KEYS = frozenset(("v", "log", "seq", "id", "prev", "ts", "mono", "boot", "actor", "tool", "type", "run", "data"))
_ACTOR = {"name": str, "source": str, "login": str, "uid": int, "host": str}

Row = tuple[Any, ...]
Add = Callable[[Finding], None]


class Chain:
    """The state of a walk from entry to entry."""

    def __init__(self, log_id: str, upto: Upto | None, add: Add) -> None:
        self.log_id = log_id
        self.seq = upto.seq if upto else 0
        self.hash = upto.hash if upto else START
        self.ts = upto.ts if upto else ""
        self.tree = Tree(upto.seq, upto.edge) if upto else Tree()
        self._add = add

    @property
    def upto(self) -> Upto:
        """Where the walk stands."""
        return Upto(self.log_id, self.seq, self.hash, self.tree.edge, self.ts)

    def check(self, row: Row) -> dict[str, Any] | None:
        """Report what is wrong with the next row. Returns its body, unless that cannot be relied on.

        Whatever a row holds, the walk goes on: one changed entry must not hide the next.
        """
        seq = row[0]
        if type(seq) is not int or not self.seq < seq < 2**53:
            self._bad(None, f"after entry {self.seq} there is a row that is no entry")
            return None
        if seq != self.seq + 1:
            self._bad(self.seq + 1, f"missing: the log goes on with entry {seq}")
        self.seq = seq
        try:
            return self._entry(row)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._bad(seq, f"cannot be checked: {safe(error, 200)}")
            return None

    def _bad(self, seq: int | None, what: str) -> None:
        self._add(Finding(seq, what))

    def _entry(self, row: Row) -> dict[str, Any] | None:
        seq, name, prev, stored, run, kind, body, types = row
        if types != _TYPES or not all(type(value) is bytes for value in row[1:]):
            self._bad(seq, "the row is damaged: a column holds the wrong kind of value")
            self._next(stored if type(stored) is bytes and len(stored) == 32 else b"")
            return None
        expected = self.hash
        leaf = leaf_hash(body)
        self._next(stored)
        if leaf != stored:
            self._bad(seq, "its text was changed: it does not match its hash")
            return None
        if prev != expected:
            self._bad(seq, f"does not follow entry {seq - 1}: one of the two was replaced")
        try:
            value = parse(body)
        except ValueError as error:
            self._bad(seq, f"its text {safe(error, 200)}")
            return None
        columns = {"id": name, "run": run, "type": kind}
        for key, column in columns.items():
            if str(value.get(key)).encode("utf-8", "surrogatepass") != column:
                self._bad(seq, f"the column {key} differs from the entry's text")
        if value.get("seq") != seq:
            self._bad(seq, "its text carries another number")
        if value.get("prev") != prev.hex():
            self._bad(seq, "its text names another entry before it")
        if value.get("log") != self.log_id:
            self._bad(seq, "its text belongs to another log")
        for problem in self._envelope(value):
            self._bad(seq, problem)
        return value

    def _next(self, stored: bytes) -> None:
        self.hash = stored
        self.tree.add(stored)

    def _envelope(self, value: dict[str, Any]) -> Iterator[str]:
        version = value.get("v")
        if type(version) is not int or version < VERSION:
            yield "has no version that captain knows"
            return
        if version > VERSION:
            self._add(Finding(self.seq, f"was written in a newer form ({version}), not looked into", "note"))
            return
        if value.keys() != _KEYS:
            yield f"its parts are not those of an entry: {safe(', '.join(sorted(value.keys() ^ _KEYS)), 200)}"
            return
        if not is_ulid(str(value["id"])):
            yield "its id is no ULID"
        if type(value["mono"]) is not int or type(value["boot"]) is not str or type(value["tool"]) is not dict:
            yield "its clock or tool is not in the form of an entry"
        actor = value["actor"]
        if (
            type(actor) is not dict
            or actor.keys() != {*_ACTOR, "key"}
            or any(type(actor[key]) is not kind for key, kind in _ACTOR.items())
            or not (actor["key"] is None or type(actor["key"]) is str)
        ):
            yield "does not say who wrote it in the form of an entry"
        if (self.seq == 1) != (value["type"] == "log.open"):
            yield "a log begins with log.open, and only there"
        if value["type"] not in ENTRY_TYPES:
            yield f"has the type {safe(value['type'], 64)}, which captain does not know"
        else:
            yield from (safe(fault, 200) for fault in faults(value["type"], value["data"])[:3])
        self._time(value)

    def _time(self, value: dict[str, Any]) -> None:
        try:
            if not _STAMP.fullmatch(value["ts"]):
                raise ValueError
            datetime.fromisoformat(value["ts"])
        except (ValueError, TypeError):
            self._bad(self.seq, "its time is not in the form of an entry")
            return
        if value["ts"] < self.ts and value["type"] != "clock.step":
            self._add(Finding(self.seq, f"is dated before the entry in front of it ({safe(value['ts'], 40)})", "note"))
        self.ts = value["ts"]


def evidence_named(value: dict[str, Any]) -> Iterator[str]:
    """The digests that an entry's data refers to as evidence."""
    stack: list[Any] = [value.get("data")]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack.extend(part)
        elif isinstance(part, dict):
            for key, item in part.items():
                if key == "evidence" and isinstance(item, str):
                    yield item
                elif key == "evidence" and isinstance(item, list):
                    yield from (str(piece.get("digest")) for piece in item if isinstance(piece, dict))
                else:
                    stack.append(item)
