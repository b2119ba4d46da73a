"""What can be told from the text of a PromQL query: which series it reads, and what it says without them. Asks nobody.

This is no parser: text that Prometheus would refuse gives some answer here, and Prometheus refuses it itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_CONSTANT = re.compile(r"vector\(-?[0-9.eE]+\)")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a query reads."""

    selectors: tuple[str, ...]
    """Selectors of series as written, each once, without range, offset and @."""
    shifted: bool
    """Whether some of it is read at another time than the query's: offset or @."""
    asks_absence: bool
    """Whether it asks for series that are not there, so that none being there is an answer."""
    without_fallback: str | None
    """The query without the `or vector(0)` at its end; None where it has none."""


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
    return Reading(
        selectors=tuple(dict.fromkeys(query[start:end] for start, end in _selectors(tokens))),
        shifted="offset" in words or "@" in words,
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


def _selectors(tokens: list[_Token]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1].word if at + 1 < len(tokens) else ""
        named = token.text[0].isalpha() or token.text[0] in "_:"
        if token.text == "[":
            at = _closing(tokens, at)
        elif token.text == "{" or (named and following == "{"):
            at = _closing(tokens, at + named)
            found.append((token.start, tokens[min(at, len(tokens) - 1)].end))
        elif named and token.word in _GROUPINGS:
            at = _closing(tokens, at + 1) if following == "(" else at
        elif named and not _is_call(token.word, following) and token.word not in _WORDS:
            found.append((token.start, token.end))
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
