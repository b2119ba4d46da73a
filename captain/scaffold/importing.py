"""Turns a checklist kept in Markdown into captain's: known lines become probes, others questions, no tick counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from captain.fields import ID_PATTERN
from captain.scaffold.catalogue import items, known
from captain.scaffold.deployment import STEP
from captain.scaffold.markdown import Listing, Part, Told
from captain.scaffold.quoting import scalar, words
from captain.scaffold.sheets import Group, Line

_ORDER = ("pre", "deploy", "post")
_AFFECTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("circuit breaker", ("sec.tls-external", "add.cb.providers")),
    ("worker health", ("mon.tasks", "add.worker.docker-health")),
    ("load test", ("perf.pooling", "scal.horizontal")),
)
_REMARKS = 60
"""Lines of text kept as comments."""


@dataclass(slots=True)
class Imported:
    """What came of one file."""

    review: list[Group] = field(default_factory=list)
    deploy: list[Group] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    """What the file says of itself, for the top of the checklist."""
    doubts: list[str] = field(default_factory=list)
    """Where the file contradicts itself."""
    known: int = 0
    lines: int = 0


class _Names:
    """Ids of sections and steps, which share one namespace."""

    def __init__(self) -> None:
        self.taken = {"review"}

    def take(self, wanted: str, fallback: str) -> str:
        low = re.sub(r"[^a-z0-9._-]+", "-", wanted.casefold().replace("&", "and")).strip("-._")[:56].rstrip("-._")
        name = low if re.fullmatch(ID_PATTERN, low) else fallback
        free, at = name, 1
        while free in self.taken:
            at += 1
            free = f"{name}-{at}"
        self.taken.add(free)
        return free


def imported(listing: Listing, file: str, deploy_text: str) -> Imported:
    """Sections and lines in their order; `deploy_text` is the checklist whose steps a deployment's lines stand for."""
    found = Imported(head=list(_head(listing, file)), doubts=list(_doubts(listing)))
    found.lines = sum(len(part.lines) for part in listing.parts)
    review = [part for part in listing.parts if part.role not in _ORDER]
    phases = sorted((part for part in listing.parts if part.role in _ORDER), key=lambda part: _ORDER.index(part.role))
    claim = _Claim(file, listing.date)
    _review(review, claim, found)
    _deploy(phases, claim, found, deploy_text)
    return found


@dataclass(slots=True)
class _Claim:
    file: str
    date: str

    def of(self, line: Told) -> list[str]:
        """What is known of a line: where it stood, whether it was ticked, which tasks it names."""
        on = f" on {self.date}" if self.date else ""
        where = f"Line {line.line} of {self.file}."
        ticked = f"Ticked in the imported file{on}, not verified." if line.ticked else ""
        refs = f"Tasks: {', '.join(line.refs)}." if line.refs else ""
        return [one for one in (ticked, where, refs) if one]


def _review(parts: list[Part], claim: _Claim, found: Imported) -> None:
    names = _Names()
    used: set[str] = set()
    meant: dict[int, str] = {}
    for part in parts:
        for line in part.lines:
            item = known(line.text, part.title, used) if part.role in ("review", "addition") else None
            if item is not None:
                used.add(item.id)
                meant[id(line)] = names.take(item.id, item.id)
    for part in parts:
        short = {"gap": "gaps", "advice": "recommendations"}.get(part.role, part.title)
        group = Group(names.take(short, "section"), part.title, scored=part.role == "review")
        for number, line in enumerate(part.lines, 1):
            group.lines.append(_line(part, line, number, names, meant.get(id(line)), claim, used))
        found.review.append(group)
    found.known += len(meant)


def _line(
    part: Part, line: Told, number: int, names: _Names, item_id: str | None, claim: _Claim, used: set[str]
) -> Line:
    told = claim.of(line)
    if item_id is not None:
        item = items()[item_id]
        alias = item.alias if item.alias in used else None
        return Line(item_id, line.text, item, alias, help=told)
    if part.role == "gap":
        low = line.text.casefold()
        touched = next((ids for word, ids in _AFFECTS if word in low), ())
        affects = tuple(one for one in touched if one in used)
        question = "Close this gap and show what proves it."
        return Line(names.take(f"gap.{number}", "gap"), line.text, question=question, help=told, affects=affects)
    if part.role == "advice":
        question = "Give the record that this was done, and for which release."
        return Line(names.take(f"rec.{number}", "rec"), line.text, question=question, help=told, advice=True)
    question = "Show what proves this: a page, a log or a measurement."
    return Line(names.take(line.text, "step"), line.text, question=question, help=told)


def _deploy(parts: list[Part], claim: _Claim, found: Imported, deploy_text: str) -> None:
    """Lines of a deployment keep captain's own steps where they have the same title."""
    names = _Names()
    shipped = {_plain(match["title"]): match for match in STEP.finditer(deploy_text)}
    chosen = {match["id"] for part in parts for line in part.lines if (match := shipped.get(_plain(line.text)))}
    for part in parts:
        group = Group("", part.title, phase=part.role)
        for line in part.lines:
            match = shipped.pop(_plain(line.text), None)
            told = claim.of(line)
            if match is None:
                question = "Show what proves this for this release: a page, a log or a measurement."
                group.lines.append(Line(names.take(line.text, "step"), line.text, question=question, help=told))
                continue
            found.known += 1
            rows = [row[8:] for row in match["rest"].rstrip("\n").split("\n")]
            said = [row.removeprefix("help: ") for row in rows if row.startswith("help: ")]
            own = tuple(
                row
                for row in rows
                if not row.startswith("help: ") and not (row.startswith("needs:") and not _needed(row) <= chosen)
            )
            group.lines.append(Line(names.take(match["id"], "step"), line.text, help=[*told, *said], own=own))
        found.deploy.append(group)
    for group in found.deploy:
        group.id = names.take({"deploy": "deploy"}.get(group.phase or "", group.phase or "section"), "section")


def _needed(row: str) -> set[str]:
    return set(re.findall(r"[a-z0-9][a-z0-9._-]*", row.partition(":")[2]))


def _plain(title: str) -> str:
    return " ".join(re.sub(r"[^\w]+", " ", title.casefold()).split())


def _head(listing: Listing, file: str) -> Iterator[str]:
    mended = ", its characters repaired" if listing.repaired else ""
    yield f"Imported from {file}{mended}. Its ticks are claims: every line is measured or signed anew."
    if listing.title:
        yield listing.title
    for key, value in listing.meta[:_REMARKS]:
        yield f"  {key}: {value}"
    if listing.scores:
        yield "  Claimed, not computed: " + ", ".join(f"{name} {score} %" for name, score in listing.scores[:_REMARKS])
    for line in listing.prose[:_REMARKS]:
        yield f"  {line}"


def _doubts(listing: Listing) -> Iterator[str]:
    """What a reader should know before believing the file."""
    boxes = [line for part in listing.parts if part.role == "review" for line in part.lines]
    low = [f"{name} {score} %" for name, score in listing.scores if score < 100]
    if boxes and all(line.ticked for line in boxes) and low:
        yield f"all {len(boxes)} lines are ticked, yet it scores {', '.join(low)}"
    gaps = [line for part in listing.parts if part.role == "gap" for line in part.lines]
    verdict = re.compile(r"\byes\b|production ready|complete\b", re.IGNORECASE)
    said = [*listing.prose, *(value for _, value in listing.meta)]
    if gaps and any(verdict.search(one) for one in said):
        yield f"it calls itself ready, yet {len(gaps)} remaining {'item is' if len(gaps) == 1 else 'items are'} named"
    for part in listing.parts:
        if part.role in ("post", "advice") and any(line.ticked for line in part.lines):
            yield f"{scalar(words(part.title, 60))} is ticked before any deployment of the next release"
