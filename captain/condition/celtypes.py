"""Types of names in conditions, read from the annotations of what a probe observes. Knows no CEL library."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)


@dataclass(frozen=True, slots=True)
class CelType:
    """One of int, double, bool, string, duration, timestamp, dyn; or a list or a map from text of `element`."""

    name: str
    element: CelType | None = None

    def __str__(self) -> str:
        return f"{self.name}({self.element})" if self.element else self.name


INT = CelType("int")
DOUBLE = CelType("double")
BOOL = CelType("bool")
STRING = CelType("string")
DURATION = CelType("duration")
TIMESTAMP = CelType("timestamp")
DYN = CelType("dyn")
LIST = CelType("list", DYN)
MAP = CelType("map", DYN)
TEXTS = CelType("map", STRING)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a kind says about one of its observations."""

    type: CelType
    sentence: str


_PLAIN: dict[Any, CelType] = {
    int: INT,
    float: DOUBLE,
    bool: BOOL,
    str: STRING,
    timedelta: DURATION,
    datetime: TIMESTAMP,
    list: LIST,
    dict: MAP,
    Any: DYN,
    object: DYN,
}


def declare(annotation: Any) -> CelType:
    """The type of a Python annotation. Raises TypeError for what no condition can read, such as bytes."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Annotated, Required, NotRequired):
        return declare(args[0])
    if origin in (Union, types.UnionType):
        rest = [arg for arg in args if arg is not type(None)]
        return declare(rest[0]) if len(rest) == 1 else DYN
    if origin is Literal:
        kinds = {type(value) for value in args}
        return declare(kinds.pop()) if len(kinds) == 1 else DYN
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return CelType("list", declare(args[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return CelType("map", declare(args[1]))
    if isinstance(origin, type) and issubclass(origin, Sequence) and origin is not tuple:
        return CelType("list", declare(args[0]))
    if is_typeddict(annotation):
        return MAP
    if isinstance(annotation, type) and issubclass(annotation, Enum) and issubclass(annotation, str):
        return STRING
    try:
        return _PLAIN[annotation]
    except (KeyError, TypeError):
        raise TypeError(f"conditions cannot read {annotation!r}") from None


@lru_cache(maxsize=256)
def observes(cls: type) -> Mapping[str, Declared]:
    """The observations of a TypedDict: types, and the sentences that stand in `Annotated`.

    Kept, because every step of a kind asks for them again and working them out takes a millisecond.
    """
    hints = get_type_hints(cls, include_extras=True)
    return types.MappingProxyType({name: Declared(declare(hint), _sentence(hint)) for name, hint in hints.items()})


def _sentence(hint: Any) -> str:
    while get_origin(hint) in (Required, NotRequired):
        hint = get_args(hint)[0]
    return next((extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, str)), "")
