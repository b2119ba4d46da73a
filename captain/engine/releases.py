"""Which release a run is about, and which one it leaves: commit, images, what runs now, what the log remembers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from captain.clock import stamp
from captain.engine.ask import clip
from captain.engine.names import last_observed, resolve_text
from captain.engine.way_back import release_data
from captain.errors import CaptainError, Refusal, UsageError
from captain.fields import VERSION_PATTERN
from captain.measurement import Verdict
from captain.release import Image, Release
from captain.run import Run, SignOff, fold, worsened

if TYPE_CHECKING:
    from captain.engine.desk import Desk

PIN_SECONDS = 10.0
MOST_RUNS = 50


class Earlier:
    """What the log knows of this service, environment and checklist."""

    def __init__(self) -> None:
        self.open: list[Run] = []
        self.completed: Run | None = None
        self.runs: list[Run] = []
        self.last: dict[str, Mapping[str, Any]] = {}
        self.carried: dict[tuple[str, str], SignOff] = {}
        """Approvals with an expiry, the newest of each step and person."""


def earlier_runs(desk: Desk) -> Earlier:
    """Read the log for it; on the log's thread."""
    found = Earlier()
    service, environment = desk.target.service.service, desk.target.environment
    checklist = desk.target.checklist.checklist
    ends = {span.run: span.last for span in desk.log.runs()}
    oldest = _oldest_carried(desk)
    same: list[Run] = []
    for start in desk.log.by_type("run.start", newest_first=True):
        data = start.data
        known = data["kind"] in ("release", "standing")
        if not known or (data["service"], data["environment"]) != (service, environment):
            continue
        enough = found.completed is not None and len(found.runs) >= MOST_RUNS
        # What was signed for long may be older than the runs that anything else is read from.
        if enough and (oldest is None or data["checklist"] != checklist or ends.get(start.run, 0) < oldest):
            continue
        run = fold(desk.log.entries(run=start.run))
        if run is None:
            continue
        if run.checklist == checklist and (desk.run is None or run.id != desk.run.id):
            same.append(run)
        if run.standing or enough:
            continue
        found.runs.append(run)
        if not run.ended and run.checklist == checklist:
            found.open.append(run)
        if run.state == "completed" and found.completed is None:
            found.completed = run
            found.last = _last(desk, run)
    found.carried = carried(same)
    return found


def _oldest_carried(desk: Desk) -> int | None:
    """Number of the oldest sign-off whose time is not over; None where there is none."""
    now = stamp(desk.clock.now())
    signed = desk.log.by_type("signoff", holding='"expires":"')
    return next((one.seq for one in signed if (one.data["expires"] or "") > now), None)


def carried(runs: Sequence[Run]) -> dict[tuple[str, str], SignOff]:
    """What people approved for longer than one run, by step and person, as far as nothing later ended it.

    What a person decided last, in whatever run, is their word: a reject or a withdrawal ends an approval. So does a
    verdict, in whatever run, that is worse than the one that was seen.
    """
    newest: dict[tuple[str, str], tuple[SignOff, Run]] = {}
    seen: dict[tuple[str, str, Verdict], int] = {}
    for run in runs:
        for about, seq in run.seen.items():
            seen[about] = max(seq, seen.get(about, 0))
        for one in run.sign_offs:
            key = (one.target, one.by.casefold())
            if one.on == "step" and (key not in newest or newest[key][0].seq < one.seq):
                newest[key] = (one, run)
    return {key: one for key, (one, run) in newest.items() if _carries(run, one) and not worsened(seen, one)}


def _carries(run: Run, one: SignOff) -> bool:
    stands = one.meaning == "approve" and one.expires is not None and one.seq not in run.lapsed
    return stands and any(other.seq == one.seq for other in run.signed("step", one.target))


def _last(desk: Desk, run: Run) -> dict[str, Mapping[str, Any]]:
    evidence: dict[int, list[tuple[str, bytes]]] = {}
    for result in run.results.values():
        for probe in result.event.data["probes"]:
            blob = desk.log.evidence(probe["evidence"])
            if blob is not None:
                evidence.setdefault(result.seq, []).append((probe["name"], blob.data))
    return last_observed(run, evidence)


async def bind(desk: Desk, version: str | None, commit: str | None, open_run: Run | None) -> Release:
    """The release's commit, as far as git knows it."""
    from captain.systems.git.program import resolve_release, toplevel

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


def same_commit(run: Run, release: Release) -> None:
    """Refuse to go on with an open run when its version now names another commit."""
    if release.untagged or run.release.untagged or not release.commit or not run.release.commit:
        return
    if release.commit != run.release.commit:
        raise Refusal(
            f"{run.id} is open for commit {run.release.commit[:12]}, not {release.commit[:12]}",
            hint="abort it, or release the new commit under a version of its own",
            exit_code=2,
        )


async def pin_images(desk: Desk, release: Release, given: Mapping[str, str]) -> tuple[Release, list[str]]:
    """Digests of the release's images, and a sentence for each that the engine does not know: it is left out."""
    from captain.systems.docker.reader import image_pin

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


async def previous(desk: Desk, release: Release, earlier: Earlier) -> dict[str, Any] | None:
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
    from captain.systems.git.program import resolve_release

    if desk.repo is None or not re.fullmatch(VERSION_PATTERN, version):
        return Release(version=clip(desk.mask(version), 200))
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
    if desk.untrusted and running.ask.probe.starts():
        return None
    values = activation(
        {}, release=release, environment=desk.target.environment, vars=desk.target.service.vars, secrets=desk.secrets
    )
    scope = template_names(desk, desk.target.service.params)
    around = {"release": release, "previous": None}
    answer = await ask(desk, "", running.ask, TIMEOUT, scope, values, around)
    if answer.measurement is None:
        return None
    expression = compile_expression(running.version, step_scope(desk.target, step))
    found = expression.run(activation({"": answer.observed}, environment=desk.target.environment)).value
    return clip(desk.mask(found), 200) if isinstance(found, str) and found else None
