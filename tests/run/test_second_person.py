"""A second person behind what lets a blocker go, whom a rule leaves out, and what carries over from run to run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain.checklist import Gate
from captain.engine.releases import carried
from captain.run import SignOff, Waiver, allowed, fold
from captain.run.gates import one_person, readiness
from tests.run.diary import Diary, manual, probe, ruled, severe, target

PEOPLE = {"karen": ("captain",), "bob": ("dba", "captain"), "eve": ("dba",), "mallory": ("dev",)}
ALONE = {"karen": ("captain",)}


def countersign(diary: Diary, of: int, by: str, step: str = "lag") -> int:
    data = {
        "on": "step",
        "target": step,
        "meaning": "countersign",
        "note": "",
        "roles": [],
        "role_checked": True,
        "definition": diary.definitions[step],
        "seen": None,
        "expires": None,
        "evidence": [],
        "of": of,
    }
    return diary.write("signoff", data, by=by)


def waived(**keys: object) -> tuple[Diary, int]:
    diary = Diary(target(probe("lag", sign_off=(ruled("captain"),)), people=PEOPLE), by="karen")
    diary.result("lag", "fail")
    return diary, diary.waive("lag", "status == 200", by="karen")


@pytest.mark.parametrize("who", ["karen", "KAREN", "eve", "mallory", "stranger"])
def test_nobody_countersigns_himself_and_nobody_who_could_not_sign_the_step(who: str) -> None:
    diary, of = waived()
    countersign(diary, of, who)
    found = diary.status("lag")
    assert (found.state, found.counts, found.verdict.value) == ("measured", False, "fail")
    assert allowed.countersign(diary.view(me=who), diary.target.checklist.sections[0].steps[0]) is not None


def test_a_waiver_of_a_blocker_counts_once_another_person_countersigned_it() -> None:
    diary, of = waived()
    section, step = diary.target.checklist.sections[0], diary.target.checklist.sections[0].steps[0]
    said = readiness(diary.view(), section)
    assert (said.go, said.exit_code, said.verdict.value) == (False, 4, "fail")
    assert "waived by karen, which waits for a countersign" in said.unmet[0].sentence
    assert allowed.countersign(diary.view(me="BOB"), step) is None
    seq = countersign(diary, of, "BOB")
    assert diary.status("lag").state == "waived"
    assert readiness(diary.view(), section).risk == ("lag: waived by karen",)
    diary.withdraw(seq, by="BOB")
    assert not diary.status("lag").counts


def test_a_countersign_is_for_one_waiver_and_one_definition() -> None:
    diary, of = waived()
    countersign(diary, of, "bob")
    diary.waive("lag", "status == 200", by="karen")
    assert not diary.status("lag").counts, "a second waiver is another decision"
    other, of = waived()
    countersign(other, of + 40, "bob")
    assert not other.status("lag").counts
    changed, of = waived()
    countersign(changed, of, "bob")
    changed.changed("lag")
    assert not changed.status("lag").counts


def test_a_countersigned_waiver_covers_no_condition_that_it_did_not_name() -> None:
    diary = Diary(target(probe("lag", expect=("status == 200", "size > 0")), people=PEOPLE))
    diary.result("lag", "fail", conditions={"status == 200": "pass", "size > 0": "fail"})
    countersign(diary, diary.waive("lag", "size > 0"), "bob")
    assert diary.status("lag").state == "waived"
    diary.result("lag", "fail", conditions={"status == 200": "fail", "size > 0": "fail"})
    assert not diary.status("lag").counts


def test_calling_a_blocker_not_applicable_is_countersigned_too_and_a_warning_is_not() -> None:
    for severity, alone in (("blocker", False), ("warning", True)):
        diary = Diary(target(severe(probe("lag"), severity), people=PEOPLE))
        of = diary.sign("lag", "not_applicable", by="karen", note="none here")
        assert (diary.status("lag").state == "not-applicable") is alone
        countersign(diary, of, "mallory")
        assert diary.status("lag").state == "not-applicable"


def test_a_countersign_takes_nothing_of_what_its_author_said_of_the_step() -> None:
    """Bob rejects, or approves; that he countersigns something too must not hide it."""
    diary = Diary(target(probe("lag", sign_off=(ruled("captain"),)), people=PEOPLE))
    diary.result("lag")
    diary.sign("lag", by="bob")
    of = diary.sign("lag", "not_applicable", by="karen", note="none")
    countersign(diary, of, "bob")
    assert [one.meaning for one in diary.run.signed("step", "lag") if one.by == "bob"] == ["approve"]
    diary.sign("lag", "reject", by="bob", note="no")
    countersign(diary, of, "bob")
    assert diary.status("lag").rejected is not None


def test_where_people_names_nobody_else_it_counts_and_the_record_says_why() -> None:
    diary = Diary(target(probe("lag"), people=ALONE))
    diary.result("lag", "fail")
    diary.waive("lag", "status == 200", by="karen")
    section = diary.target.checklist.sections[0]
    assert diary.status("lag").state == "waived"
    assert one_person(diary.view(), section) == ["lag: countersign impossible: one person"]
    refusal = allowed.countersign(diary.view(), section.steps[0])
    assert refusal is not None
    assert refusal.message == "countersign impossible: one person"


def test_what_a_closed_gate_counted_before_stays_as_it_was() -> None:
    diary, _ = waived()
    diary.point()
    diary.gate("pre", opens="deploy")
    assert diary.status("lag").state == "waived"


def test_nobody_who_wrote_the_release_signs_where_authors_may_not() -> None:
    diary = Diary(target(manual("told", ruled("dba", not_author=True)), people=PEOPLE))
    diary.sign("told", by="bob", seen=None)
    assert not diary.status("told").counts, "as long as nobody knows who wrote it"
    diary.write("run.authors", {"names": ["BOB"], "known": True})
    assert not diary.status("told").counts
    diary.sign("told", by="eve", seen=None)
    assert diary.status("told").counts
    diary.write("run.authors", {"names": ["bob", "eve"], "known": True})
    assert diary.status("told").counts, "nobody else could sign, so the rule cannot be kept"
    assert one_person(diary.view(), diary.target.checklist.sections[0]) == [
        "told: another signer impossible: one person"
    ]
    diary.write("run.authors", {"names": [], "known": False})
    assert not diary.status("told").counts


def test_whom_git_cannot_tell_from_the_authors_does_not_sign_where_authors_may_not() -> None:
    people = {"bob": ("dba",), "eve@example.com": ("dba",), "karen": ("captain",)}
    diary = Diary(target(manual("told", ruled("dba", not_author=True)), people=people))
    diary.write("run.authors", {"names": ["bob@example.com"], "known": True})
    diary.sign("told", by="bob", seen=None)
    assert not diary.status("told").counts, "bob wrote it under his address"
    diary.sign("told", by="eve@example.com", seen=None)
    assert diary.status("told").counts
    alone = Diary(target(manual("told", ruled("captain", not_author=True)), people=people))
    alone.write("run.authors", {"names": ["bob@example.com"], "known": True})
    alone.sign("told", by="karen", seen=None)
    assert alone.status("told").counts, "nobody else could sign"


def test_starter_and_authors_are_left_out_together() -> None:
    rule = ruled("dba", not_author=True, not_starter=True)
    diary = Diary(target(manual("told", rule), gate=Gate(sign_off=(rule,)), people=PEOPLE), by="bob")
    diary.write("run.authors", {"names": ["karen"], "known": True})
    diary.sign("told", by="bob", seen=None)
    assert not diary.status("told").counts
    diary.sign("told", by="eve", seen=None)
    section = diary.target.checklist.sections[0]
    assert not readiness(diary.view(me="bob"), section).go
    assert readiness(diary.view(me="eve"), section).go


def test_what_was_signed_for_longer_carries_over_and_ends_with_a_worse_verdict_in_any_run() -> None:
    step = target(probe("lag", sign_off=(ruled(valid_for=timedelta(days=90)),)))
    first = Diary(step)
    first.result("lag")
    first.sign("lag", by="bob", expires=timedelta(days=90))
    second = Diary(step)
    second.write("step.note", {"step": None, "text": "x", "evidence": []}, skip=100)

    def later() -> tuple[bool, ...]:
        third = Diary(step)
        third.result("lag")
        view = {"carried": tuple(carried([second.run, first.run]).values())}
        return tuple(third.status("lag", **view).counts for _ in (1,))

    assert later() == (True,)
    second.result("lag", "unknown")
    assert later() == (True,), "what said nothing ends nothing"
    second.result("lag", "fail")
    second.result("lag", "pass")
    assert later() == (False,)


def test_a_carried_sign_off_never_outlives_its_time_or_a_changed_definition() -> None:
    step = target(manual("told", ruled(valid_for=timedelta(days=90))))
    first = Diary(step)
    first.sign("told", by="bob", seen=None, expires=timedelta(days=90))
    view = {"carried": tuple(carried([first.run]).values())}
    then = Diary(step)
    assert then.status("told", **view).counts
    then.changed("told")
    assert not then.status("told", **view).counts
    late = Diary(step)
    late.later(days=90)
    assert not late.status("told", **view).counts


def test_one_without_a_time_never_carries_over_and_a_later_reject_ends_the_other() -> None:
    step = target(manual("told", ruled()))
    first = Diary(step)
    first.sign("told", by="bob", seen=None)
    assert carried([first.run]) == {}
    first.sign("told", by="bob", seen=None, expires=timedelta(days=90))
    second = Diary(step)
    second.sign("told", "reject", by="BOB", note="no more", seen=None)
    second.events[-1] = second.events[-1].__class__(
        **{name: getattr(second.events[-1], name) for name in second.events[-1].__slots__} | {"seq": 99}
    )
    assert carried([first.run, second.run]) == {}
    assert carried([second.run, first.run]) == {}


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["pass", "fail", "unknown", "waive", "n/a", "countersign", "withdraw", "change", "later"]),
        st.sampled_from(["karen", "bob", "eve", "mallory", "BOB"]),
        st.integers(1, 12),
    ),
    max_size=14,
)


@given(DEEDS)
def test_whatever_happens_a_blocker_is_let_go_only_with_two_persons_in_time(
    deeds: list[tuple[str, str, int]],
) -> None:
    diary = Diary(target(probe("lag"), people=PEOPLE), by="karen")
    for what, who, number in deeds:
        if what in ("pass", "fail", "unknown"):
            diary.result("lag", what, max_age=timedelta(0))
        elif what == "waive":
            diary.waive("lag", "status == 200", by=who, days=2)
        elif what == "n/a":
            diary.sign("lag", "not_applicable", by=who, note="none")
        elif what == "countersign":
            countersign(diary, number, who)
        elif what == "withdraw":
            diary.withdraw(number, by=who)
        elif what == "change":
            diary.changed("lag")
        else:
            diary.later(days=1)
    assert diary.run == fold(diary.events)
    found = diary.status("lag")
    if found.state not in ("waived", "not-applicable"):
        return
    reasons = [found.waiver] if found.waiver else [one for one in found.signed if one.meaning == "not_applicable"]
    assert [one for one in reasons if one is not None and _stood_behind(diary, one)]
    assert found.waiver is None or diary.clock < found.waiver.expires


def _stood_behind(diary: Diary, given: SignOff | Waiver) -> bool:
    """Whether another person countersigned it afterwards, and neither of them took it back."""
    run = diary.run
    behind = [
        one
        for one in run.countersigns
        if one.event.data["of"] == given.seq < one.seq
        and one.by.casefold() != given.by.casefold()
        and one.seq not in run.withdrawn
    ]
    same = given.event.data["definition"] == diary.definitions["lag"]
    return bool(behind) and same and given.seq not in run.withdrawn


def test_a_countersign_of_what_was_not_there_yet_counts_for_nothing() -> None:
    diary = Diary(target(probe("lag"), people=PEOPLE), by="karen")
    countersign(diary, 3, "karen")
    assert diary.sign("lag", "not_applicable", by="bob", note="none") == 3
    assert diary.status("lag").state != "not-applicable"
