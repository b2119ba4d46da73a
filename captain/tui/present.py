"""How a state, an age or a number looks: glyph, word and role, for every theme, NO_COLOR and --ascii.

Knows theme variables and cell widths; knows no widget, no engine and no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from textual.content import Content, Span

from captain.measurement import Verdict
from captain.safe import safe

if TYPE_CHECKING:
    from captain.run.status import Status

Role = Literal[
    "plain",
    "bold",
    "muted",
    "dim",
    "plot",
    "fail",
    "error",
    "wrong",
    "warning",
    "unknown",
    "success",
    "hand",
    "primary",
    "environment",
    "chip-error",
    "chip-hand",
    "chip-warning",
    "chip-success",
]
"""What a piece of text is for. Which style that is depends on the terminal: see `Look.style`."""

_STYLES: dict[Role, str] = {
    "plain": "",
    "bold": "bold",
    "muted": "$foreground 70%",
    "dim": "$foreground 45%",
    "plot": "$foreground 55%",
    "fail": "$text-error bold",
    "error": "$text-error",
    "wrong": "$text-error bold",
    "warning": "$text-warning",
    "unknown": "$text-warning bold",
    "success": "$text-success",
    "hand": "$primary bold",
    "primary": "$primary",
    "environment": "bold reverse",
    "chip-error": "$text-error bold reverse",
    "chip-hand": "$primary bold reverse",
    "chip-warning": "$text-warning bold reverse",
    "chip-success": "$text-success bold reverse",
}

# Without colour $text-error is greyer than plain text: what is loud must be loud by shape.
_COLOURLESS: dict[Role, str] = {
    "fail": "bold reverse",
    "error": "bold",
    "wrong": "bold underline",
    "warning": "bold",
    "unknown": "bold",
    "success": "",
    "hand": "bold",
    "primary": "bold",
    "chip-error": "bold reverse",
    "chip-hand": "bold reverse",
    "chip-warning": "bold reverse",
    "chip-success": "bold reverse",
}

_ASCII = str.maketrans(
    {
        **dict(zip("○✓✗≈–—◆◇↻‼…→←·▲▼●◀▌─┄━╍│×", ".+xw--@o%#>><-^v*<|--=-|x", strict=True)),
        **dict.fromkeys("◔◑◕", "="),
        **dict.fromkeys("▁▂▃▄", "_"),
        **dict.fromkeys("▅▆▇█", "#"),
        **dict.fromkeys("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "*"),
    }
)
BRAILLE = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(frozen=True, slots=True)
class Mark:
    """A state as every list shows it: 1 glyph and at most 8 cells of word."""

    glyph: str
    word: str
    role: Role
    loud: bool = False
    """Whether the title beside it is bold: it needs a hand."""


_MARKS: dict[str, Mark] = {
    "todo": Mark("○", "todo", "muted"),
    "measuring": Mark("⠹", "asking", "hand"),
    "running": Mark("⠹", "runs", "hand", True),
    "pass": Mark("✓", "pass", "success"),
    "warn": Mark("!", "warn", "warning"),
    "fail": Mark("✗", "FAIL", "fail", True),
    "unknown": Mark("?", "unknown", "unknown", True),
    "waived": Mark("≈", "waived", "muted"),
    "not-applicable": Mark("–", "n/a", "dim"),
    "you": Mark("◆", "you", "hand", True),
    "waiting": Mark("◇", "sign", "muted"),
    "stale": Mark("↻", "stale", "warning"),
    "lapsed": Mark("↻", "lapsed", "warning"),
    "hold": Mark("◔", "hold", "primary"),
    "overridden": Mark("‼", "over", "error"),
    "not-run": Mark("–", "not run", "dim"),
    "disabled": Mark("–", "off", "dim"),
}
MARK_WIDTH = 10
"""Cells of glyph, space and word."""


@dataclass(frozen=True, slots=True)
class Look:
    """What this terminal can show."""

    colour: bool = True
    """False with NO_COLOR."""
    ascii: bool = False
    calm: bool = False
    """No spinner: over ssh, with --calm or TEXTUAL_ANIMATIONS=none."""

    def style(self, role: Role) -> str:
        """The Content style of a role, in theme variables."""
        if not self.colour and role in _COLOURLESS:
            return _COLOURLESS[role]
        return _STYLES[role]

    def say(self, text: object, role: Role = "plain", limit: int = 400) -> Content:
        """Any text, ours or outside, as one displayable line that is never markup."""
        return Content.styled(safe(text, limit), self.style(role))

    def paint(self, content: Content) -> Content:
        """The same cells, in letters that every terminal has with --ascii. Every panel shows through this."""
        if not self.ascii:
            return content
        return Content(content.plain.translate(_ASCII), list(content.spans))

    def chip(self, word: object, role: Role) -> Content:
        """A filled chip: ` NO-GO `."""
        return self.say(f" {safe(word, 60)} ", role)

    def environment(self, name: str, protected: bool) -> Content:
        """The environment: a reverse chip in capitals where it is protected, else plain and muted."""
        return self.chip(f"▲ {name.upper()}", "environment") if protected else self.say(name, "muted")

    def mark(self, mark: Mark, frame: int = 0) -> Content:
        """Glyph and word, padded to MARK_WIDTH; the glyph of what runs is a frame of the spinner."""
        glyph = mark.glyph
        if glyph == "⠹":
            glyph = "…" if self.calm else BRAILLE[frame % len(BRAILLE)]
        return cell(Content.styled(f"{glyph} {safe(mark.word, 40)}", self.style(mark.role)), MARK_WIDTH)


def mark_of(name: str, *, word: str | None = None) -> Mark:
    """The mark of a state or verdict by name, with another word where one says more."""
    found = _MARKS.get(name, _MARKS["unknown"])
    return found if word is None else Mark(found.glyph, word, found.role, found.loud)


def mark(status: Status, *, yours: bool = False, held: tuple[int, int] | None = None) -> Mark:
    """How a step stands. `yours`: its missing sign-off may be given by the person here. `held`: ms so far, of ms."""
    # A timer step that was asked is unknown for hours, as it should be.
    pending = status.state == "measured" and status.verdict is Verdict.UNKNOWN
    counting = pending or status.state in ("measuring", "running")
    if counting and held is not None and held[1] > 0:
        return hold(held[0], held[1])
    if status.state in ("waiting", "lapsed") and status.waits:
        if status.state == "lapsed":
            return _MARKS["lapsed"]
        return _MARKS["you"] if yours else mark_of("waiting", word=status.waits[0] or "sign")
    if status.state == "measured":
        if status.rejected is not None:
            return _MARKS["fail"]
        tries = status.result.attempts if status.result is not None else 1
        if tries > 1 and status.verdict is Verdict.PASS:
            return mark_of("pass", word=f"pass ~{tries}")
        return _MARKS[status.verdict.value]
    return _MARKS.get(status.state, _MARKS["unknown"])


def hold(held_ms: int, of_ms: int) -> Mark:
    """A hold that counts: quarters of a circle."""
    quarter = min(4, held_ms * 4 // of_ms) if of_ms > 0 else 0
    return Mark("○◔◑◕✓"[quarter], "hold", "primary")


def verdict_mark(verdict: Verdict | str) -> Mark:
    """The mark of a bare verdict."""
    return _MARKS[str(verdict)]


def cell(content: Content | str, width: int, *, right: bool = False) -> Content:
    """Exactly `width` cells: cut at the right with `…`, padded on the other side of where it stands."""
    if isinstance(content, str):
        content = Content(content)
    if width <= 0:
        return Content("")
    length = content.cell_length
    if length > width:
        content = content.truncate(width, ellipsis=True)
        length = content.cell_length
    room = width - length
    return content.pad_left(room) if right else content.pad_right(room)


def whole(text: str, room: int) -> str:
    """`text` in at most `room` cells, cut with `…` after a whole word: half of one could be read as another."""
    text = safe(text)
    if Content(text).cell_length <= room:
        return text
    kept = text.split(" ")
    while kept and Content(" ".join([*kept, "…"])).cell_length > room:
        kept.pop()
    # Of one long word its beginning says more than nothing.
    return " ".join([*kept, "…"]) if kept else text


def spread(width: int, left: Content | str, right: Content | str = "", *, gap: int = 1) -> Content:
    """One row of `width` cells: `left` is cut where they meet, `right` is kept whole."""
    if isinstance(right, str):
        right = Content(right)
    room = width - right.cell_length
    if not right.plain:
        return cell(left, width)
    if room <= gap:
        return cell(right, width)
    return Content.assemble(cell(left, room - gap), " " * gap, right)


def lines(rows: Iterable[Content | str]) -> Content:
    """Rows as one Content."""
    return Content("\n").join(list(rows))


def join(parts: Iterable[Content], between: str = " · ", style: str = "") -> Content:
    """Parts with a separator."""
    return Content.styled(between, style).join(list(parts))


def fitting(parts: Iterable[Content], width: int, between: str = " · ", style: str = "") -> Content:
    """As many whole parts as there is room for, the first always; `…` stands for those that yield.

    Half a number could be read as another.
    """
    parts = list(parts)
    for kept in range(len(parts), 0, -1):
        more = [] if kept == len(parts) else [Content.styled("…", style)]
        said = join([*parts[:kept], *more], between, style)
        if said.cell_length <= width:
            return said
    return join(parts[:1])


def age(then: datetime, now: datetime) -> str:
    """How old, in one unit: `8 s`, `2 m`, `3 h`, `12 d`, and `5 Oct` after 30 days."""
    passed = now - then
    if passed.days >= 30:
        return f"{then.day} {then:%b}"
    seconds = max(0, int(passed.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def took(milliseconds: float) -> str:
    """How long something took: `812 ms`, `1.2 s`, `41 s`, `1 m 48 s`, `2 h 5 m`."""
    if milliseconds < 1000:
        return f"{int(milliseconds)} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    seconds = int(milliseconds // 1000)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} m {seconds % 60} s" if seconds % 60 else f"{seconds // 60} m"
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return f"{hours} h {minutes} m" if minutes else f"{hours} h"


def span_of(duration: timedelta) -> str:
    """A duration as files write it, in words: `5 m`, `24 h`, `90 d`."""
    return took(duration / timedelta(milliseconds=1)) if duration < timedelta(days=2) else f"{duration.days} d"


def running_clock(milliseconds: float) -> str:
    """A live duration: `0:52`, `12:31`, `1:02:07`."""
    seconds = max(0, int(milliseconds // 1000))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def till(then: datetime, now: datetime) -> str:
    """When something ends: `till Fri` within a week, else `till 3 Jan`."""
    return f"till {then:%a}" if then - now < timedelta(days=7) else f"till {then.day} {then:%b}"


def digest(text: str) -> str:
    """A digest in 4 hex digits: `sha256:9f3c…`."""
    kind, _, rest = text.rpartition(":")
    return f"{safe(kind, 20)}:{safe(rest[:4])}…" if kind else f"{safe(text[:4])}…"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 entry`, `41 entries`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


__all__ = [
    "BRAILLE",
    "MARK_WIDTH",
    "Content",
    "Look",
    "Mark",
    "Role",
    "Span",
    "age",
    "cell",
    "count",
    "digest",
    "fitting",
    "hold",
    "join",
    "lines",
    "mark",
    "mark_of",
    "running_clock",
    "span_of",
    "spread",
    "till",
    "took",
    "verdict_mark",
    "whole",
]
