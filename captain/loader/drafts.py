"""A checklist as far as its node tree tells: sections, steps and what they ask, before any of it is typed.

Both passes start here, so that a step the models refuse is still looked at for what it means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice

from captain.checklist import Observe, Section, Step
from captain.documents import Node
from captain.loader.kinds import Kinds
from captain.loader.problems import Problems, listing, nearest, show
from captain.loader.validate import a_shape, keys_of, unknown
from captain.probes import RESERVED, Probe

MAX_ENTRIES = 1000
"""Sections of a checklist, steps of a section."""
MAX_PROBES = 200
OTHER_QUESTIONS = ("probes", "manual", "action", "compare", "alias")
"""What a step may hold in place of a probe key."""
MADE = ("asks", "review")
"""Fields of a step that are worked out and not written."""
STEP_KEYS = (*(key for key in keys_of(Step) if key not in MADE), "probes", "alias")
OBSERVE_KEYS = tuple(key for key in keys_of(Observe) if key != "asks")
SECTION_KEYS = tuple(keys_of(Section))


@dataclass(slots=True, eq=False)
class DraftAsk:
    """One probe, or the alias that stands for one."""

    name: str
    """"" for a single one."""
    kind: str
    node: Node
    """Its parameters; of an alias the text that names the step."""
    cls: type[Probe] | None
    """None for a kind of later captains and for an alias."""
    later: str | None = None
    """The parameter that only later captains know."""
    inner: list[DraftAsk] = field(default_factory=list)
    """The probes that it asks itself."""
    guessed: bool = False
    """Whether the file says something else, which is noted: good enough to look at the conditions with."""

    @property
    def alias(self) -> str | None:
        """The step an alias stands for."""
        return self.node.text if self.kind == "alias" else None


@dataclass(slots=True, eq=False)
class DraftStep:
    """One step."""

    node: Node
    section: DraftSection
    id: str
    """"" where it has none that could be used."""
    questions: tuple[str, ...]
    """Which of the keys that say what it asks are there."""
    asks: list[DraftAsk]
    observe: Node | None
    observe_asks: list[DraftAsk]


@dataclass(slots=True, eq=False)
class DraftSection:
    """One section."""

    node: Node
    index: int
    id: str
    phase: str | None
    steps: list[DraftStep] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Draft:
    """One checklist, what it extends laid under it."""

    node: Node
    id: str
    per: str
    sections: list[DraftSection]
    _by_id: dict[str, DraftStep] = field(default_factory=dict)

    def steps(self) -> Iterator[DraftStep]:
        for section in self.sections:
            yield from section.steps

    def find(self, step: str) -> DraftStep | None:
        """The step of that id, the first of several."""
        if not self._by_id:
            for found in self.steps():
                self._by_id.setdefault(found.id, found)
        return self._by_id.get(step) if step else None


def draft(root: Node, kinds: Kinds, problems: Problems) -> Draft:
    """The draft of a checklist. What stands where a section or step belongs and is none is noted."""
    found = Draft(root, _text(root, "checklist"), _text(root, "per") or "release", [])
    count = 0
    for index, node in enumerate(_entries(root, "sections", problems)):
        section = DraftSection(node, index, _text(node, "id"), _text(node, "phase") or None)
        for child in _entries(node, "steps", problems):
            if (count := count + 1) > MAX_ENTRIES:
                problems.error(child, f"the checklist holds more than {MAX_ENTRIES} steps")
                break
            section.steps.append(_step(child, section, kinds, problems))
        for key in node.mapping:
            if key not in SECTION_KEYS:
                unknown(node, key, SECTION_KEYS, problems)
        found.sections.append(section)
    return found


def _text(node: Node, key: str) -> str:
    child = node.get(key)
    return (child.text if child is not None else None) or ""


def _entries(node: Node, key: str, problems: Problems) -> list[Node]:
    child = node.get(key)
    if child is None:
        problems.key(node, key, f"{key} is missing")
        return []
    if not isinstance(child.value, list):
        problems.error(child, f"{key} takes a list, not {a_shape(child)}")
        return []
    if not child.value:
        problems.error(child, f"{key} is an empty list")
    if len(child.value) > MAX_ENTRIES:
        problems.error(child, f"{key} holds more than {MAX_ENTRIES} entries")
    found = []
    for entry in child.value[:MAX_ENTRIES]:
        if isinstance(entry.value, dict):
            found.append(entry)
        else:
            problems.error(entry, f"a mapping belongs here, not {a_shape(entry)}")
    return found


def _step(node: Node, section: DraftSection, kinds: Kinds, problems: Problems) -> DraftStep:
    keys = node.mapping
    questions = tuple(key for key in keys if key in OTHER_QUESTIONS or (key not in STEP_KEYS and kinds.is_kind(key)))
    strange = [key for key in keys if key not in STEP_KEYS and key not in questions]
    for key in strange:
        unknown(node, key, [*STEP_KEYS, *kinds.names()], problems)
    if len(questions) > 1:
        hint = "several probes stand under probes:" if not set(questions) & {"manual", "action"} else None
        problems.key(node, questions[1], f"{listing(questions, 'and')} stand side by side; a step has one", hint=hint)
    elif not questions and not strange:
        problems.error(node, "the step asks nothing", hint="give it a probe, probes, manual, action, compare or alias")
    asks = [ask for key in questions for ask in _asks(node, key, kinds, problems)]
    if not questions and strange:
        asks = [_guess("", key, node.mapping[key], kinds) for key in strange[:1]]
    observe = node.get("observe")
    return DraftStep(
        node,
        section,
        _text(node, "id"),
        questions,
        asks,
        observe,
        [] if observe is None else observe_asks(observe, kinds, problems),
    )


def observe_asks(node: Node, kinds: Kinds, problems: Problems) -> list[DraftAsk]:
    """What an `observe` asks, its keys checked."""
    return holder_asks(node, kinds, problems, OBSERVE_KEYS)


def holder_asks(
    node: Node, kinds: Kinds, problems: Problems, known: tuple[str, ...], *, several: bool = True
) -> list[DraftAsk]:
    """The probes of a mapping that holds one beside the keys `known`; with `several` also `probes` and `alias`."""
    if not isinstance(node.value, dict):
        problems.error(node, f"{node.name} takes a mapping with a probe, not {a_shape(node)}")
        return []
    lists = ("probes", "alias") if several else ()
    questions = [key for key in node.mapping if key in lists or (key not in known and kinds.is_kind(key))]
    strange = [key for key in node.mapping if key not in known and key not in questions]
    for key in strange:
        unknown(node, key, [*known, *lists, *kinds.names()], problems)
    if len(questions) > 1:
        problems.key(node, questions[1], f"{listing(questions, 'and')} stand side by side; {node.name} has one")
    elif not questions and not strange:
        problems.error(node, f"{node.name} asks nothing", hint="give it a probe")
    if not questions and strange:
        return [_guess("", strange[0], node.mapping[strange[0]], kinds)]
    return [ask for key in questions for ask in _asks(node, key, kinds, problems)]


def _asks(holder: Node, key: str, kinds: Kinds, problems: Problems) -> list[DraftAsk]:
    """What one question key of a step asks."""
    node = holder.mapping[key]
    if key == "probes":
        if not isinstance(node.value, dict):
            problems.error(node, f"probes takes a mapping of names, not {a_shape(node)}")
            return []
        if not node.value:
            problems.error(node, "probes is empty")
        entries = islice(node.value.items(), MAX_PROBES)
        return [ask for name, child in entries for ask in _named(name, child, kinds, problems)]
    if key in ("manual", "action", "compare"):
        return []
    return [_ask("", key, node, kinds, problems)]


def _ask(name: str, kind: str, node: Node, kinds: Kinds, problems: Problems) -> DraftAsk:
    if kind == "alias":
        return DraftAsk(name, kind, node, None)
    cls = kinds.probe(kind)
    later = next((key for key in node.mapping if cls is not None and key in cls.later), None)
    inner = [] if cls is None or later else _inner(cls, node, kinds, problems)
    return DraftAsk(name, kind, node, None if later else cls, later, inner)


def _inner(cls: type[Probe], node: Node, kinds: Kinds, problems: Problems) -> list[DraftAsk]:
    """The probes of a kind's own. They are measured, so none of them is an alias or has such probes itself."""
    key = cls.inner_field()
    holder = node.get(key) if key is not None else None
    if holder is None:
        return []
    if not isinstance(holder.value, dict):
        problems.error(holder, f"{key} takes a mapping of names, not {a_shape(holder)}")
        return []
    found: list[DraftAsk] = []
    for name, child in islice(holder.value.items(), MAX_PROBES):
        for ask in _named(name, child, kinds, problems):
            if ask.kind == "alias" or (ask.cls is not None and ask.cls.inner_field() is not None):
                problems.key(child, ask.kind, f"{ask.kind} does not stand inside {cls.kind}")
            else:
                found.append(ask)
    return found


def _named(name: str, node: Node, kinds: Kinds, problems: Problems) -> list[DraftAsk]:
    if not isinstance(node.value, dict) or len(node.value) != 1:
        said = f"{len(node.value)} keys" if isinstance(node.value, dict) else a_shape(node)
        problems.error(
            node, f"probe {show(name)} takes one kind, not {said}", hint=f"write {name}: {{ http: {{ … }} }}"
        )
        if not isinstance(node.value, dict):
            return []
    found = []
    for kind, child in node.mapping.items():
        if kind == "alias" or kinds.is_kind(kind):
            found.append(_ask(name, kind, child, kinds, problems))
        else:
            hint = nearest(kind, kinds.names()) or f"kinds are {listing(kinds.names(), 'and')}"
            problems.key(node, kind, f"{show(kind)} is not a kind of probe", hint=hint)
            found.append(_guess(name, kind, child, kinds))
    return found[:1]


def _guess(name: str, kind: str, node: Node, kinds: Kinds) -> DraftAsk:
    """What a misspelt kind was probably meant to be, so that it hides no wrong condition."""
    near = get_close_matches(kind[:80].lower(), kinds.names(), 1)
    return DraftAsk(name, kind, node, kinds.probe(near[0]) if near else None, guessed=True)


def is_reserved(ask: DraftAsk) -> bool:
    """Whether this captain cannot measure it yet."""
    return ask.cls is None and (ask.kind in RESERVED or ask.later is not None)
