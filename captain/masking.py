"""Known secret values, in clear and in the forms programs print them in, made unreadable. Best effort.

Knows no log and no screen. What it is not told, or what a program encrypts, compresses or cuts up, it cannot find.
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote

SHORTEST = 6
"""Characters. Anything shorter occurs by chance all over a log."""

_COMMON = frozenset(
    (
        *("true", "false", "null", "none", "yes", "no", "on", "off", "enabled", "disabled", "default", "example"),
        *("main", "test", "develop", "development", "staging", "production", "release", "localhost"),
        *("root", "user", "admin", "postgres", "password", "secret", "changeme", "000000", "111111", "123456"),
    )
)
_LETTERS_OVER_LINES = 3
"""A secret wrapped over two lines of a stream is found when so many of its letters stand on the first."""

_KEYWORD = re.compile(r"(?i)\b(pass(?:word|wd)?|pwd)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s;&']+))")
"""password=… of a connection string or of a URL's query."""
_BREAKS = re.compile(rb"[\r\n]+")
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")


@dataclass(frozen=True, slots=True)
class _Form:
    """One spelling of one secret, without line breaks."""

    spelling: bytes
    name: str
    before: int = 0
    """Characters in front that carry some bits of the secret too (base64 of a text it is a part of)."""
    after: int = 0


@dataclass(frozen=True, slots=True)
class _Hit:
    start: int
    end: int
    name: str


class Masker:
    """Replaces the secrets it was given by `[secret NAME]`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets`: values by name. One that would mask ordinary text is left out, see `refused`."""
        self.refused: dict[str, str] = {}
        """Why a secret is not masked, by name; a sentence for the user."""
        forms: dict[bytes, _Form] = {}
        for name, value in secrets.items():
            if why := _too_plain(value):
                self.refused[name] = f"the secret {name} {why}, so it is not masked: all text would be"
                continue
            for part in (value, *(part for part in _passwords(value) if not _too_plain(part))):
                for form in _forms(name, part):
                    forms.setdefault(form.spelling, form)
        self._forms = sorted(forms.values(), key=lambda form: -len(form.spelling))
        self.longest = max((len(form.spelling) for form in self._forms), default=0)
        """Bytes of the longest spelling."""

    def mask(self, text: str) -> str:
        """`text` without the secrets."""
        if not self._forms:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        masked = self.mask_bytes(raw)
        return text if masked is raw else masked.decode("utf-8", "surrogatepass")

    def mask_bytes(self, data: bytes) -> bytes:
        """`data` without the secrets; the same object when there are none in it."""
        hits = self._hits(_Unbroken(data))
        return b"".join(_replaced(data, hits, len(data))) if hits else data

    def cut(self, text: str, limit: int) -> str:
        """At most `limit` characters, ending in front of a secret that the limit would cut in two.

        Half a secret would not be found any more when the rest is masked.
        """
        if len(text) <= limit:
            return text
        raw, end = text.encode("utf-8", "surrogatepass"), len(text[:limit].encode("utf-8", "surrogatepass"))
        for hit in self._hits(_Unbroken(raw)):
            if hit.start < end < hit.end:
                end = hit.start
        return raw[:end].decode("utf-8", "surrogatepass")

    def stream(self) -> Stream:
        """A masker for data that arrives in pieces; one for every pipe."""
        return Stream(self)

    def _hits(self, text: _Unbroken) -> list[_Hit]:
        """Where secrets are in the data, in order and without overlap."""
        found: list[_Hit] = []
        for form in self._forms:
            at = text.data.find(form.spelling)
            while at >= 0:
                start, end = at, at + len(form.spelling)
                if form.before and start and text.data[start - 1] in _BASE64:
                    start -= 1
                if form.after and end < len(text.data) and text.data[end] in _BASE64:
                    end += 1
                found.append(_Hit(text.origin(start), text.origin(end - 1) + 1, form.name))
                at = text.data.find(form.spelling, at + 1)
        found.sort(key=lambda hit: (hit.start, -hit.end))
        merged: list[_Hit] = []
        for hit in found:
            if merged and hit.start < merged[-1].end:
                last = merged[-1]
                merged[-1] = _Hit(last.start, max(last.end, hit.end), last.name)
            else:
                merged.append(hit)
        return merged

    def _begun(self, text: _Unbroken) -> int:
        """The place in the data from which on a secret may have begun whose rest is yet to come."""
        data = text.data
        # After a finished line one or two letters are no reason to keep the end of that line from a reader.
        shown = len(data) - (_LETTERS_OVER_LINES - 1 if text.ends_line else 0)
        earliest = len(data)
        for form in self._forms:
            at = max(len(data) - len(form.spelling) - form.after + 1, 0)
            while (at := data.find(form.spelling[:1], at, min(earliest, shown))) >= 0:
                if form.spelling.startswith(data[at:]) or (form.after and data.startswith(form.spelling, at)):
                    earliest = max(at - form.before, 0)
                    break
                at += 1
        return text.origin(earliest) if earliest < len(data) else text.length


class Stream:
    """Masks a stream across the borders of its chunks. What may be the beginning of a secret is held back."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """What of all so far can be shown; the rest follows with later calls."""
        data = self._rest + chunk
        if not self._masker._forms:
            return data
        text = _Unbroken(data)
        hits = self._masker._hits(text)
        cut = self._masker._begun(text)
        if not text.ends_line and text.data and text.data[-1] in _BASE64:
            # A secret in base64 may begin within the last character.
            cut = min(cut, text.origin(len(text.data) - 1))
        for hit in hits:
            if hit.start < cut < hit.end:
                cut = hit.start
        self._rest = data[cut:]
        return b"".join(_replaced(data, hits, cut))

    def flush(self) -> bytes:
        """The rest, at the end of the stream."""
        rest, self._rest = self._rest, b""
        return self._masker.mask_bytes(rest)


class _Unbroken:
    """Data without its line breaks, so that a secret wrapped over two lines is found, and the way back."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self.ends_line = data.endswith((b"\n", b"\r"))
        self._starts: list[int] = [0]
        """Where pieces begin in the unbroken data."""
        self._shifts: list[int] = [0]
        """How much further on they begin in the original."""
        breaks = list(_BREAKS.finditer(data))
        removed = 0
        for match in breaks:
            at = match.start() - removed
            removed += match.end() - match.start()
            self._starts.append(at)
            self._shifts.append(removed)
        self.data = _BREAKS.sub(b"", data) if breaks else data

    def origin(self, at: int) -> int:
        """The place in the original of a place in the unbroken data."""
        return at + self._shifts[bisect_right(self._starts, at) - 1]


def _replaced(data: bytes, hits: Iterable[_Hit], end: int) -> Iterator[bytes]:
    """`data` up to `end`, which lies in no hit, with the hits replaced."""
    at = 0
    for hit in hits:
        if hit.end > end:
            break
        yield data[at : hit.start]
        yield f"[secret {hit.name}]".encode()
        at = hit.end
    yield data[at:end]


def _too_plain(value: str) -> str | None:
    bare = value.strip()
    if not bare:
        return "is empty"
    if bare.lower() in _COMMON:
        return "is a common word"
    if len(bare) < SHORTEST:
        return f"is shorter than {SHORTEST} characters"
    return None


def _passwords(value: str) -> set[str]:
    """What in a connection string is the secret of it: programs print the rest of it without the frame."""
    found = {match[2] or match[3] for match in _KEYWORD.finditer(value)}
    if "://" in value:
        # Not parsed as a URL: a password with a slash in it, written raw, is one too.
        userinfo, at, _ = value.partition("://")[2].rpartition("@")
        if at:
            found.add(userinfo.partition(":")[2])
    return {form for part in found for form in (part, unquote(part)) if form}


def _forms(name: str, value: str) -> Iterator[_Form]:
    values = {value, value.strip()}
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        # Keys of several lines are printed line by line; their first and last lines are the same in every key.
        values.update(line for line in lines if len(line) >= SHORTEST and not line.startswith("-----"))
    for part in values:
        for form in (*_plain_forms(name, part), *_base64_forms(name, part.encode("utf-8", "surrogatepass"))):
            spelling = _BREAKS.sub(b"", form.spelling)
            if len(spelling) >= SHORTEST:
                yield _Form(spelling, form.name, form.before, form.after)


def _plain_forms(name: str, value: str) -> Iterator[_Form]:
    raw = value.encode("utf-8", "surrogatepass")
    escaped = json.dumps(value)[1:-1]
    percent = [quote(raw, safe=safe) for safe in ("", "/", "!'()*", ":/?#[]@!$&'()*+,;=")] + [quote_plus(raw)]
    spellings = {
        raw,
        escaped.encode(),
        escaped.replace("/", "\\/").encode(),
        json.dumps(value, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"),
        raw.hex().encode(),
        raw.hex().upper().encode(),
        *(text.encode() for text in percent),
        *(re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text).encode() for text in percent),
    }
    for spelling in spellings:
        yield _Form(spelling, name)


def _base64_forms(name: str, raw: bytes) -> Iterator[_Form]:
    """Base64 of any text that holds the secret: where it begins modulo three decides what it looks like."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw).rstrip(b"=")
        whole = (offset + len(raw)) * 8 // 6  # characters that nothing behind the secret can change
        first = (offset * 8 + 5) // 6  # nor anything in front of it
        core = encoded[first:whole]
        for spelling in {core, core.translate(bytes.maketrans(b"+/", b"-_"))}:
            yield _Form(spelling, name, before=min(offset, 1), after=int((offset + len(raw)) % 3 != 0))
