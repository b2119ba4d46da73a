"""A search over no files at all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from captain.systems.search.files import Files, search


async def test_where_no_file_is_meant_no_program_is_started(tmp_path: Path) -> None:
    """The environment names no place in which one could be found, and there is no time to start it."""
    found = await search(tmp_path / "gone", Files(()), {"a": "x"}, {}, timedelta(0))
    assert (found.looked, found.counts, found.places) == (0, {"a": 0}, ())
