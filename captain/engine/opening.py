"""Opens a run, or takes one up again: release, way things stand now, pinned files, trust, what was interrupted."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from captain.engine import attempts, authors, inputs, standing
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
from captain.run.facts import release_of

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.log.reader import Reader


async def open_run(
    desk: Desk,
    version: str | None,
    commit: str | None,
    images: Mapping[str, str],
    kind: str,
    answers: Mapping[str, str],
    *,
    asks: bool = True,
) -> str:
    """Resume the open run of this checklist, version and environment, or start one. Returns its id.

    A checklist with `per: service` that is opened without a version has one run, which stands. `asks`: it is not
    opened before every question of captain.yaml is answered.
    """
    if kind == "release" and version is None and desk.target.checklist.per == "service":
        kind = standing.KIND
    if kind == "release" and version is None:
        raise UsageError("a release needs its version", hint="-r VERSION")
    if version is not None and not re.fullmatch(VERSION_PATTERN, version):
        raise UsageError(f"{version!r} is no version", hint="letters, digits and . _ + - (at most 64)")
    answers = inputs.checked(desk, answers)
    desk.inputs = answers
    await trusted(desk)
    if kind == standing.KIND:
        return await _open_standing(desk, answers, asks=asks)
    earlier = await desk.on_log(lambda: earlier_runs(desk)) if kind == "release" else Earlier()
    open_run = next((run for run in earlier.open if run.release.version == version), None)
    if asks and kind == "release" and open_run is None:
        inputs.require(desk, answers)
    release = await bind(desk, version, commit, open_run)
    if open_run is not None:
        same_commit(open_run, release)
        await resume(desk, open_run.id)
        await inputs.more(desk, desk.open_run(), answers)
        return open_run.id
    release, unresolved = await pin_images(desk, release, images)
    left = await previous(desk, release, earlier) if kind == "release" else None
    before = None if left is None else release_of(left)
    wrote = await authors.drafts(desk, "", release, before) if kind == "release" else ()
    blobs, files = pinned(desk.target)
    start = _start(desk, kind, release, left, files)

    def build(reader: Reader) -> Sequence[Draft]:
        if kind == "release" and (other := _open_twin(reader, desk, version)):
            raise Refusal(f"{other} was opened meanwhile", hint="start again: it will be resumed", exit_code=4)
        run_id = _free_id(reader, desk, version, kind)
        notes: list[dict[str, object]] = [
            {"step": None, "text": clip(desk.mask(one)), "evidence": []} for one in unresolved
        ]
        said = (*inputs.drafts(run_id, answers), *(replace(one, run=run_id) for one in wrote))
        return (Draft("run.start", run_id, start), *said, *(Draft("step.note", run_id, one) for one in notes))

    await desk.start(build, blobs)
    _remember(desk, earlier)
    return desk.open_run().id


async def _open_standing(desk: Desk, answers: Mapping[str, str], *, asks: bool) -> str:
    """Take up the run that stands, bound to what is there now, or start it."""
    while True:
        found = await desk.on_log(lambda: standing.open_standing(desk.log, desk))
        if found is not None:
            await resume(desk, found)
            await inputs.more(desk, desk.open_run(), answers)
            return found
        if asks:
            inputs.require(desk, answers)
        earlier = await desk.on_log(lambda: earlier_runs(desk))
        await _work_tree(desk)
        desk.head, state = await standing.head(desk), await standing.tree(desk)
        release = standing.release_at(desk.head, earlier)
        left = await previous(desk, release, earlier)
        wrote = await authors.drafts(desk, "", release, None if left is None else release_of(left))
        blobs, files = pinned(desk.target)
        start = _start(desk, standing.KIND, release, left, files)

        def build(
            reader: Reader, release: Release = release, state: str = state, start: Any = start, wrote: Any = wrote
        ) -> Sequence[Draft]:
            if standing.open_standing(reader, desk) is not None:
                raise _Twin("it was opened meanwhile")
            run_id = _free_id(reader, desk, None, standing.KIND)
            said = (*inputs.drafts(run_id, answers), *(replace(one, run=run_id) for one in wrote))
            return (*standing.drafts(run_id, start, release, state), *said)

        try:
            await desk.start(build, blobs)
        except _Twin:
            continue
        _remember(desk, earlier)
        return desk.open_run().id


class _Twin(Refusal):
    """Somebody else started the standing run at the same moment."""


def _remember(desk: Desk, earlier: Earlier) -> None:
    desk.last = earlier.last
    desk.carried = tuple(earlier.carried.values())
    decide_skipped(desk)


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
    elif kind == standing.KIND:
        base += f"-{desk.target.checklist.checklist}"
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
    _remember(desk, earlier)
    if run.standing and not run.ended and standing.here(desk):
        # Its release is the commit at hand, so a headless command too holds it against what is there now.
        await (_look_only(desk) if desk.read_only else standing.renew(desk, earlier))
    run = desk.open_run()
    if run.kind == "release" and run.authors is None and not run.ended and not desk.read_only:
        # Of a run that began before its files asked, or where git could not tell then.
        wrote = await authors.drafts(desk, run.id, run.release, run.previous)
        if wrote and wrote[0].data["known"]:
            await desk.record(*wrote)
    if not quiet and not run.ended and not desk.read_only:
        data = {"pid": os.getpid(), "files_changed": desk.change is not None}
        await desk.record(Draft("run.resume", run.id, data))
    await attempts.look(desk)
    return run.id


async def _look_only(desk: Desk) -> None:
    """What a review comes to with what there is now, commit and files. Records nothing.

    What the present files ask otherwise, or for the first time, was not measured.
    """
    if desk.change is not None:
        desk.learn(desk.change.target)
        await trusted(desk)
        decide_skipped(desk)
    await standing.look_only(desk)


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
