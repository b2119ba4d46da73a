"""The result document: one run's steps and verdicts as plain JSON values. Asks `captain.run`, judges nothing itself.

Its shape is published by `captain schema result`; `captain check`, `status` and `show` write the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from captain import __version__
from captain.clock import stamp
from captain.commands.shared.outcome import Outcome, SectionOutcome, StepOutcome
from captain.commands.shared.places import Place, places
from captain.commands.shared.scoring import scored
from captain.loader.sheets import SERVICE_FILES
from captain.run import Attempt, Run, SignOff
from captain.run.gates import readiness
from captain.run.view import View, section_state

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.release import Release


def document(view: View, outcome: Outcome, *, duration_ms: int, recorded: bool = True) -> dict[str, Any]:
    """What `check --format json` writes, with the score of a review.

    `recorded` False: there is no run that anybody could look up.
    """
    run = view.run
    score = scored(view)
    lines = places(view.target)
    return {
        "captain": __version__,
        "run": run.id if recorded else None,
        "kind": run.kind,
        "checklist": {"id": run.checklist, "sha256": _checklist_digest(view)},
        "service": run.service,
        "environment": run.environment,
        "release": _release(run),
        "verdict": outcome.verdict.value,
        "exit_code": outcome.exit_code,
        "started_at": run.start.ts,
        "duration_ms": duration_ms,
        "gate": {"go": outcome.exit_code == 0, "reasons": list(outcome.reasons)},
        **({} if score is None else {"score": score}),
        "sections": [_section(view, section, lines) for section in outcome.sections],
    }


def run_document(view: View, outcome: Outcome, *, duration_ms: int) -> dict[str, Any]:
    """What `status` and `show --format json` write: the same, with where the run stands."""
    gates = []
    for section in view.target.checklist.sections:
        decision = view.run.decisions.get(section.id)
        found = readiness(view, section)
        gates.append(
            {
                "section": section.id,
                "state": section_state(view.run, view.target, section.id),
                "go": found.go,
                "exit_code": found.exit_code,
                "reasons": [one.sentence for one in found.unmet],
                "risk": list(decision.risk if decision is not None else found.risk),
                "decision": None
                if decision is None
                else {
                    "go": decision.go,
                    "by": decision.event.actor.name,
                    "at": decision.event.ts,
                    "note": decision.event.data["note"],
                    "entry": decision.event.seq,
                },
            }
        )
    return {
        **document(view, outcome, duration_ms=duration_ms),
        "state": view.run.state,
        "ended_at": view.run.end.ts if view.run.end is not None else None,
        "gates": gates,
    }


def elapsed_ms(view: View) -> int:
    """From the run's start to its end, or to now."""
    end = view.run.end.at if view.run.end is not None else view.now
    return max(round((end - view.run.start.at).total_seconds() * 1000), 0)


def _release(run: Run) -> dict[str, Any]:
    own, before = run.release, run.previous
    previous = None
    if before is not None:
        previous = {
            "version": before.version,
            "commit": before.commit,
            **_images(before),
            "source": run.previous_source,
            "differs": run.previous_differs,
        }
    return {
        "version": own.version,
        "commit": own.commit,
        "tag": own.tag,
        "untagged": own.untagged,
        **_images(own),
        "previous": previous,
    }


def _images(release: Release) -> dict[str, dict[str, str]]:
    """What conditions see under the same names."""
    return {
        "images": {name: one.pinned for name, one in release.images.items()},
        "digests": {name: one.digest for name, one in release.images.items()},
    }


def _checklist_digest(view: View) -> str | None:
    return next((str(one["sha256"]) for one in view.run.files if one["path"] not in SERVICE_FILES), None)


def _section(view: View, section: SectionOutcome, lines: Mapping[str, Place]) -> dict[str, Any]:
    return {
        "id": section.section.id,
        "title": section.section.title,
        "phase": section.section.phase,
        "verdict": section.verdict.value,
        "steps": [_step(view, one, lines.get(one.step.id)) for one in section.steps],
    }


def _step(view: View, one: StepOutcome, place: Place | None) -> dict[str, Any]:
    step, found = one.step, one.found
    result = found.result
    data = result.event.data if result is not None else None
    evidence = _evidence(data)
    max_age = result.max_age_ms if result is not None else 0
    return {
        "id": step.id,
        "title": step.title,
        "why": step.why,
        "help": step.help,
        "link": step.link,
        "location": None if place is None else {"path": place.path, "line": place.line},
        "verdict": found.verdict.value,
        "state": "measuring" if found.state == "running" else found.state,
        "severity": step.severity,
        "probe": kind_of(step),
        "safety": step.safety,
        "attempts": result.attempts if result is not None else 0,
        "duration_ms": data["duration_ms"] if data is not None else None,
        "measured_at": result.event.ts if result is not None else None,
        "max_age": f"{max_age / 1000:g}s" if max_age else None,
        "observed": dict(result.observed) if result is not None else {},
        "conditions": [
            {"expect": one["expect"], "role": one["role"], "verdict": one["verdict"], "resolved": one["resolved"]}
            for one in (result.conditions if result is not None else ())
        ],
        "message": found.message,
        "unmet": None if one.unmet is None else {"exit_code": one.unmet.exit_code, "reason": one.unmet.sentence},
        "evidence_sha256": next((one["sha256"] for one in evidence), None),
        "evidence": evidence,
        "signed": [_signed(view, one, one in found.lapsed) for one in (*found.signed, *found.lapsed)],
        "waits": [role or "anybody" for role in found.waits],
        "waiver": None
        if found.waiver is None
        else {
            "by": found.waiver.by,
            "reason": found.waiver.event.data["reason"],
            "owner": found.waiver.event.data["owner"],
            "until": stamp(found.waiver.expires),
            "entry": found.waiver.seq,
        },
        "action": None if found.attempt is None else _attempt(view, found.attempt),
    }


def kind_of(step: Step) -> str:
    """What a step is measured with: the kinds of its probes, else manual, action or compare."""
    if step.kind != "probe":
        return step.kind
    kinds = dict.fromkeys(getattr(ask, "kind", "alias") for ask in step.asks.values())
    return ", ".join(kinds) or "alias"


def _evidence(data: Any) -> list[dict[str, str]]:
    """The digests of what the probes saw, each under the probe's name."""
    probes = data["probes"] if data is not None else ()
    return [{"probe": one["name"], "kind": one["kind"], "sha256": one["evidence"]} for one in probes]


def _signed(view: View, one: SignOff, lapsed: bool) -> dict[str, Any]:
    return {
        "by": one.by,
        "meaning": one.meaning,
        "note": one.note,
        "at": one.event.ts,
        "asserted": one.event.actor.asserted,
        "lapsed": lapsed,
        "entry": one.seq,
    }


def _attempt(view: View, one: Attempt) -> dict[str, Any]:
    return {
        "attempt": one.id,
        "started_at": one.intent.ts,
        "running": one.id in view.alive,
        "outcome": one.outcome,
        "exit_code": one.exit_code,
        "resolved": None if one.resolved is None else one.resolved.data["outcome"],
    }
