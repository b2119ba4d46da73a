"""The kind `load`: a short burst of requests, and how the product holds up under it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, model_validator

from captain.errors import ProbeError
from captain.fields import Bool, Duration, Float, PositiveInt, Text, wrong
from captain.http import fetch
from captain.http.keys import Headers, Url
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, Safety, probe
from captain.safe import safe
from captain.systems.metrics.generator import START, burst
from captain.systems.metrics.load import REACHED, Summary

_MARGIN = timedelta(milliseconds=500)
_LATE = 0.01
_PERCENTILES = ("p50", "p90", "p95", "p99")


class Stage(BaseModel):
    """A time of constant load."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rps: Annotated[Float, Field(gt=0, le=5000)] | None = None
    """Requests a second, sent at set moments however slow the answers are."""
    users: Annotated[PositiveInt, Field(le=1000)] | None = None
    """Users that each send the next request when the last one is answered."""
    duration: Duration
    """For how long."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Stage:
        if (self.rps is None) == (self.users is None):
            raise wrong("takes either rps or users")
        if not self.duration:
            raise wrong("takes a duration that is more than nothing")
        return self


@probe("load")
class LoadProbe(Probe):
    """Does the product answer as fast and as well under load?

    Sends GET requests with a mark, from a process of its own, and counts only 2xx as answered. With `rps` each request
    is due at a moment set before, and its time counts from then: one that had to wait behind a slow one was slow. One
    machine sends some hundred requests a second. Where it did not reach the rate, or was itself what was slow, then
    `generator_saturated` is true and rates, errors and times are left out: they say nothing about the product. A
    percentile is observed from as many answers as it needs, the 99th from a hundred.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("error_ratio <= 0.001",)
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    network: ClassVar[bool] = True
    timeout: ClassVar[timedelta] = timedelta(minutes=1)
    errors: ClassVar[str] = (
        "fail: refused, reset, closed, certificate not verifying, no answer in time, not one request answered; "
        "on_error decides (fail): name not resolved, no connection in time, an answer that is not HTTP; unknown: 401 "
        "and 403, a profile longer than the step's timeout, captain's own limits and files"
    )
    more_than_reading: ClassVar[str] = "always active: it sends marked requests, as many as the profile says"
    example: ClassVar[str] = """\
id: spike
title: A spike of three times the traffic
load:
  urls: ['https://staging.example.com/products/']
  profile: [{ rps: 20, duration: 60s }, { rps: 60, duration: 120s }, { rps: 20, duration: 60s }]
timeout: 5m
expect:
  - error_ratio <= 0.001 && p95 < duration("500ms") && rps_achieved >= 0.95 * rps_target
  - recovered && recovery <= duration("60s")"""

    urls: Annotated[tuple[Url, ...], Field(min_length=1, max_length=20)]
    """What is asked for, one after another."""
    profile: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=20)]
    """Stages, each with rps or users and a duration."""
    warmup: Duration = timedelta(seconds=2)
    """Time at the first stage's rate before anything counts."""
    max_requests: Annotated[PositiveInt, Field(le=100_000)] = 20_000
    """The most requests after the warm-up; a profile that needs more is refused, users are stopped there."""
    request_timeout: Duration = timedelta(seconds=5)
    """What one request may take."""
    connections: Annotated[PositiveInt, Field(le=900)] = 256
    """The most connections at once."""
    keep_alive: Bool = True
    """Whether connections are used again; without, every request pays for a new one."""
    headers: Headers = Field(default_factory=dict)
    """May hold `${{ secrets.NAME }}`."""
    ca_file: Text | None = None
    """Certificate authorities to trust instead of the machine's, a PEM file."""
    verify: Bool = True
    """Whether the certificate is verified."""

    class Observes(TypedDict, total=False):
        """How the product held up, the warm-up left out."""

        requests: Annotated[int, "requests sent; left out where not one was answered well"]
        errors: Annotated[int, "of them those without an answer, or with another than 2xx"]
        timeouts: Annotated[int, "of them those not answered within request_timeout"]
        error_ratio: Annotated[float, "errors to requests"]
        rps_target: Annotated[float, "requests a second that the profile means, over all of it"]
        rps_achieved: Annotated[float, "requests a second that were sent"]
        p50: Annotated[
            timedelta, "half of the requests took at most this; times of errors other than timeouts left out"
        ]
        p90: Annotated[timedelta, "nine tenths took at most this"]
        p95: Annotated[timedelta, "95 % took at most this"]
        p99: Annotated[timedelta, "99 % took at most this"]
        max: Annotated[timedelta, "the slowest"]
        status_counts: Annotated[dict[str, int], "answers by status"]
        recovered: Annotated[bool, "after the last peak p95 came back to that of the first stage"]
        recovery: Annotated[timedelta, "how long after the last peak that took"]
        generator_saturated: Annotated[bool, "requests went out later than they should: nothing else is known then"]

    @model_validator(mode="after")
    def _bounded(self) -> LoadProbe:
        planned = sum((stage.rps or 0.0) * stage.duration.total_seconds() for stage in self.profile)
        if planned > self.max_requests:
            raise wrong(f"needs {planned:,.0f} requests, more than max_requests allows ({self.max_requests:,})")
        return self

    def asks(self) -> str:
        stages = ", ".join(
            f"{f'{stage.rps:g} a second' if stage.rps is not None else f'{stage.users} users'} "
            f"for {stage.duration.total_seconds():g}s"
            for stage in self.profile
        )
        more = f" and {len(self.urls) - 1} more" if len(self.urls) > 1 else ""
        return f"GET {self.urls[0]}{more}: {stages}"

    @property
    def safety(self) -> Safety:
        return "active"

    @property
    def _needs(self) -> timedelta:
        """What it takes at most."""
        stages = sum((stage.duration for stage in self.profile), timedelta(0))
        return self.warmup + stages + 3 * self.request_timeout + START + _MARGIN

    async def measure(self, ctx: Context) -> Measurement:
        if self._needs > ctx.timeout:
            needed = self._needs.total_seconds()
            raise ProbeError(
                f"load takes up to {needed:.0f}s, the attempt has {ctx.timeout.total_seconds():g}s: nothing was sent",
                hint=f"give the step timeout: {needed + 1:.0f}s",
            )
        headers = {**self.headers, "X-Captain-Probe": ctx.run or "unrecorded"}
        ca_file = None if self.ca_file is None else ctx.root / self.ca_file
        await self._let_in(headers, ca_file)
        plan = {
            "urls": list(self.urls),
            "headers": headers,
            "stages": [
                {"seconds": stage.duration.total_seconds(), "rps": stage.rps, "users": stage.users}
                for stage in self.profile
            ],
            "warmup": self.warmup.total_seconds(),
            "max_requests": self.max_requests,
            "timeout": self.request_timeout.total_seconds(),
            "connections": self.connections,
            "keep_alive": self.keep_alive,
            "ca_file": None if ca_file is None else str(ca_file),
            "verify": self.verify,
        }
        found = await burst(
            plan, cwd=ctx.root, environ=ctx.environ, timeout=self._needs - self.request_timeout - _MARGIN
        )
        if not found.saturated and found.requests and not found.good and not found.statuses:
            raise ProbeError(
                f"{self.asks()}: not one of {found.requests} requests was answered: {_reasons(found)}", fault="subject"
            )
        body = json.dumps({"reasons": found.reasons, "statuses": found.statuses, "seconds": found.windows}, indent=1)
        return Measurement(
            observed=_observed(found),
            asked=self.asks(),
            body=ctx.clip(body),
            truncated=len(body) > len(ctx.clip(body)),
            notes=tuple(_notes(found, verify=self.verify)),
        )

    async def _let_in(self, headers: Mapping[str, str], ca_file: Path | None) -> None:
        """Ask each URL once first, so that what is wrong with it is said once and in full. Raises ProbeError."""
        replies = await asyncio.gather(
            *(
                fetch(url, timeout=self.request_timeout, headers=headers, ca_file=ca_file, verify=self.verify)
                for url in self.urls
            ),
            return_exceptions=True,
        )
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
            if reply.status in (401, 403):
                raise ProbeError(
                    f"GET {reply.url} answers {reply.status}: captain is not let in, nothing more was sent",
                    hint="give credentials in headers, as ${{ secrets.NAME }}",
                )


def _observed(found: Summary) -> dict[str, Value]:
    observed: dict[str, Value] = {"generator_saturated": bool(found.saturated)}
    if found.target is not None:
        observed["rps_target"] = found.target
    if found.good:
        observed["requests"] = found.requests
    if found.saturated or not found.requests:
        return observed
    errors = found.requests - found.good
    observed |= {
        "errors": errors,
        "timeouts": found.timeouts,
        "error_ratio": errors / found.requests,
        "rps_achieved": found.achieved,
        "status_counts": {**found.statuses},
        **{name: timedelta(seconds=value) for name, value in found.percentiles.items()},
    }
    if found.recovered is not None:
        observed["recovered"] = found.recovered
    if found.recovery is not None:
        observed["recovery"] = timedelta(seconds=found.recovery)
    return observed


def _notes(found: Summary, *, verify: bool) -> list[str]:
    notes: list[str] = []
    shown = ", ".join(f"{status} ×{count}" for status, count in found.statuses.items())
    if found.saturated:
        notes.append(f"requests went out later than they should: {found.saturated}; nothing is known of the product")
        notes.append(f"of {found.requests} requests were answered: {shown or 'none'}")
    elif found.good < found.requests:
        answered = f"answered {shown}" if shown else "not answered"
        notes.append("; ".join(part for part in (answered, _reasons(found)) if part))
    if found.target is not None and not found.saturated and found.achieved < REACHED * found.target:
        notes.append(f"{found.achieved:.1f} requests a second instead of {found.target:.1f}")
    few = [name for name in _PERCENTILES if name not in found.percentiles]
    if few and not found.saturated:
        notes.append(f"too few answers for {', '.join(few)}")
    if found.late > _LATE and not found.saturated:
        notes.append(f"requests went out up to {found.late * 1000:.0f} ms late, which their times include")
    if not verify:
        notes.append("certificates were not verified (verify: false)")
    return notes


def _reasons(found: Summary) -> str:
    return ", ".join(f"{safe(why, 80)} ×{count}" for why, count in found.reasons.items())
