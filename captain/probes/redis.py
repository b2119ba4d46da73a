"""The kind `redis`: what a Redis says of itself, how fast it answers, and whether it keeps what it is given."""

from __future__ import annotations

import math
import secrets
import time
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypedDict

from pydantic import Field

from captain.errors import ProbeError
from captain.fields import Bool, EnvName, PositiveInt, Text
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, Safety, probe
from captain.systems.keys.client import Client, Session, address, redis_session, text
from captain.systems.keys.info import Figures, fields, figures, fits

_MARGIN = 0.9
"""Share of the attempt's time it may take, so that its own error comes before the attempt's end."""
_ENOUGH = 1024 * 1024
"""Bytes. INFO is a few thousand."""
_KEPT = 30
"""Seconds after which the key of a canary is gone by itself."""


@probe("redis")
class RedisProbe(Probe):
    """Is Redis there, fast enough, with room left, and does it keep what it is given?

    Asks PING and INFO only. With `canary` it also sets, reads and deletes one key of its own. What Redis does not
    know is left out: hit_ratio before the first lookup, used_ratio without maxmemory, last_save_age and bgsave_ok
    before the first snapshot since its start.
    """

    default_expect: ClassVar[tuple[str, ...]] = (
        "connected",
        "maxmemory == 0 || used_ratio <= 0.9",
        'role == "master" || master_link == "up"',
    )
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "on_error decides (fail): not reached, no answer in time, still loading, certificate not verifying; "
        "unknown: user, password or permission refused, redis-py not installed"
    )
    more_than_reading: ClassVar[str] = "`canary: true` is active: sets, reads and deletes a key captain:canary:RUN:…"
    example: ClassVar[str] = """\
id: cache-works
title: The cache works
redis: { url_env: REDIS_URL, canary: true, purpose: cache }
expect: ['canary_ok', 'policy_fits', 'maxmemory > 0', 'used_ratio <= 0.9', 'ping_p95 <= duration("5ms")']"""

    url_env: EnvName
    """The secret that holds redis://USER:<PASSWORD>@HOST:6379/0; rediss:// for TLS, unix:///PATH."""
    ca_file: Text | None = None
    """Certificate authorities to trust instead of the machine's, a PEM file."""
    canary: Bool = False
    """Set a key for 30 seconds, read it and delete it."""
    samples: Annotated[PositiveInt, Field(le=1000)] = 20
    """How many PINGs ping_p95 is taken from."""
    purpose: Literal["cache", "broker", "both"] | None = None
    """What it is for; policy_fits is observed then."""

    class Observes(TypedDict, total=False):
        """What it said."""

        connected: Annotated[bool, "the login worked and it answered"]
        ping_p95: Annotated[timedelta, "95 of 100 PINGs were answered faster than that, captain's own part included"]
        version: Annotated[str, "its version"]
        role: Annotated[str, "master or slave, in the words of Redis"]
        master_link: Annotated[str, "up or down: whether a replica reaches its master; left out for a master"]
        master_link_down: Annotated[timedelta, "since when it does not"]
        policy: Annotated[str, "the eviction policy, such as allkeys-lru"]
        policy_fits: Annotated[bool, "the policy suits the purpose: a cache evicts, a broker must not (needs purpose)"]
        run_id: Annotated[str, "the id of this process of Redis"]
        hits: Annotated[int, "lookups that found a key, since its start"]
        misses: Annotated[int, "lookups that found none"]
        hit_ratio: Annotated[float, "hits of all lookups; left out when there were none"]
        evicted: Annotated[int, "keys evicted for lack of memory, since its start"]
        rejected_connections: Annotated[int, "connections refused because of maxclients, since its start"]
        clients: Annotated[int, "clients connected, this one included"]
        maxmemory: Annotated[int, "bytes it may use, 0 for no limit"]
        used_memory: Annotated[int, "bytes it uses"]
        used_ratio: Annotated[float, "used_memory of maxmemory; left out without a limit"]
        last_save_age: Annotated[
            timedelta, "time since the last snapshot; left out when there was none since its start"
        ]
        bgsave_ok: Annotated[bool, "the last snapshot succeeded; left out when there was none since its start"]
        aof: Annotated[bool, "every write is appended to a file"]
        tls: Annotated[bool, "the connection was TLS, the certificate verified"]
        auth_required: Annotated[bool, "without a password it answers nothing"]
        tried: Annotated[bool, "the key was sent; false where that was not permitted (needs canary)"]
        canary_ok: Annotated[bool, "the key came back as it was set and could be deleted (needs canary)"]

    @property
    def safety(self) -> Safety:
        return "active" if self.canary else "read"

    @classmethod
    def prepare(cls) -> None:
        from captain.systems.keys.client import load

        load()

    def asks(self) -> str:
        return f"redis {self.url_env}: PING, INFO{', SET GET DEL' if self.canary else ''}"

    def does(self) -> tuple[str, ...]:
        key = f"captain:canary:RUN:… in the Redis of {self.url_env}"
        return (f"sets a key {key} for {_KEPT} seconds and reads it", "afterwards deletes that key")

    async def measure(self, ctx: Context) -> Measurement:
        where = address(self.url_env, ctx.secret(self.url_env))
        ca_file = None if self.ca_file is None else ctx.root / self.ca_file
        within = ctx.timeout * _MARGIN
        async with redis_session(
            where, blocking=ctx.blocking, timeout=within, ca_file=ca_file, limit=_ENOUGH
        ) as session:
            pings = await session.do(lambda client: _pings(client, self.samples))
            info = text(await session.do(lambda client: client.ask("INFO")))
            found = figures(fields(info))
            observed = found.observed
            observed |= {"connected": True, "ping_p95": percentile(pings, 0.95), "tls": where.tls}
            policy = observed.get("policy")
            if self.purpose is not None and isinstance(policy, str):
                observed["policy_fits"] = fits(self.purpose, policy)
            if self.canary:
                observed["tried"] = True
                await _canary(session, f"captain:canary:{ctx.run or 'check'}:{secrets.token_hex(4)}", found)
            if (open_to_all := await session.lets_anybody_in()) is not None:
                observed["auth_required"] = not open_to_all
        return Measurement(
            observed=observed,
            asked=f"{where}: PING x {self.samples}, INFO{', SET GET DEL' if self.canary else ''}",
            body=ctx.clip(info),
            truncated=len(info) > len(ctx.clip(info)),
            notes=tuple(found.notes),
        )


def percentile(samples: list[timedelta], share: float) -> timedelta:
    """The nearest rank: the smallest sample that `share` of all do not exceed."""
    return sorted(samples)[max(math.ceil(share * len(samples)), 1) - 1]


def _pings(client: Client, samples: int) -> list[timedelta]:
    took = []
    for _ in range(samples):
        began = time.perf_counter()
        if client.ask("PING") != b"PONG":
            raise ProbeError("PING: answered something else than PONG: this is not Redis", fault="unclear")
        took.append(timedelta(seconds=time.perf_counter() - began))
    return took


async def _canary(session: Session, key: str, found: Figures) -> None:
    """Adds canary_ok. Where Redis does not take the key, it is not ok; where this user may not, nothing is known."""
    value: Value = secrets.token_hex(8)

    def there_and_back(client: Client) -> bool:
        client.ask("SET", key, str(value), "EX", _KEPT)
        came_back = text(client.ask("GET", key)) == value
        return client.ask("DEL", key) == 1 and came_back

    try:
        found.observed["canary_ok"] = await session.do(there_and_back)
    except ProbeError as error:
        if error.fault == "instrument" or "cluster" in error.message:
            found.notes.append(f"no canary: {error.message}" + (f" ({error.hint})" if error.hint else ""))
            return
        found.observed["canary_ok"] = False
        found.notes.append(f"the canary failed: {error.message}")
