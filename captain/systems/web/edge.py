"""What headers say about the way an answer took: which CDN, which cache, which protections. Pure; asks nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Literal

Cdn = Literal["cloudflare", "cloudfront", "fastly", "none"]

_WORD = re.compile(r"[A-Za-z]+")
_HIT = re.compile(r";\s*hit\b", re.IGNORECASE)
_SECONDS = re.compile(r"\"?([0-9]{1,10})\"?")
_LONGEST = 2**31
"""Seconds; RFC 9111 lets a cache take anything above for this."""


def cdn(headers: Mapping[str, str]) -> Cdn:
    """Whose edge answered, by headers that only it sends."""
    if "cf-ray" in headers or headers.get("server", "").lower() == "cloudflare":
        return "cloudflare"
    if "x-amz-cf-id" in headers or "x-amz-cf-pop" in headers or "cloudfront" in headers.get("via", "").lower():
        return "cloudfront"
    if "x-fastly-request-id" in headers or ("x-timer" in headers and "cache-" in headers.get("x-served-by", "")):
        return "fastly"
    return "none"


def cache_status(headers: Mapping[str, str]) -> str:
    """What the nearest cache says it did, upper case: HIT, MISS, DYNAMIC, …; NONE where none says anything."""
    if said := _WORD.search(headers.get("cf-cache-status", "")):
        return said[0].upper()
    # Of several caches the last in the list is the nearest.
    if standard := headers.get("cache-status", "").strip():
        return "HIT" if _HIT.search(standard.rsplit(",", 1)[-1]) else "MISS"
    for name in ("x-cache", "x-cache-status"):
        if said := _WORD.search(headers.get(name, "").rsplit(",", 1)[-1]):
            return said[0].upper()
    age = _SECONDS.fullmatch(headers.get("age", "").strip())
    return "HIT" if age and int(age[1]) > 0 else "NONE"


def max_age(headers: Mapping[str, str]) -> timedelta | None:
    """How long a browser may keep the answer; None where Cache-Control says nothing about it."""
    said = directives(headers.get("cache-control", ""), ",")
    if "no-store" in said or "no-cache" in said:
        return timedelta(0)
    return _age(said)


def missing_protections(wanted: Iterable[str], headers: Mapping[str, str], *, secure: bool) -> list[str]:
    """Those of the wanted headers that are not there, or there and switched off."""
    return [name for name in wanted if not _protects(name.lower(), headers, secure=secure)]


def _protects(name: str, headers: Mapping[str, str], *, secure: bool) -> bool:
    value = headers.get(name, "").strip()
    if name == "strict-transport-security":
        # Browsers take it over TLS only, and max-age=0 takes it back. The first of several counts.
        age = _age(directives(value.split(",", 1)[0], ";"))
        return secure and age is not None and age > timedelta(0)
    if name == "x-content-type-options":
        return value.split(",", 1)[0].strip().lower() == "nosniff"
    return bool(value)


def directives(value: str, separator: str) -> dict[str, str]:
    """`public, max-age=60` as a mapping; of one that stands twice the first counts."""
    found: dict[str, str] = {}
    for part in value.split(separator):
        name, _, argument = part.strip().partition("=")
        found.setdefault(name.strip().lower(), argument.strip())
    return found


def _age(said: Mapping[str, str]) -> timedelta | None:
    seconds = _SECONDS.fullmatch(said.get("max-age", ""))
    return timedelta(seconds=min(int(seconds[1]), _LONGEST)) if seconds else None
