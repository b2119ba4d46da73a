"""Works out queries of PromQL over samples of one moment, as far as a demo needs it. Pure; knows no shop and no HTTP.

There is no history: every counter is taken to have grown evenly since the process began, so `rate` is its value by
that time and `_over_time` functions give the value itself. What it does not know is refused, never guessed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
"""Values by labels; the name of a series is its label `__name__`."""
Value = float | Vector

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>\d+(?:\.\d+)?(?![\w.]))|(?P<span>\d+[smhdw])'
    r"|(?P<word>[A-Za-z_:][\w:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/(){}\[\],=<>]))"
)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda one, other: one / other if other else math.nan if not one else math.copysign(math.inf, one),
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": math.fsum,
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
    "avg": lambda values: math.fsum(values) / len(values),
}
_MATCHES: Mapping[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "=~": lambda value, regex: re.fullmatch(regex, value) is not None,
    "!~": lambda value, regex: re.fullmatch(regex, value) is None,
}


class NotKnown(ValueError):
    """The query holds what is not known here."""


@dataclass(frozen=True, slots=True)
class World:
    """What is asked."""

    samples: Vector
    now: float
    sampled: float
    """When the samples were taken, in seconds."""
    uptime: float
    """Seconds in which counters grew to what they are."""


def evaluate(query: str, world: World) -> Value:
    """The result. Raises NotKnown."""
    reader = _Reader(_tokens(query), world)
    value = reader.either()
    if reader.rest:
        raise NotKnown(f"{reader.rest[0]} is not expected here")
    return value


def _tokens(query: str) -> list[str]:
    found, at = [], 0
    query = query.strip()
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise NotKnown(f"{query[at : at + 20]!r} is not known here")
        found.append(match[0].strip())
        at = match.end()
    return found


class _Reader:
    """Reads a query from left to right and works it out on the way."""

    def __init__(self, tokens: list[str], world: World) -> None:
        self.rest = tokens
        self._world = world

    def either(self) -> Value:
        left = self._compared()
        while self._take("or"):
            right = self._compared()
            if not (isinstance(left, dict) and isinstance(right, dict)):
                raise NotKnown("or stands between vectors")
            known = {_unnamed(labels) for labels in left}
            left = left | {labels: value for labels, value in right.items() if _unnamed(labels) not in known}
        return left

    def _compared(self) -> Value:
        left = self._sum()
        while self.rest and self.rest[0] in _COMPARISONS:
            left = _filtered(left, _COMPARISONS[self.rest.pop(0)], self._sum())
        return left

    def _sum(self) -> Value:
        left = self._product()
        while self.rest and self.rest[0] in ("+", "-"):
            left = _combined(left, _ARITHMETIC[self.rest.pop(0)], self._product())
        return left

    def _product(self) -> Value:
        left = self._one()
        while self.rest and self.rest[0] in ("*", "/"):
            left = _combined(left, _ARITHMETIC[self.rest.pop(0)], self._one())
        return left

    def _one(self) -> Value:
        word = self._next()
        if word == "(":
            value = self.either()
            self._expect(")")
            return value
        if word == "-":
            return _combined(0.0, _ARITHMETIC["-"], self._one())
        if word[0].isdigit():
            return float(word) if word[-1].isdigit() else _span(word)
        if word in _AGGREGATIONS and self.rest[:1] in (["("], ["by"], ["without"]):
            return self._aggregated(_AGGREGATIONS[word])
        if self.rest[:1] == ["("]:
            return self._called(word)
        return self._selected(word)

    def _aggregated(self, how: Callable[[Sequence[float]], float]) -> Vector:
        by = self._grouping()
        self._expect("(")
        vector = _vector(self.either())
        self._expect(")")
        by = by if by is not None else self._grouping() or ()
        groups: dict[Labels, list[float]] = {}
        for labels, value in vector.items():
            groups.setdefault(frozenset(pair for pair in labels if pair[0] in by), []).append(value)
        return {labels: how(values) for labels, values in groups.items()}

    def _grouping(self) -> tuple[str, ...] | None:
        if not self._take("by"):
            return None
        self._expect("(")
        names = []
        while not self._take(")"):
            names.append(self._next())
            self._take(",")
        return tuple(names)

    def _called(self, name: str) -> Value:
        self._expect("(")
        given: list[Value | str] = []
        while not self._take(")"):
            given.append(_unquoted(self._next()) if self.rest and self.rest[0].startswith('"') else self.either())
            self._take(",")
        return _function(name, given, self._world)

    def _selected(self, name: str) -> Vector:
        if not re.fullmatch(r"[A-Za-z_:][\w:]*", name):
            raise NotKnown(f"{name} is not expected here")
        found = {labels: value for labels, value in self._world.samples.items() if ("__name__", name) in labels}
        if self._take("{"):
            while not self._take("}"):
                label, how, wanted = self._next(), self._next(), _unquoted(self._next())
                if how not in _MATCHES:
                    raise NotKnown(f"{how} is no match")
                self._take(",")
                found = {
                    labels: value
                    for labels, value in found.items()
                    if _MATCHES[how](dict(labels).get(label, ""), wanted)
                }
        if self._take("["):
            span = _span(self._next())
            self._expect("]")
            # The range goes with the values: only functions that know one take it away again.
            return {labels | {("__range__", str(span))}: value for labels, value in found.items()}
        return found

    def _take(self, token: str) -> bool:
        if self.rest[:1] == [token]:
            self.rest.pop(0)
            return True
        return False

    def _next(self) -> str:
        if not self.rest:
            raise NotKnown("the query ends too early")
        return self.rest.pop(0)

    def _expect(self, token: str) -> None:
        if (found := self._next()) != token:
            raise NotKnown(f"{found} stands where {token} is expected")


def _function(name: str, given: Sequence[Value | str], world: World) -> Value:
    match (name, *given):
        case ("time",):
            return world.now
        case ("vector", float(value)):
            return {frozenset(): value}
        case ("timestamp", dict(vector)):
            return {_unnamed(labels): world.sampled for labels in vector}
        case ("rate" | "irate", dict(vector)):
            return {_unnamed(labels): value / world.uptime for labels, value in vector.items()}
        case ("increase", dict(vector)):
            return {
                _unnamed(labels): value / world.uptime * float(dict(labels)["__range__"])
                for labels, value in vector.items()
            }
        case ("avg_over_time" | "min_over_time" | "max_over_time" | "last_over_time", dict(vector)):
            return {_unnamed(labels): value for labels, value in vector.items()}
        case ("histogram_quantile", float(share), dict(vector)):
            return _quantiles(share, vector)
        case ("label_replace", dict(vector), str(to), str(what), str(source), str(regex)):
            return {_relabelled(labels, to, what, source, regex): value for labels, value in vector.items()}
    raise NotKnown(f"the function {name} is not known here, or not with this")


def _quantiles(share: float, vector: Vector) -> Vector:
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in vector.items():
        end = dict(labels).get("le", "")
        rest = frozenset(pair for pair in _unnamed(labels) if pair[0] != "le")
        buckets.setdefault(rest, []).append((float(end.replace("+Inf", "inf")), value))
    return {labels: _quantile(share, sorted(spread)) for labels, spread in buckets.items()}


def _quantile(share: float, spread: Sequence[tuple[float, float]]) -> float:
    """As Prometheus does it: even within a bucket, and the end of the last finite one for what is above it."""
    total = spread[-1][1]
    if not total or not math.isinf(spread[-1][0]):
        return math.nan
    below, start = 0.0, 0.0
    for end, seen in spread:
        if seen >= share * total and seen > below:
            return start if math.isinf(end) else start + (end - start) * (share * total - below) / (seen - below)
        below, start = seen, end
    return math.nan


def _relabelled(labels: Labels, to: str, what: str, source: str, regex: str) -> Labels:
    match = re.fullmatch(regex, dict(labels).get(source, ""))
    if match is None:
        return labels
    value = re.sub(r"\$(\d)", lambda place: match[int(place[1])], what)
    return frozenset(pair for pair in labels if pair[0] != to) | ({(to, value)} if value else set())


def _combined(left: Value, how: Callable[[float, float], float], right: Value) -> Value:
    match (left, right):
        case (float(), float()):
            return how(left, right)
        case (dict(), float()):
            return {_unnamed(labels): how(value, right) for labels, value in left.items()}
        case (float(), dict()):
            return {_unnamed(labels): how(left, value) for labels, value in right.items()}
    pairs = _paired(_vector(left), _vector(right))
    return {labels: how(one, other) for labels, one, other in pairs}


def _filtered(left: Value, holds: Callable[[float, float], bool], right: Value) -> Vector:
    vector = _vector(left)
    if isinstance(right, float):
        return {labels: value for labels, value in vector.items() if holds(value, right)}
    return {labels: one for labels, one, other in _paired(vector, right) if holds(one, other)}


def _paired(left: Vector, right: Vector) -> Iterable[tuple[Labels, float, float]]:
    others = {_unnamed(labels): value for labels, value in right.items()}
    return [
        (_unnamed(labels), value, others[_unnamed(labels)])
        for labels, value in left.items()
        if _unnamed(labels) in others
    ]


def _vector(value: Value) -> Vector:
    if isinstance(value, dict):
        return value
    raise NotKnown("a number stands where series are expected")


def _unnamed(labels: Labels) -> Labels:
    return frozenset(pair for pair in labels if not pair[0].startswith("__"))


def _span(word: str) -> float:
    if word[-1:] not in _SECONDS or not word[:-1].isdigit():
        raise NotKnown(f"{word} is no duration")
    return float(word[:-1]) * _SECONDS[word[-1]]


def _unquoted(word: str) -> str:
    if not word.startswith('"'):
        raise NotKnown(f"{word} is no text")
    return re.sub(r"\\(.)", r"\1", word[1:-1])
