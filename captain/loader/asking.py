"""Draft questions into the models that are measured: Ask, Alias, Observe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from captain.checklist import Alias, Ask, Observe
from captain.documents import Node
from captain.loader.drafts import DraftAsk
from captain.loader.problems import Problems
from captain.loader.validate import a_shape, build
from captain.probes import Probe


def asks_of(drafts: Iterable[DraftAsk], problems: Problems) -> dict[str, Ask | Alias] | None:
    """By name; None where one of them cannot be built, which is noted."""
    built = {draft.name: ask_of(draft, problems) for draft in drafts}
    found = {name: ask for name, ask in built.items() if ask is not None}
    return found if len(found) == len(built) else None


def ask_of(draft: DraftAsk, problems: Problems) -> Ask | Alias | None:
    """One probe or alias."""
    node = draft.node
    if draft.guessed:
        return None
    if draft.kind == "alias":
        if node.text is None:
            problems.error(node, f"alias takes the id of a step, not {a_shape(node)}")
            return None
        return Alias(node.text)
    if draft.cls is None:
        return Ask(draft.kind, node.plain if isinstance(node.value, dict) else {}, None)
    key, inner = draft.cls.inner_field(), asks_of(draft.inner, problems)
    if inner is None:
        # What is wrong with a kind's own probes is noted; the rest is looked at all the same.
        probe_of(draft.cls, node, draft.kind, problems, {key: {}} if key else {})
        return None
    ready = {key: inner} if key is not None and node.get(key) is not None else {}
    probe = probe_of(draft.cls, node, draft.kind, problems, ready)
    return None if probe is None else Ask(draft.kind, node.plain, probe)


def probe_of(
    cls: type[Probe], node: Node, kind: str, problems: Problems, ready: Mapping[str, Any] | None = None
) -> Probe | None:
    """The kind's model of its parameters, templates as texts."""
    if not isinstance(node.value, dict):
        required = [name for name, info in cls.model_fields.items() if info.is_required()]
        hint = f"write {kind}: {{ {required[0]}: … }}" if required else f"write {kind}: {{}}"
        problems.error(node, f"{kind} takes a mapping, not {a_shape(node)}", hint=hint)
        return None
    return build(cls, node, problems, ready=ready)


def default_expect(drafts: list[DraftAsk]) -> tuple[str, ...]:
    """What is expected where the file does not say: only a single probe or alias has such a thing."""
    if len(drafts) != 1 or drafts[0].name:
        return ()
    if drafts[0].kind == "alias":
        return ("passed", "!warned")
    cls, node = drafts[0].cls, drafts[0].node
    return () if cls is None else cls.expects(node.plain if isinstance(node.value, dict) else {})


def default_warn(drafts: list[DraftAsk]) -> tuple[str, ...]:
    """When it warns where the file does not say: an alias is worth no more than the step it stands for."""
    return ("passed",) if len(drafts) == 1 and not drafts[0].name and drafts[0].kind == "alias" else ()


def observe_of(node: Node, drafts: list[DraftAsk], problems: Problems) -> Observe | None:
    """How an action is seen."""
    asks = asks_of(drafts, problems)
    built = build(Observe, node, problems, ready={"asks": asks or {}}, checked=False)
    if built is None or asks is None:
        return None
    if not built.expect:
        built = built.model_copy(update={"expect": default_expect(drafts)})
    return built
