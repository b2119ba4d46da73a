"""What of INFO counts as measured, and what Redis only says by default."""

from __future__ import annotations

from datetime import timedelta

import pytest

from captain.systems.keys.info import fields, figures, fits

CAPTURED = """\
# captured, redis 7.0.15
redis_version:7.0.15
uptime_in_seconds:291
connected_clients:12
used_memory:1913192
maxmemory:67108864
maxmemory_policy:allkeys-lru
rdb_last_bgsave_status:ok
rdb_last_save_time:1795397450
aof_enabled:0
rejected_connections:0
evicted_keys:0
keyspace_hits:54
keyspace_misses:49
role:master
db0:keys=1,expires=0,avg_ttl=0
"""


def test_a_captured_answer_gives_the_figures_of_the_payload() -> None:
    seen = figures(fields(CAPTURED)).observed
    assert round(float(str(seen["hit_ratio"])), 3) == 0.524
    assert (seen["maxmemory"], seen["policy"], seen["clients"]) == (67108864, "allkeys-lru", 12)
    assert "last_save_age" not in seen, "without the server's clock there is no age"


@pytest.mark.parametrize("text", ["", "nothing here", "a:b:c", "keyspace_hits:many\nkeyspace_misses:-", ":\n::\n\0:\0"])
def test_an_answer_that_says_nothing_gives_nothing(text: str) -> None:
    seen = figures(fields(text)).observed
    assert seen == {}


@pytest.mark.parametrize("number", ["NaN", "inf", "1e5", "12345678901234567890123", "١٢", "1.5", ""])
def test_what_is_no_whole_number_is_left_out(number: str) -> None:
    assert "maxmemory" not in figures({"maxmemory": number, "used_memory": "1"}).observed


def test_a_failed_snapshot_counts_even_where_nothing_tells_how_long_it_took() -> None:
    assert figures({"rdb_last_bgsave_status": "err", "rdb_last_bgsave_time_sec": "-1"}).observed["bgsave_ok"] is False
    assert figures({"rdb_last_bgsave_status": "ok", "rdb_last_bgsave_time_sec": "-1"}).observed == {}


def test_before_redis_7_a_save_as_old_as_the_process_is_none() -> None:
    clock = {"server_time_usec": "1000000000", "uptime_in_seconds": "500"}
    assert "last_save_age" not in figures({**clock, "rdb_last_save_time": "500"}).observed
    assert figures({**clock, "rdb_last_save_time": "900"}).observed["last_save_age"] == timedelta(seconds=100)


def test_a_cache_evicts_and_a_broker_must_not() -> None:
    assert fits("cache", "allkeys-lru") and fits("cache", "volatile-ttl") and not fits("cache", "noeviction")
    assert fits("broker", "noeviction") and not fits("broker", "allkeys-lfu") and not fits("both", "volatile-lru")
