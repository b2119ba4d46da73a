"""Reads what Redis says of itself (INFO). Pure: text in, values out; what is not said is left out, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from captain.measurement import Value
from captain.safe import safe

_COUNTS = {
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "evicted": "evicted_keys",
    "rejected_connections": "rejected_connections",
    "clients": "connected_clients",
    "maxmemory": "maxmemory",
    "used_memory": "used_memory",
}
_TEXTS = {"version": "redis_version", "role": "role", "policy": "maxmemory_policy", "run_id": "run_id"}


@dataclass(slots=True)
class Figures:
    """What could be read, and sentences about what could not."""

    observed: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def fields(text: str) -> dict[str, str]:
    """`name:value` lines by name; comments and anything else are passed over."""
    pairs = (line.strip().partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def figures(info: Mapping[str, str]) -> Figures:
    """The observations that INFO gives."""
    found = Figures()
    seen = found.observed
    seen.update({name: safe(info[key], 200) for name, key in _TEXTS.items() if info.get(key)})
    numbers = {name: _number(info, key) for name, key in _COUNTS.items()}
    seen.update({name: number for name, number in numbers.items() if number is not None})
    hits, misses = numbers["hits"], numbers["misses"]
    if hits is not None and misses is not None:
        if hits + misses:
            seen["hit_ratio"] = hits / (hits + misses)
        else:
            found.notes.append("nothing was looked up yet, so there is no hit_ratio")
    used, most = numbers["used_memory"], numbers["maxmemory"]
    if used is not None and most is not None:
        if most:
            seen["used_ratio"] = used / most
        else:
            found.notes.append("maxmemory is 0: it may grow until the machine has no memory left")
    if info.get("aof_enabled") in ("0", "1"):
        seen["aof"] = info["aof_enabled"] == "1"
    _saves(info, found)
    if info.get("cluster_enabled") == "1":
        found.notes.append("this is one node of a cluster: the values are of this node alone")
    if "redis_version" not in info:
        found.notes.append("INFO names no redis_version: this may be something else that speaks its protocol")
    return found


def fits(purpose: str, policy: str) -> bool:
    """Whether an eviction policy suits the purpose: a cache may forget, a broker must not."""
    forgets = policy.startswith(("allkeys-", "volatile-"))
    return forgets if purpose == "cache" else not forgets


def _saves(info: Mapping[str, str], found: Figures) -> None:
    """Snapshots. Until the first one since its start, Redis reports the moment it started, and "ok"."""
    ran = _number(info, "rdb_last_bgsave_time_sec")
    if info.get("rdb_last_bgsave_status") in ("ok", "err") and (ran is None or ran >= 0 or _failed(info)):
        found.observed["bgsave_ok"] = info["rdb_last_bgsave_status"] == "ok"
    elif "rdb_last_bgsave_status" in info:
        found.notes.append("no background save ran since it started, so there is no bgsave_ok")
    saved, now = _number(info, "rdb_last_save_time"), _number(info, "server_time_usec")
    if saved is None or now is None:
        return
    made, up = _number(info, "rdb_saves"), _number(info, "uptime_in_seconds")
    # Before Redis 7 nothing counts the snapshots: one as old as the process may be none.
    if made == 0 or (made is None and (up is None or saved <= now // 1_000_000 - up + 1)):
        found.notes.append("nothing was saved since it started, so there is no last_save_age")
        return
    found.observed["last_save_age"] = max(timedelta(microseconds=now) - timedelta(seconds=saved), timedelta(0))


def _failed(info: Mapping[str, str]) -> bool:
    return info.get("rdb_last_bgsave_status") == "err"


def _number(info: Mapping[str, str], key: str) -> int | None:
    value = info.get(key, "")
    digits = value.removeprefix("-")
    return int(value) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None
