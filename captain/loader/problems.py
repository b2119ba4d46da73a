"""Collects what is wrong, each thing once, with the place it was written at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from captain.documents import Document, Node
from captain.errors import Problem, ProblemsError
from captain.safe import safe

MAX_PROBLEMS = 1000


class Problems:
    """Every problem of every file of one load."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, int, str], Problem] = {}
        self.met = 0
        """How often an error was met, the same one twice included: compare before and after."""

    def document(self, document: Document) -> None:
        """Take over what reading the file met."""
        for problem in document.problems:
            self.add(problem)

    @property
    def full(self) -> bool:
        """Whether so much is wrong that looking further only costs time."""
        return len(self._found) >= MAX_PROBLEMS

    def add(self, problem: Problem) -> None:
        self.met += problem.severity == "error"
        if self.full and problem.severity == "note":
            return
        self._found.setdefault((problem.path, problem.line, problem.column, problem.message), problem)

    def error(self, node: Node, message: str, *, hint: str | None = None, offset: int | None = None) -> None:
        """Something wrong with a value; `offset` names a character of its text."""
        line, column = (node.line, node.column) if offset is None else node.spot(offset)
        self._note(node.document, line, column, "error", node.path, message, hint)

    def note(self, node: Node, message: str, *, hint: str, offset: int) -> None:
        """Something that this captain does not do yet, at a character of a value's text."""
        line, column = node.spot(offset)
        self._note(node.document, line, column, "note", node.path, message, hint)

    def key(
        self,
        node: Node,
        key: str,
        message: str,
        *,
        hint: str | None = None,
        severity: Literal["error", "note"] = "error",
    ) -> None:
        """Something wrong with (or, where it is missing, for want of) a key of a mapping."""
        child = node.mapping.get(key)
        document = child.document if child is not None else node.document
        line, column = node.keys.get(key, (node.line, node.column))
        path = child.path if child is not None else f"{node.path}.{safe(key, 80)}".removeprefix(".")
        self._note(document, line, column, severity, path, message, hint)

    def place(self, path: str, message: str, *, hint: str | None = None) -> None:
        """Something wrong with a file as a whole."""
        self.add(Problem(path, 1, 1, "error", "", message, hint))

    def told(self, node: Node) -> bool:
        """Whether something is known to be wrong with the value itself."""
        path = node.path
        return any(problem.key == path and problem.path == node.document.path for problem in self._found.values())

    def _note(
        self,
        document: Document,
        line: int,
        column: int,
        severity: Literal["error", "note"],
        path: str,
        message: str,
        hint: str | None,
    ) -> None:
        self.add(Problem(document.path, line, column, severity, path, message, hint))

    @property
    def all(self) -> list[Problem]:
        """Sorted by place."""
        return sorted(self._found.values(), key=lambda p: (p.path, p.line, p.column, p.message))

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.all if problem.severity == "error"]

    def check(self) -> None:
        """Raises ProblemsError with everything where at least one is an error."""
        if self.errors:
            raise ProblemsError(self.all)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The hint that names the known word nearest to this one, None where none is near."""
    from difflib import get_close_matches

    names = sorted(set(known))
    near = get_close_matches(word[:80].lower(), names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else None


def listing(names: Iterable[str], word: str = "or") -> str:
    """`a, b or c`."""
    found = list(names)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} {word} {found[-1]}" if found else "nothing"


def show(text: str) -> str:
    """A text of a file as it stands in a sentence."""
    return f'"{safe(text, 60)}"'
