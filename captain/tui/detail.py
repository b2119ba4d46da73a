"""Everything there is to say about one step, as rows for panel 2. Pure: no widget, no reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from textual.content import Content

from captain.measurement import Verdict
from captain.run import Attempt
from captain.run.status import Status
from captain.safe import safe
from captain.tui.detail_pieces import LABEL, actual, column, output_head, output_row, told, without
from captain.tui.moment import Moment
from captain.tui.present import (
    Look,
    Role,
    age,
    cell,
    join,
    running_clock,
    span_of,
    spread,
    till,
    took,
    verdict_mark,
    whole,
)

if TYPE_CHECKING:
    from captain.checklist import Step

EXPECT = 32
BRIGHT = 4
"""Newest lines of output that are not muted."""
MOST = 200
"""Rows of a body, where there is room to scroll."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Evidence of the newest result, read from the log: what was asked and what came back."""

    seq: int
    asked: tuple[str, ...] = ()
    body: str | None = None
    errors: tuple[str, ...] = ()


class Detail:
    """The rows of one step at one moment."""

    def __init__(
        self,
        look: Look,
        moment: Moment,
        step: Step,
        width: int,
        *,
        tight: bool,
        seen: Seen | None,
        height: int | None = None,
    ) -> None:
        self.look = look
        self.moment = moment
        self.step = step
        self.width = width
        self.tight = tight
        """Whether rows are scarce: no blank rows, and what a person needs first stands first."""
        self.height = height
        """Rows there are when output is to end at the last one; None shows all of it."""
        self.found: Status = moment.statuses[step.id]
        result = self.found.result
        self.seen = seen if seen is not None and result is not None and seen.seq == result.seq else None

    def rows(self) -> list[Content]:
        """All rows, the title first."""
        blocks = [list(self._says()), list(self._conditions())]
        words = [*self._why(), *self._asked()]
        people = [*self._hold(), *self._needs(), *self._signed(), *self._waiver()]
        if self.step.action is not None:
            blocks = [list(self._action()), *blocks]
        if self.tight and self.step.manual is not None:
            blocks = [words, *blocks, people]
        elif self.tight:
            blocks = [*blocks, people, words]
        else:
            blocks = [words, *blocks, people]
        running = self.found.state == "running" and self.tight
        if running:
            blocks = [list(self._action())]
        else:
            blocks.append(list(self._errors()))
        out = [self._title()]
        gap = 0 if self.tight else 1
        for block in filter(None, blocks):
            out += [*([Content("")] * gap), *block]
        if body := [] if running else list(self._body(len(out) + gap)):
            out += [*([Content("")] * gap), *body]
        output = list(self._output(None if self.height is None else self.height - len(out) - 1 - gap))
        return [*out, *([Content("")] * gap if output else []), *output]

    # pieces

    def _say(self, text: object, role: Role = "plain", limit: int = 2000) -> Content:
        return self.look.say(text, role, limit)

    def _fact(self, label: str, value: Content | str, right: Content | str = "") -> Content:
        if isinstance(value, str):
            value = self._say(value)
        return spread(self.width, Content.assemble(cell(self._say(label, "muted"), LABEL), value), right)

    def _wrapped(self, label: str, text: str, role: Role = "plain", rows: int = 4) -> list[Content]:
        room = max(10, self.width - LABEL)
        if self.tight:
            rows = 2
        found = Content.styled(safe(text, 4096), self.look.style(role)).wrap(room)
        if len(found) > rows:
            found = [*found[: rows - 1], cell(Content(" ").join(found[rows - 1 :]), room)]
        return [self._fact(label if at == 0 else "", row) for at, row in enumerate(found)]

    def _title(self) -> Content:
        mark = self.moment.mark(self.step)
        found = self.found
        drawn = Content.styled(f"{mark.glyph if mark.glyph != '⠹' else '…'} {mark.word}", self.look.style(mark.role))
        pieces = [drawn]
        result = found.result
        if found.state == "running" and found.attempt is not None:
            pieces.append(self._say(f"since {found.attempt.intent.at:%H:%M:%S}", "muted"))
        elif result is not None:
            before = f"before: {result.verdict} " if found.state == "measuring" else ""
            pieces.append(self._say(f"{before}{age(result.at, self.moment.view.now)} ago", "muted"))
            pieces.append(self._say(took(result.event.data["duration_ms"]), "muted"))
            if result.attempts > 1:
                pieces.append(self._say(f"try {result.attempts}{self._tries()}", "muted"))
        asking = self.moment.live.asking.get(self.step.id)
        if asking is not None and asking.attempts > 1:
            pieces.append(self._say(f"try {asking.attempt} of {asking.attempts}", "primary"))
        severity = "" if self.step.severity == "blocker" else f"  {self.step.severity}"
        title = Content.assemble(self._say(self.step.title, "bold"), self._say(severity, "muted"))
        return spread(self.width, title, join(pieces, "   "), gap=2)

    def _tries(self) -> str:
        return f" of {self.step.retry.attempts}" if self.step.retry is not None else ""

    def _says(self) -> Iterator[Content]:
        """What the verdict rests on in one sentence, where the conditions do not say it."""
        found = self.found
        result = found.result
        if found.state == "running" or (found.waits and result is None and found.rejected is None):
            return
        if found.state in ("todo", "measuring") and result is None and not self.step.unmeasured:
            return
        if result is not None and result.conditions and found.state == "measuring":
            return
        if result is not None and result.conditions and found.verdict is Verdict.PASS and found.state == "measured":
            return
        plain = found.state == "measured" and found.rejected is None
        if plain and result is not None and told(found.message, result.conditions):
            return
        role: Role = "muted"
        if found.rejected is not None or found.verdict is Verdict.FAIL:
            role = "error"
        elif found.state in ("measured", "stale", "lapsed"):
            role = "plain" if found.verdict is Verdict.PASS else "warning"
        said = without(found.message, self._questions())
        message = "measured too long ago: measure it again" if found.state == "stale" else said
        yield from self._wrapped("says", message, role)

    def _questions(self) -> tuple[str, ...]:
        """What was asked, which stands in a row of its own."""
        if self.seen is not None and self.seen.asked:
            return self.seen.asked
        probes = [getattr(ask, "probe", None) for ask in self.step.asks.values()]
        return tuple(probe.asks() for probe in probes if probe is not None)

    def _why(self) -> Iterator[Content]:
        if self.step.manual is not None:
            yield from self._wrapped("asks", self.step.manual)
        if self.step.why:
            yield from self._wrapped("why", self.step.why, "plain" if not self.tight else "muted")
        if self.step.help and not self.tight:
            yield from self._wrapped("help", self.step.help, "muted")
        if self.step.link and not self.tight:
            yield self._fact("link", self._say(self.step.link, "muted"))

    def _asked(self) -> Iterator[Content]:
        if self.seen is not None and self.seen.asked:
            every = f" every {span_of(self.step.every)}" if self.step.every is not None else ""
            for at, asked in enumerate(self.seen.asked[:4]):
                value = Content.assemble(self._say(asked), self._say(every, "muted"))
                yield self._fact("asked" if at == 0 else "", value)
            return
        if self.step.safety != "read":
            drill = self.step.safety == "drill"
            label, what = ("is", "a drill: it changes what runs") if drill else ("does", "more than reading")
            target = self.moment.view.target
            allowed = self.step.safety in target.allow
            how = "only the key a runs it" if allowed else f"not allowed in {target.environment}"
            yield self._fact(label, self._say(f"{what}; {how}", "warning"))
            trial = self.moment.view.run.trials.get(self.step.id)
            if trial is not None and trial.end is None:
                # Whoever finds it half done must see what there may be to put right.
                for at, line in enumerate(trial.intent.data["does"][:8]):
                    yield from self._wrapped("began" if at == 0 else "", line, "plain", rows=2)
        for at, ask in enumerate(list(self.step.asks.values())[:4]):
            probe = getattr(ask, "probe", None)
            said = (
                probe.asks() if probe is not None else getattr(ask, "kind", None) or f"as {getattr(ask, 'step', '?')}"
            )
            yield self._fact("asks" if at == 0 else "", self._say(said, "muted"))

    def _conditions(self) -> Iterator[Content]:
        result = self.found.result
        if result is not None and result.conditions:
            shown: list[tuple[str, str, str, str]] = [
                (str(one["role"]), str(one["expect"]), str(one["verdict"]), str(one["resolved"]))
                for one in result.conditions
            ]
        else:
            conditions = self.step.observe.expect if self.step.observe is not None else self.step.expect
            shown = [("expect", text, "", "") for text in conditions]
        if not shown or (result is None and self.step.action is not None):
            return
        wide = min(max([EXPECT, *(len(one[1]) + 2 for one in shown)]), max(12, (self.width - LABEL - 4) * 3 // 5))
        first = "expect"
        heading = "before" if self.found.state == "measuring" else "actual"
        if any(one[2] for one in shown):
            head = Content.assemble(cell(self._say("expect", "muted"), wide), self._say(heading, "muted"))
            yield self._fact("", head)
            first = ""
        for role, text, verdict, resolved in shown:
            label = "warn" if role == "warn" else first
            first = ""
            yield self._condition(label, text, verdict, resolved, wide)

    def _condition(self, label: str, text: str, verdict: str, resolved: str, wide: int) -> Content:
        if not verdict:
            return self._fact(label, self._say(text, "muted"))
        mark = verdict_mark(verdict)
        role: Role = "wrong" if verdict == "fail" else "warning" if verdict == "unknown" else "plain"
        seen = whole(actual(text, resolved), self.width - LABEL - wide - 2)
        if self.found.state == "measuring":
            # What held before may not hold now: nothing of it is loud, and nothing of it is green.
            value = Content.assemble(column(self._say(text, "muted"), wide), self._say(seen, "muted"))
            return self._fact(label, value, self._say(mark.glyph, "dim"))
        value = Content.assemble(column(self._say(text), wide), self._say(seen, role))
        return self._fact(label, value, self._say(mark.glyph, "wrong" if verdict == "fail" else mark.role))

    def _hold(self) -> Iterator[Content]:
        if self.step.hold is None:
            return
        held = self.moment.live.holds.get(self.step.id)
        must = f"must hold {span_of(self.step.hold)}"
        if held is not None:
            glyph = "○◔◑◕✓"[min(4, held[0] * 4 // max(1, held[1]))]
            said = f"{running_clock(held[0])} of {running_clock(held[1])}"
            value = Content.assemble(self._say(f"{glyph} held {said}", "primary"), self._say(f", {must}", "muted"))
        else:
            result = self.found.result
            kept = None if result is None else result.event.data["held_ms"]
            value = self._say(must if kept is None else f"held {running_clock(kept)}, {must}", "muted")
        yield self._fact("hold", value)

    def _needs(self) -> Iterator[Content]:
        if not self.step.needs:
            return
        pieces = []
        for needed in self.step.needs:
            status = self.moment.statuses.get(needed)
            good = status is not None and status.counts
            mark = self._say("✓", "success") if good else self._say("○", "muted")
            pieces.append(Content.assemble(self._say(self.moment.title(needed)), " ", mark))
        yield self._fact("needs", join(pieces, "  "))

    def _signed(self) -> Iterator[Content]:
        found = self.found
        rules = self.step.sign_off
        if not rules and self.step.manual is None and not found.signed and not found.lapsed:
            return
        label = "signed"
        for one in found.signed:
            word = {"approve": "approved", "reject": "rejected", "not_applicable": "n/a"}[one.meaning]
            until = f", {till(one.expires, self.moment.view.now)}" if one.expires is not None else ""
            asserted = " (asserted)" if one.event.actor.asserted else ""
            said = Content.assemble(
                self._say(f"{word} by {one.by}{asserted}", "error" if one.meaning == "reject" else "plain"),
                self._say(f"  {age(one.event.at, self.moment.view.now)} ago{until}", "muted"),
                self._say(f'  "{one.note}"' if one.note else "", "muted"),
            )
            yield self._fact(label, said)
            label = ""
        for one in found.lapsed:
            yield self._fact(label, self._say(f"lapsed: {one.by}, what they saw is no longer true", "warning"))
            label = ""
        if found.waits:
            who = ", ".join(f"the role {role}" if role else "anybody" for role in found.waits)
            unchecked = "" if self.moment.view.target.service.people or who == "anybody" else "  (role not checked)"
            yield self._fact(label, self._say(f"waits for {who}{unchecked}", "muted"))
        elif label:
            yield self._fact(label, self._say("nobody yet", "muted"))

    def _waiver(self) -> Iterator[Content]:
        waiver = self.found.waiver
        if waiver is None:
            return
        data = waiver.event.data
        said = f"≈ by {waiver.by}, owner {data['owner']}, {till(waiver.expires, self.moment.view.now)}"
        yield self._fact("waived", self._say(said))
        yield from self._wrapped("", data["reason"], "muted")

    def _errors(self) -> Iterator[Content]:
        if self.seen is None:
            return
        for error in self.seen.errors[:2]:
            if error not in self.found.message:
                yield from self._wrapped("error", without(error, self._questions()), "warning", rows=2)

    def _body(self, taken: int) -> Iterator[Content]:
        """What came back, line by line as it is, in the rows that are free below the `taken` ones."""
        if self.seen is None or not self.seen.body:
            return
        least = 2 if self.tight else 6
        free = MOST if self.height is None else min(self.height - taken, MOST)
        prints = self.found.attempt is not None and self.found.attempt.id in self.moment.live.output
        rows = self._lines(self.seen.body, least if prints else max(least, free))
        for at, row in enumerate(rows):
            yield self._fact("body" if at == 0 else "", row)

    def _lines(self, text: str, most: int) -> list[Content]:
        """At most `most` rows of a text of many lines; what is left out is said in the last one."""
        room, style = max(10, self.width - LABEL), self.look.style("muted")
        rows: list[Content] = []
        for line in safe(text.strip("\n"), 8192, lines=True).split("\n"):
            rows += Content.styled(line.rstrip(), style).wrap(room) or [Content("")]
            if len(rows) > most:
                return [*rows[: most - 1], cell(rows[most - 1], room - 2).rstrip() + self._say(" …", "muted")]
        return rows

    # actions

    def _action(self) -> Iterator[Content]:
        action, attempt = self.step.action, self.found.attempt
        assert action is not None
        if attempt is not None:
            argv = " ".join(attempt.intent.data["argv"])
            pid = attempt.started.data["pid"] if attempt.started is not None else None
            yield self._fact(
                "runs", Content.assemble(self._say(argv), self._say(f"  pid {pid}" if pid else "", "muted"))
            )
            yield from self._attempt(attempt)
        elif action.external is not None:
            yield from self._wrapped("waits", action.external)
        elif action.run is not None:
            text = action.run if isinstance(action.run, str) else " ".join(action.run)
            yield self._fact("runs", self._say(text))
        observe = self.step.observe
        if observe is not None and observe.expect:
            then = Content.assemble(
                self._say("observe ", "muted"),
                self._say(", ".join(observe.expect)),
                self._say(f" within {span_of(observe.within)}", "muted"),
            )
            yield self._fact("then", then)

    def _attempt(self, attempt: Attempt) -> Iterator[Content]:
        if self.found.state == "running":
            limit = timedelta(milliseconds=attempt.intent.data["timeout_ms"])
            spent = running_clock(self.moment.elapsed_ms(attempt))
            yield self._fact(
                "elapsed",
                Content.assemble(self._say(spent, "bold"), self._say(f" of at most {span_of(limit)}", "muted")),
            )
            return
        if attempt.finished is not None:
            data: Mapping[str, Any] = attempt.finished.data
            how = {"exited": f"exit {data['exit_code']}", "signalled": f"killed by {data['signal']}"}.get(
                data["outcome"], str(data["outcome"]).replace("_", " ")
            )
            spent = f" after {took(data['duration_ms'])}" if data["duration_ms"] is not None else ""
            yield self._fact("ended", self._say(f"{how}{spent}", "plain" if attempt.succeeded else "warning"))
        number = len(self.moment.view.run.attempts_of(self.step.id))
        if number > 1:
            yield self._fact("attempt", self._say(f"{number}, the ones before are in the log", "muted"))

    def _output(self, room: int | None) -> Iterator[Content]:
        attempt = self.found.attempt
        lines = self.moment.live.output.get(attempt.id) if attempt is not None else None
        if attempt is None or not lines:
            return
        printed = self.moment.live.printed.get(attempt.id, len(lines))
        yield output_head(self.look, self.width, printed, live=self.found.state == "running")
        shown = list(lines) if room is None else list(lines)[-max(1, room) :]
        for at, line in enumerate(shown):
            yield output_row(self.look, self.width, line, bright=at >= len(shown) - BRIGHT)
