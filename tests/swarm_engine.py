"""A real swarm of one node for tests: the one the engine is in, else one of our own that leaves no trace.

Services of other test runs live in the same swarm; only ours are removed, and the last run to end leaves the swarm if
tests made it.
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.docker_engine import Engine
from tests.requirements import need

_OURS = {"captain.test": "swarm"}


@dataclass
class Swarm:
    """A swarm and the services of one test."""

    engine: Engine
    prefix: str
    services: list[str] = field(default_factory=list)

    def name(self, suffix: str) -> str:
        return f"{self.prefix}-{suffix}"

    def create(self, suffix: str, *, image: str | None = None, replicas: int = 1, **spec: Any) -> str:
        """Create a service named `name(suffix)`; its id. `spec` are keys of the engine's ServiceSpec."""
        body = self.spec(suffix, image=image, replicas=replicas, **spec)
        made = str(self._post("/services/create", body)["ID"])
        self.services.append(made)
        return made

    def spec(self, suffix: str, *, image: str | None = None, replicas: int = 1, **spec: Any) -> dict[str, Any]:
        """What `create` and `update` send."""
        task = spec.pop("TaskTemplate", {})
        container = {
            "Image": image or self.engine.image(),
            "Args": ["sleep", "1000"],
            "StopGracePeriod": 1,
            **task.pop("ContainerSpec", {}),
        }
        return {
            "Name": self.name(suffix),
            "Labels": {"captain.test": self.prefix},
            "TaskTemplate": {"ContainerSpec": container, **task},
            "Mode": {"Replicated": {"Replicas": replicas}},
            **spec,
        }

    def update(self, suffix: str, **spec: Any) -> None:
        service = self.inspect(suffix)
        path = f"/services/{service['ID']}/update"
        self._post(path, self.spec(suffix, **spec), {"version": service["Version"]["Index"]})

    def inspect(self, suffix: str) -> dict[str, Any]:
        return dict(self.engine.client.inspect_service(self.name(suffix)))

    def tasks(self, suffix: str) -> list[dict[str, Any]]:
        return list(self.engine.client.tasks(filters={"service": self.name(suffix)}))

    def until(
        self, suffix: str, true: Callable[[dict[str, Any], list[dict[str, Any]]], bool], seconds: float = 40
    ) -> None:
        """Wait until `true` holds for the service and its tasks."""
        deadline = time.monotonic() + seconds
        while not true(service := self.inspect(suffix), tasks := self.tasks(suffix)):
            states = [(task["DesiredState"], task["Status"]["State"], task["Status"].get("Err")) for task in tasks]
            assert time.monotonic() < deadline, (service.get("UpdateStatus"), states)
            time.sleep(0.1)

    def running(self, suffix: str, count: int) -> None:
        """Wait until so many tasks run."""
        self.until(suffix, lambda _, tasks: sum(task["Status"]["State"] == "running" for task in tasks) == count)

    def clean(self) -> None:
        """Remove the services; what their tasks leave behind is waited for once, at the end of the session."""
        for service in self.services:
            with contextlib.suppress(Exception):
                self.engine.client.remove_service(service)

    def _post(self, path: str, body: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:
        client = self.engine.client
        answer = client._post_json(client._url(path), data=body, params=params or {})
        return dict(client._result(answer, True))


@pytest.fixture(scope="session")
def swarm_engine(docker_engine: Engine) -> Iterator[Engine]:
    """The engine, managing a swarm."""
    import docker

    client = docker_engine.client
    home = Path(tempfile.gettempdir()) / "captain-test-engine"
    home.mkdir(mode=0o700, exist_ok=True)
    with (home / "swarm").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        state = client.info()["Swarm"]["LocalNodeState"]
        if state == "inactive":
            try:
                client.init_swarm(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:0", swarm_spec={"Labels": _OURS})
            except docker.errors.APIError as error:
                # Another test run was quicker.
                refused = None if client.info()["Swarm"]["LocalNodeState"] == "active" else str(error)
                need("docker swarm", refused)
        need("docker swarm", None if client.info()["Swarm"].get("ControlAvailable") else "this engine manages none")
        yield docker_engine
        deadline = time.monotonic() + 60
        while client.containers(all=True, filters={"name": docker_engine.run, "label": "com.docker.swarm.task.id"}):
            assert time.monotonic() < deadline, "containers of tasks stay"
            time.sleep(0.1)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if client.inspect_swarm()["Spec"].get("Labels") == _OURS and not client.services():
                client.leave_swarm(force=True)
                # A bridge that swarms make and leave behind.
                with contextlib.suppress(docker.errors.APIError):
                    client.remove_network("docker_gwbridge")


@pytest.fixture
def docker_swarm(swarm_engine: Engine) -> Iterator[Swarm]:
    """A place for the services of one test."""
    made = Swarm(swarm_engine, f"{swarm_engine.run}-{secrets.token_hex(2)}")
    yield made
    made.clean()
