"""Opens what a verb works on: the log, the run, its files, the engine over them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain.commands.shared.runs import Row, find, open_reading, rows
from captain.diagnostics import warn
from captain.errors import CaptainError, LogError, ProblemsError, Refusal, UsageError

if TYPE_CHECKING:
    from captain.checklist import Target
    from captain.commands.shared.ending import Ending
    from captain.commands.shared.options import Common
    from captain.engine import Engine
    from captain.events import Event
    from captain.loader import Home
    from captain.log.reader import Reader
    from captain.log.store import Log
    from captain.settings import Settings


def open_log(common: Common, *, read_only: bool = False, settings: Settings | None = None) -> Log:
    """The log; without `read_only` it is made where there is none."""
    from captain.clock import SystemClock
    from captain.log.store import Log

    path = (settings or common.settings()).log
    if read_only:
        return open_reading(path, common)
    return Log.open(path, clock=SystemClock(), actor=common.actor())


def quiet(event: Event) -> None:
    """A face that shows nothing."""


@contextlib.asynccontextmanager
async def engine_over(
    common: Common,
    target: Target,
    log: Log,
    ending: Ending,
    *,
    publish: Callable[[Event], None] = quiet,
    settings: Settings | None = None,
    **keys: Any,
) -> AsyncIterator[Engine]:
    """An engine, closed at the end; a signal leaves its line in the log first."""
    import asyncio

    from captain.engine import Engine

    try:
        engine = Engine(
            target,
            log,
            settings=settings or common.settings(),
            actor=common.actor(),
            publish=publish,
            environ=common.environ,
            **keys,
        )
    except BaseException:
        log.close()
        raise
    if not keys.get("read_only"):
        for path in engine.told_secrets():
            warn(f"{path} holds the value of a declared secret, and the log keeps this file as it is: take it out")
    try:
        yield engine
    except asyncio.CancelledError:
        if ending.system and ending.signal is not None:
            with contextlib.suppress(CaptainError):
                await engine.suspend(ending.signal.name)
        raise
    finally:
        await engine.close()


@contextlib.asynccontextmanager
async def engine_on(
    common: Common,
    name: str | None,
    ending: Ending,
    *,
    publish: Callable[[Event], None] = quiet,
    effects: bool = False,
    **keys: Any,
) -> AsyncIterator[Engine]:
    """An engine on a run that is there. `effects`: something may be started, so captain.yaml must be at hand."""
    log = open_log(common)
    try:
        target, run = target_of(common, log, name, effects=effects)
    except BaseException:
        log.close()
        raise
    trust = keys.pop("trust", None) or common.environ.get("CAPTAIN_TRUST") or None
    async with engine_over(common, target, log, ending, publish=publish, trust=trust, **keys) as engine:
        await engine.resume(run, quiet=True)
        if engine.changed_files() is not None:
            warn(f"the files differ from the ones {run} is pinned to, which count; captain run asks about it")
        yield engine


@contextlib.asynccontextmanager
async def engine_reading(
    common: Common, log: Log, row: Row, ending: Ending, *, decides: bool = False
) -> AsyncIterator[Engine]:
    """An engine that only looks at a run, with the files it is pinned to; at a review with the present ones.

    `decides`: where those of a review cannot be used there is nothing to decide from. Closes the log.
    """
    try:
        target = _looked_at(common, log, row, decides=decides)
    except BaseException:
        log.close()
        raise
    async with engine_over(common, target, log, ending, read_only=True) as engine:
        await engine.resume(row.run, quiet=True)
        yield engine


def _looked_at(common: Common, log: Log, row: Row, *, decides: bool) -> Target:
    """A review that stands is of what there is now, its files included."""
    home, problem = _home(common)
    if row.open and row.start.data["kind"] == "standing":
        if home is not None and home.declared and home.service.service == row.start.data["service"]:
            present, problem = _present(common, row, home)
            if present is not None:
                return present
        if problem is not None and decides:
            raise problem
        _unusable(problem, row)
    return pinned(log, row, _root(common, row, home))


def _unusable(problem: CaptainError | None, row: Row) -> None:
    if problem is None:
        return
    for one in problem.problems[:3] if isinstance(problem, ProblemsError) else ():
        warn(str(one))
    warn(f"the files cannot be used as they are ({problem.message}); the ones pinned by {row.run} are")


def target_of(common: Common, log: Log, name: str | None, *, effects: bool) -> tuple[Target, str]:
    """The files of a run as they are now, else as they are pinned; and its id."""
    home, problem = _home(common)
    known = rows(log)
    row = find(known, name, home.service.service if home is not None and home.declared else None)
    service = row.start.data["service"]
    if home is not None and home.declared and home.service.service != service:
        raise UsageError(f"{row.run} belongs to {service}; this is {home.service.service}", hint="captain -C DIR …")
    if effects and problem is None and (home is None or not home.declared):
        raise UsageError("no captain.yaml here", hint="captain -C DIR …, or write one with captain init")
    present = None
    if home is not None and home.declared:
        present, problem = _present(common, row, home)
    if present is not None:
        return present, row.run
    # A broken file must not stand in the way of a sign-off, and least of all of a rollback.
    _unusable(problem, row)
    return pinned(log, row, _root(common, row, home)), row.run


def _home(common: Common) -> tuple[Home | None, CaptainError | None]:
    from captain.loader import load_service

    try:
        return load_service(common.cwd), None
    except CaptainError as problem:
        return None, problem


def _root(common: Common, row: Row, home: Home | None) -> Path:
    from captain.loader.sheets import find_service

    if home is not None and home.declared and home.service.service == row.start.data["service"]:
        return Path(home.root)
    file = find_service(common.cwd)
    return file.parent if file is not None and home is None else common.cwd


def _present(common: Common, row: Row, home: Home) -> tuple[Target | None, CaptainError | None]:
    from captain.loader import load
    from captain.loader.sheets import SERVICE_FILES

    data = row.start.data
    paths = [str(one["path"]) for one in data["files"] if one["path"] not in SERVICE_FILES]
    path = Path(home.root) / paths[0] if paths else None
    named = str(path) if path is not None and path.is_file() else data["checklist"]
    try:
        return load(named, data["environment"], cwd=common.cwd), None
    except CaptainError as problem:
        return None, problem


def pinned(log: Reader, row: Row, root: Path) -> Target:
    """The files a run is pinned to. Raises Refusal where they were purged."""
    from captain.checklist import Source
    from captain.loader import load_pinned
    from captain.run import fold

    # What was measured since says nothing of the files, and a review has very much of it.
    run = fold(log.by_type("run.start", "checklist.changed", run=row.run))
    sources = []
    for one in run.files if run is not None else ():
        blob = log.evidence(one["evidence"])
        if blob is None:
            raise Refusal(f"{one['path']} as {row.run} used it was purged from the log", hint="captain export reads on")
        sources.append(Source(str(one["path"]), blob.data))
    return load_pinned(tuple(sources), row.start.data["environment"], root=root)


def accepted(common: Common, target: Target, log: Log, *, elsewhere: bool, given: str | None) -> str | None:
    """The digest of the files' programs where they were accepted: by `given`, or in the log.

    `elsewhere`: in the user's log, `log` being one that is thrown away.
    """
    from captain.commands.shared.runs import reading
    from captain.trust import request

    asked = request(target)
    if asked is None or asked.digest == given:
        return given if asked is not None else None
    uid = common.actor().uid
    if not elsewhere:
        return asked.digest if asked.digest in acceptances(log, uid, target.root) else None
    try:
        with reading(common) as own:
            given_here = own is not None and asked.digest in acceptances(own, uid, target.root)
            return asked.digest if given_here else None
    except LogError:
        # A log that cannot be read has accepted nothing.
        return None


def acceptances(log: Reader, uid: int, root: str) -> set[str]:
    """The digests that this user accepted for files in that folder."""
    from captain.engine.trusting import where

    given = [one for one in log.by_type("trust.given") if one.actor.uid == uid]
    return {str(one.data["digest"]) for one in given if one.data["root"] == where(root)}
