"""Opens a run, or takes one up again: release, way things stand now, pinned files, trust, what was interrupted."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain import trust
from captain.engine import attempts, locks
from captain.engine.ask import clip
from captain.engine.names import last_observed, release_names, resolve_text
from captain.engine.way_back import release_data
from captain.errors import CaptainError, Refusal, UsageError
from captain.events import Draft
from captain.fields import VERSION_PATTERN
from captain.release import Image, Release
from captain.run import Run, fold

if TYPE_CHECKING:
    from captain.checklist import Target
    from captain.engine.desk import Desk
    from captain.log.evidence import Evidence
    from captain.log.reader import Reader

MEDIA = "application/yaml"
PIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class FileChange:
    """How the files differ from the ones a run is pinned to."""

    target: Target
    """The files as they are now."""
    files: tuple[str, ...]
    """Paths that changed, came or went."""
    changed: tuple[str, ...]
    """Steps whose definition is another."""
    added: tuple[str, ...]
    removed: tuple[str, ...]


async def open_run(desk: Desk, version: str | None, commit: str | None, images: Mapping[str, str], kind: str) -> str:
    """Resume the open run of this checklist, version and environment, or start one. Returns its id."""
    if kind == "release" and version is None:
        raise UsageError("a release needs its version", hint="-r VERSION")
    if version is not None and not re.fullmatch(VERSION_PATTERN, version):
        raise UsageError(f"{version!r} is no version", hint="letters, digits and . _ + - (at most 64)")
    await trusted(desk)
    earlier = await desk.on_log(lambda: _earlier(desk)) if kind == "release" else _Earlier()
    open_run = next((run for run in earlier.open if run.release.version == version), None)
    release = await _release(desk, version, commit, open_run)
    if open_run is not None:
        _same_commit(open_run, release)
        return await resume(desk, open_run.id)
    release, unresolved = await _pin_images(desk, release, images)
    previous = await _previous(desk, release, earlier) if kind == "release" else None
    blobs, files = _pinned(desk.target)
    start = _start(desk, kind, release, previous, files)

    def build(reader: Reader) -> Sequence[Draft]:
        if kind == "release" and (other := _open_twin(reader, desk, version)):
            raise Refusal(f"{other} was opened meanwhile", hint="start again: it will be resumed", exit_code=4)
        run_id = _free_id(reader, desk, version, kind)
        notes: list[dict[str, Any]] = [{"step": None, "text": clip(desk.mask(one)), "evidence": []} for one in unresolved]
        return (Draft("run.start", run_id, start), *(Draft("step.note", run_id, one) for one in notes))

    await desk.start(build, blobs)
    desk.last = earlier.last
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


def _pinned(target: Target) -> tuple[list[Evidence], list[dict[str, Any]]]:
    from captain.log.evidence import Evidence

    blobs = [Evidence(MEDIA, source.data) for source in target.files]
    files = [
        {"path": clip(source.path), "sha256": source.sha256, "evidence": blob.digest}
        for source, blob in zip(target.files, blobs, strict=True)
    ]
    return blobs, files


class _Earlier:
    """What the log knows of this service, environment and checklist."""

    def __init__(self) -> None:
        self.open: list[Run] = []
        self.completed: Run | None = None
        self.runs: list[Run] = []
        self.last: dict[str, Mapping[str, Any]] = {}


def _earlier(desk: Desk) -> _Earlier:
    found = _Earlier()
    service, environment = desk.target.service.service, desk.target.environment
    for start in desk.log.by_type("run.start", newest_first=True):
        data = start.data
        if (data["kind"], data["service"], data["environment"]) != ("release", service, environment):
            continue
        run = fold(desk.log.entries(run=start.run))
        if run is None:
            continue
        found.runs.append(run)
        if not run.ended and run.checklist == desk.target.checklist.checklist:
            found.open.append(run)
        if run.state == "completed" and found.completed is None:
            found.completed = run
            found.last = _last(desk, run)
        if found.completed is not None and len(found.runs) >= 50:
            break
    return found


def _last(desk: Desk, run: Run) -> dict[str, Mapping[str, Any]]:
    evidence: dict[int, list[tuple[str, bytes]]] = {}
    for result in run.results.values():
        for probe in result.event.data["probes"]:
            blob = desk.log.evidence(probe["evidence"])
            if blob is not None:
                evidence.setdefault(result.seq, []).append((probe["name"], blob.data))
    return last_observed(run, evidence)


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


async def _release(desk: Desk, version: str | None, commit: str | None, open_run: Run | None) -> Release:
    """The release's commit, as far as git knows it."""
    from captain.systems.git import resolve_release, toplevel

    rules = desk.target.service.release
    where = (desk.root / desk.target.service.repo) if desk.target.service.repo else desk.root
    desk.repo = await toplevel(where, desk.environ)
    if desk.repo is None:
        if commit is not None:
            raise UsageError(f"--commit needs a git work tree, and {where} is none")
        return Release(version=version)
    tag = None
    if rules.tag is not None and version is not None:
        bare = Release(version=version)
        tag = resolve_text(desk, rules.tag, {"release": bare, "previous": None})
    try:
        bound = await resolve_release(desk.repo, tag=tag, version=version, commit=commit, environ=desk.environ)
    except UsageError:
        if open_run is not None and commit is None:
            return open_run.release
        raise
    return Release(version=version, commit=bound.commit, tag=bound.tag, untagged=bound.untagged)


def _same_commit(run: Run, release: Release) -> None:
    if release.untagged or run.release.untagged or not release.commit or not run.release.commit:
        return
    if release.commit != run.release.commit:
        raise Refusal(
            f"{run.id} is open for commit {run.release.commit[:12]}, not {release.commit[:12]}",
            hint="abort it, or release the new commit under a version of its own",
            exit_code=2,
        )


async def _pin_images(desk: Desk, release: Release, given: Mapping[str, str]) -> tuple[Release, list[str]]:
    """Digests of the release's images, and a sentence for each that the engine does not know: it is left out."""
    from captain.systems.docker import image_pin

    if unknown := sorted(set(given) - set(desk.target.service.release.images)):
        raise UsageError(f"--image {unknown[0]}: captain.yaml names no such image")
    images: dict[str, Image] = {}
    unresolved: list[str] = []
    for name, ref in (dict(desk.target.service.release.images) | dict(given)).items():
        try:
            resolved = resolve_text(desk, ref, {"release": release, "previous": None})
            images[name] = await desk.blocking(
                lambda ref=resolved: image_pin(ref, host=None, environ=desk.environ, seconds=PIN_SECONDS)  # type: ignore[misc]
            )
        except CaptainError as error:
            if name in given:
                raise
            unresolved.append(f"image {name} ({ref}) is not known, so what needs it is unknown: {error.message}")
    return Release(release.version, release.commit, release.tag, release.untagged, images), unresolved


async def _previous(desk: Desk, release: Release, earlier: _Earlier) -> dict[str, Any] | None:
    """What runs now, as observed; else the last completed run."""
    observed = await observed_version(desk, release)
    completed = earlier.completed
    if observed is None:
        if completed is None:
            return None
        return {**release_data(completed.release), "source": "last_run", "differs": False}
    known = next((run.release for run in earlier.runs if run.release.version == observed), None)
    if known is None:
        known = await _tagged(desk, observed)
    differs = completed is not None and completed.release.version != observed
    return {**release_data(known), "source": "observed", "differs": differs}


async def _tagged(desk: Desk, version: str) -> Release:
    from captain.systems.git import resolve_release

    if desk.repo is None or not re.fullmatch(VERSION_PATTERN, version):
        return Release(version=clip(version, 200))
    try:
        tag = desk.target.service.release.tag
        name = resolve_text(desk, tag, {"release": Release(version=version), "previous": None}) if tag else None
        bound = await resolve_release(desk.repo, tag=name, version=version, commit=None, environ=desk.environ)
    except CaptainError:
        return Release(version=version)
    return Release(version=version, commit=None if bound.untagged else bound.commit, tag=bound.tag)


async def observed_version(desk: Desk, release: Release) -> str | None:
    """The version that `release.running` sees; None where it is not declared or cannot tell."""
    from captain.checklist import TIMEOUT
    from captain.condition import activation, compile_expression
    from captain.engine.ask import ask
    from captain.engine.names import template_names
    from captain.engine.roll_back import running_step
    from captain.scopes import step_scope

    step = running_step(desk)
    running = desk.target.service.release.running
    if step is None or running is None or running.ask.probe is None:
        return None
    if desk.untrusted and running.ask.probe.programs():
        return None
    values = activation(
        {}, release=release, environment=desk.target.environment, vars=desk.target.service.vars, secrets=desk.secrets
    )
    scope = template_names(desk, desk.target.service.params)
    answer = await ask(desk, "", running.ask, TIMEOUT, scope, values)
    if answer.measurement is None:
        return None
    expression = compile_expression(running.version, step_scope(desk.target, step))
    found = expression.run(activation({"": answer.observed}, environment=desk.target.environment)).value
    return clip(str(found), 200) if isinstance(found, str) and found else None


async def trusted(desk: Desk) -> None:
    """See whether the files' commands were accepted, for this user or this process."""
    asked = await desk.blocking(lambda: trust.request(desk.target))
    desk.trust_request = asked
    if asked is None:
        desk.untrusted, desk.trusted = False, None
        return
    if desk.trust == asked.digest:
        desk.untrusted, desk.trusted = False, asked.digest
        return

    def known() -> bool:
        return any(
            given.data["digest"] == asked.digest and given.actor.uid == desk.actor.uid
            for given in desk.log.by_type("trust.given", newest_first=True)
        )

    desk.untrusted = not await desk.on_log(known)
    desk.trusted = None if desk.untrusted else asked.digest


async def resume(desk: Desk, run_id: str, *, quiet: bool = False) -> str:
    """Take a run up again. `quiet` is for one headless command: it leaves no trace of its coming and going."""
    run = await desk.load(run_id)
    if (run.service, run.environment) != (desk.target.service.service, desk.target.environment):
        raise UsageError(f"{run_id} belongs to {run.service} in {run.environment}")
    await _adopt_pinned(desk, run)
    if desk.repo is None:
        await _work_tree(desk)
    await trusted(desk)
    earlier = await desk.on_log(lambda: _earlier(desk))
    desk.last = earlier.last
    decide_skipped(desk)
    if not quiet and not run.ended and not desk.read_only:
        data = {"pid": os.getpid(), "files_changed": desk.change is not None}
        await desk.record(Draft("run.resume", run.id, data))
    locks.look(desk)
    if desk.read_only or run.ended or desk.lock_seen.holder is not None:
        # Whoever holds the lock records the ends.
        attempts.look(desk)
    else:
        await attempts.reconcile(desk)
    return run.id


async def _work_tree(desk: Desk) -> None:
    from captain.systems.git import toplevel

    where = (desk.root / desk.target.service.repo) if desk.target.service.repo else desk.root
    try:
        desk.repo = await toplevel(where, desk.environ)
    except CaptainError:
        desk.repo = None


async def _adopt_pinned(desk: Desk, run: Run) -> None:
    """Use the files that the run is pinned to; remember how the present ones differ."""
    present = {source.path: source.sha256 for source in desk.target.files}
    pinned = {str(one["path"]): str(one["sha256"]) for one in run.files}
    if present == pinned:
        return
    from captain.checklist import Source
    from captain.loader import load_pinned

    now = desk.target

    def read() -> list[Source]:
        sources = []
        for one in run.files:
            blob = desk.log.evidence(one["evidence"])
            if blob is None:
                raise Refusal(f"the pinned {one['path']} was purged from the log: {run.id} cannot be resumed")
            sources.append(Source(str(one["path"]), blob.data))
        return sources

    sources = await desk.on_log(read)
    target = load_pinned(tuple(sources), run.environment, root=Path(now.root))
    desk.learn(target)
    desk.change = compare(now, target, pinned)


def compare(now: Target, then: Target, pinned: Mapping[str, str]) -> FileChange:
    """How the present files differ from the pinned ones, step by step."""
    present = {source.path: source.sha256 for source in now.files}
    files = sorted(path for path in {*present, *pinned} if present.get(path) != pinned.get(path))
    old = {step.id: step.definition() for _, step in then.checklist.steps()}
    new = {step.id: step.definition() for _, step in now.checklist.steps()}
    return FileChange(
        target=now,
        files=tuple(files),
        changed=tuple(step for step in new if step in old and old[step] != new[step]),
        added=tuple(step for step in new if step not in old),
        removed=tuple(step for step in old if step not in new),
    )


async def adopt(desk: Desk, decision: str) -> None:
    """Keep the pinned files, or use the present ones: their changed steps lose results and sign-offs."""
    change = desk.change
    if change is None:
        raise Refusal("the files are the pinned ones")
    blobs, files = _pinned(change.target)
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


async def accept(desk: Desk, digest: str, via: str) -> None:
    """Record that the shown commands were accepted."""
    asked = await desk.blocking(lambda: trust.request(desk.target))
    if asked is None or asked.digest != digest:
        raise Refusal("the commands are not the ones that were shown", hint="look at them again")
    run = desk.run.id if desk.run is not None else ""
    await desk.record(Draft("trust.given", run, {"digest": digest, "commands": len(asked.programs), "via": via}))
    await trusted(desk)
