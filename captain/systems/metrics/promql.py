"""What can be told from the text of a PromQL query: which series it reads, and what it says without them. Asks nobody.

This is no parser: text that Prometheus would refuse gives some answer here, and Prometheus refuses it itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

_TOKEN = re.compile(
    r"\s+|#[^\n]*"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'(?:[^'\\\n]|\\.)*'"
    r"|`[^`]*`"
    r"|[A-Za-z_:][A-Za-z0-9_:]*|[0-9][0-9A-Za-z_.]*|.",
    re.DOTALL,
)
_AGGREGATIONS = frozenset(
    (
        *("sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "bottomk", "topk"),
        *("quantile", "limitk", "limit_ratio"),
    )
)
_GROUPINGS = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))
_WORDS = frozenset(("and", "or", "unless", "atan2", "bool", "offset", "inf", "nan", "start", "end"))
_ABSENT = frozenset(("absent", "absent_over_time"))
_SHIFTS = frozenset(("offset", "@"))
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_CONSTANT = re.compile(r"vector\(-?[0-9.eE]+\)")


@dataclass(frozen=True, slots=True)
class Source:
    """A selector of series as it is used."""

    selector: str
    modifiers: str
    """The offset and @ behind it, as written."""
    span: float | None
    """Seconds of its range; None without one, or where samples of before it can count too."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a query reads."""

    sources: tuple[Source, ...]
    """Each use once."""
    shifted: bool
    """Whether an offset or @ stands where it does not belong to one selector alone, or means the start of a window."""
    either: bool
    """Whether it holds an `or`, which answers though a side of it reads nothing."""
    asks_absence: bool
    """Whether it asks for series that are not there, so that none being there is an answer."""
    without_fallback: str | None
    """The query without the `or vector(0)` at its end; None where it has none."""

    @property
    def selectors(self) -> tuple[str, ...]:
        """As written, each once, without range, offset and @."""
        return tuple(dict.fromkeys(source.selector for source in self.sources))


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int
    depth: int
    """How many brackets are open before it."""

    @property
    def word(self) -> str:
        return self.text.lower()


def reading(query: str) -> Reading:
    """What a query reads."""
    tokens = _tokens(query)
    words = {token.word for token in tokens}
    sources = [_source(query, tokens, first, last) for first, last in _selectors(tokens)]
    if any(token.text[0] == ":" and before.text[0].isdecimal() for before, token in pairwise(tokens)):
        # A subquery looks at its selectors at earlier moments too.
        sources = [replace(source, span=None) for source in sources]
    attached = sum(sum(word in _SHIFTS for word in source.modifiers.split()) for source in sources)
    return Reading(
        sources=tuple(dict.fromkeys(sources)),
        shifted=sum(token.word in _SHIFTS for token in tokens) > attached,
        either="or" in words,
        asks_absence=bool(words & _ABSENT),
        without_fallback=_without_fallback(query, tokens),
    )


def _tokens(query: str) -> list[_Token]:
    found: list[_Token] = []
    depth = 0
    for match in _TOKEN.finditer(query):
        text = match.group()
        if text.isspace() or text.startswith("#"):
            continue
        found.append(_Token(text, match.start(), match.end(), depth))
        depth += (text in _OPEN) - (text in _CLOSE)
    return found


def _source(query: str, tokens: list[_Token], first: int, last: int) -> Source:
    """The selector between two tokens, and what stands behind it."""
    at, span = last + 1, None
    if at < len(tokens) and tokens[at].text == "[":
        span = _seconds("".join(_inside(tokens, at)))
        at = _closing(tokens, at) + 1
    modifiers: list[str] = []
    while some := _modifier([token.word for token in tokens[at : at + 4]]):
        modifiers += some
        at += len(some)
    return Source(query[tokens[first].start : tokens[last].end], " ".join(modifiers), None if modifiers else span)


def _modifier(words: list[str]) -> list[str]:
    """The words of an offset or @ that these begin with. `start()` is none: it means the beginning of a window."""
    if not words or words[0] not in _SHIFTS:
        return []
    if words[0] == "@" and words[1:] == ["end", "(", ")"]:
        return words
    length = 3 if words[1:2] == ["-"] else 2
    return words[:length] if len(words) >= length and words[length - 1][0].isdecimal() else []


def _inside(tokens: list[_Token], at: int) -> list[str]:
    """What stands between the bracket at `at` and the one that closes it."""
    return [token.text for token in tokens[at + 1 : _closing(tokens, at)]]


def _seconds(text: str) -> float | None:
    if not _DURATION.fullmatch(text):
        return None
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def _selectors(tokens: list[_Token]) -> list[tuple[int, int]]:
    """The first and last token of each."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1].word if at + 1 < len(tokens) else ""
        named = token.text[0].isalpha() or token.text[0] in "_:"
        if token.text == "[":
            at = _closing(tokens, at)
        elif token.text == "{" or (named and following == "{"):
            first, at = at, _closing(tokens, at + named)
            found.append((first, min(at, len(tokens) - 1)))
        elif named and token.word in _GROUPINGS:
            at = _closing(tokens, at + 1) if following == "(" else at
        elif named and not _is_call(token.word, following) and token.word not in _WORDS:
            found.append((at, at))
        at += 1
    return found


def _is_call(word: str, following: str) -> bool:
    return following == "(" or (word in _AGGREGATIONS and following in ("by", "without"))


def _closing(tokens: list[_Token], at: int) -> int:
    """Where the bracket that opens at `at` closes, or the end."""
    inside = tokens[at].depth
    return next(
        (place for place in range(at + 1, len(tokens)) if tokens[place].depth == inside + 1 and _closes(tokens, place)),
        len(tokens),
    )


def _closes(tokens: list[_Token], at: int) -> bool:
    return tokens[at].text in _CLOSE


def _bare(tokens: list[_Token]) -> list[_Token]:
    """Without brackets around the whole."""
    while tokens and tokens[0].text == "(" and _closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _without_fallback(query: str, tokens: list[_Token]) -> str | None:
    tokens = _bare(tokens)
    ors = [at for at, token in enumerate(tokens) if token.word == "or" and token.depth == tokens[0].depth]
    if not ors or ors[-1] == 0:
        return None
    left, right = tokens[: ors[-1]], tokens[ors[-1] + 1 :]
    if right and right[0].word in ("on", "ignoring") and len(right) > 1 and right[1].text == "(":
        right = right[_closing(right, 1) + 1 :]
    if not _CONSTANT.fullmatch("".join(token.text for token in _bare(right))):
        return None
    return query[left[0].start : left[-1].end]
