"""One line in plain words for every entry, for the screen, `show` and the timeline exports. Pure.

Texts hold what people and systems wrote: a face passes them through its own kind of escaping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from captain.events import Recorded

Tone = Literal["plain", "quiet", "good", "warning", "bad", "loud"]
"""How much of a hand it needs: `bad` failed, `warning` unknown or stale, `loud` a person's grave decision."""

CAPTAIN = "captain"


@dataclass(frozen=True, slots=True)
class Sentence:
    """What happened, and who did it."""

    who: str
    """A person, or `captain` for what it measured or saw by itself."""
    text: str
    tone: Tone = "plain"


_TONES: Mapping[str, Tone] = {"pass": "plain", "warn": "warning", "unknown": "warning", "fail": "bad"}
_GLYPHS = {"pass": "✓ pass", "warn": "! warn", "unknown": "? unknown", "fail": "✗ FAIL"}


def sentence(event: Recorded, titles: Mapping[str, str] | None = None) -> Sentence:
    """The line for one entry. `titles` names steps and sections by id; without them ids stand."""
    told = _TELL.get(event.type)
    names = titles or {}
    if told is None:
        return Sentence(event.actor.name, event.type, "quiet")
    return told(event, lambda key: names.get(key, key))


Titles = Callable[[str], str]


def _by(event: Recorded, text: str, tone: Tone = "plain") -> Sentence:
    return Sentence(event.actor.name, text, tone)


def _self(text: str, tone: Tone = "plain") -> Sentence:
    return Sentence(CAPTAIN, text, tone)


def _quote(text: str | None) -> str:
    return f'  "{text}"' if text else ""


def _label(release: Mapping[str, Any]) -> str:
    return release["version"] or (release["commit"] or "")[:7] or "?"


def took(milliseconds: int | None) -> str:
    """`812 ms`, `1.2 s`, `41 s`, `1 m 48 s`; empty for None."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes} m {seconds} s" if minutes else f"{seconds} s"


def _started(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    what = {"check": "checked", "rollback": "opened a rollback run of", "standing": "began the review"}.get(
        data["kind"], "opened a run of"
    )
    over = f" over {_label(data['previous'])}" if data["previous"] else ""
    differs = (
        "; what runs is not the last completed release" if data["previous"] and data["previous"]["differs"] else ""
    )
    text = f"{what} {data['checklist']} for {data['service']} {_label(data)} in {data['environment']}{over}{differs}"
    return _by(event, text, "warning" if differs else "plain")


def _bound(event: Recorded, title: Titles) -> Sentence:
    states = {"changed": ", with changes that are not committed", "unknown": ", whose work tree git cannot judge"}
    commit = (event.data["commit"] or "no commit")[:12]
    return _self(f"looks at {commit}{states.get(event.data['tree'], '')}", "quiet")


def _authors(event: Recorded, title: Titles) -> Sentence:
    names = event.data["names"]
    if not event.data["known"]:
        return _self("git cannot tell who wrote this release", "warning")
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return _self(f"written by {', '.join(names[:5]) or 'nobody'}{more}", "quiet")


def _inputs(event: Recorded, title: Titles) -> Sentence:
    said = ", ".join(f"{name} = {value}" for name, value in event.data["values"].items())
    return _by(event, f"said {said}")


def _checked(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    verdict = data["verdict"]
    return _by(event, f"checked: {_GLYPHS[verdict]}, {data['measured']} measured, {data['kept']} kept", _TONES[verdict])


def _looked(event: Recorded, title: Titles) -> Sentence:
    same, other = len(event.data["kept"]), len(event.data["changed"])
    return _self(
        f"looked at the files that results rest on: {same} as they were, {other} to be measured again", "quiet"
    )


def _ended(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    state = data["state"].replace("_", " ")
    left = f"; left running: {data['left_running']}" if data["left_running"] else ""
    tone: Tone = "good" if state in ("completed", "checked") else "bad" if state == "rollback incomplete" else "loud"
    return _by(event, f"run {state}, {data['verdict']}{_quote(data['reason'])}{left}", tone)


def _result(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    verdict = data["verdict"]
    tries = f" on try {data['attempts']}" if data["attempts"] > 1 else ""
    why = "" if verdict == "pass" else f"  {data['message']}"
    before = {"before": "before: ", "verify": "verification: ", "drill": "drill: "}.get(data["purpose"], "")
    return _self(f"{before}{title(data['step'])} {_GLYPHS[verdict]}{tries}{why}", _TONES[verdict])


def _trial(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    typed = f", typed {data['confirmed']}" if data["confirmed"] else ""
    what = "the drill " if data["safety"] == "drill" else ""
    return _by(event, f"starts {what}{title(data['step'])}{typed}: {'; '.join(data['does'])}", "loud")


def _signed(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    meaning = {
        "approve": "approved",
        "reject": "rejected",
        "not_applicable": "called not applicable:",
        "countersign": "countersigned",
    }[data["meaning"]]
    what = {"gate": "the gate of ", "review": "the "}.get(data["on"], "")
    asserted = "  (name asserted)" if event.actor.asserted else ""
    unchecked = "" if data["role_checked"] or not data["roles"] else "  (role not checked)"
    tone: Tone = "bad" if data["meaning"] == "reject" else "plain"
    seen = "".join(f"  evidence {one['name']}" for one in data["evidence"])
    text = f"{meaning} {what}{title(data['target'])}{_quote(data['note'])}{seen}{unchecked}{asserted}"
    return _by(event, text, tone)


def _waived(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    return _by(event, f"waived {title(data['step'])} till {data['expires'][:10]}{_quote(data['reason'])}", "warning")


def _gate(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    # The way back has words of its own below.
    risks = [one for one in data["risk"] if not (data["no_way_back"] and one == "no way back")]
    risk = f" with risk: {', '.join(risks)}" if risks else ""
    if data["decision"] == "no_go":
        return _by(event, f"no-go for {title(data['section'])}{_quote(data['note'])}", "bad")
    over = f"; overridden: {', '.join(title(one['step']) for one in data['overridden'])}" if data["overridden"] else ""
    back = f"; no way back: {data['no_way_back']}" if data["no_way_back"] else ""
    loud = bool(over or back)
    text = f"go for {title(data['section'])}{risk}{over}{back}{_quote(data['note'])}"
    return _by(event, text, "bad" if loud else "warning" if risk else "good")


def _point(event: Recorded, title: Titles) -> Sentence:
    broken = [f"{one['id']}: {one['why'] or 'not ready'}" for one in event.data["targets"] if not one["ready"]]
    if broken:
        return _self(f"way back NOT ready: {'; '.join(broken)}", "bad")
    ways = ", ".join(f"{one['id']} → {one['to']}" for one in event.data["targets"])
    return _self(f"way back taken: {ways}" if ways else "no rollback is written down for this service")


def _intent(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    if data["part"] is not None:
        return _by(event, f"rollback of {data['part']} begins")
    again = " again" if data["retry_of"] else ""
    step = title(data["step"]) if data["step"] else "an action"
    if data["how"] == "external":
        return _by(event, f"expects {step}{again}")
    return _by(event, f"starts {step}{again}: {' '.join(data['argv'])}")


def _finished(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    outcome = data["outcome"]
    if outcome == "exited":
        how = f"ended with exit {data['exit_code']}"
    else:
        how = {"signalled": f"killed by {data['signal']}", "timed_out": "timed out"}.get(outcome, outcome)
    spent = f" after {took(data['duration_ms'])}" if data["duration_ms"] is not None else ""
    left = f"; still alive: {', '.join(data['survivors'])}" if data["survivors"] else ""
    good = outcome == "exited" and data["exit_code"] == 0
    return _self(f"action {how}{spent}{left}", "plain" if good and not left else "warning")


def _resolved(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    outcome = data["outcome"].replace("_", " ")
    if data["by"] == "observation":
        return _self(f"action {outcome}, by what was observed")
    return _by(event, f"says the action was {outcome}{_quote(data['note'])}", "warning")


def _rollback(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    typed = f", typed {data['confirmed']}" if data["confirmed"] else ""
    return _by(event, f"rolls back to {_label(data['to'])}{typed}", "loud")


def _rolled(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    why = f": {data['why']}" if data["why"] else ""
    spent = took(data["duration_ms"])
    if data["state"] == "rolled_back":
        return _self(f"rolled back in {spent}, {len(data['verified'])} verified", "good")
    return _self(f"rollback incomplete after {spent}{why}", "bad")


def _changed(event: Recorded, title: Titles) -> Sentence:
    data = event.data
    if data["decision"] == "keep":
        return _by(event, "keeps the files pinned at the start", "quiet")
    moved = len(data["changed"]) + len(data["added"]) + len(data["removed"])
    return _by(event, f"adopts the changed files: {moved} step{'' if moved == 1 else 's'} differ", "warning")


_TELL: Mapping[str, Callable[[Recorded, Titles], Sentence]] = {
    "run.bound": _bound,
    "run.checked": _checked,
    "run.looked": _looked,
    "step.rests": lambda event, title: _self(
        f"{title(event.data['step'])} counts as long as its files are the same ({len(event.data['on'])} looked at)",
        "quiet",
    ),
    "run.inputs": _inputs,
    "run.authors": _authors,
    "log.open": lambda event, _: _by(event, "opened the log", "quiet"),
    "clock.step": lambda event, _: _self(
        f"the clock of {event.actor.host} moved by {took(abs(event.data['drift_ms']))}", "warning"
    ),
    "trust.given": lambda event, _: _by(
        event, f"accepted {event.data['commands']} commands, {event.data['digest'][:4]}…", "plain"
    ),
    "run.start": _started,
    "run.resume": lambda event, _: _by(
        event, "resumed" + ("; the files differ from the pinned ones" if event.data["files_changed"] else ""), "quiet"
    ),
    "run.suspended": lambda event, _: _by(event, f"stopped by {event.data['signal']}", "quiet"),
    "run.emergency": lambda event, _: _by(event, f'declares an emergency  "{event.data["reason"]}"', "bad"),
    "run.end": _ended,
    "checklist.changed": _changed,
    "step.intent": _trial,
    "step.result": _result,
    "step.note": lambda event, title: _by(
        event, f"notes{' on ' + title(event.data['step']) if event.data['step'] else ''}: {event.data['text']}"
    ),
    "signoff": _signed,
    "waiver": _waived,
    "signoff.withdraw": lambda event, _: _by(
        event, f"takes back entry {event.data['of']}{_quote(event.data['note'])}", "warning"
    ),
    "gate.decision": _gate,
    "section.reopened": lambda event, title: _by(
        event, f"reopened {title(event.data['section'])}{_quote(event.data['reason'])}", "warning"
    ),
    "lock.acquire": lambda event, _: _by(
        event, f"holds the lock of {event.data['service']} in {event.data['environment']}", "quiet"
    ),
    "lock.release": lambda event, _: _by(event, "gave the lock back", "quiet"),
    "lock.take": lambda event, _: _by(event, f"took the lock from {event.data['holder']['name']}", "loud"),
    "rollback.point": _point,
    "rollback.intent": _rollback,
    "rollback.end": _rolled,
    "action.intent": _intent,
    "action.started": lambda event, _: _self(
        f"its program runs{', pid ' + str(event.data['pid']) if event.data['pid'] else ''}", "quiet"
    ),
    "action.finished": _finished,
    "action.resolved": _resolved,
    "export.made": lambda event, _: _by(
        event, f"exported {event.data['format']}: entries {event.data['first']} to {event.data['last']}", "quiet"
    ),
}
