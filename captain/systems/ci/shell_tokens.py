"""What a script of the shell is made of, and how it falls into words and operators. Pure; knows no command.

Expressions of the CI (`${{ … }}`) must be blanked before. What does not parse is a ValueError: nothing is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NoReturn, Self

MAX_DEPTH = 30
MAX_TOKENS = 50_000
"""Words and operators of one script."""
_LONGEST = 2000
"""Characters of a calculation."""
_BLANK = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_OPERATOR = re.compile(
    r";;&|;;|;&|;|&&|&>>|&>|&|\|\||\|&|\||\(|\)|\n|(?:\d*)(?:<<<|<<-|<<|<>|<&|<(?!\()|>>|>\||>&|>(?!\())"
)
_PLAIN = re.compile(r"[^\s;&|<>()'\"\\$`]+")
_SINGLE = re.compile(r"'[^']*'")
_ANSI = re.compile(r"\$'(?:\\.|[^'\\])*'", re.DOTALL)
_ASSIGNS = re.compile(r"[A-Za-z_]\w*(?:\[[^\]\s]*\])?\+?=")

Kind = Literal["if", "loop", "case", "brace", "subshell", "function", "test"]


@dataclass(slots=True)
class Word:
    """One word of a command."""

    start: int
    end: int
    text: str
    """As written."""
    inner: list[Sequence] = field(default_factory=list)
    """Scripts that are run for their output: `$(…)`, backticks, `<(…)`."""

    @property
    def plain(self) -> str:
        """Without quotes."""
        return re.sub(r"\\(.)|['\"]", r"\1", self.text, flags=re.DOTALL)

    @property
    def assigns(self) -> bool:
        """Whether it has the shape of NAME=value."""
        return _ASSIGNS.match(self.text) is not None


@dataclass(slots=True)
class Simple:
    """A command with its words; what is redirected is left out, but for scripts within."""

    words: list[Word]
    start: int
    end: int
    inner: list[Sequence] = field(default_factory=list)
    """Scripts within the targets of redirections."""


@dataclass(slots=True)
class Compound:
    """Anything built of commands."""

    kind: Kind
    start: int
    conditions: list[Sequence] = field(default_factory=list)
    bodies: list[Sequence] = field(default_factory=list)
    name: str = ""
    """Of a function."""
    words: list[Word] = field(default_factory=list)
    """What a loop goes over, what a case looks at."""


@dataclass(slots=True)
class Pipeline:
    """Commands joined by `|`."""

    parts: list[Simple | Compound]
    negated: bool = False


@dataclass(slots=True)
class Chain:
    """Pipelines joined by `&&` and `||`."""

    parts: list[Pipeline]
    operators: list[str]
    background: bool = False


Sequence = list[Chain]


class Tokens:
    """Reads words and operators one ahead. What scripts within words are is the parser's to say."""

    def __init__(self, text: str, start: int, end: int, depth: int = 0, spent: list[int] | None = None) -> None:
        self.text, self.at, self.end, self.depth = text, start, end, depth
        self.spent = [0] if spent is None else spent
        self.waiting: list[tuple[str, bool]] = []
        """Ends of here-documents whose text begins on the next line, and whether tabs before them fall."""
        self.token: str | Word | None = None
        self.began = start
        self.advance()

    def fail(self) -> NoReturn:
        raise ValueError(f"no shell syntax that is known here, at {self.began}")

    def advance(self) -> None:
        """Read the next token: an operator as text, a word, or None at the end."""
        while self.at < self.end:
            if (blank := _BLANK.match(self.text, self.at, self.end)) is not None:
                self.at = blank.end()
            elif self.text[self.at] == "#":
                self.at = _COMMENT.match(self.text, self.at, self.end).end()  # type: ignore[union-attr]  # it begins with #
            else:
                break
        self.began = self.at
        self.spent[0] += 1
        if self.spent[0] > MAX_TOKENS:
            self.fail()
        if self.at >= self.end:
            self.token = None
        elif (operator := _OPERATOR.match(self.text, self.at, self.end)) is not None:
            self.at = operator.end()
            self.token = operator[0]
            if self.token == "\n":
                self._here_documents()
        else:
            self.token = self._word()

    def _here_documents(self) -> None:
        for end, tabs in self.waiting:
            while self.at < self.end:
                stop = self.text.find("\n", self.at, self.end)
                stop = self.end if stop < 0 else stop
                line = self.text[self.at : stop].rstrip("\r")
                self.at = min(stop + 1, self.end)
                if (line.lstrip("\t") if tabs else line) == end:
                    break
        self.waiting = []

    def _word(self) -> Word:
        word = Word(self.at, self.at, "")
        while self.at < self.end and self._piece(word):
            pass
        if self.at == word.start:
            self.fail()
        word.end, word.text = self.at, self.text[word.start : self.at]
        return word

    def _piece(self, word: Word) -> bool:
        """Read one piece of a word; False where it is over."""
        text, at = self.text, self.at
        if (plain := _PLAIN.match(text, at, self.end)) is not None:
            self.at = plain.end()
        elif text.startswith(("<(", ">("), at):
            self._script(word, at + 2)
        elif text[at] == "\\":
            self.at = min(at + 2, self.end)
        elif text[at] == "'":
            self._regex(_SINGLE)
        elif text[at] == '"':
            self._quoted(word)
        elif text[at] == "`":
            self._backticks(word)
        elif text.startswith("$'", at):
            self._regex(_ANSI)
        elif text[at] == "$":
            self._expansion(word)
        elif text[at] == "(" and _ASSIGNS.fullmatch(text, word.start, at):
            self.balanced("(", ")")
        else:
            return False
        return True

    def _regex(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at, self.end)
        if found is None:
            self.fail()
        self.at = found.end()

    def _expansion(self, word: Word) -> None:
        at = self.at
        if self.text.startswith("$((", at) and self.arithmetic(at + 1):
            return
        if self.text.startswith("$(", at):
            self._script(word, at + 2)
        elif self.text.startswith("${", at):
            self.at += 1
            self.balanced("{", "}")
        else:
            self.at += 1

    def _script(self, word: Word, start: int) -> None:
        """A script in round brackets, which ends with the bracket that the script does not hold itself."""
        inner = self._below(start, self.end)
        word.inner.append(inner.sequence((")",)))
        if inner.token != ")":
            self.fail()
        self.at = inner.at

    def _below(self, start: int, end: int) -> Self:
        if self.depth >= MAX_DEPTH:
            self.fail()
        return type(self)(self.text, start, end, self.depth + 1, self.spent)

    def _backticks(self, word: Word) -> None:
        close = self.at + 1
        while close < self.end and self.text[close] != "`":
            close += 2 if self.text[close] == "\\" else 1
        if close >= self.end:
            self.fail()
        inner = self._below(self.at + 1, close)
        word.inner.append(inner.sequence(()))
        if inner.token is not None:
            self.fail()
        self.at = close + 1

    def _quoted(self, word: Word) -> None:
        self.at += 1
        while self.at < self.end and self.text[self.at] != '"':
            char = self.text[self.at]
            if char == "\\":
                self.at += 2
            elif char == "`":
                self._backticks(word)
            elif char == "$":
                self._expansion(word)
            else:
                self.at += 1
        if self.at >= self.end:
            self.fail()
        self.at += 1

    def arithmetic(self, start: int) -> bool:
        """Over `((…))`; False where the two brackets do not close together, and are those of scripts."""
        self.at, before, end = start + 1, self.at, self.end
        self.end = min(end, start + _LONGEST)
        try:
            self.balanced("(", ")")
        except ValueError:
            self.at = end
        self.end = end
        if self.at < self.end and self.text[self.at] == ")":
            self.at += 1
            return True
        self.at = before
        return False

    def balanced(self, opens: str, closes: str) -> None:
        """Over everything up to the bracket that closes the one here, quotes set aside."""
        level = 0
        while self.at < self.end:
            char = self.text[self.at]
            if char == "\\":
                self.at += 1
            elif char == "'" and opens == "(":
                self.at = self.text.find("'", self.at + 1, self.end)
                if self.at < 0:
                    self.fail()
            elif char == opens:
                level += 1
            elif char == closes:
                level -= 1
                if not level:
                    self.at += 1
                    return
            self.at += 1
        self.fail()

    def sequence(self, ends: tuple[str, ...]) -> Sequence:
        """Commands up to one of the operators or words in `ends`, which stays the next token."""
        raise NotImplementedError
