"""How to change containers of a Docker engine: only rollback strategies do. Every method blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from captain.errors import CaptainError
from captain.systems.docker.reader import CHANGES, Document, Reader

STOP = 10
"""Seconds a container has to stop where its configuration does not say."""


class Changer(Reader):
    """Reads and changes containers. A container that is not there (any more) is a CaptainError like any other."""

    methods = CHANGES
    error = CaptainError

    def stop(self, ref: str, seconds: int | None) -> None:
        """Stop it; TERM, then KILL after `seconds`. One that is stopped stays as it is."""
        self._ask(lambda: self._api.stop(ref, timeout=STOP if seconds is None else seconds))

    def rename(self, ref: str, name: str) -> bool:
        """Give it another name. False where that name is taken."""
        return self._unless_conflict(lambda: self._api.rename(ref, name))

    def create(self, name: str, body: Document) -> bool:
        """Create a container from the body of the engine's API. False where the name is taken."""
        return self._unless_conflict(lambda: self._api.create_container_from_config(body, name=name))

    def connect(self, ref: str, network: str, settings: Document) -> None:
        """Connect it to a network with the settings of the engine's API."""
        url = self._api._url("/networks/{0}/connect", network)
        data = {"Container": ref, "EndpointConfig": settings}
        self._ask(lambda: self._api._raise_for_status(self._api._post_json(url, data=data)))

    def disconnect(self, ref: str, network: str) -> None:
        self._ask(lambda: self._api.disconnect_container_from_network(ref, network))

    def start(self, ref: str) -> None:
        """Start it. One that runs goes on."""
        self._ask(lambda: self._api.start(ref))

    def remove(self, ref: str) -> None:
        """Remove a stopped container and leave its volumes."""
        self._ask(lambda: self._api.remove_container(ref, v=False, force=False))

    def _unless_conflict(self, change: Callable[[], Any]) -> bool:
        return self._ask(lambda: (change(), True), absent=(409,)) is not None
