"""ULIDs: ids that sort by time and are made by whoever appends, so that an append can be looked up again."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FORM = re.compile(f"[0-7][{_ALPHABET}]{{25}}")


def ulid(moment: datetime) -> str:
    """26 characters: 48 bits of milliseconds since 1970, 80 random bits."""
    milliseconds = min(max(int(moment.timestamp() * 1000), 0), (1 << 48) - 1)
    number = milliseconds << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    """Whether `text` has the form of a ULID."""
    return _FORM.fullmatch(text) is not None
