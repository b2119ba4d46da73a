"""What the docker probe tells about real containers, and that it only ever asks."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement, Value
from captain.probes import Context
from captain.probes.docker import DockerProbe
from tests.docker_engine import Box
from tests.probe_context import holds
from tests.relay import answering, relay_to, silent, tcp_server, unix_server
from tests.requirements import need

T = TypeVar("T")
HEALTHY = 'HEALTHCHECK --interval=1s --retries=2 CMD ["true"]'
SICK = 'HEALTHCHECK --interval=1s --timeout=1s --retries=1 CMD ["false"]'


async def in_a_thread(call: Callable[[], T], /) -> T:
    return await asyncio.to_thread(call)


async def ask(host: str, *, seconds: float = 30, **keys: Any) -> Measurement:
    context = Context(
        root=Path.cwd(),
        repo=None,
        timeout=timedelta(seconds=seconds),
        environ={"DOCKER_HOST": host},
        secrets={},
        blocking=in_a_thread,
        clock=SystemClock(),
    )
    return await DockerProbe(**keys).measure(context)


async def seen(box: Box, *suffixes: str, **keys: Any) -> dict[str, Value]:
    names = tuple(box.name(suffix) for suffix in suffixes)
    return dict((await ask(box.engine.host, names=names, **keys)).observed)


def picked(observed: dict[str, Value], *names: str) -> dict[str, Value]:
    return {name: observed[name] for name in names}


def limited(**host: Any) -> dict[str, Any]:
    return {"Memory": 64 * 1024**2, "NanoCpus": 500_000_000, "PidsLimit": 50, "NetworkMode": "none", **host}


async def test_a_well_kept_container_has_nothing_to_count(docker_box: Box) -> None:
    image = docker_box.engine.image("1", HEALTHY, "USER 1000")
    volume = docker_box.volume("data")
    network = docker_box.network("net")
    docker_box.start(
        "web",
        image,
        HostConfig=limited(
            NetworkMode=network,
            Binds=[f"{volume}:/data"],
            RestartPolicy={"Name": "unless-stopped"},
            LogConfig={"Type": "json-file", "Config": {"max-size": "1m"}},
        ),
        Labels={"org.opencontainers.image.revision": "a1b2c3d"},
    )
    docker_box.until(docker_box.name("web"), lambda each: each["State"]["Health"]["Status"] == "healthy")
    found = await seen(docker_box, "web", top=True, require_mounts={docker_box.name("web"): ("/data",)})
    digest = docker_box.engine.client.inspect_image(image)["Id"]
    assert found.pop("items") != []
    assert found.pop("uptime_min") >= timedelta(0)  # type: ignore[operator]  # a union of value types
    assert found == {
        **dict.fromkeys(("matched", "running", "healthy", "user_processes"), 1),
        **dict.fromkeys(("paused", "restarting", "exited", "unhealthy", "starting", "no_healthcheck"), 0),
        **dict.fromkeys(("failing_streak_max", "root_configured", "root_processes", "oom_killed"), 0),
        **dict.fromkeys(("no_memory_limit", "no_cpu_limit", "no_pids_limit", "no_restart_policy"), 0),
        **dict.fromkeys(("restart_count_max", "missing_mounts", "anonymous_volumes", "docker_sock_mounts"), 0),
        **dict.fromkeys(("sensitive_mounts", "host_network", "default_bridge", "privileged", "log_unbounded"), 0),
        "health_retries_min": 2,
        "log_drivers": ["json-file"],
        "images": [image],
        "digests": [digest],
        "revisions": ["a1b2c3d"],
    }


async def test_a_careless_container_is_counted_everywhere(docker_box: Box, tmp_path: Path) -> None:
    fake = tmp_path / "docker.sock"
    fake.touch()
    docker_box.start(
        "bad",
        HostConfig={"NetworkMode": "host", "Binds": [f"{fake}:/var/run/docker.sock", "/etc:/h:ro"]},
        Cmd=["sleep", "300"],
        Volumes={"/anonymous": {}},
    )
    found = await seen(docker_box, "bad", top=True, require_mounts={docker_box.name("bad"): ("/anonymous",)})
    ones = ("root_configured", "root_processes", "no_memory_limit", "no_cpu_limit", "no_pids_limit", "no_healthcheck")
    more = ("no_restart_policy", "host_network", "docker_sock_mounts", "sensitive_mounts", "anonymous_volumes")
    assert picked(found, *ones, *more) == dict.fromkeys((*ones, *more), 1)
    assert picked(found, "missing_mounts", "log_unbounded", "user_processes") == {
        "missing_mounts": 1,
        "log_unbounded": 1,
        "user_processes": 0,
    }
    docker_box.create("almighty", HostConfig={"Privileged": True})
    assert (await seen(docker_box, "almighty"))["privileged"] == 1


async def test_f1_a_switched_off_health_check_is_none_at_all(docker_box: Box) -> None:
    docker_box.start("off", docker_box.engine.image("1", HEALTHY), Healthcheck={"Test": ["NONE"]})
    docker_box.start("none")
    document = docker_box.inspect(docker_box.name("off"))
    assert document["Config"]["Healthcheck"], "the engine leaves an object behind"
    found = await seen(docker_box, "off", "none")
    assert picked(found, "no_healthcheck", "healthy", "starting") == {"no_healthcheck": 2, "healthy": 0, "starting": 0}
    assert "health_retries_min" not in found


async def test_f2_health_counts_only_while_a_container_runs_unpaused(docker_box: Box) -> None:
    docker_box.start("sick", docker_box.engine.image("1", SICK))
    docker_box.start("ended", docker_box.engine.image("1", SICK))
    docker_box.start("still", docker_box.engine.image("1", SICK))
    for suffix in ("sick", "ended", "still"):
        docker_box.until(docker_box.name(suffix), lambda each: each["State"]["Health"]["Status"] == "unhealthy")
    docker_box.engine.client.stop(docker_box.name("ended"))
    docker_box.engine.client.pause(docker_box.name("still"))
    assert docker_box.inspect(docker_box.name("ended"))["State"]["Health"]["Status"] == "unhealthy"
    found = await seen(docker_box, "sick", "ended", "still")
    assert picked(found, "matched", "running", "paused", "exited", "unhealthy", "healthy") == {
        "matched": 3,
        "running": 1,
        "paused": 1,
        "exited": 1,
        "unhealthy": 1,
        "healthy": 0,
    }
    assert isinstance(found["failing_streak_max"], int) and found["failing_streak_max"] >= 1
    docker_box.engine.client.unpause(docker_box.name("still"))


def started_again(document: dict[str, Any]) -> bool:
    state = document["State"]
    return bool(document["RestartCount"] == 1 and state["Running"] and not state["Restarting"])


async def test_f3_docker_kill_suppresses_the_policy_and_a_real_crash_does_not(docker_box: Box) -> None:
    need("killing a container's process", None if os.geteuid() == 0 else "needs root")
    policy = {"NetworkMode": "none", "RestartPolicy": {"Name": "always"}}
    docker_box.start("told", Cmd=["sleep", "300"], HostConfig=dict(policy))
    docker_box.start("crashed", Cmd=["sleep", "300"], HostConfig=dict(policy))
    docker_box.engine.client.kill(docker_box.name("told"))
    os.kill(docker_box.inspect(docker_box.name("crashed"))["State"]["Pid"], signal.SIGKILL)
    docker_box.until(docker_box.name("crashed"), started_again)
    told, crashed = await seen(docker_box, "told"), await seen(docker_box, "crashed")
    assert picked(told, "running", "restart_count_max") == {"running": 0, "restart_count_max": 0}
    assert picked(crashed, "running", "restart_count_max") == {"running": 1, "restart_count_max": 1}


async def test_f4_an_unhealthy_container_is_never_restarted_by_the_engine(docker_box: Box) -> None:
    policy = {"NetworkMode": "none", "RestartPolicy": {"Name": "always"}}
    docker_box.start("sick", docker_box.engine.image("1", SICK), HostConfig=policy)
    docker_box.until(docker_box.name("sick"), lambda each: each["State"]["Health"]["FailingStreak"] >= 2)
    found = await seen(docker_box, "sick")
    assert picked(found, "unhealthy", "restart_count_max", "no_restart_policy") == {
        "unhealthy": 1,
        "restart_count_max": 0,
        "no_restart_policy": 0,
    }


async def test_f5_cpus_and_a_quota_both_limit_and_shares_do_not(docker_box: Box) -> None:
    docker_box.start("nano", HostConfig={"NetworkMode": "none", "NanoCpus": 250_000_000})
    docker_box.start("quota", HostConfig={"NetworkMode": "none", "CpuQuota": 50_000})
    docker_box.start("shares", HostConfig={"NetworkMode": "none", "CpuShares": 512, "MemoryReservation": 8 * 1024**2})
    found = await seen(docker_box, "nano", "quota", "shares")
    assert picked(found, "no_cpu_limit", "no_memory_limit") == {"no_cpu_limit": 1, "no_memory_limit": 3}
    items = found["items"]
    assert isinstance(items, list)
    assert sorted(item["cpus"] for item in items if isinstance(item, dict)) == [0.0, 0.25, 0.5]  # type: ignore[type-var]


async def test_f6_processes_have_numeric_owners_and_user_0_is_root(docker_box: Box) -> None:
    docker_box.start("zero", User="0", Cmd=["sleep", "300"])
    docker_box.start("app", User="app", Cmd=["sleep", "300"])
    found = await seen(docker_box, "zero", "app", top=True)
    assert picked(found, "root_configured", "root_processes", "user_processes") == {
        "root_configured": 1,
        "root_processes": 1,
        "user_processes": 1,
    }


async def test_f6_a_container_that_does_not_run_has_no_processes_to_judge(docker_box: Box) -> None:
    docker_box.start("up", Cmd=["sleep", "300"])
    docker_box.create("down")
    names = (docker_box.name("up"), docker_box.name("down"))
    result = await ask(docker_box.engine.host, names=names, top="true")
    assert "root_processes" not in result.observed
    assert any("not running" in note and names[1] in note for note in result.notes)


async def test_a_first_process_may_be_root_where_it_is_allowed_and_its_children_may_not(docker_box: Box) -> None:
    docker_box.start("master", Cmd=["sh", "-c", "sleep 300 & wait"])
    docker_box.until(docker_box.name("master"), lambda each: each["State"]["Running"])
    deadline = time.monotonic() + 10
    while len(docker_box.engine.client.top(docker_box.name("master"))["Processes"]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (await seen(docker_box, "master", top=True))["root_processes"] == 2
    assert (await seen(docker_box, "master", top=True, allow_root_pid1=("sh",)))["root_processes"] == 1
    assert (await seen(docker_box, "master", top=True, allow_root_pid1=("sleep",)))["root_processes"] == 2


async def test_a_crash_loop_is_restarting_and_never_running(docker_box: Box) -> None:
    docker_box.start("loop", Cmd=["false"], HostConfig={"NetworkMode": "none", "RestartPolicy": {"Name": "on-failure"}})
    docker_box.until(docker_box.name("loop"), lambda each: each["State"]["Restarting"] and each["RestartCount"] >= 3)
    found = await seen(docker_box, "loop")
    assert picked(found, "running", "restarting", "exited") == {"running": 0, "restarting": 1, "exited": 0}
    count = found["restart_count_max"]
    assert isinstance(count, int) and count >= 3


async def test_containers_are_chosen_by_name_pattern_service_project_and_label(docker_box: Box) -> None:
    compose = {"com.docker.compose.project": docker_box.prefix, "com.docker.compose.service": "web"}
    docker_box.create("a-1", Labels=compose)
    docker_box.create("a-2", Labels={**compose, "com.docker.compose.service": "db", "tier": "data"})
    docker_box.create("b", Labels={"com.docker.swarm.service.name": f"{docker_box.prefix}_web"})
    docker_box.create("once", Labels={**compose, "com.docker.compose.oneoff": "True"})
    docker_box.create("task", Labels={**compose, "com.docker.swarm.task.id": "x"})
    docker_box.create("a-1-captain-0badcafe", Labels=compose)

    async def chosen(**keys: Any) -> list[str]:
        items = (await ask(docker_box.engine.host, **keys)).observed.get("items", [])
        assert isinstance(items, list)
        return [str(item["name"]).removeprefix(f"{docker_box.prefix}-") for item in items if isinstance(item, dict)]

    project = docker_box.prefix
    assert await chosen(project=project) == ["a-1", "a-2"]
    assert await chosen(project=project, services=("web",)) == ["a-1"]
    assert await chosen(services=(f"{project}_web",)) == ["a-1", "b"]
    assert await chosen(services=(f"{project}-db",)) == ["a-2"]
    assert await chosen(names=(f"/^{project}-a/",)) == ["a-1", "a-2"]
    assert await chosen(names=(f"/^{project}-a/",), exclude=("db",)) == ["a-1"]
    assert await chosen(project=project, labels={"tier": ""}) == ["a-2"]
    assert await chosen(project=project, labels={"tier": "front"}) == []
    assert await chosen(names=(f"{project}-a-1-captain-0badcafe",)) == ["a-1-captain-0badcafe"]


async def test_a_service_of_several_projects_is_nobodys_and_of_one_is_named(docker_box: Box) -> None:
    web = docker_box.name("web")

    def of(project: str) -> dict[str, str]:
        return {"com.docker.compose.service": web, "com.docker.compose.project": docker_box.name(project)}

    blog, shop = docker_box.name("blog"), docker_box.name("shop")
    docker_box.start("blog-1", Labels=of("blog"))
    result = await ask(docker_box.engine.host, services=(web,))
    assert result.observed["running"] == 1
    assert result.notes == (
        f"{web} was taken from {blog}, the only project here that has it: say `project` to be sure",
    )
    docker_box.create("shop-1", Labels=of("shop"))
    with pytest.raises(ProbeError, match=f"{web} is a service of {blog} and {shop}") as refused:
        await ask(docker_box.engine.host, services=(web,))
    assert (refused.value.fault, refused.value.hint) == ("instrument", f"write {blog}_{web} or {shop}_{web}")
    for keys in ({"services": (web,), "project": shop}, {"services": (f"{shop}_{web}",)}):
        result = await ask(docker_box.engine.host, **keys)
        assert (result.observed["matched"], result.observed["running"], result.notes) == (1, 0, ())


async def test_fewer_containers_than_asked_for_is_all_that_is_told(docker_box: Box) -> None:
    docker_box.start("one")
    result = await ask(docker_box.engine.host, names=(docker_box.name("one"),), min_matches="2")
    assert result.observed == {"matched": 1}
    assert result.notes == (f"1 of at least 2 containers matched: {docker_box.name('one')}",)
    nothing = await ask(docker_box.engine.host, names=(docker_box.name("none"),))
    assert nothing.observed == {"matched": 0}


async def test_two_backends_are_no_worker(docker_box: Box) -> None:
    """Every name and service that is given must have a container, whatever the others have."""
    project = docker_box.prefix
    compose = {"com.docker.compose.project": project, "com.docker.compose.service": "backend"}
    docker_box.start("backend-1", Labels=compose)
    docker_box.start("backend-2", Labels=compose)
    services = await ask(docker_box.engine.host, project=project, services=("backend", "worker"), min_matches="2")
    assert (services.observed, services.notes) == ({"matched": 2}, ("no container of worker",))
    one, two = docker_box.name("backend-1"), docker_box.name("worker-1")
    names = await ask(docker_box.engine.host, names=(one, two))
    assert (names.observed, names.notes) == ({"matched": 1}, (f"no container of {two}",))
    assert holds(DockerProbe, services) is None and holds(DockerProbe, names) is None
    pattern = await ask(docker_box.engine.host, project=project, names=(one, "/worker/"))
    assert pattern.observed["running"] == 1, "a pattern may match nothing"
    docker_box.create("worker", Labels={**compose, "com.docker.compose.service": "worker"})
    there = await ask(docker_box.engine.host, project=project, services=("backend", "worker"))
    assert picked(dict(there.observed), "matched", "running") == {"matched": 3, "running": 2}


async def test_ports_of_inner_roles_may_not_be_published(docker_box: Box) -> None:
    network = docker_box.network("net")

    def publish(ip: str) -> dict[str, Any]:
        return {"NetworkMode": network, "PortBindings": {"8080/tcp": [{"HostIp": ip, "HostPort": ""}]}}

    docker_box.start("db", HostConfig=publish("0.0.0.0"), ExposedPorts={"8080/tcp": {}})
    docker_box.start("cache", HostConfig=publish("127.0.0.1"), ExposedPorts={"8080/tcp": {}})
    db, cache = docker_box.name("db"), docker_box.name("cache")
    assert (await seen(docker_box, "db", "cache", roles={db: "data", cache: "data"}))["published_internal"] == 1
    assert (await seen(docker_box, "cache", roles={cache: "worker"}))["published_internal"] == 0
    assert "published_internal" not in await seen(docker_box, "cache", roles={db: "data"})
    assert "published_internal" not in await seen(docker_box, "db", roles={db: "front"})


async def test_row_37_a_hostile_label_decides_nothing_and_is_evidence_only(docker_box: Box) -> None:
    docker_box.start("web", Labels={"org.opencontainers.image.revision": "\x1b[2J[red]PASS"})
    result = await ask(docker_box.engine.host, names=(docker_box.name("web"),), require_mounts={"\x1b[2J": ("/x",)})
    assert result.observed["revisions"] == ["\x1b[2J[red]PASS"]
    assert "\x1b" not in (result.body or "") + "".join(result.notes)


async def test_environment_values_are_in_no_evidence(docker_box: Box) -> None:
    docker_box.start("web", Env=["DATABASE_URL=canary-value"])
    assert "canary-value" not in str(await ask(docker_box.engine.host, names=(docker_box.name("web"),), top="true"))


async def test_row_38_a_probe_sends_get_and_nothing_else(docker_box: Box, tmp_path: Path) -> None:
    docker_box.start("web", docker_box.engine.image("1", HEALTHY))
    asked: list[tuple[str, str]] = []
    with unix_server(tmp_path / "relay.sock", relay_to(docker_box.engine.host, asked)) as host:
        await ask(host, names=(docker_box.name("web"),), top="true")
    assert {method for method, _ in asked} == {"GET"}
    kinds = ("/version", "/info", "/containers/json", "/top?", "/images/")
    assert all(any(kind in path for _, path in asked) for kind in kinds)


async def test_row_38_an_engine_on_the_network_without_tls_is_said_to_be_open(docker_box: Box) -> None:
    asked: list[tuple[str, str]] = []
    docker_box.start("web")
    with tcp_server(relay_to(docker_box.engine.host, asked)) as host:
        result = await ask(host, names=(docker_box.name("web"),))
    assert result.observed["running"] == 1
    assert any("no TLS: whoever reaches it is root" in note for note in result.notes)


# --- the engine cannot be asked: never a verdict ----------------------------------------------------------------


def reply(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


async def test_no_engine_is_the_instruments_fault_and_says_where(tmp_path: Path) -> None:
    with pytest.raises(ProbeError) as refused:
        await ask(f"unix://{tmp_path}/none.sock")
    assert refused.value.message == f"Docker at unix://{tmp_path}/none.sock: cannot connect (no such file or directory)"
    assert refused.value.fault == "instrument"
    assert "is the engine running" in (refused.value.hint or "")
    (tmp_path / "dead.sock").touch()
    with pytest.raises(ProbeError, match=r"cannot connect \(connection refused\)"):
        await ask(str(tmp_path / "dead.sock"))
    with pytest.raises(ProbeError, match=r"cannot connect \(connection refused\)"):
        await ask("tcp://127.0.0.1:1")


async def test_a_socket_of_somebody_else_says_what_to_do(tmp_path: Path) -> None:
    need("another user", None if os.geteuid() == 0 else "needs root")
    tmp_path.chmod(0o700)
    with pytest.raises(ProbeError):
        await ask(f"unix://{tmp_path}/sock")  # loads what has to be loaded while its files may be read
    os.seteuid(65534)
    try:
        with pytest.raises(ProbeError, match=r"cannot connect \(permission denied\)") as refused:
            await ask(f"unix://{tmp_path}/sock")
    finally:
        os.seteuid(0)
    assert "join the group docker" in (refused.value.hint or "")


async def test_a_hung_engine_ends_within_the_attempt(tmp_path: Path) -> None:
    with unix_server(tmp_path / "s", silent) as host, pytest.raises(ProbeError, match=r"no answer within 0\.36 s"):
        await ask(host, seconds=0.4)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (reply("200 OK", "not json"), "the answer is not the engine's API"),
        (reply("200 OK", "[]"), "the answer is not the engine's API"),
        (reply("200 OK", "{}"), "the answer is not the engine's API"),
        (reply("500 Internal Server Error", '{"message": "out of \\u001b[2J order"}'), r"500 out of ␛\[2J order"),
        (reply("403 Forbidden", "denied by proxy"), "403 denied by proxy"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "Docker at unix://"),
    ],
)
async def test_something_else_behind_the_socket_is_no_verdict(tmp_path: Path, answer: bytes, sentence: str) -> None:
    with unix_server(tmp_path / "s", answering(answer)) as host, pytest.raises(ProbeError, match=sentence) as refused:
        await ask(host, seconds=5)
    assert refused.value.fault == "instrument"
    assert "\x1b" not in refused.value.message


async def test_a_proxy_that_forbids_info_leaves_processes_unjudged(docker_box: Box, tmp_path: Path) -> None:
    docker_box.start("web", Cmd=["sleep", "300"])
    proxy = relay_to(docker_box.engine.host, [], forbidden=("/info",))
    with unix_server(tmp_path / "s", proxy) as host:
        result = await ask(host, names=(docker_box.name("web"),), top="true")
    assert result.observed["running"] == 1
    assert "root_processes" not in result.observed
    assert any("remaps users" in note for note in result.notes)


@pytest.mark.parametrize(
    "name", ["/(a+)+$/", "/(/", "/a*b*c*d*/", r"/(a)\1/", "/(?=x)/", "/a{2}{3}/", f"/{'a' * 300}/"]
)
def test_row_33_a_pattern_that_could_run_away_is_a_lint_error(name: str) -> None:
    with pytest.raises(ValueError, match="/"):
        DockerProbe(names=(name,))


@pytest.mark.parametrize("name", ["/web.*[0-9]+$/", r"/^shop_(web|db)\.\d+\./", "web", "/", "//", "${{ vars.web }}"])
def test_plain_patterns_are_taken(name: str) -> None:
    assert DockerProbe(names=(name,)).names == (name,)
