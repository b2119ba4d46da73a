"""Annotations of the models as draft-07 JSON Schema: text takes what YAML calls a number, nothing takes null."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, BeforeValidator, TypeAdapter, WithJsonSchema
from pydantic.errors import PydanticUserError

from captain.checklist.base import many
from captain.loader.conditions import CONDITION_KEYS, CONDITION_LIST
from captain.loader.wording import field_sentences, summary

Schema = dict[str, Any]
TEXT: Schema = {"type": ["string", "number", "boolean"]}
CONDITIONS: Schema = {"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": TEXT}]}


def model_schema(model: type[BaseModel], skip: Collection[str] = ()) -> Schema:
    """An object with the model's keys and no others."""
    sentences = field_sentences(model)
    properties: dict[str, Schema] = {}
    required = []
    for name, info in model.model_fields.items():
        key = info.alias or name
        if key in skip:
            continue
        schema = key_schema(key, info.annotation, tuple(info.metadata))
        if name in sentences:
            schema = {**schema, "description": sentences[name]}
        properties[key] = schema
        if info.is_required():
            required.append(key)
    found: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        found["required"] = required
    if text := summary(model):
        found["description"] = text
    return found


def key_schema(key: str, annotation: Any, metadata: tuple[Any, ...] = ()) -> Schema:
    """The schema of one key's value."""
    if annotation == CONDITION_LIST and key in CONDITION_KEYS:
        return dict(CONDITIONS)
    return of(annotation, metadata)


def of(annotation: Any, metadata: tuple[Any, ...] = ()) -> Schema:
    """The schema of one annotation."""
    # The last one wins: an annotation wrapped around another says more.
    given = next((one for one in reversed(metadata) if isinstance(one, WithJsonSchema)), None)
    if given is not None:
        return dict(given.json_schema or {})
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return of(arguments[0], (*arguments[1:], *metadata))
    if origin in (typing.Union, types.UnionType):
        return _any([of(part) for part in arguments if part is not type(None)])
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(arguments)
    if origin in (tuple, list, set, frozenset):
        items = of(arguments[0])
        array: Schema = {"type": "array", "items": items}
        single = any(isinstance(one, BeforeValidator) and one.func is many for one in metadata)
        return _any([items, array]) if single else array
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return model_schema(annotation)
    if annotation is Any or annotation is object:
        return {}
    try:
        return {key: value for key, value in TypeAdapter(annotation).json_schema().items() if key != "title"}
    except PydanticUserError:
        return {}


def _mapping(arguments: tuple[Any, ...]) -> Schema:
    names, values = of(arguments[0]), of(arguments[1])
    found: Schema = {"type": "object"}
    if "pattern" in names:
        found["propertyNames"] = {"pattern": names["pattern"]}
    if values:
        found["additionalProperties"] = values
    return found


def _any(branches: list[Schema]) -> Schema:
    unique = [branch for index, branch in enumerate(branches) if branch not in branches[:index]]
    return unique[0] if len(unique) == 1 else {"anyOf": unique}
