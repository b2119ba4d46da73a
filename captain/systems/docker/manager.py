"""How to ask a manager of a swarm about services. Reading only; no verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from captain.errors import CaptainError
from captain.systems.docker import swarm
from captain.systems.docker.containers import moment, part
from captain.systems.docker.reader import Document, Reader, pinned, status_of
from captain.systems.docker.services import Service, digest

_NO_MANAGER = (406, 503)


class Manager(Reader):
    """Asks the manager of a swarm."""

    def services(self, names: Sequence[str]) -> list[Document]:
        """Those of the services of these names that are there, in their order."""
        # The engine's own filter takes the beginning of a name for the whole.
        options = {"status": True} if self.version >= (1, 41) else {}
        try:
            listed = self._documents(lambda: self._api.services(filters={"name": list(names)}, **options), "ID")
        except self.error as error:
            raise self._no_manager(error) from error
        by_name = {swarm.name_of(each): each for each in listed}
        return [by_name[name] for name in names if name in by_name]

    def filled(self, service: str) -> Document | None:
        """A service with the engine's own defaults where it says nothing; None where there is no such service."""
        return self._document(lambda: self._api.inspect_service(service, insert_defaults=True), "ID")

    def tasks(self, service: str) -> list[Document]:
        """Its tasks, those that ended too as long as Swarm keeps them."""
        return self._documents(lambda: self._api.tasks(filters={"service": service}), "ID")

    def _no_manager(self, error: CaptainError) -> CaptainError:
        cause = error.__cause__
        if cause is None or status_of(cause) not in _NO_MANAGER:
            return error
        hint = "only a manager knows services: name one as `host`, such as ssh://deploy@swarm-1"
        return self.error(f"{self.where.name} is no manager of a swarm", hint=hint)


def look(
    engine: Manager, names: Sequence[str], key: Callable[[str], str | None], now: Callable[[], datetime]
) -> tuple[list[Service], list[str], datetime]:
    """The services of these names, why some of them are not judged, and the engine's time.

    `key` names the release's image that a reference is; `now` stands in where the engine tells no time.
    """
    info = engine.info() or {}
    at = moment(info.get("SystemTime")) or now()
    kept = part(info, "Swarm", "Cluster", "Spec", "Orchestration").get("TaskHistoryRetentionLimit")
    found, notes = [], []
    if kept == 0:
        notes.append("Swarm keeps no tasks that ended (--task-history-limit 0), so failed_tasks is not known")
    for raw in engine.services(names):
        if swarm.job(raw):
            notes.append(f"{swarm.name_of(raw)} is a job, which is meant to end, and no service")
            continue
        filled, tasks = engine.filled(str(raw["ID"])), engine.tasks(str(raw["ID"]))
        if filled is None:
            continue
        found.append(
            swarm.service(
                raw,
                filled,
                tasks,
                at,
                digests=_digests(engine, tasks),
                key=key(swarm.image_of(part(raw, "Spec", "TaskTemplate"))),
                remembers=kept is None or int(kept) > 0,
            )
        )
    return found, notes, at


def _digests(engine: Manager, tasks: Sequence[Document]) -> dict[str, str]:
    """What runs where a reference has no digest, of the tasks on this node: Swarm asks no registry for local images."""
    found = {}
    images = dict[str, Document | None]()
    for task in swarm.running(tasks):
        ref = swarm.image_of(part(task, "Spec"))
        if digest(ref) is not None or not (container := engine.container(swarm.container_of(task) or "-")):
            continue
        image = str(container.get("Image") or "")
        if image not in images:
            images[image] = engine.image(image)
        if (document := images[image]) is not None:
            found[str(task.get("ID"))] = pinned(document, ref).digest
    return found
