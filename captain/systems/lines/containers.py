"""The newest lines of containers, within bounds. Blocks; knows no record and no verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.docker import containers as told
from captain.systems.docker.look import Selection, chosen
from captain.systems.docker.reader import Reader
from captain.systems.lines.files import Piece
from captain.systems.lines.lines import Line

MOST = 8 * 1024 * 1024
"""Bytes of all containers together."""
CONTAINERS = 20
_SHOWN = 5
_SKEW = timedelta(seconds=2)
"""The engine tells its time to the second."""


@dataclass(slots=True)
class Containers:
    """What was read."""

    pieces: list[Piece] = field(default_factory=list)
    now: datetime | None = None
    """The engine's time; None where it does not tell."""
    start: datetime | None = None
    """From when on lines count, by the engine's time."""
    notes: list[str] = field(default_factory=list)
    """What the selection left open."""


def read_containers(
    engine: Reader,
    selection: Selection,
    tail: int,
    start: Callable[[datetime | None], datetime | None],
    before: timedelta,
) -> Containers:
    """Lines of every container that is meant, from `before` the start on, which is worked out from the engine's time.

    Raises where none is meant, or the log of one cannot be read.
    """
    meant, notes = chosen(selection, engine.containers())
    if not meant:
        raise ProbeError("logs: no container matches", fault="unclear", hint="check names, services and project")
    if gone := selection.unmet(meant):
        shown = ", ".join(safe(name, 100) for name in gone[:_SHOWN])
        raise ProbeError(f"logs: no container is {shown}", fault="unclear", hint="is it running? check names, services")
    if len(meant) > CONTAINERS:
        raise ProbeError(f"logs: {len(meant)} containers match, at most {CONTAINERS} are read", hint="say which")
    found = Containers(notes=notes, now=told.moment((engine.info() or {}).get("SystemTime")))
    found.start = start(found.now)
    since = None if found.start is None else found.start - before
    for one in meant:
        name = str((one.get("Names") or ["?"])[0]).removeprefix("/")
        found.pieces.append(_lines(engine, str(one["Id"]), name, tail, since, MOST // len(meant)))
    return found


def skew(engine_now: datetime | None, now: datetime) -> timedelta:
    """How far the engine's clock is ahead of this machine's."""
    ahead = timedelta(0) if engine_now is None else engine_now - now
    return ahead if abs(ahead) > _SKEW else timedelta(0)


def _lines(engine: Reader, ref: str, name: str, tail: int, since: datetime | None, most: int) -> Piece:
    cut = False
    while True:
        log = engine.logs(ref, since=since, tail=tail, most=most)
        if log is None:
            raise ProbeError(f"logs: {name} is gone", fault="unclear")
        if not log.truncated:
            break
        if tail < 8:
            raise ProbeError(f"logs: {name}: the last {tail} lines are longer than {most // 1024} KiB")
        # The engine sends the oldest first: fewer lines are the newer ones.
        tail, cut = tail // 4, True
    lines = [Line(line.text, line.at, f"{name} {line.stream}") for line in log.lines]
    return Piece(name, lines, cut or len(lines) >= tail)
