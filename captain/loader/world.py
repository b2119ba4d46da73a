"""What names mean for one checklist in one environment: vars, params, secrets, people, and the other checklists."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from captain.condition import CelType, Scope, observes
from captain.condition.celtypes import BOOL
from captain.documents import Node
from captain.fields import NAME_PATTERN, RESERVED_NAMES
from captain.loader.building import texts
from captain.loader.drafts import Draft, DraftAsk, DraftStep, is_reserved
from captain.loader.kinds import Kinds
from captain.loader.problems import Problems

CEL_WORDS = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)
MAX_ALIASES = 20
"""Aliases of aliases that are followed for types."""
Observed = Mapping[str, CelType] | None
"""What a question observes; None where nobody can tell yet."""


@dataclass
class World:
    """Everything that the meaning of a checklist depends on."""

    kinds: Kinds
    problems: Problems
    vars: Collection[str] | None
    """Names of the declared vars; None where there is no captain.yaml and nothing can be said."""
    secrets: Collection[str] | None
    inputs: Collection[str]
    params: Mapping[str, str]
    """Of the top level of captain.yaml."""
    overrides: Mapping[str, str]
    """Of the environment."""
    roles: Mapping[str, Collection[str]] | None
    """Who holds each role; None where `people` is not given."""
    other: Callable[[str], Draft | None] = field(default=lambda name: None)
    """The draft of another checklist of the service."""

    def step_params(self, draft: Draft | None, step: DraftStep | None = None) -> dict[str, str]:
        """The params as they hold for a step, by name."""
        own = texts(draft.node.get("params")) if draft else {}
        narrow = texts(step.node.get("params")) if step else {}
        return {**self.params, **own, **narrow, **self.overrides}

    def find(self, draft: Draft | None, reference: str) -> tuple[Draft, DraftStep] | None:
        """The step of `id` or `checklist/id`."""
        name, _, step_id = reference.rpartition("/")
        holder = draft if draft is not None and name in ("", draft.id) else self.other(name)
        step = holder.find(step_id) if holder else None
        return (holder, step) if holder and step else None

    def observed(
        self, draft: Draft | None, asks: list[DraftAsk], seen: frozenset[DraftStep] = frozenset()
    ) -> dict[str, Observed]:
        """By name, a single one under "": what questions observe."""
        return {ask.name: self._observed(draft, ask, seen) for ask in asks}

    def _observed(self, draft: Draft | None, ask: DraftAsk, seen: frozenset[DraftStep]) -> Observed:
        if ask.kind != "alias":
            return None if ask.cls is None else {name: one.type for name, one in observes(ask.cls.Observes).items()}
        found = self.find(draft, ask.alias or "")
        if found is None or found[1] in seen or len(seen) > MAX_ALIASES:
            return None
        there, step = found
        flat = {"passed": BOOL, "warned": BOOL}
        if "compare" in step.questions:
            return None
        for name, inner in self.observed(there, step.asks or step.observe_asks, seen | {step}).items():
            if inner is None:
                return None
            flat |= {f"{name}.{key}" if name else key: kind for key, kind in inner.items()}
        return flat

    def scope(self, draft: Draft | None, step: DraftStep | None, asks: list[DraftAsk], about: Node) -> Scope:
        """The scope of conditions about what `asks` observe."""
        probes = self.observed(draft, asks)
        if (
            step is not None
            and asks is step.asks
            and ("compare" in step.questions or (step.node.get("soak") is not None and not _reviews(draft)))
        ):
            probes = {"": None}
        if any(is_taken(name) or (name and not re.fullmatch(NAME_PATTERN, name)) for name in probes):
            probes = {"": None}
        names = self.vars if self.vars is not None else _mentioned(about, "vars")
        try:
            return Scope.of(probes, self.step_params(draft, step), names)
        except ValueError as error:
            self.problems.error(about, str(error))
            return Scope.of({"": None}, self.step_params(draft, step), names)

    def templates(self, draft: Draft | None, step: DraftStep | None, about: Node) -> Scope:
        """The scope of `${{ }}`."""
        return Scope.template(
            vars=self.vars if self.vars is not None else _mentioned(about, "vars"),
            params=self.step_params(draft, step),
            inputs=self.inputs if self.vars is not None else _mentioned(about, "inputs"),
            secrets=self.secrets if self.secrets is not None else _mentioned(about, "secrets"),
        )


def _reviews(draft: Draft | None) -> bool:
    return draft is not None and draft.per == "service"


def is_taken(name: str) -> bool:
    """Whether a name means something else in conditions."""
    return name in RESERVED_NAMES or name in CEL_WORDS


def strings(node: Node) -> Iterator[Node]:
    """Every scalar below a node that holds a text."""
    if node.text is not None:
        yield node
    for child in (*node.mapping.values(), *node.items):
        yield from strings(child)


def keys(node: Node) -> Iterator[tuple[Node, str]]:
    """Every mapping below a node with each of its keys."""
    for key in node.mapping:
        yield node, key
    for child in (*node.mapping.values(), *node.items):
        yield from keys(child)


def _mentioned(node: Node, group: str) -> set[str]:
    """The members of a group that texts and keys below a node name: taken for declared where nothing is."""
    pattern = re.compile(rf"\b{group}\.([A-Za-z_][A-Za-z0-9_]*)")
    written = (*(found.text or "" for found in strings(node)), *(key for _, key in keys(node) if "${{" in key))
    return {name for text in written for name in pattern.findall(text)}


def unmeasured(asks: list[DraftAsk]) -> list[DraftAsk]:
    """Those that this captain cannot measure yet."""
    return [one for ask in asks for one in (ask, *ask.inner) if is_reserved(one)]
