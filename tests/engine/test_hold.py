"""`within`, `for` and `fail_after`, told in samples and times: no clock runs here, nobody is asked."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from captain.checklist import Step
from captain.engine.hold import Hold
from captain.engine.plans import Plan, Sample
from captain.measurement import Verdict

WORDS = {"t": Verdict.PASS, "w": Verdict.WARN, "f": Verdict.FAIL, "?": Verdict.UNKNOWN}


def seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def hold(
    *, within: float | None = None, hold_for: float | None = None, fail_after: int = 1, deadline: float | None = None
) -> Hold:
    plan = Plan(
        Step(id="health", title="Health"),
        {},
        ("status == 200",),
        (),
        timeout=timedelta(seconds=1),
        every=timedelta(seconds=1),
        within=seconds(within),
        hold=seconds(hold_for),
        fail_after=fail_after,
        deadline=seconds(deadline),
    )
    return Hold(plan)


def told(one: Hold, samples: str, *, every: float = 1.0, took: float = 0.0) -> tuple[int | None, Sample | None]:
    """Feed samples, one each second; the number of the one that ended it (from 1) and what it says then."""
    for index, letter in enumerate(samples):
        sample = Sample((), WORDS[letter], "as seen", ())
        asked = timedelta(seconds=index * every)
        if one.take(sample, asked, asked + timedelta(seconds=took)):
            return index + 1, sample
    return None, None


def verdict(one: Hold, samples: str, **keys: float) -> tuple[int | None, str | None]:
    number, sample = told(one, samples, **keys)
    return number, None if sample is None else sample.verdict.value


def test_within_ends_at_the_first_true_sample() -> None:
    assert verdict(hold(within=10), "ff?ft") == (5, "pass")
    assert verdict(hold(within=10), "ffw") == (3, "warn")


def test_within_that_runs_out_keeps_what_the_last_sample_said() -> None:
    assert verdict(hold(within=3), "fffff") == (4, "fail")
    assert verdict(hold(within=3), "ff??") == (4, "unknown")
    _, late = told(hold(within=3), "ffff")
    assert late is not None
    assert late.message == "not true within 3 s: as seen"


def test_a_hold_is_proved_by_true_samples_that_lie_its_whole_time_apart() -> None:
    assert verdict(hold(hold_for=3), "tttt") == (4, "pass")
    assert verdict(hold(hold_for=3), "ttt") == (None, None)


def test_one_slow_sample_alone_proves_no_time() -> None:
    assert verdict(hold(hold_for=3), "t", took=60) == (1, "unknown")


def test_without_within_a_false_sample_fails_at_once_or_at_the_nth_in_a_row() -> None:
    assert verdict(hold(hold_for=5), "tf") == (2, "fail")
    assert verdict(hold(hold_for=9, fail_after=3), "tftff") == (None, None)
    assert verdict(hold(hold_for=9, fail_after=3), "tftfff") == (6, "fail")
    assert verdict(hold(hold_for=9, fail_after=2), "tf?f") == (4, "fail")


def test_within_a_false_sample_starts_the_hold_again_and_after_it_it_fails() -> None:
    assert verdict(hold(within=10, hold_for=2), "ttfttt") == (6, "pass")
    assert verdict(hold(within=3, hold_for=4), "ftttf") == (5, "fail")


def test_unknown_samples_neither_count_nor_reset() -> None:
    assert verdict(hold(hold_for=12), "ttttttt?ttttt") == (13, "pass")
    assert verdict(hold(hold_for=3), "ttt?") == (None, None)


def test_more_than_a_tenth_unknown_makes_it_unknown() -> None:
    assert verdict(hold(hold_for=12), "tttt?tt?ttttt") == (13, "unknown")


def test_waiting_does_not_thin_out_the_unknown_samples_of_the_hold() -> None:
    assert verdict(hold(within=50, hold_for=4), "f" * 40 + "t??tt") == (45, "unknown")


def test_unknown_samples_before_the_hold_are_no_part_of_it() -> None:
    assert verdict(hold(within=20, hold_for=3), "?????tttt") == (9, "pass")


def test_a_hold_that_never_got_its_time_is_not_passed() -> None:
    assert verdict(hold(hold_for=3), "?????")[1] == "unknown"
    assert verdict(hold(hold_for=3), "t?" * 4)[1] == "unknown"


def test_a_deadline_of_a_gate_or_check_cuts_both() -> None:
    assert verdict(hold(within=100, deadline=2), "ffff") == (3, "fail")
    assert verdict(hold(hold_for=100, deadline=2), "tttt") == (3, "unknown")


@settings(max_examples=300, deadline=None)
@given(
    st.text("tw?f", min_size=60, max_size=60),
    st.one_of(st.none(), st.integers(0, 12)),
    st.one_of(st.none(), st.integers(1, 8)),
    st.integers(1, 3),
)
def test_a_pass_is_always_earned_and_it_always_ends(
    samples: str, within: int | None, hold_for: int | None, fail_after: int
) -> None:
    one = hold(within=within, hold_for=hold_for, fail_after=fail_after)
    number, sample = told(one, samples)
    assert number is not None, "it went on past its own deadline"
    assert sample is not None
    assert number <= (within or 0) + (hold_for or 0) + 1 + 1
    if not sample.verdict.good:
        return
    assert samples[number - 1] in "tw"
    if hold_for is None:
        return
    run = samples[:number]
    start = number - hold_for - 1
    assert start >= 0
    held = run[start:]
    assert held[0] in "tw?f"
    if within is not None:
        assert "f" not in held
    else:
        assert "f" * fail_after not in run
    assert run.count("?") == 0 or run[start:].count("?") <= 0.1 * len(run) + hold_for * 0.1
