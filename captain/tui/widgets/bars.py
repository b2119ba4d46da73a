"""The bars that never move: header, verdict, way back, keys. One row each."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from captain.run.view import section_state
from captain.tui.moment import Known, Moment
from captain.tui.present import Look, Role, count, fitting, join, running_clock, spread, whole
from captain.tui.wayback import way_back

_PHASES: dict[str, tuple[str, Role, Role]] = {
    "closed": ("✓", "success", "muted"),
    "open": ("●", "primary", "bold"),
    "ahead": ("○", "muted", "muted"),
}


class Bar(Widget, can_focus=False):
    """One row that draws itself for the width it has."""

    DEFAULT_CSS = "Bar { height: 1; }"
    auto_links = False
    """A key that can be clicked is not drawn as a link."""

    def __init__(self, look: Look, *, id: str, classes: str = "bar") -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self.look = look

    def row(self, width: int) -> Content:
        raise NotImplementedError

    def render(self) -> Content:
        return self.look.paint(self.row(self.content_size.width))


class HeaderBar(Bar):
    """Service, environment, release, phases; right the lock and the log's health."""

    def __init__(self, look: Look, known: Known) -> None:
        super().__init__(look, id="header", classes="bar")
        self.known = known
        self.moment: Moment | None = None
        self.failed = False

    def show(self, moment: Moment) -> None:
        self.moment = moment
        self.refresh()

    def row(self, width: int) -> Content:
        look, known, wide = self.look, self.known, width >= 100
        run = self.moment.view.run if self.moment is not None else None
        parts = [look.say("captain", "muted")] if wide else []
        parts += [look.say(known.service, "bold"), look.environment(known.environment, known.protected)]
        version = known.version if run is None else run.release.label
        if version:
            parts.append(look.say(version, "bold"))
        if run is not None and run.release.commit:
            parts.append(look.say(run.release.commit[:7] + (" untagged" if run.release.untagged else ""), "muted"))
        left = Content.assemble(join(parts, " "), "   ", self._phases(wide))
        return spread(width, left, self._right(width, left.cell_length), gap=2)

    def _phases(self, wide: bool) -> Content:
        if self.moment is None:
            return Content("")
        look, view = self.look, self.moment.view
        pieces = []
        for section in view.target.checklist.sections:
            name = (section.phase or section.title).upper()
            state = section_state(view.run, view.target, section.id)
            glyph, role, tone = _PHASES[state]
            pieces.append(Content.assemble(look.say(glyph, role), " ", look.say(name, tone)))
        return join(pieces, " ─ " if wide else "  ", look.style("dim"))

    def _right(self, width: int, taken: int) -> Content:
        look = self.look
        if self.moment is None:
            return look.say("not opened" if self.failed else "opening…", "muted")
        pieces = []
        view, live = self.moment.view, self.moment.live
        if view.lock_holder is not None:
            pieces.append(look.say(f"lock {view.lock_holder}", "warning", 60))
        elif view.lock_mine:
            since = f" {live.lock.since[11:16]}" if live.lock is not None and live.lock.since else ""
            pieces.append(look.say(f"lock yours{since}", "muted"))
        health = self._health()
        pieces.append(health)
        while len(pieces) > 1 and taken + sum(one.cell_length + 3 for one in pieces) > width:
            pieces.pop(0)
        return join(pieces, "   ")

    def _health(self) -> Content:
        assert self.moment is not None
        look, health = self.look, self.moment.live.health
        if health is None or health.state == "checking":
            return look.say("log checking", "muted")
        if health.state == "intact":
            return look.say("log intact", "muted")
        return look.say(f"log {health.state.upper()}", "fail")


class VerdictBar(Bar):
    """What may happen now, then only what is not a pass, worst first; right the clock. Or one message."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, id="verdict", classes="bar")
        self.moment: Moment | None = None
        self.message: tuple[str, Role] | None = None
        self.failed: str | None = None
        """Why nothing could be opened."""

    def show(self, moment: Moment) -> None:
        self.moment = moment
        self.refresh()

    def tell(self, message: str | None, role: Role = "warning") -> None:
        """Show one sentence in place of the counts until the next; None takes it away."""
        self.message = None if message is None else (message, role)
        self.refresh()

    def row(self, width: int) -> Content:
        look = self.look
        if self.moment is None:
            if self.failed is not None:
                return Content.assemble(look.chip("FAILED", "chip-error"), " ", look.say(self.failed, "error"))
            return spread(width, look.say("opening…", "muted"))
        word, role = self.chip()
        clock = look.say(f"{self.moment.view.now:%H:%M:%S} UTC", "plain")
        if width >= 100 and not self.moment.view.run.standing:
            started = self.moment.view.run.start.at
            ended = self.moment.view.run.end
            until = ended.at if ended is not None else self.moment.view.now
            clock = Content.assemble(
                clock, "  ", look.say(f"+{running_clock((until - started).total_seconds() * 1000)}", "muted")
            )
        filled = look.chip(word, role)
        room = width - filled.cell_length - clock.cell_length - 4
        said = self._said(room) if self.message is None else look.say(whole(self.message[0], room), self.message[1])
        return spread(width, Content.assemble(filled, "  ", said), clock, gap=2)

    def chip(self) -> tuple[str, Role]:
        """The one word, and how loud it is."""
        assert self.moment is not None
        return chip(self.moment)

    def counts(self) -> list[tuple[str, Role]]:
        """What is not a pass, worst first."""
        assert self.moment is not None
        return tally(self.moment)

    def _said(self, room: int) -> Content:
        assert self.moment is not None
        moment, look = self.moment, self.look
        view = moment.view
        if view.stopped is not None:
            return look.say(view.stopped, "error")
        running = moment.running()
        if running is not None:
            spent = running_clock(moment.elapsed_ms(running))
            what = moment.title(running.step) if running.step else f"rollback of {running.part}"
            brief = Content.assemble(look.say(what), "  ", look.say(spent, "muted"))
            full = Content.assemble(brief, look.say(" · stays running if you leave", "muted"))
            return full if full.cell_length <= room else brief
        if view.run.ended:
            return look.say(f"run {view.run.state.replace('_', ' ')}; it takes notes only", "muted")
        held = [look.say(f"held by {view.lock_holder}", "warning")] if view.lock_holder is not None else []
        said = [*held, *(look.say(text, role) for text, role in self.counts())]
        # What is worst stands first: the others yield.
        return fitting(said or [look.say("everything passed", "success")], room, " · ", look.style("muted"))


def chip(moment: Moment) -> tuple[str, Role]:
    """The one word for the run, and how loud it is."""
    view, run = moment.view, moment.view.run
    if view.stopped is not None:
        return "STOPPED", "chip-error"
    if run.rollback is not None:
        state = run.rollback.end.data["state"] if run.rollback.end is not None else None
        if state == "rolled_back":
            return "ROLLED BACK", "chip-success"
        return ("NOT ROLLED BACK" if state is not None or run.ended else "ROLLING BACK"), "chip-error"
    if run.ended:
        return run.state.upper(), "chip-success" if run.state in ("completed", "checked") else "chip-warning"
    if moment.running() is not None:
        return "RUNS", "chip-hand"
    if view.read_only:
        return "READ-ONLY", "chip-warning"
    if view.lock_holder is not None:
        return "HELD", "chip-warning"
    if moment.readiness is None or moment.readiness.go:
        return "GO", "chip-success"
    worst = moment.readiness.exit_code
    return "NO-GO", "chip-error" if worst == 1 else "chip-warning" if worst == 3 and _seen(moment) else "chip-hand"


def _seen(moment: Moment) -> bool:
    """Whether something that keeps the gate closed was tried and not merely not begun."""
    tried = ("measured", "stale", "lapsed")
    return any(not found.counts and found.state in tried for _, _, found in moment.steps())


_KINDS: tuple[tuple[str, str, Role], ...] = (
    ("fail", "FAIL", "fail"),
    ("unknown", "unknown", "unknown"),
    ("stale", "stale", "warning"),
    ("lapsed", "lapsed", "warning"),
    ("hold", "holds", "primary"),
    ("measuring", "asked now", "primary"),
    ("todo", "todo", "muted"),
)


def tally(moment: Moment) -> list[tuple[str, Role]]:
    """What keeps the open section's gate closed, counted, worst first; risks after that."""
    section = moment.view.section
    if section is None:
        return []
    groups: dict[str, int] = {}
    waits: dict[str, int] = {}
    for step in section.steps:
        found = moment.statuses[step.id]
        if found.counts or step.severity == "info":
            continue
        if found.state == "waiting":
            mark = moment.mark(step)
            waits[mark.word] = waits.get(mark.word, 0) + 1
            continue
        kind: str = "fail" if found.rejected is not None else found.state
        if kind == "measured":
            kind = found.verdict.value
        groups[kind] = groups.get(kind, 0) + 1
    out: list[tuple[str, Role]] = [
        (f"{groups[kind]} {word}", role) for kind, word, role in _KINDS[:4] if kind in groups
    ]
    for word, number in waits.items():
        whom = {"sign": "a sign-off", "you": "you"}.get(word, f"the role {word}")
        verb = "waits" if number == 1 else "wait"
        out.append((f"{number} {verb} for {whom}", "hand" if word == "you" else "muted"))
    out += [(f"{groups[kind]} {word}", role) for kind, word, role in _KINDS[4:] if kind in groups]
    if moment.readiness is not None:
        out += [(one.sentence, "muted") for one in moment.readiness.unmet if one.step is None]
        if moment.readiness.go and moment.readiness.risk:
            out.append((f"go with {count(len(moment.readiness.risk), 'risk')}", "warning"))
    return out


class WayBackBar(Bar):
    """The R line."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, id="wayback", classes="bar")
        self.moment: Moment | None = None
        self.failed = False

    def show(self, moment: Moment) -> None:
        self.moment = moment
        self.refresh()

    def row(self, width: int) -> Content:
        if self.failed and self.moment is None:
            return self.look.say("nothing was opened, so nothing is known about the way back", "muted")
        return way_back(self.look, self.moment, width)
