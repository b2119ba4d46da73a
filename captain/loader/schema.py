"""The JSON Schemas (draft-07) of captain.yaml, checklists and the result, from the models and registered kinds."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any, Literal

from captain.checklist import (
    Action,
    Checklist,
    Environment,
    Observe,
    ReleaseRules,
    RollbackRules,
    Section,
    Service,
    Step,
)
from captain.fields import ID_PATTERN, NAME_PATTERN
from captain.loader.drafts import MADE, OTHER_QUESTIONS
from captain.loader.json_types import TEXT, Schema, model_schema
from captain.loader.kinds import NOT_YET, Kinds
from captain.loader.wording import summary
from captain.probes import probes
from captain.rollbacks import RESERVED as RESERVED_STRATEGIES
from captain.rollbacks import strategies

DRAFT = "http://json-schema.org/draft-07/schema#"
NAMES = ("checklist", "captain", "result")


def schema(name: Literal["checklist", "captain", "result"] | str) -> Schema:
    """One schema as plain JSON values. Raises KeyError for another name than those of `NAMES`."""
    return {"checklist": _checklist, "captain": _captain, "result": _result}[name]()


def _result() -> Schema:
    found: Schema = json.loads((files("captain.loader") / "result.schema.json").read_text(encoding="utf-8"))
    return found


def _kinds() -> dict[str, Schema]:
    """The parameters of every kind that a file may name, by its key."""
    found: dict[str, Schema] = {}
    for name in Kinds.names():
        cls = probes.find(name) if name in probes.names() else None
        if cls is None:
            found[name] = {"type": "object", "description": f"{name}: {NOT_YET}"}
            continue
        found[name] = model_schema(cls)
        found[name]["properties"] |= {key: {"description": f"{key}: {NOT_YET}"} for key in sorted(cls.later)}
    # Kinds of others are named without being loaded.
    return found | {
        point.name: {"type": "object"} for point in entry_points(group="captain.probes") if point.name not in found
    }


def _definitions() -> Schema:
    kinds = {f"probe.{name}": found for name, found in _kinds().items()}
    asked = {**{name.removeprefix("probe."): _ref(name) for name in kinds}, "alias": TEXT}
    named: Schema = {
        "description": "one probe, under a name that conditions use",
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": asked,
    }
    several: Schema = {
        "description": "several probes by name; conditions say name.observation",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{NAME_PATTERN}$"},
        "additionalProperties": _ref("named"),
    }
    return {**kinds, "named": named, "probes": several}


def _questions() -> dict[str, Schema]:
    """The keys of which a step or `observe` has exactly one, probes and what stands for them."""
    names = [*Kinds.names(), *(point.name for point in entry_points(group="captain.probes"))]
    return {**{name: _ref(f"probe.{name}") for name in names}, "probes": _ref("probes"), "alias": TEXT}


def _checklist() -> Schema:
    questions = _questions()
    action = model_schema(Action) | {"oneOf": _one_of(("run", "trigger", "external"))}
    observe = _with(model_schema(Observe, skip=("asks",)), questions)
    observe["oneOf"] = _one_of(questions)
    step = _with(model_schema(Step, skip=MADE), questions | {"action": _ref("action"), "observe": _ref("observe")})
    step["required"] = ["id"]
    section = _with(model_schema(Section), {"steps": {"type": "array", "minItems": 1}})
    section["required"] = ["id"]
    top = _with(model_schema(Checklist), {"sections": {"type": "array", "minItems": 1}})
    top["required"] = ["checklist"]
    asks = sorted({*questions, *OTHER_QUESTIONS})
    whole_step = {"allOf": [_ref("step_keys"), {"required": ["title"], "oneOf": _one_of(asks)}]}
    return {
        "$schema": DRAFT,
        "title": "A captain checklist",
        **top,
        # What extends another checklist only says what is different.
        "if": {"required": ["extends"]},
        "then": _sections("part"),
        "else": _sections("whole") | {"required": ["title", "sections"]},
        "definitions": {
            **_definitions(),
            "action": action,
            "observe": observe,
            "step_keys": step,
            "section_keys": section,
            "whole_step": whole_step,
            "part_section": {"allOf": [_ref("section_keys"), _steps("step_keys")]},
            "whole_section": {
                "allOf": [_ref("section_keys"), _steps("whole_step"), {"required": ["id", "title", "steps"]}],
            },
        },
    }


def _sections(which: str) -> Schema:
    return {"properties": {"sections": {"items": _ref(f"{which}_section")}}}


def _steps(which: str) -> Schema:
    return {"properties": {"steps": {"items": _ref(which)}}}


def _captain() -> Schema:
    rules = {"release": _ref("release"), "rollback": _ref("rollback")}
    environment = _with(model_schema(Environment), rules)
    service = _with(
        model_schema(Service),
        rules
        | {
            "environments": {
                "type": "object",
                "propertyNames": {"pattern": f"^{ID_PATTERN}$"},
                "additionalProperties": _ref("environment"),
            }
        },
    )
    kinds = {f"probe.{name}": found for name, found in _kinds().items()}
    # A kind with probes of its own names them here too.
    several = {name: found for name, found in _definitions().items() if name in ("named", "probes")}
    asked = {name.removeprefix("probe."): _ref(name) for name in kinds}
    running: Schema = {
        "type": "object",
        "description": "how to read which release runs now",
        "additionalProperties": False,
        "properties": {**asked, "version": {**TEXT, "description": "the observation that holds the version"}},
        "required": ["version"],
        "oneOf": _one_of(asked),
    }
    rollback = _with(model_schema(RollbackRules), {"plan": {"type": "array", "items": {"oneOf": _strategies()}}})
    return {
        "$schema": DRAFT,
        "title": "captain.yaml",
        **service,
        "definitions": {
            **kinds,
            **several,
            "release": _with(model_schema(ReleaseRules), {"running": running}),
            "rollback": rollback,
            "environment": environment,
        },
    }


def _strategies() -> list[Schema]:
    found: list[Schema] = []
    for name in strategies.names():
        cls = strategies.find(name)
        if cls is not None:
            one = _with(model_schema(cls), {"strategy": {"const": name, "description": summary(cls)}})
            found.append({**one, "required": [*one.get("required", ()), "strategy"]})
    others = {point.name for point in entry_points(group="captain.rollbacks")} - set(strategies.names())
    for name in sorted(RESERVED_STRATEGIES | others):
        one = {"type": "object", "properties": {"strategy": {"const": name}}, "required": ["id", "strategy"]}
        found.append(one)
    return found


def _with(model: Schema, properties: dict[str, Any]) -> Schema:
    return {**model, "properties": {**model["properties"], **properties}}


def _one_of(keys: Any) -> list[Schema]:
    return [{"required": [key]} for key in keys]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}
