"""An open run as the log recorded it, drawn while everything else is still being loaded.

Shows what stands in entries and judges nothing: a sign-off that was given is called signed, whatever it counts for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from textual.content import Content

from captain.documents import read_yaml
from captain.documents.nodes import Node
from captain.log.recall import recall
from captain.run import Run, fold
from captain.tui.moment import Known
from captain.tui.present import Look, Mark, age, mark_of, spread, verdict_mark


@dataclass(frozen=True, slots=True)
class Recalled:
    """A run and the titles of its pinned checklist."""

    run: Run
    sections: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """Title of each section, with id and title of its steps."""

    def rows(self, look: Look, width: int, now: datetime) -> list[Content]:
        """The rows of the checklist panel, without a cursor."""
        found: list[Content] = []
        for title, steps in self.sections:
            if found:
                found.append(Content(""))
            found.append(spread(width, look.say(title, "muted")))
            for step, name in steps:
                mark, when = self._mark(step)
                left = Content.assemble("  ", look.mark(mark), look.say(name, "muted"))
                found.append(spread(width, left, look.say(age(when, now), "muted") if when else ""))
        return found

    def _mark(self, step: str) -> tuple[Mark, datetime | None]:
        result = self.run.results.get(step)
        if result is not None:
            return verdict_mark(result.verdict), result.at
        signed = self.run.signed("step", step)
        if signed:
            return Mark("◆", "signed", "muted"), max(one.event.at for one in signed)
        return mark_of("todo"), None


def recalled(log: Path, known: Known) -> Recalled | None:
    """What the log has of the open run, or None where there is none or it cannot be read like this."""
    found = recall(log, known.service, known.environment, known.version)
    run = fold(found.events) if found is not None else None
    if found is None or run is None:
        return None
    return Recalled(run, _sections(found.files, run.checklist))


def _sections(files: Mapping[str, bytes], checklist: str) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    for path, data in files.items():
        root = read_yaml(data, path).root
        if root is None or _text(root, "checklist") != checklist:
            continue
        sections = root.get("sections")
        return tuple((_text(section, "title"), _steps(section)) for section in (sections.items if sections else ()))
    return ()


def _steps(section: Node) -> tuple[tuple[str, str], ...]:
    steps = section.get("steps")
    return tuple((_text(step, "id"), _text(step, "title")) for step in (steps.items if steps else ()))


def _text(node: Node, key: str) -> str:
    found = node.get(key)
    return found.text or "" if found is not None else ""
