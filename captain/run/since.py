"""Whether a deployment, or the opening of a section, overtook what was measured or signed before it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.events import Recorded
from captain.run import Result, SignOff, resting
from captain.run.view import View, section_state

if TYPE_CHECKING:
    from captain.checklist import Section, Step


def anew(step: Step, *, holds: bool = False) -> bool:
    """Whether an alias of `step` asks its probes itself instead of reading what was recorded of it.

    A hold takes its time to be proved: it is asked anew only where `holds` says so.
    """
    asks = bool(step.asks) and step.action is None and step.manual is None and step.safety == "read"
    return asks and (holds or step.hold is None)


def live(step: Step) -> bool:
    """Whether a deployment by somebody else may have changed what the step saw."""
    probes = [getattr(ask, "probe", None) for ask in step.asks.values()]
    return any(probe is None or probe.network or probe.starts() for probe in probes)


def overtaken(view: View, section: Section, result: Result) -> str | None:
    """Why a result of a section that is not closed says nothing of what is there now; None where it does."""
    if view.run.ended or section_state(view.run, view.target, section.id) == "closed":
        return None
    touched = view.run.touched
    if section.phase != "pre" and touched is not None and _older(result, touched.touched):
        return f"measured before {_title(view, touched.step)} ran, so measure it again"
    opening = view.run.opening(section.id)
    if section.phase in ("deploy", "post") and opening is not None and _older(result, opening):
        return "measured before its section opened, so measure it again"
    return None


def rebound(view: View, step: Step, result: Result) -> str | None:
    """Why a result of a standing run was seen of another commit; None where it was not, or does not depend on it."""
    run = view.run
    if not run.standing or run.ended or not of_commit(step, result):
        return None
    if view.head is not None and view.head != run.release.commit:
        return f"measured before HEAD was {view.head[:12]}"
    if run.moved is not None and _older(result, run.moved):
        return f"measured before HEAD was {(run.release.commit or '?')[:12]}"
    if view.loose and not resting.kept(view, result):
        return "measured before the work tree was changed"
    if run.bound is not None and _older(result, run.bound) and not resting.since(view, result, run.bound):
        return "measured while the work tree may have been another one"
    return None


def of_commit(step: Step, result: Result) -> bool:
    """Whether what a step saw depends on the commit: it looked at files, named the release, or has no age of its own.

    What only asks systems over a network stays as good as its age.
    """
    if not result.max_age_ms:
        return True
    probes = [getattr(ask, "probe", None) for ask in step.asks.values()]
    if any(probe is None or probe.of_commit() for probe in probes):
        return True
    asked = [str(getattr(ask, "params", "")) for ask in step.asks.values()]
    return any("release" in text for text in (*asked, *step.expect, *step.warn))


def for_older_commit(view: View, one: SignOff) -> bool:
    """Whether a sign-off of a standing run was given for the commit before; one with an expiry was given for longer."""
    run = view.run
    if not run.standing or one.meaning == "reject" or one.expires is not None:
        return False
    if view.head is not None and view.head != run.release.commit:
        return True
    return run.moved is not None and one.seq < run.moved.seq


def _older(result: Result, event: Recorded) -> bool:
    if result.seq < event.seq:
        return True
    # Asked before and answered after; only one machine's clock can tell.
    return result.event.boot == event.boot and result.started < event.at


def signed_too_early(view: View, step: Step, one: SignOff) -> str | None:
    """Why an approval of this run was given before what it approves; None for what was given for longer or in time."""
    at = view.step(step.id)
    if at is None or one.meaning != "approve" or one.expires is not None or one.event.run != view.run.id:
        return None
    if for_older_commit(view, one):
        return "for an earlier commit"
    if before_opening(view, at[0], one):
        return "before its section opened"
    for needed in step.needs:
        attempt = view.run.attempt_of(needed)
        if attempt is not None and one.seq < attempt.intent.seq:
            return f"before {_title(view, needed)} ran"
    return None


def before_opening(view: View, section: Section, one: SignOff) -> bool:
    """Whether a sign-off is older than the go that opened its deploy or post section."""
    opening = view.run.opening(section.id)
    return section.phase in ("deploy", "post") and opening is not None and one.seq < opening.seq


def _title(view: View, step_id: str | None) -> str:
    found = view.step(step_id or "")
    return found[1].title if found else str(step_id)
