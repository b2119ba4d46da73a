"""One look at the containers of an engine: which are meant, and what the engine says of each. Blocks; no verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from captain.release import Image
from captain.safe import safe
from captain.systems.docker import containers as told
from captain.systems.docker.meant import unclear
from captain.systems.docker.passwd import MOST, PATH, Users
from captain.systems.docker.reader import Document, Reader, pinned
from captain.systems.docker.restarts import ended_task
from captain.systems.docker.side import side_by_side
from captain.systems.patterns import chooser, is_pattern


@dataclass(frozen=True)
class Selection:
    """Which containers are meant: all that every given part allows. Nothing given means all."""

    names: Sequence[str] = ()
    services: Sequence[str] = ()
    project: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    exclude: Sequence[str] = ()

    def chooses(self, listed: Document) -> bool:
        """Whether a container, as the engine lists it, is meant. One named exactly always is."""
        names = _names(listed)
        labels = listed.get("Labels") or {}
        services = told.service_names(labels)
        named = any(name in self.names for name in names)
        return (
            (not self.names or _any(self.names, names))
            and (not self.services or not services.isdisjoint(self.services))
            and (not self.project or self.project in _projects(labels))
            and all(key in labels and value in ("", labels[key]) for key, value in self.labels.items())
            and not _any(self.exclude, [*names, *services])
            and (named or not told.left_over(names[0] if names else "", labels, str(listed.get("State") or "")))
        )

    def unmet(self, found: Sequence[Document]) -> list[str]:
        """The names and services that none of these containers is of: another one in their place says nothing."""
        names = {name for one in found for name in _names(one)}
        services = {name for one in found for name in told.service_names(one.get("Labels") or {})}
        exact = [name for name in self.names if not is_pattern(name)]
        return [
            *(name for name in exact if name not in names),
            *(name for name in self.services if name not in services),
        ]


@dataclass(frozen=True)
class Seen:
    """One container."""

    document: Document
    image: Image
    processes: list[tuple[int, int, str]] | None = None
    """uid, host pid and name of each; None where it was not asked or does not run."""
    changes: list[Document] | None = None
    """What it changed in its file system; None where it was not asked."""
    stats: Document | None = None
    """What it uses; None where it was not asked or does not run."""
    users: Users | None = None
    """Who is in its own /etc/passwd; None where it was not asked or has none."""

    @property
    def ref(self) -> str:
        """How the engine is asked about it."""
        return str(self.document.get("Id") or "")


@dataclass(frozen=True)
class Depth:
    """What is asked of each container beside its document."""

    processes: bool = False
    changes: bool = False
    stats: bool = False
    networks: bool = False
    users_of: Sequence[str] = ()
    """Services or containers whose processes and own users are asked for."""

    def of(self, document: Document) -> Depth:
        """What is asked of this one."""
        if any(told.called(document, name) for name in self.users_of):
            return replace(self, processes=True)
        return replace(self, users_of=())


_SHALLOW = Depth()


@dataclass(frozen=True)
class Look:
    """What one look saw."""

    containers: tuple[Seen, ...]
    now: datetime | None
    """The engine's own time, to the second; None where it does not tell."""
    remapped: bool | None
    """Whether root in a container is somebody else on the host; None where the engine does not tell."""
    ended_tasks: tuple[Document, ...] = ()
    """Containers that tasks of Swarm left behind, as the engine lists them."""
    forgets: bool = False
    """Whether Swarm keeps nothing of tasks that ended."""
    notes: tuple[str, ...] = ()
    """What the selection left open."""
    unmet: tuple[str, ...] = ()
    """Names and services of the selection without a container."""
    networks: Mapping[str, Document] | None = None
    """Their networks by name, without those that are gone; None where they were not asked."""


def chosen(selection: Selection, everything: Sequence[Document]) -> tuple[list[Document], list[str]]:
    """The containers meant of all that the engine lists, and what the selection left open.

    Raises ProbeError where a service's name is of several projects.
    """
    found, notes = [one for one in everything if selection.chooses(one)], []
    for name in () if selection.project else selection.services:
        owners = told.owners(name, (one.get("Labels") or {} for one in found))
        unsaid = [one.project for one in owners if one.full != name]
        if unsaid and len(owners) > 1:
            raise unclear(name, owners)
        notes += [f"{safe(name, 60)} was taken from {safe(project, 60)}" for project in unsaid]
    if notes:
        notes = [f"{', '.join(notes)}, the only project here that has it: say `project` to be sure"]
    return found, notes


def look(engine: Reader, selection: Selection, depth: Depth = _SHALLOW) -> Look:
    """Ask about every container meant. One that is gone before it was asked about is not among them."""
    info = engine.info()
    seen, there, images = [], list[Document](), dict[str, Any]()
    everything = engine.containers()
    meant, notes = chosen(selection, everything)
    for listed in meant:
        document = engine.container(str(listed["Id"]))
        if document is None:
            continue
        there.append(listed)
        image = str(document.get("Image") or "")
        if image not in images:
            images[image] = engine.image(image)
        ref = str(told.part(document, "Config").get("Image") or image)
        pin = pinned(images[image], ref) if images[image] else Image(ref, image, image, "id")
        seen.append(_asked(engine, Seen(document, pin), depth.of(document)))
    if depth.stats:
        running = [each.ref for each in seen if told.part(each.document, "State").get("Running")]
        used = side_by_side(engine, running, lambda own, ref: own.stats(ref))
        seen = [replace(each, stats=used.get(each.ref)) for each in seen]
    options = [str(option) for option in (info or {}).get("SecurityOptions") or []]
    return Look(
        tuple(sorted(seen, key=lambda each: told.name_of(each.document))),
        told.moment((info or {}).get("SystemTime")),
        any(option.startswith(("name=userns", "name=rootless")) for option in options) if info is not None else None,
        tuple(listed for listed in everything if ended_task(listed)),
        told.part(info or {}, "Swarm", "Cluster", "Spec", "Orchestration").get("TaskHistoryRetentionLimit") == 0,
        tuple(notes),
        tuple(selection.unmet(there)),
        _networks(engine, seen) if depth.networks else None,
    )


def _networks(engine: Reader, seen: Sequence[Seen]) -> dict[str, Document]:
    names = sorted({name for each in seen for name in told.networks(each.document)})
    return {name: document for name in names if (document := engine.network(name)) is not None}


def _asked(engine: Reader, seen: Seen, depth: Depth) -> Seen:
    ref = seen.ref
    running = bool(told.part(seen.document, "State").get("Running"))
    users = engine.file(ref, f"/{PATH}", MOST) if depth.users_of else None
    return replace(
        seen,
        processes=engine.processes(ref) if depth.processes and running else None,
        changes=engine.changes(ref) if depth.changes else None,
        users=None if users is None else Users(users.decode("utf-8", "replace")),
    )


def _names(listed: Document) -> list[str]:
    names = [str(name).removeprefix("/") for name in listed.get("Names") or []]
    # A link gives a container a second name, of the form /other/alias.
    return [name for name in names if "/" not in name] or names


def _any(written: Sequence[str], names: Sequence[str]) -> bool:
    choosers: list[Callable[[str], bool]] = [chooser(each) for each in written]
    return any(choose(name) for choose in choosers for name in names)


def _projects(labels: Mapping[str, Any]) -> tuple[Any, Any]:
    return labels.get("com.docker.compose.project"), labels.get("com.docker.stack.namespace")
