"""What an entry refers to by digest: a blob that may be deleted later without breaking the log."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from captain.errors import LogError

MAX_EVIDENCE = 1024 * 1024
"""Bytes of data."""
SALT_BYTES = 16

_MEDIA = re.compile(r"[!-~][ -~]{0,126}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Bytes with a media type, named by a salted digest.

    The salt keeps a short value from being guessed from the digest that stays in the log after the blob is gone.
    """

    media: str
    """As in `application/json`. A label: the digest does not cover it."""
    data: bytes
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(SALT_BYTES))
    digest: str = field(init=False)
    """SHA-256 over salt and data, 64 hex digits."""

    def __post_init__(self) -> None:
        if len(self.data) > MAX_EVIDENCE:
            raise LogError(
                f"cannot keep {len(self.data)} bytes as evidence; the log takes at most 1 MiB per piece",
                hint="attach a link to it instead, or an extract",
            )
        if len(self.salt) != SALT_BYTES:
            raise LogError(f"evidence has a salt of {len(self.salt)} bytes instead of {SALT_BYTES}")
        if not _MEDIA.fullmatch(self.media):
            raise LogError(f"{self.media[:64]!r} is no media type for evidence")
        object.__setattr__(self, "digest", sha256(self.salt + self.data).hexdigest())
