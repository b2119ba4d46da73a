"""Compiles every condition of a checklist against what its step observes, and reports each that is wrong or lies."""

from __future__ import annotations

from captain.condition import Condition as Compiled
from captain.condition import ConditionError, Fault, Scope, compile_condition, constant, lint_list
from captain.documents import Node
from captain.loader.asking import default_expect
from captain.loader.conditions import Condition, conditions
from captain.loader.drafts import Draft, DraftAsk, DraftStep
from captain.loader.validate import held
from captain.loader.world import World


def judge_checklist(draft: Draft, world: World) -> None:
    """Every expect, warn, when and param."""
    params(draft.node.get("params"), world)
    for section in draft.sections:
        gate = section.node.get("gate", "sign_off")
        if gate is not None:
            _rules(gate, world.scope(draft, None, [], gate), world)
    for step in draft.steps():
        _step(draft, step, world)


def params(node: Node | None, world: World) -> None:
    """Each param is a constant."""
    for child in node.mapping.values() if node is not None else ():
        if child.text is None or "${{" in child.text:
            continue
        try:
            constant(child.text)
        except ConditionError as error:
            report(error.faults, child, 0, world)


Unseen = dict[str, str]
"""By name as conditions write it: observations of later captains, and what to write until then."""


def _unseen(asks: list[DraftAsk]) -> Unseen:
    found: Unseen = {}
    for ask in asks:
        for name, hint in (ask.cls.unseen if ask.cls is not None else {}).items():
            full = f"{ask.name}.{name}" if ask.name else name
            found |= {full: hint, f"before.{full}": hint}
    return found


def _step(draft: Draft, step: DraftStep, world: World) -> None:
    node = step.node
    params(node.get("params"), world)
    when = node.get("when")
    if when is not None:
        judge(when, world.scope(draft, step, [], node), world)
    scope = world.scope(draft, step, step.asks, node)
    for ask in (*step.asks, *step.observe_asks):
        _held(draft, step, ask, world)
    for key in ("expect", "warn"):
        child = node.get(key)
        if child is not None and (step.asks or "compare" in step.questions):
            judge(child, scope, world, observes=True, unseen=_unseen(step.asks))
    signing = node.get("sign_off")
    if signing is not None:
        _rules(signing, scope, world)
    if step.observe is not None:
        seen = world.scope(draft, step, step.observe_asks, step.observe)
        for key in ("expect", "warn"):
            child = step.observe.get(key)
            if child is not None:
                judge(child, seen, world, observes=True, unseen=_unseen(step.observe_asks))
    _asserts(step, world)


def _held(draft: Draft, step: DraftStep, ask: DraftAsk, world: World) -> None:
    """The conditions that a kind judges itself, over what its own probes observe."""
    if ask.cls is None or ask.cls.inner_field() is None or not isinstance(ask.node.value, dict):
        return
    for node in held(ask.cls, ask.node):
        judge(node, world.scope(draft, step, ask.inner, node), world, observes=True, unseen=_unseen(ask.inner))


def _asserts(step: DraftStep, world: World) -> None:
    """A step that measures must be able to fail."""
    for node, asks in ((step.node, step.asks), (step.observe, step.observe_asks)):
        if node is None or not asks or node.get("expect") is not None:
            continue
        if any(ask.guessed or (ask.cls is None and ask.kind != "alias") for ask in asks):
            continue
        if not default_expect(asks):
            several = (
                "several probes have no expect of their own"
                if len(asks) > 1 or asks[0].name
                else "the kind has no default"
            )
            world.problems.error(node, f"nothing is asserted: {several}", hint="give it expect")


def _rules(node: Node, scope: Scope, world: World) -> None:
    for rule in [node] if node.mapping else node.items:
        when = rule.get("when")
        if when is not None:
            judge(when, scope, world)


def judge(node: Node, scope: Scope, world: World, *, observes: bool = False, unseen: Unseen | None = None) -> None:
    """The conditions below one key; what they read of `unseen` is noted."""
    compiled: list[tuple[Condition, Compiled]] = []
    for condition in conditions(node, world.problems):
        if "${{" in condition.text:
            at = condition.offset + condition.text.index("${{")
            world.problems.error(
                condition.node,
                "${{ }} does not stand in conditions",
                hint="they are CEL already: leave it out",
                offset=at,
            )
            continue
        try:
            compiled.append((condition, compile_condition(condition.text, scope, observes=observes)))
        except ConditionError as error:
            report(error.faults, condition.node, condition.offset, world)
    for place, checked in compiled:
        for read in checked.reads:
            if (hint := (unseen or {}).get(read.name)) is not None:
                message = f"{read.name}: not observed by this captain yet"
                world.problems.note(place.node, message, hint=f"write {hint}", offset=place.offset)
    for index, fault in lint_list([condition for _, condition in compiled]):
        written = compiled[index][0]
        report([fault], written.node, written.offset, world)


def report(faults: tuple[Fault, ...] | list[Fault], node: Node, offset: int, world: World) -> None:
    """Faults of one expression at their places."""
    for fault in faults:
        world.problems.error(node, fault.message, hint=fault.hint, offset=offset + fault.offset)
