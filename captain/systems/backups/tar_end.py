"""Whether a tar archive that flows by reaches its own end: pg_restore takes one that is cut within its data. Pure."""

from __future__ import annotations

BLOCK = 512
_END = 2
"""Empty blocks with which an archive ends."""


class TarEnd:
    """Takes an archive piece by piece and keeps no more than one block of it."""

    def __init__(self) -> None:
        self._block = b""
        self._skip = 0
        self._empty = 0
        self.malformed = False
        """Whether a header is none: nothing can be said from there on."""

    @property
    def complete(self) -> bool:
        """Whether every file was as long as its header said and the end was there."""
        return self._empty >= _END and not self.malformed

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not self.complete and not self.malformed:
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(BLOCK - len(self._block), len(data) - at)
                self._block += data[at : at + step]
                if len(self._block) == BLOCK:
                    self._header(self._block)
                    self._block = b""
            at += step

    def _header(self, block: bytes) -> None:
        if not any(block):
            self._empty += 1
            return
        self._empty = 0
        size = _number(block[124:136])
        # The sum counts its own field as spaces.
        if size is None or _number(block[148:156]) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
            self.malformed = True
        else:
            self._skip = -(-size // BLOCK) * BLOCK


def _number(field: bytes) -> int | None:
    if field[0] & 0x80:  # too large for octal digits
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return None
