"""An HTTP answer as text and JSON, and one value out of it by its place. Trusts nothing it reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from captain.documents import parse_json
from captain.http import Reply

PLACE = re.compile(r"json(\.[^.\s]{1,100}){1,20}|headers\.[A-Za-z0-9!#$%&'*+^_`|~-]{1,128}")
"""Where a value stands: `json.checks.0.name` or `headers.x-version`."""
_LONGEST_NAME = 256
_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9_-]{1,20})", re.IGNORECASE)
_CHARSETS = re.compile(r"utf-?8|us-ascii|ascii|iso-8859-\d{1,2}|latin-?1|windows-125\d|utf-16(le|be)?", re.IGNORECASE)


@dataclass(slots=True)
class Answer:
    """A reply that was read. `json` is there only where the body is JSON."""

    reply: Reply
    text: str | None
    json: dict[str, Any] = field(default_factory=dict)
    """{} or {"json": value}: a body may be the JSON null."""
    notes: list[str] = field(default_factory=list)

    def at(self, place: str) -> str | None:
        """The text or whole number at that place; None where there is none."""
        first, *path = place.split(".")
        if first == "headers":
            return _name(self.reply.headers.get(".".join(path).lower()))
        value = self.json.get("json")
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return _name(value)


def _name(value: object) -> str | None:
    """The value where it can be a name: neither empty nor endless."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= _LONGEST_NAME else None


def read(reply: Reply) -> Answer:
    """The body as text where it is decoded, as JSON where it is that."""
    answer = Answer(reply, _text(reply))
    if reply.undecoded is not None:
        answer.notes.append(f"the body came as {reply.undecoded}, which captain does not decode")
    if answer.text is not None and _looks_like_json(reply, answer.text):
        try:
            answer.json["json"] = parse_json(answer.text)
        except ValueError as error:
            answer.notes.append(f"the body is not JSON: {error}")
    return answer


def is_page(reply: Reply) -> bool:
    """Whether it is a whole HTML page that came as it was meant."""
    kind = reply.headers.get("content-type", "").lower()
    return reply.status == 200 and "html" in kind and not reply.truncated and reply.undecoded is None


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
