"""The kind `http`: one request to the product on a fresh connection, or the same one many times."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, Field, ValidationInfo

from captain.errors import ProbeError
from captain.fields import Bool, PositiveInt, Text, wrong
from captain.http import Reply, fetch
from captain.http.follow import fetch_following
from captain.http.keys import HeaderName, Headers, Url
from captain.measurement import Measurement, Safety, Value
from captain.probes import TEXT, Context, Probe, probe
from captain.systems.web.answer import PLACE, Answer, is_page, read
from captain.systems.web.edge import cache_status, cdn, max_age, missing_protections
from captain.systems.web.page import assets
from captain.systems.web.samples import Look, missing_anywhere, repeated, sampled, shares, version_of
from captain.systems.web.weight import weigh


def _place(value: str) -> str:
    if "${{" not in value and not PLACE.fullmatch(value):
        raise wrong("names no place in the answer; write json.version or headers.x-version")
    return value


def _only_reading(count: int, info: ValidationInfo) -> int:
    if info.data.get("method") == "POST":
        raise wrong("sends the same request many times, which a POST is not made for")
    return count


Place = Annotated[Text, AfterValidator(_place)]


@probe("http")
class HttpProbe(Probe):
    """What does a URL answer?

    Refused, reset, closed, not verifying and not answering in time are failures of the product. A name that does
    not resolve, a connection that is never made and an answer that is not HTTP are unknown.

    With `samples` the same request is sent that many times, one after another. What then is observed of one answer is
    that of the first with the highest status; where a request got no answer at all nothing of the others is shown, so
    that nothing passes on those that worked: judge failed_samples, p95, instances, max_share, cache_statuses.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("status < 400",)
    network: ClassVar[bool] = True
    more_than_reading: ClassVar[str] = "`method: POST` is active: it is sent marked, and may change something"
    errors: ClassVar[str] = (
        "fail: refused, reset, closed, certificate not verifying, no answer in time; on_error decides (unknown): "
        "name not resolved, no connection in time, an answer that is not HTTP, too little time for all samples; "
        "unknown: captain's own limits and files"
    )
    example: ClassVar[str] = """\
id: health-checks-passing
title: Health checks passing
http: { url: 'https://shop.example.com/healthz' }
expect: ['status == 200', 'json.status == "ok"', 'latency < duration("500ms")']"""

    url: Url
    """Starts with http:// or https://; holds no user or password."""
    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = "GET"
    """A POST is active: it runs by itself, where the environment allows it. What changes something is an action."""
    headers: Headers = Field(default_factory=dict)
    """May hold `${{ secrets.NAME }}`."""
    body: Text | None = None
    """Sent as UTF-8; may hold `${{ secrets.NAME }}`."""
    follow: Bool = False
    """Follow redirects within the same origin, at most three; any other is shown as `redirect_to`."""
    ca_file: Text | None = None
    """Certificate authorities to trust instead of the machine's, a PEM file."""
    verify: Bool = True
    """Whether the certificate is verified; an answer without is marked as such."""
    samples: Annotated[PositiveInt, Field(le=200), AfterValidator(_only_reading)] | None = None
    """How many times to ask, each on a fresh connection, all within the timeout; at most 200."""
    instance: Place | None = None
    """Where an answer names who gave it, `headers.x-served-by` or `json.hostname`: for instances and max_share."""
    version: Place | None = None
    """Where an answer names its version or commit, `json.version` or `headers.x-version`: for version_match."""
    security_headers: tuple[HeaderName, ...] = ()
    """Headers that every answer must have, as strict-transport-security: for security_headers_missing."""
    assets: Bool = False
    """Fetch the scripts and styles that the page loads from its own origin, at most 100."""

    class Observes(TypedDict, total=False):
        """What came back."""

        status: Annotated[int, "the status code"]
        latency: Annotated[timedelta, "the whole request, from the name to the last byte, redirects included"]
        dns: Annotated[timedelta, "time to resolve the name, zero for an address"]
        connect: Annotated[timedelta, "time to connect"]
        tls: Annotated[timedelta, "time of the TLS handshake"]
        first_byte: Annotated[timedelta, "time from the start to the first byte of the answer"]
        tls_days_left: Annotated[int, "whole days until the certificate expires"]
        headers: Annotated[dict[str, str], "headers by lower-case name, values of cookies hidden"]
        json: Annotated[Any, "the body, where it is JSON"]
        text: Annotated[str, "the body as text, at most 64 KiB"]
        size: Annotated[int, "bytes of the body, where all of it was read"]
        wire_size: Annotated[int, "bytes of the body as they came, still compressed, where all of it was read"]
        encoding: Annotated[str, "how the body came: identity, gzip, br, …"]
        truncated: Annotated[bool, "the body was longer than the 1 MiB that are read"]
        redirect_to: Annotated[str, "where the answer points to"]
        http_version: Annotated[str, "HTTP/1.1 or HTTP/1.0"]
        ip: Annotated[str, "the address that answered"]
        cdn: Annotated[str, "whose edge answered: cloudflare, cloudfront, fastly or none"]
        cache_status: Annotated[str, "what the nearest cache says it did: HIT, MISS, DYNAMIC, …; NONE without a word"]
        max_age: Annotated[timedelta, "how long browsers may keep the answer, where Cache-Control says it"]
        security_headers_missing: Annotated[list[str], "those of security_headers that an answer lacks or switches off"]
        version: Annotated[str, "what the answer calls itself (needs version)"]
        version_match: Annotated[bool, "every answer is of the release: its version, tag or commit (needs version)"]
        samples: Annotated[int, "requests sent (needs samples)"]
        ok_samples: Annotated[int, "of them: answered with a status below 400"]
        failed_samples: Annotated[int, "answered with 400 and above, or not at all"]
        p50: Annotated[timedelta, "half of the samples were not slower (nearest rank; a failed one counts as slowest)"]
        p95: Annotated[timedelta, "95 % of the samples were not slower"]
        slowest: Annotated[timedelta, "the slowest of the samples, where none failed"]
        cache_statuses: Annotated[list[str], "cache_status of each sample, in order"]
        instances: Annotated[int, "different instances that answered (needs samples and instance)"]
        max_share: Annotated[float, "part of the answers that came from the busiest of them"]
        assets: Annotated[int, "scripts and styles the page loads from its own origin (needs assets)"]
        asset_urls: Annotated[list[str], "their addresses, in order"]
        asset_wire_size: Annotated[int, "bytes of all of them as they came, where every one came"]
        assets_failed: Annotated[int, "how many did not come with status 200"]

    @classmethod
    def prepare(cls) -> None:
        from captain.http import load

        load()

    def of_commit(self) -> bool:
        return self.version is not None

    def asks(self) -> str:
        return f"{self.method} {self.url}"

    @property
    def safety(self) -> Safety:
        return "active" if self.method == "POST" else "read"

    async def measure(self, ctx: Context) -> Measurement:
        end = asyncio.get_running_loop().time() + ctx.timeout.total_seconds()
        answer, observed, notes = await (self._one(ctx) if self.samples is None else self._many(ctx, self.samples))
        if answer is None:
            return Measurement(observed=observed, asked=self.asks(), notes=tuple(notes))
        reply = answer.reply
        shown = None if answer.text is None else ctx.clip(answer.text)
        observed |= _observed(answer)
        if shown is not None:
            observed["text"] = shown
        notes += answer.notes
        if not self.verify and reply.tls is not None:
            notes.append("the certificate was not verified (verify: false)")
        if self.assets:
            more, said = await self._assets(ctx, answer, timedelta(seconds=end - asyncio.get_running_loop().time()))
            observed |= more
            notes += said
        return Measurement(
            observed=observed,
            asked=f"{self.method} {reply.url}",
            body=shown,
            truncated=reply.truncated or len(answer.text or "") > TEXT,
            notes=tuple(notes),
        )

    async def _one(self, ctx: Context) -> tuple[Answer, dict[str, Value], list[str]]:
        reply, notes = await self._ask(ctx, ctx.timeout)
        answer = read(reply)
        return answer, self._common([self._look(answer)], ctx), [*notes]

    async def _many(self, ctx: Context, count: int) -> tuple[Answer | None, dict[str, Value], list[str]]:
        worst: Answer | None = None
        said: dict[str, None] = {}

        async def ask(left: timedelta) -> Look:
            nonlocal worst
            reply, notes = await self._ask(ctx, left)
            answer = read(reply)
            said.update(dict.fromkeys(notes))
            if worst is None or reply.status > worst.reply.status:
                worst = answer
            return self._look(answer)

        answers = await repeated(ask, count, ctx.timeout, self.asks())
        looks = [one for one in answers if isinstance(one, Look)]
        errors = [one for one in answers if isinstance(one, ProbeError)]
        if not looks:
            raise errors[0]
        observed, notes = sampled(answers)
        if errors:
            notes.append(f"{len(errors)} of {count} requests got no answer: {errors[0].message}")
            return None, observed, [*said, *notes]
        observed |= self._common(looks, ctx)
        if self.instance is not None:
            nameless = sum(look.instance is None for look in looks)
            if nameless:
                notes.append(f"{nameless} of {count} answers have no {self.instance}")
            else:
                observed["instances"], observed["max_share"] = shares([look.instance for look in looks])
        return worst, observed, [*said, *notes]

    async def _ask(self, ctx: Context, timeout: timedelta) -> tuple[Reply, tuple[str, ...]]:
        body = None if self.body is None else self.body.encode("utf-8", "surrogatepass")
        ca_file = None if self.ca_file is None else ctx.root / self.ca_file
        marked = {} if self.safety == "read" else {"X-Captain-Probe": ctx.run or "unrecorded"}
        question: dict[str, Any] = {"method": self.method, "headers": {**self.headers, **marked}, "body": body}
        question |= {"timeout": timeout, "ca_file": ca_file, "verify": self.verify}
        return await fetch_following(self.url, **question) if self.follow else (await fetch(self.url, **question), ())

    def _look(self, answer: Answer) -> Look:
        reply = answer.reply
        return Look(
            status=reply.status,
            latency=reply.latency,
            instance=None if self.instance is None else answer.at(self.instance),
            version=None if self.version is None else answer.at(self.version),
            cache=cache_status(reply.headers),
            missing=tuple(
                missing_protections(self.security_headers, reply.headers, secure=reply.url.startswith("https:"))
            ),
        )

    def _common(self, looks: Sequence[Look], ctx: Context) -> dict[str, Value]:
        found: dict[str, Value] = {}
        if self.security_headers:
            found["security_headers_missing"] = [*missing_anywhere(self.security_headers, looks)]
        version, match = version_of(looks, ctx.release)
        if version is not None:
            found["version"] = version
        if match is not None:
            found["version_match"] = match
        return found

    async def _assets(self, ctx: Context, answer: Answer, left: timedelta) -> tuple[dict[str, Value], list[str]]:
        if answer.text is None or not is_page(answer.reply):
            return {}, ["the answer is no whole HTML page with status 200: no assets to look for"]
        found = assets(answer.text, answer.reply.url)
        ca_file = None if self.ca_file is None else ctx.root / self.ca_file
        weight = await weigh(found.own, timeout=left, headers=self.headers, ca_file=ca_file, verify=self.verify)
        observed: dict[str, Value] = {"assets": len(found.own), "asset_urls": [*found.own]}
        if weight.failed is not None:
            observed["assets_failed"] = weight.failed
        if weight.wire_size is not None:
            observed["asset_wire_size"] = weight.wire_size
        other = f"assets of other origins, not fetched: {found.elsewhere}"
        return observed, [*weight.notes, *([other] if found.elsewhere else [])]


def _observed(answer: Answer) -> dict[str, Value]:
    """What conditions see of one answer."""
    reply = answer.reply
    found: dict[str, Value] = {
        "status": reply.status,
        "latency": reply.latency,
        "dns": reply.dns,
        "connect": reply.connect,
        "tls": reply.tls,
        "first_byte": reply.first_byte,
        "tls_days_left": reply.tls_days_left,
        "headers": dict(reply.headers),
        "size": None if reply.truncated or reply.undecoded else len(reply.body),
        "wire_size": reply.wire_size,
        "encoding": reply.encoding,
        "truncated": reply.truncated,
        "redirect_to": reply.redirect_to,
        "http_version": reply.http_version,
        "ip": reply.ip,
        "cdn": cdn(reply.headers),
        "cache_status": cache_status(reply.headers),
        "max_age": max_age(reply.headers),
    }
    return {name: value for name, value in found.items() if value is not None} | answer.json
