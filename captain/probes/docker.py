"""The kind `docker`: the containers of one engine, counted by what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator

from captain.errors import ProbeError, UsageError
from captain.fields import Bool, PositiveInt, Text, wrong
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.systems.docker.counts import Counts
from captain.systems.docker.look import Depth, Look, Selection, look
from captain.systems.docker.reader import Reader, endpoint
from captain.systems.docker.writable import ALLOWED
from captain.systems.patterns import chooser

_MARGIN = 0.9
"""Share of the attempt's time the engine may take, so that its own error comes before the attempt's end."""


def _choice(value: str) -> str:
    if "${{" not in value:
        try:
            chooser(value)
        except UsageError as error:
            raise wrong(error.message) from error
    return value


Chosen = Annotated[Text, AfterValidator(_choice)]


@probe("docker")
class DockerProbe(Probe):
    """Do the containers run, and are they healthy, limited, restarted, unprivileged and isolated?

    Asks with GET only, so a read-only proxy before the engine is enough. Where fewer than `min_matches` containers
    match, or a name or service given has none, only `matched` is observed: nothing passes on containers that are not
    there.

    `restart_count_delta` is known once this run began to deploy. The engine keeps one count for a container's whole
    life, so of a container that is older than the deploy and was started again since, all its restarts are taken;
    of a service of Swarm's, every ended task of the image that runs now counts.
    """

    default_expect: ClassVar[tuple[str, ...]] = (
        "matched > 0",
        "running == matched",
        "unhealthy == 0",
        "restarting == 0",
    )
    network: ClassVar[bool] = True
    errors: ClassVar[str] = "unknown: the engine is the instrument, not the product"
    example: ClassVar[str] = """\
id: containers-healthy
title: Containers are healthy
docker: { services: [backend, worker], min_matches: 2 }
expect: ['running == matched', 'healthy == running', 'restarting == 0']"""

    host: Text | None = None
    """The engine, default $DOCKER_HOST, else the docker context's."""
    names: tuple[Chosen, ...] = ()
    """Containers by name, exact or `/regex/`."""
    project: Text | None = None
    """A Compose project or a Swarm stack."""
    services: tuple[Text, ...] = ()
    """Services of Compose (`shop_web`, or `web` where one project has it) or of Swarm (`shop_web`)."""
    labels: Mapping[Text, Text] = {}
    """Labels a container must have; an empty value asks for the label alone."""
    exclude: tuple[Chosen, ...] = ()
    """Containers or services that are not meant, exact or `/regex/`."""
    min_matches: PositiveInt = 1
    """How many containers must match before anything but `matched` is observed."""
    top: Bool = False
    """Ask for the processes of each container too: user_processes, root_processes."""
    allow_root_pid1: tuple[Text, ...] = ()
    """Programs, services or containers whose first process may be root."""
    expected_users: Mapping[Text, Text] = {}
    """By service or container, the user it must run as: a name of its own /etc/passwd, or a number."""
    diff: Bool = False
    """Ask what each container wrote into its own file system: writable_changes."""
    diff_allow: tuple[Text, ...] = ALLOWED
    """Paths that may be written, `*` within a folder, `**` for any."""
    stats: Bool = False
    """Ask what each container uses: mem_used_ratio_max. The engine takes a second or two for eight of them."""
    networks: Bool = False
    """Ask about their networks too: internal."""
    require_mounts: Mapping[Text, tuple[Text, ...]] = {}
    """By service or container, the paths that must be a named volume or a bind."""
    roles: Mapping[Text, Literal["front", "app", "data", "worker"]] = {}
    """By service or container; ports of `data` and `worker` must not be published."""

    class Observes(TypedDict, total=False):
        """What the engine says, counted over the containers that match."""

        matched: Annotated[int, "containers that match"]
        running: Annotated[int, "of them: running, neither paused nor restarting"]
        paused: Annotated[int, "paused"]
        restarting: Annotated[int, "between a crash and the next start"]
        exited: Annotated[int, "created, ended or dead"]
        no_healthcheck: Annotated[int, "without a health check, or with it switched off"]
        healthy: Annotated[int, "running and healthy"]
        unhealthy: Annotated[int, "running and unhealthy"]
        starting: Annotated[int, "running, health not known yet"]
        failing_streak_max: Annotated[int, "the longest row of failed health checks"]
        health_retries_min: Annotated[int, "the fewest retries of a health check (unset counts as 3)"]
        root_configured: Annotated[int, "configured to start as root"]
        user_processes: Annotated[int, "processes that are not root (needs top)"]
        root_processes: Annotated[int, "processes of root that are not allowed (needs top)"]
        user_mismatch: Annotated[int, "that run as somebody else (needs expected_users)"]
        no_memory_limit: Annotated[int, "without a memory limit"]
        no_cpu_limit: Annotated[int, "without a CPU limit"]
        no_pids_limit: Annotated[int, "without a limit of processes"]
        oom_killed: Annotated[int, "killed for lack of memory since their start"]
        mem_used_ratio_max: Annotated[float, "the largest share used of the memory allowed (needs stats)"]
        no_restart_policy: Annotated[int, "that nothing restarts when they fail"]
        restart_count_max: Annotated[int, "the most restarts of one container"]
        restart_count_delta: Annotated[int, "restarts since this run began to deploy, never too few"]
        missing_mounts: Annotated[int, "paths of require_mounts without a named volume or bind"]
        anonymous_volumes: Annotated[int, "volumes without a name"]
        docker_sock_mounts: Annotated[int, "mounts of the engine's socket"]
        sensitive_mounts: Annotated[int, "binds of /, /etc, /root and the like"]
        host_network: Annotated[int, "on the host's network"]
        default_bridge: Annotated[int, "on the default bridge"]
        published_internal: Annotated[int, "ports of data and worker roles open to other machines (needs roles)"]
        internal: Annotated[
            bool, "no network of theirs leads outside; with roles those of data, worker (needs networks)"
        ]
        privileged: Annotated[int, "privileged"]
        log_unbounded: Annotated[int, "whose log can fill the disk"]
        log_drivers: Annotated[list[str], "log drivers in use"]
        writable_changes: Annotated[int, "paths written outside of mounts and diff_allow (needs diff)"]
        images: Annotated[list[str], "image references, each once"]
        digests: Annotated[list[str], "image digests, each once: the repository's, else the image id"]
        revisions: Annotated[list[str], "commits the images say they were built from"]
        uptime_min: Annotated[timedelta, "time since the latest start"]
        items: Annotated[list[dict[str, Any]], "one mapping per container: name, service, running, health, digest, …"]

    @classmethod
    def prepare(cls) -> None:
        from captain.systems.docker_library import load

        load()

    def asks(self) -> str:
        meant = [*self.names, *self.services, *([self.project] if self.project else [])]
        meant += [f"{key}={value}" if value else key for key, value in self.labels.items()]
        return f"containers {', '.join(meant) or '(all)'} of {self.host or 'the Docker engine'}"

    async def measure(self, ctx: Context) -> Measurement:
        where = endpoint(self.host, ctx.environ)
        seconds = ctx.timeout.total_seconds() * _MARGIN
        selection = Selection(self.names, self.services, self.project, dict(self.labels), self.exclude)

        depth = Depth(self.top, self.diff, self.stats, self.networks, tuple(self.expected_users))

        def ask() -> Look:
            with Reader(where, seconds) as engine:
                return look(engine, selection, depth)

        asked_at = ctx.clock.now()
        try:
            found = await ctx.blocking(ask)
        except UsageError as error:
            raise ProbeError(error.message) from error
        notes = []
        if where.exposed:
            notes.append(f"{where.name} has no TLS: whoever reaches it is root on that machine")
        counted = Counts(
            found,
            found.now or ctx.clock.now(),
            min_matches=self.min_matches,
            top=self.top,
            allow_root_pid1=self.allow_root_pid1,
            require_mounts=self.require_mounts,
            inner=[name for name, role in self.roles.items() if role in ("data", "worker")],
            expected_users=self.expected_users,
            diff_allow=self.diff_allow if self.diff else None,
            stats=self.stats,
            since=None if ctx.deployed_at is None or found.now is None else ctx.deployed_at + (found.now - asked_at),
        )
        body = json.dumps(counted.items, indent=1)
        return Measurement(
            observed=counted.observed(),
            asked=f"GET containers {self.asks().removeprefix('containers ')} at {where.url}",
            body=ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=(*notes, *counted.notes),
        )
