"""Opens a run, or takes one up again: release, way things stand now, pinned files, trust, what was interrupted."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from captain.engine import attempts
from captain.engine.ask import clip
from captain.engine.names import release_names
from captain.engine.pinned import pinned, refuse_unfit, use_pinned
from captain.engine.releases import Earlier, bind, earlier_runs, pin_images, previous, same_commit
from captain.engine.trusting import trusted
from captain.engine.way_back import release_data
from captain.errors import CaptainError, Refusal, UsageError
from captain.events import Draft
from captain.fields import VERSION_PATTERN
from captain.release import Release
from captain.run import allowed

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.log.reader import Reader


async def open_run(desk: Desk, version: str | None, commit: str | None, images: Mapping[str, str], kind: str) -> str:
    """Resume the open run of this checklist, version and environment, or start one. Returns its id."""
    if kind == "release" and version is None:
        raise UsageError("a release needs its version", hint="-r VERSION")
    if version is not None and not re.fullmatch(VERSION_PATTERN, version):
        raise UsageError(f"{version!r} is no version", hint="letters, digits and . _ + - (at most 64)")
    await trusted(desk)
    earlier = await desk.on_log(lambda: earlier_runs(desk)) if kind == "release" else Earlier()
    open_run = next((run for run in earlier.open if run.release.version == version), None)
    release = await bind(desk, version, commit, open_run)
    if open_run is not None:
        same_commit(open_run, release)
        return await resume(desk, open_run.id)
    release, unresolved = await pin_images(desk, release, images)
    left = await previous(desk, release, earlier) if kind == "release" else None
    blobs, files = pinned(desk.target)
    start = _start(desk, kind, release, left, files)

    def build(reader: Reader) -> Sequence[Draft]:
        if kind == "release" and (other := _open_twin(reader, desk, version)):
            raise Refusal(f"{other} was opened meanwhile", hint="start again: it will be resumed", exit_code=4)
        run_id = _free_id(reader, desk, version, kind)
        notes: list[dict[str, object]] = [
            {"step": None, "text": clip(desk.mask(one)), "evidence": []} for one in unresolved
        ]
        return (Draft("run.start", run_id, start), *(Draft("step.note", run_id, one) for one in notes))

    await desk.start(build, blobs)
    desk.last = earlier.last
    desk.carried = tuple(earlier.carried.values())
    decide_skipped(desk)
    return desk.open_run().id


def _start(
    desk: Desk, kind: str, release: Release, previous: dict[str, Any] | None, files: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "kind": kind,
        "service": desk.target.service.service,
        "environment": desk.target.environment,
        "protected": desk.target.protected,
        "checklist": desk.target.checklist.checklist,
        "tag": release.tag,
        "untagged": release.untagged,
        **release_data(release),
        "previous": previous,
        "files": files,
        "trust": desk.trusted,
        "linked": None,
    }


def _free_id(reader: Reader, desk: Desk, version: str | None, kind: str) -> str:
    """The first unused id, chosen inside the transaction that uses it."""
    base = f"{desk.target.service.service}-{desk.target.environment}"
    if kind == "check":
        base += f"-check-{desk.clock.now():%Y%m%dT%H%M%SZ}"
    else:
        base += f"-{version}"
    taken = {span.run for span in reader.runs()}
    number = 1
    run_id = base
    while run_id in taken:
        number += 1
        run_id = f"{base}.{number}"
    return run_id


def _open_twin(reader: Reader, desk: Desk, version: str | None) -> str | None:
    for start in reader.by_type("run.start", newest_first=True):
        data = start.data
        same = (data["service"], data["environment"], data["checklist"], data["version"]) == (
            desk.target.service.service,
            desk.target.environment,
            desk.target.checklist.checklist,
            version,
        )
        if same and data["kind"] == "release" and reader.last("run.end", run=start.run) is None:
            return start.run
    return None


async def resume(desk: Desk, run_id: str, *, quiet: bool = False) -> str:
    """Take a run up again. `quiet` is for one headless command: it leaves no trace of its coming and going."""
    run = await desk.load(run_id)
    if (run.service, run.environment) != (desk.target.service.service, desk.target.environment):
        raise UsageError(f"{run_id} belongs to {run.service} in {run.environment}")
    await use_pinned(desk, run)
    if desk.repo is None:
        await _work_tree(desk)
    await trusted(desk)
    earlier = await desk.on_log(lambda: earlier_runs(desk))
    desk.last = earlier.last
    desk.carried = tuple(earlier.carried.values())
    decide_skipped(desk)
    if not quiet and not run.ended and not desk.read_only:
        data = {"pid": os.getpid(), "files_changed": desk.change is not None}
        await desk.record(Draft("run.resume", run.id, data))
    await attempts.look(desk)
    return run.id


async def _work_tree(desk: Desk) -> None:
    from captain.systems.git.program import toplevel

    where = (desk.root / desk.target.service.repo) if desk.target.service.repo else desk.root
    try:
        desk.repo = await toplevel(where, desk.environ)
    except CaptainError:
        desk.repo = None


async def adopt(desk: Desk, decision: str) -> None:
    """Keep the pinned files, or use the present ones: their changed steps lose results and sign-offs."""
    change = desk.change
    if decision not in ("keep", "adopt"):
        raise UsageError(f"{decision!r} is no decision about files", hint="keep or adopt")
    if change is None:
        raise Refusal("the files are the pinned ones")
    if refusal := allowed.changing(desk.view()):
        raise refusal
    if decision == "adopt":
        refuse_unfit(desk.open_run(), change.target)
    blobs, files = pinned(change.target)
    data = {
        "decision": decision,
        "files": files,
        "changed": list(change.changed),
        "added": list(change.added),
        "removed": list(change.removed),
    }
    await desk.record(Draft("checklist.changed", desk.open_run().id, data), evidence=blobs)
    if decision == "adopt":
        desk.learn(change.target)
        await trusted(desk)
        decide_skipped(desk)
    desk.change = None


def decide_skipped(desk: Desk) -> None:
    """Which steps do not apply by their own `when`. One that cannot be told applies."""
    from captain.condition import activation, compile_condition, conjoin
    from captain.scopes import step_scope

    names = release_names(desk)
    values = activation(
        {},
        release=names["release"],
        previous=names["previous"],
        environment=desk.target.environment,
        vars=desk.target.service.vars,
        now=desk.clock.now(),
    )
    desk.skipped = {}
    for _, step in desk.target.checklist.steps():
        if not step.when:
            continue
        scope = step_scope(desk.target, step)
        judged = [compile_condition(one, scope, observes=False).evaluate(values).value for one in step.when]
        if conjoin(judged) is False:
            desk.skipped[step.id] = "when: " + ", ".join(step.when)
