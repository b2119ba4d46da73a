"""What an export format is: entries of the log, or the result of a check, as bytes. Pure; opens and writes nothing.

A format is one file of this package, named as the format, with functions under `@export` (entries) and `@report`
(results). The bytes are the contract: golden files in the tests hold them still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from captain.events import Recorded
from captain.registry import Registry


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, twice: as it is stored and as it reads."""

    body: str
    """Byte for byte what the log holds."""
    event: Recorded


@dataclass(frozen=True, slots=True)
class Story:
    """What is exported."""

    entries: Iterable[Entry]
    """In the order of the log; read once."""
    run: str | None = None
    """Its run, or None for the whole log."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """Titles of steps and sections by id, as far as they are known."""


Exporter = Callable[[Story], Iterator[bytes]]
Reporter = Callable[[Mapping[str, Any]], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """What a file of this package can write."""

    name: str
    suffix: str = ""
    entries: Exporter | None = None
    """Writes entries of the log, a piece at a time."""
    result: Reporter | None = None
    """Writes the result document of a check."""


Mark = Literal["pass", "warn", "fail", "unknown", "waits", "waived", "excused"]
"""How a step of a result document is shown. Excused: switched off, not applicable, or no check's business."""

_EXCUSED = ("not-applicable", "disabled", "not-run")
_NOT_SEEN = ("todo", "measuring", "stale")


def mark(step: Mapping[str, Any]) -> Mark:
    """What a step came to, the same in every format. A good verdict that is old, or not settled, is no pass."""
    verdict, state, unmet = step["verdict"], step["state"], step["unmet"]
    if state in _EXCUSED:
        return "excused"
    if state == "waived":
        return "waived"
    if any(one["meaning"] == "reject" and not one["lapsed"] for one in step["signed"]):
        return "fail"
    if state in ("waiting", "lapsed"):
        return "waits"
    if state == "measuring" or (state in _NOT_SEEN and verdict != "fail"):
        return "unknown"
    if unmet is not None and verdict in ("pass", "warn"):
        return "fail" if unmet["exit_code"] == 1 else "unknown" if unmet["exit_code"] == 3 else "waits"
    found: Mark = verdict
    return found


exports: Registry[Format] = Registry("captain.exports", "captain.exports")


def export(name: str, *, suffix: str) -> Callable[[Exporter], Exporter]:
    """Register what writes entries under a format's name."""

    def keep(writer: Exporter) -> Exporter:
        _register(replace(_known(name, suffix), entries=writer))
        return writer

    return keep


def report(name: str, *, suffix: str) -> Callable[[Reporter], Reporter]:
    """Register what writes a check's result under a format's name."""

    def keep(writer: Reporter) -> Reporter:
        _register(replace(_known(name, suffix), result=writer))
        return writer

    return keep


_formats: dict[str, Format] = {}


def _known(name: str, suffix: str) -> Format:
    return _formats.get(name) or Format(name, suffix)


def _register(made: Format) -> None:
    _formats[made.name] = made
    exports.register(made.name)(made)


def names(of: str) -> list[str]:
    """The formats that can write `entries` or a `result`. Imports every format's file."""
    found = [(name, exports.find(name)) for name in exports.names()]
    return [name for name, one in found if one is not None and getattr(one, of) is not None]
