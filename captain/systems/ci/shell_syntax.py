"""Parses the shell's grammar, as far as scripts of CI use it, into lists of commands. Pure; knows no command.

What does not parse is a ValueError: nothing is guessed.
"""

from __future__ import annotations

import re

from captain.systems.ci.shell_tokens import MAX_DEPTH, Chain, Compound, Kind, Pipeline, Sequence, Simple, Tokens, Word

_REDIRECTS = re.compile(r"&?\d*[<>]")
_LONGEST = 200
"""Pipelines in one list."""
_CASE_ENDS = (";;", ";&", ";;&")


def parse(text: str, start: int = 0, end: int | None = None) -> Sequence:
    """The script that stands in text[start:end]. Raises ValueError for what is none, or nests too deep."""
    parser = _Parser(text, start, len(text) if end is None else end)
    found = parser.sequence(())
    if parser.token is not None:
        parser.fail()
    return found


class _Parser(Tokens):
    """The grammar over the words."""

    def _is(self, *names: str) -> bool:
        """Whether a word of the grammar comes next."""
        return isinstance(self.token, Word) and self.token.text in names

    def _next(self) -> str | Word | None:
        self.advance()
        return self.token

    def _expect(self, name: str) -> None:
        if not (self.token == name or self._is(name)):
            self.fail()
        self.advance()

    def _newlines(self) -> None:
        while self.token == "\n":
            self.advance()

    def sequence(self, ends: tuple[str, ...]) -> Sequence:
        """Commands up to one of the operators or words in `ends`, which stays the next token."""
        found: Sequence = []
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail()
        while True:
            while self.token in (";", "\n"):
                self.advance()
            if self.token is None or self.token in ends or self._is(*ends):
                self.depth -= 1
                return found
            chain = self._chain()
            found.append(chain)
            if self.token in (";", "&", "\n"):
                chain.background = self.token == "&"
                self.advance()
            elif not (self.token is None or self.token in ends):
                self.fail()

    def _chain(self) -> Chain:
        chain = Chain([self._pipeline()], [])
        while self.token in ("&&", "||"):
            chain.operators.append(str(self.token))
            self.advance()
            self._newlines()
            chain.parts.append(self._pipeline())
            if len(chain.parts) > _LONGEST:
                self.fail()
        return chain

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._is("!"):
            # Twice is not once, but neither is it to be trusted.
            negated = True
            self.advance()
        found = Pipeline([self._command()], negated)
        while self.token in ("|", "|&"):
            self.advance()
            self._newlines()
            found.parts.append(self._command())
        return found

    def _command(self) -> Simple | Compound:
        start, token = self.began, self.token
        compound = None
        if token == "(":
            compound = self._arithmetic() or self._bracketed("subshell", ")")
        elif isinstance(token, Word):
            compound = self._compound(token.text)
        if compound is None:
            return self._simple(start)
        compound.start = start
        self._redirections()
        return compound

    def _compound(self, name: str) -> Compound | None:
        if name == "{":
            return self._bracketed("brace", "}")
        if name == "if":
            return self._if()
        if name in ("while", "until"):
            self.advance()
            condition = self.sequence(("do",))
            return Compound("loop", 0, [condition], [self._between("do", "done")])
        if name in ("for", "select"):
            return self._for()
        if name == "case":
            return self._case()
        if name == "[[":
            return self._test()
        if name == "function":
            self.advance()
            return self._function()
        if re.match(r"[ \t]*\([ \t]*\)", self.text[self.at : self.at + 20]):
            return self._function()
        return None

    def _bracketed(self, kind: Kind, close: str) -> Compound:
        self.advance()
        body = self.sequence((close,))
        self._expect(close)
        return Compound(kind, 0, bodies=[body])

    def _arithmetic(self) -> Compound | None:
        if not (self.text.startswith("((", self.began) and self.arithmetic(self.began)):
            return None
        self.advance()
        return Compound("test", 0)

    def _test(self) -> Compound:
        """`[[ … ]]`, whose operators are its own."""
        end = re.compile(r"(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|[^'\"\\])*?\s\]\](?=[\s;&|)]|$)", re.DOTALL)
        found = end.match(self.text, self.at, min(self.end, self.at + 4000))
        if found is None:
            self.fail()
        self.at = found.end()
        self.advance()
        return Compound("test", 0)

    def _between(self, opens: str, closes: str) -> Sequence:
        self._expect(opens)
        body = self.sequence((closes,))
        self._expect(closes)
        return body

    def _if(self) -> Compound:
        found = Compound("if", 0)
        while self._is("if", "elif"):
            self.advance()
            found.conditions.append(self.sequence(("then",)))
            self._expect("then")
            found.bodies.append(self.sequence(("elif", "else", "fi")))
        if self._is("else"):
            self.advance()
            found.bodies.append(self.sequence(("fi",)))
        self._expect("fi")
        return found

    def _for(self) -> Compound:
        found = Compound("loop", 0)
        self.advance()
        self._arithmetic()
        while isinstance(self.token, Word) and not self._is("do"):
            found.words.append(self.token)
            self.advance()
        while self.token in (";", "\n"):
            self.advance()
        found.bodies.append(self._between("do", "done"))
        return found

    def _case(self) -> Compound:
        found = Compound("case", 0)
        self.advance()
        while isinstance(self.token, Word) and not self._is("in"):
            found.words.append(self.token)
            self.advance()
        self._newlines()
        self._expect("in")
        self._newlines()
        while not self._is("esac"):
            while isinstance(self.token, Word) or self.token in ("(", "|"):
                self.advance()
            self._expect(")")
            found.bodies.append(self.sequence((*_CASE_ENDS, "esac")))
            if self.token in _CASE_ENDS:
                self.advance()
            self._newlines()
        self.advance()
        return found

    def _function(self) -> Compound:
        if not isinstance(self.token, Word):
            self.fail()
        name = self.token.text
        if self._next() == "(":
            self.advance()
            self._expect(")")
        self._newlines()
        body = self._command()
        return Compound("function", 0, bodies=[[Chain([Pipeline([body])], [])]], name=name)

    def _redirections(self) -> list[Sequence]:
        """Over the redirections that stand here; the scripts within their targets."""
        inner: list[Sequence] = []
        while isinstance(self.token, str) and _REDIRECTS.match(self.token):
            operator = self.token.lstrip("0123456789")
            target = self._next()
            if not isinstance(target, Word):
                self.fail()
            if operator in ("<<", "<<-"):
                self.waiting.append((target.plain, operator == "<<-"))
            inner += target.inner
            self.advance()
        return inner

    def _simple(self, start: int) -> Simple:
        found = Simple([], start, start)
        while True:
            before = self.began
            found.inner += self._redirections()
            if isinstance(self.token, Word):
                found.words.append(self.token)
                found.end = self.token.end
                self.advance()
            elif self.began == before:
                break
        if not found.words and self.began == start:
            self.fail()
        return found
