"""Go or no-go for the open section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from captain.run.allowed import gate as gate_refusal
from captain.run.allowed import measure
from captain.run.gates import Readiness, own_go_meets, readiness
from captain.run.status import status
from captain.run.view import section_after
from captain.tui.dialogs.base import LABEL, Heading
from captain.tui.dialogs.fields import Choice, Field
from captain.tui.dialogs.typed import TypedDialog, missing_letters
from captain.tui.present import Role, mark_of
from captain.tui.wayback import goal

if TYPE_CHECKING:
    from captain.checklist import Section
    from captain.run.view import View

NO_WAY_BACK = "no way back"
"""The words that open the deploy section without a proven way back."""

Next = Literal["roll_back", "hold", "leave"]


class WayBack(Protocol):
    """One rollback target, as far as it was proved."""

    @property
    def to(self) -> str: ...
    @property
    def ready(self) -> bool: ...
    @property
    def why(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class GateChoice:
    """The decision on a section's gate."""

    section: str
    decision: Literal["go", "no_go"]
    note: str
    confirmed: str | None
    """The environment's name, where it had to be typed."""
    no_way_back: str | None
    """The reason for going without a way back."""
    next: Next | None
    """After a no-go in deploy or post: what the person wants to do now. `leave` is an abort."""


class GateDialog(TypedDialog[GateChoice]):
    """Asks for the captain's decision.

    `way_back` holds the rollback targets just proved, needed where the go opens a deploy section; None where they
    were not looked at.
    """

    leaves = "esc decides nothing"
    first = "confirmed"
    purpose = "to go"

    def __init__(self, view: View, section: Section, way_back: Sequence[WayBack] | None = None) -> None:
        following = section_after(view.target, section.id)
        self.following = following
        self.opens_deploy = following is not None and following.phase == "deploy" and section.phase != "deploy"
        asks_name = section.gate.confirm == "environment" or (self.opens_deploy and view.run.protected)
        super().__init__(Heading.of(view), view.run.environment if asks_name else None)
        self.view = view
        self.section = section
        self.way_back = way_back
        self.found: Readiness = readiness(view, section)
        self.due = [
            one.step
            for one in self.found.unmet
            if one.step is not None
            and (at := view.step(one.step)) is not None
            and status(view, at[1]).state == "stale"
            and measure(view, at[1]) is None
        ]
        """Unmet only because they are old: the gate measures them again by itself."""

    @property
    def unready(self) -> list[WayBack]:
        """Targets that would not bring anything back."""
        return [] if not self.opens_deploy else [one for one in self.way_back or () if not one.ready]

    @property
    def needs_words(self) -> bool:
        """Whether the go needs the typed words instead of a way back."""
        return self.opens_deploy and self.way_back is not None and (bool(self.unready) or not self.way_back)

    @property
    def unmet(self) -> int:
        """How many things a new measuring cannot put right."""
        return len(self.found.unmet) - len(self.due)

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "danger" if self.confirms is not None or self.needs_words else "plain"

    def headline(self) -> str:
        return f"Go or no-go · {self.section.title}"

    def about(self) -> Content:
        counts = Counter(status(self.view, step).state for step in self.section.steps)
        good = sum(status(self.view, step).counts for step in self.section.steps)
        waived = f", {counts['waived']} waived" if counts["waived"] else ""
        return self.say(f"{good} of {len(self.section.steps)} good{waived}", "muted")

    def facts(self) -> Sequence[Content]:
        rows: list[Content] = []
        for one in self.found.unmet:
            again = one.step in self.due
            role: Role = "warning" if one.exit_code != 1 else "error"
            glyph = mark_of("stale" if again else {1: "fail", 3: "unknown"}.get(one.exit_code, "waiting")).glyph
            text = f"{one.sentence}; go measures it again" if again else one.sentence
            rows.append(self.fact("unmet" if not rows else "", self.say(f"{glyph} ", role), self.say(text)))
        rows += [
            self.fact("risk" if at == 0 else "", self.say(f"≈ {text}", "warning"))
            for at, text in enumerate(self.found.risk)
        ]
        good = [step.title for step in self.section.steps if status(self.view, step).counts]
        if good:
            rows += self.wrapped("counts", "✓ " + ", ".join(good), "muted", 2)
        rows.append(self.fact("opens", self.say(self._opens())))
        mine = [rule for rule in self.section.gate.sign_off if self._meets(rule)]
        signs = [f"the role {rule.role}" if rule.role else "anybody" for rule in mine]
        if signs:
            checked = "" if self.view.target.service.people else ", role not checked"
            rows.append(self.fact("signs", self.say(f"your go also signs as {', '.join(signs)}{checked}", "muted")))
        return rows + self._way_back()

    def fewer(self, facts: Sequence[Content], room: int) -> Sequence[Content]:
        """What is unmet yields: the checklist has all of it, and what a go would do must be read."""
        unmet, over = len(self.found.unmet), len(facts) - room
        if over <= 0 or unmet < 3:
            return facts
        shown = max(1, unmet - over - 1)
        more = self.fact("", self.say(f"+{unmet - shown} more", "muted"))
        return [*facts[:shown], more, *facts[unmet:]]

    def _meets(self, rule: object) -> bool:
        signed = self.view.run.signed("gate", self.section.id)
        return any(rule is one and own_go_meets(self.view, one, signed) for one in self.section.gate.sign_off)

    def _opens(self) -> str:
        if self.following is None:
            return "nothing: the run is completed"
        return f"{self.following.title}{': from here on the release is changed' if self.opens_deploy else ''}"

    def _way_back(self) -> list[Content]:
        if not self.opens_deploy:
            return []
        if self.way_back is None:
            return [self.fact("R", self.say("the way back is proved when you say go", "muted"))]
        if not self.way_back:
            return [self.fact("R", self.say("NOT READY: no way back is declared", "error"))]
        rows: list[Content] = []
        previous = self.view.run.previous
        room = self.width - LABEL - 2
        for one in self.way_back:
            to = goal(self.look, "" if previous is None else previous.label, one.to, room, "ready ✓")
            label = "R" if not rows else ""
            good = [self.fact(label, "→ ", to)]
            rows += good if one.ready else self.wrapped(label, f"NOT READY: {one.why or one.to}", "error", 2)
        return rows

    def fields(self) -> Iterator[Widget]:
        yield Choice(
            "decision", (("go", "go"), ("no_go", "no-go")), self.look, chosen="go" if not self.unmet else "no_go"
        )
        if self.section.phase in ("deploy", "post"):
            options = (("roll_back", "roll back"), ("hold", "hold"), ("leave", "leave it as it is"))
            yield Vertical(self.label("and then"), Choice("next", options, self.look), id="when-no-go")
        yield self.gap()
        yield self.label("note", "optional for go, required for no-go")
        yield Field("note")
        yield self.gap()
        if self.needs_words:
            yield Vertical(
                self.label(f"type {NO_WAY_BACK}", "the way back is not ready"),
                Field("words", cap=40),
                self.label("reason"),
                Field("no-way-back"),
                id="when-no-way-back",
            )
        yield Vertical(*self.name_field(), id="when-go")

    def redraw(self) -> None:
        going = self.decision == "go"
        for ident, shown in (("when-no-go", not going), ("when-no-way-back", going), ("when-go", going)):
            for box in self.query(f"#{ident}"):
                box.display = shown
        super().redraw()

    @property
    def decision(self) -> Literal["go", "no_go"]:
        return cast("Literal['go', 'no_go']", self._chosen("decision", "go"))

    @property
    def next(self) -> Next | None:
        if self.decision == "go" or self.section.phase not in ("deploy", "post"):
            return None
        return cast("Next", self._chosen("next", "hold"))

    def _chosen(self, ident: str, otherwise: str) -> str:
        return next((one.value for one in self.query(f"#{ident}").results(Choice)), otherwise)

    def outcome(self) -> Sequence[Content]:
        if self.decision == "go":
            risk = ", recorded as go with risk" if self.found.risk else ""
            text = f"{self.following.title} opens{risk}" if self.following else f"the run is completed{risk}"
            return [self.fact("then", self.say(text))]
        then = {
            "roll_back": "captain shows the plan of the rollback, and asks",
            "hold": "the section stays open",
            "leave": "the run is given up; captain asks what is left running",
            None: "the section stays open",
        }[self.next]
        return [self.fact("then", self.say(then))]

    def blocked(self) -> str | None:
        if refusal := gate_refusal(self.view, self.section.id):
            return refusal.message
        if self.decision == "no_go":
            return None if self.text("note") else "note missing"
        if self.unmet:
            return f"{self.unmet} unmet"
        if self.needs_words:
            if why := missing_letters(self.text("words"), NO_WAY_BACK):
                return why
            if not self.text("no-way-back"):
                return "reason missing"
        return self.unconfirmed()

    def verb(self) -> str:
        return "go" if self.decision == "go" else "no-go"

    def answer(self) -> GateChoice:
        going = self.decision == "go"
        return GateChoice(
            self.section.id,
            self.decision,
            self.text("note"),
            self.confirmed if going else None,
            self.text("no-way-back") if going and self.needs_words else None,
            self.next,
        )
