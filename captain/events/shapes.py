"""The shape of every entry type: which keys its data has and of which type. Pure data and its checker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

ENTRY_TYPES: dict[str, str] = {
    "log.open": "format:I",
    "clock.step": "cause:backwards|drift, before:S, drift_ms:I",
    "trust.given": "digest:H, commands:I, via:screen|cli, root:T",
    "run.start": """kind:release|check|rollback|standing, service:T, environment:T, protected:B, checklist:T,
        version:T?, commit:T?, tag:T?, untagged:B, images:{ref:T, pinned:T, digest:T, basis:repository|id}*,
        previous:(version:T?, commit:T?, images:{ref:T, pinned:T, digest:T, basis:repository|id}*,
        source:observed|last_run, differs:B)?, files:[(path:T, sha256:H, evidence:H)], trust:H?, linked:T?""",
    "run.bound": """version:T?, commit:T?, tag:T?, images:{ref:T, pinned:T, digest:T, basis:repository|id}*,
        tree:clean|changed|unknown""",
    "run.authors": "names:[T], known:B",
    "run.inputs": "values:{T}*",
    "run.checked": "verdict:V, measured:I, kept:I",
    "run.looked": "kept:[I], changed:[I]",
    "run.resume": "pid:I, files_changed:B",
    "run.suspended": "signal:T",
    "run.emergency": "reason:T",
    "run.end": """state:completed|aborted|superseded|rolled_back|rollback_incomplete|checked, verdict:V, reason:T?,
        left_running:T?, review_due:S?""",
    "checklist.changed": """decision:keep|adopt, files:[(path:T, sha256:H, evidence:H)], changed:[T], added:[T],
        removed:[T]""",
    "step.intent": """attempt:U, step:T, definition:H, safety:active|drill, does:[T], confirmed:T?, trust:H?, pid:I,
        starttime:I?""",
    "step.result": """step:T, definition:H, purpose:measure|gate|before|observe|verify|check|active|drill, verdict:V,
        severity:blocker|warning|info, message:T, attempts:I, started:S, duration_ms:I, held_ms:I?, max_age_ms:I,
        attempt:U?, probes:[(name:T, kind:T, duration_ms:I, error:T?, evidence:H)], observed:{X}*,
        conditions:[(expect:T, role:expect|warn, verdict:V, resolved:T)], truncated:B""",
    "step.rests": "step:T, on:[T], digest:H, ends:B",
    "step.note": "step:T?, text:T, evidence:[E]",
    "signoff": """on:step|gate|review, target:T, meaning:approve|reject|not_applicable|countersign, note:T,
        roles:[T], role_checked:B, definition:H?, seen:(of:I, verdict:V)?, expires:S?, evidence:[E], of:I?""",
    "waiver": """step:T, reason:T, owner:T, expires:S, definition:H, conditions:[T], seen:(of:I, verdict:V),
        countersign:needed|impossible|not_required""",
    "signoff.withdraw": "of:I, note:T",
    "gate.decision": """section:T, decision:go|no_go, note:T, counted:[(step:T, verdict:V, of:I?)], risk:[T],
        overridden:[(step:T, verdict:V)], confirmed:T?, no_way_back:T?, opens:T?""",
    "section.reopened": "section:T, reason:T",
    "lock.acquire": "service:T, environment:T, pid:I, reason:T",
    "lock.release": "of:I",
    "lock.take": "of:I, holder:(name:T, host:T, pid:I), reason:T, confirmed:T",
    "rollback.point": """targets:[(id:N, strategy:T, from:T?, to:T, image:T?, env_names:[T], file:T,
        file_digest:H, ready:B, why:T?)], trust:H?""",
    "rollback.intent": """rollback:U, plan_sha256:H, point:I, to:(version:T?, commit:T?,
        images:{ref:T, pinned:T, digest:T, basis:repository|id}*), parts:[(id:N, strategy:T, from:T, to:T, verb:T)],
        stops:[T], confirmed:T?, fence:I""",
    "rollback.end": """rollback:U, state:rolled_back|rollback_incomplete, verified:[(step:T, verdict:V, of:I)],
        why:T?, cause:T?, duration_ms:I""",
    "action.intent": """attempt:U, step:T?, rollback:U?, part:N?, how:run|shell|external|api, argv:[T],
        argv_sha256:H, program:T?, cwd:T, env_names:[T], timeout_ms:I, idempotent:B, observe:B, trust:H?, fence:I,
        retry_of:U?""",
    "action.started": "attempt:U, pid:I?, starttime:I?, boot:T",
    "action.finished": """attempt:U, outcome:exited|signalled|timed_out|cancelled|lost, exit_code:I?, signal:T?,
        duration_ms:I?, stdout:H?, stderr:H?, truncated:B, survivors:[T]""",
    "action.resolved": """attempt:U, outcome:applied|not_applied|partial, by:observation|person, of:I?, note:T?,
        evidence:[E]""",
    "export.made": "format:T, scope:T?, first:I, last:I, sha256:H, bytes:I",
}
"""T text of at most 4 KiB, U the id of an attempt or rollback, N an id of the files, I int, B bool, H hex SHA-256,
S stamp, V verdict, X text, int or bool, `?` may be null, E evidence (name, media, size, digest), (…) an object with
just these keys, {…}* an object with any names whose values have that shape, […] a list, a|b one of these words."""

EVIDENCE = "name:T, media:T, size:I, digest:H"
MAX_TEXT = 4096
MAX_INT = 2**53

_TOKEN = re.compile(r"\s*([a-z_0-9]+:|[A-Za-z_]+(?:\|[a-z_]+)+|[A-Z]|\[|\]|\(|\)|\{|\}\*|\}|\?|,|[a-z_]+)")
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_HEX = re.compile(r"[0-9a-f]{64}")
_VERDICTS = frozenset(("pass", "warn", "unknown", "fail"))

Shape = tuple[str, Any, bool]
"""(what, detail, may be null)."""


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def fields(self, end: str) -> dict[str, Shape]:
        fields: dict[str, Shape] = {}
        while self.peek() != end:
            key = self.take().removesuffix(":")
            fields[key] = self.shape()
            if self.peek() == ",":
                self.take()
        return fields

    def shape(self) -> Shape:
        token = self.take()
        what: str
        detail: Any
        if token == "[":
            what, detail = "list", self.shape()
            self.take()
        elif token == "(":
            what, detail = "object", self.fields(")")
            self.take()
        elif token == "{":
            if self.peek().endswith(":"):
                what, detail = "map", ("object", self.fields("}*"), False)
            else:
                what, detail = "map", self.shape()
            self.take()
        elif token == "E":
            what, detail = "object", _Parser(EVIDENCE).fields("")
        elif "|" in token:
            what, detail = "word", frozenset(token.split("|"))
        else:
            what, detail = token, None
        nullable = self.peek() == "?"
        if nullable:
            self.take()
        return (what, detail, nullable)


@cache
def shape_of(entry_type: str) -> dict[str, Shape] | None:
    """The keys of an entry type, or None for a type this captain does not know."""
    text = ENTRY_TYPES.get(entry_type)
    return None if text is None else _Parser(text).fields("")


def faults(entry_type: str, data: Any) -> list[str]:
    """What is wrong with the data of an entry: one sentence each, empty when nothing is."""
    fields = shape_of(entry_type)
    if fields is None:
        return [f"unknown entry type {str(entry_type)[:64]!r}"]
    return _object("data", fields, data)


def _object(where: str, fields: Mapping[str, Shape], value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where} is not an object"]
    found: list[str] = []
    if value.keys() != fields.keys():
        found += [f"{where}.{key} is missing" for key in fields if key not in value]
        found += [f"{where}.{str(key)[:64]} does not belong" for key in value if key not in fields]
    for key, shape in fields.items():
        # Whole logs are checked: the name of a place is put together only where something is wrong.
        if key in value and not _plain(shape, value[key]):
            found += _value(f"{where}.{key}", shape, value[key])
    return found


def _plain(shape: Shape, value: Any) -> bool:
    """Whether a value is right at first sight; what is not gets a closer look."""
    what, _, nullable = shape
    kind = type(value)
    if kind is str:
        return (what == "T" or what == "X") and len(value) <= MAX_TEXT // 4
    if kind is bool:
        return what == "B" or what == "X"
    if kind is int:
        return (what == "I" or what == "X") and -MAX_INT < value < MAX_INT
    return value is None and nullable


def _value(where: str, shape: Shape, value: Any) -> list[str]:
    what, detail, nullable = shape
    if value is None:
        return [] if nullable else [f"{where} is null"]
    if what == "object":
        return _object(where, detail, value)
    if what == "list":
        if not isinstance(value, list):
            return [f"{where} is not a list"]
        return [fault for at, item in enumerate(value) for fault in _value(f"{where}[{at}]", detail, item)]
    if what == "map":
        if not isinstance(value, dict):
            return [f"{where} is not an object"]
        return [
            fault
            for key, item in value.items()
            if not _plain(detail, item)
            for fault in _value(f"{where}.{key}", detail, item)
        ]
    return [] if _scalar(what, detail, value) else [f"{where} is not {_NAMES.get(what, 'one of its words')}"]


_NAMES = {
    "T": "a text of at most 4 KiB",
    "I": "an integer",
    "B": "true or false",
    "U": "the id of an attempt or rollback",
    "N": "an id",
    "H": "a SHA-256",
    "S": "a time stamp",
    "V": "a verdict",
    "X": "a scalar",
}


def _scalar(what: str, detail: Any, value: Any) -> bool:
    if what == "B":
        return isinstance(value, bool)
    if what == "I":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_INT
    if what == "X":
        return isinstance(value, bool) or _scalar("I", None, value) or _scalar("T", None, value)
    if not isinstance(value, str):
        return False
    if what == "T":
        return len(value.encode("utf-8", "surrogatepass")) <= MAX_TEXT
    if what == "U":
        return _ID.fullmatch(value) is not None
    if what == "N":
        return _NAME.fullmatch(value) is not None
    if what == "H":
        return _HEX.fullmatch(value) is not None
    if what == "S":
        return _STAMP.fullmatch(value) is not None
    if what == "V":
        return value in _VERDICTS
    return value in detail
