"""What holds between the parts of captain.yaml: names, inputs, people, release, and a way back that is proved."""

from __future__ import annotations

import re

from captain.condition import ConditionError, compile_expression
from captain.documents import Node
from captain.fields import NAME_PATTERN, RESERVED_NAMES
from captain.loader.drafts import DraftStep
from captain.loader.judging import params, report
from captain.loader.kinds import NOT_USED, Kinds
from captain.loader.problems import Problems, nearest, show
from captain.loader.rules import names, note_unmeasured, notes
from captain.loader.services import running_asks
from captain.loader.shelf import MAX_CHECKLISTS
from captain.loader.templates import asks, none, resolved, run
from captain.loader.world import World, unmeasured

MAX_PATTERN = 200


def check_service(root: Node, node: Node, world: World) -> None:
    """Every rule of captain.yaml; `node` is its top level with one environment laid over it."""
    for holder in (root, *(env for env in (root.get("environments") or root).mapping.values() if env.get("vars"))):
        names(holder.get("vars"), "var", world)
    names(node.get("params"), "param", world)
    params(node.get("params"), world)
    for key, child in node.mapping.items():
        if key not in ("release", "rollback", "environments", "notify", "freeze"):
            none(child, world)
    _inputs(node.get("inputs"), world.problems)
    _people(node.get("people"), world.problems)
    _secrets(node.get("secrets"), world.problems)
    _release(node.get("release"), world)
    _rollback(node.get("rollback"), node, world)
    listed = node.get("checklists")
    if listed is not None and len(listed.items) > MAX_CHECKLISTS:
        world.problems.error(listed, f"checklists holds more than {MAX_CHECKLISTS} files")
    notes(node, ("notify", "freeze"), world, NOT_USED)


def _inputs(node: Node | None, problems: Problems) -> None:
    seen: set[str] = set()
    for entry in node.items if node is not None else ():
        name, match = entry.get("id"), entry.get("match")
        if name is not None and name.text is not None:
            if name.text in seen:
                problems.error(name, f"input {show(name.text)} is asked twice")
            elif name.text in RESERVED_NAMES and re.fullmatch(NAME_PATTERN, name.text):
                problems.error(
                    name, f"{name.text} means something else in conditions", hint="give the input another id"
                )
            seen.add(name.text)
        if match is not None and match.text is not None:
            _pattern(match, problems)


def _pattern(node: Node, problems: Problems) -> None:
    text = node.text or ""
    if len(text) > MAX_PATTERN:
        problems.error(node, f"match is longer than {MAX_PATTERN} characters")
        return
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        at = getattr(error, "pos", None)
        problems.error(node, f"match is not a regular expression: {error}", offset=at)


def _people(node: Node | None, problems: Problems) -> None:
    seen: dict[str, str] = {}
    for name in node.mapping if node is not None else ():
        first = seen.setdefault(name.casefold(), name)
        if first != name and node is not None:
            problems.key(node, name, f"{show(name)} and {show(first)} are one person", hint="case does not matter here")


def _secrets(node: Node | None, problems: Problems) -> None:
    seen: set[str] = set()
    for entry in node.items if node is not None else ():
        if entry.text is not None and entry.text in seen:
            problems.error(entry, f"secret {show(entry.text)} is declared twice")
        seen.add(entry.text or "")


def _release(node: Node | None, world: World) -> None:
    if node is None:
        return
    scope = world.templates(None, None, node)
    for key in ("tag", "images"):
        child = node.get(key)
        if child is not None:
            resolved(child, scope, world)
    names(node.get("images"), "image", world)
    running = node.get("running")
    if running is None:
        return
    drafts = running_asks(running, world.kinds, world.problems)
    asks(drafts, scope, world)
    for ask in unmeasured(drafts):
        note_unmeasured(running, ask, world)
    version = running.get("version")
    if version is not None and version.text and drafts:
        try:
            compile_expression(version.text, world.scope(None, None, drafts, running))
        except ConditionError as error:
            report(error.faults, version, 0, world)


def _rollback(node: Node | None, top: Node, world: World) -> None:
    if node is None:
        return
    plan, verify = node.get("plan"), node.get("verify")
    _plan(plan, world)
    for entry in verify.items if verify is not None else ():
        if entry.text is not None:
            _verified(entry, world)
    running = top.get("release", "running")
    if plan is not None and plan.items and not (verify is not None and verify.items) and running is None:
        hint = "name steps under verify, or say under release.running how to read the version that runs"
        world.problems.error(node, "nothing would prove the rollback", hint=hint)
    notes(node, ("rto",), world, NOT_USED)
    notes(node, ("triggers",), world, "not watched by this captain yet")


def _plan(plan: Node | None, world: World) -> None:
    seen: set[str] = set()
    for entry in plan.items if plan is not None else ():
        name, strategy = entry.get("id"), entry.get("strategy")
        if name is not None and name.text:
            if name.text in seen:
                world.problems.error(name, f"id {show(name.text)} stands twice in the plan")
            seen.add(name.text)
        if strategy is None or not strategy.text:
            continue
        if world.kinds.strategy(strategy.text) is not None:
            run(entry, world)
            resolved(entry, world.templates(None, None, entry), world)
        elif strategy.text in Kinds.strategy_names():
            message = f"strategy {strategy.text}: not executed by this captain yet"
            world.problems.key(entry, "strategy", message, severity="note")


def _verified(entry: Node, world: World) -> None:
    reference = entry.text or ""
    if "/" not in reference:
        world.problems.error(entry, f"{show(reference)} names no checklist", hint="write checklist/step")
        return
    found = world.find(None, reference)
    if found is None:
        there = world.other(reference.rpartition("/")[0])
        known = [f"{there.id}/{step.id}" for step in there.steps()] if there else []
        world.problems.error(entry, f"verify names {show(reference)}, which is no step", hint=nearest(reference, known))
    elif (why := _no_proof(found[1])) is not None:
        world.problems.error(entry, f"{show(reference)} {why}", hint="a verify step must measure")


def _no_proof(step: DraftStep) -> str | None:
    if "manual" in step.questions:
        return "is signed by a person, so it proves nothing by itself"
    if "action" in step.questions:
        return "is an action"
    return "is disabled" if "disabled" in step.node.mapping else None
