"""Writes a checklist: known items as probes where captain can measure them here, else as questions with evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from captain.checklist.lists import Section
from captain.checklist.steps import Step
from captain.scaffold.catalogue import SECTIONS, Item, items
from captain.scaffold.lacking import lacking
from captain.scaffold.offer import Offer
from captain.scaffold.offers import offers
from captain.scaffold.quoting import flow, scalar, words
from captain.scaffold.survey import Survey


@dataclass(slots=True)
class Line:
    """One step to write."""

    id: str
    title: str
    item: Item | None = None
    """None for what no catalogue knows."""
    alias: str | None = None
    """The step it repeats."""
    question: str = ""
    help: list[str] = field(default_factory=list)
    affects: tuple[str, ...] = ()
    """Steps that are only half done while this one is open."""
    advice: bool = False
    """Whether it is recommended only: open, it stands in nobody's way."""
    own: tuple[str, ...] = ()
    """Lines of YAML that ask and judge, where somebody else wrote them."""


@dataclass(slots=True)
class Group:
    """One section to write."""

    id: str
    title: str
    lines: list[Line] = field(default_factory=list)
    phase: str | None = None
    scored: bool = True


@dataclass(slots=True)
class Sheet:
    """What became of a checklist's lines."""

    text: str
    measured: list[str] = field(default_factory=list)
    """Ids of the steps that captain measures."""
    both: list[str] = field(default_factory=list)
    """Ids of those that captain measures in part and people sign."""
    asked: list[str] = field(default_factory=list)
    """Ids of those that people answer."""
    secrets: list[str] = field(default_factory=list)
    """Names of the secrets that its probes need."""


def review(found: Survey) -> list[Group]:
    """The items that mean something in this repository, by section."""
    groups: dict[str, Group] = {}
    chosen = {one.id for one in items().values() if one.about <= found.about}
    for item in items().values():
        if item.id in chosen:
            group = groups.setdefault(item.section, Group(_section_id(item.section), SECTIONS[item.section]))
            alias = item.alias if item.alias in chosen else None
            group.lines.append(Line(item.id, item.title, item, alias))
    return list(groups.values())


def _section_id(section: str) -> str:
    return {"ci": "ci-cd", "dr": "backup"}.get(section, SECTIONS[section].lower())


def write_sheet(
    id: str, title: str, groups: Iterable[Group], found: Survey, *, head: Sequence[str] = (), top: Sequence[str]
) -> Sheet:
    """The text of one checklist: `head` as comments, then its own keys, `top` among them, then the sections."""
    made = offers(found)
    sheet = Sheet("")
    rows = [*(f"# {words(each, 300)}" for each in head), f"checklist: {scalar(id)}", f"title: {scalar(words(title))}"]
    rows += [*top, "sections:"]
    for group in groups:
        rows += [f"  - id: {scalar(group.id)}", f"    title: {scalar(words(group.title))}"]
        if group.phase:
            rows.append(f"    phase: {group.phase}")
        if not group.scored and "scored" in Section.model_fields:
            rows.append("    scored: false")
        rows.append("    steps:")
        for line in group.lines:
            rows += _step(line, found, made, sheet)
    sheet.text = "\n".join(rows) + "\n"
    return sheet


def _step(line: Line, found: Survey, made: Mapping[str, Sequence[Offer]], sheet: Sheet) -> list[str]:
    offered = made.get(line.item.id, ()) if line.item is not None else ()
    fitting = [offer.titled(line.item.title, line.title) for offer in offered] if line.item is not None else []
    ready = next((offer for offer in fitting if offer is not None and offer.ready), None)
    told = list(line.help)
    body: list[str] = []
    severity = "warning" if line.advice or (line.item is not None and not line.item.blocker) else None
    if line.own:
        body = list(line.own)
    elif line.alias is not None:
        body = [f"alias: {scalar(line.alias)}"]
    elif ready is not None:
        told.insert(0, f"Found: {ready.why}.")
        sheet.secrets += _secrets(ready, sheet.secrets)
        body = _asked(ready)
        if ready.half:
            told.append(f"Signed as well: {ready.half}.")
            body.append(f"sign_off: {{ evidence: required, valid_for: {line.item.valid if line.item else '90d'} }}")
    else:
        question = line.question or (line.item.question if line.item is not None else "")
        if line.item is not None:
            told.append(lacking(line.item, found, offered))
        valid = line.item.valid if line.item is not None else "90d"
        body = [f"manual: {scalar(words(question))}", f"sign_off: {{ evidence: required, valid_for: {valid} }}"]
    of = line.alias or line.id
    if any(row.startswith("manual:") for row in body) or of in sheet.asked or (line.alias and not _known(of, sheet)):
        sheet.asked.append(line.id)
    elif of in sheet.both or (line.alias is None and ready is not None and ready.half):
        sheet.both.append(line.id)
    else:
        sheet.measured.append(line.id)
    rows = [f"id: {scalar(line.id)}", f"title: {scalar(words(line.title))}"]
    if line.affects and "affects" in Step.model_fields:
        rows.append(f"affects: {flow(list(line.affects))}")
    elif line.affects:
        told.append(f"While it is open these are only half done: {', '.join(line.affects)}.")
    if told:
        rows.append(f"help: {scalar(words(' '.join(told), 900))}")
    if severity is not None and not line.own:
        rows.append(f"severity: {severity}")
    rows += body
    return [f"      {'- ' if at == 0 else '  '}{row}" for at, row in enumerate(rows)]


def _known(id: str, sheet: Sheet) -> bool:
    return id in sheet.measured or id in sheet.both


def _asked(offer: Offer) -> list[str]:
    rows: list[str] = []
    if offer.params:
        rows.append(f"params: {flow(offer.params)}")
    if "" in offer.asks:
        kind, params = offer.asks[""]
        rows.append(f"{kind}: {flow(params)}")
    else:
        rows.append("probes:")
        rows += [f"  {name}: {{ {kind}: {flow(params)} }}" for name, (kind, params) in offer.asks.items()]
    rows.append(f"expect: {flow(list(offer.expect))}")
    if offer.warn:
        rows.append(f"warn: {flow(list(offer.warn))}")
    return rows


def _secrets(offer: Offer, known: Sequence[str]) -> list[str]:
    named = [str(value) for _, params in offer.asks.values() for key, value in params.items() if key.endswith("_env")]
    return [name for name in dict.fromkeys(named) if name not in known]
