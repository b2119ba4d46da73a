"""The kind `service`: services of an orchestrator, Docker Swarm or Amazon ECS."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict

from pydantic import Field, model_validator

from captain.effects import Program
from captain.errors import ProbeError, ProgramError
from captain.fields import EnvName, Run, Text, wrong
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.docker import ecs
from captain.systems.docker.manager import Manager, look
from captain.systems.docker.reader import endpoint, repository
from captain.systems.docker.services import Service, observed

_MARGIN = 0.9
"""Share of the attempt's time the orchestrator may take, so that its own error comes before the attempt's end."""


@probe("service")
class ServiceProbe(Probe):
    """Do the services run all of their replicas, of the image meant, and what happens when an update fails?

    Of several services the numbers are sums, the rest is what is furthest from good; `services` tells each. Where one
    of the names is not there, only `matched` is observed. What a service runs is told by its running tasks, not by
    what it is meant to run: while an update goes on, `image` and `image_digest` are ones that are still to go.
    After a rollback of its own Swarm forgets the specification before it: has_previous_spec is false then.
    """

    default_expect: ClassVar[tuple[str, ...]] = (
        "replicas_desired > 0",
        "replicas_running == replicas_desired",
        "converged",
        "updates_failed == 0",
    )
    network: ClassVar[bool] = True
    errors: ClassVar[str] = "unknown: the orchestrator is the instrument, not the product"
    unseen: ClassVar[Mapping[str, str]] = {"triggers_armed": 'failure_action == "rollback"'}
    example: ClassVar[str] = """\
id: rolled-out
title: Every replica runs the release
service: { names: [shop_backend, shop_worker] }
within: 10m
expect:
  - converged && updates_failed == 0
  - size(services) == 2 && services.all(s, s.image_digest == release.digests[s.image_key])"""

    platform: Literal["swarm", "ecs"] = "swarm"
    """Which orchestrator: Docker Swarm, or Amazon ECS through `aws_cmd`."""
    names: tuple[Text, ...] = Field(min_length=1)
    """The services by their whole name: `shop_backend`."""
    host: Text | None = None
    """A manager of the swarm, default $DOCKER_HOST, else the docker context's."""
    aws_cmd: Run | None = None
    """With `platform: ecs`, the program that prints the JSON of `aws ecs describe-services` for these services."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """Variables aws_cmd is given, such as AWS_PROFILE; may hold `${{ secrets.NAME }}`."""

    class Observes(TypedDict, total=False):
        """What the orchestrator says."""

        matched: Annotated[int, "services of these names that are there"]
        replicas_desired: Annotated[int, "tasks that are meant to run"]
        replicas_running: Annotated[int, "tasks that run and are meant to"]
        converged: Annotated[bool, "all that is meant to run runs, of the image meant, nothing else, no update goes on"]
        updates_failed: Annotated[int, "services whose last update was stopped or undone"]
        update_state: Annotated[str, "swarm: of the last update: completed, updating, paused, rollback_…; none: never"]
        rollout_state: Annotated[str, "ECS: IN_PROGRESS, COMPLETED or FAILED"]
        update_age: Annotated[timedelta, "time since the latest update began"]
        rollback: Annotated[timedelta, "from the beginning of the last update until it was undone (swarm)"]
        failure_action: Annotated[str, "what happens when an update fails: rollback, pause or continue"]
        update_order: Annotated[str, "start-first or stop-first (swarm)"]
        update_parallelism: Annotated[int, "tasks that are updated at once, 0 is all (swarm)"]
        update_monitor: Annotated[timedelta, "how long a new task is watched for failure (swarm)"]
        rollback_configured: Annotated[bool, "swarm: how to roll back is configured; ECS: the circuit breaker does"]
        has_previous_spec: Annotated[bool, "Swarm knows what it was before the last update"]
        image: Annotated[str, "the image that runs, if it is the same in all"]
        image_tag: Annotated[str, "its tag"]
        previous_image: Annotated[str, "the image before the last update, if it is the same in all (swarm)"]
        no_memory_limit: Annotated[int, "services without a memory limit (swarm)"]
        no_cpu_limit: Annotated[int, "services without a CPU limit (swarm)"]
        mem_limit: Annotated[int, "the smallest memory limit of a task in bytes, where all have one (swarm)"]
        cpu_limit: Annotated[float, "the smallest limit of a task in processors, where all have one (swarm)"]
        restart_condition: Annotated[str, "when a task is replaced: any, on-failure or none (swarm)"]
        failed_tasks: Annotated[int, "swarm: failed within the hour, as far as it remembers; ECS: of this rollout"]
        triggers_armed: Annotated[int, "captain's own triggers of a rollback; not observed by this captain yet"]
        services: Annotated[list[dict[str, Any]], "each: name, desired, running, converged, image, image_digest, …"]

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.platform == "ecs" and self.aws_cmd is None:
            raise wrong("platform ecs needs aws_cmd, such as [aws, ecs, describe-services, --cluster, shop, …]")
        if self.platform == "ecs" and self.host is not None:
            raise wrong("host is for swarm; aws_cmd says where ECS is asked")
        if self.platform == "swarm" and (self.aws_cmd is not None or self.env):
            raise wrong("aws_cmd and env are for platform ecs")
        return self

    @classmethod
    def prepare(cls) -> None:
        from captain.systems.docker_library import load

        load()

    def of_commit(self) -> bool:
        return True

    def asks(self) -> str:
        where = "ECS" if self.platform == "ecs" else self.host or "the swarm"
        return f"services {', '.join(self.names)} of {where}"

    def programs(self) -> tuple[Program, ...]:
        return () if self.aws_cmd is None else (Program(self.aws_cmd, ".", tuple(sorted(self.env))),)

    async def measure(self, ctx: Context) -> Measurement:
        return await (self._ecs(ctx) if self.aws_cmd is not None else self._swarm(ctx))

    async def _swarm(self, ctx: Context) -> Measurement:
        where = endpoint(self.host, ctx.environ)
        seconds = ctx.timeout.total_seconds() * _MARGIN

        def key(image: str) -> str | None:
            known = {} if ctx.release is None else ctx.release.images
            fitting = [name for name, one in known.items() if repository(one.ref) == repository(image)]
            return fitting[0] if len(fitting) == 1 else None

        def ask() -> Any:
            with Manager(where, seconds) as engine:
                return look(engine, [*dict.fromkeys(self.names)], key, ctx.clock.now)

        found, notes, now = await ctx.blocking(ask)
        if where.exposed:
            notes.append(f"{where.name} has no TLS: whoever reaches it is root on that machine")
        seen, more = self._told(found, now)
        asked = f"GET services {', '.join(self.names)} at {where.url}"
        return self._measurement(ctx, seen, asked, (*notes, *more))

    async def _ecs(self, ctx: Context) -> Measurement:
        from captain.documents import parse_json
        from captain.effects.program import probe_environ, run_program

        [program] = self.programs()
        asked = program.run if isinstance(program.run, str) else shlex.join(program.run)
        try:
            done = await run_program(
                program.argv,
                cwd=ctx.root,
                env=probe_environ(ctx.environ, self.env),
                timeout=ctx.timeout * _MARGIN,
            )
        except ProgramError as error:
            raise ProbeError(error.message, hint=error.hint) from error
        if done.exit_code != 0:
            why = safe(" ".join(done.stderr.decode("utf-8", "replace").split()) or "no word", 300)
            ended = f"did not end within {ctx.timeout.total_seconds():g}s" if done.timed_out else f"failed: {why}"
            raise ProbeError(f"{asked}: {ended}", hint="run it by hand: are its credentials valid, and the region?")
        if done.truncated:
            raise ProbeError(f"{asked}: printed more than captain reads", hint="ask for these services only")
        try:
            document = parse_json(done.stdout.decode("utf-8", "replace"))
            found = ecs.services(document, [*dict.fromkeys(self.names)])
            notes = [f"ECS says {safe(each, 200)}" for each in ecs.failures(document)[:10]]
        except ValueError as error:
            raise ProbeError(f"{asked}: not what ECS says: {error}") from error
        seen, more = self._told(found, ctx.clock.now())
        return self._measurement(ctx, seen, asked, (*notes, *more))

    def _told(self, found: list[Service], now: Any) -> tuple[dict[str, Any], list[str]]:
        names = set(self.names)
        if len(found) < len(names):
            there = ", ".join(each.name for each in found) or "none"
            return {"matched": len(found)}, [f"{len(found)} of {len(names)} services are there: {safe(there, 300)}"]
        return observed(found, now), []

    def _measurement(self, ctx: Context, seen: dict[str, Any], asked: str, notes: tuple[str, ...]) -> Measurement:
        body = json.dumps(seen.get("services", []), indent=1)
        return Measurement(observed=seen, asked=asked, body=ctx.clip(body), truncated=len(body) > TEXT, notes=notes)
