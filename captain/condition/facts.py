"""Observed values on their way into an expression: by declared name, bounded, made of what the library can take.

NaN, infinities and null observations are left out, so that a condition on them is unknown. Durations and
moments below the top level become text, as in JSON: the library takes them nowhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from captain.condition.render import GONE, aware, moment
from captain.condition.tree import Read
from captain.release import Release

MAX_TEXT = 64 * 1024
"""Characters of one text that conditions read."""
MAX_ITEMS = 1000
"""Elements of one list that conditions look through."""
_INT64 = 1 << 63
_UNHELD = re.compile("[\0\ud800-\udfff]")

Path = tuple[str | int, ...]


class Facts:
    """The values of one judgement, each converted once however many conditions read it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self._plain: dict[tuple[str, bool], tuple[Any, dict[Path, str]]] = {}

    def find(self, name: str) -> Any:
        """The value of a declared name, or GONE; `backend` collects every `backend.…`."""
        value = self.values.get(name, GONE)
        if value is GONE:
            prefix = f"{name}."
            below = {key[len(prefix) :]: item for key, item in self.values.items() if key.startswith(prefix)}
            value = below or GONE
        return GONE if _void(value) else value

    def at(self, read: Read) -> Any:
        """The value at a read, or GONE."""
        value = self.find(read.name)
        for key in read.keys:
            if isinstance(value, Mapping) and isinstance(key, str):
                value = value.get(key, GONE)
            elif isinstance(value, list | tuple) and isinstance(key, int) and 0 <= key < len(value):
                value = value[key]
            else:
                return GONE
        return GONE if value is not None and _void(value) else value

    def plain(self, name: str, *, whole: bool) -> tuple[Any, dict[Path, str]]:
        """The value as the library takes it, and what is too large by its path; `whole` leaves it in."""
        if (name, whole) not in self._plain:
            large: dict[Path, str] = {}
            self._plain[name, whole] = (_plain(self.find(name), (), large, whole), large)
        return self._plain[name, whole]


def _void(value: Any) -> bool:
    return value is None or value is GONE or (isinstance(value, float) and not math.isfinite(value))


def _plain(value: Any, at: Path, large: dict[Path, str], whole: bool) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            if len(value) > MAX_TEXT:
                large[at] = f"has {len(value):,} characters; conditions read at most {MAX_TEXT:,}"
                if not whole:
                    return GONE
            return _text(value)
        case int():
            return value if -_INT64 <= value < _INT64 else _double(value)
        case float():
            return value if math.isfinite(value) else GONE
        case timedelta():
            return value if not at else f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
        case datetime():
            return aware(value) if not at else moment(value)
        case Mapping():
            pairs = ((_text(str(key)), _plain(item, (*at, str(key)), large, whole)) for key, item in value.items())
            return {key: item for key, item in pairs if item is not GONE}
        case list() | tuple():
            if len(value) > MAX_ITEMS:
                large[at] = f"has {len(value):,} elements; conditions look through at most {MAX_ITEMS:,}"
                if not whole:
                    return GONE
            items = [_plain(item, (*at, index), large, whole) for index, item in enumerate(value)]
            return GONE if any(item is GONE for item in items) else items
        case _:
            return GONE


def _text(value: str) -> str:
    """The library ends a text at its first NUL, so "ok\\0evil" would equal "ok", and takes no lone surrogates."""
    return _UNHELD.sub("\ufffd", value)


def _double(value: int) -> Any:
    try:
        return float(value)
    except OverflowError:
        return GONE


Observed = Mapping[str, Mapping[str, Any]]
"""By probe, a single one under "": what it observed."""


def activation(
    observed: Observed,
    *,
    release: Release | None = None,
    previous: Release | None = None,
    environment: str | None = None,
    vars: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    now: datetime | None = None,
    started_at: datetime | None = None,
    signed: bool = False,
    before: Observed | None = None,
    last: Observed | None = None,
) -> dict[str, Any]:
    """The values of a scope's names. What is None or missing is left out, so that what needs it is unknown."""
    values: dict[str, Any] = {**_flat(observed), "signed": signed}
    values.update({f"before.{name}": value for name, value in _flat(before or {}).items()})
    values["last"] = _nested(last or {})
    values.update({**_release("release", release), **_release("previous", previous)})
    for group, members in (("vars", vars), ("inputs", inputs), ("secrets", secrets)):
        values.update({f"{group}.{name}": value for name, value in (members or {}).items()})
    values.update({"environment": environment, "now": now, "deploy.started_at": started_at})
    return {name: value for name, value in values.items() if value is not None}


def _flat(observed: Observed) -> dict[str, Any]:
    return {
        (f"{probe}.{name}" if probe else name): value
        for probe, observations in observed.items()
        for name, value in observations.items()
    }


def _nested(observed: Observed) -> dict[str, Any]:
    named = {probe: dict(observations) for probe, observations in observed.items() if probe}
    return {**observed.get("", {}), **named}


def _release(name: str, release: Release | None) -> dict[str, Any]:
    if release is None:
        return {}
    return {
        f"{name}.version": release.version,
        f"{name}.commit": release.commit,
        f"{name}.tag": release.tag,
        f"{name}.images": {key: image.pinned for key, image in release.images.items()},
        f"{name}.digests": {key: image.digest for key, image in release.images.items()},
    }
