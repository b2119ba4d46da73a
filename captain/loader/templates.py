"""Compiles every `${{ }}` of the files and says where none may stand. Resolves none."""

from __future__ import annotations

import re

from captain.condition import ConditionError, Scope
from captain.documents import Node
from captain.interpolate import compile_template
from captain.loader.drafts import Draft, DraftAsk
from captain.loader.judging import report
from captain.loader.problems import nearest, show
from captain.loader.world import World, keys, strings

SECRET_PLACES = frozenset(("env", "headers", "body"))
_SECRET = re.compile(r"\bsecrets\s*[.\[]")
_LITERAL = {
    "title": "write {params.name} for a threshold",
    "vars": "values of vars are literal: one pass",
    "params": "params are CEL constants: leave it out",
}


def check_templates(draft: Draft, world: World) -> None:
    """Every text of a checklist."""
    for key, child in draft.node.mapping.items():
        if key != "sections":
            none(child, world)
    for section in draft.sections:
        for key, child in section.node.mapping.items():
            if key not in ("steps", "watch"):
                none(child, world)
    for step in draft.steps():
        about = step.node
        scope = world.templates(draft, step, about)
        asked = {id(ask.node) for ask in step.asks}
        for key, child in about.mapping.items():
            if key == "manual":
                resolved(child, scope, world)
            elif key == "action":
                _action(child, scope, world)
            elif key not in ("compare", "observe", "probes", "expect", "warn", "when") and id(child) not in asked:
                none(child, world)
        asks(step.asks, scope, world)
        asks(step.observe_asks, scope, world)


def asks(drafts: list[DraftAsk], scope: Scope, world: World) -> None:
    """The parameters of probes; those of later kinds are not looked at."""
    for ask in drafts:
        if ask.alias is not None:
            none(ask.node, world)
        elif ask.cls is not None:
            run(ask.node, world)
            _named_secrets(ask.node, world)
            resolved(ask.node, scope, world)
            for inner in ask.inner:
                if inner.cls is not None:
                    run(inner.node, world)
                    _named_secrets(inner.node, world)


def _named_secrets(node: Node, world: World) -> None:
    """A key that ends in _env names a secret: what is not declared as one would be masked nowhere."""
    for key, child in node.mapping.items():
        if key.endswith("_env") and child.text and world.secrets is not None and child.text not in world.secrets:
            declared = f"secrets: [{', '.join([*world.secrets, child.text])}]"
            hint = nearest(child.text, world.secrets) or f"write {declared} in captain.yaml"
            world.problems.error(child, f"{show(child.text)} is not declared as a secret", hint=hint)


def _action(node: Node, scope: Scope, world: World) -> None:
    run(node, world)
    for key, child in node.mapping.items():
        if key in ("run", "env", "cwd", "external"):
            resolved(child, scope, world)
        elif key != "trigger":
            none(child, world)


def run(node: Node, world: World) -> None:
    """A program as one text goes to a shell: nothing is ever pasted into it."""
    child = node.get("run")
    if child is not None and child.text is not None and "${{" in child.text and not world.problems.told(child):
        at = child.text.index("${{")
        hint = "pass the value through env: and write $NAME, or give run as a list"
        world.problems.error(child, "${{ }} does not stand in a shell text", hint=hint, offset=at)


def resolved(node: Node, scope: Scope, world: World) -> None:
    """The texts and keys below a node, in which templates may stand."""
    for holder, key in keys(node):
        if "${{" in key:
            _key(holder, key, scope, world)
    for child in strings(node):
        text = child.text or ""
        if "${{" not in text or (child.name == "run" and child.parent is not None):
            continue
        if (secret := _SECRET.search(text)) and not _may_hold_secrets(child):
            hint = f"it works in {', '.join(sorted(SECRET_PLACES))}"
            world.problems.error(child, "a secret does not stand here", hint=hint, offset=secret.start())
            continue
        try:
            compile_template(text, scope)
        except ConditionError as error:
            report(error.faults, child, 0, world)


def _key(holder: Node, key: str, scope: Scope, world: World) -> None:
    """A key such as a service's name, which a parameter gives."""
    if _SECRET.search(key):
        world.problems.key(holder, key, "a secret does not stand here", hint="it works in values")
        return
    try:
        compile_template(key, scope)
    except ConditionError as error:
        for fault in error.faults:
            world.problems.key(holder, key, fault.message, hint=fault.hint)


def none(node: Node, world: World) -> None:
    """The texts below a node, in which no template may stand."""
    for child in strings(node):
        text = child.text or ""
        # Conditions say so themselves, with their own words.
        if "${{" in text and not {"when", "expect", "warn"} & set(child.path.replace("[", ".").split(".")):
            place = next((name for name in child.path.split(".") if name in _LITERAL), "")
            what = place or child.path.rpartition(".")[2]
            hint = _LITERAL.get(place)
            world.problems.error(child, f"${{{{ }}}} does not work in {what}", hint=hint, offset=text.index("${{"))


def _may_hold_secrets(node: Node) -> bool:
    parent: Node | None = node
    while parent is not None:
        if parent.name in SECRET_PLACES:
            return True
        parent = parent.parent
    return False
