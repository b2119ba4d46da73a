"""The known items of a readiness review: what each is called, what it is about and what a person would show.

Holds words only: which of them captain can measure in a repository is said in `offers`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

from captain.scaffold.items import ITEMS

SECTIONS = {
    "infra": "Infrastructure",
    "db": "Database",
    "sec": "Security",
    "ci": "CI/CD",
    "mon": "Monitoring",
    "log": "Logging",
    "perf": "Performance",
    "dr": "Backup and disaster recovery",
    "doc": "Documentation",
    "scal": "Scalability",
    "add": "Additions",
}
"""By the first part of an item's id."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line that a review may have."""

    id: str
    title: str
    about: frozenset[str]
    """What a repository must have for the item to mean anything there; empty for all."""
    blocker: bool
    valid: str
    """How long a person's word counts."""
    question: str
    alias: str | None
    """The item it repeats under another heading."""

    @property
    def section(self) -> str:
        return self.id.partition(".")[0]


@cache
def items() -> dict[str, Item]:
    """Every item by its id, in the order of a review."""
    found: dict[str, Item] = {}
    for block in ITEMS.strip().split("\n\n"):
        head, title, *question = block.split("\n")
        id, *marks = head.split()
        about = frozenset(mark for mark in marks if mark[0] not in "!=" and not mark[0].isdigit())
        valid = next((mark for mark in marks if mark[0].isdigit()), "90d")
        alias = next((mark[1:] for mark in marks if mark.startswith("=")), None)
        found[id] = Item(id, title, about, "!" in marks, valid, " ".join(question), alias)
    return found


def known(title: str, section: str, used: frozenset[str] | set[str] = frozenset()) -> Item | None:
    """The item that a line of somebody's list means: the same words, whatever the numbers in it.

    Where several items have the same words the section's heading decides, then which is not used yet. Words in
    brackets count, as in "(Trivy)": what is said of another scanner is another item. A line without the brackets is
    the one with them.
    """
    asked = _plain(title)
    if not asked:
        return None
    near = [one for one in items().values() if asked in (_plain(one.title), _plain(_bare(one.title)))]
    heading = _plain(section)
    ranked = sorted(near, key=lambda one: (not _fits(one, heading), one.id in used))
    return next((one for one in ranked if one.id not in used), None)


def _fits(item: Item, heading: str) -> bool:
    title = set(_plain(SECTIONS[item.section]).split())
    return bool(title & set(heading.split()))


def _bare(title: str) -> str:
    return re.sub(r"\([^()]*\)", " ", title)


@lru_cache(4096)
def _plain(text: str) -> str:
    """Words alone: no case, no signs, and every number the same."""
    text = unicodedata.normalize("NFKC", text[:400]).casefold()
    return " ".join(re.sub(r"\d+(?:[.,]\d+)?", "0", re.sub(r"[^\w]+", " ", text)).split())
