"""Every error captain raises on purpose, and nothing else.

A sentence here is read at two in the morning: what captain tried, what it met, what to do.

    CaptainError
    ├── UsageError            the command line or the setting asks for something that cannot be     (exit 2)
    ├── ProblemsError         files with problems, all of them at once, each with path:line:col      (exit 2)
    ├── Refusal               allowed in principle, not allowed now, with the reason                 (exit 1)
    │   ├── NeedsConfirmation the typed environment name is missing                                  (exit 4)
    │   └── NeedsInputs       questions of captain.yaml that nobody answered                         (exit 4)
    ├── ProbeError            a probe could not ask; never a verdict of its own
    ├── ProgramError          a program could not be started
    └── LogError              the log cannot be opened, read or written; nothing was recorded        (exit 2)
        ├── NotALog           the file is not a captain log
        └── AppendUnknown     the commit's outcome cannot be read back: captain must stop
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


class CaptainError(Exception):
    """An error with a sentence for the person at the terminal."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        """What captain tried and what it met, without a full stop."""
        self.hint = hint
        """What to do now, or None where the message says it."""

    @property
    def advice(self) -> str:
        """What was met, and what to do, in one line."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(CaptainError):
    """The command line, an environment variable or a name given cannot be right."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in one place of one file."""

    path: str
    """As the user would type it: relative to the working directory where that is shorter."""
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    severity: Literal["error", "note"]
    key: str
    """Dotted key path, as in sections[0].steps[2].http.url."""
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}:{self.column}"
        tail = f" [{self.key}]" if self.key else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{where}: {self.severity}: {self.message}{hint}{tail}"


class ProblemsError(CaptainError):
    """Files that cannot be used, with every problem found in them."""

    def __init__(self, problems: list[Problem]) -> None:
        errors = [problem for problem in problems if problem.severity == "error"]
        count = len(errors)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} in the files")
        self.problems = sorted(problems)


class Refusal(CaptainError):
    """Why an action is not allowed now. A refused action records nothing."""

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class NeedsConfirmation(Refusal):
    """A protected environment's name must be typed (or passed with --confirm) first."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, exit_code=4)


class NeedsInputs(Refusal):
    """A run asks questions when it is opened, and these were not answered."""

    def __init__(self, questions: Mapping[str, str]) -> None:
        ident, question = next(iter(questions.items()))
        more = f", and {len(questions) - 1} more" if len(questions) > 1 else ""
        hint = " ".join(f"--set {name}=…" for name in questions)
        self.questions = dict(questions)
        super().__init__(f"not answered: {question} ({ident}){more}", hint=hint, exit_code=4)


Fault = Literal["subject", "instrument", "unclear"]
"""Whose fault it is that a probe has no answer: the product, the measuring tool, or either."""


class ProbeError(CaptainError):
    """A probe could not ask. The engine turns it into a verdict by `fault` and the step's `on_error`."""

    def __init__(self, message: str, *, fault: Fault = "instrument", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.fault: Fault = fault


class SecretUnset(ProbeError):
    """A secret has no value here, and will have none as long as captain runs: asking again cannot help."""


class ProgramError(CaptainError):
    """A program could not be found or started."""


class LogError(CaptainError):
    """The log cannot be opened, read or written. Nothing was recorded by the call that raised it."""


class NotALog(LogError):
    """The file is no captain log, or not one this captain may touch."""


class AppendUnknown(LogError):
    """A commit failed and the log could not be read back: whether the entry is there is unknown."""
