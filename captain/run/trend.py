"""How a standing run stood at the end of each of its checks, the oldest first. Pure; knows no score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from captain.events import Recorded
from captain.run import Run, apply


def checks(events: Iterable[Recorded]) -> Iterator[tuple[Recorded, Run]]:
    """Each `run.checked` of one run's entries, with the run as it was then."""
    run: Run | None = None
    for event in events:
        run = apply(run, event)
        if event.type == "run.checked" and run is not None and event.run == run.id:
            yield event, run
