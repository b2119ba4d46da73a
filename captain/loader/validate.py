"""Node trees into pydantic models: every wrong key and value with its place and a sentence of our own."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ValidationError

from captain.documents import Node
from captain.fields import HOLDS, Marker, shape
from captain.loader.conditions import CONDITION_KEYS, CONDITION_LIST, conditions
from captain.loader.problems import Problems, listing, nearest, show

M = TypeVar("M", bound=BaseModel)

_VERBS = (
    "is ",
    "takes ",
    "must ",
    "holds ",
    "needs ",
    "has ",
    "cannot ",
    "may ",
    "stands ",
    "does ",
    "names ",
    "belongs ",
)


def build(
    model: type[M],
    node: Node,
    problems: Problems,
    *,
    ready: Mapping[str, Any] | None = None,
    known: Collection[str] = (),
    checked: bool = True,
) -> M | None:
    """The model of one mapping, or None with the problems noted.

    `ready` are values made elsewhere, by key as the file writes it; their nodes are not looked at. `known` are
    further keys for "did you mean". `checked` False leaves unknown keys to the caller.
    """
    if not isinstance(node.value, dict):
        problems.error(node, f"{label(node)} takes a mapping, not {a_shape(node)}")
        return None
    ready = ready or {}
    plain = {key: child for key, child in node.mapping.items() if key not in ready}
    before = problems.met
    values: dict[str, Any] = {}
    for key, child in plain.items():
        if key not in keys_of(model):
            if checked:
                unknown(node, key, [*keys_of(model), *known], problems)
            continue
        values[key] = _pruned(keys_of(model)[key], child, problems)
    values |= ready
    values = {key: value for key, value in values.items() if value is not EMPTY}
    try:
        built = model.model_validate(values)
    except ValidationError as error:
        _report(error, node, problems)
        return None
    return built if problems.met == before else None


EMPTY: Any = object()
"""Stands for a key written without a value, which is noted and left out."""


def _pruned(annotation: Any, node: Node, problems: Problems) -> Any:
    """The plain tree below one key without what its models do not know, which is noted."""
    if (annotation == CONDITION_LIST and node.name in CONDITION_KEYS) or marked(annotation, HOLDS):
        return [condition.text for condition in conditions(node, problems)]
    if node.value is None and annotation is not Any:
        problems.error(node, f"{label(node)} is empty", hint="leave the key out or give it a value")
        return EMPTY
    if annotation is Any:
        return node.plain
    if isinstance(node.value, dict):
        model = mapping_model(annotation)
        if model is not None:
            known = keys_of(model)
            for key in node.value:
                if key not in known:
                    unknown(node, key, known, problems)
            found = {key: _pruned(known[key], child, problems) for key, child in node.value.items() if key in known}
        else:
            inner = _inner(annotation, Mapping)
            found = {key: _pruned(inner, child, problems) for key, child in node.value.items()}
        return {key: value for key, value in found.items() if value is not EMPTY}
    if isinstance(node.value, list):
        inner = _inner(annotation, tuple, list)
        return [value for value in (_pruned(inner, child, problems) for child in node.value) if value is not EMPTY]
    return node.value


def _parts(annotation: Any) -> Iterator[Any]:
    """The annotation itself, or the branches of a union, without what `Annotated` adds."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _parts(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _parts(part)
    else:
        yield annotation


def mapping_model(annotation: Any) -> type[BaseModel] | None:
    """The model that a mapping stands for here: directly, or as the one entry of a list."""
    for part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
        if typing.get_origin(part) in (tuple, list):
            return mapping_model(typing.get_args(part)[0])
    return None


def _inner(annotation: Any, *origins: type) -> Any:
    """The annotation of the values of a mapping or list."""
    for part in _parts(annotation):
        origin = typing.get_origin(part)
        if isinstance(origin, type) and issubclass(origin, origins):
            arguments = typing.get_args(part)
            return arguments[1] if issubclass(origin, Mapping) else arguments[0]
    return str


@cache
def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    """The keys of a model as files write them, each with its annotation."""
    return {
        info.alias or name: Annotated[info.annotation, *info.metadata] if _marks(info.metadata) else info.annotation
        for name, info in model.model_fields.items()
    }


def _marks(metadata: Iterable[Any]) -> bool:
    return any(isinstance(one, Marker) for one in metadata)


def marked(annotation: Any, marker: Marker) -> bool:
    """Whether a field is marked so, by itself or in one branch of a union."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return marker in arguments[1:] or marked(arguments[0], marker)
    return origin in (typing.Union, types.UnionType) and any(marked(part, marker) for part in arguments)


def held(model: type[BaseModel], node: Node) -> Iterator[Node]:
    """The nodes of the conditions that a kind judges itself, however deep in its parameters."""
    for key, annotation in keys_of(model).items():
        child = node.get(key)
        if child is None:
            continue
        if marked(annotation, HOLDS):
            yield child
        elif (inner := mapping_model(annotation)) is not None:
            for entry in [child] if child.mapping else child.items:
                yield from held(inner, entry)


def unknown(node: Node, key: str, known: Collection[str], problems: Problems) -> None:
    """Note a key that does not belong here, with the nearest that does."""
    shown = show(key)
    if problems.full:
        return
    hint = nearest(key, known) or (f"keys here are {listing(sorted(known), 'and')}" if len(known) <= 12 else None)
    problems.key(node, key, f"{shown} is not a key of {_whose(node)}", hint=hint)


_ENTRIES = {"steps": "a step", "sections": "a section", "sign_off": "a sign-off rule", "inputs": "an input"}


def _whose(node: Node) -> str:
    name = label(node)
    return _ENTRIES.get(name, name) if name else "this file"


def label(node: Node) -> str:
    """What a value is called in a sentence: its own key, or that of the list it stands in."""
    while isinstance(node.name, int) and node.parent is not None:
        node = node.parent
    return show(node.name)[1:-1] if isinstance(node.name, str) else ""


def a_shape(node: Node) -> str:
    """`a list`, `a mapping`, `a text` or `nothing`."""
    return "nothing" if node.value is None else f"a {shape(node.plain if not isinstance(node.value, str) else '')}"


def _report(error: ValidationError, node: Node, problems: Problems) -> None:
    """Each error at the deepest node its location reaches; of several at one place (a union) the last."""
    found: dict[int, tuple[Node, tuple[Any, ...], Any]] = {}
    for detail in error.errors(include_url=False, include_context=True):
        place, rest = _walk(node, detail["loc"])
        if rest[-1:] == ("[key]",) and place.parent is not None and isinstance(place.name, str):
            problems.key(place.parent, place.name, str(detail.get("ctx", {}).get("sentence", detail["msg"])))
            continue
        if detail["type"] in ("missing", "extra_forbidden"):
            key = str(rest[0]) if rest else "?"
            if detail["type"] == "missing" and rest and key not in place.mapping:
                problems.key(place, key, f"{key} is missing")
            elif detail["type"] == "extra_forbidden" and rest:
                unknown(place, key, (), problems)
            continue
        found[id(place)] = (place, rest, detail)
    places = [place for place, _, _ in found.values()]
    for place, _, detail in found.values():
        # A union reports its failed branches on the whole value beside what is wrong deep in the right one.
        if any(other is not place and _within(other, place) for other in places) and detail["type"] != "captain":
            continue
        name = label(place) or "it"
        problems.error(place, _sentence(name, place, detail))


def _walk(node: Node, loc: tuple[int | str, ...]) -> tuple[Node, tuple[int | str, ...]]:
    """The deepest node a location reaches and what of it names no node (missing keys; tags of unions are passed)."""
    rest: list[int | str] = []
    for part in loc:
        child = node.get(part)
        if child is None:
            rest.append(part)
        else:
            node, rest = child, []
    return node, tuple(rest)


def _within(node: Node, ancestor: Node) -> bool:
    parent = node.parent
    while parent is not None:
        if parent is ancestor:
            return True
        parent = parent.parent
    return False


def _sentence(name: str, node: Node, detail: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    written = show(node.text) if node.text is not None else a_shape(node)
    if kind == "captain":
        said = str(context.get("sentence", detail["msg"]))
        return f"{name} {said}" if said.startswith(_VERBS) else f"{name}: {said}"
    if kind == "value_error":
        said = str(context.get("error", detail["msg"]))
        return f"{name} {said}" if said.startswith(_VERBS) else f"{name}: {said}"
    if kind == "literal_error":
        expected = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
        return f"{name} takes {listing(expected)}, not {written}"
    if kind in ("tuple_type", "list_type", "set_type"):
        return f"{name} takes a list, not {a_shape(node)}"
    if kind in ("dict_type", "mapping_type", "model_type", "model_attributes_type"):
        return f"{name} takes a mapping, not {a_shape(node)}"
    bounds = {
        "greater_than_equal": ("ge", "must be at least"),
        "greater_than": ("gt", "must be more than"),
        "less_than_equal": ("le", "must be at most"),
        "less_than": ("lt", "must be less than"),
    }
    if kind in bounds:
        limit, said = bounds[kind]
        return f"{name} {said} {context.get(limit)}, not {written}"
    return f"{name}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
