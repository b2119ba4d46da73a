"""Crashes of real containers: what comes back passes, what does not fails, and what is no crash is none."""

from __future__ import annotations

from typing import Any

import pytest

from captain.errors import ProbeError
from captain.systems.docker.exec import runs
from captain.systems.docker.reader import endpoint
from captain.systems.docker.signal import signal_container
from captain.threads import on_daemon
from tests.docker_engine import Box
from tests.engine.drills import drill
from tests.engine.stories import captain, found
from tests.shop import Shop

ALWAYS = {"RestartPolicy": {"Name": "always"}}
TRAP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


def around(box: Box, *steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {
        "probes": {"web": {"docker": {"names": [box.name("web")], "host": box.engine.host}}},
        "host": box.engine.host,
        "steady": "web.running == 1",
        "steps": list(steps),
        **keys,
    }


def signal(box: Box, name: str, **args: str) -> dict[str, Any]:
    return {"do": "signal", "target": box.name("web"), "args": {"signal": name, **args}}


BACK = {
    "until": "web.restart_count_max > before.web.restart_count_max && web.running == 1",
    "within": "20s",
    "every": "100ms",
}


async def test_f3_a_killed_container_that_its_policy_restarts_passes(shop: Shop, docker_box: Box) -> None:
    docker_box.start("web", HostConfig=ALWAYS | {"NetworkMode": "none"})
    drill(shop, around(docker_box, signal(docker_box, "KILL"), BACK), expect=["ok", "recovery <= duration('20s')"])
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "pass", found(engine, "drilled").message
    assert docker_box.inspect(docker_box.name("web"))["RestartCount"] == 1


async def test_f3_the_short_form_waits_for_the_restart_by_itself(shop: Shop, docker_box: Box) -> None:
    docker_box.start("web", HostConfig=ALWAYS | {"NetworkMode": "none"})
    step = {"do": "signal", "target": docker_box.name("web"), "args": {"pid": "host", "signal": "KILL"}}
    drill(
        shop,
        {"host": docker_box.engine.host, "steps": [step], "environments": ["staging"]},
        expect=["ok && recovery <= duration('30s')"],
    )
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "pass", found(engine, "drilled").message


async def test_f3_a_service_comes_back_in_another_container(shop: Shop, docker_box: Box) -> None:
    """One of two replicas crashes: that the other runs is no recovery."""
    name = docker_box.name("service")
    for suffix in ("one", "two"):
        docker_box.start(
            suffix, HostConfig=ALWAYS | {"NetworkMode": "none"}, Labels={"com.docker.swarm.service.name": name}
        )
    step = {"do": "signal", "target": name, "args": {"signal": "KILL"}}
    drill(shop, {"host": docker_box.engine.host, "steps": [step]})
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "pass", found(engine, "drilled").message
    counts = [docker_box.inspect(docker_box.name(one))["RestartCount"] for one in ("one", "two")]
    assert sorted(counts) == [0, 1]


async def test_a_container_that_nothing_restarts_fails(shop: Shop, docker_box: Box) -> None:
    docker_box.start("web")
    drill(shop, around(docker_box, signal(docker_box, "KILL"), {**BACK, "within": "2s"}))
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "fail", found(engine, "drilled").message


async def test_a_container_that_does_not_run_is_not_touched(shop: Shop, docker_box: Box) -> None:
    docker_box.create("web")
    drill(shop, around(docker_box, signal(docker_box, "KILL"), BACK))
    async with captain(shop) as engine:
        await engine.act("drilled")
        seen = found(engine, "drilled")
        assert seen.verdict == "unknown" and "the steady state does not hold" in seen.message


async def test_f2_a_frozen_process_is_seen_by_its_health_check_and_thaws(shop: Shop, docker_box: Box) -> None:
    check = (
        'HEALTHCHECK --interval=300ms --timeout=500ms --retries=2 CMD ["wget","-qO-","http://127.0.0.1:8080/version"]'
    )
    docker_box.start("web", docker_box.engine.image("1", check))
    docker_box.until(docker_box.name("web"), lambda one: one["State"]["Health"]["Status"] == "healthy")
    drill(
        shop,
        around(
            docker_box,
            signal(docker_box, "STOP"),
            {"until": "web.unhealthy == 1 && web.failing_streak_max >= 2", "within": "20s", "every": "200ms"},
            signal(docker_box, "CONT"),
            {"until": "web.healthy == 1", "within": "20s", "every": "200ms"},
            steady="web.healthy == 1",
            cleanup=[signal(docker_box, "CONT")],
        ),
    )
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "pass", found(engine, "drilled").message


async def test_a_program_in_a_container_can_be_the_disturbance(shop: Shop, docker_box: Box) -> None:
    docker_box.start("web", HostConfig=ALWAYS | {"NetworkMode": "none"}, Cmd=TRAP)
    publish = {"do": "exec", "target": docker_box.name("web"), "args": {"run": ["sh", "-c", "kill -TERM 1; exit 0"]}}
    drill(shop, around(docker_box, publish, BACK))
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "pass", found(engine, "drilled").message


async def test_from_inside_only_what_reaches_process_1_is_sent(docker_box: Box) -> None:
    from datetime import timedelta

    docker_box.start("web", HostConfig=ALWAYS | {"NetworkMode": "none"}, Cmd=TRAP)
    where, name = endpoint(docker_box.engine.host, {}), docker_box.name("web")

    async def send(which: str, pid: str | None = "container") -> str:
        return await signal_container(on_daemon, where, name, which, pid=pid, ends=True, timeout=timedelta(seconds=10))

    with pytest.raises(ProbeError, match=r"KILL does not reach process 1 of .* from inside") as caught:
        await send("KILL")
    assert caught.value.hint is not None and "host as root" in caught.value.hint
    assert docker_box.inspect(name)["RestartCount"] == 0
    assert await send("TERM") == f"TERM to process 1 in {name}"
    docker_box.until(name, lambda one: one["RestartCount"] == 1 and runs(one))
    assert (await send("TERM", None)).startswith("TERM to pid ")


async def test_a_process_of_another_machine_is_never_signalled_by_its_number(docker_box: Box) -> None:
    """The engine's numbers mean nothing here unless the process is to be seen to be the container's."""
    from captain.systems.docker.signal import is_its

    docker_box.start("web")
    document = docker_box.inspect(docker_box.name("web"))
    assert is_its(int(document["State"]["Pid"]), document["Id"])
    assert not is_its(int(document["State"]["Pid"]), "0" * 64)
    for pid in (0, 1, 2**22 + 1):
        assert not is_its(pid, document["Id"])


async def test_f3_a_process_that_ignores_the_signal_did_not_crash_and_nothing_passes_on_it(
    shop: Shop, docker_box: Box
) -> None:
    """Process 1 without a handler ignores TERM; that it still runs is no recovery."""
    docker_box.start("web", HostConfig=ALWAYS | {"NetworkMode": "none"}, Cmd=["sleep", "1000"])
    still = {"until": "web.running == 1"}
    drill(shop, around(docker_box, signal(docker_box, "TERM", pid="container"), still), timeout="8s")
    async with captain(shop) as engine:
        await engine.act("drilled")
        seen = found(engine, "drilled")
        assert seen.verdict == "unknown", seen.message
        assert "TERM did not end process 1 of" in seen.message and "nothing crashed" in seen.message


async def test_f3_that_it_runs_again_is_only_looked_at_once_it_crashed(shop: Shop, docker_box: Box) -> None:
    docker_box.start("web", HostConfig=ALWAYS | {"NetworkMode": "none"})
    drill(shop, around(docker_box, signal(docker_box, "KILL"), {"until": "web.running == 1", "every": "100ms"}))
    async with captain(shop) as engine:
        await engine.act("drilled")
        assert found(engine, "drilled").verdict == "pass"
    assert docker_box.inspect(docker_box.name("web"))["RestartCount"] == 1
