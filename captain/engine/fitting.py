"""Makes a result fit into one entry: what only explains is shortened first, and what is unmet is never left out."""

from __future__ import annotations

import json
from typing import Any

from captain.engine.ask import clip

MAX_DATA = 56 * 1024
"""Bytes of an entry's data; the rest of its 64 KiB is the envelope's."""


def fitted(data: dict[str, Any]) -> dict[str, Any]:
    """The data of a step.result, short enough to be recorded. The evidence keeps what is cut here.

    Where not even the unmet conditions fit none is kept: a result without conditions counts as meeting none.
    """
    for limit in (256, 64, 0):
        if size(data) <= MAX_DATA:
            return data
        data = {**data, "conditions": [{**one, "resolved": _cut(one["resolved"], limit)} for one in data["conditions"]]}
    for limit in (256, 64):
        if size(data) <= MAX_DATA:
            return data
        data = {
            **data,
            "truncated": True,
            "observed": {name: _cut(one, limit) for name, one in data["observed"].items()},
            "probes": [{**one, "error": _cut(one["error"], limit)} for one in data["probes"]],
        }
    if size(data) > MAX_DATA:
        unmet = [one for one in data["conditions"] if one["role"] == "expect" and one["verdict"] != "pass"]
        data = {**data, "conditions": unmet}
    return data if size(data) <= MAX_DATA else {**data, "conditions": []}


def _cut(value: Any, limit: int) -> Any:
    if not isinstance(value, str):
        return value
    return clip(value, limit) if limit else ""


def size(data: Any) -> int:
    """How many bytes the data takes in an entry."""
    return len(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
