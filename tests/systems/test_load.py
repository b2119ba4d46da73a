"""What a burst comes to: percentiles, rates, a generator in its own way, and the way back after a peak."""

from __future__ import annotations

import pytest

from captain.systems.metrics.load import Burst, Shot, Stage, percentile, summed

STEADY = [Stage(10, rps=10)]
SPIKE = [Stage(10, rps=10), Stage(10, rps=30), Stage(10, rps=10)]


def shots(stage: int, start: float, count: int, rps: float, took: float = 0.05, outcome: int | str = 200) -> list[Shot]:
    return [Shot(stage, start + at / rps, 0.001, took, outcome) for at in range(count)]


def spike(*, slow_for: float) -> Burst:
    burst = Burst(SPIKE, [*shots(0, 0, 100, 10), *shots(1, 10, 300, 30, took=1.0)])
    burst.shots += [
        Shot(2, shot.due, 0.001, 1.0 if shot.due < 20 + slow_for else 0.05, 200) for shot in shots(2, 20, 100, 10)
    ]
    return burst


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(at) for at in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.9, 0.95, 0.99, 1.0)] == [50, 90, 95, 99, 100]
    assert percentile([7.0], 0.5) == 7.0


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (1, {"max"}),
        (2, {"max", "p50"}),
        (10, {"max", "p50", "p90"}),
        (20, {"max", "p50", "p90", "p95"}),
        (99, {"max", "p50", "p90", "p95"}),
        (100, {"max", "p50", "p90", "p95", "p99"}),
    ],
)
def test_a_percentile_needs_as_many_answers_as_it_speaks_of(count: int, names: set[str]) -> None:
    assert set(summed(Burst(STEADY, shots(0, 0, count, 10))).percentiles) == names


def test_quick_errors_do_not_make_the_times_look_good_and_timeouts_count_as_long() -> None:
    burst = Burst(STEADY, [*shots(0, 0, 50, 10), *shots(0, 5, 40, 10, 0.0001, 500), *shots(0, 9, 10, 10, 5, "timeout")])
    found = summed(burst)
    assert (found.requests, found.good, found.timeouts) == (100, 50, 10)
    assert (found.statuses, found.reasons) == ({"200": 50, "500": 40}, {"timeout": 10})
    assert found.percentiles == {"p50": 0.05, "p90": 5, "p95": 5, "max": 5}


def test_the_warm_up_does_not_count() -> None:
    found = summed(Burst(STEADY, [*shots(-1, 0, 50, 10, 9.0, 500), *shots(0, 0, 100, 10)]))
    assert (found.requests, found.good, found.percentiles["max"]) == (100, 100, 0.05)
    assert (found.target, found.achieved) == (10.0, 10.0)


def test_a_redirect_is_no_answer_as_asked() -> None:
    assert summed(Burst(STEADY, shots(0, 0, 10, 10, outcome=302))).good == 0


@pytest.mark.parametrize(
    ("burst", "words"),
    [
        (Burst(STEADY, shots(0, 0, 100, 10)), ""),
        (Burst(STEADY, shots(0, 0, 90, 10)), "9 of 10 requests a second"),
        (Burst(STEADY, shots(0, 0, 100, 10), hopeless=True), "requests a second"),
        (Burst(STEADY, []), "0 of 10 requests a second"),
        (Burst(STEADY, [Shot(0, at / 10, 0.2, 0.3, 200) for at in range(100)]), "200 ms late"),
        (Burst(STEADY, shots(0, 0, 100, 10), queued=50), "every connection was in use"),
        (Burst([Stage(10, users=5)], shots(0, 0, 100, 10), busy=0.95), "95% of a processor"),
        (Burst([Stage(10, users=5)], shots(0, 0, 100, 10), lag=0.2), "200 ms late"),
        (Burst([Stage(10, users=5)], shots(0, 0, 100, 10), busy=0.3), ""),
    ],
)
def test_a_generator_in_its_own_way_is_seen(burst: Burst, words: str) -> None:
    found = summed(burst).saturated
    assert words in found
    assert bool(found) is bool(words)


def test_connections_held_by_requests_nobody_answers_are_the_products_doing() -> None:
    burst = Burst(STEADY, shots(0, 0, 100, 10, 5.0, "timeout"), queued=60)
    assert summed(burst).saturated == ""


def test_the_way_back_after_a_peak_is_measured() -> None:
    assert (summed(spike(slow_for=0)).recovered, summed(spike(slow_for=0)).recovery) == (True, 0.0)
    assert (summed(spike(slow_for=3)).recovered, summed(spike(slow_for=3)).recovery) == (True, 3.0)
    never = summed(spike(slow_for=10))
    assert (never.recovered, never.recovery) == (False, None)


def test_errors_after_a_peak_are_no_recovery() -> None:
    burst = Burst(SPIKE, [*shots(0, 0, 100, 10), *shots(1, 10, 300, 30), *shots(2, 20, 100, 10, 0.001, 500)])
    assert summed(burst).recovered is False


@pytest.mark.parametrize(
    "stages",
    [
        [Stage(10, rps=10), Stage(10, rps=30)],
        [Stage(10, rps=10), Stage(10, rps=5), Stage(10, rps=10)],
        [Stage(10, rps=10), Stage(10, users=3), Stage(10, rps=10)],
    ],
)
def test_without_a_peak_between_calmer_stages_there_is_no_recovery(stages: list[Stage]) -> None:
    assert summed(Burst(stages, shots(0, 0, 100, 10))).recovered is None
