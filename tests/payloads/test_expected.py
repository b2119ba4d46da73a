"""Every sample document comes out as expected.json says, through the kind that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes import probes
from tests.http_server import Servers
from tests.payloads.documents import DOCUMENTS, PAYLOADS, expected, payload
from tests.payloads.world import World, holds, verdict

WORDS = {"inconclusive": "unknown"}
ENTRIES = {entry["file"]: entry for entry in expected()}


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    servers = Servers()
    yield World(tmp_path, servers, request)
    servers.close()


async def ask(world: World, file: str, data: bytes | None = None) -> Measurement | ProbeError:
    """What the kind measures of a document, or why it cannot."""
    try:
        return await DOCUMENTS[file].ask(world, payload(file.rpartition("+")[2]) if data is None else data)
    except ProbeError as error:
        return error


def test_every_entry_is_asked_and_every_file_of_it_is_here() -> None:
    assert DOCUMENTS.keys() == ENTRIES.keys()
    assert len(ENTRIES) == len(expected()), "no document stands there twice"
    for file, entry in ENTRIES.items():
        assert DOCUMENTS[file].kind == entry["probe"].partition(":")[0]
        assert all((PAYLOADS / name).is_file() for name in file.split("+"))


@pytest.mark.parametrize("file", ENTRIES)
async def test_every_document_gets_the_verdict_and_the_observations_it_deserves(world: World, file: str) -> None:
    entry, document = ENTRIES[file], DOCUMENTS[file]
    seen = await ask(world, file)
    said = verdict(document.kind, seen, document.expect, document.warn)
    assert said == WORDS.get(entry["expect"], entry["expect"]), seen
    for name, value in entry["observations"].items():
        spelt = document.named.get(name, name)
        if spelt == "raised":
            assert isinstance(seen, ProbeError) and str(value) in f"{seen.message} {seen.hint}", seen
            continue
        assert isinstance(seen, Measurement)
        if " " in spelt or "(" in spelt:
            assert holds(document.kind, seen, spelt), seen.observed
            continue
        kept, wanted = _by_the_rule(document.kind, spelt, value)
        assert seen.observed.get(kept) == wanted, (kept, seen.observed.get(kept), wanted)


def _by_the_rule(kind: str, name: str, value: Any) -> tuple[str, Any]:
    """Units fall away: times are durations, sizes bytes; what was measured is compared to three digits."""
    cls = probes.find(kind)
    assert cls is not None
    if name not in cls.Observes.__annotations__:
        for suffix, unit in (("_s", "seconds"), ("_ms", "milliseconds")):
            if name.endswith(suffix):
                return name.removesuffix(suffix), _Near(timedelta(**{unit: value}))
        if name.endswith("_bytes"):
            return f"{name.removesuffix('_bytes')}_size", value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return name, value
    if isinstance(value, int) and "int" in str(cls.Observes.__annotations__[name]):
        return name, value
    return name, pytest.approx(value, rel=2e-2)


class _Near:
    """A duration to a hundredth of it."""

    def __init__(self, wanted: timedelta) -> None:
        self._wanted = wanted

    def __eq__(self, other: object) -> bool:
        return isinstance(other, timedelta) and abs(other - self._wanted) <= self._wanted * 0.01

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._wanted)
