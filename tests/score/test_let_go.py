"""What is let go, or weighs nothing, is named beside the number: it hides no blocker, and makes no plain go."""

from __future__ import annotations

import pytest

from captain.score import decide
from tests.score.review import manual, probe, review, scored


def test_a_blocker_that_somebody_calls_not_applicable_is_a_go_with_risk() -> None:
    diary = review((probe("healthy"), probe("secrets")))
    diary.result("healthy")
    diary.result("secrets", "fail", message="1 secret in layer 3")
    diary.sign("secrets", "not_applicable", note="not now")
    found = scored(diary)
    assert (found.low, found.blockers) == (100, ())
    assert decide(found).word == "GO WITH RISK"
    assert "not applicable, says karen: not now" in decide(found).reasons[0]


def test_a_warning_that_nobody_must_sign_may_be_called_not_applicable_without_risk() -> None:
    diary = review((probe("healthy"), probe("bundle", severity="warning")))
    diary.result("healthy")
    diary.sign("bundle", "not_applicable", note="no frontend")
    assert decide(scored(diary)).word == "GO"


@pytest.mark.parametrize("section", ["own", "shared"])
def test_a_blocker_that_weighs_nothing_is_a_blocker_all_the_same(section: str) -> None:
    bad = probe("secrets", weight=0.0)
    diary = review((probe("healthy"),), (bad,)) if section == "own" else review((probe("healthy"), bad))
    diary.result("healthy")
    diary.result("secrets", "fail", message="1 secret in layer 3")
    found = scored(diary)
    assert [one.id for one in found.categories] == ["c1"] and found.low == 100
    assert decide(found).reasons == ("Secrets: 1 secret in layer 3",)
    assert decide(found).word == "NO-GO"


def test_where_a_whole_category_is_called_not_applicable_the_risk_of_it_is_named() -> None:
    diary = review((probe("healthy"),), (probe("secrets"),))
    diary.result("healthy")
    diary.sign("secrets", "not_applicable", note="later")
    assert decide(scored(diary)).word == "GO WITH RISK"


def test_a_blocker_that_is_waived_beside_the_score_is_a_risk() -> None:
    diary = review((probe("healthy"),), beside={"extras": (probe("secrets"),)})
    diary.result("healthy")
    diary.result("secrets", "fail")
    diary.waive("secrets", "status == 200")
    assert decide(scored(diary)).word == "GO WITH RISK"


def test_a_gap_that_somebody_calls_not_applicable_is_a_risk_and_touches_nothing_more() -> None:
    diary = review((probe("healthy"), manual("gap", affects=("healthy",))))
    diary.result("healthy")
    diary.sign("gap", "not_applicable", note="not ours")
    assert (scored(diary).low, decide(scored(diary)).word) == (100, "GO WITH RISK")
