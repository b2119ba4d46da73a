"""Start a step's action: the exact command, once more before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from captain.run.allowed import again
from captain.tui.dialogs.base import Heading
from captain.tui.dialogs.typed import TypedDialog
from captain.tui.present import age, span_of

if TYPE_CHECKING:
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Acting:
    """Start it."""

    step: str
    confirmed: str | None


class ActionDialog(TypedDialog[Acting]):
    """Asks before an action starts. `argv` is the command as it will run, secrets as references; without it the
    command is shown as the file says it."""

    leaves = "esc starts nothing"

    def __init__(self, view: View, step: str, argv: Sequence[str] | None = None) -> None:
        found = view.step(step)
        assert found is not None and found[1].action is not None, "the caller asked captain.run.allowed first"
        self.step = found[1]
        self.action = found[1].action
        asks_name = view.run.protected or self.action.confirm
        super().__init__(Heading.of(view), view.run.environment if asks_name else None)
        self.view = view
        self.argv = argv
        self.attempts = len(view.run.attempts_of(step))
        self.again = again(view, self.step)

    def headline(self) -> str:
        return f"{'Run again' if self.again else 'Run'} · {self.step.title}"

    def about(self) -> Content:
        return self.say(f"attempt {self.attempts + 1}", "warning" if self.again else "muted")

    def facts(self) -> Sequence[Content]:
        rows: list[Content] = []
        if self.again:
            last = self.view.run.attempt_of(self.step.id)
            when = f", started {age(last.intent.at, self.view.now)} ago" if last else ""
            rows.append(self.fact("again", self.say(f"this repeats it: attempt {self.attempts}{when}", "warning")))
        if self.action.external is not None:
            rows += self.wrapped("expects", self.action.external, "bold")
            rows.append(self.fact("", self.say("captain starts nothing; it looks until it sees it arrive", "muted")))
        else:
            rows += self._command()
        if self.action.no_return:
            rows.append(self.fact("no way", self.say("back: the file says that this cannot be undone", "error")))
        if self.step.why:
            rows += self.wrapped("why", self.step.why, "muted", 2)
        return rows

    def _command(self) -> list[Content]:
        run = self.argv if self.argv is not None else self.action.run or ()
        shown = [run] if isinstance(run, str) else list(run)
        rows = []
        if isinstance(self.action.run, str):
            rows += self.wrapped("shell", self.action.run, "bold", 6)
        else:
            # One argument, one piece: what belongs together is quoted, so that a space inside cannot pass for two.
            rows += self.wrapped("runs", " ".join(_quoted(one) for one in shown), "bold", 6)
        rows += self.wrapped("in", self._folder())
        rows.append(
            self.fact("with", self.say(", ".join(sorted(self.action.env)) or "no variables of its own", "muted"))
        )
        limit = f"{span_of(self.action.timeout)}, then it is stopped and what it did is unknown"
        rows.append(self.fact("at most", self.say(limit, "muted")))
        if not self.action.idempotent:
            rows.append(self.fact("retry", self.say("never by itself", "muted")))
        return rows

    def _folder(self) -> str:
        root, cwd = self.view.target.root, self.action.cwd
        return root if cwd == "." else cwd if cwd.startswith("/") else f"{root}/{cwd}"

    def fields(self) -> Iterator[Widget]:
        yield from self.name_field()

    def outcome(self) -> Sequence[Content]:
        looks = "captain looks what is really there" if self.step.observe else "its exit code is the verdict"
        return self.wrapped("then", f"it runs on even if captain closes; {looks}")

    def blocked(self) -> str | None:
        return self.unconfirmed()

    def verb(self) -> str:
        if self.action.external is not None:
            return "expect it"
        return "run it again" if self.again else "run it"

    def answer(self) -> Acting:
        return Acting(self.step.id, self.confirmed)


def _quoted(argument: str) -> str:
    return argument if argument and not any(char.isspace() or char in "'\"" for char in argument) else repr(argument)
