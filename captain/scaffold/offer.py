"""One offer: what a step would ask of which kind, and whether this captain can. Knows no item and no repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from captain.probes import probes
from captain.scaffold.quoting import Plain

_TEXTS = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORDS = frozenset(("true", "false", "null", "in", "params", "MB"))


@dataclass(frozen=True, slots=True)
class Offer:
    """What a step would ask."""

    why: str
    """What was found that makes it possible."""
    asks: Mapping[str, tuple[str, Mapping[str, Plain]]]
    """Kind and parameters by name; a single probe stands under ""."""
    expect: tuple[str, ...]
    params: Mapping[str, str] | None = None
    """Thresholds, as CEL."""
    warn: tuple[str, ...] = ()
    half: str = ""
    """What a person shows besides, where the probe sees only a part of the item."""

    def titled(self, own: str, title: str) -> Offer | None:
        """The offer for a title with other numbers than the item's own: its thresholds, where it has as many.

        None where a number is asked for that it could not hold to.
        """
        asked, usual = _NUMBER.findall(title), _NUMBER.findall(own)
        if asked == usual:
            return self
        if not self.params or len(asked) != len(self.params):
            return None
        return replace(self, params=dict(zip(self.params, asked, strict=True)))

    @property
    def ready(self) -> bool:
        """Whether this captain has the kinds, and they take and observe what is written."""
        return all(self._fits(name, kind, params) for name, (kind, params) in self.asks.items())

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind for kind, _ in self.asks.values()))

    def _fits(self, name: str, kind: str, params: Mapping[str, Plain]) -> bool:
        cls = probes.find(kind)
        if cls is None:
            return False
        try:
            cls.model_validate(params)
        except ValidationError:
            return False
        return self._named(name) <= {*cls.Observes.__annotations__}

    def _named(self, name: str) -> set[str]:
        text = _TEXTS.sub("", " ".join((*self.expect, *self.warn)))
        if name:
            return set(re.findall(rf"\b{name}\.([a-z_]\w*)", text))
        return set(re.findall(r"(?<![\w.])[a-z_]\w*\b(?!\()", text)) - _WORDS


def one(why: str, kind: str, params: Mapping[str, Plain], *expect: str) -> Offer:
    """An offer of a single probe."""
    return Offer(why, {"": (kind, params)}, expect)
