"""Whether a container runs as the user it is meant to. Pure: knows no engine and no verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from captain.systems.docker import containers as told
from captain.systems.docker.passwd import Users, numeric, without_group


def runs_as(
    document: Mapping[str, Any], expected: str, users: Users | None, uids: set[int] | None
) -> tuple[bool | None, str]:
    """Whether it does, None where that cannot be told, and why it does not or cannot be told.

    `users` are those of the container's own file, None where it has none: then only numbers can be compared. `uids`
    are the owners of its processes, None where nobody knows them.
    """
    configured = without_group(str(told.part(document, "Config").get("User") or ""))
    number = numeric(expected) if users is None else users.number(expected)
    same_number = number is not None and configured != "" and numeric(configured) == number
    if configured != expected and not same_number:
        return False, f"is configured to run as {configured or 'root'}"
    if number == 0:
        return False, f"{expected} is root there"
    if number is None:
        return None, f"has no {expected} in an /etc/passwd of its own"
    if uids is None:
        return None, "has no processes whose users are known"
    if others := sorted(uids - {number}):
        return False, f"has processes of uid {', '.join(map(str, others[:5]))}, not {number}"
    return True, ""
