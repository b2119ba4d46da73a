"""What reports of scanners, tests, loads and builds have in common. Reads no file and gives no verdict.

A format is one file of this package, named as the format, with one function under `@reads("sarif")`: it turns bytes
into `Facts`, or raises ValueError with a sentence for what is no report of its format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from captain.measurement import Value
from captain.registry import Registry

LIMIT = 8 * 1024 * 1024
"""Bytes of all that one report may hold."""

Severity = Literal["critical", "high", "medium", "low", "unknown"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "unknown")
Kind = Literal["vulnerability", "misconfiguration", "secret", "result"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a scanner found."""

    kind: Kind
    advisories: tuple[tuple[str, ...], ...]
    """What it rests on, each with all its names: it is waived where one name of every one is."""
    where: str
    """Package, file and line, or target. Never what a secret is."""
    blocking: bool
    """Whether it stands in the way by the rule of its format."""
    package: str = ""
    severity: Severity | None = None
    """None where the format knows none."""
    fixable: bool | None = None
    """Whether a fixed version is out; None where the format does not say."""
    level: str | None = None
    """SARIF's error, warning or note."""
    suppressed: bool = False
    """Whether the report itself says that it was accepted."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a report says of the artifact that was scanned."""

    name: str
    image_id: str = ""
    digests: tuple[str, ...] = ()
    """As `repo@sha256:…`."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader may need beside the report."""

    chosen: Callable[[str], bool] | None = None
    """Which tests count, by `classname.name`; None for all."""
    first_load: bytes | None = None
    """Next.js: the bundle statistics of the same build."""


@dataclass(slots=True)
class Facts:
    """What one report says."""

    tool: str
    tool_version: str = ""
    created: datetime | None = None
    """When it was written, by itself; without a zone where it names none."""
    image: Image | None = None
    commit: str | None = None
    examined: int | None = None
    """How many things were looked at; None where the report does not say."""
    findings: list[Finding] | None = None
    """None where the format has none to give."""
    severities: bool = True
    """Whether its findings have severities."""
    fixes: bool = True
    """Whether it says which of them a new version mends."""
    levels: bool = False
    """Whether its findings have levels, and a severity only where it is known."""
    parts: bool = False
    """Whether one run writes several such files, so that all of them count."""
    vulnerabilities: bool = True
    """Whether it looked for vulnerabilities."""
    misconfigurations: bool = False
    """Whether it looked for misconfigurations."""
    secrets: bool = False
    """Whether it may say of secrets that there are none."""
    observed: dict[str, Value] = field(default_factory=dict)
    """What else conditions see."""
    problems: int | None = 0
    """What stands in the way besides the findings; None where nothing says what would."""
    incomplete: str | None = None
    """Why finding nothing proves nothing, or None: then a zero is left out, what was found stays."""
    needs_canary: bool = False
    """Whether a source without advisories would have given the same, so that only a canary shows that it has some."""
    refused: str | None = None
    """Why the tool did not do its work, in its own words, or None: then nothing of it counts."""
    details: list[str] = field(default_factory=list)
    """Lines of evidence besides the findings."""
    notes: list[str] = field(default_factory=list)

    def put(self, more: Mapping[str, Value | None]) -> None:
        """Observe those that are not None."""
        self.observed |= {name: value for name, value in more.items() if value is not None}


Reader = Callable[[bytes, Asked], Facts]
reports: Registry[Reader] = Registry("captain.systems.reports", "captain.reports")
reads = reports.register
"""Register the reader of a format under the name that files use."""
