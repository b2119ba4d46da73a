"""The types of the keys people write. Every scalar arrives as text and has one spelling per value."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import IPv6Address
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from captain.safe import safe

ID_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
NAME_PATTERN = r"[a-z_][a-z0-9_]*"
VERSION_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"
RESERVED_NAMES = frozenset(
    (
        *("release", "previous", "environment", "vars", "params", "now", "deploy", "signed", "before", "last"),
        *("secrets", "inputs"),
    )
)

_DURATION = re.compile(r"(0|[1-9][0-9]*)(ms|s|m|h|d)")
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?")
_HOST = re.compile(r"[^\s/@:?#\[\]\x00-\x20]{1,253}")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
MAX_DURATION = timedelta(days=3650)


def wrong(message: str) -> PydanticCustomError:
    """An error of a field's own, with the sentence as it is shown."""
    return PydanticCustomError("captain", "{sentence}", {"sentence": message})


def _text(value: Any) -> Any:
    if value is None:
        raise wrong("is empty; a text belongs here")
    if isinstance(value, str):
        return value
    raise wrong(f"takes a text, not a {shape(value)}")


def shape(value: Any) -> str:
    """What a plain value is called in an error: list, mapping, text."""
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "mapping"
    return "text"


def _templated(value: str, what: str) -> None:
    if "${{" in value:
        raise wrong(f"takes {what}; ${{{{ }}}} works in text")


def parse_duration(value: Any) -> timedelta:
    """`200ms 10s 5m 24h 90d` as a timedelta."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        _templated(value, "a duration")
        if match := _DURATION.fullmatch(value):
            duration = int(match[1][:12]) * _UNITS[match[2]]
            if duration <= MAX_DURATION:
                return duration
            raise wrong(f"{value} is longer than ten years")
    raise wrong(f"{_quoted(value)} is not a duration; write 200ms, 10s, 5m, 24h or 90d")


def _int(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        _templated(value, "a number")
        if _INT.fullmatch(value):
            return int(value)
    raise wrong(f"{_quoted(value)} is not a whole number")


def _float(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        _templated(value, "a number")
        if _FLOAT.fullmatch(value):
            return float(value)
    raise wrong(f"{_quoted(value)} is not a number; write 0.95 or 5")


def _bool(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        _templated(value, "true or false")
        if value in ("true", "false"):
            return value == "true"
    raise wrong(f"{_quoted(value)} is neither true nor false")


def _quoted(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f'"{safe(value, 60)}"'
    return f"a {shape(value)}"


def _host(value: Any) -> Any:
    text = _text(value)
    if "${{" in text or _HOST.fullmatch(text):
        return text
    try:
        return str(IPv6Address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise wrong(
            f"{_quoted(text)} is not a host; write a name or an address, without scheme, port or path"
        ) from None


def _matching(pattern: str, sentence: str) -> Any:
    compiled = re.compile(pattern)

    def check(value: Any) -> Any:
        text = _text(value)
        if not compiled.fullmatch(text):
            raise wrong(f"{_quoted(text)} {sentence}")
        return text

    return check


_TEXT_SCHEMA = WithJsonSchema({"type": ["string", "number", "boolean"]})

Text = Annotated[str, BeforeValidator(_text), _TEXT_SCHEMA]
"""Any text; numbers and booleans of YAML stay the text they are."""
Id = Annotated[
    str,
    BeforeValidator(_matching(ID_PATTERN, "is not an id; ids are lower-case letters, digits, . _ - (at most 64)")),
    WithJsonSchema({"type": "string", "pattern": f"^{ID_PATTERN}$"}),
]
"""The name of a thing people refer to; safe in a path."""
Name = Annotated[
    str,
    BeforeValidator(_matching(NAME_PATTERN, "is not a name for conditions; use lower-case letters, digits and _")),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"}),
]
"""A CEL identifier."""
EnvName = Annotated[
    str,
    BeforeValidator(_matching(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "is not the name of an environment variable")),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"}),
]
"""The name of an environment variable."""
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": "^(0|[1-9][0-9]*)(ms|s|m|h|d)$"}),
]
"""A duration written 200ms, 10s, 5m, 24h, 90d."""
PositiveInt = Annotated[int, BeforeValidator(_int), Field(ge=1), WithJsonSchema({"type": "integer", "minimum": 1})]
Port = Annotated[
    int,
    BeforeValidator(_int),
    Field(ge=1, le=65535),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535}),
]
Host = Annotated[str, BeforeValidator(_host), WithJsonSchema({"type": "string"})]
"""A host name or an address, without scheme, port or path."""
Float = Annotated[float, BeforeValidator(_float), WithJsonSchema({"type": "number"})]
Weight = Annotated[float, BeforeValidator(_float), Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
Bool = Annotated[bool, BeforeValidator(_bool), WithJsonSchema({"type": "boolean"})]


class Marker:
    """Marks a field whose value the loader reads in a way of its own."""


HOLDS = Marker()
"""Marks conditions over what a kind's own probes observe."""


REFERENCE = Marker()
"""Marks the name of a step, `id` or `checklist/id`: one that is none is noted when the file is loaded."""


def _holds(value: Any) -> Any:
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise wrong("takes conditions: a list, one text, or a block with one per line")
    return tuple(line.strip() for part in parts for line in part.split("\n") if line.strip())


Holds = Annotated[
    tuple[str, ...],
    BeforeValidator(_holds),
    HOLDS,
    WithJsonSchema(
        {"anyOf": [_TEXT_SCHEMA.json_schema, {"type": "array", "minItems": 1, "items": _TEXT_SCHEMA.json_schema}]}
    ),
]
"""Conditions in CEL over what the kind's own probes observe, checked when the file is loaded."""


StepName = Annotated[str, BeforeValidator(_text), REFERENCE, _TEXT_SCHEMA]
"""A step of this checklist (`id`) or of another one (`checklist/id`)."""

REVIEW = Marker()
"""Marks the id of a checklist that is per: service: one that is none is noted when the file is loaded."""

ReviewName = Annotated[Id, REVIEW]
"""A checklist of which one run stands."""


def _run(value: Any) -> Any:
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise wrong("takes a list of arguments, or one text for sh -c")
    texts = [_text(part) for part in parts]
    if not texts or not texts[0].strip():
        raise wrong("names no program")
    if isinstance(value, str):
        if "${{" in value:
            raise wrong("is one text for sh -c, where ${{ }} does not work; give it through env, or write a list")
        return value
    return tuple(texts)


Run = Annotated[
    tuple[str, ...] | str,
    BeforeValidator(_run),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string"},
                {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}},
            ]
        }
    ),
]
"""A program: a list whose elements stay one argument each, or one text for `sh -c` without `${{ }}`."""
