"""captain.yaml into the Service model, with one environment laid over it."""

from __future__ import annotations

from typing import Any

from captain.checklist import (
    Ask,
    Environment,
    ReleaseRules,
    ReservedStrategy,
    RollbackRules,
    RunningProbe,
    Service,
)
from captain.documents import Node
from captain.loader.asking import ask_of
from captain.loader.drafts import DraftAsk, holder_asks
from captain.loader.kinds import Kinds
from captain.loader.merge import overlay, without
from captain.loader.problems import Problems, nearest, show
from captain.loader.validate import a_shape, build
from captain.rollbacks import RESERVED, Strategy

OVERLAID = ("vars", "secrets", "params", "release", "rollback", "checklists")
"""What an environment may change of the top level."""


MAX_ENVIRONMENTS = 100


def environment_names(root: Node) -> list[str]:
    """The declared environments, in order."""
    node = root.get("environments")
    return list(node.mapping)[:MAX_ENVIRONMENTS] if node is not None else []


def merged(root: Node, environment: str | None) -> Node:
    """The top level with the environment laid over it."""
    over = root.get("environments", environment) if environment is not None else None
    if over is None or not over.mapping:
        return root
    changes = without(over, *(key for key in over.mapping if key not in OVERLAID))
    return overlay(root, changes)


def build_service(root: Node, environment: str | None, kinds: Kinds, problems: Problems) -> Service | None:
    """The model with that environment merged in, or None with the problems noted."""
    node = merged(root, environment)
    ready: dict[str, Any] = {}
    environments: dict[str, Environment] = {}
    before = problems.met
    for name, child in (root.get("environments") or Node({}, "mapping", 1, 1, root.document)).mapping.items():
        built = _environment(child, kinds, problems)
        if built is not None:
            environments[name] = built
    names = root.get("environments")
    if names is not None:
        _names(names, problems)
        ready["environments"] = environments
    ready |= _rules(node, kinds, problems)
    built_service = build(Service, node, problems, ready=ready)
    return built_service if problems.met == before else None


def _names(node: Node, problems: Problems) -> None:
    from pydantic import TypeAdapter, ValidationError

    from captain.fields import Id

    if not isinstance(node.value, dict):
        problems.error(node, f"environments takes a mapping of names, not {a_shape(node)}")
        return
    if len(node.value) > MAX_ENVIRONMENTS:
        problems.error(node, f"environments holds more than {MAX_ENVIRONMENTS} names")
    adapter = TypeAdapter(Id)
    for name in node.value:
        try:
            adapter.validate_python(name)
        except ValidationError as error:
            problems.key(node, name, error.errors()[0]["msg"])


def _environment(node: Node, kinds: Kinds, problems: Problems) -> Environment | None:
    if node.value is None:
        problems.error(node, f"environment {node.name} is empty", hint=f"write {node.name}: {{}}")
        return None
    if not isinstance(node.value, dict):
        problems.error(node, f"environment {node.name} takes a mapping, not {a_shape(node)}")
        return None
    return build(Environment, node, problems, ready=_rules(node, kinds, problems))


def _rules(node: Node, kinds: Kinds, problems: Problems) -> dict[str, Any]:
    """`release` and `rollback`, which hold probes and strategies."""
    found: dict[str, Any] = {}
    release, rollback = node.get("release"), node.get("rollback")
    if release is not None and release.value is not None:
        found["release"] = _release(release, kinds, problems)
    if rollback is not None and rollback.value is not None:
        found["rollback"] = _rollback(rollback, kinds, problems)
    return found


def _release(node: Node, kinds: Kinds, problems: Problems) -> ReleaseRules:
    ready: dict[str, Any] = {}
    running = node.get("running")
    if running is not None and running.value is not None:
        ready["running"] = _running(running, kinds, problems)
    return build(ReleaseRules, node, problems, ready=ready) or ReleaseRules()


def running_asks(node: Node, kinds: Kinds, problems: Problems) -> list[DraftAsk]:
    """The probe of `release.running`."""
    return holder_asks(node, kinds, problems, ("version",), several=False)


def _running(node: Node, kinds: Kinds, problems: Problems) -> RunningProbe | None:
    drafts = running_asks(node, kinds, problems)
    if not isinstance(node.value, dict):
        return None
    ask = ask_of(drafts[0], problems) if len(drafts) == 1 else None
    version = node.get("version")
    if version is None or version.text is None:
        problems.key(node, "version", "version is missing", hint="name the observation, as in version: json.version")
        return None
    if isinstance(ask, Ask) and ask.probe is not None and ask.probe.safety != "read":
        problems.error(node, f"running only reads, and {ask.kind} is {ask.probe.safety} with these parameters")
        return None
    return RunningProbe(ask=ask, version=version.text) if isinstance(ask, Ask) else None


def _rollback(node: Node, kinds: Kinds, problems: Problems) -> RollbackRules:
    ready: dict[str, Any] = {}
    plan = node.get("plan")
    if plan is not None and plan.value is not None:
        if not isinstance(plan.value, list):
            problems.error(plan, f"plan takes a list, not {a_shape(plan)}")
            ready["plan"] = ()
        else:
            entries = [_entry(entry, kinds, problems) for entry in plan.value]
            ready["plan"] = tuple(entry for entry in entries if entry is not None)
    return build(RollbackRules, node, problems, ready=ready) or RollbackRules()


def _entry(node: Node, kinds: Kinds, problems: Problems) -> Strategy | ReservedStrategy | None:
    if not isinstance(node.value, dict):
        problems.error(node, f"an entry of the plan is a mapping, not {a_shape(node)}")
        return None
    name = node.get("strategy")
    if name is None or name.text is None:
        problems.key(node, "strategy", "strategy is missing", hint=f"one of {', '.join(kinds.strategy_names())}")
        return None
    cls = kinds.strategy(name.text)
    rest = without(node, "strategy")
    if cls is not None:
        return build(cls, rest, problems)
    if name.text not in RESERVED:
        hint = nearest(name.text, kinds.strategy_names()) or f"one of {', '.join(kinds.strategy_names())}"
        problems.error(name, f"{show(name.text)} is not a rollback strategy", hint=hint)
        return None
    own = without(node, *(key for key in node.mapping if key != "id"))
    params = {key: child.plain for key, child in rest.mapping.items() if key != "id"}
    return build(ReservedStrategy, own, problems, ready={"strategy": name.text, "params": params})
