"""The syntax tree of a checked expression, and what can be read off it. Knows no CEL library and no values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `id` finds its position and overloads; it never takes part in comparisons."""

    id: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A literal; None is null."""

    value: str | bytes | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Ident(Node):
    """A name."""

    name: str
    """As declared, dots included: `backend.size` is one name."""


@dataclass(frozen=True, slots=True)
class Select(Node):
    """A field of something: `json.status`."""

    operand: Node
    field_name: str
    test: bool
    """Whether it stands inside has()."""


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function, operator or method; operators are called `_==_`, `_&&_`, `!_`."""

    function: str
    target: Node | None
    args: tuple[Node, ...]

    @property
    def operands(self) -> tuple[Node, ...]:
        """Target and arguments, so that `x.size()` and `size(x)` look alike."""
        return self.args if self.target is None else (self.target, *self.args)


@dataclass(frozen=True, slots=True)
class Listing(Node):
    """A list literal."""

    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entries(Node):
    """A map literal, keys and values in turn."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """What the macros all, exists, map, filter and cel.bind become."""

    variables: tuple[str, ...]
    over: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node

    @property
    def is_all(self) -> bool:
        """Whether it is the macro all(): true until an element says otherwise."""
        return isinstance(self.start, Const) and self.start.value is True

    @property
    def is_bind(self) -> bool:
        return isinstance(self.over, Listing) and not self.over.elements


@dataclass(frozen=True, slots=True)
class Tree:
    """A checked expression."""

    root: Node
    overloads: Mapping[int, tuple[str, ...]]
    """By node: which functions the checker found possible; one where the types are known."""
    positions: Mapping[int, int]
    """By node: offset in characters."""


@dataclass(frozen=True, slots=True)
class Read:
    """One place of an expression that reads a value: a declared name and constant keys below it."""

    name: str
    keys: tuple[str | int, ...] = ()
    certain: int = 0
    """How many of the keys must be there; those after `.?`, `[?…]` and inside has() need not."""
    counted: bool = False
    """Whether only its size() is asked."""

    def __str__(self) -> str:
        text = self.name
        for key in self.keys:
            if isinstance(key, int):
                text += f"[{key}]"
            elif key.isidentifier():
                text += f".{key}"
            else:
                text += f'["{key}"]'
        return text


def children(node: Node) -> tuple[Node, ...]:
    """The nodes below, in reading order."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return node.operands
        case Listing():
            return node.elements
        case Entries():
            return node.items
        case Loop():
            return (node.over, node.start, node.condition, node.step, node.result)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


_INDEX = {"_[_]": False, "_[?_]": True, "_?._": True}


def path(node: Node) -> Read | None:
    """What the node reads, if it is a name with constant keys."""
    match node:
        case Ident():
            return Read(node.name)
        case Select():
            below, key, optional = path(node.operand), node.field_name, node.test
        case Call(args=(operand, Const(value=str() | int() as key))) if node.function in _INDEX:
            below, optional = path(operand), _INDEX[node.function]
        case _:
            return None
    if below is None:
        return None
    certain = below.certain + (not optional and below.certain == len(below.keys))
    return Read(below.name, (*below.keys, key), certain)


def reads(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[Read]:
    """Every read of a free name, longest paths, in reading order."""
    if found := path(node):
        if found.name not in bound:
            yield found
        return
    if isinstance(node, Loop):
        yield from reads(node.over, bound)
        yield from reads(node.start, bound)
        inner = bound | {*node.variables, node.accumulator}
        for part in (node.condition, node.step, node.result):
            yield from reads(part, inner)
        return
    if (sized := size_of(node)) and (found := path(sized)):
        if found.name not in bound:
            yield Read(found.name, found.keys, found.certain, counted=True)
        return
    for child in children(node):
        yield from reads(child, bound)


def size_of(node: Node) -> Node | None:
    """X of size(X) or X.size()."""
    if isinstance(node, Call) and node.function == "size" and len(node.operands) == 1:
        return node.operands[0]
    return None


def conjuncts(node: Node) -> Iterator[Node]:
    """The parts that && joins at the top of the node."""
    if isinstance(node, Call) and node.function == "_&&_":
        for operand in node.operands:
            yield from conjuncts(operand)
    else:
        yield node
