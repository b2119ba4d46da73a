"""Approve or reject a step or a gate, with a note and evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from textual.content import Content
from textual.widget import Widget

from captain.run.status import may_sign, status
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Choice, Field
from captain.tui.dialogs.forecast import forecast, sign_off, someone
from captain.tui.present import age, mark

if TYPE_CHECKING:
    from captain.checklist import SignOffRule
    from captain.events import Actor
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Signature:
    """What the person decided."""

    target: str
    meaning: Literal["approve", "reject"]
    note: str
    evidence: tuple[str, ...]
    """A URL, a file, or `entry 12`."""


class SignDialog(Dialog[Signature]):
    """Asks for a sign-off. `target` is a step or a section, whose gate is then meant."""

    leaves = "esc leaves without signing"

    def __init__(self, view: View, target: str, actor: Actor) -> None:
        super().__init__(Heading.of(view))
        self.view = view
        self.target = target
        self.actor = actor
        found = view.step(target)
        self.step = found[1] if found else None
        section = found[0] if found else view.target.checklist.section(target)
        assert section is not None, "the caller asked captain.run.allowed first"
        self.section = section
        self.status = None if self.step is None else status(view, self.step)

    @property
    def rules(self) -> Sequence[SignOffRule]:
        return self.section.gate.sign_off if self.step is None else self.step.sign_off

    def headline(self) -> str:
        return f"Sign · {self.step.title if self.step else f'the gate of {self.section.title}'}"

    def about(self) -> Content:
        needs = ", ".join(f"{rule.count}{f' of the role {rule.role}' if rule.role else ''}" for rule in self.rules)
        return self.say(f"needs {needs}" if needs else "anybody may sign", "muted")

    def facts(self) -> Sequence[Content]:
        rows: list[Content] = []
        if self.step is not None and self.status is not None:
            rows += self.wrapped("asks", self.step.manual or self.step.help or self.step.title)
            if self.step.why:
                rows += self.wrapped("why", self.step.why, "muted", 2)
            result = self.status.result
            if result is not None:
                when = self.say(f"captain, {age(result.at, self.view.now)} ago, entry {result.seq}", "muted")
                rows.append(self.fact("seen", self.look.mark(mark(self.status)), self.say(result.message), right=when))
        signed = self.view.run.signed("gate" if self.step is None else "step", self.target)
        for one in signed:
            verb = {"approve": "approved", "reject": "rejected"}.get(one.meaning, "not applicable")
            note = f"  {one.note}" if one.note else ""
            when = self.say(f"{age(one.event.at, self.view.now)} ago", "muted")
            rows.append(self.fact("signed", self.say(f"{one.by} {verb}{note}"), right=when))
        return rows

    def fields(self) -> Iterator[Widget]:
        yield Choice("meaning", (("approve", "approve"), ("reject", "reject")), self.look)
        yield self.gap()
        yield self.label("note", "optional for approve, required for reject")
        yield Field("note")
        yield self.gap()
        needed = any(rule.evidence == "required" for rule in self.rules)
        yield self.label("evidence", "required: URL, file, or entry 12" if needed else "URL, file, or entry 12")
        yield Field("evidence", hint="https://…")
        yield self.gap()

    @property
    def meaning(self) -> Literal["approve", "reject"]:
        found = next(iter(self.query(Choice).results(Choice)), None)
        return cast("Literal['approve', 'reject']", found.value if found else "approve")

    def outcome(self) -> Sequence[Content]:
        roles = self.view.target.service.roles_of(self.actor.name)
        who = [self.say(someone(self.actor)), self.say(f"  {self._meets()}", "muted" if self._may() else "warning")]
        if roles:
            who.insert(1, self.say(f" ({', '.join(roles)})", "muted"))
        supposed = sign_off(
            self.view,
            "gate" if self.step is None else "step",
            self.target,
            self.meaning,
            evidence=bool(self.text("evidence")),
        )
        then = forecast(self.view, self.section, "signoff", supposed).sentence
        return [self.fact("signs as", *who), self.fact("then", self.say(then))]

    def _may(self) -> bool:
        return not self.rules or any(may_sign(self.view, rule, self.actor.name) for rule in self.rules)

    def _meets(self) -> str:
        """Which rule this person's signature meets."""
        if not self.rules:
            return "anybody's counts"
        roles = [rule.role for rule in self.rules if may_sign(self.view, rule, self.actor.name)]
        named = ", ".join(f"the role {role}" if role else "anybody" for role in roles)
        if not roles:
            wanted = ", ".join(f"the role {rule.role}" if rule.role else "another person" for rule in self.rules)
            return f"meets no rule: it needs {wanted}"
        return f"meets {named}" + ("" if self.view.target.service.people else ", role not checked")

    def blocked(self) -> str | None:
        if self.meaning == "reject" and not self.text("note"):
            return "note missing"
        mine = [rule for rule in self.rules if may_sign(self.view, rule, self.actor.name)]
        required = bool(mine) and all(rule.evidence == "required" for rule in mine)
        if self.meaning == "approve" and required and not self.text("evidence"):
            return "evidence missing"
        return None

    def verb(self) -> str:
        return "reject and sign" if self.meaning == "reject" else "approve and sign"

    def answer(self) -> Signature:
        evidence = self.text("evidence")
        return Signature(self.target, self.meaning, self.text("note"), (evidence,) if evidence else ())
