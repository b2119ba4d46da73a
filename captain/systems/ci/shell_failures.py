"""Which commands of a script run, and why the failure of one changes nothing. Pure; reads no file.

Follows bash: where `set -e` ends the script and where it does not, what a pipe and a list come to, what a trap undoes.
Conditions are taken to hold. What cannot be told is a reason, too: only a failure that surely ends the script has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Several
from dataclasses import dataclass, field, replace

from captain.systems.ci.shell_running import nested_script
from captain.systems.ci.shell_syntax import parse
from captain.systems.ci.shell_tokens import Chain, Compound, Pipeline, Sequence, Simple, Word

_NESTED = 5
"""Scripts within the words of scripts that are followed: bash -c "…"."""
_SWALLOWS = frozenset(("true", ":", "/bin/true", "/usr/bin/true", "echo", "printf"))
_LEAVES = re.compile(r"\b(?:exit|return|exec|break|continue)\b")
_EXITS = re.compile(r"\bexec\b|\bexit\b(?!\s+0*[1-9]\d?\b)")
_FUNCTION = re.compile(r"\bfunction\s+([\w-]+)|(?<![\w-])([\w-]+)[ \t]*\([ \t]*\)")
_NUMBER = re.compile(r"\d{1,9}")
_ENDINGS = frozenset(("err", "exit", "0", "sigexit"))


@dataclass(frozen=True, slots=True)
class Ran:
    """One command of a script."""

    words: tuple[Word, ...]
    start: int
    end: int
    soft: str
    """Why its failure changes nothing: the rule's name, empty where it ends the script with a failure."""


@dataclass(slots=True)
class Switches:
    """What a shell is set to."""

    errexit: bool
    pipefail: bool
    trapped: bool = False
    """A trap may turn a failure into a success."""


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of a failure: each is the rule that loses it, or empty where it reaches the end of the script."""

    exits: str
    """Where the shell ends with it."""
    status: str
    """Where it is only what the commands here come to."""
    ignored: str
    """Why set -e does not end the shell; empty where it does."""

    def of(self, switches: Switches) -> str:
        """What becomes of the failure of a command that stands here by itself."""
        return self.exits if switches.errexit and not self.ignored else self.status


def _lost(rule: str) -> _Fate:
    return _Fate(rule, rule, rule)


def ran(text: str, switches: Switches) -> list[Ran]:
    """The commands of a script in their order. Raises ValueError where it is no script that captain can read."""
    walk = _Walk(text)
    walk.sequence(parse(text), _Fate("", "", ""), switches, sure=True)
    return walk.found


@dataclass(slots=True)
class _Walk:
    text: str
    found: list[Ran] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    depth: int = 0
    defined: set[str] = field(init=False)
    """Names of functions, wherever they are written."""
    leaves: bool = field(init=False)
    """Whether anything in the script may end it with a success."""

    def __post_init__(self) -> None:
        self.defined = {name for pair in _FUNCTION.findall(self.text) for name in pair}
        self.leaves = _EXITS.search(self.text) is not None

    def sequence(self, chains: Sequence, fate: _Fate, switches: Switches, *, sure: bool) -> bool:
        """Walk a list of commands; whether the shell surely ends in it. `sure`: no condition stands before it."""
        for number, chain in enumerate(chains, 1):
            status = fate.status
            if number < len(chains):
                status = fate.ignored or "and-list" if switches.errexit else "set-e"
            here = replace(fate, status=status)
            if chain.background:
                self._chain(chain, _lost("background"), replace(switches), sure=False)
            elif self._chain(chain, here, switches, sure=sure):
                return True
        return False

    def _chain(self, chain: Chain, here: _Fate, switches: Switches, *, sure: bool) -> bool:
        last, ended = len(chain.parts) - 1, False
        for at, pipeline in enumerate(chain.parts):
            joined = chain.operators[at - 1] if at else ""
            never = ("false",) if joined == "&&" else ("true", ":")
            if joined and set(chain.operators[:at]) == {joined} and _is(chain.parts[0], *never):
                continue
            fate = here
            if joined == "||":
                fate = _lost("or-else")
            elif at < last:
                fate = self._before(chain, at, here, switches)
            ended |= self._pipeline(pipeline, fate, switches, sure=sure and not last)
        return ended

    def _before(self, chain: Chain, at: int, here: _Fate, switches: Switches) -> _Fate:
        """What becomes of a failure before `&&` or `||`, where set -e has no say."""
        if "||" not in chain.operators[at:]:
            return replace(here, ignored=here.ignored or "and-list")
        then = chain.operators.index("||", at) + 1
        end = self._fails(chain.parts[then])
        if end == "exit":
            return _Fate(here.exits, here.exits, "and-list")
        if end == "status" and then == len(chain.parts) - 1:
            return _Fate(here.of(switches), here.of(switches), "and-list")
        return _lost("or-true" if _swallows(chain.parts[then]) else "or-else")

    def _fails(self, pipeline: Pipeline) -> str:
        """How what stands behind `||` surely fails: by exit, by its status, or not at all."""
        command = pipeline.parts[0]
        if pipeline.negated or len(pipeline.parts) > 1:
            return ""
        if isinstance(command, Simple):
            return "status" if _words(command) == ["false"] else "exit" if _exits(command, ("", "$?")) else ""
        if command.kind not in ("brace", "subshell"):
            return ""
        held: tuple[str, ...] = ("", "$?")
        for chain in command.bodies[0]:
            only = chain.parts[0].parts[0]
            if len(chain.parts) > 1 or chain.background or not isinstance(only, Simple):
                held = ()
                continue
            if _exits(only, held) and not _LEAVES.search(self.text, command.start, only.start):
                return "exit" if command.kind == "brace" else "status"
            held = _held(only, held)
        return ""

    def _pipeline(self, pipeline: Pipeline, fate: _Fate, switches: Switches, *, sure: bool) -> bool:
        if pipeline.negated:
            fate, sure = _lost("negated"), False
        if len(pipeline.parts) == 1:
            return self._command(pipeline.parts[0], fate, switches, sure=sure)
        for number, part in enumerate(pipeline.parts, 1):
            why = fate.of(switches) if switches.pipefail or number == len(pipeline.parts) else "pipe"
            self._command(part, _Fate(why, why, fate.ignored), replace(switches), sure=False)
        return False

    def _command(self, command: Simple | Compound, fate: _Fate, switches: Switches, *, sure: bool) -> bool:
        if isinstance(command, Simple):
            return self._simple(command, fate, switches, sure=sure)
        for word in command.words:
            for inner in word.inner:
                self.sequence(inner, _lost("substitution"), replace(switches), sure=False)
        if command.kind == "brace":
            return self.sequence(command.bodies[0], fate, switches, sure=sure)
        if command.kind == "subshell":
            why = fate.of(switches)
            self.sequence(command.bodies[0], _Fate(why, why, fate.ignored), replace(switches), sure=True)
            return False
        if command.kind == "function":
            self.functions.add(command.name)
            fate = _lost("function")
        elif command.kind == "loop":
            fate = replace(fate, status="loop")
        for condition in command.conditions:
            self.sequence(condition, _lost("condition"), switches, sure=False)
        for number, body in enumerate(command.bodies):
            before = command.conditions[number] if number < len(command.conditions) else []
            if not _only(before, "false"):
                self.sequence(body, fate, switches, sure=False)
            if command.kind == "if" and _only(before, "true", ":"):
                break
        return False

    def _simple(self, command: Simple, fate: _Fate, switches: Switches, *, sure: bool) -> bool:
        words = _words(command)
        name = words[0] if words else ""
        ends = name in ("exit", "return") or (name == "exec" and len(words) > 1)
        why = (fate.exits if ends else fate.of(switches)) or ("trap" if switches.trapped else "")
        why = why or ("function" if name in self.functions else "")
        nested = nested_script([word.plain for word in command.words])
        shown = command.words if nested is None else command.words[: nested.word]
        if name:
            self.found.append(Ran(tuple(shown), command.start, shown[-1].end, why))
        scripts = [inner for word in command.words for inner in word.inner] + command.inner
        # The status of an assignment is that of the script whose output it takes; anything else loses it.
        taken = _Fate(why, why, "substitution") if not words and len(scripts) == 1 and not command.inner else None
        for script in scripts:
            inside = replace(switches, errexit=False)
            self.sequence(script, taken or _lost("substitution"), inside, sure=False)
        if nested is not None:
            inside = switches if nested.here else Switches(nested.errexit, nested.pipefail)
            self._nested(command.words[nested.word], fate if nested.here else _Fate(why, why, ""), inside)
        self._set(name, words[1:], switches, sure=sure)
        return sure and ends

    def _nested(self, word: Word, fate: _Fate, switches: Switches) -> None:
        quoted = len(word.text) > 1 and word.text[0] in "'\"" and word.text[-1] == word.text[0]
        if self.depth < _NESTED:
            self.depth += 1
            script = parse(self.text, word.start + quoted, word.end - quoted)
            self.sequence(script, fate, switches, sure=False)
            self.depth -= 1

    def _set(self, name: str, words: Several[str], switches: Switches, *, sure: bool) -> None:
        """What a command changes about the shell. Only a sure one makes it stricter."""
        if name == "set":
            for option, on in _options(words):
                if option in ("errexit", "pipefail") and (sure or not on):
                    setattr(switches, option, on)
        words = words[1:] if words[:1] == ["--"] else words
        if name == "trap" and {word.lower() for word in words[1:]} & _ENDINGS:
            calls = self.defined & set(words[0].split())
            harms = bool(_EXITS.search(words[0])) or (bool(calls) and self.leaves)
            switches.trapped = harms or (switches.trapped and not sure)


def _options(words: Several[str]) -> list[tuple[str, bool]]:
    """What `set` sets: -euo pipefail is errexit, nounset and pipefail."""
    found, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        if word == "--" or word[:1] not in ("-", "+"):
            break
        on = word[0] == "-"
        found += [("errexit", on)] if "e" in word[1:] else []
        found += [(rest.pop(0), on)] if "o" in word[1:] and rest else []
    return found


def _words(command: Simple) -> list[str]:
    """The words without quotes, assignments before them left out."""
    first = next((at for at, word in enumerate(command.words) if not word.assigns), len(command.words))
    return [word.plain for word in command.words[first:]]


def _is(pipeline: Pipeline, *names: str) -> bool:
    """Whether it is nothing but one of these words."""
    only = pipeline.parts[0]
    return (
        not pipeline.negated
        and len(pipeline.parts) == 1
        and isinstance(only, Simple)
        and _words(only) in [[name] for name in names]
    )


def _only(chains: Sequence, *names: str) -> bool:
    """Whether a list of commands is nothing but one of these words."""
    return len(chains) == 1 and len(chains[0].parts) == 1 and _is(chains[0].parts[0], *names)


def _swallows(pipeline: Pipeline) -> bool:
    """Whether it does nothing but succeed."""
    command = pipeline.parts[0]
    while isinstance(command, Compound) and command.kind in ("brace", "subshell") and command.bodies[0]:
        command = command.bodies[0][0].parts[0].parts[0]
    words = _words(command) if isinstance(command, Simple) else []
    return bool(words) and (words[0] in _SWALLOWS or (words[0] == "exit" and words[1:] == ["0"]))


def _held(command: Simple, held: Several[str]) -> tuple[str, ...]:
    """What still holds the status of the command that failed, after another one: only a first one can keep it."""
    words = [word.text for word in command.words]
    name = words[0].removesuffix("=$?") if words else ""
    if "$?" in held and words == [f"{name}=$?"] and name.isidentifier():
        return f"${name}", f"${{{name}}}"
    names = [one.strip("${}") for one in held if one not in ("", "$?")]
    # Whatever names the variable without asking for it may write to it.
    touched = any(re.search(rf"(?<![\w${{]){name}\b", word) for name in names for word in words)
    return () if touched else tuple(one for one in held if one not in ("", "$?"))


def _exits(command: Simple, held: Several[str]) -> bool:
    """Whether it is an exit with a failure: a number that is none of 0 and 256, or one of `held`."""
    words = [word.text.strip('"') for word in command.words]
    if not words or words[0] != "exit" or len(words) > 2:
        return False
    code = words[1] if len(words) > 1 else ""
    return code in held or bool(_NUMBER.fullmatch(code) and int(code) % 256)
