"""Every entry of the log as one line in plain words. Knows the entry types; knows no run, no screen, no colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from captain.clock import parse_stamp
from captain.events import Recorded
from captain.safe import safe

Titles = Mapping[str, str]
"""What people call a step, section or attempt, by id; an id that is missing stands for itself."""

LIMIT = 400
"""Characters of a sentence; the entry itself holds the rest."""


def sentence(event: Recorded, titles: Titles | None = None) -> str:
    """What happened, without who and when: `go for Pre-deployment, typed production`. One displayable line."""
    spell = _SENTENCES.get(event.type)
    text = event.type if spell is None else spell(event.data, titles or {})
    return safe(text, LIMIT)


def attempt_titles(events: Iterable[Recorded], titles: Titles | None = None) -> dict[str, str]:
    """`titles` and, for every attempt that these entries start, the title of its step or rollback part."""
    known = dict(titles or {})
    for event in events:
        if event.type == "action.intent":
            name = event.data["step"] or event.data["part"] or event.data["attempt"]
            known[event.data["attempt"]] = known.get(name, name)
    return known


def span(milliseconds: int) -> str:
    """A length of time as people say it: 812 ms, 41 s, 1 m 48 s, 2 h 5 m, 12 d."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds // 1000
    if seconds < 10 and milliseconds % 1000 >= 100:
        return f"{milliseconds / 1000:.1f} s"
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} m {seconds} s" if seconds else f"{minutes} m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} m" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def _named(titles: Titles, ident: str | None) -> str:
    return "the run" if ident is None else titles.get(ident, ident)


def _tail(text: str | None, before: str = ": ") -> str:
    return f"{before}{text}" if text else ""


def _short(digest: str) -> str:
    return f"sha256:{digest.removeprefix('sha256:')[:4]}…"


def _release(data: Mapping[str, Any]) -> str:
    commit = (data["commit"] or "")[:7]
    return " ".join(part for part in (data["version"], commit) if part) or "?"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _day(stamp: str) -> str:
    moment = parse_stamp(stamp)
    return f"{moment.day} {moment:%b}"


def _clock_step(data: Mapping[str, Any], titles: Titles) -> str:
    if data["cause"] == "backwards":
        return f"the clock went back: it was {parse_stamp(data['before']):%H:%M:%S} UTC before"
    return f"the clock drifted by {span(abs(data['drift_ms']))}"


def _run_start(data: Mapping[str, Any], titles: Titles) -> str:
    verb = {"release": "opened the run", "check": "checked", "rollback": "opened a rollback"}[data["kind"]]
    previous = data["previous"]
    over = f" over {_release(previous)}" if previous is not None else ""
    return f"{verb}: {data['service']} {_release(data)} in {data['environment']}{over}, checklist {data['checklist']}"


def _run_end(data: Mapping[str, Any], titles: Titles) -> str:
    left = _tail(data["left_running"], "; left running: ")
    review = f"; review due {_day(data['review_due'])}" if data["review_due"] else ""
    return f"{_STATES[data['state']]}, {_verdict(data['verdict'])}{_tail(data['reason'])}{left}{review}"


_STATES = {
    "completed": "run completed",
    "aborted": "run aborted",
    "superseded": "run superseded",
    "rolled_back": "run rolled back",
    "rollback_incomplete": "run ended, rollback incomplete",
    "checked": "check done",
}


def _verdict(word: str) -> str:
    return "FAIL" if word == "fail" else word


def _checklist_changed(data: Mapping[str, Any], titles: Titles) -> str:
    words = [f"{len(data[key])} {key}" for key in ("changed", "added", "removed") if data[key]]
    what = ", ".join(words) or "no step differs"
    if data["decision"] == "keep":
        return f"the files changed ({what}): kept the pinned checklist"
    return f"took the changed checklist: {what}"


def _step_result(data: Mapping[str, Any], titles: Titles) -> str:
    lead = {"before": "before the deployment: ", "verify": "after the rollback: "}.get(data["purpose"], "")
    tries = f" on try {data['attempts']}" if data["attempts"] > 1 else ""
    return f"{lead}{_named(titles, data['step'])} {_verdict(data['verdict'])}{tries}{_tail(data['message'], '  ')}"


def _signoff(data: Mapping[str, Any], titles: Titles) -> str:
    target = _named(titles, data["target"])
    what = {"gate": f"the gate of {target}", "review": "the review"}.get(data["on"], target)
    if data["meaning"] == "not_applicable":
        said = f"called {what} not applicable"
    elif data["meaning"] == "countersign":
        said = f"countersigned entry {data['of']}"
    else:
        said = f"{'approved' if data['meaning'] == 'approve' else 'rejected'} {what}"
    roles = f" as {', '.join(data['roles'])}" if data["roles"] else ""
    unchecked = "" if data["role_checked"] or not data["roles"] else " (role not checked)"
    return f"{said}{roles}{unchecked}{_tail(data['note'])}"


def _waiver(data: Mapping[str, Any], titles: Titles) -> str:
    return (
        f"waived {_named(titles, data['step'])} till {_day(data['expires'])}, "
        f"owner {data['owner']}{_tail(data['reason'])}"
    )


def _gate(data: Mapping[str, Any], titles: Titles) -> str:
    section = _named(titles, data["section"])
    if data["decision"] == "no_go":
        return f"no-go for {section}{_tail(data['note'])}"
    extra = [f"with risk: {', '.join(data['risk'])}"] if data["risk"] else []
    if data["overridden"]:
        extra.append(f"{_count(len(data['overridden']), 'step')} overridden")
    if data["confirmed"]:
        extra.append(f"typed {data['confirmed']}")
    if data["no_way_back"] is not None:
        extra.append(f"no way back{_tail(data['no_way_back'])}")
    return f"go for {section}" + "".join(f", {text}" for text in extra) + _tail(data["note"])


def _lock_take(data: Mapping[str, Any], titles: Titles) -> str:
    holder = data["holder"]
    return f"took the lock over from {holder['name']} on {holder['host']}{_tail(data['reason'])}"


def _point(data: Mapping[str, Any], titles: Titles) -> str:
    targets = data["targets"]
    missing = [one for one in targets if not one["ready"]]
    if missing:
        why = "; ".join(f"{one['id']}{_tail(one['why'])}" for one in missing)
        return f"the way back is NOT ready: {why}"
    return "took the way back: " + (", ".join(f"{one['id']} → {one['to']}" for one in targets) or "nothing to go back")


def _rollback_intent(data: Mapping[str, Any], titles: Titles) -> str:
    typed = f", typed {data['confirmed']}" if data["confirmed"] else ""
    stops = f", stops {', '.join(_named(titles, one) for one in data['stops'])}" if data["stops"] else ""
    return (
        f"roll back to {_release(data['to'])}: {_count(len(data['parts']), 'part')}{stops}{typed}, "
        f"plan {_short(data['plan_sha256'])}"
    )


def _rollback_end(data: Mapping[str, Any], titles: Titles) -> str:
    good = sum(one["verdict"] in ("pass", "warn") for one in data["verified"])
    verified = f", {good} of {len(data['verified'])} verified" if data["verified"] else ""
    said = "rolled back" if data["state"] == "rolled_back" else "rollback incomplete"
    return f"{said} in {span(data['duration_ms'])}{verified}{_tail(data['why'])}{_tail(data['cause'], '; cause: ')}"


def _intent(data: Mapping[str, Any], titles: Titles) -> str:
    name = _named(titles, data["step"] or data["part"] or data["attempt"])
    verb = "repeats" if data["retry_of"] else "starts"
    if data["how"] == "external":
        return f"expects {name}, done by somebody else"
    return f"{verb} {name}{_tail(' '.join(data['argv']), '  ')}"


def _finished(data: Mapping[str, Any], titles: Titles) -> str:
    ended = {
        "exited": f"exited with {data['exit_code']}",
        "signalled": f"was ended by {data['signal']}",
        "timed_out": "ran out of time and was stopped",
        "cancelled": "was stopped",
        "lost": "was lost: nobody saw its end",
    }[data["outcome"]]
    took = "" if data["duration_ms"] is None else f" after {span(data['duration_ms'])}"
    left = f"; still alive: {', '.join(data['survivors'])}" if data["survivors"] else ""
    return f"{_named(titles, data['attempt'])} {ended}{took}{left}"


def _resolved(data: Mapping[str, Any], titles: Titles) -> str:
    outcome = {"applied": "applied", "not_applied": "not applied", "partial": "applied in part"}[data["outcome"]]
    by = "as captain saw" if data["by"] == "observation" else "by word of a person"
    return f"{_named(titles, data['attempt'])} {outcome}, {by}{_tail(data['note'])}"


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any], Titles], str]] = {
    "log.open": lambda data, titles: "opened this log",
    "clock.step": _clock_step,
    "trust.given": lambda data, titles: f"accepted {_count(data['commands'], 'command')} {_short(data['digest'])}",
    "run.start": _run_start,
    "run.resume": lambda data, titles: (
        "resumed the run" + (", its files have changed" if data["files_changed"] else "")
    ),
    "run.suspended": lambda data, titles: f"left by {data['signal']}; the run stays open",
    "run.emergency": lambda data, titles: f"EMERGENCY: {data['reason']}",
    "run.end": _run_end,
    "checklist.changed": _checklist_changed,
    "step.result": _step_result,
    "step.note": lambda data, titles: (
        f"note: {data['text']}" if data["step"] is None else f"note on {_named(titles, data['step'])}: {data['text']}"
    ),
    "signoff": _signoff,
    "waiver": _waiver,
    "signoff.withdraw": lambda data, titles: f"took back entry {data['of']}{_tail(data['note'])}",
    "gate.decision": _gate,
    "section.reopened": lambda data, titles: f"reopened {_named(titles, data['section'])}{_tail(data['reason'])}",
    "lock.acquire": lambda data, titles: f"took the lock of {data['service']} in {data['environment']}",
    "lock.release": lambda data, titles: "gave the lock back",
    "lock.take": _lock_take,
    "rollback.point": _point,
    "rollback.intent": _rollback_intent,
    "rollback.end": _rollback_end,
    "action.intent": _intent,
    "action.started": lambda data, titles: (
        f"{_named(titles, data['attempt'])} runs" + ("" if data["pid"] is None else f" as process {data['pid']}")
    ),
    "action.finished": _finished,
    "action.resolved": _resolved,
    "export.made": lambda data, titles: f"exported entries {data['first']} to {data['last']} as {data['format']}",
}
