"""Which checklists `init` would write, from what was found and from a list that somebody kept. Writes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from captain.scaffold.deployment import deployment
from captain.scaffold.importing import imported
from captain.scaffold.markdown import read_markdown
from captain.scaffold.quoting import words
from captain.scaffold.sheets import Group, Sheet, review, write_sheet
from captain.scaffold.survey import Survey

_DEFAULTS = re.compile(r"(?m)^defaults: .*$")


@dataclass(slots=True)
class Files:
    """What is to be written, and what to say about it."""

    sheets: Mapping[str, str]
    """Texts of checklists by path."""
    measured: int = 0
    both: int = 0
    asked: int = 0
    secrets: list[str] = field(default_factory=list)
    """Names that probes of them need."""
    said: list[str] = field(default_factory=list)
    """What an imported file held."""
    doubts: list[str] = field(default_factory=list)
    """Where it contradicts itself."""


def planned(
    found: Survey, shipped: str, source: tuple[str, bytes] | None, *, beside: str | None, repository: str | None = None
) -> Files:
    """The checklists of a repository.

    `shipped` is the text of captain's own, `repository` the name on the forge. `source` is the name and content of a
    list to import. `beside` begins the ids of imported checklists where others are there already; without `source`
    nothing is written then. Raises UsageError for a source that is no checklist.
    """
    deploy, secrets = deployment(shipped, found, repository)
    found.repository = repository
    if source is not None:
        files = _imported(found, deploy, source, beside)
        asked = any("token_env: 'GITHUB_TOKEN'" in text for text in files.sheets.values())
        files.secrets += [name for name in secrets if asked and name not in files.secrets]
        return files
    if beside is not None:
        return Files({})
    head = ["What makes this service ready, found by captain init. Questions say what would make them measurable."]
    sheet = write_sheet("readiness", "Production readiness", review(found), found, head=head, top=["per: service"])
    files = _files({"checklists/deploy.yaml": deploy}, [sheet], {"checklists/readiness.yaml": sheet.text})
    files.secrets += [name for name in secrets if name not in files.secrets]
    return files


def _imported(found: Survey, deploy: str, source: tuple[str, bytes], beside: str | None) -> Files:
    name = words(source[0], 120)
    listing = read_markdown(source[1])
    made = imported(listing, name, deploy)
    texts: dict[str, str] = {}
    sheets: list[Sheet] = []

    def add(id: str, title: str, groups: list[Group], top: list[str]) -> None:
        sheet = write_sheet(id, title, groups, found, head=made.head, top=top)
        sheets.append(sheet)
        texts[f"checklists/{id}.yaml"] = sheet.text

    if made.deploy:
        defaults = [match.group() for match in _DEFAULTS.finditer(deploy)]
        add(f"{beside}-deploy" if beside else "deploy", "Deployment", made.deploy, defaults)
    elif beside is None:
        texts["checklists/deploy.yaml"] = deploy
    if made.review:
        title = listing.title or "Production readiness"
        add(beside or "readiness", title, made.review, ["per: service"])
    files = _files({}, sheets, texts)
    mended = ", repaired where its characters were garbled" if listing.repaired else ""
    files.said = [
        f"{name}: {made.lines} lines, {made.known} of them known{mended}; {listing.ticked} ticks, none counts"
    ]
    files.doubts = made.doubts
    return files


def _files(before: Mapping[str, str], sheets: list[Sheet], texts: Mapping[str, str]) -> Files:
    secrets = list(dict.fromkeys(name for sheet in sheets for name in sheet.secrets))
    measured = sum(len(sheet.measured) for sheet in sheets)
    both, asked = (sum(map(len, counted)) for counted in ([s.both for s in sheets], [s.asked for s in sheets]))
    return Files({**before, **texts}, measured, both, asked, secrets)
