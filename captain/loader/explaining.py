"""What a kind or strategy takes, sees and expects, in words: for `captain explain` and tables in documents."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from captain.condition import CelType, observes
from captain.loader.json_types import TEXT, Schema, key_schema
from captain.loader.validate import mapping_model
from captain.loader.wording import field_sentences
from captain.probes import Probe
from captain.rollbacks import Strategy

_TYPES = {
    "int": "whole number",
    "double": "decimal number",
    "bool": "true or false",
    "string": "text",
    "timestamp": "moment",
    "dyn": "anything",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter or one observation."""

    name: str
    type: str
    default: str
    """"required", what holds when it is left out, or "" for an observation."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A kind or strategy in words."""

    name: str
    family: str
    """probe or rollback strategy."""
    text: str
    """Its docstring."""
    parameters: tuple[Row, ...]
    observes: tuple[Row, ...]
    facts: tuple[str, ...]
    """Sentences about when and how it is used."""
    default_expect: tuple[str, ...]
    example: str
    """YAML of a step, or of an entry of the plan."""


def explain_probe(cls: type[Probe]) -> Explained:
    """A kind of probe."""
    seen = tuple(Row(name, _cel(one.type), "", one.sentence) for name, one in observes(cls.Observes).items())
    long = f"for {_brief(cls.max_age)}" if cls.max_age else "as long as its section is open,"
    facts = [f"a result counts {long} where max_age says nothing else"]
    if cls.rests:
        when = "" if cls.rests == "always" else f", {cls.rests}"
        facts.append(
            f"in a review (per: service) a good result counts as long as the files it looked at are the same{when}"
        )
    if cls.network:
        facts.append("asks over a network, so retry applies")
    if cls.more_than_reading:
        facts.append(f"{cls.more_than_reading}; only where the environment allows it, started by itself and confirmed")
    anybodys = (
        f"an error that could be anybody's is {'a failure' if cls.on_error == 'fail' else 'unknown'}; see on_error"
    )
    facts.append(f"errors: {cls.errors}" if cls.errors else anybodys)
    facts += [f"{name} is not observed by this captain yet: write {hint}" for name, hint in cls.unseen.items()]
    text = inspect.cleandoc(cls.__doc__ or "")
    return Explained(
        cls.kind, "probe", text, _parameters(cls), seen, tuple(facts), cls.default_expect, cls.example.strip()
    )


def explain_strategy(cls: type[Strategy]) -> Explained:
    """A rollback strategy."""
    text = inspect.cleandoc(cls.__doc__ or "")
    return Explained(cls.name, "rollback strategy", text, _parameters(cls), (), (), (), cls.example.strip())


def _parameters(cls: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> tuple[Row, ...]:
    seen = set() if seen is None else seen
    sentences = field_sentences(cls)
    return tuple(
        row
        for name, info in cls.model_fields.items()
        for row in (
            Row(
                info.alias or name,
                _words(key_schema(name, info.annotation, tuple(info.metadata))),
                _default(info),
                sentences.get(name, ""),
            ),
            *_below(info.alias or name, info, seen),
        )
    )


def _below(name: str, info: FieldInfo, seen: set[type[BaseModel]]) -> tuple[Row, ...]:
    """The keys of a mapping, or of the mappings of a list, the first time that they are met."""
    model = mapping_model(info.annotation)
    if model is None or model in seen:
        return ()
    seen.add(model)
    return tuple(replace(row, name=f"{name}.{row.name}") for row in _parameters(model, seen))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}, [], "") or isinstance(value, BaseModel):
        return ""
    if isinstance(value, timedelta):
        return _brief(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _brief(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if (seconds > size and seconds % size == 0) or (seconds == size and unit != "d"):
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s" if seconds >= 1 or not seconds else f"{seconds * 1000:g}ms"


def _cel(kind: CelType) -> str:
    if kind.name == "list":
        return f"list of {_cel(kind.element)}" if kind.element and kind.element.name != "dyn" else "list"
    if kind.name == "map":
        return f"map of {_cel(kind.element)}" if kind.element and kind.element.name != "dyn" else "map"
    return _TYPES.get(kind.name, kind.name)


def _words(schema: Schema) -> str:
    """A schema's type as a person says it."""
    for branches in ("anyOf", "oneOf"):
        if branches in schema:
            return " or ".join(dict.fromkeys(_words(one) for one in schema[branches]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("$ref") == "#/definitions/probes":
        return "probes by name"
    kind: Any = schema.get("type")
    if kind == "array":
        return f"list of {_words(schema.get('items', {}))}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"mapping to {_words(inner)}" if isinstance(inner, dict) and inner else "mapping"
    if kind == "integer":
        limits = [str(schema.get(key, "")) for key in ("minimum", "maximum")]
        return f"whole number {'..'.join(limits)}" if any(limits) else "whole number"
    if kind == "string" and "(ms|s|m|h|d)" in schema.get("pattern", ""):
        return "duration"
    named = {"number": "number", "boolean": "true or false"}
    return "text" if kind in (TEXT["type"], "string") else named.get(str(kind), "anything")
