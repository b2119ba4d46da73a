"""What to do next: the one thing that lifts the score most, by the key or command that does it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain.checklist import Step
from captain.checklist.base import Alias
from captain.score import Score, decide
from captain.score.advice import gain, lifted, next_best
from tests.score.review import SignOffRule, advice, manual, probe, review, scored
from tests.score.test_score import scores


def names(diary: object) -> list[str]:
    from tests.run.diary import Diary

    assert isinstance(diary, Diary)
    return [one.item.step for one in next_best(diary.view(), scored(diary))]


def test_what_is_full_is_nothing_to_do() -> None:
    diary = review((probe("tests"),))
    diary.result("tests")
    assert names(diary) == []


def test_what_lifts_the_score_most_comes_first() -> None:
    light, heavy = probe("light", severity="warning"), probe("heavy", severity="warning", weight=3.0)
    diary = review((light, heavy, probe("done")))
    diary.result("done")
    diary.result("light", "fail")
    diary.result("heavy", "fail")
    assert names(diary) == ["heavy", "light"]
    first = advice(diary, "heavy")
    assert first.gain.category == (20, 80) and first.gain.whole == (20, 80)


def test_a_blocker_comes_before_what_lifts_more() -> None:
    diary = review((probe("small", weight=0.5), probe("big", weight=4.0, severity="warning")))
    diary.result("small", "fail")
    diary.result("big", "fail")
    assert names(diary) == ["small", "big"]
    assert advice(diary, "small").urgent and not advice(diary, "big").urgent


def test_an_open_gap_comes_before_what_it_caps_and_lifts_all_of_it() -> None:
    gap = probe("gap.1", affects=("one", "two"), severity="info")
    one, two = probe("one", severity="warning"), probe("two", severity="warning")
    diary = review((one,), (two,), beside={"gaps": (gap,)})
    diary.result("one")
    diary.result("two")
    diary.result("gap.1", "fail", message="no report")
    assert names(diary)[0] == "gap.1"
    first = advice(diary, "gap.1")
    assert first.gain.category is None and first.gain.whole == (50, 100)
    assert advice(diary, "one").what == "close the gap Gap.1: put right Gap.1: no report"


def test_each_state_says_what_a_person_can_do() -> None:
    diary = review(
        (
            probe("todo"),
            probe("failing"),
            probe("silent"),
            probe("old"),
            manual("asked"),
            manual("role", SignOffRule(role="dba")),
            probe("later", needs=("failing",)),
        ),
        people={"karen": ("captain",), "bob": ("dba",)},
    )
    diary.result("old", max_age=timedelta(minutes=1))
    diary.later(hours=1)
    diary.result("failing", "fail", message="status = 500")
    diary.result("silent", "unknown", message="prometheus: no data")
    said = {one.item.step: one for one in next_best(diary.view(), scored(diary))}
    check = "captain check deploy -e production --step"
    assert (said["todo"].verb, said["todo"].what, said["todo"].command) == (
        "measure",
        "measure Todo",
        f"{check} todo",
    )
    assert (said["old"].verb, said["old"].command) == ("measure", f"{check} old")
    assert (said["failing"].verb, said["failing"].what) == ("repair", "put right Failing: status = 500")
    assert said["silent"].what == "make known Silent: prometheus: no data"
    assert (said["asked"].verb, said["asked"].what) == ("sign", "sign Asked")
    assert said["asked"].command == "captain sign shop-production-1.4.0 asked --approve"
    assert said["role"].what == "the role dba signs Role"
    assert said["later"].what == "put right Failing: status = 500, which Later needs"


def test_a_waiver_is_put_right_before_it_ends_and_then_countersigned_where_it_must_be() -> None:
    diary = review((probe("tls"),), people={"karen": ("captain",), "bob": ("dba",)})
    diary.result("tls", "fail")
    diary.waive("tls", "status == 200")
    said = advice(diary, "tls")
    assert (said.verb, said.what) == ("countersign", "another person countersigns Tls")
    assert said.command is not None and said.command.endswith("tls --countersign")
    alone = review((probe("tls"),))
    alone.result("tls", "fail")
    alone.waive("tls", "status == 200")
    assert advice(alone, "tls").what == "put right Tls before its waiver ends on 30 Nov"


def test_a_sign_off_that_needs_evidence_is_advised_with_it() -> None:
    """The command is typed as it stands: without evidence it would be refused."""
    diary = review((manual("plan", SignOffRule(evidence="required")),))
    said = advice(diary, "plan")
    assert said.command == f"captain sign {diary.view().run.id} plan --approve --evidence FILE"


def test_what_stands_for_another_step_is_done_there_first() -> None:
    """Measuring the one that stands for it again would tell the same again."""
    diary = review(
        (manual("restore"), Step(id="tested", title="Tested", asks={"": Alias("restore")}, expect=("passed",)))
    )
    diary.result("tested", "unknown", message="step restore: waits for a sign-off")
    said = advice(diary, "tested")
    assert (said.verb, said.what) == ("first", "sign Restore, which Tested stands for")
    assert said.command is not None and said.command.endswith(" restore --approve")
    diary.sign("restore", seen=None)
    assert advice(diary, "tested").command == "captain check deploy -e production --step tested"


def test_a_reject_is_for_its_author_to_take_away() -> None:
    diary = review((manual("plan"),))
    diary.sign("plan", "reject", note="no numbers")
    assert advice(diary, "plan").what == "put right what karen rejected in Plan"


def test_steps_that_need_each_other_in_a_ring_end_somewhere() -> None:
    diary = review((probe("hen", needs=("egg",)), probe("egg", needs=("hen",))))
    assert "needs" in advice(diary, "hen").what


@given(scores, st.data())
def test_a_gain_is_never_negative_and_is_what_becoming_full_comes_to(found: Score, data: st.DataObject) -> None:
    category = data.draw(st.sampled_from(found.categories))
    which = data.draw(st.integers(0, len(category.items) - 1))
    named = tuple((one.id, tuple(f"{one.id}-{at}" for at in range(len(one.items)))) for one in found.categories)
    found = renamed(found, dict(named))
    step = f"{category.id}-{which}"
    lifts, after = gain(found, step), lifted(found, step)
    assert lifts.whole == (found.low, after.low) and lifts.points >= 0
    assert lifts.exact == after.raw - found.raw >= 0
    assert lifts.category is not None and lifts.category[1] >= lifts.category[0]
    assert after.high >= found.high
    assert decide(after).go or not decide(found).go, "putting something right closed a gate"


def renamed(found: Score, names: dict[str, tuple[str, ...]]) -> Score:
    from dataclasses import replace

    return replace(
        found,
        categories=tuple(
            replace(
                one, items=tuple(replace(item, step=name) for item, name in zip(one.items, names[one.id], strict=True))
            )
            for one in found.categories
        ),
    )


@pytest.mark.parametrize("count", [0, 3])
def test_what_is_disabled_or_not_applicable_is_nothing_to_do(count: int) -> None:
    diary = review((probe("off", disabled="no workers here"), *(probe(f"p{at}") for at in range(count))))
    assert "off" not in names(diary) and len(names(diary)) == count
