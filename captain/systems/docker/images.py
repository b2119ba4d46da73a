"""How to ask a Docker engine about an image: its history, its layers, its registry. Reading only; no verdicts."""

from __future__ import annotations

import re
from http import HTTPStatus

from captain.errors import ProbeError
from captain.systems.docker.image_layers import Layers, Scan
from captain.systems.docker.reader import Document, Reader, status_of

_STREAM = 1 << 40
"""A saved image is bounded by time and by the size of its layers, and nothing of it is kept."""


class Images(Reader):
    """Asks about images. Nothing is pulled."""

    def history(self, ref: str) -> list[Document]:
        """The steps an image was built by, the last first; [] where it is not on this engine."""
        return self._documents(lambda: self._api.history(ref), "CreatedBy", (404,))

    def manifests(self, image: str) -> Document | None:
        """How the list of images shows the one of this id, with its manifests; None where the engine tells none."""
        if self.version < _MANIFESTS:
            return None
        url = self._api._url("/images/json")
        listed = self._ask(lambda: self._api._result(self._api._get(url, params={"manifests": 1}), True))
        return next((dict(each) for each in listed if each.get("Id") == image), None)

    def in_registry(self, ref: str) -> str | None:
        """The digest its registry has for a reference, None where the registry says that it has none.

        Raises ProbeError where the registry cannot be asked.
        """
        try:
            answer = self._ask(lambda: str(self._api.inspect_distribution(ref)["Descriptor"]["digest"]))
        except ProbeError as error:
            cause = error.__cause__
            # Of a private repository some registries say 404 too, in other words: nobody knows then.
            if cause is not None and status_of(cause) == HTTPStatus.NOT_FOUND and _UNKNOWN.search(str(cause)):
                return None
            raise
        return str(answer)

    def layers(self, ref: str, scan: Scan) -> Layers:
        """What its layers hold. Raises ValueError where they are too large, not whole or not understood."""
        problems: list[ValueError] = []
        with self._streamed("/images/{0}/get", ref, {}, _STREAM) as read:
            try:
                return scan.read(read)
            except ValueError as error:
                # Inside, it would be taken for the engine's own malformed answer.
                problems.append(error)
        raise problems[0]


_MANIFESTS = (1, 47)
_UNKNOWN = re.compile("(manifest|name) unknown")
