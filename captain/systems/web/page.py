"""Which scripts and styles an HTML page loads. One pass that no page can slow down; runs and fetches nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin

from captain.http.follow import origin

_TAG = re.compile(r"<!--|<(script|link|base)\b([^<>]{0,8192})>", re.IGNORECASE)
# Each part is bounded or starts where no other match could: no page makes it look at a letter many times.
_ATTRIBUTE = re.compile(r"(?<![a-zA-Z-])([a-zA-Z-]{1,40})\s{0,9}=\s{0,9}(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
_LOADED = frozenset(("stylesheet", "modulepreload"))


@dataclass(frozen=True, slots=True)
class Assets:
    """What the page names, each once, in its order."""

    own: tuple[str, ...]
    """Absolute URLs of the page's own origin."""
    elsewhere: int
    """How many are of other origins."""


def assets(text: str, url: str) -> Assets:
    """The scripts, preloaded modules and style sheets of the page that came from `url`."""
    own: dict[str, None] = {}
    elsewhere: set[str] = set()
    base = url
    for name, attributes in _tags(text):
        if name == "base":
            # The first one counts.
            base = _joined(url, attributes.get("href", "")) or url if base == url else base
            continue
        wanted = attributes.get("src") if name == "script" else None
        if name == "link" and _LOADED & set(attributes.get("rel", "").lower().split()):
            wanted = attributes.get("href")
        target = _joined(base, wanted) if wanted else None
        if target is None:
            continue
        if origin(target) == origin(url):
            own[target] = None
        else:
            elsewhere.add(target)
    return Assets(tuple(own), len(elsewhere))


def _tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    at = 0
    while (found := _TAG.search(text, at)) is not None:
        at = found.end()
        if found[1] is None:
            end = text.find("-->", at)
            if end < 0:
                return
            at = end + 3
            continue
        name = found[1].lower()
        yield name, {key.lower(): html.unescape(one or two or bare) for key, one, two, bare in _pairs(found[2])}
        if name == "script":
            # What stands in a script is text, tags or not.
            end = _script_end(text, at)
            if end < 0:
                return
            at = end


_SCRIPT_END = re.compile(r"</script", re.IGNORECASE)


def _script_end(text: str, at: int) -> int:
    found = _SCRIPT_END.search(text, at)
    return -1 if found is None else found.end()


def _pairs(attributes: str) -> list[tuple[str, str, str, str]]:
    return _ATTRIBUTE.findall(attributes)


def _joined(base: str, target: str) -> str | None:
    try:
        joined = urldefrag(urljoin(base, target.strip())).url
        origin(joined)
    except ValueError:
        return None
    return joined if joined.startswith(("http://", "https://")) else None
