"""`soak`: what a timer step of a review must say so that its time can be counted, and what it is in a release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from captain.errors import Problem
from captain.loader import lint

SERVICE = """\
service: shop
environments: { staging: {}, production: {} }
checklists: [checklists/review.yaml]
"""
PROMETHEUS = "prometheus: { url: 'http://p', mode: range, query: up, reduce: min }"


def found(service: Callable[..., Path], step: str, per: str = "service") -> list[Problem]:
    phase = "" if per == "service" else ", phase: post"
    text = (
        f"checklist: review\ntitle: Review\nper: {per}\nsections:\n  - {{ id: all, title: All{phase}, steps: [\n"
        f"      {{ id: it, title: It, {step} }} ] }}\n"
    )
    root = service(text, SERVICE)
    (root / "checklists" / "deploy.yaml").rename(root / "checklists" / "review.yaml")
    return lint([], cwd=root)


def test_a_probe_that_says_what_was_measured_may_be_timed(service: Callable[..., Path]) -> None:
    step = f"{PROMETHEUS}, soak: {{ for: 24h, coverage: 0.95, environment: staging }}, expect: ['value >= 1.0']"
    assert found(service, step) == []


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "tcp: { host: x, port: 1 }, soak: { for: 24h }",
            "soak needs a probe that observes coverage: it does not observe what share of a window was measured",
        ),
        (
            "prometheus: { url: 'http://p', query: up }, soak: { for: 24h }",
            "soak needs a probe that observes coverage: it asks over a window only in mode range",
        ),
        (
            "prometheus: { url: 'http://p', mode: range, query: up }, soak: { for: 24h }",
            "soak needs a probe that observes coverage: its newest value alone says nothing of the time before: "
            "give reduce, such as min",
        ),
        (
            f"{PROMETHEUS[:-2]}, window: 1h }}, soak: {{ for: 24h }}",
            "soak needs a probe that observes coverage: window would have no effect: the time that is asked about is "
            "the soak's",
        ),
        (
            f"{PROMETHEUS[:-2]}, empty: zero }}, soak: {{ for: 24h }}",
            "soak needs a probe that observes coverage: empty: zero is 0 where nothing was measured too",
        ),
        (
            f"{PROMETHEUS[:-2]}, step: 1s }}, soak: {{ for: 24h }}",
            "soak needs a probe that observes coverage: it takes at most 10,000 steps; make step longer",
        ),
        (
            f"probes: {{ a: {{ {PROMETHEUS} }}, b: {{ tcp: {{ host: x, port: 1 }} }} }}, soak: {{ for: 1h }}, "
            "expect: ['b.connected']",
            "b: soak needs a probe that observes coverage: it does not observe what share of a window was measured",
        ),
        (f"{PROMETHEUS}, soak: {{ for: 24h, coverage: 95 }}", "coverage is a share above 0 and at most 1"),
        (f"{PROMETHEUS}, soak: {{ for: 24h, coverage: 0 }}", "coverage is a share above 0 and at most 1"),
        (f"{PROMETHEUS}, soak: {{ for: 0s }}", "a soak needs some time"),
        (
            f"{PROMETHEUS}, soak: {{ for: 24h, environment: stagin }}",
            'captain.yaml declares no environment "stagin"',
        ),
        (f"{PROMETHEUS}, soak: {{ for: 24h }}, within: 5m", "within has no effect beside soak"),
        (f"{PROMETHEUS}, soak: {{ for: 24h }}, for: 5m", "for has no effect beside soak"),
        ("manual: Look., soak: { for: 24h }", "soak has no effect beside manual"),
    ],
)
def test_what_could_never_be_counted_is_refused(service: Callable[..., Path], step: str, said: str) -> None:
    assert [(one.severity, one.message) for one in found(service, step)] == [("error", said)]


def test_a_step_of_another_checklist_cannot_be_timed(service: Callable[..., Path]) -> None:
    messages = [one.message for one in found(service, "alias: it, soak: { for: 1h }")]
    assert "soak needs a probe that observes coverage, and an alias stands for another step" in messages


def test_in_a_release_it_is_noted_as_not_measured(service: Callable[..., Path]) -> None:
    noted = found(service, "tcp: { host: x, port: 1 }, soak: { for: 24h }", per="release")
    assert [(one.severity, one.message) for one in noted] == [("note", "soak: not measured by this captain yet")]


def test_conditions_beside_it_are_checked(service: Callable[..., Path]) -> None:
    wrong = found(service, f"{PROMETHEUS}, soak: {{ for: 24h }}, expect: ['valu >= 1.0']")
    assert [one.severity for one in wrong] == ["error"]


def test_a_file_cannot_say_itself_that_it_is_measured(service: Callable[..., Path]) -> None:
    refused = found(service, "tcp: { host: x, port: 1 }, soak: { for: 24h }, review: true", per="release")
    assert '"review" is not a key of a step' in [one.message for one in refused]
