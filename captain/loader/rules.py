"""What holds between the parts of a checklist: ids, needs, aliases, phases, and keys that would have no effect."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from captain.checklist import PHASES
from captain.documents import Node
from captain.fields import NAME_PATTERN, REFERENCE, REVIEW
from captain.loader.building import MAX_NAMES
from captain.loader.conditions import conditions
from captain.loader.drafts import Draft, DraftAsk, DraftStep
from captain.loader.kinds import NOT_USED, NOT_YET
from captain.loader.problems import nearest, show
from captain.loader.validate import keys_of, marked
from captain.loader.world import World, is_taken, unmeasured

_PROBE_ONLY = ("retry", "every", "within", "for", "fail_after", "in_order", "on_error", "soak", "timeout")


def check_rules(draft: Draft, world: World) -> None:
    """Every rule of a checklist as a whole and of each of its steps."""
    _ids(draft, world)
    _phases(draft, world)
    _needs(draft, world)
    _affected(draft, world)
    names(draft.node.get("params"), "param", world)
    for section in draft.sections:
        notes(section.node, ("watch",), world)
        roles(section.node.get("gate", "sign_off"), world)
    for step in draft.steps():
        _questions(step, world)
        _effects(step, world)
        _action(step, world)
        _aliases(draft, step, [*step.asks, *step.observe_asks], world)
        _references(draft, step, world)
        _reviews(draft, step, world)
        names(step.node.get("params"), "param", world)
        roles(step.node.get("sign_off"), world)
        _later(draft, step, world)
        for key in ("expect", "warn", "when"):  # empty lists, mappings and the like, whatever else is wrong
            child = step.node.get(key)
            if child is not None:
                conditions(child, world.problems)


def _ids(draft: Draft, world: World) -> None:
    seen: dict[str, Node] = {}
    entries = [(s.node, s.id) for s in draft.sections] + [(s.node, s.id) for s in draft.steps()]
    for node, name in sorted(entries, key=lambda entry: (entry[0].line, entry[0].column)):
        holder = node.get("id")
        if not name or holder is None:
            continue
        if name == "review":
            world.problems.error(holder, "review is reserved: it signs an emergency release", hint="take another id")
        elif name in seen:
            world.problems.error(holder, f"id {show(name)} is taken, first on line {seen[name].line}")
        seen.setdefault(name, holder)


def _phases(draft: Draft, world: World) -> None:
    reached = 0
    for section in draft.sections:
        holder = section.node.get("phase")
        if draft.per == "service":
            if holder is not None:
                world.problems.error(holder, "phase belongs to checklists with per: release")
            continue
        if holder is None:
            hint = f"write phase: {' | '.join(PHASES)}, or per: service at the top of the checklist"
            world.problems.key(section.node, "phase", "phase is missing", hint=hint)
        elif section.phase in PHASES:
            place = PHASES.index(section.phase)
            if place < reached:
                world.problems.error(
                    holder,
                    f"phase {section.phase} comes after {PHASES[reached]}",
                    hint="the order is pre, deploy, post",
                )
            reached = max(reached, place)


def _affected(draft: Draft, world: World) -> None:
    """A gap that names nothing would cap nothing."""
    ids = {step.id for step in draft.steps() if step.id}
    for step in draft.steps():
        holder = step.node.get("affects")
        for entry in () if holder is None else holder.items or [holder]:
            if entry.text is not None and (entry.text not in ids or entry.text == step.id):
                why = "which is the gap itself" if entry.text == step.id else "which is no step of this checklist"
                hint = nearest(entry.text, ids - {step.id})
                world.problems.error(entry, f"affects {show(entry.text)}, {why}", hint=hint)


def _needs(draft: Draft, world: World) -> None:
    ids = {step.id: step for step in draft.steps() if step.id}
    wanted: dict[str, list[tuple[str, Node]]] = {}
    sections = {section.id for section in draft.sections}
    for step in draft.steps():
        holder = step.node.get("needs")
        entries = [] if holder is None else holder.items or [holder]
        for entry in entries:
            if entry.text is None:
                continue
            name = entry.text.removeprefix(f"{draft.id}/")
            if name not in ids:
                why = "is a section; needs names steps" if name in sections else "is no step of this checklist"
                world.problems.error(entry, f"needs {show(entry.text)}, which {why}", hint=nearest(name, ids))
            elif ids[name].section.index > step.section.index:
                world.problems.error(entry, f"needs {show(name)}, which comes in a later section")
            else:
                wanted.setdefault(step.id, []).append((name, entry))
    for name, node in _cycle(wanted):
        world.problems.error(node, f"needs {show(name)} in a circle: neither could ever start")


def _cycle(wanted: dict[str, list[tuple[str, Node]]]) -> Iterator[tuple[str, Node]]:
    """The edge that closes each circle."""
    done: set[str] = set()
    for start in wanted:
        if start in done:
            continue
        path = {start: iter(wanted[start])}
        while path:
            name = next(reversed(path))
            edge = next(path[name], None)
            if edge is None:
                del path[name]
                done.add(name)
            elif edge[0] in path:
                yield edge
            elif edge[0] not in done:
                path[edge[0]] = iter(wanted.get(edge[0], ()))


def _questions(step: DraftStep, world: World) -> None:
    for holder in (step.node, step.observe):
        probes = holder.get("probes") if holder is not None else None
        names(probes, "probe", world)
    for ask in (*step.asks, *step.observe_asks):
        key = ask.cls.inner_field() if ask.cls is not None else None
        names(ask.node.get(key) if key is not None else None, "probe", world)


def names(node: Node | None, what: str, world: World) -> None:
    """Names that conditions use are identifiers and mean nothing else."""
    if node is None:
        return
    if len(node.mapping) > MAX_NAMES:
        world.problems.error(node, f"{node.name} holds more than {MAX_NAMES} names")
    for name in node.mapping:
        if what == "probe" and not re.fullmatch(NAME_PATTERN, name):  # of the others their models say so
            hint = "use lower-case letters, digits and _"
            world.problems.key(node, name, f"{show(name)} is not a name for conditions", hint=hint)
        elif is_taken(name):
            world.problems.key(
                node, name, f"{name} means something else in conditions", hint=f"give the {what} another name"
            )


def _effects(step: DraftStep, world: World) -> None:
    """Keys that nothing would ever read are not accepted: they would look like a promise."""
    asked, node = set(step.questions), step.node
    if len(asked) != 1:
        return
    kind = "manual" if "manual" in asked else "action" if "action" in asked else None
    if kind:
        for key in ("expect", "warn"):
            if key in node.mapping:
                signed = "a person signs it; expect belongs to probes"
                judged = "give it observe with expect" if kind == "action" else signed
                world.problems.key(node, key, f"{key} has no effect beside {kind}", hint=judged)
        for key in _PROBE_ONLY:
            if key in node.mapping:
                hint = "the action has a timeout of its own" if (kind, key) == ("action", "timeout") else None
                world.problems.key(node, key, f"{key} has no effect beside {kind}", hint=hint)
    if "observe" in node.mapping and kind != "action":
        world.problems.key(
            node, "observe", "observe has no effect without an action", hint="put the probe into the step"
        )
    if "fail_after" in node.mapping and "for" not in node.mapping:
        world.problems.key(node, "fail_after", "fail_after has no effect without for")
    if "in_order" in node.mapping and "probes" not in asked and not kind:
        world.problems.key(node, "in_order", "in_order has no effect without probes")


def _action(step: DraftStep, world: World) -> None:
    node = step.node.get("action")
    if node is None:
        return
    if step.section.phase not in ("deploy", "post"):
        hint = "there the lock is held and the way back recorded"
        world.problems.key(step.node, "action", "actions stand in deploy and post sections only", hint=hint)
    if not isinstance(node.value, dict):
        return
    given = [key for key in ("run", "trigger", "external") if key in node.value]
    if len(given) > 1:
        world.problems.key(node, given[1], f"{' and '.join(given)} stand side by side; an action has one")
    elif not given:
        world.problems.error(node, "the action does nothing", hint="give it run, trigger or external")
    run = node.get("run")
    if run is not None and (run.value == [] or run.value == ""):
        world.problems.error(run, "run is empty")
    if given == ["external"] and step.observe is None:
        world.problems.key(node, "external", "nothing would show that it arrived", hint="give the step observe")


def _aliases(draft: Draft, step: DraftStep, asks: list[DraftAsk], world: World) -> None:
    for ask in asks:
        if ask.alias is None:
            continue
        found = world.find(draft, ask.alias)
        if found is None:
            known = [one.id for one in draft.steps()]
            world.problems.error(
                ask.node, f"alias names {show(ask.alias)}, which is no step", hint=nearest(ask.alias, known)
            )
        elif _leads_to(found, step, world):
            world.problems.error(ask.node, f"alias {show(ask.alias)} comes back to this step")


def _references(draft: Draft, step: DraftStep, world: World) -> None:
    """Steps that a kind names. What is none now may have been one: it is noted, no more."""
    for ask in (*step.asks, *step.observe_asks):
        for key, annotation in keys_of(ask.cls).items() if ask.cls is not None else ():
            child = ask.node.get(key) if marked(annotation, REFERENCE) else None
            if child is None or not child.text or world.find(draft, child.text) is not None:
                continue
            message, hint = f"{key} names {show(child.text)}, which is no step here", nearest(child.text, _known(draft))
            world.problems.key(ask.node, key, message, hint=hint, severity="note")


def _reviews(draft: Draft, step: DraftStep, world: World) -> None:
    """Checklists whose score a kind asks for. It is noted, no more: the review may be of files that come later."""
    for ask in (*step.asks, *step.observe_asks):
        for key, annotation in keys_of(ask.cls).items() if ask.cls is not None else ():
            child = ask.node.get(key) if marked(annotation, REVIEW) else None
            if child is None or not child.text:
                continue
            found = draft if child.text == draft.id else world.other(child.text)
            if found is None:
                message = f"{key} names {show(child.text)}, which is no checklist of captain.yaml"
            elif found.per != "service":
                message = f"{key} names {show(child.text)}, which is not per: service, so it has no review that stands"
            else:
                continue
            world.problems.key(ask.node, key, message, severity="note")


def _known(draft: Draft) -> list[str]:
    return [one.id for one in draft.steps()]


def _leads_to(found: tuple[Draft, DraftStep], goal: DraftStep, world: World) -> bool:
    seen: set[int] = set()
    left = [found]
    while left:
        draft, step = left.pop()
        if step is goal:
            return True
        if id(step) in seen:
            continue
        seen.add(id(step))
        following = [world.find(draft, ask.alias) for ask in (*step.asks, *step.observe_asks) if ask.alias is not None]
        left += [one for one in following if one is not None]
    return False


def roles(node: Node | None, world: World) -> None:
    """Somebody must hold each role that a rule demands, or its gate could never open."""
    for rule in () if node is None else [node] if node.mapping else node.items:
        role = rule.get("role")
        if role is None or role.text is None or world.roles is None:
            continue
        holders: Collection[str] = world.roles.get(role.text, ())
        count = rule.get("count")
        if not holders:
            world.problems.error(
                role, f"nobody in people holds the role {show(role.text)}", hint=nearest(role.text, world.roles)
            )
        elif count is not None and (count.text or "").isdigit() and int((count.text or "0")[:9]) > len(holders):
            world.problems.error(
                count, f"count {count.text} is more than the {len(holders)} in people who hold {role.text}"
            )


def _later(draft: Draft, step: DraftStep, world: World) -> None:
    """Notes on what this captain cannot measure yet."""
    for ask in unmeasured([*step.asks, *step.observe_asks]):
        holder = ask.node.parent
        if holder is not None:
            note_unmeasured(holder, ask, world)
    notes(step.node, ("compare",) if draft.per == "service" else ("compare", "soak"), world)
    notes(step.node, ("planned",), world, NOT_USED)
    trigger = step.node.get("action", "trigger")
    if trigger is not None and trigger.parent is not None:
        message = "action trigger: not started by this captain yet"
        world.problems.key(trigger.parent, "trigger", message, severity="note")


def note_unmeasured(holder: Node, ask: DraftAsk, world: World) -> None:
    """Note a kind, or a parameter of one, of later captains."""
    if ask.later:
        world.problems.key(ask.node, ask.later, f"probe {ask.kind} with {ask.later}: {NOT_YET}", severity="note")
    else:
        world.problems.key(holder, ask.kind, f"probe {ask.kind}: {NOT_YET}", severity="note")


def notes(node: Node, keys: tuple[str, ...], world: World, why: str = NOT_YET) -> None:
    """Note the keys that are accepted for later captains: silence would look like a promise."""
    for key in keys:
        if key in node.mapping:
            world.problems.key(node, key, f"{key}: {why}", severity="note")
