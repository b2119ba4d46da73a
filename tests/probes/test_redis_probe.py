"""What the redis probe tells about real servers, and what it does not take for an answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.redis import RedisProbe, percentile
from captain.systems.keys.client import address
from tests.hostile_server import MANNERS, HostileServer
from tests.memory import grown
from tests.one_step import OneStep
from tests.probe_context import holds, probe_context
from tests.redis_server import PASSWORD, RedisServer, RedisServers

ROOT = Path.cwd()


async def ask(url: str, *, within: float = 10, run: str = "run-1", **keys: Any) -> Measurement:
    secrets = {"REDIS_URL": url}
    seen = await RedisProbe(url_env="REDIS_URL", **keys).measure(probe_context(ROOT, within, secrets, run=run))
    assert PASSWORD not in repr(seen)
    return seen


async def refused(url: str, **keys: Any) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        await ask(url, **keys)
    error = caught.value
    chain: BaseException | None = error
    while chain is not None:
        assert PASSWORD not in repr((chain, getattr(chain, "hint", None)))
        chain = chain.__cause__
    return error


async def test_a_well_kept_cache_passes_and_says_everything_about_itself(redis_server: RedisServer) -> None:
    redis_server.run("SET", "cache:a", "1", database=2)
    for key in ("cache:a", "cache:missing"):
        redis_server.run("GET", key, database=2)
    seen = await ask(redis_server.url(2), canary=True, purpose="cache")
    found = seen.observed
    assert holds(RedisProbe, seen) is True
    expect = ('policy.startsWith("allkeys-")', "used_ratio <= 0.9", 'ping_p95 <= duration("100ms")', "canary_ok")
    assert holds(RedisProbe, seen, *expect, "policy_fits", "auth_required", "!tls", 'role == "master"') is True
    assert (found["maxmemory"], found["aof"], found["rejected_connections"]) == (64 * 1024**2, False, 0)
    assert isinstance(found["version"], str) and found["version"][0].isdigit()
    assert isinstance(found["clients"], int) and found["clients"] >= 1
    assert len(str(found["run_id"])) == 40
    assert 0 < float(str(found["hit_ratio"])) <= 1
    assert seen.asked == f"redis 127.0.0.1:{redis_server.port}/2: PING x 20, INFO, SET GET DEL"
    assert seen.body is not None and "redis_version" in seen.body


async def test_a_measurement_leaves_nothing_behind(redis_server: RedisServer) -> None:
    before = redis_server.run("DBSIZE", database=3)
    await ask(redis_server.url(3), canary=True)
    assert redis_server.run("DBSIZE", database=3) == before == 0


async def test_only_ping_and_info_are_asked_without_a_canary(redis_servers: RedisServers) -> None:
    server = redis_servers.start()
    await ask(server.url())
    stats = server.run("INFO", "commandstats")
    assert {name for name in stats if name.startswith("cmdstat_")} <= {"cmdstat_ping", "cmdstat_info"}


async def test_what_was_never_counted_is_left_out_and_said(redis_servers: RedisServers) -> None:
    server = redis_servers.start()
    seen = await ask(server.url(), purpose="cache")
    left_out = {"hit_ratio", "used_ratio", "last_save_age", "bgsave_ok", "canary_ok"}
    assert not left_out & seen.observed.keys()
    notes = " ".join(seen.notes)
    assert "no hit_ratio" in notes and "maxmemory is 0" in notes and "no last_save_age" in notes and "bgsave" in notes
    assert (seen.observed["policy_fits"], seen.observed["auth_required"]) == (False, False)
    assert holds(RedisProbe, seen, "bgsave_ok") is None
    assert holds(RedisProbe, seen, "last_save_age < duration('1h')") is None


async def test_a_snapshot_that_was_made_has_an_age(redis_servers: RedisServers) -> None:
    server = redis_servers.start()
    server.run("SAVE")
    server.run("BGSAVE")
    while server.run("INFO", "persistence")["rdb_last_bgsave_time_sec"] < 0:
        time.sleep(0.01)
    seen = await ask(server.url())
    assert seen.observed["bgsave_ok"] is True
    assert timedelta(0) <= seen.observed["last_save_age"] < timedelta(seconds=30)  # type: ignore[operator]


async def test_a_full_server_fails_and_refuses_the_canary(redis_servers: RedisServers) -> None:
    server = redis_servers.start("--maxmemory", "1500kb", "--maxmemory-policy", "noeviction")
    with server.client() as client, pytest.raises(Exception, match="maxmemory"):
        for number in range(100_000):
            client.set(f"filler:{number}", "x" * 1000)
    seen = await ask(server.url(), canary=True, purpose="broker")
    assert holds(RedisProbe, seen) is False
    assert seen.observed["canary_ok"] is False
    assert any("maxmemory" in note for note in seen.notes)
    assert seen.observed["policy_fits"] is True


async def test_a_broker_that_may_forget_is_told(redis_server: RedisServer) -> None:
    for purpose in ("broker", "both"):
        assert (await ask(redis_server.url(), purpose=purpose)).observed["policy_fits"] is False


@pytest.mark.parametrize(
    ("url", "words", "hint"),
    [
        ({"password": "not-the-password"}, "the user or password in REDIS_URL is not accepted", "check REDIS_URL"),
        ({"user": "ghost", "password": "whatever"}, "is not accepted", "check REDIS_URL"),
    ],
)
async def test_a_wrong_password_is_the_instruments_fault(
    redis_server: RedisServer, url: Mapping[str, Any], words: str, hint: str
) -> None:
    error = await refused(redis_server.url(**url))
    assert (error.fault, error.hint) == ("instrument", hint)
    assert error.message.startswith(f"redis 127.0.0.1:{redis_server.port}/0: ") and words in error.message


async def test_a_missing_password_and_one_too_many_are_told_apart(
    redis_server: RedisServer, redis_servers: RedisServers
) -> None:
    error = await refused(f"redis://127.0.0.1:{redis_server.port}/0")
    assert error.fault == "instrument" and "asks for a password, and REDIS_URL holds none" in error.message
    error = await refused(redis_servers.start().url(password=PASSWORD))
    assert error.fault == "instrument" and "asks for no password, but REDIS_URL holds one" in error.message


async def test_a_user_without_rights_is_unknown_and_told_what_to_grant(redis_server: RedisServer) -> None:
    redis_server.run("ACL", "SETUSER", "blind", "on", f">{PASSWORD}", "+ping", "~*")
    redis_server.run("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "+ping", "+info", "~*")
    error = await refused(redis_server.url(user="blind"))
    assert error.fault == "instrument" and "INFO" in error.message
    assert error.hint == "let this user run it: ACL SETUSER blind +info"
    seen = await ask(redis_server.url(user="reader"), canary=True)
    assert "canary_ok" not in seen.observed and holds(RedisProbe, seen, "canary_ok") is None
    assert any(note.startswith("no canary: ") and "+set" in note for note in seen.notes)


async def test_a_database_that_is_not_there_is_no_healthy_one(redis_server: RedisServer) -> None:
    error = await refused(redis_server.url(99))
    assert error.fault == "instrument" and "has no database 99" in error.message


async def test_a_replica_takes_no_canary(redis_servers: RedisServers) -> None:
    master = redis_servers.start("--repl-diskless-sync-delay", "0")
    replica = redis_servers.start("--replicaof", "127.0.0.1", str(master.port))
    while replica.run("ROLE")[3] != b"connected":
        time.sleep(0.02)
    seen = await ask(replica.url(), canary=True)
    assert (seen.observed["role"], seen.observed["canary_ok"]) == ("slave", False)
    assert any("is a replica, which takes no writes" in note for note in seen.notes)


async def test_a_replica_whose_master_is_gone_is_not_well(redis_servers: RedisServers) -> None:
    master = redis_servers.start()
    replica = redis_servers.start("--replicaof", "127.0.0.1", str(master.port))
    ends = time.monotonic() + 15
    while "master_link_status:up" not in (seen := await ask(replica.url())).body:  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert seen.observed["master_link"] == "up" and holds(RedisProbe, seen) is True
    assert "master_link" not in (await ask(master.url())).observed
    master.kill()
    while (seen := await ask(replica.url())).observed["master_link"] == "up":
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert holds(RedisProbe, seen) is False
    assert isinstance(seen.observed["master_link_down"], timedelta)
    assert any("a replica without its master" in note for note in seen.notes)


async def test_a_node_of_a_cluster_says_so_and_is_not_blamed_for_the_canary(redis_servers: RedisServers) -> None:
    server = redis_servers.start("--cluster-enabled", "yes")
    seen = await ask(server.url(), canary=True)
    assert "canary_ok" not in seen.observed
    assert any("one node of a cluster" in note for note in seen.notes)


async def test_a_server_that_still_loads_is_the_products_fault(hostile_server: HostileServer) -> None:
    words = b"-LOADING Redis is loading the dataset in memory\r\n"
    error = await refused(f"redis://127.0.0.1:{hostile_server.port('silent', after=words)}/0", within=2)
    assert error.fault == "unclear" and "is still loading its data" in error.message
    assert RedisProbe.on_error == "fail"


async def test_one_client_too_many_is_said_plainly(redis_servers: RedisServers) -> None:
    server = redis_servers.start("--maxclients", "1")
    with server.client() as only:
        only.ping()
        error = await refused(server.url())
    assert error.fault == "unclear" and "takes no more clients" in error.message


async def test_nobody_there_is_a_failure(redis_servers: RedisServers) -> None:
    server = redis_servers.start()
    server.kill()
    error = await refused(server.url())
    assert error.fault == "unclear" and "connection refused" in error.message


async def test_a_unix_socket_is_asked_by_its_path(redis_server: RedisServer) -> None:
    seen = await ask(f"unix://:{PASSWORD}@{redis_server.unix}?db=1")
    assert holds(RedisProbe, seen) is True and seen.asked.startswith(f"redis {redis_server.unix}/1: ")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import trustme

    folder = tmp_path_factory.mktemp("tls")
    ours, theirs = trustme.CA(), trustme.CA()
    issued = ours.issue_cert("localhost")
    files = {name: folder / f"{name}.pem" for name in ("ca", "other", "cert", "key")}
    ours.cert_pem.write_to_path(str(files["ca"]))
    theirs.cert_pem.write_to_path(str(files["other"]))
    issued.cert_chain_pems[0].write_to_path(str(files["cert"]))
    issued.private_key_pem.write_to_path(str(files["key"]))
    return files


async def test_tls_is_verified_against_the_name_that_was_asked(
    redis_servers: RedisServers, authority: dict[str, Path]
) -> None:
    server = redis_servers.start(tls=(authority["cert"], authority["key"]), password=PASSWORD)
    seen = await ask(server.url(host="localhost"), ca_file=str(authority["ca"]), canary=True)
    assert holds(RedisProbe, seen, "tls", "canary_ok", "auth_required") is True
    for url, ca_file, words in (
        (server.url(host="localhost"), "other", "the certificate does not verify"),
        (server.url(host="127.0.0.1"), "ca", "the certificate does not verify"),
    ):
        error = await refused(url, ca_file=str(authority[ca_file]))
        assert error.fault == "unclear" and words in error.message, error.message
        assert error.hint == "name its authority with ca_file"


async def test_tls_against_a_plain_server_and_the_other_way_round_are_told_apart(
    redis_server: RedisServer, redis_servers: RedisServers, authority: dict[str, Path]
) -> None:
    error = await refused(redis_server.url().replace("redis:", "rediss:"), ca_file=str(authority["ca"]), within=0.5)
    assert (error.fault, error.hint) == ("unclear", "does it speak TLS? redis:// is without"), error.message
    server = redis_servers.start(tls=(authority["cert"], authority["key"]))
    error = await refused(server.url().replace("rediss:", "redis:"), within=3)
    assert error.hint == "does it want TLS? that is rediss:// instead of redis://", error.message


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}/x@host:6379/0",
        f"redis://user:{PASSWORD}#x@host:6379/0",
        f"redis://user:{PASSWORD}@host:port/0",
        f"redis://user:{PASSWORD}@host:6379/zero",
        f"http://user:{PASSWORD}@host:6379/0",
        f"sentinel://user:{PASSWORD}@host:6379/0",
        f"redis://{PASSWORD}[",
        PASSWORD,
        "",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ProbeError) as caught:
        address("REDIS_URL", url)
    assert caught.value.fault == "instrument" and "REDIS_URL is not the URL of a Redis" in caught.value.message
    assert PASSWORD not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_url_is_read_as_clients_read_it() -> None:
    where = address("R", f"rediss://me:{PASSWORD.replace('-', '%2D')}@cache.example/7")
    assert (where.host, where.port, where.database, where.tls) == ("cache.example", 6379, 7, True)
    assert (where.username, where.password) == ("me", PASSWORD)
    assert PASSWORD not in f"{where} {where!r}"
    assert address("R", "redis://[::1]:6380").host == "::1"
    assert address("R", "redis://h?db=4").database == 4


FLOODS = {
    "bulk": b"+PONG\r\n" * 20 + b"$100000000\r\n",
    "list": b"+PONG\r\n" * 20 + b"*100000000\r\n",
    "nest": b"",
}


@pytest.mark.parametrize("manner", [*MANNERS, *FLOODS])
async def test_no_server_holds_the_probe_or_fills_the_memory(hostile_server: HostileServer, manner: str) -> None:
    unit = b"*1\r\n" if manner == "nest" else b":1\r\n"
    flooding = {"unit": unit, "after": FLOODS[manner]} if manner in FLOODS else {}
    port = hostile_server.port("flood" if flooding else manner, **flooding)
    with grown() as memory:
        began = time.monotonic()
        error = await refused(f"redis://:{PASSWORD}@127.0.0.1:{port}/0", within=0.6)
    assert time.monotonic() - began < 1.1
    assert memory.bytes < 48 * 1024**2
    assert error.fault in ("unclear", "instrument") and error.message.startswith("redis 127.0.0.1")


@pytest.mark.parametrize("answer", [b"+OK\r\n", b":5\r\n", b"$-1\r\n", b"*0\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_is_not_redis_is_not_taken_for_it(hostile_server: HostileServer, answer: bytes) -> None:
    port = hostile_server.port("silent", after=answer)
    error = await refused(f"redis://127.0.0.1:{port}/0", within=2)
    assert error.fault == "unclear"


async def test_a_server_that_quotes_the_password_is_not_quoted(hostile_server: HostileServer) -> None:
    words = f"-ERR unknown command 'AUTH', with args beginning with: '{PASSWORD}'\r\n".encode()
    port = hostile_server.port("silent", after=words)
    assert "refused the connection" in (await refused(f"redis://:{PASSWORD}@127.0.0.1:{port}/0", within=2)).message


async def test_a_server_that_dies_under_the_probe_is_a_failure_in_time(redis_servers: RedisServers) -> None:
    server = redis_servers.start("--enable-debug-command", "yes")
    server.process.send_signal(19)  # stopped: it accepts, and never answers
    began = time.monotonic()
    error = await refused(server.url(), within=0.6)
    assert error.message.endswith("connected, but no complete answer within 0.54s")
    assert time.monotonic() - began < 1.1


async def test_a_step_that_reaches_nothing_fails_and_keeps_no_password(
    tmp_path: Path, redis_servers: RedisServers
) -> None:
    server = redis_servers.start(password=PASSWORD)
    step = OneStep(tmp_path, {"REDIS_URL": server.url()})
    assert (await step.ask("redis: { url_env: REDIS_URL }")).data["verdict"] == "pass"
    server.kill()
    gone = OneStep(tmp_path / "gone", {"REDIS_URL": server.url()})
    (tmp_path / "gone").mkdir()
    result = (await gone.ask("redis: { url_env: REDIS_URL }")).data
    assert (result["verdict"], "connection refused" in result["message"]) == ("fail", True)
    for one in (step, gone):
        assert all(PASSWORD.encode() not in data for _, data in one.everything())


def test_the_p95_of_few_samples_is_the_nearest_rank() -> None:
    samples = [timedelta(milliseconds=number) for number in range(1, 21)]
    assert percentile(samples, 0.95) == timedelta(milliseconds=19)
    assert percentile(samples[:1], 0.95) == timedelta(milliseconds=1)


def test_the_probe_needs_consent_only_for_a_canary() -> None:
    assert RedisProbe(url_env="R").safety == "read"
    assert RedisProbe(url_env="R", canary=True).safety == "active"
    assert RedisProbe(url_env="R", canary=True).does()[-1] == "afterwards deletes that key"


async def test_without_redis_py_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.exceptions", None)
    error = await refused("redis://127.0.0.1:1/0")
    assert (error.fault, error.message) == ("instrument", "redis: redis-py is not installed")
    assert error.hint == "pip install 'release-captain[redis]'"
