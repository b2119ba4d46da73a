"""The kind `compose`: what compose files say before anything is started."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, Field

from captain.errors import ProbeError, UsageError
from captain.fields import Text, wrong
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.systems.compose.files import default_files, read_compose
from captain.systems.compose.rules import Findings, look
from captain.systems.tree_files import Tree, check_pattern


def _path(value: str) -> str:
    if "${{" in value or value == ".":
        return value
    try:
        return posixpath.normpath(check_pattern(value.removeprefix("./").rstrip("/") or "."))
    except UsageError as error:
        raise wrong(error.message) from error


Path = Annotated[Text, AfterValidator(_path)]


@probe("compose")
class ComposeProbe(Probe):
    """Do the compose files hold secrets, open ports, and services without limits or checks?

    Reads the files, starts nothing and asks no engine. They are merged the way docker compose does: lists are added,
    mappings and environments by key, `extends`, `include`, anchors, `!reset` and `!override` followed. Variables stay
    variables: of `${TAG:-latest}` the default counts, of `${TAG}` nothing is known. A file of variables (env_file) is
    looked at, never read.

    A count is left out where it is 0 and something was not read: an include from elsewhere, a path that hangs on a
    variable. Findings name the place, the rule and the name of a key, never a value.
    """

    rests: ClassVar[str] = "always"
    default_expect: ClassVar[tuple[str, ...]] = (
        "services > 0",
        "literal_secrets == 0",
        "default_secrets == 0",
        "host_network == 0",
        "sock_mounts == 0",
        "privileged == 0",
    )
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    errors: ClassVar[str] = "unknown: a file that is not there, cannot be read or is no compose file"
    example: ClassVar[str] = """\
id: env-secrets
title: No secrets in compose files
compose: { files: [compose.yaml, compose.prod.yaml], roles: { db: data } }
expect: ['literal_secrets == 0', 'default_secrets == 0', 'published_data_ports == 0', 'env_files_missing == 0']"""

    files: Annotated[tuple[Path, ...], Field(max_length=20)] = ()
    """The files in their order, default compose.yaml or docker-compose.yml with its override."""
    project_dir: Path | None = None
    """The folder their relative paths are meant from, default the one of the first file."""
    profiles: tuple[Text, ...] = ("*",)
    """Only services of these profiles and of none; `*` is every profile."""
    roles: Mapping[Text, Literal["data", "front", "app"]] = Field(default_factory=dict)
    """What services are for: `db: data`. Without it the usual databases, caches and queues are known by their image."""
    scalable: tuple[Text, ...] = ()
    """The services that fixed_container_names and fixed_host_ports are about, default all."""

    class Observes(TypedDict, total=False):
        """What the files say together."""

        files: Annotated[int, "files that were read, included and extended ones too"]
        services: Annotated[int, "services; without one nothing else is observed"]
        service_names: Annotated[list[str], "their names"]
        has_version_key: Annotated[int, "files with the obsolete key version"]
        literal_secrets: Annotated[int, "values that are a secret: by name, by shape, as a password in a URL"]
        default_secrets: Annotated[int, "secrets that stand as the default of a variable"]
        no_limits: Annotated[int, "services without a limit for memory or for cpus"]
        no_healthcheck: Annotated[int, "services without a health check here; those that only run once do not count"]
        no_restart: Annotated[int, "services that are not started again; those that only run once do not count"]
        root_user: Annotated[int, "services whose user is root (one without user has its image's)"]
        privileged: Annotated[int, "services that are privileged"]
        fixed_container_names: Annotated[int, "services with a container_name, of which there can be only one"]
        fixed_host_ports: Annotated[int, "ports fixed on the host, which only one container can have"]
        published_data_ports: Annotated[int, "ports of services with data that others than the host itself can reach"]
        host_network: Annotated[int, "services on the host's network"]
        sock_mounts: Annotated[int, "mounts of the Docker socket"]
        host_mounts: Annotated[int, "mounts of the host's /, /etc, /root, /var, /run and the like"]
        anonymous_volumes: Annotated[int, "volumes without a name"]
        latest_tags: Annotated[int, "images that are not built here, with the tag latest or none"]
        log_unbounded: Annotated[int, "services whose json-file log has no max-size, also by Docker's own default"]
        env_files_missing: Annotated[int, "files of variables that are required and not there"]
        env_files_open_mode: Annotated[int, "files of variables that others than their owner can read"]
        internal_networks: Annotated[int, "networks that lead nowhere outside"]
        findings: Annotated[list[dict[str, Any]], "every place: file, line, service, rule"]

    def asks(self) -> str:
        return f"compose files {', '.join(self.files) or 'by their usual names'}"

    async def measure(self, ctx: Context) -> Measurement:
        tree = Tree(ctx.root)
        observed, found, files = await ctx.blocking(lambda: self._look(tree))
        lines = [f"{one['file']}:{one['line']}: {one['service']}: {one['rule']}" for one in observed["findings"]]
        body = "\n".join(lines)
        return Measurement(
            observed,
            f"compose files {', '.join(files)}",
            ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=tuple(found.notes),
            places=found.places,
            rests=tree.rests,
        )

    def _look(self, tree: Tree) -> tuple[dict[str, Any], Findings, tuple[str, ...]]:
        folder = None if self.project_dir is None else self.project_dir.removeprefix(".")
        files = list(self.files) or default_files(tree, folder or "")
        if not files:
            raise ProbeError("compose: no compose.yaml and no docker-compose.yml is there", hint="name it in `files`")
        compose = read_compose(tree, files, folder)
        observed, found = look(compose, tree, roles=self.roles, scalable=self.scalable, profiles=self.profiles)
        return observed, found, tuple(files)
