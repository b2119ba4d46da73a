"""What the review of a checklist comes to, for a probe that asks: the run that stands, read as any face reads it.

Measures nothing and records nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from captain.engine import standing
from captain.engine.desk import Desk
from captain.errors import Refusal
from captain.probes import Scored
from captain.run import Run, fold
from captain.run.summing import resting
from captain.run.view import View

if TYPE_CHECKING:
    from captain.checklist import Source, Target
    from captain.events import Event, Recorded
    from captain.log.reader import Reader


async def standing_score(desk: Desk, checklist: str, environment: str) -> Scored | None:
    """The score of the run that stands of that checklist, None where none stands.

    Where the asking run walks the same checklist, whatever rests on the answer is left out. Raises CaptainError.
    """
    service = desk.target.service.service
    run_id = await desk.on_log(lambda: standing.stands(desk.log, service, environment, checklist))
    if run_id is None:
        return None
    same = checklist == desk.target.checklist.checklist
    if desk.run is not None and desk.run.id == run_id:
        return _scored(desk.view(), resting(desk.target.checklist))
    async with _beside(desk, run_id) as view:
        return _scored(view, resting(view.target.checklist) if same else frozenset())


def _scored(view: View, without: Collection[str]) -> Scored:
    from captain.score import decide, label, score

    found = score(view, without)
    decision = decide(found)
    unverified_only = decision.word == "NO-GO: unverified"
    unclear = found.blockers and not any(one.verified for one in found.blockers)
    run = view.run
    said: list[Recorded] = [one.event for name, one in run.results.items() if name not in without]
    said += [one.event for one in run.sign_offs] + [one.event for one in run.waivers]
    newest = max(said, key=lambda event: event.seq, default=None)
    return Scored(
        low=found.low,
        high=found.high,
        label=found.label if found.label == label(found.high) else None,
        coverage=float(found.coverage),
        unverified=sum(not one.verified for one in found.items),
        blockers=None if unclear else len(found.blockers),
        decision=decision.word,
        go=None if unverified_only else decision.go,
        reasons=decision.reasons,
        sections={one.id: (one.low, one.high) for one in found.categories},
        checked_at=None if newest is None else newest.at,
        commit=run.release.commit,
        run=run.id,
    )


@contextlib.asynccontextmanager
async def _beside(desk: Desk, run_id: str) -> AsyncIterator[View]:
    """Another run of this log as it stands now, held against the files and the commit at hand.

    What the present files ask otherwise, or for the first time, was not measured.
    """
    from captain.engine import opening
    from captain.log.store import Log

    run = await desk.on_log(lambda: fold(desk.log.entries(run=run_id)))
    if run is None:
        raise Refusal(f"there is no run {run_id} in this log")
    if standing.here(desk):
        target = await desk.own(partial(_present, run, Path(desk.root)))
    else:
        target = await desk.on_log(partial(_pinned, desk.log, run, Path(desk.root)))
    log = await desk.own(lambda: Log.open(desk.settings.log, clock=desk.clock, read_only=True))
    other = Desk(
        target,
        log,
        settings=desk.settings,
        actor=desk.actor,
        publish=_quiet,
        clock=desk.clock,
        environ=desk.environ,
        concurrency=1,
        read_only=True,
        trust=None,
    )
    try:
        await opening.resume(other, run.id, quiet=True)
        yield other.view()
    finally:
        await other.on_log(log.close)
        other.stop_threads()


def _present(run: Run, root: Path) -> Target:
    """The files as they are now. Raises CaptainError where they cannot be used."""
    from captain.loader import load
    from captain.loader.sheets import SERVICE_FILES

    paths = [root / str(one["path"]) for one in run.files if one["path"] not in SERVICE_FILES]
    named = str(paths[0]) if paths and paths[0].is_file() else run.checklist
    return load(named, run.environment, cwd=root)


def _pinned(reader: Reader, run: Run, root: Path) -> Target:
    from captain.loader import load_pinned

    return load_pinned(tuple(_sources(reader, run)), run.environment, root=root)


def _sources(reader: Reader, run: Run) -> list[Source]:
    from captain.checklist import Source

    found = []
    for one in run.files:
        blob = reader.evidence(one["evidence"])
        if blob is None:
            raise Refusal(f"{one['path']} as {run.id} used it was purged from the log")
        found.append(Source(str(one["path"]), blob.data))
    return found


def _quiet(event: Event) -> None:
    """Nobody looks on."""
