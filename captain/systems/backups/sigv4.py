"""Signs a request without a body the way S3 and what speaks like it want it (AWS Signature Version 4). Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """An access key."""

    id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    """Of a temporary key."""


def query_text(query: Mapping[str, str]) -> str:
    """A query as it is signed and sent."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(query.items()))


def path_text(*parts: str) -> str:
    """A path as it is signed and sent: slashes within a part stay."""
    return "/" + "/".join(quote(part, safe="/-_.~") for part in parts if part)


def signed(method: str, url: str, key: Key, region: str, now: datetime, service: str = "s3") -> dict[str, str]:
    """The headers that make a request of `key`'s. `url` was built from `path_text` and `query_text`."""
    parts = urlsplit(url)
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": _host(parts.scheme, parts.netloc), "x-amz-content-sha256": _NOTHING, "x-amz-date": stamp}
    if key.token is not None:
        headers["x-amz-security-token"] = key.token
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    canonical = "\n".join([method, parts.path or "/", parts.query, *lines, "", names, _NOTHING])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    told = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = f"AWS4{key.secret}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.new(secret, told.encode(), "sha256").hexdigest()
    del headers["host"]  # sent anyway
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _host(scheme: str, netloc: str) -> str:
    usual = ":443" if scheme == "https" else ":80"
    return netloc.lower().removesuffix(usual)
