"""What can be wrong with an expression, and the library's complaints in words a release captain uses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from captain.errors import CaptainError
from captain.safe import safe


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong at one place of one expression."""

    offset: int
    """From 0, in characters of the expression."""
    message: str
    hint: str | None = None


class ConditionError(CaptainError):
    """An expression that cannot be used, with every fault found in it."""

    def __init__(self, text: str, faults: Iterable[Fault]) -> None:
        self.text = text
        self.faults = tuple(sorted(set(faults), key=lambda fault: (fault.offset, fault.message)))
        first = self.faults[0]
        super().__init__(first.message, hint=first.hint)


FUNCTIONS = (
    *("all", "exists", "exists_one", "filter", "map", "has", "size", "matches", "contains", "startsWith", "endsWith"),
    *("int", "double", "string", "bool", "duration", "timestamp", "type", "dyn", "lowerAscii", "upperAscii", "split"),
    *("join", "replace", "substring", "trim", "indexOf", "format", "orValue", "hasValue", "value", "or"),
    *("days", "seconds", "ratio", "same_commit", "cel.bind", "optional.of", "optional.none"),
    *("math.greatest", "math.least", "math.abs", "math.ceil", "math.floor", "math.round"),
)
_FOREIGN = {
    "len": "size",
    "length": "size",
    "count": "size",
    "lower": "lowerAscii",
    "upper": "upperAscii",
    "any": "exists",
    "for_all": "all",
    "starts_with": "startsWith",
    "ends_with": "endsWith",
    "includes": "contains",
    "max": "math.greatest",
    "min": "math.least",
    "abs": "math.abs",
    "round": "math.round",
}
_OPERATORS = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_ERROR = re.compile(r"^ERROR: <input>:(-?\d+):(-?\d+): (.*)$", re.MULTILINE)
_UNDECLARED = re.compile(r"undeclared reference to '(.*?)' \(in container")
_OVERLOAD = re.compile(r"found no matching overload for '(.*?)' applied to '\((.*)\)'$")
_SELECT = re.compile(r"expression of type '(.*)' cannot be the operand of a select operation")
_DEEP = "is nested too deep; split it into several conditions"
_COMPARES = frozenset(("==", "!=", "<", "<=", ">", ">="))
HAS_HINT = "leave has() out: a condition on something that is missing is unknown by itself"


def undeclared(complaint: str) -> set[str]:
    """The names that the complaint calls undeclared."""
    return set(_UNDECLARED.findall(complaint))


def explain(text: str, complaint: str, names: Iterable[str]) -> list[Fault]:
    """The faults of a complaint of the compiler. `names` are the declared ones, likeliest first, for the nearest."""
    complaint = complaint.removeprefix("INVALID_ARGUMENT: ")
    found = [
        (_offset(text, int(line), int(column)), message.removesuffix(" [INVALID_ARGUMENT]"))
        for line, column, message in _ERROR.findall(complaint)
    ]
    if not found:
        return [Fault(0, _whole(text, complaint))]
    syntax = [(offset, message) for offset, message in found if message.startswith("Syntax error: ")]
    if syntax:  # the first one; the parser stumbles on over what follows
        return [_syntax(text, *syntax[0])]
    known = list(names)
    # What follows from another fault (all() over a list that is not there) explains nothing beside it.
    causes = [entry for entry in found if "*error*" not in entry[1]]
    return [_fault(text, offset, message, known) for offset, message in causes or found]


def about(text: str, said: str) -> str:
    """A sentence that names its subject: the expression, quoted and cut."""
    return f'"{safe(text.strip(), 60)}" {said}' if text.strip() else f"the expression {said}"


def _offset(text: str, line: int, column: int) -> int:
    if line < 1 or column < 1:
        return 0
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return min(start + column - 1, len(text))


def _whole(text: str, complaint: str) -> str:
    if "recursion" in complaint:
        return about(text, _DEEP)
    return complaint.partition("\n")[0].removesuffix("]").rpartition(" [")[0] or about(text, "cannot be compiled")


def _syntax(text: str, offset: int, message: str) -> Fault:
    message = message.removeprefix("Syntax error: ")
    rest = text[offset:]
    if word := re.match(r"\b(and|or|not|AND|OR|NOT)\b", rest):
        return Fault(offset, f"{word[1]} is not an operator here", f"write {_OPERATORS[word[1]]}")
    if before := re.search(r"\b(not|NOT)\s*$", text[:offset]):
        return Fault(before.start(), f"{before[1]} is not an operator here", "write !")
    if rest.startswith("=") and "token recognition" in message:
        return Fault(offset, "= does not compare", "write ==")
    if rest[:1] in ('"', "'") and "token recognition" in message:
        return Fault(offset, "a text does not end, or holds an escape like \\d", 'close it, or write r"\\d"')
    if "<EOF>" in message.partition(" expecting ")[0]:
        return Fault(len(text.rstrip()), "the expression ends too early")
    if "token recognition" in message:
        return Fault(offset, f"{rest[:1]!r} does not belong in an expression")
    if "max recursion depth" in message:
        return Fault(0, about(text, _DEEP))
    return Fault(offset, f"{rest.split()[0][:20] if rest.split() else 'this'} is not expected here")


def _fault(text: str, offset: int, message: str, known: list[str]) -> Fault:
    if match := _UNDECLARED.search(message):
        return _unknown(text, offset, match[1], known)
    if match := _OVERLOAD.search(message):
        return _overload(text, offset, match[1], match[2])
    if match := _SELECT.search(message):
        return Fault(offset, f"{_chain(text, offset)[1] or 'this'} is {article(match[1])} and has no fields")
    if "has() argument" in message:
        return Fault(offset, "has() asks for a field, not for an observation", HAS_HINT)
    if "max recursion depth" in message:
        return Fault(0, about(text, _DEEP))
    return Fault(offset, message)


def _chain(text: str, offset: int) -> tuple[int, str]:
    """Start and text of the dotted name that ends before the offset."""
    match = re.search(r"[\w.]*$", text[:offset])
    assert match is not None
    return match.start(), match[0]


def _unknown(text: str, offset: int, name: str, known: list[str]) -> Fault:
    start = _chain(text, offset)[0]
    if text.startswith("(", offset):
        function = name.rpartition(".")[2]
        nearest = _FOREIGN.get(function) or next(iter(get_close_matches(function, FUNCTIONS, 1)), None)
        at = offset - len(function)
        return Fault(max(at, 0), f"there is no function {function}", f"did you mean {nearest}()?" if nearest else None)
    below = [other for other in known if other.startswith(f"{name}.")]
    if below:
        return Fault(start, f"{name} is not a value of its own", f"write {_some(below, 'or')}")
    return Fault(start, f"{name} is not known here", _nearest(name, known))


def _nearest(name: str, known: list[str]) -> str | None:
    head, _, tail = name.rpartition(".")
    close = [
        *(other for other in known if other.casefold() == name.casefold()),
        *(other for other in known if other.rpartition(".")[2] == tail),
        *get_close_matches(name, known, 1, 0.7),
        *(other for other in known if other.startswith(name)),
    ]
    if close:
        return f"did you mean {close[0]}?"
    siblings = [other for other in known if head and other.startswith(f"{head}.")]
    return f"known: {_some(siblings or known, 'and')}" if siblings or known else None


def _some(names: list[str], word: str) -> str:
    if len(names) > 8:
        return ", ".join(names[:8]) + ", …"
    return " ".join(filter(None, (", ".join(names[:-1]), word if names[1:] else "", names[-1])))


def article(name: str) -> str:
    """A type in a sentence: a whole number, a text, a list(string)."""
    name = name.replace("google.protobuf.Duration", "duration").replace("google.protobuf.Timestamp", "timestamp")
    return {"int": "a whole number", "double": "a decimal number", "string": "a text", "bool": "true or false"}.get(
        name, f"a {name}"
    )


def _overload(text: str, offset: int, function: str, types: str) -> Fault:
    operator = function.replace("@", "").replace("_", "") or function
    kinds = [kind.strip() for kind in re.split(r",\s*(?![^(]*\))", types)]
    named = " and ".join(article(kind) for kind in kinds)
    if function.startswith(("_", "@", "!", "-")):
        verb = "cannot compare" if operator in _COMPARES else "does not take"
        return Fault(offset, f"{operator} {verb} {named}", _mixed(text, offset + len(operator), kinds))
    start = offset - len(function) if text.startswith("(", offset) else offset
    return Fault(max(start, 0), f"{function}() does not take {named}", _mixed(text, offset, kinds))


def _mixed(text: str, after: int, kinds: list[str]) -> str | None:
    """What to write where two types do not meet."""
    pair = set(kinds)
    literal = re.match(r'\s*(-?[0-9.]+\b|"[^"]*"|\'[^\']*\')', text[after:])
    word = literal[1] if literal else None
    if pair == {"double", "int"}:
        if word is None:  # the literal may stand on the left
            left = re.search(r"(?<![\w.])(-?\d+(?:\.\d+)?)\s*[=!<>+*/%-]+$", text[:after])
            word = left[1] if left else None
        if word and word.lstrip("-").isdigit():
            return f"write {word}.0"
        if word and (whole := re.fullmatch(r"(-?\d+)\.0+", word)):
            return f"write {whole[1]}"
        return "write double(…) around the whole number"
    if "google.protobuf.Duration" in pair:
        if word and word[0] in "\"'":
            return f"write duration({word})"
        return 'compare durations: duration("500ms")'
    if "google.protobuf.Timestamp" in pair:
        return 'write timestamp("2026-01-31T00:00:00Z"), or compare now - it with days(7)'
    bare = (word or "").strip("\"'")
    if pair == {"int", "string"} and bare.lstrip("-").isdigit():
        return f"write {bare}" if bare != word else f'write "{bare}"'
    if pair == {"bool", "string"} and bare in ("true", "false"):
        return f"write {bare}"
    return None
