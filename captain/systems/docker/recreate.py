"""How a container is made again from what the engine once said of it. Pure: knows no engine.

A target holds environment values: it is for a private file, never for a log or a screen.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from captain.release import Image
from captain.systems.docker.containers import mounts, name_of, networks, part

Document = dict[str, Any]

ATTEMPT = "captain.attempt"
"""Label of a container that a rollback made: the attempt."""
TARGET = "captain.target"
"""Label of the same: the id of the container that it stands for, so that a second attempt goes on with it."""


def kept_name(name: str, attempt: str) -> str:
    """Where the container that was replaced waits until the rollback is verified."""
    return f"{name}-captain-{re.sub(r'[^A-Za-z0-9_.-]', '-', attempt)}"


def target_of(document: Mapping[str, Any], image: Image, host: str) -> Document:
    """Everything needed to make the container again, from its inspect document; plain JSON."""
    return copy.deepcopy(
        {
            "host": host,
            "name": name_of(document),
            "id": str(document["Id"]),
            "image": {"ref": image.ref, "id": str(document["Image"]), "digest": image.digest},
            "config": dict(part(document, "Config")),
            "host_config": dict(part(document, "HostConfig")),
            "networks": dict(part(document, "NetworkSettings", "Networks")),
            "mounts": [dict(mount) for mount in mounts(document)],
            "running": bool(part(document, "State").get("Running")),
        }
    )


def body_of(target: Mapping[str, Any], attempt: str) -> Document:
    """The body of `POST /containers/create` that makes the target again."""
    config: Document = copy.deepcopy(dict(target["config"]))
    host: Document = copy.deepcopy(dict(target["host_config"]))
    mode = str(host.get("NetworkMode") or "default")
    if (
        config.get("Hostname") == target["id"][:12]
        or mode.startswith("container:")
        or "host" in (mode, host.get("UTSMode"))
    ):
        config.pop("Hostname", None)
    if mode.startswith("container:"):
        config.pop("Domainname", None)
    host["NetworkMode"] = _named_mode(target, mode)
    host["Links"] = [_link(str(link)) for link in host.get("Links") or []] or None
    _name_anonymous(target, host)
    body: Document = {
        **config,
        "Image": target["image"]["id"],
        "Labels": {**(config.get("Labels") or {}), ATTEMPT: attempt, TARGET: target["id"]},
        "HostConfig": host,
    }
    if first := first_network(target):
        # Older engines take one network here; the others are connected before the start.
        body["NetworkingConfig"] = {"EndpointsConfig": {first: endpoints(target)[first]}}
    return body


def endpoints(target: Mapping[str, Any]) -> dict[str, Document]:
    """Per user network what a person set: aliases, addresses, links, options. What the engine gave is left out."""
    host = target["host_config"]
    if _shares(str(host.get("NetworkMode") or "")):
        return {}
    found = {}
    for name, recorded in target["networks"].items():
        settings = {
            "Aliases": [alias for alias in recorded.get("Aliases") or [] if alias != target["id"][:12]],
            **{key: recorded.get(key) for key in ("IPAMConfig", "Links", "DriverOpts", "GwPriority")},
        }
        # The default bridge knows no aliases, and an engine refuses what it does not know.
        found[name] = {} if name == "bridge" else {key: value for key, value in settings.items() if value}
    return found


def first_network(target: Mapping[str, Any]) -> str | None:
    """The network a container is created in; None where that goes without saying."""
    mode = _named_mode(target, str(target["host_config"].get("NetworkMode") or "default"))
    return mode if mode in endpoints(target) and mode not in ("bridge", "default") else None


def missing_networks(target: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    """Networks of the target that a container is not connected to yet."""
    return sorted(endpoints(target).keys() - set(networks(document)))


def extra_networks(target: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    """Networks that a container got although the target had left them."""
    return sorted(set(networks(document)) - endpoints(target).keys()) if endpoints(target) else []


def volumes_of(target: Mapping[str, Any]) -> list[str]:
    """Names of the volumes it uses, anonymous ones too."""
    return sorted(
        str(mount["Name"]) for mount in target["mounts"] if mount.get("Type") == "volume" and mount.get("Name")
    )


def env_names(target: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of its environment variables, without their values."""
    return tuple(sorted({str(pair).partition("=")[0] for pair in target["config"].get("Env") or []}))


def _shares(mode: str) -> bool:
    return mode in ("host", "none") or mode.startswith("container:")


def _named_mode(target: Mapping[str, Any], mode: str) -> str:
    """The network's name where its id was given: a network made again has another id."""
    ids: dict[str, str] = {str(recorded.get("NetworkID")): name for name, recorded in target["networks"].items()}
    return ids.get(mode, mode)


def _link(written: str) -> str:
    """`db:alias` of `/db:/web/alias`."""
    source, _, alias = written.partition(":")
    return f"{source.removeprefix('/')}:{alias.rpartition('/')[2]}"


def _name_anonymous(target: Mapping[str, Any], host: Document) -> None:
    """Volumes without a name are bound by the one the engine gave them: a new container would get empty ones."""
    binds = [str(bind) for bind in host.get("Binds") or []]
    given = {bind.split(":")[1] for bind in binds if ":" in bind}
    specs = [spec for spec in host.get("Mounts") or [] if isinstance(spec, dict)]
    for mount in target["mounts"]:
        where = mount.get("Destination")
        if mount.get("Type") != "volume" or not mount.get("Name") or where in given:
            continue
        spec = next((each for each in specs if each.get("Target") == where), None)
        if spec is not None:
            spec["Source"] = spec.get("Source") or mount["Name"]
        else:
            binds.append(f"{mount['Name']}:{where}" + ("" if mount.get("RW", True) else ":ro"))
    host["Binds"] = binds or None
