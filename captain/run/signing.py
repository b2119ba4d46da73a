"""Whose sign-off counts: roles, expiry, lapse, and what is missing. Pure; knows no verdict of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.measurement import Verdict
from captain.run import Result, SignOff, worsened
from captain.run.facts import worse
from captain.run.since import signed_too_early
from captain.run.view import View

if TYPE_CHECKING:
    from captain.checklist import SignOffRule, Step


def signed(view: View, step: Step) -> list[SignOff]:
    """The newest sign-off of each person on a step: this run's, else one that carries over from an earlier run."""
    mine = view.run.signed("step", step.id)
    decided = {one.by.casefold() for one in view.run.sign_offs if (one.on, one.target) == ("step", step.id)}
    return [*mine, *(one for one in view.carried if one.target == step.id and one.by.casefold() not in decided)]


def stands(view: View, step: Step, one: SignOff, verdict: Verdict) -> bool:
    """Whether a sign-off still holds: same definition, in time, not expired, verdict no worse than the one seen."""
    if one.event.data["definition"] != view.definitions.get(step.id) or one.seq in view.run.lapsed:
        return False
    if worsened(view.run.seen, one):
        return False
    if expired(view, one) or signed_too_early(view, step, one):
        return False
    seen = one.event.data["seen"]
    if seen is None or one.meaning != "approve":
        return True
    return not worse(verdict, Verdict(seen["verdict"]))


def expired(view: View, one: SignOff) -> bool:
    """Whether the time for which a sign-off was given is over."""
    return one.expires is not None and view.latest >= one.expires


def may_reject(view: View, rules: tuple[SignOffRule, ...], name: str) -> bool:
    """Whether a reject by that person closes the gate: with a required role, and without any rule everybody's.

    Who started the run may not approve it where the rule says so; stopping it is open to them.
    """
    return not rules or any(has_role(view, rule, name) for rule in rules)


def fits(view: View, rule: SignOffRule, one: SignOff) -> bool:
    """Whether this person's sign-off can meet this rule."""
    return may_sign(view, rule, one.by)


def may_excuse(view: View, step: Step, name: str) -> bool:
    """Whether that person may say that a step does not apply, or let it stay unmet: nobody who could not sign it."""
    people = {person.casefold() for person in view.target.service.people}
    if people and name.casefold() not in people:
        return False
    return not step.sign_off or any(may_sign(view, rule, name) for rule in step.sign_off)


def may_sign(view: View, rule: SignOffRule, name: str) -> bool:
    """Whether a person of that name can meet this rule. Without `people` anybody has every role."""
    return has_role(view, rule, name) and barred(view, rule, name) is None


def barred(view: View, rule: SignOffRule, name: str) -> str | None:
    """Why the rule does not take that person's word, whatever their role; None where it does.

    Where `people` names nobody else who could sign, the rule asks for what cannot be, and does not apply.
    """
    if not view.target.service.people:
        return None
    if rule.not_author and view.run.authors is None:
        return "who wrote this release is not known, and authors may not sign it"
    if rule.not_author and nameless(view, rule, name):
        return f"whether {name} wrote part of this release is not known: people names no e-mail address of theirs"
    if not second_person(view, rule):
        return None
    if rule.not_starter and name.casefold() == view.run.start.actor.name.casefold():
        return f"{name} started the run"
    if rule.not_author and name.casefold() in (view.run.authors or ()):
        return f"{name} wrote part of this release"
    return None


def nameless(view: View, rule: SignOffRule, name: str) -> bool:
    """Whether git cannot tell this person from the authors, known to it by address, while another could sign."""
    if "@" in name or not any("@" in one for one in view.run.authors or ()):
        return False
    people = view.target.service.people
    return any(other.casefold() != name.casefold() and has_role(view, rule, other) for other in people)


def impossible(view: View, rule: SignOffRule) -> bool:
    """Whether the rule asks for another person than there is."""
    if not (rule.not_starter or rule.not_author) or (rule.not_author and view.run.authors is None):
        return False
    return not second_person(view, rule)


def has_role(view: View, rule: SignOffRule, name: str) -> bool:
    """Whether that person has the rule's role."""
    if rule.role is None or not view.target.service.people:
        return True
    return rule.role in view.target.service.roles_of(name)


def second_person(view: View, rule: SignOffRule) -> bool:
    """Whether `people` names somebody able to meet the rule whom it does not leave out."""
    out = {view.run.start.actor.name.casefold()} if rule.not_starter else set()
    out |= (view.run.authors or frozenset()) if rule.not_author else frozenset()
    return any(name.casefold() not in out and has_role(view, rule, name) for name in view.target.service.people)


def missing(view: View, rules: list[SignOffRule], valid: list[SignOff]) -> tuple[str, ...]:
    """The roles whose approvals are missing, once per missing signature."""
    waits: list[str] = []
    for rule in rules:
        good = [one for one in valid if one.meaning == "approve" and fits(view, rule, one)]
        if rule.evidence == "required":
            good = [one for one in good if one.event.data["evidence"]]
        waits += [rule.role or ""] * (rule.count - len(good))
    return tuple(waits)


def asked_for(view: View, step: Step, rule: SignOffRule, result: Result | None) -> bool:
    """Whether a rule applies: its `when` is true, or cannot be told."""
    if not rule.when:
        return True
    from captain.run.whens import holds

    return holds(view, step, rule.when, result) is not False
