"""A program in a container: what it says, what is not there, and that it is gone when its time is over."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.systems.docker.exec import Executed, run_inside
from captain.systems.docker.reader import endpoint
from captain.threads import on_daemon
from tests.docker_engine import Box
from tests.hostile_server import HostileServer

Run = Callable[..., Any]


@pytest.fixture
def run(docker_box: Box) -> Run:
    async def inside(container: str, *argv: str, seconds: float = 10, **keys: Any) -> Executed:
        where = endpoint(docker_box.engine.host, {})
        return await run_inside(on_daemon, where, container, argv, timeout=timedelta(seconds=seconds), **keys)

    return inside


def processes(box: Box, suffix: str) -> list[str]:
    """The command lines of what runs in a container."""
    return [row[-1] for row in box.engine.client.top(box.name(suffix))["Processes"]]


async def test_a_program_in_a_container_says_how_it_ended(docker_box: Box, run: Run) -> None:
    docker_box.start("web")
    seen = await run(docker_box.name("web"), "sh", "-c", "echo out; echo err >&2; exit 3")
    done = seen.finished
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert (done.timed_out, done.truncated, seen.left) == (False, False, False)
    assert seen.container == docker_box.name("web")


async def test_arguments_pass_no_shell_and_variables_and_folder_reach_it(docker_box: Box, run: Run) -> None:
    docker_box.start("web")
    odd = "$(touch /tmp/x); 'a' \"b\"\n*"
    seen = await run(docker_box.name("web"), "/bin/busybox", "printf", "%s", odd)
    assert seen.finished.stdout.decode() == odd
    script = 'cat version; echo " $WHO"'
    seen = await run(docker_box.name("web"), "sh", "-c", script, env={"WHO": "a b$c"}, cwd="/www")
    assert seen.finished.stdout == b"1 a b$c\n"


async def test_a_container_is_found_by_its_service_too(docker_box: Box, run: Run) -> None:
    docker_box.start("web", Labels={"com.docker.swarm.service.name": docker_box.name("service")})
    seen = await run(docker_box.name("service"), "true")
    assert (seen.container, seen.finished.exit_code) == (docker_box.name("web"), 0)


async def test_what_does_not_run_is_no_answer(docker_box: Box, run: Run) -> None:
    docker_box.create("stopped")
    docker_box.start("paused")
    docker_box.engine.client.pause(docker_box.name("paused"))
    for name, sentence in (("stopped", "does not run"), ("paused", "is paused"), ("no-such", "has no container or")):
        with pytest.raises(ProbeError, match=sentence) as caught:
            await run(docker_box.name(name), "true")
        assert caught.value.fault == "unclear"
    docker_box.engine.client.unpause(docker_box.name("paused"))


@pytest.mark.parametrize("program", ["no-such-program", "/bin/no-such", "/www/version", "/www"])
async def test_a_program_that_is_not_there_is_the_instruments_fault(docker_box: Box, run: Run, program: str) -> None:
    docker_box.start("web")
    with pytest.raises(ProbeError, match="cannot start") as caught:
        await run(docker_box.name("web"), program)
    assert caught.value.fault == "instrument"


async def test_exit_127_of_a_program_that_ran_is_its_own(docker_box: Box, run: Run) -> None:
    docker_box.start("web")
    seen = await run(docker_box.name("web"), "sh", "-c", "exit 127")
    assert seen.finished.exit_code == 127


async def test_a_folder_that_is_not_there_is_said(docker_box: Box, run: Run) -> None:
    docker_box.start("web")
    with pytest.raises(ProbeError, match="cannot start true in"):
        await run(docker_box.name("web"), "true", cwd="/no/such")


async def test_a_container_without_a_shell_still_runs_its_own_program(docker_box: Box, run: Run) -> None:
    image = docker_box.engine.image("1", "ENV PATH=/nowhere", 'CMD ["/bin/busybox","sleep","60"]')
    docker_box.start("bare", image)
    name = docker_box.name("bare")
    seen = await run(name, "/bin/busybox", "echo", "here")
    assert (seen.finished.exit_code, seen.finished.stdout) == (0, b"here\n")
    with pytest.raises(ProbeError, match="cannot start nothing"):
        await run(name, "nothing")
    # Nobody there could end it: that is said instead of promised.
    late = await run(name, "/bin/busybox", "sleep", "4", seconds=1)
    assert (late.finished.timed_out, late.left) == (True, True)


async def test_a_program_whose_time_is_over_is_gone_from_the_container(docker_box: Box, run: Run) -> None:
    docker_box.start("web")
    began = time.monotonic()
    seen = await run(
        docker_box.name("web"), "sh", "-c", "echo begun; trap '' TERM; sleep 47 & wait; sleep 48", seconds=3
    )
    assert time.monotonic() - began < 3.5
    assert (seen.finished.exit_code, seen.finished.timed_out, seen.finished.stdout) == (None, True, b"begun\n")
    assert not seen.left
    await asyncio.to_thread(_gone, docker_box, ("sleep 47", "sleep 48"))


async def test_cancelling_stops_the_program(docker_box: Box, run: Run) -> None:
    docker_box.start("web")
    task = asyncio.ensure_future(run(docker_box.name("web"), "sleep", "49", seconds=30))
    while "sleep 49" not in await asyncio.to_thread(processes, docker_box, "web"):
        assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(_gone, docker_box, ("sleep 49",))


async def test_a_flood_is_bounded(docker_box: Box, run: Run) -> None:
    docker_box.start("web")
    tracemalloc.start()
    try:
        seen = await run(docker_box.name("web"), "sh", "-c", "head -c 90000000 /dev/zero", seconds=9)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen.finished.truncated
    assert len(seen.finished.stdout) < 1_100_000
    assert peak < 24_000_000


async def test_a_container_that_dies_under_the_program_ends_it(docker_box: Box, run: Run) -> None:
    docker_box.start("web")
    task = asyncio.ensure_future(run(docker_box.name("web"), "sleep", "46", seconds=20))
    while "sleep 46" not in await asyncio.to_thread(processes, docker_box, "web"):
        assert not task.done()
    docker_box.engine.client.kill(docker_box.name("web"))
    done = (await task).finished
    assert done.exit_code == 137 and not done.timed_out


@pytest.mark.parametrize("manner", ["silent", "drip", "flood", "die"])
async def test_an_engine_that_misbehaves_ends_in_time(hostile_server: HostileServer, manner: str) -> None:
    where = endpoint(f"tcp://127.0.0.1:{hostile_server.port(manner)}", {})
    began = time.monotonic()
    with pytest.raises(ProbeError):
        await run_inside(on_daemon, where, "web", ["true"], timeout=timedelta(seconds=1))
    assert time.monotonic() - began < 2.5


def _gone(box: Box, lines: tuple[str, ...]) -> None:
    deadline = time.monotonic() + 4
    while any(line in found for found in processes(box, "web") for line in lines):
        assert time.monotonic() < deadline, processes(box, "web")
        time.sleep(0.05)
