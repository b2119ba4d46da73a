"""What a file of users says: name and number. Pure."""

from __future__ import annotations

MOST = 1024 * 1024
"""Bytes of such a file that are read."""
PATH = "etc/passwd"


class Users:
    """The users of one /etc/passwd. Of two lines for a name or a number the first counts, as in the C library."""

    def __init__(self, text: str) -> None:
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        for line in text.splitlines():
            name, _, rest = line.partition(":")
            number = rest.partition(":")[2].partition(":")[0]
            if name and number.isascii() and number.isdecimal() and len(number) < 11:
                self._numbers.setdefault(name, int(number))
                self._names.setdefault(int(number), name)

    def number(self, user: str) -> int | None:
        """The uid of a user as configured: a name of the file or a number; None where the file has no such name."""
        return self._numbers.get(user, numeric(user))

    def name(self, number: int) -> str | None:
        return self._names.get(number)


def numeric(user: str) -> int | None:
    """The uid that a configured user is by itself: a number as it is, nobody at all is 0."""
    if not user:
        return 0
    return int(user) if user.isascii() and user.isdecimal() and len(user) < 11 else None


def without_group(user: str) -> str:
    """`app` of `app:app`."""
    return user.partition(":")[0].strip()
