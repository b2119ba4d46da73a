"""The door to cel_expr_python: environments, compiling, running. Everything else sees plain values and trees.

The library is imported by the first compile, not with this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any

from captain.condition import wire
from captain.condition.celtypes import INT, CelType
from captain.condition.tree import Tree

SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
"""Constants that stand in every expression."""
MAX_DAYS = 3_652_500

Names = tuple[tuple[str, CelType], ...]
"""Declared names with their types, sorted: what an environment is made for."""


class CompileError(ValueError):
    """The compiler's complaint, as it words it."""


class Program:
    """A compiled expression."""

    __slots__ = ("_expression", "result", "tree")

    def __init__(self, expression: Any, tree: Tree) -> None:
        self._expression = expression
        self.tree = tree
        self.result: CelType | None = _named(expression.return_type().name())
        """Type of the result; None for one that captain has no use for."""

    def run(self, values: Mapping[str, Any]) -> tuple[Any, str | None]:
        """The result as a plain value and None, or None and the library's error."""
        try:
            value = self._expression.eval(data={**SIZES, **values})
            if value.type().name() == "ERROR":
                return None, str(value.value())
            return value.plain_value(), None
        except (RuntimeError, TypeError, ValueError, OverflowError) as problem:
            # The iteration budget and values the library cannot convert are raised, not returned.
            return None, str(problem)


@lru_cache(maxsize=4096)
def compile_text(text: str, names: Names) -> Program:
    """Kept by text and names. Raises CompileError, and wire.WireError where the result cannot be looked through."""
    try:
        expression = _environment(names).compile(text)
        serialized = expression.serialize()
    except (RuntimeError, TypeError) as problem:
        raise CompileError(str(problem)) from problem
    return Program(expression, wire.read(serialized))


def parse_text(text: str, names: Names) -> Tree:
    """The tree before names are resolved, in which has() is still visible."""
    try:
        return wire.read(_environment(names).compile(text, disable_check=True).serialize())
    except (RuntimeError, TypeError) as problem:
        raise CompileError(str(problem)) from problem


@cache
def _library() -> Any:
    from cel_expr_python import cel

    return cel


def _type(declared: CelType) -> Any:
    kinds = _library().Type
    if declared.name == "list":
        return kinds.List(_type(declared.element or CelType("dyn")))
    if declared.name == "map":
        return kinds.Map(kinds.STRING, _type(declared.element or CelType("dyn")))
    return getattr(kinds, declared.name.upper())


_SCALARS = frozenset(("int", "double", "bool", "string", "duration", "timestamp", "dyn"))


def _named(name: str) -> CelType | None:
    """The type that the library calls INT, LIST<INT>, MAP<STRING, DYN>."""
    outer, _, inner = name.lower().removesuffix(">").partition("<")
    if outer == "list":
        return CelType("list", _named(inner) or CelType("dyn"))
    if outer == "map":
        return CelType("map", _named(inner.partition(", ")[2]) or CelType("dyn"))
    return CelType(outer) if outer in _SCALARS else None


@lru_cache(maxsize=256)
def _environment(names: Names) -> Any:
    cel = _library()
    return cel.NewEnv(
        variables={name: _type(declared) for name, declared in (*names, *((size, INT) for size in SIZES))},
        extensions=_extensions(),
        functions=_functions(),
    )


@cache
def _extensions() -> list[Any]:
    from cel_expr_python.ext import ext_bindings, ext_math, ext_optional, ext_strings

    return [ext_math.ExtMath(), ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_bindings.ExtBindings()]


@cache
def _functions() -> list[Any]:
    cel = _library()
    kinds = cel.Type
    table = [
        ("days", "days_int64", kinds.DURATION, [kinds.INT], days),
        ("seconds", "seconds_duration", kinds.DOUBLE, [kinds.DURATION], timedelta.total_seconds),
        ("ratio", "ratio_int64_int64", kinds.DOUBLE, [kinds.INT, kinds.INT], ratio),
        ("same_commit", "same_commit_string_string", kinds.BOOL, [kinds.STRING, kinds.STRING], same_commit),
    ]
    return [
        cel.FunctionDecl(name, [cel.Overload(overload, result, parameters, impl=function)])
        for name, overload, result, parameters, function in table
    ]


def days(count: int) -> timedelta:
    """A duration of that many days. Raises ValueError beyond ten thousand years."""
    if abs(count) > MAX_DAYS:
        raise ValueError("days() is given more than ten thousand years")
    return timedelta(days=count)


def ratio(part: int, whole: int) -> float:
    """part / whole as a decimal number. Raises ZeroDivisionError where nothing was counted."""
    if whole == 0:
        raise ZeroDivisionError("ratio() divides by 0: nothing was counted")
    return part / whole


def same_commit(one: str, other: str) -> bool:
    """Whether both name the same commit: equal over the shorter one, which has at least 7 characters."""
    size = min(len(one), len(other))
    return size >= 7 and one[:size].casefold() == other[:size].casefold()
