"""What a kind sends to a system when it only reads: the methods of the clients behind it, kind by kind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from captain.clock import SystemClock
from captain.errors import CaptainError
from captain.probes import Context, probes
from captain.systems.docker.reader import READS, Endpoint, Reader
from captain.threads import on_daemon

READING = {"GET", "HEAD", "OPTIONS"}
KINDS = probes.names()


def written(example: str) -> dict[str, Any]:
    """As captain reads it: every scalar is a text, `on` too."""
    found: dict[str, Any] = yaml.load(example, Loader=yaml.BaseLoader)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_says_when_it_does_more_than_read(name: str) -> None:
    """Whoever may be active or a drill says with which parameters, and whoever says nothing never is."""
    cls = probes.find(name)
    assert cls is not None
    step = written(cls.example)
    probe = cls.model_validate(step[name])
    overrides = "safety" in vars(cls)
    assert overrides == bool(cls.more_than_reading), f"{name}: safety and more_than_reading go together"
    if probe.safety == "read":
        return
    assert probe.does(), "what is asked about before it runs"
    assert all(isinstance(line, str) and line for line in probe.does())


@pytest.mark.parametrize("name", KINDS)
async def test_a_kind_that_reads_asks_docker_with_get_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kind may come by a client of the engine that changes things while it only reads."""
    cls = probes.find(name)
    assert cls is not None
    probe = cls.model_validate(written(cls.example)[name])
    if probe.safety != "read":
        return
    made: list[type[Reader]] = []

    def refuse(self: Reader, where: Endpoint, seconds: float) -> None:
        made.append(type(self))
        raise CaptainError("no engine here")

    monkeypatch.setattr(Reader, "__init__", refuse)
    context = Context(
        root=Path("/nonexistent"),
        repo=None,
        timeout=timedelta(seconds=0.2),
        environ={"PATH": "/nonexistent", "DOCKER_HOST": "unix:///nonexistent"},
        secrets={},
        blocking=on_daemon,
        clock=SystemClock(),
    )
    try:
        await probe.measure(context)
    except CaptainError:
        pass
    except Exception as error:
        pytest.fail(f"{name} itself failed: {error!r}")
    assert all(client.methods <= READS for client in made), [client.__name__ for client in made]


def test_a_reading_client_of_the_engine_sends_nothing_else(docker_engine: Any) -> None:
    """The method is stopped below the library, whatever is called."""
    with Reader(Endpoint(docker_engine.host), 10) as engine:
        with pytest.raises(CaptainError, match="captain does not send POST here"):
            engine._ask(lambda: engine._api.create_container_from_config({"Image": "x"}))
        with pytest.raises(CaptainError, match="captain does not send DELETE here"):
            engine._ask(lambda: engine._api.remove_container("x"))
