"""Expressions that compile and lie, or that grow without bound: each rule looks at the tree alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from captain.condition import cel
from captain.condition.celtypes import STRING
from captain.condition.faults import HAS_HINT, ConditionError, Fault, about
from captain.condition.tree import (
    Call,
    Const,
    Ident,
    Loop,
    Node,
    Select,
    Tree,
    children,
    conjuncts,
    path,
    reads,
    size_of,
    walk,
)

MAX_LENGTH = 4096
_PARTS = {
    "duration_to_milliseconds": "getMilliseconds() of 1.2 s is 200",
    "duration_to_seconds": "getSeconds() drops the fraction",
    "duration_to_minutes": "getMinutes() drops the seconds",
    "duration_to_hours": "getHours() drops the minutes",
}
_ORDERS = frozenset(("less_string", "less_equals_string", "greater_string", "greater_equals_string"))
_LITERALS = {
    "duration": ("duration(s)", 'write duration("500ms"), "10s", "5m" or "24h"; days(90) for days'),
    "timestamp": ("timestamp(s)", 'write timestamp("2026-01-31T00:00:00Z")'),
    "matches": ('"".matches(s)', "patterns are RE2: no look-around, no back references"),
}
_GROWING = frozenset(("replace", "join", "format"))
_ADDING = frozenset(("add_string", "add_list", "add_bytes"))


def characters(text: str) -> None:
    """Raises ConditionError for a text that is no expression whatever it says."""
    if not text.strip():
        raise ConditionError(text, [Fault(0, about(text, "is empty"))])
    if len(text) > MAX_LENGTH:
        raise ConditionError(text, [Fault(0, about(text, f"is longer than {MAX_LENGTH} characters"))])
    if wrong := re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", text):
        raise ConditionError(text, [Fault(wrong.start(), about(text, "holds a character that cannot be read"))])


def rules(tree: Tree, text: str) -> list[Fault]:
    """What holds for every expression, conditions, templates and params alike."""
    return [*_calls(tree, text), *_growth(tree, text)]


def fields_only(parsed: Tree, text: str, names: Mapping[str, object]) -> Iterator[Fault]:
    """has() on a declared name: the checker turns it into the value itself. `parsed` is the unchecked tree."""
    for node in walk(parsed.root):
        if isinstance(node, Select) and node.test and (dotted := _dotted(node)) in names:
            at = _word(text, parsed.positions.get(node.id, 0))
            yield Fault(at, f"has({dotted}) asks for an observation itself", HAS_HINT)


def _dotted(node: Node) -> str:
    match node:
        case Ident():
            return node.name
        case Select():
            return f"{_dotted(node.operand)}.{node.field_name}"
        case _:
            return ""


def _calls(tree: Tree, text: str) -> Iterator[Fault]:
    for node in walk(tree.root):
        if not isinstance(node, Call):
            continue
        overloads = tree.overloads.get(node.id, ())
        only = overloads[0] if len(overloads) == 1 else ""
        at = tree.positions.get(node.id, 0)
        if lie := _PARTS.get(only):
            yield Fault(_word(text, at), lie, 'compare durations: latency < duration("500ms")')
        elif only == "divide_int64":
            yield Fault(at, "/ of two whole numbers drops the fraction", "write ratio(a, b)")
        elif only in _ORDERS:
            yield Fault(at, 'texts are ordered letter by letter: "1.4.0" > "1.10.0"', "order numbers, or use == and !=")
        elif node.function in _LITERALS:
            literal = node.operands[-1]
            if isinstance(literal, Const) and isinstance(literal.value, str):
                yield from _literal(node.function, literal.value, tree.positions.get(literal.id, at))
            elif node.function == "duration" and isinstance(literal, Const):
                yield Fault(at, "duration() takes a text", _LITERALS["duration"][1])


def _word(text: str, at: int) -> int:
    """Where the name starts that ends before the offset."""
    while at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_"):
        at -= 1
    return at


def _literal(function: str, literal: str, at: int) -> Iterator[Fault]:
    expression, hint = _LITERALS[function]
    _, error = _tester(expression).run({"s": literal})
    if error:
        if function == "duration" and (days := re.fullmatch(r"(\d+)d", literal)):
            hint = f"write days({days[1]})"
        why = f": {eased(error)}" if function == "matches" else ""
        yield Fault(at, f'{function}() does not understand "{literal[:60]}"{why}', hint)


@lru_cache(maxsize=8)
def _tester(expression: str) -> cel.Program:
    return cel.compile_text(expression, (("s", STRING),))


def eased(error: str) -> str:
    """An error of the library without its status codes."""
    error = re.sub(r" \[[A-Z_]+\]$", "", error)
    return re.sub(r"^[A-Z_]+: ", "", error).strip()


def _growth(tree: Tree, text: str) -> Iterator[Fault]:
    """Few doublings make gigabytes of a small text, and files are linted before anybody trusts them."""
    growing = adding = binding = 0
    for node in walk(tree.root):
        if isinstance(node, Loop) and node.is_bind:
            binding += 1
        if not isinstance(node, Call):
            continue
        if node.function in _GROWING:
            growing += 1
            if node.function == "replace" and not _calm(node.args[:2]):
                at = tree.positions.get(node.id, 0)
                yield Fault(at, "replace() takes two short literal texts, the first not empty")
        elif node.function == "_+_" and not (isinstance(node.args[0], Ident) and node.args[0].name.startswith("@")):
            adding += not _ADDING.isdisjoint(tree.overloads.get(node.id, ()))
    if growing > 2 or adding > 8 or binding > 3:
        hint = "use fewer of replace, join, format, cel.bind and + on texts"
        yield Fault(0, about(text, "may grow without bound"), hint)


def _calm(args: Sequence[Node]) -> bool:
    texts = [arg.value for arg in args if isinstance(arg, Const) and isinstance(arg.value, str)]
    return len(texts) == 2 and len(texts[0]) > 0 and len(texts[1]) <= 16


Guards = list[Node]


def unguarded(trees: Sequence[tuple[Tree, frozenset[str]]]) -> Iterator[tuple[int, Fault]]:
    """all() over something observed that nothing demands to be there: of an empty list it is true.

    Gets the trees of one list of conditions with the names that are observed; gives index and fault.
    """
    shared = [guard for tree, _ in trees for part in conjuncts(tree.root) for guard in _guards(part)]
    for index, (tree, observed) in enumerate(trees):
        for loop in _bare(tree.root, shared):
            found = next((read for read in reads(loop.over) if read.name in observed), None)
            if found:
                shown = path(loop.over) or "it"
                at = tree.positions.get(loop.over.id, 0)
                yield (
                    index,
                    Fault(at, f"all() is true of an empty list, and {shown} may be empty", f"add size({shown}) > 0"),
                )


def _bare(node: Node, guards: Guards) -> Iterator[Loop]:
    if isinstance(node, Loop) and node.is_all and node.over not in guards:
        yield node
    if isinstance(node, Call) and node.function == "_&&_":
        guards = guards + [guard for part in conjuncts(node) for guard in _guards(part)]
    if isinstance(node, Call) and node.function == "_?_:_":
        condition, yes, no = node.args
        yield from _bare(condition, guards)
        yield from _bare(yes, guards + [guard for part in conjuncts(condition) for guard in _guards(part)])
        yield from _bare(no, guards)
        return
    for child in children(node):
        yield from _bare(child, guards)


_FLIPPED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_LEAST = {"_>_": 0, "_>=_": 1, "_==_": 1}


def _guards(part: Node) -> Iterator[Node]:
    """What the condition demands to hold at least one element."""
    if not isinstance(part, Call) or len(part.args) != 2:
        return
    left, right = part.args
    function = part.function
    if size_of(left) is None:
        left, right, function = right, left, _FLIPPED.get(function, function)
    over = size_of(left)
    if over is None:
        return
    if function == "_!=_":
        if isinstance(right, Const) and right.value == 0:
            yield over
    elif function in _LEAST and not (isinstance(right, Const) and _below(right.value, _LEAST[function])):
        yield over


def _below(value: object, least: int) -> bool:
    return isinstance(value, int | float) and value < least
