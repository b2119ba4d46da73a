"""The kind `metrics`: what a service says of itself at its own metrics endpoint."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from captain.errors import UsageError
from captain.fields import Bool, Duration, Name, PositiveInt, Text, wrong
from captain.http import fetch
from captain.http.keys import Headers, Url
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, Safety, probe
from captain.safe import safe
from captain.systems.metrics.exposition import Exposition, Family, Selector, selector
from captain.systems.metrics.scraping import Place, Scraper, Scrapes
from captain.systems.patterns import chooser

_MARGIN = 0.9
"""Share of the attempt's time the scrapes may take, so that an error of their own comes before the attempt's end."""
_RAW_ID = re.compile(r"\d{3,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_SHOWN = 5
_RETRIES = 3
"""Scrapes after the requests of `delta`, until the counter has moved."""
Observed = dict[str, Value]


def _choice(value: str) -> str:
    if "${{" not in value:
        try:
            chooser(value)
        except UsageError as error:
            raise wrong(error.message) from error
    return value


def _series(value: str) -> str:
    if "${{" not in value:
        try:
            selector(value)
        except ValueError as error:
            raise wrong(str(error)) from error
    return value


Chosen = Annotated[Text, AfterValidator(_choice)]
Series = Annotated[Text, AfterValidator(_series)]


class Request(BaseModel):
    """Requests that a counter should count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url
    """What is asked for."""
    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = "GET"
    """How."""
    count: Annotated[PositiveInt, Field(le=100)] = 5
    """How often, one after another."""
    headers: Headers = Field(default_factory=dict)
    """May hold `${{ secrets.NAME }}`."""


class Delta(BaseModel):
    """What a counter should do when requests are sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: Request
    """What is sent."""
    metric: Text
    """The name of the series, such as http_requests_total."""
    labels: Mapping[Text, Text] = Field(default_factory=dict)
    """Labels the series must have among others; what other series of the name gained is `delta_elsewhere`."""


@probe("metrics")
class MetricsProbe(Probe):
    """Are the metrics that a service serves readable, complete and consistent?

    Scrapes several times on fresh connections: a counter that goes down or vanishes shows several processes that
    each count for themselves behind one port. Counting: `families` are the metrics of TYPE lines (and samples without
    one), `app_families` those that `exclude` leaves and that have samples, `names` the distinct names of series, to
    which Prometheus adds five of its own, `series` all series. A family without a sample is announced, not there: a
    counter with labels has none until it counted once. Where the answer is not 200 or cannot be read nothing is
    counted.
    """

    default_expect: ClassVar[tuple[str, ...]] = (
        "status == 200",
        "parse_errors == 0",
        "series > 0",
        "decreasing_counters == 0",
    )
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "fail: refused, reset, closed, certificate not verifying, no answer in time; on_error decides (fail): name not "
        "resolved, no connection in time, an answer that is not HTTP; unknown: captain's own limits and files"
    )
    more_than_reading: ClassVar[str] = "with delta it is active: it sends that many marked requests"
    example: ClassVar[str] = """\
id: metrics-endpoint
title: Prometheus metrics endpoint
metrics: { url: 'http://shop:8000/metrics', require: [http_requests_total, http_request_duration_seconds] }
expect:
  - status == 200 && content_type_ok && parse_errors == 0 && decreasing_counters == 0
  - app_families >= 10 && size(missing) == 0
  - endpoint_labels >= 3 && max_cardinality <= 500 && raw_ids == 0"""

    url: Url
    """Where the service serves its metrics."""
    format: Literal["text", "openmetrics"] = "text"
    """Which format to ask for; what comes back is read as what it says it is."""
    scrapes: Annotated[PositiveInt, Field(le=50)] = 8
    """How often to scrape: of two processes, eight scrapes meet only one in 1 of 128 cases."""
    every: Duration = timedelta(milliseconds=100)
    """Time between two scrapes."""
    exclude: tuple[Chosen, ...] = ("/^python_/", "/^process_/", "/_created$/")
    """Families that are not the application's own, exact or `/regex/`."""
    require: tuple[Chosen, ...] = ()
    """Families or series that must be there with a sample, exact or `/regex/`."""
    endpoint: tuple[Text, ...] = ("endpoint", "handler", "path", "route", "view")
    """Labels that name the endpoint of a request."""
    max_cardinality: PositiveInt = 500
    """Label combinations of a family above which a note names it."""
    values: Mapping[Name, Series] = Field(default_factory=dict)
    """Values to read by name: `{ pool: 'db_connections{pool="main"}' }` is `values.pool`. One series each."""
    delta: Delta | None = None
    """Requests to send and the counter that must count them: request (url, method, count, headers), metric, labels."""
    headers: Headers = Field(default_factory=dict)
    """Sent with each scrape; may hold `${{ secrets.NAME }}`."""
    ca_file: Text | None = None
    """Certificate authorities to trust instead of the machine's, a PEM file."""
    verify: Bool = True
    """Whether the certificate is verified."""

    class Observes(TypedDict, total=False):
        """What the scrapes said; counts are those of the last one."""

        status: Annotated[int, "the status code of the last scrape"]
        content_type_ok: Annotated[bool, "the answer says that it is metrics"]
        scrape: Annotated[timedelta, "time of the slowest scrape"]
        size: Annotated[int, "bytes of the last scrape"]
        parse_errors: Annotated[int, "lines that are none of the format, series and TYPE lines that stand there twice"]
        families: Annotated[int, "metrics"]
        app_families: Annotated[int, "of them the application's own, with samples"]
        empty_families: Annotated[int, "of them the application's own, without: labelled ones that never counted"]
        names: Annotated[int, "distinct names of series"]
        series: Annotated[int, "series"]
        types: Annotated[dict[str, int], "families by type: counter, gauge, histogram, summary, unknown"]
        missing: Annotated[list[str], "of require, what is not there"]
        decreasing_counters: Annotated[int, "counters that went down or vanished between scrapes"]
        processes: Annotated[int, "processes that answered, by their start times"]
        endpoint_labels: Annotated[int, "distinct endpoints in the labels of the application's families"]
        raw_ids: Annotated[int, "of them those that hold an id: three digits in a row, or a UUID"]
        max_cardinality: Annotated[int, "the most label combinations of one family of the application"]
        histogram_families: Annotated[int, "histograms of the application with buckets, sum and count"]
        min_finite_buckets: Annotated[int, "the fewest finite buckets of one of them"]
        values: Annotated[dict[str, float], "the values asked for that are one finite number"]
        tried: Annotated[bool, "the requests were sent; false where that was not permitted (needs delta)"]
        delta_observed: Annotated[float, "by how much the counter of delta went up"]
        delta_elsewhere: Annotated[float, "by how much the other series of its name went up meanwhile"]

    @classmethod
    def prepare(cls) -> None:
        from captain.http import load

        load()

    def asks(self) -> str:
        sent = self.delta and self.delta.request
        more = f", then {sent.count} requests to {sent.url}" if sent else ""
        return f"GET {self.url} ×{self.scrapes}{more}"

    @property
    def safety(self) -> Safety:
        return "read" if self.delta is None else "active"

    async def measure(self, ctx: Context) -> Measurement:
        scraper = Scraper(self._place(ctx), ctx.timeout * _MARGIN, ctx.blocking)
        notes: list[str] = []
        delta: Observed = {}
        going = True
        for at in range(self.scrapes):
            if at:
                await scraper.pause(self.every)
                if not scraper.has_time:
                    notes.append(f"{at} of {self.scrapes} scrapes: there was no time for more")
                    break
            if not (going := await scraper.scrape()):
                break
        if going and self.delta is not None:
            delta = {"tried": True} | await self._delta(scraper, self.delta, ctx, notes)
        seen = scraper.seen
        observed: Observed = {
            "status": seen.status,
            "content_type_ok": seen.content_type_ok,
            "scrape": seen.slowest,
            **self._counted(seen, notes),
            **delta,
        }
        if not self.verify and self.url.startswith("https:"):
            notes.append("the certificate was not verified (verify: false)")
        return Measurement(
            observed=observed,
            asked=self.asks(),
            body=ctx.clip(seen.body),
            truncated=len(seen.body) > TEXT,
            notes=tuple(notes),
        )

    def _place(self, ctx: Context) -> Place:
        wanted = [selector(one) for one in self.values.values()]
        if self.delta is not None:
            wanted += [Selector(self.delta.metric, self.delta.labels), Selector(self.delta.metric, {})]
        ca_file = None if self.ca_file is None else ctx.root / self.ca_file
        return Place(self.url, self.headers, ca_file, self.verify, self.format, wanted, self.endpoint)

    def _counted(self, seen: Scrapes, notes: list[str]) -> Observed:
        """What the scrapes come to; nothing where the last one could not be read."""
        if seen.why or seen.last is None:
            notes.append(f"{seen.why}; nothing is counted")
            return {}
        if seen.errors:
            notes += [f"not readable: {words}" for words in seen.errors[:_SHOWN]]
            return {"parse_errors": len(seen.errors), "size": seen.size}
        last = seen.last
        excluded = [chooser(name) for name in self.exclude]
        own = [one for name, one in last.families.items() if not any(chosen(name) for chosen in excluded)]
        app = [one for one in own if one.samples]
        if empty := [one.name for one in own if not one.samples]:
            shown = ", ".join(safe(name, 120) for name in empty[:_SHOWN])
            notes.append(f"{len(empty)} families have a TYPE line and no sample, so they count as missing: {shown}")
        observed: Observed = {
            "parse_errors": 0,
            "size": seen.size,
            "families": len(last.families),
            "app_families": len(app),
            "empty_families": len(empty),
            "names": last.names,
            "series": last.series,
            "types": {kind: sum(one.type == kind for one in last.families.values()) for kind in _types(last)},
            "missing": [name for name in self.require if not _there(name, last)],
            "max_cardinality": max((len(one.combinations) for one in app), default=0),
            **self._consistent(seen, notes),
            **_endpoints(last, app, notes),
        }
        histograms = [one.finite_buckets for one in app if one.is_histogram]
        observed["histogram_families"] = len(histograms)
        if histograms:
            observed["min_finite_buckets"] = min(histograms)
        large = [f"{one.name} ({len(one.combinations)})" for one in app if len(one.combinations) > self.max_cardinality]
        if large:
            notes.append(f"more than {self.max_cardinality} label combinations: {', '.join(large[:_SHOWN])}")
        if self.values:
            observed["values"] = self._values(last, notes)
        return observed

    def _consistent(self, seen: Scrapes, notes: list[str]) -> Observed:
        found: Observed = {}
        if seen.started:
            found["processes"] = len(seen.started)
        if seen.count < 2 or not (seen.last and (seen.last.counters or seen.fallen)):
            notes.append("no counter was scraped twice, so whether counters go down is not known")
            return found
        found["decreasing_counters"] = len(seen.fallen)
        if seen.fallen:
            shown = ", ".join(safe(name, 120) for name in sorted(seen.fallen)[:_SHOWN])
            notes.append(f"went down or vanished: {shown}")
            several = f"{len(seen.started)} processes answered" if len(seen.started) > 1 else "a restart, or several"
            notes.append(f"{several}: each counts for itself; share the metrics (PROMETHEUS_MULTIPROC_DIR)")
        return found

    def _values(self, last: Exposition, notes: list[str]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for (name, written), values in zip(self.values.items(), last.wanted, strict=False):
            if len(values) == 1 and math.isfinite(values[0]):
                found[name] = values[0]
            else:
                why = f"{len(values)} series match" if len(values) != 1 else f"it is {values[0]}"
                notes.append(f"values.{name}: no value of {safe(written, 120)}: {why}")
        return found

    async def _delta(self, scraper: Scraper, delta: Delta, ctx: Context, notes: list[str]) -> Observed:
        """Send the requests, scrape again and compare."""
        before = scraper.seen.last
        statuses: dict[int, int] = {}
        headers = {**delta.request.headers, "X-Captain-Probe": ctx.run or "unrecorded"}
        ca_file = None if self.ca_file is None else ctx.root / self.ca_file
        for _ in range(delta.request.count):
            reply = await fetch(
                delta.request.url,
                timeout=scraper.left,
                method=delta.request.method,
                headers=headers,
                ca_file=ca_file,
                verify=self.verify,
            )
            statuses[reply.status] = statuses.get(reply.status, 0) + 1
        shown = ", ".join(f"{status} ×{count}" for status, count in sorted(statuses.items()))
        notes.append(f"{delta.request.count} requests to {delta.request.url} answered {shown}")
        gained = everywhere = 0.0
        there = False
        for _ in range(_RETRIES):
            await scraper.pause(self.every)
            if not await scraper.scrape() or before is None or (after := scraper.seen.last) is None:
                return {}
            (chosen, every), (earlier, all_earlier) = after.wanted[-2:], before.wanted[-2:]
            there = bool(chosen)
            gained = math.fsum(chosen) - math.fsum(earlier)
            everywhere = math.fsum(every) - math.fsum(all_earlier)
            if gained >= delta.request.count:
                break
        if scraper.seen.fallen or len(scraper.seen.started) > 1:
            notes.append("the scrapes do not go together, so what the counter gained is not known")
            return {}
        if not there:
            notes.append(f"there is no series {safe(delta.metric, 120)} with these labels")
        if not (math.isfinite(gained) and math.isfinite(everywhere)):
            return {}
        return {"delta_observed": gained, "delta_elsewhere": everywhere - gained}


def _types(last: Exposition) -> list[str]:
    return sorted({one.type for one in last.families.values()})


def _there(wanted: str, last: Exposition) -> bool:
    chosen = chooser(wanted)
    return any(one.samples and (chosen(name) or any(map(chosen, one.samples))) for name, one in last.families.items())


def _endpoints(last: Exposition, app: list[Family], notes: list[str]) -> Observed:
    """Endpoints in labels: left out of raw_ids where there is no such label to look at."""
    found: set[str] = set()
    for one in app:
        found |= last.labels.get(one.name, set())
    if not found:
        return {"endpoint_labels": 0}
    raw = sorted(value for value in found if _RAW_ID.search(value))
    if raw:
        notes.append(f"ids in labels: {', '.join(safe(value, 80) for value in raw[:_SHOWN])}")
    return {"endpoint_labels": len(found), "raw_ids": len(raw)}
