"""A Run is the fold of its entries: nothing here reads a file, a clock or a system.

A run of kind `standing` walks a checklist with `per: service`. There is one for each service, environment and
checklist; it has no version, phases, lock or order: every section is open as long as it stands. It is bound to the
commit that HEAD names, and bound anew (`run.bound`) where HEAD or the work tree has changed: what was seen of the
older commit is stale, and what was signed for it has lapsed. What was read of the same commit's files (`step.rests`)
counts as long as they are found as they were (`run.looked`). A gate's go in it is recorded and closes nothing. Its
state is `open` until somebody gives it up (`aborted`); it is never completed. Each headless check of it ends with
`run.checked`, by which `run.trend` reads how it stood then.

`apply` takes one recorded event; live and replayed runs are therefore the same value. What a run's steps,
gates and keys mean for a person is derived in `run.status`, `run.gates` and `run.allowed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from captain.events import Recorded
from captain.measurement import Verdict
from captain.release import Release
from captain.run.facts import Attempt, Decision, Result, Rollback, SignOff, Trial, Waiver, release_of, worse
from captain.run.resting import Looked, Rests, looked_of, with_rests

__all__ = [
    "Attempt",
    "Decision",
    "Result",
    "Rollback",
    "Run",
    "SignOff",
    "Trial",
    "Waiver",
    "apply",
    "fold",
    "worsened",
]

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Run:
    """One walk of one checklist for one release: what its entries say and nothing more."""

    id: str
    kind: str
    service: str
    environment: str
    protected: bool
    checklist: str
    release: Release
    start: Recorded
    previous: Release | None = None
    previous_source: str | None = None
    previous_differs: bool = False
    files: tuple[Mapping[str, Any], ...] = ()
    """The pinned files, the newest adopted ones: path, sha256, evidence."""
    results: Mapping[str, Result] = field(default_factory=lambda: _NOTHING)
    """The newest result of each step that counts, by step id."""
    before: Mapping[str, Result] = field(default_factory=lambda: _NOTHING)
    """What was measured when the deploy section opened."""
    verified: Mapping[str, Result] = field(default_factory=lambda: _NOTHING)
    """What the rollback's verification saw."""
    trials: Mapping[str, Trial] = field(default_factory=lambda: _NOTHING)
    """The newest start of each active step or drill, by step id."""
    sign_offs: tuple[SignOff, ...] = ()
    countersigns: tuple[SignOff, ...] = ()
    """By second persons, each on a waiver or on a step that was called not applicable."""
    waivers: tuple[Waiver, ...] = ()
    seen: Mapping[tuple[str, str, Verdict], int] = field(default_factory=lambda: _NOTHING)
    """By step, definition and verdict: the number of the newest result that said so."""
    authors: frozenset[str] | None = None
    """Who wrote what the release brings, in lower case; None where nobody can tell."""
    withdrawn: Mapping[int, int] = field(default_factory=lambda: _NOTHING)
    """Sign-offs and waivers that were taken back, by their numbers: the number of the entry that did it."""
    lapsed: frozenset[int] = frozenset()
    """Approvals that nothing brings back: the step failed where its approver saw better, the gate was opened again."""
    decisions: Mapping[str, Decision] = field(default_factory=lambda: _NOTHING)
    """The go or no-go that stands, by section id; a reopened section has none."""
    opened: str | None = None
    """The section that the last go opened; None before the first go."""
    attempts: Mapping[str, Attempt] = field(default_factory=lambda: _NOTHING)
    point: Recorded | None = None
    """The way back, as it was taken before the deploy section opened."""
    no_way_back: str | None = None
    """The reason why the deploy section was opened without one."""
    rollback: Rollback | None = None
    inputs: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """What was answered when it was opened, by the question's id."""
    bound: Recorded | None = None
    """When a standing run was bound last, to another commit or another state of its work tree."""
    rests: Mapping[str, Rests] = field(default_factory=lambda: _NOTHING)
    """What results rest on that count as long as their files are the same, by step id."""
    looked: Looked | None = None
    """The newest look at those files."""
    moved: Recorded | None = None
    """When it was bound to another commit than before."""
    end: Recorded | None = None
    last: Recorded | None = None
    """The newest entry folded."""
    entries: int = 0
    adopted: frozenset[str] = frozenset()
    """Steps that changed with the files since the start."""

    @property
    def standing(self) -> bool:
        """Whether it is the review of a service: it stands, and each check adds to it."""
        return self.kind == "standing"

    @property
    def ended(self) -> bool:
        return self.end is not None

    @property
    def started_anything(self) -> bool:
        """Whether this run has started, or was about to start, any effect."""
        return any(attempt.step is not None for attempt in self.attempts.values())

    @property
    def bars_others(self) -> bool:
        """Whether its deploy section is open, or was: nobody else may deploy here until it has ended."""
        if self.ended:
            return False
        return self.started_anything or any(one.go and self._opens_deploy(one) for one in self.decisions.values())

    def _opens_deploy(self, one: Decision) -> bool:
        # The way back is taken between the measuring and the go that opens the deploy section, and only there.
        return one.event.data["no_way_back"] is not None or (self.point is not None and one.event.seq > self.point.seq)

    @property
    def deploy_started_at(self) -> datetime | None:
        """When the first effect was about to start."""
        first = next((one for one in self.attempts.values() if one.step is not None), None)
        return None if first is None else first.intent.at

    @property
    def state(self) -> str:
        """completed, aborted, superseded, rolled_back, rollback_incomplete, checked; else open or rolling_back."""
        if self.end is not None:
            return str(self.end.data["state"])
        if self.rollback is not None:
            return str(self.rollback.end.data["state"]) if self.rollback.end else "rolling_back"
        return "open"

    def attempts_of(self, step: str) -> list[Attempt]:
        """The attempts of an action step, oldest first."""
        return [one for one in self.attempts.values() if one.step == step]

    def attempt_of(self, step: str) -> Attempt | None:
        """The newest attempt of an action step."""
        found = self.attempts_of(step)
        return found[-1] if found else None

    @property
    def touched(self) -> Attempt | None:
        """The attempt of a step that changed the environment last, or was about to."""
        steps = [one for one in self.attempts.values() if one.step is not None]
        return max(steps, key=lambda one: one.touched.seq, default=None)

    def opening(self, section: str) -> Recorded | None:
        """The go that opened a section; None for the first one and for one that no go opened."""
        found = (one.event for one in self.decisions.values() if one.go and one.event.data["opens"] == section)
        return next(found, None)

    def signed(self, on: str, target: str) -> list[SignOff]:
        """Sign-offs on a step or gate that were not withdrawn, the newest of each person only.

        What a person takes back never brings an earlier approval of theirs back; an earlier reject it does.
        """
        newest: dict[str, SignOff] = {}
        for one in self.sign_offs:
            if one.on != on or one.target != target:
                continue
            who = one.by.casefold()
            if one.seq not in self.withdrawn:
                newest[who] = one
            elif who in newest and newest[who].meaning != "reject":
                del newest[who]
        return list(newest.values())

    def waiver(self, step: str) -> Waiver | None:
        """The newest waiver of a step that was not withdrawn."""
        return next((one for one in reversed(self.waivers) if one.step == step and one.seq not in self.withdrawn), None)


def fold(events: Iterable[Recorded]) -> Run | None:
    """The run of these entries; None without a run.start."""
    run: Run | None = None
    for event in events:
        run = apply(run, event)
    return run


def apply(run: Run | None, event: Recorded) -> Run | None:
    """The run after one more entry. Entries of other runs and unknown types change nothing."""
    if event.type == "run.start":
        return _start(event) if run is None else run
    if run is None or event.run != run.id:
        return run
    step = _STEPS.get(event.type)
    after = run if step is None else step(run, event)
    return replace(after, last=event, entries=run.entries + 1)


def _start(event: Recorded) -> Run:
    data = event.data
    previous = data["previous"]
    return Run(
        id=event.run,
        kind=data["kind"],
        service=data["service"],
        environment=data["environment"],
        protected=data["protected"],
        checklist=data["checklist"],
        release=release_of(data),
        start=event,
        previous=None if previous is None else release_of(previous),
        previous_source=None if previous is None else previous["source"],
        previous_differs=False if previous is None else previous["differs"],
        files=tuple(data["files"]),
        last=event,
        entries=1,
    )


def _bound(run: Run, event: Recorded) -> Run:
    release = release_of(event.data)
    first = run.bound is None
    moved = event if not first and release.commit != run.release.commit else run.moved
    return replace(run, release=release, bound=event, moved=moved)


def _put(mapping: Mapping[str, Any], key: str, value: Any) -> Mapping[str, Any]:
    return MappingProxyType({**mapping, key: value})


def _result(run: Run, event: Recorded) -> Run:
    result = Result(event)
    trial = run.trials.get(result.step)
    if trial is not None and result.attempt == trial.id:
        run = replace(run, trials=_put(run.trials, result.step, replace(trial, end=result)))
    if result.purpose == "before":
        return replace(run, before=_put(run.before, result.step, result))
    if result.purpose == "verify":
        return replace(run, verified=_put(run.verified, result.step, result))
    seen = MappingProxyType({**run.seen, (result.step, result.definition, result.verdict): event.seq})
    after = replace(run, results=_put(run.results, result.step, result), seen=seen)
    gone = frozenset(one.seq for one in run.sign_offs if _lapses(one, result))
    return replace(after, lapsed=run.lapsed | gone) if gone else after


def _lapses(one: SignOff, result: Result) -> bool:
    """Whether an approval ends with this result. One that says nothing (unknown) suspends it, no more."""
    seen = one.event.data["seen"]
    return (
        (one.on, one.target, one.meaning) == ("step", result.step, "approve")
        and seen is not None
        and one.event.data["definition"] == result.definition
        and result.verdict is not Verdict.UNKNOWN
        and worse(result.verdict, Verdict(seen["verdict"]))
    )


def worsened(seen: Mapping[tuple[str, str, Verdict], int], one: SignOff) -> bool:
    """Whether a worse verdict than its approver saw came after an approval. An unknown one says nothing."""
    data = one.event.data
    if one.meaning != "approve" or data["seen"] is None:
        return False
    said = Verdict(data["seen"]["verdict"])
    worse_ones = (verdict for verdict in (Verdict.WARN, Verdict.FAIL) if worse(verdict, said))
    return any(seen.get((one.target, data["definition"], verdict), 0) > one.seq for verdict in worse_ones)


def _authors(run: Run, event: Recorded) -> Run:
    names = frozenset(name.casefold() for name in event.data["names"]) if event.data["known"] else None
    return replace(run, authors=names)


def _trial(run: Run, event: Recorded) -> Run:
    trial = Trial(event)
    return replace(run, trials=_put(run.trials, trial.step, trial))


def _signed(run: Run, event: Recorded) -> Run:
    one = SignOff(event)
    if one.meaning == "countersign":
        # It is about another's decision, and never stands in for one of its author's own.
        return replace(run, countersigns=(*run.countersigns, one))
    after = replace(run, sign_offs=(*run.sign_offs, one))
    newest = run.results.get(one.target)
    # What another captain recorded before this entry, its signer did not see.
    late = newest is not None and _lapses(one, newest)
    return replace(after, lapsed=run.lapsed | {one.seq}) if late else after


def _changed(run: Run, event: Recorded) -> Run:
    if event.data["decision"] != "adopt":
        return run
    # Changed steps lose their results and sign-offs; sign-offs go by their definition, which no longer matches.
    gone = {*event.data["changed"], *event.data["removed"]}
    results = MappingProxyType({step: one for step, one in run.results.items() if step not in gone})
    before = MappingProxyType({step: one for step, one in run.before.items() if step not in gone})
    return replace(run, files=tuple(event.data["files"]), results=results, before=before, adopted=run.adopted | gone)


def _gate(run: Run, event: Recorded) -> Run:
    decision = Decision(event)
    after = replace(run, decisions=_put(run.decisions, decision.section, decision))
    if decision.go:
        after = replace(after, opened=event.data["opens"] or run.opened)
    if event.data["no_way_back"] is not None:
        after = replace(after, no_way_back=event.data["no_way_back"])
    return after


def _reopened(run: Run, event: Recorded) -> Run:
    section = event.data["section"]
    seq = run.decisions[section].event.seq if section in run.decisions else 0
    left = {name: one for name, one in run.decisions.items() if one.event.seq < seq}
    # A go that is taken back takes the signatures with it that it rested on; a reject only its author takes away.
    gone = frozenset(one.seq for one in run.sign_offs if one.on == "gate" and one.meaning == "approve")
    return replace(
        run,
        decisions=MappingProxyType(left),
        opened=section,
        point=None,
        no_way_back=None,
        lapsed=run.lapsed | gone,
    )


def _intent(run: Run, event: Recorded) -> Run:
    attempt = Attempt(event)
    after = replace(run, attempts=_put(run.attempts, attempt.id, attempt))
    if run.rollback is not None and event.data["rollback"] == run.rollback.id:
        after = replace(after, rollback=replace(run.rollback, attempts=(*run.rollback.attempts, attempt.id)))
    return after


def _attempt(which: str) -> Callable[[Run, Recorded], Run]:
    def put(run: Run, event: Recorded) -> Run:
        attempt = run.attempts.get(event.data["attempt"])
        if attempt is None:
            return run
        if which == "started":
            attempt = replace(attempt, started=event)
        elif which == "finished":
            # What a process said of itself stands; "lost" only ever fills a gap.
            if attempt.finished is not None and event.data["outcome"] == "lost":
                return run
            attempt = replace(attempt, finished=event)
        else:
            attempt = replace(attempt, resolved=event)
        return replace(run, attempts=_put(run.attempts, attempt.id, attempt))

    return put


def _rollback_end(run: Run, event: Recorded) -> Run:
    if run.rollback is None or run.rollback.id != event.data["rollback"]:
        return run
    return replace(run, rollback=replace(run.rollback, end=event))


def _rollback_intent(run: Run, event: Recorded) -> Run:
    return replace(run, rollback=Rollback(event), verified=_NOTHING)


_STEPS: Mapping[str, Callable[[Run, Recorded], Run]] = {
    "run.authors": _authors,
    "run.bound": _bound,
    "run.inputs": lambda run, event: replace(run, inputs=MappingProxyType({**run.inputs, **event.data["values"]})),
    "checklist.changed": _changed,
    "step.intent": _trial,
    "step.result": _result,
    "step.rests": lambda run, event: replace(run, rests=with_rests(run.rests, run.results, event)),
    "run.looked": lambda run, event: replace(run, looked=looked_of(event)),
    "signoff": _signed,
    "waiver": lambda run, event: replace(run, waivers=(*run.waivers, Waiver(event))),
    "signoff.withdraw": lambda run, event: replace(run, withdrawn={**run.withdrawn, event.data["of"]: event.seq}),
    "gate.decision": _gate,
    "section.reopened": _reopened,
    "rollback.point": lambda run, event: replace(run, point=event),
    "rollback.intent": _rollback_intent,
    "rollback.end": _rollback_end,
    "action.intent": _intent,
    "action.started": _attempt("started"),
    "action.finished": _attempt("finished"),
    "action.resolved": _attempt("resolved"),
    "run.end": lambda run, event: replace(run, end=event),
}
