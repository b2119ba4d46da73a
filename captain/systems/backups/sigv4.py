"""Signs a request without a body in the manner of S3 (Signature Version 4), and in Google's manner of it. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, slots=True)
class Scheme:
    """Whose manner it is."""

    name: str
    headers: str
    """How the names of its headers begin."""
    service: str

    @property
    def request(self) -> str:
        return f"{self.name.lower()}_request"


AMAZON = Scheme("AWS4", "x-amz-", "s3")
GOOGLE = Scheme("GOOG4", "x-goog-", "storage")


def query_text(query: Mapping[str, str]) -> str:
    """A query as it is signed and sent."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(query.items()))


def path_text(*parts: str) -> str:
    """A path as it is signed and sent: slashes within a part stay."""
    return "/" + "/".join(quote(part, safe="/-_.~") for part in parts if part)


def signed(method: str, url: str, key: Key, region: str, now: datetime, scheme: Scheme = AMAZON) -> dict[str, str]:
    """The headers that make a request of `key`'s. `url` was built from `path_text` and `query_text`."""

    def sign(told: bytes, scope: str) -> str:
        secret = f"{scheme.name}{key.secret}".encode()
        for part in scope.split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        return hmac.new(secret, told, "sha256").hexdigest()

    return signed_by(method, url, key.id, sign, region, now, scheme, "HMAC", token=key.token)


def signed_by(
    method: str,
    url: str,
    who: str,
    sign: Callable[[bytes, str], str],
    region: str,
    now: datetime,
    scheme: Scheme,
    kind: str,
    *,
    token: str | None = None,
) -> dict[str, str]:
    """As `signed`, where `sign` makes a hexadecimal signature of the text and the scope it is given."""
    parts = urlsplit(url)
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "host": _host(parts.scheme, parts.netloc),
        f"{scheme.headers}content-sha256": _NOTHING,
        f"{scheme.headers}date": stamp,
    }
    if token is not None:
        headers[f"{scheme.headers}security-token"] = token
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    canonical = "\n".join([method, parts.path or "/", parts.query, *lines, "", names, _NOTHING])
    scope = f"{stamp[:8]}/{region}/{scheme.service}/{scheme.request}"
    algorithm = f"{scheme.name}-{kind}-SHA256"
    told = "\n".join([algorithm, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = sign(told.encode(), scope)
    del headers["host"]  # sent anyway
    headers["authorization"] = f"{algorithm} Credential={who}/{scope}, SignedHeaders={names}, Signature={signature}"
    return headers


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _host(scheme: str, netloc: str) -> str:
    usual = ":443" if scheme == "https" else ":80"
    return netloc.lower().removesuffix(usual)
