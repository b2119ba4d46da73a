"""Secrets that do not belong in a log, found and hidden by what they look like. Best effort; keeps no value."""

from __future__ import annotations

import re
from collections.abc import Mapping

from captain.masking import Masker

_LONGEST = 32 * 1024
_HIDDEN = r"(?!\[|\*|<|\{\{|[xX]{3,}|None\b|null\b|true\b|false\b|(?i:redacted|hidden|masked|filtered|secret)\b)"
"""In front of a value: what others wrote in its place is none."""
_IS = r"\\?[\"']?\s?(?:[=:]\s?\\?[\"']|[=:](?=[^\s\"']))"
"""Between a name and its value. After a colon and a space prose goes on: there a quote must begin the value."""
_NAMES = r"(?:password|passwd|secret|api_?key|access_?key|access_?token|auth_?token)"
_PATTERNS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("a private key", r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"),
        ("an AWS key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{40,255})\b"),
        ("a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,64}"),
        ("a Slack token", r"\bxox[abposr]-[A-Za-z0-9-]{10,255}"),
        ("a Stripe key", r"\b[sr]k_live_[A-Za-z0-9]{16,255}"),
        ("a Google key", r"\bAIza[A-Za-z0-9_-]{35}"),
        ("a JWT", r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{4,4000}\.[A-Za-z0-9_-]{10,2000}"),
        (
            "an Authorization header",
            rf"(?i:\bauthorization)\\?[\"']?\s?[:=]\s?\\?[\"']?(?i:bearer|basic|token)\s{_HIDDEN}[\w+/=.~-]{{8,4000}}",
        ),
        ("a cookie", rf"(?i:\bcookie)\\?[\"']?\s?[:=]\s?\\?[\"']?[\w.-]{{1,60}}={_HIDDEN}[^\s;,\"']{{8,4000}}"),
        ("a password in a URL", rf"://[^\s/:@\"']{{0,100}}:{_HIDDEN}[^\s/@\"']{{1,200}}@[^\s/@\"']"),
        ("a password", rf"(?i:{_NAMES}){_IS}{_HIDDEN}[^\s\"',;&}})\\]{{6,400}}"),
    )
)
_MAIL = re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}\b")


class Redactor:
    """Knows the declared secrets of a service and the looks of others."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._masker = Masker(secrets)

    def kinds(self, text: str) -> set[str]:
        """What kinds of secrets a text holds."""
        found = {kind for kind, pattern in _PATTERNS if pattern.search(text[:_LONGEST])}
        if self._masker.mask(text) != text:
            found.add("a declared secret")
        return found

    def hide(self, text: str) -> str:
        """The text without them, and without addresses of people."""
        hidden = self._masker.mask(text)[:_LONGEST]
        for kind, pattern in _PATTERNS:
            hidden = pattern.sub(f"[{kind}]", hidden)
        return _MAIL.sub("[an address]", hidden)
