"""The kind `report`: what a scanner, a test run, a load or a build wrote down, and whether that may be believed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, ClassVar, Self, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from captain.errors import ProbeError, UsageError
from captain.fields import Text, wrong
from captain.http.keys import Headers, Url
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.patterns import finder
from captain.systems.report_binding import Wanted, bound
from captain.systems.report_counts import Waiver, counted, together
from captain.systems.report_reading import Read, Reading
from captain.systems.report_url import download
from captain.systems.reports import reports

_MARGIN = 0.9
"""Share of the attempt's time reading may take, so that captain's own error comes before the attempt's end."""
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_WITH_FILTER = ("junit", "locust")


def _format(value: str) -> str:
    if reports.find(value) is None:
        raise wrong(f"{safe(value, 60)} is no format; write one of {', '.join(reports.names())}")
    return value


def _commit(value: str) -> str:
    if "${{" not in value and not _COMMIT.fullmatch(value):
        raise wrong("is no commit; write at least 7 hexadecimal digits, or ${{ release.commit }}")
    return value


def _named(value: str) -> str:
    if not value.strip():
        raise wrong("is empty; say what is meant")
    return value


def _pattern(value: str) -> str:
    try:
        if "${{" not in value:
            finder(value)
    except UsageError as error:
        raise wrong(error.message) from error
    return value


def _day(value: str) -> str:
    try:
        date.fromisoformat(value if len(value) == 10 else "")
    except ValueError:
        raise wrong(f"{safe(value, 40)} is no day; write 2026-12-31") from None
    return value


Said = Annotated[Text, AfterValidator(_named)]


class Ignored(BaseModel):
    """A finding that is accepted for a while."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Said
    """Its id, or another name the report has for it: CVE-…, GHSA-…, a rule."""
    reason: Said
    """Why it is accepted."""
    until: Annotated[Text, AfterValidator(_day)]
    """The last day, `2026-12-31`."""


class Canary(BaseModel):
    """A weakness that was put there to be found: it shows that the scanner's source of advisories answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Said
    """Its id, or the name of the package that has it."""
    path: Said | None = None
    """A report of its own in the same format; default the report itself, where it is not counted."""


@probe("report")
class ReportProbe(Probe):
    """What does the report of a scanner, a test run, a load or a build say, and is it about this release?

    Nothing is counted of a report that is older than the step's `max_age` (24 h), of another artifact, commit or
    lockfile than is asked for, of a tool that says it did not do its work, or that scanned nothing: conditions on its
    counts are then unknown, and the notes say why.

    `problems` is 0 only where the report itself shows all that is asked for (artifact, commit, lockfile, canary):
    where it does not say, a 0 is left out. pip-audit and npm-audit name no commit: bind them with lockfile and sums.

    Of files that `path` means the newest is read; of junit all that are young enough and of no other commit, since
    one run of tests often writes several. What counts as a problem: trivy, npm-audit: critical and high, secrets,
    misconfigurations that are critical or high, a system past its end of life; pip-audit, which knows no severities:
    every vulnerability; sarif: level error, or security-severity from 7.0; junit: failed tests and errors; k6:
    thresholds crossed and checks failed; locust: failed requests; size-limit: bundles over their limit;
    next-loadable: entries that are not lazy. Coverage and next-stats have none: write a condition such as
    `percent >= 80.0`. k6 is what handleSummary writes, k6-export is --summary-export, whose thresholds say the
    opposite. npm-audit without findings needs a canary: a registry without advisories looks the same.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("examined > 0", "problems == 0")
    network: ClassVar[bool] = True
    max_age: ClassVar[timedelta] = timedelta(hours=24)
    errors: ClassVar[str] = (
        "on_error decides (unknown): not of its format, empty or cut off, the server does not answer; "
        "unknown: cannot be read, larger than 8 MiB (a missing file is an answer: found is false)"
    )
    example: ClassVar[str] = """\
id: security-scan-clean
title: The image has no known weakness that can be mended
report: { format: trivy, path: 'reports/trivy-*.json', artifact: 'registry.example.com/shop:1.4.0' }
expect: ['artifact_match', 'secrets == 0', 'critical == 0', 'fixable_high == 0']
max_age: 24h"""

    format: Annotated[
        Text, AfterValidator(_format), WithJsonSchema({"type": "string", "enum": reports.names()}, mode="validation")
    ]
    """Which tool wrote it, in which form."""
    path: Said | None = None
    """A file, or a pattern such as `reports/*.json`, relative to the folder of captain.yaml."""
    url: Url | None = None
    """Where it lies instead; redirects are followed within its origin."""
    headers: Headers = Field(default_factory=dict)
    """With url: headers to send; may hold `${{ secrets.NAME }}`."""
    artifact: Said | None = None
    """The image it must be about: `repo@sha256:…`, an image id or a name with its tag."""
    commit: Annotated[Text, AfterValidator(_commit)] | None = None
    """The commit it must be about, at least 7 digits."""
    lockfile: Said | None = None
    """The lockfile it must be about, as it is now; needs sums."""
    sums: Said | None = None
    """What `sha256sum LOCKFILE REPORT` wrote where the scan ran: shows that the lockfile is the one scanned."""
    canary: Canary | None = None
    """A known weakness that the scanner must have found."""
    ignore: tuple[Ignored, ...] = ()
    """Findings that are accepted for a while: they count as waived until their day is over."""
    filter: Annotated[Text, AfterValidator(_pattern)] | None = None
    """junit, locust: only tests (`classname.name`) or requests (`GET /path`) in which this regex is found count."""
    first_load: Said | None = None
    """next-loadable: route-bundle-stats.json of the same build."""

    class Observes(TypedDict, total=False):
        """What it says, as far as it may be believed."""

        found: Annotated[bool, "a report is there"]
        files: Annotated[int, "files that were read: more than one only of junit"]
        age: Annotated[timedelta, "time since it was written: by itself, else by its file or server"]
        sha256: Annotated[str, "digest of the file, of a single one"]
        tool: Annotated[str, "what wrote it"]
        tool_version: Annotated[str, "the tool's version, where the report says it"]
        error: Annotated[str, "why the tool did not do its work, in its words"]
        artifact_match: Annotated[bool, "it is about `artifact`; left out where the report does not say"]
        commit_match: Annotated[bool, "it is about `commit`; left out where the report does not say"]
        lockfile_match: Annotated[bool, "it is about the lockfile as it is now; left out where sums does not say"]
        canary_found: Annotated[bool, "the canary is among the findings (needs canary)"]
        examined: Annotated[int, "what was looked at: results, packages, tests run, requests, lines, bundles, routes"]
        problems: Annotated[int, "what stands in the way by the format's rule, waived findings left out"]
        total: Annotated[int, "vulnerabilities or findings, waived and suppressed ones left out"]
        critical: Annotated[int, "of them critical (sarif: security-severity from 9.0)"]
        high: Annotated[int, "of them high (from 7.0)"]
        medium: Annotated[int, "of them medium or moderate (from 4.0)"]
        low: Annotated[int, "of them low or info"]
        unknown: Annotated[int, "of them without a severity"]
        fixable: Annotated[int, "of them with a fixed version"]
        fixable_critical: Annotated[int, "critical ones with a fixed version"]
        fixable_high: Annotated[int, "high ones with a fixed version"]
        secrets: Annotated[int, "trivy: secrets found; the report does not say whether they were looked for"]
        misconfig_high: Annotated[int, "trivy: misconfigurations that are critical or high, where it looked for them"]
        os_eosl: Annotated[bool, "trivy: the system in the image, where there is one, is past its end of life"]
        waived: Annotated[int, "findings that ignore accepts today"]
        suppressed: Annotated[int, "sarif: findings that the report itself says were accepted"]
        warnings: Annotated[int, "sarif: findings of level warning"]
        max_security_severity: Annotated[float, "sarif: the highest security-severity that is not suppressed"]
        execution_successful: Annotated[bool, "sarif: every run says that it was successful"]
        tests: Annotated[int, "junit: test cases"]
        passed: Annotated[int, "junit, size-limit: how many passed"]
        failed: Annotated[int, "junit: tests that failed; k6: checks; size-limit: bundles over their limit"]
        failed_names: Annotated[list[str], "their names, at most 100"]
        errors: Annotated[int, "junit: tests with an error; locust: failed requests; sarif: findings of level error"]
        skipped: Annotated[int, "junit: tests skipped, expected failures among them; pip-audit: packages not looked up"]
        skipped_ratio: Annotated[float, "junit: part of the tests that was skipped"]
        duration: Annotated[timedelta, "junit: time of all tests; k6, locust: how long the run was"]
        percent: Annotated[float, "coverage: percent of lines or statements that were run"]
        requests: Annotated[int, "k6, locust: requests sent"]
        error_ratio: Annotated[float, "part of the requests that failed"]
        rps: Annotated[float, "requests per second"]
        p50: Annotated[timedelta, "half of the requests were not slower"]
        p90: Annotated[timedelta, "90 % of them were not slower"]
        p95: Annotated[timedelta, "95 % of them were not slower"]
        p99: Annotated[timedelta, "99 % of them were not slower, where the report says it"]
        slowest: Annotated[timedelta, "the slowest request"]
        thresholds_failed: Annotated[list[str], "k6: thresholds that were crossed; left out where none was set"]
        max_size: Annotated[int, "size-limit: bytes of the largest bundle"]
        routes: Annotated[int, "next-stats: routes"]
        distinct_chunk_sets: Annotated[int, "next-stats: different sets of chunks that routes load first"]
        max_first_load: Annotated[int, "next-stats: bytes of the largest first load, uncompressed"]
        loadable_entries: Annotated[int, "next-loadable: dynamic imports"]
        lazy_entries: Annotated[int, "next-loadable: of them in no route's first load (needs first_load)"]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise wrong("needs `path` or `url`, one of them")
        if self.headers and self.url is None:
            raise wrong("takes `headers` with `url` only")
        if (self.lockfile is None) != (self.sums is None):
            raise wrong("takes `lockfile` and `sums` together: sha256sum LOCKFILE REPORT > SUMS, where the scan runs")
        if self.filter is not None and self.format not in _WITH_FILTER:
            raise wrong("takes `filter` with junit and locust only")
        if self.first_load is not None and self.format != "next-loadable":
            raise wrong("takes `first_load` with next-loadable only")
        return self

    @property
    def where(self) -> str:
        """The file or address it is read from."""
        return self.path or self.url or ""

    @classmethod
    def prepare(cls) -> None:
        from captain.http import load

        load()

    def of_commit(self) -> bool:
        return self.url is None

    def asks(self) -> str:
        return f"{self.format} report {self.where}"

    async def measure(self, ctx: Context) -> Measurement:
        seconds = ctx.timeout.total_seconds() * _MARGIN
        try:
            async with asyncio.timeout(seconds):
                return await self._measured(ctx, timedelta(seconds=seconds))
        except TimeoutError as error:
            raise ProbeError(
                f"{self.asks()}: not read within {seconds:g}s", fault="unclear", hint="raise the step's timeout"
            ) from error

    async def _measured(self, ctx: Context, timeout: timedelta) -> Measurement:
        reading = Reading(
            root=ctx.root,
            format=self.format,
            now=ctx.clock.now(),
            limit=ctx.max_age or ReportProbe.max_age,
            commit=self.commit,
            filter=self.filter,
            first_load=self.first_load,
        )
        if self.url is not None:
            loaded = await download(self.url, self.headers, timeout, reading.now)
            read = await ctx.blocking(lambda: [reading.one(loaded)])
        else:
            read = await ctx.blocking(lambda: reading.of_files(self.path or ""))
        watches = () if self.url is not None else await ctx.blocking(lambda: self._watched(reading))
        if not read:
            note = f"{safe(self.where, 200)}: there is no such file: has the job that writes it run?"
            return Measurement({"found": False}, self.asks(), notes=(note,), watches=watches)
        observed, notes, lines = await ctx.blocking(lambda: self._told(read, reading))
        shown = all(one.document.shown for one in read)
        body = "\n".join([*(f"{one.document.sha256}  {safe(one.document.name, 300)}" for one in read), *lines])
        return Measurement(
            observed=observed,
            asked=self.asks(),
            body=ctx.clip(body) if shown else None,
            truncated=shown and len(body) > TEXT,
            notes=tuple(notes),
            watches=watches,
        )

    def _watched(self, reading: Reading) -> tuple[str, ...]:
        return reading.watched(
            self.path, self.lockfile, self.sums, self.first_load, self.canary.path if self.canary else None
        )

    def _told(self, read: Sequence[Read], reading: Reading) -> tuple[dict[str, Value], list[str], list[str]]:
        """What conditions see, notes, and lines of evidence."""
        facts = together([one.facts for one in read])
        observed: dict[str, Value] = {"found": True, "files": len(read), "tool": facts.tool}
        if facts.tool_version:
            observed["tool_version"] = facts.tool_version
        if len(read) == 1:
            observed["sha256"] = read[0].document.sha256
        ages = [one.age for one in read if one.age is not None]
        if len(ages) == len(read):
            observed["age"] = max(ages)
        matched, why = bound(self._wanted, read, reading)
        observed |= {name: value for name, value in matched.items() if value is not None}
        notes = [*dict.fromkeys(note for one in read for note in one.notes)]
        young = all(reading.young(one) for one in read)
        if not young and "age" in observed:
            why.insert(0, f"it is {_brief(max(ages))} old, and at most {_brief(reading.limit)} count")
        if not {"artifact_match", "commit_match", "lockfile_match"} & {*matched}:
            notes.append("it is bound to no release: give artifact, commit, or lockfile and sums")
        if not young or False in matched.values():
            return observed, [*(f"nothing of it is counted: {one}" for one in why), *notes], []
        waivers = [Waiver(one.id, one.reason, date.fromisoformat(one.until)) for one in self.ignore]
        told = counted(
            facts,
            waivers,
            reading.now.astimezone().date(),
            self._wanted.canary if self._wanted.canary_path is None else None,
            proven=matched.get("canary_found") is True,
        )
        observed |= told.observed
        if None in matched.values() and observed.get("problems") == 0:
            # Who cannot be shown to be meant cannot be cleared; what was found stays a finding.
            del observed["problems"]
        return observed, [*why, *told.notes, *notes], told.lines

    @property
    def _wanted(self) -> Wanted:
        canary = self.canary
        return Wanted(
            artifact=self.artifact,
            commit=self.commit,
            lockfile=self.lockfile,
            sums=self.sums,
            canary=None if canary is None else canary.id,
            canary_path=None if canary is None else canary.path,
        )


def _brief(lasted: timedelta) -> str:
    hours = lasted / timedelta(hours=1)
    return f"{hours / 24:.0f} d" if hours >= 72 else f"{hours:.0f} h" if hours >= 2 else f"{hours * 60:.0f} min"
