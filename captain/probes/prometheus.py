"""The kind `prometheus`: what a Prometheus has measured, and what it says of its own targets, alerts and rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, Field, model_validator

from captain.errors import ProbeError, UsageError
from captain.fields import Bool, Duration, Text, parse_duration, wrong
from captain.http.keys import BaseUrl, Headers
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.metrics.prometheus import Answer, Endpoint, Prometheus
from captain.systems.metrics.prometheus_query import COVERED, At, Question, evaluate
from captain.systems.metrics.prometheus_values import Malformed, Reduce
from captain.systems.metrics.prometheus_watching import LATE, alerts_of, jobs_of, rules_of, targets_of
from captain.systems.metrics.promql import reading
from captain.systems.patterns import chooser

_MARGIN = 0.9
"""Share of the attempt's time Prometheus may take, so that its own error comes before the attempt's end."""
_AT = re.compile(r"(now|deploy)(?:([+-])((?:0|[1-9][0-9]*)(?:ms|s|m|h|d)))?")
_POINTS = 10_000
_MINUTE = timedelta(minutes=1)
_LABELS = 100
_SHOWN = 5
_BELONGS = {
    "job": ("targets",),
    "ignore_alerts": ("alerts",),
    "require_rules": ("rules",),
    "query": ("query", "range"),
    "at": ("query", "range"),
    "reduce": ("query", "range"),
    "empty": ("query", "range"),
    "window": ("range",),
    "step": ("range",),
}
Observed = dict[str, Value]


def _choice(value: str) -> str:
    if "${{" not in value:
        try:
            chooser(value)
        except UsageError as error:
            raise wrong(error.message) from error
    return value


def _moment(value: str) -> str:
    if "${{" in value or _AT.fullmatch(value):
        return value
    try:
        if datetime.fromisoformat(value).tzinfo is not None:
            return value
    except ValueError:
        pass
    raise wrong("takes now, deploy, either with -30m or +5m behind it, or a moment such as 2026-11-23T14:00:00Z")


Chosen = Annotated[Text, AfterValidator(_choice)]


_EXPECTS = {
    "targets": ("total > 0", "up == total"),
    "alerts": ("firing_count == 0",),
    "rules": ("rules > 0", "rules_unhealthy == 0", "size(rules_missing) == 0"),
    "buildinfo": ('version != ""',),
}
"""What is expected by default where the mode asks for no value."""


@probe("prometheus")
class PrometheusProbe(Probe):
    """What has Prometheus measured, and does it scrape, evaluate and alert as it should?

    Asks with GET only. `value` is observed only where it was measured: not for an empty result, NaN or infinity,
    several series that nothing reduces, an answer with warnings (a part may be missing), series that are not
    scraped any more or cannot be looked up, and less than 90 % of a window. An `or vector(0)` at the end of a query
    is left off, since it is 0 with the product down too: write
    `(sum(rate(errors[5m])) or vector(0)) / sum(rate(all[5m]))`, or, where no series means none, `empty: zero`, which
    keeps it.

    In a checklist with per: service, mode range can stand beside `soak: { for: 24h, coverage: 0.95 }`, with reduce: the
    time since the newest deployment is asked about, and judged when it is over. A query of what need not be there
    covers it only together with something that is: `sum(ALERTS{alertstate="firing"}) or 0 * count(up)`.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("value > 0.0",)
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "on_error decides (unknown): no connection, no answer in time, Prometheus starting or failing, no target of "
        "the job; unknown: a query it refuses, 401 and 403, an answer that is no Prometheus'"
    )
    example: ClassVar[str] = """\
id: error-ratio
title: Fewer than 1 % of requests fail
prometheus:
  url: 'http://prometheus:9090'
  query: '(sum(rate(http_requests_total{job="shop", status=~"5.."}[5m])) or vector(0))
    / sum(rate(http_requests_total{job="shop"}[5m]))'
expect: ['value < 0.01']"""

    url: BaseUrl
    """Where Prometheus is, such as http://prometheus:9090; may hold a path."""
    mode: Literal["query", "range", "targets", "alerts", "rules", "buildinfo"] = "query"
    """What is asked: a query at one moment or over a window, what is scraped, what fires, the rules, the version."""
    query: Annotated[Text, Field(min_length=1, max_length=6000)] | None = None
    """PromQL, for `query` and `range`."""
    at: Annotated[Text, AfterValidator(_moment)] = "now"
    """When: `now`, `deploy` (when the run began to), both with `-30m` or `+5m` behind, or a moment. Ends a window."""
    window: Duration = timedelta(minutes=5)
    """For `range`: how far back."""
    step: Duration | None = None
    """For `range`: time between two values, default a sixtieth of the window and at least 1s."""
    reduce: Reduce = "only"
    """How several values become one; `only` takes a single series, and in a window its newest value."""
    empty: Literal["unknown", "zero"] = "unknown"
    """What an empty result is: `zero` where the author knows that no series means none."""
    job: Text | None = None
    """For `targets`: of this job only."""
    ignore_alerts: tuple[Chosen, ...] = ("Watchdog", "InfoInhibitor")
    """For `alerts`: alerts that always fire, exact or `/regex/`."""
    require_rules: tuple[Chosen, ...] = ()
    """For `rules`: names that must be there, exact or `/regex/`."""
    headers: Headers = Field(default_factory=dict)
    """May hold `${{ secrets.NAME }}`."""
    ca_file: Text | None = None
    """Certificate authorities to trust instead of the machine's, a PEM file."""
    verify: Bool = True
    """Whether the certificate is verified."""

    class Observes(TypedDict, total=False):
        """What it says."""

        mode: Annotated[str, "what was asked"]
        value: Annotated[float, "the result as one number"]
        series: Annotated[int, "series of the result"]
        nan_count: Annotated[int, "values of the result that are NaN or infinite"]
        sample_age: Annotated[timedelta, "age of the oldest sample that the query read"]
        coverage: Annotated[float, "share of a window at which there were values"]
        labels: Annotated[list[dict[str, str]], "labels of each series"]
        warnings: Annotated[list[str], "why the answer may not be all there is; nothing else is observed then"]
        up: Annotated[int, "targets that are up; left out where some of it is old news"]
        down: Annotated[int, "targets that are down"]
        total: Annotated[int, "active targets"]
        late: Annotated[int, "targets without a scrape for three of their intervals"]
        last_scrape_age: Annotated[timedelta, "time since the last scrape, of the target where it is longest"]
        firing: Annotated[list[str], "names of alerts that fire, the ignored ones left out"]
        pending: Annotated[list[str], "names of alerts that will fire if it goes on"]
        firing_count: Annotated[int, "alerts that fire; 0 only where every alerting rule works"]
        critical_count: Annotated[int, "of them those with severity critical; 0 only where every alerting rule works"]
        rules: Annotated[int, "rules (in alerts: alerting rules)"]
        rules_unhealthy: Annotated[int, "rules that fail, were not evaluated yet, or not for three intervals"]
        rules_found: Annotated[list[str], "rules whose names are asked for"]
        rules_missing: Annotated[list[str], "of require_rules, what no rule is called"]
        alert_names: Annotated[list[str], "names of all alerting rules"]
        version: Annotated[str, "the version of Prometheus"]

    @model_validator(mode="after")
    def _fits(self) -> PrometheusProbe:
        asks = self.mode in ("query", "range")
        if asks and self.query is None:
            raise wrong(f"needs query in mode {self.mode}")
        for name, modes in _BELONGS.items():
            if name in self.model_fields_set and self.mode not in modes:
                raise wrong(f"takes {name} only in mode {' or '.join(modes)}")
        if self.mode == "range" and self.window / self._step > _POINTS:
            raise wrong(f"takes at most {_POINTS:,} steps; make step longer")
        return self

    @property
    def _step(self) -> timedelta:
        return self.step or max(timedelta(seconds=self.window.total_seconds() // 60), timedelta(seconds=1))

    @classmethod
    def expects(cls, params: Mapping[str, Any]) -> tuple[str, ...]:
        return _EXPECTS.get(str(params.get("mode", "query")), cls.default_expect)

    @classmethod
    def prepare(cls) -> None:
        from captain.http import load

        load()

    def over_window(self, span: timedelta) -> str | None:
        if self.mode != "range":
            return "it asks over a window only in mode range"
        if given := [name for name in ("window", "at") if name in self.model_fields_set]:
            return f"{' and '.join(given)} would have no effect: the time that is asked about is the soak's"
        if self.reduce == "only":
            return "its newest value alone says nothing of the time before: give reduce, such as min"
        if self.empty == "zero":
            return "empty: zero is 0 where nothing was measured too"
        if span / self._between(span) > _POINTS:
            return f"it takes at most {_POINTS:,} steps; make step longer"
        return None

    def _between(self, span: timedelta) -> timedelta:
        """Time between two values of a timer's window: short enough that a gap of minutes is seen."""
        usual = min(_MINUTE, timedelta(seconds=span.total_seconds() // 60))
        return self.step or max(usual, span / _POINTS, timedelta(seconds=1))

    def asks(self) -> str:
        return self._question(self.window)

    def _question(self, window: timedelta) -> str:
        what = {
            "query": str(self.query),
            "range": f"{self.query} over {window.total_seconds():g}s",
            "targets": f"targets of {self.job}" if self.job else "targets",
        }.get(self.mode, self.mode)
        when = "" if self.at == "now" else f" at {self.at}"
        return f"{what}{when}, of prometheus {self.url}"

    async def measure(self, ctx: Context) -> Measurement:
        endpoint = Endpoint(
            self.url, self.headers, None if self.ca_file is None else ctx.root / self.ca_file, self.verify
        )
        client = Prometheus(endpoint, ctx.timeout * _MARGIN, ctx.blocking)
        ask = {
            "query": self._value,
            "range": self._value,
            "targets": self._targets,
            "alerts": self._alerts,
            "rules": self._rules,
            "buildinfo": self._version,
        }[self.mode]
        notes: list[str] = []
        try:
            answer, observed = await ask(client, ctx, notes)
        except Malformed as error:
            raise ProbeError(f"{endpoint.name}: {error}", fault="unclear") from error
        if answer.warnings:
            # A part of what was asked for may be missing: whatever was counted could be more.
            observed = {}
            notes[:] = [f"Prometheus warns: {answer.warnings[0]}", "nothing is taken from an answer with warnings"]
        notes += [f"Prometheus remarks: {words}" for words in answer.infos]
        if not self.verify and self.url.startswith("https:"):
            notes.append("the certificate was not verified (verify: false)")
        return Measurement(
            observed={"mode": self.mode, "warnings": list(answer.warnings), **observed},
            asked=self._asked(ctx),
            body=ctx.clip(answer.body),
            truncated=len(answer.body) > TEXT,
            notes=tuple(notes),
        )

    def _asked(self, ctx: Context) -> str:
        if ctx.window is None:
            return self.asks()
        return f"{self._question(ctx.window.end - ctx.window.start)}, until {ctx.window.end:%Y-%m-%d %H:%M:%S} UTC"

    def _sent(self) -> tuple[str, bool]:
        """The query as it is sent, and whether its fallback was left off."""
        query = self.query or ""
        bare = reading(query).without_fallback
        return (query, False) if bare is None or self.empty == "zero" else (bare, True)

    def _when(self, ctx: Context) -> At:
        """The moment meant."""
        match = _AT.fullmatch(self.at)
        if match is None:
            return At(datetime.fromisoformat(self.at).astimezone(UTC))
        shift = parse_duration(match[3]) * (1 if match[2] == "+" else -1) if match[2] else timedelta(0)
        if match[1] == "now":
            return At(None, shift)
        if ctx.deployed_at is None:
            raise ProbeError("this run has not begun to deploy yet, so there is no moment to ask about")
        return At(ctx.deployed_at, shift)

    async def _value(self, client: Prometheus, ctx: Context, notes: list[str]) -> tuple[Answer, Observed]:
        ranged = self.mode == "range"
        query, cut = self._sent()
        if cut:
            notes.append("asked without the `or vector(…)` at its end, which answers where nothing was measured")
        at, window, step, covered = self._when(ctx), self.window if ranged else None, self._step, COVERED
        if ctx.window is not None and ranged:
            at, window, covered = At(ctx.window.end), ctx.window.end - ctx.window.start, ctx.window.coverage
            step = self._between(window)
        question = Question(query, at, window, step, self.reduce, self.empty == "zero", covered)
        found = await evaluate(client, question, notes)
        observed: Observed = {
            "value": found.value,
            "series": len(found.series),
            "nan_count": found.nan_count,
            "sample_age": found.sample_age,
            "coverage": found.coverage,
            "labels": [{**one.labels} for one in found.series[:_LABELS]],
        }
        return found.answer, {name: value for name, value in observed.items() if value is not None}

    async def _targets(self, client: Prometheus, ctx: Context, notes: list[str]) -> tuple[Answer, Observed]:
        answer = await client.get("targets", state="active")
        found = targets_of(answer.data, self.job, answer.now)
        if not found.total and not answer.warnings:
            jobs = ", ".join(safe(job, 80) for job in jobs_of(answer.data)[:20])
            what = f"no target of job {safe(self.job, 80)}" if self.job else "no targets"
            raise ProbeError(
                f"prometheus {self.url} has {what}",
                fault="unclear",
                hint=f"it has jobs {jobs}" if jobs else "nothing is scraped: check its scrape_configs",
            )
        observed: Observed = {"down": found.down, "total": found.total}
        notes += [f"down: {trouble}" for trouble in found.troubles]
        if found.never:
            notes.append(f"not scraped yet: {found.never}")
        if answer.now is None:
            notes.append("the answer has no Date, so how old the scrapes are is not known, nor what is up now")
            return answer, observed
        if found.late is not None:
            observed["late"] = found.late
        if found.oldest_scrape is not None:
            observed["last_scrape_age"] = found.oldest_scrape
        if found.late:
            notes.append(f"{found.late} not scraped for {LATE} intervals: what is up now is not known")
        else:
            observed["up"] = found.up
        return answer, observed

    async def _alerts(self, client: Prometheus, ctx: Context, notes: list[str]) -> tuple[Answer, Observed]:
        told = await client.get("rules", type="alert")
        alerting = [rule for rule in rules_of(told.data, told.now) if rule.alerting]
        sick = [rule for rule in alerting if rule.trouble]
        answer = await client.get("alerts")
        ignored = [chooser(name) for name in self.ignore_alerts]
        found = alerts_of(answer.data, lambda name: any(chosen(name) for chosen in ignored))
        observed: Observed = {
            "firing": list(found.firing),
            "pending": list(found.pending),
            "rules": len(alerting),
            "rules_unhealthy": len(sick),
        }
        sure = bool(alerting) and not sick and not told.warnings
        for name, count in (("firing_count", found.firing_count), ("critical_count", found.critical)):
            if count or sure:
                observed[name] = count
        if not alerting:
            notes.append("there is no alerting rule, so that none fires says nothing")
        notes += [f"rule {rule.name}: {rule.trouble}" for rule in sick[:_SHOWN]]
        if told.warnings and not answer.warnings:
            notes.append(f"Prometheus warns: {told.warnings[0]}")
        return answer, observed

    async def _rules(self, client: Prometheus, ctx: Context, notes: list[str]) -> tuple[Answer, Observed]:
        answer = await client.get("rules")
        found = rules_of(answer.data, answer.now)
        names = sorted({rule.name for rule in found})
        wanted: dict[str, Callable[[str], bool]] = {name: chooser(name) for name in self.require_rules}
        sick = [rule for rule in found if rule.trouble]
        notes += [f"rule {rule.name}: {rule.trouble}" for rule in sick[:_SHOWN]]
        there: list[Value] = [name for name in names if any(chosen(name) for chosen in wanted.values())]
        gone: list[Value] = [name for name, chosen in wanted.items() if not any(map(chosen, names))]
        alerting: list[Value] = [*sorted({rule.name for rule in found if rule.alerting})]
        return answer, {
            "rules": len(found),
            "rules_unhealthy": len(sick),
            "rules_found": there,
            "rules_missing": gone,
            "alert_names": alerting,
        }

    async def _version(self, client: Prometheus, ctx: Context, notes: list[str]) -> tuple[Answer, Observed]:
        answer = await client.get("status/buildinfo")
        version = answer.data.get("version") if isinstance(answer.data, dict) else None
        if not isinstance(version, str) or not version:
            raise Malformed("no version in its build info")
        return answer, {"version": safe(version, 100)}
