"""Going back to the container that ran before the deploy, with everything it had, even when captain is killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from captain.errors import CaptainError
from captain.rollbacks import RollbackContext, Taken
from captain.rollbacks.container import ContainerStrategy
from captain.systems.docker.recreate import kept_name
from captain.threads import on_daemon
from tests.docker_engine import Box

ATTEMPT = "01JCXG5V7Q3M8Z4T6N2R9K1W0B"
HEALTHY = 'HEALTHCHECK --interval=1s CMD ["true"]'
SICK = 'HEALTHCHECK --interval=1s --timeout=1s --retries=1 CMD ["false"]'
ROOT = Path(__file__).parents[2]


class Shop:
    """A service of one container: deployed, rolled back, looked at."""

    def __init__(self, box: Box, tmp_path: Path) -> None:
        self.box = box
        self.name = box.name("web")
        self.tmp_path = tmp_path
        self.said: list[str] = []
        self.strategy = ContainerStrategy(id="web", container=self.name)
        self.context = RollbackContext(
            root=tmp_path,
            environ={**box.engine.environ, "PYTHONPATH": str(ROOT)},
            secrets={},
            blocking=on_daemon,
            resolve=lambda text: text,
            values={"CAPTAIN_ATTEMPT": ATTEMPT},
        )

    def deploy(self, image: str, **config: Any) -> str:
        """What a deploy script does: away with the old container, up with the new one."""
        if f"/{self.name}" in [name for one in self.box.engine.client.containers(all=True) for name in one["Names"]]:
            self.box.engine.client.remove_container(self.name, force=True)
        return self.box.start("web", image, **config)

    async def take(self) -> Taken:
        return await self.strategy.take(self.context)

    async def go_back(self, target: dict[str, Any], attempt: str = ATTEMPT) -> None:
        await self.strategy.execute(target, self.context, self.said.append, attempt)

    def part(self, target: dict[str, Any]) -> Path:
        """The directory of an attempt, as captain writes it."""
        directory = self.tmp_path / "attempt"
        directory.mkdir(exist_ok=True)
        for name, text in self.strategy.command(target, self.context).files.items():
            (directory / name).write_text(text)
        return directory

    def run_part(self, directory: Path, number: int = -1, when: str = "before") -> int:
        """Run the part in a process that dies at its `number`-th change; its return code."""
        script = Path(__file__).parent / "container_part.py"
        done = subprocess.run(
            [sys.executable, str(script), str(directory), str(number), when],
            env={**os.environ, **self.context.environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in (0, 1, -signal.SIGKILL), done.stderr
        self.said.extend(done.stdout.splitlines() + done.stderr.splitlines())
        return done.returncode

    def answers(self, path: str = "/version") -> tuple[int, str]:
        ports = self.box.inspect(self.name)["NetworkSettings"]["Ports"]["8080/tcp"]
        deadline = time.monotonic() + 10
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]['HostPort']}{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    @property
    def kept(self) -> str:
        return kept_name(self.name, ATTEMPT)

    def image_of(self, name: str) -> str:
        return str(self.box.inspect(name)["Image"])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container counts as steady sooner than it should in earnest."""
    monkeypatch.setattr("captain.rollbacks.container._STEADY", 0.2)


@pytest.fixture
def shop(docker_box: Box, tmp_path: Path) -> Shop:
    return Shop(docker_box, tmp_path)


def rich(shop: Shop, network: str, volume: str) -> dict[str, Any]:
    """A configuration with a bit of everything that a rollback has to bring back."""
    return {
        "Env": ["MODE=production", "TOKEN=canary-value"],
        "Cmd": ["sh", "-c", "echo $MODE >> /anonymous/log; exec httpd -f -p 8080 -h /www"],
        "User": "0",
        "WorkingDir": "/www",
        "ExposedPorts": {"8080/tcp": {}},
        "Volumes": {"/anonymous": {}},
        "Labels": {"com.docker.compose.project": shop.box.prefix},
        "HostConfig": {
            "NetworkMode": network,
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
            "Binds": [f"{volume}:/data"],
            "Memory": 64 * 1024**2,
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "ReadonlyRootfs": True,
            "CapDrop": ["NET_RAW"],
            "Tmpfs": {"/scratch": "size=1m"},
        },
        "NetworkingConfig": {
            "EndpointsConfig": {
                network: {"Aliases": ["shop", "front"], "IPAMConfig": {"IPv4Address": address_in(shop.box, network)}},
            }
        },
    }


def fixed_network(box: Box) -> str:
    """A network with addresses to choose from, in a range nobody else has."""
    from docker.errors import APIError

    for _ in range(20):
        subnet = f"10.{secrets.randbelow(40) + 200}.{secrets.randbelow(256)}.0/24"
        with contextlib.suppress(APIError):
            return box.network("front", ipam={"Driver": "default", "Config": [{"Subnet": subnet}]})
    raise AssertionError("no free range of addresses")


def address_in(box: Box, network: str) -> str:
    """An address a person might have chosen there."""
    subnet = box.engine.client.inspect_network(network)["IPAM"]["Config"][0]["Subnet"]
    return str(subnet).replace(".0/24", ".77")


async def test_everything_the_container_had_comes_back(shop: Shop) -> None:
    network, back, volume = fixed_network(shop.box), shop.box.network("back"), shop.box.volume("data")
    shop.deploy(shop.box.engine.image("1"), **rich(shop, network, volume))
    shop.box.engine.client.connect_container_to_network(shop.name, back, aliases=["db-client"])
    before = shop.box.inspect(shop.name)
    taken = await shop.take()
    assert taken.ready, taken.why
    shop.box.engine.client.stop(shop.name)
    shop.box.engine.client.rename(shop.name, shop.box.name("old"))
    shop.box.start("web", shop.box.engine.image("2"), HostConfig={"NetworkMode": network})
    shop.box.engine.client.remove_container(shop.box.name("old"))  # its anonymous volume stays

    await shop.go_back(taken.target)

    after = shop.box.inspect(shop.name)
    assert after["Image"] == before["Image"] and after["Id"] != before["Id"]
    assert shop.answers() == (200, "1")
    for key in ("Env", "Cmd", "User", "WorkingDir", "ExposedPorts", "Entrypoint", "Healthcheck", "StopSignal"):
        assert after["Config"].get(key) == before["Config"].get(key), key
    assert after["Config"]["Hostname"] == after["Id"][:12]
    unchanged = before["HostConfig"].keys() - {"Binds"}
    assert {key: after["HostConfig"][key] for key in unchanged} == {key: before["HostConfig"][key] for key in unchanged}
    places = {(mount["Name"], mount["Destination"], mount["RW"]) for mount in before["Mounts"]}
    assert {(mount["Name"], mount["Destination"], mount["RW"]) for mount in after["Mounts"]} == places
    log = shop.box.engine.client.exec_create(shop.name, ["cat", "/anonymous/log"])
    assert shop.box.engine.client.exec_start(log) == b"production\nproduction\n"
    connected = after["NetworkSettings"]["Networks"]
    assert set(connected) == {network, back}
    assert {"shop", "front"} <= set(connected[network]["Aliases"])
    assert "db-client" in connected[back]["Aliases"]
    assert before["Id"][:12] not in connected[network]["Aliases"]
    assert connected[network]["IPAddress"] == address_in(shop.box, network)


async def test_the_replaced_container_is_kept_until_the_rollback_is_verified(shop: Shop) -> None:
    first = shop.deploy(shop.box.engine.image("1"), **published(shop))
    target = (await shop.take()).target
    bad = shop.deploy(shop.box.engine.image("2"), **published(shop))
    assert shop.answers("/cgi-bin/check")[0] == 500

    await shop.go_back(target)

    assert shop.box.ours() == [shop.name, shop.kept]
    assert shop.box.inspect(shop.kept)["Id"] == bad
    assert shop.box.inspect(shop.name)["Id"] != first
    assert shop.answers("/cgi-bin/check")[0] == 200
    for _ in range(2):
        await shop.strategy.settle(target, shop.context, ATTEMPT)
        assert shop.box.ours() == [shop.name]
    assert shop.answers() == (200, "1")


def published(shop: Shop) -> dict[str, Any]:
    network = shop.box.name("net")
    if network not in shop.box.networks:
        shop.box.network("net")
    ports = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    return {"ExposedPorts": {"8080/tcp": {}}, "HostConfig": {"NetworkMode": network, "PortBindings": ports}}


async def test_nothing_is_removed_while_the_container_gone_back_to_does_not_run(shop: Shop) -> None:
    shop.deploy(shop.box.engine.image("1"))
    target = (await shop.take()).target
    shop.deploy(shop.box.engine.image("2"))
    await shop.go_back(target)
    shop.box.engine.client.stop(shop.name)
    with pytest.raises(CaptainError, match="nothing is removed"):
        await shop.strategy.settle(target, shop.context, ATTEMPT)
    shop.box.engine.client.start(shop.name)
    shop.box.engine.client.start(shop.kept)
    with pytest.raises(CaptainError, match="was started again: it is not removed"):
        await shop.strategy.settle(target, shop.context, ATTEMPT)


async def test_a_container_that_was_never_replaced_is_already_there(shop: Shop) -> None:
    first = shop.deploy(shop.box.engine.image("1"))
    target = (await shop.take()).target
    await shop.go_back(target)
    assert shop.said[0] == f"{shop.name} is already there"
    assert (shop.box.inspect(shop.name)["Id"], shop.box.ours()) == (first, [shop.name])
    shop.box.engine.client.stop(shop.name)
    await shop.go_back(target)
    assert shop.box.inspect(shop.name)["State"]["Running"] is True
    assert [line.verb for line in await shop.strategy.plan(target, shop.context)] == ["verify", "stays"]


async def test_a_container_that_is_gone_altogether_comes_back_too(shop: Shop) -> None:
    shop.deploy(shop.box.engine.image("1"), **published(shop))
    target = (await shop.take()).target
    shop.box.engine.client.remove_container(shop.name, force=True)
    await shop.go_back(target)
    assert (shop.answers(), shop.box.ours()) == ((200, "1"), [shop.name])
    await shop.strategy.settle(target, shop.context, ATTEMPT)


async def test_a_stopped_container_comes_back_stopped(shop: Shop) -> None:
    shop.box.create("web", shop.box.engine.image("1"))
    target = (await shop.take()).target
    shop.deploy(shop.box.engine.image("2"))
    await shop.go_back(target)
    document = shop.box.inspect(shop.name)
    assert (document["State"]["Running"], document["Image"]) == (False, target["image"]["id"])


async def test_a_paused_or_crashing_container_is_replaced_too(shop: Shop) -> None:
    always = {"NetworkMode": "none", "RestartPolicy": {"Name": "always"}}
    shop.deploy(shop.box.engine.image("1"))
    target = (await shop.take()).target
    shop.deploy(shop.box.engine.image("2"))
    shop.box.engine.client.pause(shop.name)
    await shop.go_back(target)
    assert shop.image_of(shop.name) == target["image"]["id"]
    await shop.strategy.settle(target, shop.context, ATTEMPT)
    shop.deploy(shop.box.engine.image("2"), Cmd=["false"], HostConfig=always)
    shop.box.until(shop.name, lambda each: each["State"]["Restarting"])
    await shop.go_back(target)
    assert shop.image_of(shop.name) == target["image"]["id"]
    assert shop.box.inspect(shop.kept)["State"]["Status"] == "exited"


async def test_a_health_check_is_waited_for(shop: Shop) -> None:
    shop.deploy(shop.box.engine.image("1", HEALTHY))
    target = (await shop.take()).target
    shop.deploy(shop.box.engine.image("2"))
    await shop.go_back(target)
    assert shop.box.inspect(shop.name)["State"]["Health"]["Status"] == "healthy"


async def test_a_target_that_turns_out_sick_or_crashes_fails_and_keeps_the_other(shop: Shop) -> None:
    for image, config, said in (
        (shop.box.engine.image("1", SICK), {}, "runs but is unhealthy"),
        (shop.box.engine.image("1"), {"Cmd": ["false"]}, "ended with exit code 1"),
    ):
        shop.deploy(image, **config)
        target = {**(await shop.take()).target, "running": True}
        shop.deploy(shop.box.engine.image("2"))
        with pytest.raises(CaptainError, match=said) as failed:
            await shop.go_back(target)
        assert failed.value.hint == f"docker logs {shop.name}"
        assert shop.box.ours() == [shop.name, shop.kept]
        shop.box.engine.client.remove_container(shop.kept, force=True)


async def test_a_second_attempt_goes_on_with_what_the_first_one_made(shop: Shop) -> None:
    shop.deploy(shop.box.engine.image("1"), Cmd=["sh", "-c", "test -f /data/fixed && exec sleep 300"], **volume(shop))
    target = {**(await shop.take()).target, "running": True}
    shop.deploy(shop.box.engine.image("2"), **volume(shop))
    with pytest.raises(CaptainError, match="ended with exit code 1"):
        await shop.go_back(target)
    made = shop.box.inspect(shop.name)["Id"]
    helper = shop.box.start("helper", Cmd=["touch", "/data/fixed"], **volume(shop))
    shop.box.until(helper, lambda each: each["State"]["Status"] == "exited")
    await shop.go_back(target, "01JCXG5V7Q3M8Z4T6N2R9K1W0C")
    assert shop.box.inspect(shop.name)["Id"] == made
    assert shop.box.ours() == [shop.box.name("helper"), shop.name, shop.kept]
    for attempt in (ATTEMPT, "01JCXG5V7Q3M8Z4T6N2R9K1W0C"):
        await shop.strategy.settle(target, shop.context, attempt)
    assert shop.box.ours() == [shop.box.name("helper"), shop.name]


def volume(shop: Shop) -> dict[str, Any]:
    name = shop.box.name("state")
    if name not in shop.box.volumes:
        shop.box.volume("state")
    return {"HostConfig": {"NetworkMode": "none", "Binds": [f"{name}:/data"]}}


async def test_something_that_deploys_meanwhile_is_found_out(shop: Shop) -> None:
    shop.deploy(shop.box.engine.image("1"))
    target = (await shop.take()).target
    shop.deploy(shop.box.engine.image("2"))
    shop.box.create("web-captain-" + ATTEMPT, shop.box.engine.image("2"))
    with pytest.raises(CaptainError, match="was created by somebody else while it was rolled back"):
        await shop.go_back(target)


# --- what take proves -------------------------------------------------------------------------------------------


async def test_take_names_the_target_and_keeps_values_out_of_what_is_logged(shop: Shop) -> None:
    image = shop.box.engine.image("1")
    shop.deploy(image, Env=["TOKEN=canary-value", "MODE=x"])
    taken = await shop.take()
    identity = shop.image_of(shop.name)
    assert (taken.ready, taken.why, taken.image) == (True, None, identity)
    assert taken.to == f"{image} {identity[:19]}"
    assert set(taken.env_names) == {"TOKEN", "MODE"} or set(taken.env_names) == {"TOKEN", "MODE", "PATH"}
    assert "canary-value" not in f"{taken.to}{taken.image}{taken.env_names}"
    assert json.loads(json.dumps(taken.target)) == taken.target
    assert set(taken.target) == {
        *("host", "name", "id", "image", "config", "host_config", "networks", "mounts", "running"),
    }


async def test_a_way_back_that_is_not_there_is_not_ready_and_never_an_exception(shop: Shop, tmp_path: Path) -> None:
    missing = await shop.take()
    assert not missing.ready and "has no container" in (missing.why or "")
    away = ContainerStrategy(id="web", container=shop.name, host=f"unix://{tmp_path}/none.sock")
    unreachable = await away.take(shop.context)
    assert not unreachable.ready and "cannot connect" in (unreachable.why or "")
    shop.box.start("web", HostConfig={"NetworkMode": "none", "AutoRemove": True})
    removing = await shop.take()
    assert not removing.ready and "removes itself" in (removing.why or "")


async def test_a_name_that_begins_an_id_is_not_the_container(shop: Shop) -> None:
    other = shop.box.start("other")
    assert not (await ContainerStrategy(id="web", container=other[:12]).take(shop.context)).ready


async def test_an_image_that_is_gone_is_not_ready_and_the_plan_says_so(shop: Shop) -> None:
    doomed = shop.box.engine.image("1", "LABEL doomed=yes", repository="doomed")
    shop.deploy(doomed)
    taken = await shop.take()
    shop.deploy(shop.box.engine.image("2"))
    shop.box.engine.client.remove_image(doomed, force=True)
    del shop.box.engine.images[next(key for key, ref in shop.box.engine.images.items() if ref == doomed)]
    lines = await shop.strategy.plan(taken.target, shop.context)
    assert lines[0].verb == "not" and "is gone: this part will fail" in lines[0].text
    with pytest.raises(CaptainError, match=r"404 No such image"):
        await shop.go_back(taken.target)


async def test_the_plan_reads_like_what_will_happen_and_changes_nothing(shop: Shop) -> None:
    network, data = fixed_network(shop.box), shop.box.volume("data")
    shop.deploy(shop.box.engine.image("1"), **rich(shop, network, data))
    target = (await shop.take()).target
    bad = shop.deploy(shop.box.engine.image("2"))
    first, second = target["image"]["id"][:19], shop.image_of(shop.name)[:19]
    ref1, ref2 = shop.box.engine.image("1"), shop.box.engine.image("2")
    lines = [(line.verb, line.text) for line in await shop.strategy.plan(target, shop.context)]
    assert lines[:6] == [
        ("verify", f"image {ref1} {first} is here"),
        ("change", f"stop {shop.name} ({ref2} {second})"),
        ("change", f"keep it as {shop.name}-captain-… until the rollback is verified"),
        ("change", f"create {shop.name} from {ref1} {first}, as it was"),
        ("change", f"start {shop.name}"),
        ("verify", f"{shop.name} runs"),
    ]
    assert ("stays", f"volume {data} with what was written to it since") in lines
    assert "canary-value" not in str(lines)
    assert (shop.box.inspect(shop.name)["Id"], shop.box.ours()) == (bad, [shop.name])


# --- killed at any point ----------------------------------------------------------------------------------------


async def deployed_twice(shop: Shop) -> dict[str, Any]:
    """Version 1 ran with two networks, version 2 runs and answers 500."""
    network, back, data = fixed_network(shop.box), shop.box.network("back"), shop.box.volume("data")
    shop.deploy(shop.box.engine.image("1"), **rich(shop, network, data))
    shop.box.engine.client.connect_container_to_network(shop.name, back, aliases=["db-client"])
    target = (await shop.take()).target
    shop.deploy(shop.box.engine.image("2"), **rich(shop, network, data))
    return target


def is_back(shop: Shop, target: dict[str, Any], bad: str) -> None:
    assert shop.box.ours() == [shop.name, shop.kept], shop.said
    document = shop.box.inspect(shop.name)
    assert (document["Image"], document["State"]["Running"]) == (target["image"]["id"], True)
    assert set(document["NetworkSettings"]["Networks"]) == set(target["networks"])
    kept = shop.box.inspect(shop.kept)
    assert (kept["Id"], kept["State"]["Running"]) == (bad, False)
    assert shop.answers() == (200, "1")


CHANGES = 5
"""stop, rename, create, connect, start."""


async def test_killed_before_and_during_every_change_the_part_goes_on_where_it_stopped(shop: Shop) -> None:
    target = await deployed_twice(shop)
    original = dict(target)
    # What holds before a change held after the one before it; before the first one nothing happened.
    for when, first in (("before", 3), ("during", 1)):
        for number in range(first, CHANGES + 1):
            bad = str(shop.box.inspect(shop.name)["Id"])
            directory = shop.part(target)
            assert shop.run_part(directory, number, when) == -signal.SIGKILL
            assert shop.run_part(directory) == 0, shop.said
            is_back(shop, target, bad)
            await shop.strategy.settle(target, shop.context, ATTEMPT)
            assert shop.box.ours() == [shop.name]
            # The next round rolls the container that was made back to the same target, as another one.
            target = {**original, "id": f"{number:02d}{when.encode().hex()}".ljust(64, "0")}


async def test_killed_twice_in_a_row_at_random_moments_it_still_arrives(shop: Shop) -> None:
    target = await deployed_twice(shop)
    bad = str(shop.box.inspect(shop.name)["Id"])
    directory = shop.part(target)
    chance = random.Random(20261123)
    command = [sys.executable, "-P", "-m", "captain.rollbacks", str(directory)]
    for _ in range(2):
        part = subprocess.Popen(command, env={**os.environ, **shop.context.environ}, stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 1.0))
        part.kill()
        part.wait()
    for _ in range(2):
        assert shop.run_part(directory) == 0, shop.said
        is_back(shop, target, bad)


async def test_a_part_that_fails_says_why_on_stderr_and_ends_with_1(shop: Shop) -> None:
    shop.deploy(shop.box.engine.image("1"))
    target = (await shop.take()).target
    directory = shop.part({**target, "host": f"unix://{shop.tmp_path}/none.sock"})
    assert shop.run_part(directory) == 1
    assert "cannot connect (no such file or directory)" in shop.said[-1]
