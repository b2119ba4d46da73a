"""Which running containers a name means: the one of that name or id, else those of its service. Blocks; no verdict.

A service of Compose is only meant with its project: other projects have a `web` too, and what is done to the wrong one
cannot be taken back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.docker import containers as told
from captain.systems.docker.reader import Document, Reader

_ID = re.compile(r"[0-9a-f]{12,64}")
"""As much of an id as is written down anywhere; a shorter word of such letters may be a service: `db`, `fe`."""


def meant(engine: Reader, name: str) -> list[Document]:
    """The running container of that name or id, else all that run of the service of that name, by id.

    Raises ProbeError, fault `unclear` where there is none, `instrument` where the name does not say which is meant.
    """
    # The list is looked through because the engine takes any beginning of any id for a name.
    everything = sorted(engine.containers(), key=lambda one: str(one["Id"]))
    listed = [one for one in everything if f"/{name}" in (one.get("Names") or [])]
    if not listed and _ID.fullmatch(name):
        listed = [one for one in everything if str(one["Id"]).startswith(name)]
    of_service = [one for one in everything if name in told.service_names(one.get("Labels") or {})]
    if not listed:
        _one_service(name, of_service)
        listed = [one for one in of_service if one.get("State") == "running"]
    if not listed:
        what = "runs no container of" if of_service else "has no container or service"
        raise ProbeError(f"{engine.where.name} {what} {safe(name, 200)}", fault="unclear")
    documents = [engine.container(str(one["Id"])) for one in listed]
    running = [one for one in documents if one is not None and told.runs(one)]
    if not running:
        paused = any(told.part(one or {}, "State").get("Paused") for one in documents)
        raise ProbeError(
            f"the container {safe(name, 200)} {'is paused' if paused else 'does not run'}", fault="unclear"
        )
    return running


def _one_service(name: str, listed: Sequence[Document]) -> None:
    """Raises where the name is of several services, or of one whose project it does not say."""
    found = told.owners(name, (one.get("Labels") or {} for one in listed))
    if len(found) > 1 or any(one.full != name and one.service == name for one in found):
        raise unclear(name, found)


def unclear(name: str, owners: Sequence[told.Owner]) -> ProbeError:
    """That a name does not say whose service is meant, and what to write instead."""
    projects = " and ".join(safe(one.project or "Swarm", 60) for one in owners[:5])
    full = " or ".join(safe(one.full, 120) for one in owners[:5] if one.full != name)
    hint = f"write {full}" if full else "write the name of the container"
    return ProbeError(f"{safe(name, 200)} is a service of {projects}, which the name does not say", hint=hint)
