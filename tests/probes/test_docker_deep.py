"""What the docker probe tells beyond a container's document: users, writes, memory, restarts since the deploy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes import Context
from captain.probes.docker import DockerProbe
from captain.systems.docker import containers as told
from captain.systems.docker.passwd import Users
from captain.systems.docker.reader import Reader, endpoint
from captain.systems.docker.restarts import restarts_since
from captain.systems.docker.users import runs_as
from captain.systems.docker.writable import ALLOWED, written
from captain.systems.globs import Glob
from tests.docker_engine import Box
from tests.hostile_engine import MANNERS, HostileEngine
from tests.probes.test_docker_probe import in_a_thread, started_again
from tests.relay import relay_to, unix_server
from tests.requirements import need

SLEEP = ["sleep", "300"]


async def ask(host: str, *, deployed_at: datetime | None = None, seconds: float = 30, **keys: Any) -> Measurement:
    context = Context(
        root=Path.cwd(),
        repo=None,
        timeout=timedelta(seconds=seconds),
        environ={"DOCKER_HOST": host},
        secrets={},
        blocking=in_a_thread,
        clock=SystemClock(),
        deployed_at=deployed_at,
    )
    return await DockerProbe(**keys).measure(context)


async def of(box: Box, *suffixes: str, **keys: Any) -> Measurement:
    return await ask(box.engine.host, names=tuple(box.name(suffix) for suffix in suffixes), **keys)


# --- users ------------------------------------------------------------------------------------------------------


async def test_a_container_runs_as_the_user_it_is_meant_to_by_name_and_by_number(docker_box: Box) -> None:
    docker_box.start("name", User="app", Cmd=SLEEP)
    docker_box.start("number", User="1000", Cmd=SLEEP)
    users = {docker_box.name("name"): "app", docker_box.name("number"): "app"}
    assert (await of(docker_box, "name", "number", expected_users=users)).observed["user_mismatch"] == 0


async def test_another_user_root_and_a_name_that_is_not_there_are_no_match(docker_box: Box) -> None:
    docker_box.start("root", Cmd=SLEEP)
    docker_box.start("other", User="1001", Cmd=SLEEP)
    root, other = docker_box.name("root"), docker_box.name("other")
    found = await of(docker_box, "root", "other", expected_users={root: "app", other: "nextjs"})
    assert found.observed["user_mismatch"] == 2
    assert any(note == f"{root} is configured to run as root" for note in found.notes)
    as_root = await of(docker_box, "root", expected_users={root: "root"})
    assert as_root.observed["user_mismatch"] == 1, "the user is meant to be no root"


async def test_a_process_that_became_root_is_no_match_although_the_user_is_configured(docker_box: Box) -> None:
    docker_box.start("web", User="app", Cmd=SLEEP)
    client = docker_box.engine.client
    client.exec_start(client.exec_create(docker_box.name("web"), ["sleep", "300"], user="root")["Id"], detach=True)
    for _ in range(100):
        if len(client.top(docker_box.name("web"))["Processes"]) == 2:
            break
        await asyncio.sleep(0.05)
    found = await of(docker_box, "web", expected_users={docker_box.name("web"): "app"})
    assert found.observed["user_mismatch"] == 1
    assert any("processes of uid 0, not 1000" in note for note in found.notes)


async def test_the_users_of_a_container_that_does_not_run_are_not_known(docker_box: Box) -> None:
    docker_box.create("web", User="app")
    found = await of(docker_box, "web", expected_users={docker_box.name("web"): "app"})
    assert "user_mismatch" not in found.observed
    assert any("no processes whose users are known" in note for note in found.notes)
    gone = await of(docker_box, "web", expected_users={"nobody-here": "app"})
    assert "user_mismatch" not in gone.observed


def test_without_a_file_of_users_only_numbers_can_be_compared() -> None:
    def container(user: str) -> dict[str, Any]:
        return {"Config": {"User": user}}

    users = Users("root:x:0:0::/:/bin/sh\napp:x:1000:1000:a:b\nbroken\nbad:x:-1:\n")
    assert runs_as(container("1000"), "1000", None, {1000})[0] is True
    assert runs_as(container("app"), "app", None, {1000})[0] is None
    assert runs_as(container("1000"), "app", None, {1000})[0] is False
    assert runs_as(container("app"), "app", users, set())[0] is True
    assert runs_as(container("0"), "root", users, {0})[0] is False
    assert runs_as(container(""), "0", users, {0})[0] is False
    assert runs_as({}, "app", users, {1000})[0] is False, "newer engines leave an unset user out"
    assert users.name(1000) == "app" and users.name(5) is None and users.number("bad") is None


async def test_a_file_in_a_container_is_found_behind_a_link_and_where_it_is_not_nothing_is(docker_box: Box) -> None:
    script = "ln -s ../data/users /etc/users; echo a:x:7: > /data/users; mkdir -p /data/folder"
    made = docker_box.start("web", Cmd=["sh", "-c", script])
    docker_box.until(made, lambda each: each["State"]["Status"] == "exited")
    with Reader(endpoint(docker_box.engine.host, {}), 10) as engine:
        assert engine.file(made, "/etc/users", 100) == b"a:x:7:\n"
        assert engine.file(made, "/etc/users", 3) == b"a:x"
        assert engine.file(made, "/etc/none", 100) is None
        assert engine.file(made, "/data/folder", 100) is None
        assert engine.file("none", "/etc/users", 100) is None


# --- writes -----------------------------------------------------------------------------------------------------


async def test_f11_what_a_container_writes_is_told_without_mounts_and_allowed_places(docker_box: Box) -> None:
    docker_box.start("idle", Cmd=SLEEP)
    script = "mkdir -p /run/x /app/__pycache__ /m; touch /run/x/a /app/__pycache__/b /vol/c; exec sleep 300"
    volume = docker_box.volume("v")
    docker_box.start("tidy", Cmd=["sh", "-c", script], HostConfig={"NetworkMode": "none", "Binds": [f"{volume}:/vol"]})
    docker_box.start("messy", Cmd=["sh", "-c", "echo x > /www/upload; rm /www/version; exec sleep 300"])
    client = docker_box.engine.client
    for _ in range(100):
        tidy = json.dumps(client.diff(docker_box.name("tidy")))
        messy = json.dumps(client.diff(docker_box.name("messy")))
        if "__pycache__/b" in tidy and "/www/version" in messy:
            break
        await asyncio.sleep(0.05)
    assert client.diff(docker_box.name("idle")) is None, "the engine says null where nothing changed"
    idle = await of(docker_box, "idle", diff=True)
    assert idle.observed["writable_changes"] == 0
    assert {each["Path"]: each["Kind"] for each in client.diff(docker_box.name("messy"))} == {
        "/www": 0,
        "/www/upload": 1,
        "/www/version": 2,
    }
    found = await of(docker_box, "messy", diff=True)
    assert found.observed["writable_changes"] == 2
    assert any("wrote 2 paths: /www/upload, /www/version" in note for note in found.notes)
    # /app is new as a folder, /m too; what lies in them is allowed.
    assert (await of(docker_box, "tidy", diff=True)).observed["writable_changes"] == 2
    assert "writable_changes" not in (await of(docker_box, "messy")).observed


async def test_a_read_only_container_writes_nothing(docker_box: Box) -> None:
    docker_box.start("web", Cmd=SLEEP, HostConfig={"NetworkMode": "none", "ReadonlyRootfs": True})
    assert (await of(docker_box, "web", diff=True)).observed["writable_changes"] == 0


def test_a_folder_counts_only_where_it_was_changed_itself() -> None:
    allow = [Glob(pattern) for pattern in ALLOWED]

    def paths(*changes: tuple[str, int], **document: Any) -> list[str]:
        return written(document, [{"Path": path, "Kind": kind} for path, kind in changes], allow)

    assert paths(("/a", 0), ("/a/b", 0), ("/a/b/c", 1)) == ["/a/b/c"]
    assert paths(("/a", 0)) == ["/a"]
    assert paths(("/tmp", 0), ("/tmp/x", 1), ("/home", 0), ("/home/u", 0), ("/home/u/.cache", 1)) == []
    assert paths(("/var", 0), ("/var/lib", 0), ("/var/lib/db", 1), Mounts=[{"Destination": "/var/lib/db"}]) == []
    assert paths(("/t/x", 1), HostConfig={"Tmpfs": {"/t": ""}}) == []
    assert paths(("/tmpfile", 1), ("/x/tmp/y", 1)) == ["/tmpfile", "/x/tmp/y"]


# --- memory -----------------------------------------------------------------------------------------------------


async def test_the_share_of_memory_used_is_below_one_and_above_nothing(docker_box: Box) -> None:
    docker_box.start("web", Cmd=SLEEP, HostConfig={"NetworkMode": "none", "Memory": 64 * 1024**2})
    docker_box.start("many", Cmd=SLEEP, HostConfig={"NetworkMode": "none"})
    found = await of(docker_box, "web", "many", stats=True)
    share = found.observed["mem_used_ratio_max"]
    assert isinstance(share, float) and 0 < share < 0.5
    docker_box.create("down")
    down = await of(docker_box, "web", "down", stats=True)
    assert "mem_used_ratio_max" not in down.observed
    assert any("how much memory" in note for note in down.notes)


def test_memory_that_the_kernel_can_drop_at_once_is_not_used() -> None:
    def ratio(usage: int, limit: int, **stats: int) -> float | None:
        return told.memory_ratio({"memory_stats": {"usage": usage, "limit": limit, "stats": stats}})

    assert ratio(90, 100) == 0.9
    assert ratio(90, 100, inactive_file=40) == 0.5
    assert ratio(90, 100, total_inactive_file=40, inactive_file=1) == 0.5
    assert ratio(90, 100, inactive_file=95) == 0.9, "nonsense is not taken off"
    assert ratio(0, 100) is None and ratio(5, 0) is None and told.memory_ratio({}) is None


# --- restarts ---------------------------------------------------------------------------------------------------


async def test_restarts_are_counted_since_the_deploy_began(docker_box: Box) -> None:
    need("killing a container's process", None if os.geteuid() == 0 else "needs root")
    policy = {"NetworkMode": "none", "RestartPolicy": {"Name": "always"}}
    docker_box.start("crashed", Cmd=SLEEP, HostConfig=dict(policy))
    docker_box.start("calm", Cmd=SLEEP, HostConfig=dict(policy))
    os.kill(docker_box.inspect(docker_box.name("crashed"))["State"]["Pid"], signal.SIGKILL)
    docker_box.until(docker_box.name("crashed"), started_again)
    now = datetime.now(UTC)
    since = await of(docker_box, "crashed", "calm", deployed_at=now - timedelta(minutes=5))
    assert since.observed["restart_count_delta"] == 1
    before = await of(docker_box, "crashed", "calm", deployed_at=now + timedelta(minutes=5))
    assert before.observed["restart_count_delta"] == 0
    assert "restart_count_delta" not in (await of(docker_box, "crashed")).observed


def container(made: int, started: int, count: int, *, task: bool = False, restarting: bool = False) -> dict[str, Any]:
    def at(seconds: int) -> str:
        return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()

    labels = {"com.docker.swarm.task.id": "t", "com.docker.swarm.service.name": "web"} if task else {}
    state = {"StartedAt": at(started), "Restarting": restarting}
    return {
        "Created": at(made),
        "State": state,
        "RestartCount": count,
        "Image": "sha256:a",
        "Config": {"Labels": labels},
    }


def test_restarts_are_never_counted_too_low() -> None:
    since = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)

    def count(*documents: dict[str, Any], ended: list[dict[str, Any]] | None = None) -> int:
        return restarts_since(documents, ended or [], since)

    assert count(container(0, 10, 5)) == 0, "all of them before the deploy"
    assert count(container(0, 90, 5)) == 5, "at least one of them since"
    assert count(container(90, 95, 2)) == 2
    assert count(container(0, 10, 5, restarting=True)) == 5, "it waits for its next start now"
    assert count(container(0, 59, 1)) == 1, "as good as the same second"
    task = {"com.docker.swarm.task.id": "u", "com.docker.swarm.service.name": "web"}
    ended = [
        {"Labels": task, "Created": since.timestamp() + 5, "ImageID": "sha256:a"},
        {"Labels": task, "Created": since.timestamp() - 500, "ImageID": "sha256:a"},
        {"Labels": task, "Created": since.timestamp() + 5, "ImageID": "sha256:old"},
        {"Labels": {**task, "com.docker.swarm.service.name": "db"}, "Created": since.timestamp() + 5},
    ]
    assert count(container(90, 95, 0, task=True), ended=ended) == 1
    assert count(container(90, 95, 0), ended=ended) == 0


async def test_f7_the_engine_replays_too_few_events_to_be_asked_for_restarts(docker_box: Box, tmp_path: Path) -> None:
    made = docker_box.start("web", Cmd=SLEEP)
    client, name = docker_box.engine.client, docker_box.name("web")
    for _ in range(300):
        client.exec_create(name, ["true"])
    since = int(datetime.now(UTC).timestamp()) - 300
    replayed = list(client.events(since=since, until=int(datetime.now(UTC).timestamp()) + 1, decode=True))
    assert replayed and not any(each["Action"] == "start" for each in replayed if each.get("id") == made), "forgotten"
    asked: list[tuple[str, str]] = []
    with unix_server(tmp_path / "s", relay_to(docker_box.engine.host, asked)) as host:
        found = await ask(
            host,
            names=(name,),
            top=True,
            diff=True,
            stats=True,
            expected_users={name: "app"},
            deployed_at=datetime.now(UTC),
        )
    assert found.observed["restart_count_delta"] == 0
    assert not any("/events" in path for _, path in asked)
    assert {method for method, _ in asked} == {"GET"}


async def test_networks_are_internal_only_where_none_of_theirs_leads_outside(docker_box: Box) -> None:
    inside = docker_box.network("inside", internal=True)
    outside = docker_box.network("outside")
    docker_box.start("db", Cmd=SLEEP, HostConfig={"NetworkMode": inside})
    docker_box.start("web", Cmd=SLEEP, HostConfig={"NetworkMode": outside})
    docker_box.start("alone", Cmd=SLEEP, HostConfig={"NetworkMode": "none"})
    assert (await of(docker_box, "db", "alone", networks=True)).observed["internal"] is True
    both = await of(docker_box, "db", "web", networks=True)
    assert both.observed["internal"] is False
    assert any(note == f"these networks lead outside: {outside}" for note in both.notes)
    roles = {docker_box.name("db"): "data", docker_box.name("web"): "app"}
    assert (await of(docker_box, "db", "web", networks=True, roles=roles)).observed["internal"] is True
    missing = {**roles, "other": "data"}
    assert "internal" not in (await of(docker_box, "db", "web", networks=True, roles=missing)).observed
    assert "internal" not in (await of(docker_box, "db")).observed, "nobody asked"


# --- newer engines ----------------------------------------------------------------------------------------------


async def test_f34_what_newer_engines_leave_out_is_unset_and_never_good(docker_box: Box) -> None:
    listed = [{"Id": "c", "Names": ["/web"], "Image": "web:1", "ImageID": "sha256:i", "State": "running"}]
    state = {"Status": "running", "Running": True, "StartedAt": "2026-11-20T10:00:00.5Z"}
    document = {"Id": "c", "Name": "/web", "Image": "sha256:i", "State": state, "Config": {"Image": "web:1"}}
    answers = {
        "/containers/json": json.dumps(listed).encode(),
        "/containers/c/json": json.dumps({**document, "HostConfig": {}, "NetworkSettings": {}}).encode(),
        "/images/sha256:i/json": b'{"Id": "sha256:i"}',
        "/info": b'{"SystemTime": "2026-11-20T10:01:00.5Z", "SecurityOptions": ["name=seccomp"]}',
        "/top": b'{"Processes": [["0", "1", "web"]], "Titles": []}',
    }
    newest = b'{"ApiVersion": "1.52", "MinAPIVersion": "1.44", "Version": "29.0.0"}'
    with HostileEngine(answers, {}, version=newest) as engine:
        found = (await ask(engine.host, top=True)).observed
    ones = ("root_configured", "root_processes", "no_healthcheck", "no_memory_limit", "no_cpu_limit", "no_pids_limit")
    assert {name: found[name] for name in (*ones, "no_restart_policy", "healthy", "running")} == {
        **dict.fromkeys((*ones, "no_restart_policy", "running"), 1),
        "healthy": 0,
    }
    assert found["uptime_min"] == timedelta(minutes=1)
    assert not any(path.startswith("/v1.24") for path in engine.asked)


# --- engines that do not end ------------------------------------------------------------------------------------

PLAIN = {
    "/info": b"{}",
    "/containers/json": b'[{"Id": "c", "Names": ["/web"]}]',
    "/containers/c/json": b'{"Id": "c", "Name": "/web", "Config": {}, "State": {"Running": true}}',
    "/images//json": b"{}",
    "/top": b'{"Processes": []}',
    "/changes": b"null",
    "/stats": b"{}",
}


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("where", ["/version", "/containers/json", "/archive", "/changes", "/stats"])
async def test_an_engine_that_does_not_end_its_answer_holds_nobody_up(manner: str, where: str) -> None:
    with HostileEngine(PLAIN, {where: manner}, unit=b" ") as hostile:
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProbeError, match="Docker at tcp://"):
            await ask(hostile.host, seconds=0.6, diff=True, stats=True, expected_users={"web": "app"})
        assert asyncio.get_running_loop().time() - began < 1.1


@pytest.mark.parametrize("unit", [b"[", b'{"a":' * 5])
async def test_an_answer_nested_without_end_is_not_the_engines(unit: bytes) -> None:
    with (
        HostileEngine({**PLAIN, "/containers/json": unit * 100_000}, {}) as hostile,
        pytest.raises(ProbeError, match="not the engine's API"),
    ):
        await ask(hostile.host, seconds=5)


async def test_a_flood_is_stopped_at_its_limit_and_not_kept() -> None:
    with (
        HostileEngine(PLAIN, {"/containers/json": "flood"}, unit=b" " * 4096) as hostile,
        hostile.measured(8),
        pytest.raises(ProbeError, match="more than 8 MiB came back, stopped there"),
    ):
        await ask(hostile.host, seconds=8)
