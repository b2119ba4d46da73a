"""The keys of every screen: id, key, word and tooltip, the row that shows them, and remapping.

Knows nothing of what a key does; the screen that binds it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.style import Style

from captain.errors import UsageError
from captain.tui.present import Look, spread


@dataclass(frozen=True, slots=True)
class Key:
    """One binding."""

    id: str
    key: str
    action: str
    word: str
    """In the row of keys."""
    tooltip: str
    short: str | None = None
    """In a narrow row; None leaves it out there."""
    shown: bool = True

    def binding(self) -> Binding:
        return Binding(self.key, self.action, self.word, show=False, tooltip=self.tooltip, id=self.id)


RUN: tuple[Key, ...] = (
    Key("run.roll_back", "R", "roll_back", "roll back", "Go back to the release before; asks first", "back"),
    Key("run.measure", "enter", "measure", "measure", "Measure this step; sign it where a person decides", "measure"),
    Key("run.measure_section", "m", "measure_section", "section", "Measure every step of the section"),
    Key("run.next_problem", "n", "next_problem", "next", "Go to the next step that is not right", "next"),
    Key("run.sign", "s", "sign", "sign", "Approve or reject this step with your name", "sign"),
    Key("run.waive", "w", "waive", "waive", "Let the gate open in spite of this step, until a day", "waive"),
    Key("run.not_applicable", "x", "not_applicable", "n/a", "Say that this step does not apply here", "n/a"),
    Key("run.act", "a", "act", "run", "Start this step's action or drill; asks first", "run"),
    Key("run.gate", "g", "gate", "gate", "Decide go or no-go for the open section", "gate"),
    Key("run.history", "h", "history", "history", "Earlier runs"),
    Key("run.leave", "q", "leave", "leave", "Leave; the run stays open and what runs goes on"),
    Key("run.help", "question_mark", "help", "help", "Every key, and why a dim one is dim", "help", shown=False),
    Key("run.countersign", "S", "countersign", "countersign", "Stand behind another's waiver or n/a", shown=False),
    Key("run.withdraw", "u", "withdraw", "take back", "Take back what you signed or waived here", shown=False),
    Key("run.previous_problem", "N", "previous_problem", "problem before", "Go to the problem before", shown=False),
    Key("run.resolve", "o", "resolve", "resolve", "Say what an action did that nobody knows about", shown=False),
    Key("run.note", "c", "note", "note", "Write a note, or the cause after a rollback", shown=False),
    Key("run.reopen", "O", "reopen", "open again", "Open this closed section again; asks first", shown=False),
    Key("run.abort", "A", "abort", "abort", "Give this run up; asks first", shown=False),
    Key("run.trust", "t", "trust", "trust", "Look at the commands of these files and accept them", shown=False),
    Key("run.filter", "slash", "filter", "filter", "Show only the steps that hold these letters", shown=False),
    Key("run.section_before", "left_square_bracket", "section(-1)", "section back", "The section before", shown=False),
    Key("run.section_after", "right_square_bracket", "section(1)", "section on", "The next section", shown=False),
    Key("run.panel_1", "1", "panel(1)", "checklist", "Go to the checklist", shown=False),
    Key("run.panel_2", "2", "panel(2)", "step", "Go to the step", shown=False),
    Key("run.panel_3", "3", "panel(3)", "watch", "Go to the watch", shown=False),
    Key("run.panel_4", "4", "panel(4)", "log", "Go to the log", shown=False),
    Key("run.close_filter", "escape", "close_filter", "all steps", "Leave the filter", shown=False),
)

REVIEW: tuple[Key, ...] = (
    Key(
        "review.measure", "enter", "measure", "measure", "Measure the category; open an item; measure or sign it", "go"
    ),
    Key("review.measure_stale", "m", "measure_stale", "measure all", "Measure all that is not good and fresh", "all"),
    Key("review.next_problem", "n", "next_problem", "next problem", "Go to the next item that is not right", "next"),
    Key("review.sign", "s", "sign", "sign", "Approve or reject this item with your name", "sign"),
    Key("review.waive", "w", "waive", "waive", "Accept the risk of this item, until a day", "waive"),
    Key("review.not_applicable", "x", "not_applicable", "n/a", "Say that this item does not apply here", "n/a"),
    Key("review.act", "a", "act", "run", "Run this item's drill; asks first", "run"),
    Key("review.advice", "r", "advice", "advice", "What to do next, and what does not fit together", "advice"),
    Key("review.back", "escape", "back", "back", "To the categories, then back to where you came from", "back"),
    Key("review.help", "question_mark", "help", "help", "Every key, and why a dim one is dim", "help", shown=False),
    Key("review.countersign", "S", "countersign", "countersign", "Stand behind another's waiver or n/a", shown=False),
    Key("review.withdraw", "u", "withdraw", "take back", "Take back what you signed or waived here", shown=False),
    Key("review.previous_problem", "N", "previous_problem", "problem before", "Go to the one before", shown=False),
    Key("review.note", "c", "note", "note", "Write a note", shown=False),
    Key("review.gate", "g", "gate", "gate", "Record go or no-go for this category", shown=False),
    Key("review.abort", "A", "abort", "give up", "Give this review up; asks first", shown=False),
    Key("review.trust", "t", "trust", "trust", "Look at the commands of these files and accept them", shown=False),
    Key("review.history", "h", "history", "history", "Earlier runs", shown=False),
    Key("review.panel_1", "1", "panel(1)", "categories", "Go to the categories", shown=False),
    Key("review.panel_2", "2", "panel(2)", "items", "Go to the items of the category", shown=False),
    Key("review.panel_3", "3", "panel(3)", "advice", "Go to the advice", shown=False),
    Key("review.panel_4", "4", "panel(4)", "item", "Everything about the item", shown=False),
    Key("review.leave", "q", "leave", "leave", "Leave; the review stands", shown=False),
)

BRIDGE: tuple[Key, ...] = (
    Key("bridge.resume", "enter", "resume", "open run", "Open the run under the cursor", "open"),
    Key("bridge.new", "n", "new", "new run", "Start a release", "new"),
    Key("bridge.readiness", "r", "readiness", "readiness", "The review of this service, and its score", "review"),
    Key("bridge.history", "h", "history", "history", "Earlier runs", "history"),
    Key("bridge.filter", "slash", "filter", "filter", "Show only the runs that hold these letters", "filter"),
    Key("bridge.commands", "ctrl+p", "app.command_palette", "commands", "Every command by name"),
    Key("bridge.leave", "q", "leave", "quit", "Leave captain", "quit"),
    Key("bridge.help", "question_mark", "help", "help", "Every key of this screen", "help", shown=False),
    Key("bridge.panel_1", "1", "panel(1)", "open runs", "Go to the open runs", shown=False),
    Key("bridge.panel_2", "2", "panel(2)", "recent runs", "Go to the recent runs", shown=False),
    Key("bridge.close_filter", "escape", "close_filter", "all runs", "Leave the filter", shown=False),
)

ROLLBACK: tuple[Key, ...] = (
    Key("rollback.cause", "c", "cause", "cause", "Write down why the rollback was needed", "cause"),
    Key("rollback.again", "R", "again", "roll back", "Make a new plan and go on; asks first", "back"),
    Key("rollback.output", "3", "panel(3)", "output", "What the running part prints", "output"),
    Key("rollback.log", "4", "panel(4)", "log", "What was recorded", "log"),
    Key("rollback.leave", "q,escape", "leave", "leave", "Back to the run; the rollback goes on", "leave"),
    Key("rollback.help", "question_mark", "help", "help", "Every key, and why a dim one is dim", "help", shown=False),
)

HISTORY: tuple[Key, ...] = (
    Key("history.open", "enter", "open", "timeline", "What happened in this run", "open"),
    Key("history.filter", "slash", "filter", "filter", "production FAIL by:karen kind:check", "filter"),
    Key("history.all", "v", "everything", "all entries", "Show every entry, or only what people care about", "all"),
    Key("history.leave", "escape,q", "leave", "back", "Back to where you came from", "back"),
    Key("history.help", "question_mark", "help", "help", "Every key of this screen", "help", shown=False),
)

DIALOG: tuple[Key, ...] = (
    Key("dialog.leave", "escape", "leave", "Cancel", "Leave; nothing is changed"),
    Key("dialog.confirm", "ctrl+s", "confirm", "Do it", "Do what the last line says"),
    Key("dialog.enter", "enter", "enter", "Next", "Next field, or do it"),
    Key("dialog.cycle", "ctrl+r", "cycle", "Other choice", "The next choice"),
    Key("dialog.up", "pageup", "scroll(-1)", "Up", "Earlier facts"),
    Key("dialog.down", "pagedown", "scroll(1)", "Down", "More facts"),
)

DRY_RUN = Key("dialog.dry_run", "ctrl+d", "dry_run", "Dry run", "Look again, change nothing")

CHOICE: tuple[Key, ...] = (
    Key("choice.previous", "left", "step(-1)", "Previous", "The choice before"),
    Key("choice.next", "right,space", "step(1)", "Next", "The next choice"),
)

HELP: tuple[Key, ...] = (
    Key("help.leave", "escape,q,question_mark", "leave", "Back", "Back to where you were"),
    Key("help.down", "down,j,pagedown,space", "scroll(1)", "Down", "More keys"),
    Key("help.up", "up,k,pageup", "scroll(-1)", "Up", "Keys before"),
)

QUIT = Key("app.quit", "ctrl+q", "quit", "Quit", "Leave captain; runs stay open")

ROOM = 7
"""Cells of a word in a narrow row."""

MOVE: tuple[Key, ...] = (
    Key("list.down", "j", "cursor_down", "down", "The next row", shown=False),
    Key("list.up", "k", "cursor_up", "up", "The row before", shown=False),
)

MOVE_DETAIL: tuple[Key, ...] = (
    Key("detail.down", "j", "scroll_down", "down", "Scroll down", shown=False),
    Key("detail.up", "k", "scroll_up", "up", "Scroll up", shown=False),
)

_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
}


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """The bindings of these keys. None has priority: a dialog above always comes first."""
    return [key.binding() for key in keys]


def name_of(ident: str, otherwise: str, keymap: Mapping[str, str]) -> str:
    """The key of a binding as people write it, after remapping; `otherwise` is what it is without."""
    actual = keymap.get(ident, otherwise).split(",")[0]
    return _NAMES.get(actual, actual)


def shown_key(key: Key, keymap: Mapping[str, str]) -> str:
    """The key as people write it, after remapping."""
    return name_of(key.id, key.key, keymap)


def keymap(text: str) -> dict[str, str]:
    """`run.roll_back=ctrl+r,run.gate=G` as a map of binding ids to keys. Raises UsageError naming what is wrong."""
    every = (*RUN, *REVIEW, *BRIDGE, *ROLLBACK, *HISTORY, *DIALOG, DRY_RUN, *CHOICE, *HELP, *MOVE, *MOVE_DETAIL, QUIT)
    known = {key.id for key in every}
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, given, key = part.partition("=")
        if not given or not key.strip():
            raise UsageError(f"{part!r} remaps no key", hint="write run.gate=G,run.sign=ctrl+s")
        found[name.strip()] = key.strip()
    if unknown := sorted(found.keys() - known):
        import difflib

        near = [one for name in unknown for one in difflib.get_close_matches(name, known, n=1)]
        names = ", ".join(repr(name) for name in unknown)
        raise UsageError(f"there is no key {names} to remap", hint=f"did you mean {', '.join(near)}?" if near else None)
    return found


def row(
    look: Look,
    width: int,
    keys: Sequence[Key],
    *,
    chosen: str | None,
    words: Mapping[str, str],
    dim: Mapping[str, str],
    keymap: Mapping[str, str],
) -> Content:
    """The row of keys: the next sensible one as a chip, the others in their order, help at the right end.

    `chosen` is an id; `words` replaces the word of a key; `dim` holds the ids that may not be pressed. Whole keys
    are left out from the right where there is no room. A dim key and a word that changes move no other key.
    """
    narrow = width < 110
    shown = [key for key in keys if key.id == chosen or (key.shown and (not narrow or key.short is not None))]
    shown.sort(key=lambda key: key.id != chosen)
    helping = next((key for key in keys if key.action == "help"), None)
    end = _one(look, helping, helping.word, False, False, keymap) if helping is not None else Content("")
    room = width - end.cell_length - 1
    out = Content("")
    for key in shown:
        word = words.get(key.id) or key.word
        if narrow and key.short is not None and len(word) > ROOM and key.id != chosen:
            word = key.short
        if len(word) < len(key.word) <= ROOM and key.id != chosen:
            # Enter signs here and measures there: what follows keeps its place when the cursor moves.
            word = word.ljust(len(key.word))
        piece = _one(look, key, word, key.id == chosen, key.id in dim, keymap)
        gap = "   " if out.plain and out.plain.startswith(" ") and key is shown[1] else "  " if out.plain else ""
        if out.cell_length + len(gap) + piece.cell_length > room:
            break
        out = Content.assemble(out, gap, piece)
    return spread(width, out, end)


def _one(look: Look, key: Key, word: str, chosen: bool, dim: bool, keymap: Mapping[str, str]) -> Content:
    name = shown_key(key, keymap)
    if chosen:
        piece = Content.assemble(look.chip(name, "chip-hand"), " ", look.say(word, "bold"))
    else:
        piece = Content.assemble(
            look.say(name, "dim" if dim else "hand"), " ", look.say(word, "dim" if dim else "muted")
        )
    action = key.action if key.action.startswith("app.") else f"screen.{key.action}"
    return piece.stylize(Style.from_meta({"@click": action}))
