"""The kind `http`: one request to the product, on a fresh connection."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, Field

from captain.fields import Bool, Text, wrong
from captain.http import Reply, fetch
from captain.http.keys import Headers, Url
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, probe

_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9_-]{1,20})", re.IGNORECASE)
_CHARSETS = re.compile(r"utf-?8|us-ascii|ascii|iso-8859-\d{1,2}|latin-?1|windows-125\d|utf-16(le|be)?", re.IGNORECASE)


def _no_redirects(value: bool) -> bool:
    if value:
        raise wrong("redirects are not followed yet; judge `redirect_to`, or ask the address it names")
    return value


@probe("http")
class HttpProbe(Probe):
    """What does a URL answer?

    Refused, reset, closed, not verifying and not answering in time are failures of the product. A name that does
    not resolve, a connection that is never made and an answer that is not HTTP are unknown.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("status < 400",)
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "fail: refused, reset, closed, certificate not verifying, no answer in time; on_error decides (unknown): "
        "name not resolved, no connection in time, an answer that is not HTTP; unknown: captain's own limits and files"
    )
    example: ClassVar[str] = """\
id: health-checks-passing
title: Health checks passing
http: { url: 'https://shop.example.com/healthz' }
expect: ['status == 200', 'json.status == "ok"', 'latency < duration("500ms")']"""

    url: Url
    """Starts with http:// or https://; holds no user or password."""
    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = "GET"
    """A probe only asks: what changes something is an action."""
    headers: Headers = Field(default_factory=dict)
    """May hold `${{ secrets.NAME }}`."""
    body: Text | None = None
    """Sent as UTF-8; may hold `${{ secrets.NAME }}`."""
    follow: Annotated[Bool, AfterValidator(_no_redirects)] = False
    """Redirects are shown as `redirect_to` and not followed."""
    ca_file: Text | None = None
    """Certificate authorities to trust instead of the machine's, a PEM file."""
    verify: Bool = True
    """Whether the certificate is verified; an answer without is marked as such."""

    class Observes(TypedDict, total=False):
        """What came back."""

        status: Annotated[int, "the status code"]
        latency: Annotated[timedelta, "the whole request, from the name to the last byte"]
        dns: Annotated[timedelta, "time to resolve the name, zero for an address"]
        connect: Annotated[timedelta, "time to connect"]
        tls: Annotated[timedelta, "time of the TLS handshake"]
        first_byte: Annotated[timedelta, "time from the start to the first byte of the answer"]
        tls_days_left: Annotated[int, "whole days until the certificate expires"]
        headers: Annotated[dict[str, str], "headers by lower-case name, values of cookies hidden"]
        json: Annotated[Any, "the body, where it is JSON"]
        text: Annotated[str, "the body as text, at most 64 KiB"]
        size: Annotated[int, "bytes of the body, where all of it was read"]
        truncated: Annotated[bool, "the body was longer than the 1 MiB that are read"]
        redirect_to: Annotated[str, "where the answer points to"]
        http_version: Annotated[str, "HTTP/1.1 or HTTP/1.0"]
        ip: Annotated[str, "the address that answered"]

    def asks(self) -> str:
        return f"{self.method} {self.url}"

    async def measure(self, ctx: Context) -> Measurement:
        reply = await fetch(
            self.url,
            timeout=ctx.timeout,
            method=self.method,
            headers=self.headers,
            body=None if self.body is None else self.body.encode("utf-8", "surrogatepass"),
            ca_file=None if self.ca_file is None else ctx.root / self.ca_file,
            verify=self.verify,
        )
        text = _text(reply)
        shown = None if text is None else ctx.clip(text)
        observed, notes = _observed(reply, text)
        if shown is not None:
            observed["text"] = shown
        if not self.verify and reply.tls is not None:
            notes.append("the certificate was not verified (verify: false)")
        return Measurement(
            observed=observed,
            asked=f"{self.method} {reply.url}",
            body=shown,
            truncated=reply.truncated or len(text or "") > TEXT,
            notes=tuple(notes),
        )


def _observed(reply: Reply, text: str | None) -> tuple[dict[str, Value], list[str]]:
    """What conditions see, and what a person should know besides."""
    notes: list[str] = []
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
        "truncated": reply.truncated,
        "redirect_to": reply.redirect_to,
        "http_version": reply.http_version,
        "ip": reply.ip,
    }
    if reply.undecoded is not None:
        notes.append(f"the body came as {reply.undecoded}, which captain does not decode")
    observed: dict[str, Value] = {name: value for name, value in found.items() if value is not None}
    if text is not None and _looks_like_json(reply, text):
        from captain.documents import parse_json

        try:
            observed["json"] = parse_json(text)
        except ValueError as error:
            notes.append(f"the body is not JSON: {error}")
    return observed, notes


def _looks_like_json(reply: Reply, text: str) -> bool:
    if reply.truncated or not text.strip():
        return False
    return "json" in reply.headers.get("content-type", "").lower() or text.lstrip()[:1] in "{["


def _text(reply: Reply) -> str | None:
    if reply.undecoded is not None:
        return None
    named = _CHARSET.search(reply.headers.get("content-type", ""))
    # Some of Python's codecs are slow on hostile input: only plain ones are used.
    charset = named[1] if named and _CHARSETS.fullmatch(named[1]) else "utf-8"
    try:
        return reply.body.decode(charset, "replace")
    except LookupError:
        return reply.body.decode("utf-8", "replace")
