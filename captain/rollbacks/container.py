"""The strategy `container`: one plain container goes back to the configuration and image it had before the deploy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from captain.errors import CaptainError
from captain.fields import Duration, Text
from captain.rollbacks import Line, RollbackContext, Say, Strategy, Taken, strategy
from captain.safe import safe
from captain.systems.docker import containers as told
from captain.systems.docker.changes import Changer
from captain.systems.docker.reader import Endpoint, Reader, endpoint, pinned
from captain.systems.docker.recreate import (
    TARGET,
    body_of,
    endpoints,
    env_names,
    extra_networks,
    kept_name,
    missing_networks,
    target_of,
    volumes_of,
)

_LOOK = 20.0
"""Seconds for all questions of `take`, `plan` and `settle`."""
_MARGIN = 0.95
"""Share of the part's time that is used, so that its own error comes before its end."""
_EVERY = 0.2
_STEADY = 1.0
"""Seconds a container without a health check has to run on."""
_TRIES = 5
_CRASHES = 3

Target = Mapping[str, Any]


@strategy("container")
class ContainerStrategy(Strategy):
    """Stop the container, keep it under another name, and make the one that ran before the deploy again.

    Same name, ports, networks and volumes, by image id. The replaced container is kept until the rollback is
    verified. What was written to volumes since stays as it is.
    """

    example: ClassVar[str] = "{ id: web, strategy: container, container: shop-web }"

    container: Text
    """The container's name."""
    host: Text | None = None
    """The engine, default $DOCKER_HOST, else the docker context's."""
    timeout: Duration = timedelta(minutes=5)

    @property
    def part_timeout(self) -> timedelta:
        return self.timeout

    async def take(self, ctx: RollbackContext) -> Taken:
        def look() -> Taken:
            name = ctx.resolve(self.container)
            where = endpoint(ctx.resolve(self.host) if self.host else None, ctx.environ)
            with Reader(where, _LOOK) as engine:
                return _taken(engine, name)

        try:
            return await ctx.blocking(look)
        except CaptainError as error:
            return Taken({}, safe(self.container, 80), ready=False, why=error.message)

    async def plan(self, target: Target, ctx: RollbackContext) -> list[Line]:
        where = _where(target, ctx)

        def look() -> list[Line]:
            with Reader(where, _LOOK) as engine:
                return _planned(engine, target)

        return await ctx.blocking(look)

    async def execute(self, target: Target, ctx: RollbackContext, say: Say, attempt: str) -> None:
        where = _where(target, ctx)
        seconds = self.timeout.total_seconds() * _MARGIN

        def go() -> None:
            with Changer(where, seconds) as engine:
                _Return(engine, target, attempt, say, time.monotonic() + seconds).go()

        await ctx.blocking(go)

    async def settle(self, target: Target, ctx: RollbackContext, attempt: str) -> None:
        where = _where(target, ctx)

        def remove() -> None:
            with Changer(where, _LOOK) as engine:
                _remove_kept(engine, target, attempt)

        await ctx.blocking(remove)


def _where(target: Target, ctx: RollbackContext) -> Endpoint:
    """The engine the target was taken from, with the TLS it is reached by now."""
    usual = endpoint(None, ctx.environ)
    return usual if usual.url == target["host"] else endpoint(str(target["host"]), ctx.environ)


def _named(engine: Reader, name: str) -> dict[str, Any] | None:
    """The container of exactly that name: the engine would also take it for the beginning of an id."""
    document = engine.container(name)
    return document if document is not None and told.name_of(document) == name else None


def _taken(engine: Reader, name: str) -> Taken:
    document = _named(engine, name)
    if document is None:
        return Taken({}, safe(name, 80), ready=False, why=f"{engine.where.name} has no container {safe(name, 80)}")
    ref = str(told.part(document, "Config").get("Image") or document["Image"])
    image = engine.image(str(document["Image"]))
    why = None
    if image is None:
        why = f"its image {_short(str(document['Image']))} is gone: nothing could be made of it again"
    elif told.part(document, "HostConfig").get("AutoRemove"):
        why = f"{safe(name, 80)} removes itself when it stops (--rm), so nothing would be left to keep"
    pin = pinned(image or {"Id": document["Image"]}, ref)
    target = target_of(document, pin, engine.where.url)
    return Taken(
        target,
        to=f"{safe(ref, 200)} {_short(pin.digest)}",
        image=pin.pinned,
        env_names=env_names(target),
        ready=why is None,
        why=why,
    )


def _planned(engine: Reader, target: Target) -> list[Line]:
    name, image = safe(target["name"], 80), f"{safe(target['image']['ref'], 200)} {_short(target['image']['digest'])}"
    lines = []
    if engine.image(target["image"]["id"]):
        lines.append(Line("verify", f"image {image} is here"))
    else:
        lines.append(Line("not", f"image {image} is gone: this part will fail"))
    for network in sorted(endpoints(target)):
        if engine.network(network) is None:
            lines.append(Line("not", f"network {safe(network, 80)} is gone: this part will fail"))
    current = _named(engine, target["name"])
    if current is not None and _is_target(current, target):
        if told.part(current, "State").get("Running") or not target["running"]:
            return [*lines, Line("stays", f"{name} is the one gone back to already")]
        return [*lines, Line("change", f"start {name}, which is the one gone back to already")]
    if current is not None:
        now = safe(told.part(current, "Config").get("Image"), 200)
        lines.append(Line("change", f"stop {name} ({now} {_short(str(current['Image']))})"))
        lines.append(Line("change", f"keep it as {name}-captain-… until the rollback is verified"))
    lines.append(Line("change", f"create {name} from {image}, as it was"))
    if target["running"]:
        lines.append(Line("change", f"start {name}"))
        lines.append(Line("verify", f"{name} runs" + (" and is healthy" if _has_check(target) else "")))
    for volume in volumes_of(target):
        if engine.volume(volume) is None:
            lines.append(Line("not", f"volume {safe(volume, 80)} is gone: an empty one takes its place"))
        else:
            lines.append(Line("stays", f"volume {safe(volume, 80)} with what was written to it since"))
    return lines


class _Return:
    """The way back, sub-step by sub-step. Each looks first, so it may be started again at any point."""

    def __init__(self, engine: Changer, target: Target, attempt: str, say: Say, deadline: float) -> None:
        self._engine = engine
        self._target = target
        self._attempt = attempt
        self._say = say
        self._deadline = deadline
        self._name = str(target["name"])

    def go(self) -> None:
        standing = self._make_room()
        self._connect(standing)
        if not self._target["running"]:
            self._say(f"{self._shown} is left stopped, as it was")
            return
        if not told.part(self._looked(), "State").get("Running"):
            self._say(f"start {self._shown}")
            self._engine.start(self._name)
        self._wait()

    @property
    def _shown(self) -> str:
        return safe(self._name, 80)

    def _make_room(self) -> dict[str, Any]:
        """Until the name belongs to the container gone back to: itself, or one made again from it."""
        for _ in range(_TRIES):
            current = _named(self._engine, self._name)
            if current is None:
                self._say(f"create {self._shown} from {_short(self._target['image']['id'])}")
                self._engine.create(self._name, body_of(self._target, self._attempt))
            elif _is_target(current, self._target):
                if current["Id"] == self._target["id"]:
                    self._say(f"{self._shown} is already there")
                return current
            else:
                self._put_aside(current)
        raise CaptainError(
            f"the name {self._shown} is taken again and again: something else creates that container",
            hint="stop what deploys it, then go on with the rollback",
        )

    def _put_aside(self, current: dict[str, Any]) -> None:
        kept = kept_name(self._name, self._attempt)
        if _named(self._engine, kept) is not None:
            raise CaptainError(
                f"{self._shown} was created by somebody else while it was rolled back; {safe(kept, 120)} is kept",
                hint="stop what deploys it, remove or rename that container, then go on",
            )
        if told.part(current, "State").get("Running"):
            self._say(f"stop {self._shown} ({_short(str(current['Image']))})")
            self._engine.stop(str(current["Id"]), told.part(current, "Config").get("StopTimeout"))
        self._say(f"keep it as {safe(kept, 120)}")
        self._engine.rename(str(current["Id"]), kept)

    def _connect(self, standing: dict[str, Any]) -> None:
        if standing["Id"] == self._target["id"]:
            return
        for network in missing_networks(self._target, standing):
            self._say(f"connect {self._shown} to {safe(network, 80)}")
            self._engine.connect(str(standing["Id"]), network, endpoints(self._target)[network])
        for network in extra_networks(self._target, standing):
            self._say(f"disconnect {self._shown} from {safe(network, 80)}")
            self._engine.disconnect(str(standing["Id"]), network)

    def _wait(self) -> None:
        """Until it runs and is healthy; without a check until it ran on for a moment."""
        self._say(f"wait until {self._shown} runs" + (" and is healthy" if _has_check(self._target) else ""))
        since: tuple[Any, float] | None = None
        while True:
            document = self._looked()
            state = told.part(document, "State")
            self._refuse(document, state)
            if not told.runs(document):
                since = None
            elif told.has_check(document):
                if told.health(document) == "healthy":
                    break
            elif since is None or since[0] != state.get("StartedAt"):
                since = (state.get("StartedAt"), time.monotonic())
            elif time.monotonic() - since[1] >= _STEADY:
                break
            if time.monotonic() + _EVERY > self._deadline:
                raise CaptainError(f"{self._shown} was started but is not running and healthy in time")
            time.sleep(_EVERY)
        self._say(f"{self._shown} runs" + (" and is healthy" if _has_check(self._target) else ""))

    def _refuse(self, document: dict[str, Any], state: Mapping[str, Any]) -> None:
        hint = f"docker logs {self._shown}"
        if told.health(document) == "unhealthy":
            raise CaptainError(f"{self._shown} runs but is unhealthy", hint=hint)
        crashing = int(document.get("RestartCount") or 0) >= _CRASHES and not told.runs(document)
        if crashing or state.get("Status") in ("exited", "dead"):
            why = safe(state.get("Error") or "", 200)
            raise CaptainError(
                f"{self._shown} ended with exit code {state.get('ExitCode')}" + (f": {why}" if why else ""), hint=hint
            )

    def _looked(self) -> dict[str, Any]:
        document = _named(self._engine, self._name)
        if document is None:
            raise CaptainError(f"{self._shown} was removed by somebody else while it was rolled back")
        return document


def _remove_kept(engine: Changer, target: Target, attempt: str) -> None:
    """Remove what was put aside, once the one gone back to stands; nothing where it is gone already."""
    kept = _named(engine, kept_name(str(target["name"]), attempt))
    if kept is None:
        return
    name = safe(target["name"], 80)
    standing = _named(engine, str(target["name"]))
    if standing is None or not _is_target(standing, target) or (target["running"] and not told.runs(standing)):
        raise CaptainError(f"{name} is not the container gone back to, or does not run: nothing is removed")
    if told.part(kept, "State").get("Running"):
        raise CaptainError(f"{safe(told.name_of(kept), 120)} was started again: it is not removed")
    engine.remove(str(kept["Id"]))


def _is_target(document: Mapping[str, Any], target: Target) -> bool:
    return bool(document["Id"] == target["id"] or told.labels_of(document).get(TARGET) == target["id"])


def _has_check(target: Target) -> bool:
    return told.has_check({"Config": target["config"]})


def _short(digest: str) -> str:
    return safe(digest, 100)[:19]
