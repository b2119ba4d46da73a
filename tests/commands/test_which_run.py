"""Which run a word on the command line means."""

from __future__ import annotations

import pytest

from captain.commands.shared.runs import Row, find, words
from captain.errors import UsageError
from captain.events import Actor, Recorded

ME = Actor("karen", "git", "karen", 1, "host")


def row(run: str, *, kind: str = "release", service: str = "shop", ended: bool = False) -> Row:
    def event(what: str, data: dict[str, object]) -> Recorded:
        return Recorded(1, "0" * 26, "2026-11-23T14:00:00.000000Z", 0, "b", ME, what, run, data)

    start = event("run.start", {"kind": kind, "service": service})
    return Row(start, event("run.end", {"state": "completed"}) if ended else None, None)


KNOWN = [
    row("shop-production-1.4.0.2"),
    row("shop-production-1.4.0", ended=True),
    row("shop-staging-check-20261123T140000Z", kind="check"),
    row("pay-production-9", service="pay"),
]


@pytest.mark.parametrize(
    ("name", "service", "found"),
    [
        ("shop-production-1.4.0", None, "shop-production-1.4.0"),
        ("shop-production-1.4.0.", None, "shop-production-1.4.0.2"),
        ("pay", None, "pay-production-9"),
        (None, "shop", "shop-production-1.4.0.2"),
        ("shop-staging-check-20261123T140000Z", None, "shop-staging-check-20261123T140000Z"),
    ],
)
def test_an_exact_id_wins_then_a_unique_beginning_then_the_only_open_run(
    name: str | None, service: str | None, found: str
) -> None:
    assert find(KNOWN, name, service).run == found


@pytest.mark.parametrize(
    ("name", "service", "sentence"),
    [
        ("shop-prod", None, "which run? shop-production-1.4.0.2, shop-production-1.4.0"),
        (None, None, "which run? shop-production-1.4.0.2, pay-production-9"),
        (None, "billing", "there is no open run"),
        ("shop-staging", None, "there is no run 'shop-staging'"),
        ("", None, "which run?"),
    ],
)
def test_what_is_not_one_run_is_refused_with_the_list(name: str | None, service: str | None, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        find(KNOWN, name, service)
    assert sentence in str(refused.value)


def test_checks_are_found_by_their_beginning_where_they_are_meant() -> None:
    assert find(KNOWN, "shop-staging", None, checks=True).start.data["kind"] == "check"


def test_releases_come_before_checks_that_begin_alike() -> None:
    known = [row("shop-staging-1.5.0", ended=True), *KNOWN]
    assert find(known, "shop-staging", None, checks=True).run == "shop-staging-1.5.0"
    assert find(known, "shop-staging-check", None, checks=True).start.data["kind"] == "check"
    with pytest.raises(UsageError) as refused:
        find([row("shop-staging-1.6.0"), *known], "shop-staging", None, checks=True)
    assert str(refused.value) == "which run? shop-staging-1.6.0, shop-staging-1.5.0"


def test_the_run_may_be_left_out_of_the_words() -> None:
    assert words(["pre"], "SECTION") == ("", "pre")
    assert words(["shop", "pre"], "SECTION") == ("shop", "pre")
    for wrong in ([], ["a", "b", "c"]):
        with pytest.raises(UsageError):
            words(wrong, "SECTION")
