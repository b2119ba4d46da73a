"""Whatever is recorded, in whatever order: the run is the same value live and replayed, and never better than known."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from captain.measurement import Verdict
from captain.run import apply, fold
from captain.run.gates import readiness
from captain.run.status import status
from tests.run.diary import Diary, action, manual, probe, ruled, severe, target

VERDICTS = st.sampled_from(["pass", "warn", "unknown", "fail"])
PEOPLE = st.sampled_from(["karen", "Karen", "bob", "BOB", "eve"])
STEPS = st.sampled_from(["health", "lag", "speed"])
MEANINGS = st.sampled_from(["approve", "reject", "not_applicable"])

Deed = Callable[[Diary], object]

deeds: st.SearchStrategy[Deed] = st.one_of(
    st.builds(lambda step, verdict: lambda d: d.result(step, verdict), STEPS, VERDICTS),
    st.builds(
        lambda step, meaning, who, seen: lambda d: d.sign(step, meaning, by=who, seen=seen, note="so"),
        st.sampled_from(["health", "lag", "told"]),
        MEANINGS,
        PEOPLE,
        VERDICTS,
    ),
    st.builds(lambda step, covers: lambda d: d.waive(step, *covers), STEPS, st.sampled_from([(), ("status == 200",)])),
    st.builds(lambda seq: lambda d: d.withdraw(seq), st.integers(1, 30)),
    st.builds(
        lambda go: lambda d: d.gate("pre", go, opens="deploy" if go == "go" else None), st.sampled_from(["go", "no_go"])
    ),
    st.just(lambda d: d.write("section.reopened", {"section": "pre", "reason": "again"})),
    st.just(lambda d: d.point()),
    st.builds(lambda name: lambda d: d.intent(name), st.sampled_from(["a1", "a2"])),
    st.builds(lambda name: lambda d: d.started(name), st.sampled_from(["a1", "a2"])),
    st.builds(
        lambda name, how, code: lambda d: d.finished(name, how, code),
        st.sampled_from(["a1", "a2"]),
        st.sampled_from(["exited", "signalled", "timed_out", "cancelled", "lost"]),
        st.sampled_from([0, 1]),
    ),
    st.builds(
        lambda name, what, by: lambda d: d.resolved(name, what, by),
        st.sampled_from(["a1", "a2"]),
        st.sampled_from(["applied", "not_applied", "partial"]),
        st.sampled_from(["person", "observation"]),
    ),
    st.builds(
        lambda name, verdict: lambda d: d.result("roll-out", verdict, attempt=name, purpose="observe"),
        st.sampled_from(["a1", "a2"]),
        VERDICTS,
    ),
    st.builds(lambda minutes: lambda d: d.later(minutes=minutes), st.integers(-30, 60)),
    st.just(lambda d: d.end()),
)


def diary() -> Diary:
    return Diary(
        target(
            probe("health"),
            probe("lag", sign_off=(ruled(None),)),
            severe(probe("speed"), "warning"),
            manual("told"),
            deploy=[action()],
        )
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(deeds, max_size=30))
def test_a_run_is_the_fold_of_its_entries_and_nothing_else(story: list[Deed]) -> None:
    written = diary()
    live = fold(written.events)
    for deed in story:
        before = len(written.events)
        deed(written)
        for event in written.events[before:]:
            live = apply(live, event)
    assert live == fold(written.events) == fold(list(written.events))
    assert live is not None
    assert live.last == written.events[-1]
    assert live.entries == len(written.events)


@settings(max_examples=150, deadline=None)
@given(st.lists(deeds, max_size=30))
def test_nothing_unknown_is_ever_counted_but_by_a_waiver_or_somebodys_word(story: list[Deed]) -> None:
    written = diary()
    for deed in story:
        deed(written)
    view = written.view()
    for section in view.target.checklist.sections:
        said = readiness(view, section)
        for step in section.steps:
            found = status(view, step)
            if not found.counts:
                continue
            if found.state in ("waived", "not-applicable"):
                assert found.rejected is None
                # A waiver never turns the true verdict into a better one.
                assert (step.id, found.verdict, found.result.seq if found.result else None) in said.counted
                continue
            assert found.verdict.good
            assert found.state == "measured"
            assert not found.waits
            assert found.rejected is None
            if step.manual is None:
                word = found.attempt is not None and found.attempt.resolved is not None
                assert found.result is not None or word
        if said.go and section.steps:
            unmet = [one for one in section.steps if one.severity == "blocker" and not status(view, one).counts]
            assert not unmet
            risky = [one for one in section.steps if status(view, one).state == "waived" and one.severity != "info"]
            assert not risky or said.verdict is not Verdict.PASS


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["started", "lost", "timed_out", "signalled"]), max_size=4), VERDICTS)
def test_an_interrupted_action_stays_unknown_until_an_observation_or_a_person(ends: list[str], seen: str) -> None:
    written = Diary(target(deploy=[action()]))
    written.deploy_opens()
    written.intent("a1")
    for end in ends:
        if end == "started":
            written.started("a1")
        else:
            written.finished("a1", end)
    assert written.status("roll-out").verdict is Verdict.UNKNOWN
    written.result("roll-out", seen, attempt="a1", purpose="observe")
    expected = Verdict(seen) if any(end != "started" for end in ends) else Verdict.UNKNOWN
    assert written.status("roll-out").verdict is expected


def test_entries_of_other_runs_and_of_later_captains_change_nothing() -> None:
    written = diary()
    run = written.run
    event = written.events[0]
    other = type(event)(9, "x", event.ts, 0, "b", event.actor, "run.end", "shop-staging-1", {"state": "aborted"})
    assert apply(run, other) == run
    unknown = type(event)(10, "y", event.ts, 0, "b", event.actor, "watch.sample", run.id, {"any": 1})
    after = apply(run, unknown)
    assert after is not None
    assert (after.results, after.state) == (run.results, "open")
    assert fold([]) is None


def test_what_a_run_is_made_of_loads_nothing_heavy() -> None:
    program = (
        "import sys, captain.run, captain.run.view, captain.run.status, captain.run.gates, captain.run.allowed\n"
        "heavy = {'pydantic', 'cel_expr_python', 'sqlite3', 'sqlite_utils', 'httpx', 'docker', 'textual', 'asyncio'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
