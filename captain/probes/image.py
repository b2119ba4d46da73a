"""The kind `image`: one image of an engine, its configuration, its history and its layers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, TypedDict

from captain.errors import ProbeError
from captain.fields import Bool, PositiveInt, Text
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, probe
from captain.safe import safe
from captain.systems.docker import image_facts as facts
from captain.systems.docker.containers import has_check, labels_of, moment
from captain.systems.docker.image_layers import TOOLCHAIN, Layers, Scan, TooLarge
from captain.systems.docker.images import Images
from captain.systems.docker.passwd import Users, numeric
from captain.systems.docker.reader import Document, endpoint, pinned

_MARGIN = 0.9
"""Share of the attempt's time the engine may take, so that its own error comes before the attempt's end."""
_LISTED = 1000
_LABEL = "org.opencontainers.image."


@dataclass
class _Found:
    """What the engine said."""

    document: Document
    history: list[Document]
    info: Document | None
    listed: Document | None
    layers: Layers | None = None


@probe("image")
class ImageProbe(Probe):
    """Is an image here, how large is it, who does it run as, and does it hold secrets or a toolchain?

    Secrets are looked for in its variables and labels, in what its build was given and, with `scan_layers`, in the
    files of every layer: one that a later layer deletes is still in the image. Only names and rules are told, never
    a value. Layers are read as they come and kept nowhere; where they cannot be read to their end, nothing is
    observed of them. Nothing is pulled: of an image that is not here, only its registry is asked.
    """

    default_expect: ClassVar[tuple[str, ...]] = (
        "present || in_registry",
        "size(env_secret_keys) == 0",
        "size(history_secret_hits) == 0",
    )
    network: ClassVar[bool] = True
    errors: ClassVar[str] = "unknown: the engine is the instrument, not the product"
    timeout: ClassVar[timedelta] = timedelta(minutes=2)
    example: ClassVar[str] = """\
id: image-clean
title: No secrets and no compilers in the image
image: { ref: '${{ release.images.web }}', scan_layers: true }
expect:
  - size(env_secret_keys) == 0 && size(history_secret_hits) == 0 && size(layer_secret_hits) == 0
  - size(toolchain_present) == 0
  - size < 500 * MB"""

    ref: Text
    """The image: `shop:1.4.0`, `registry.example.com/shop@sha256:…`, or its id."""
    host: Text | None = None
    """The engine, default $DOCKER_HOST, else the docker context's."""
    scan_layers: Bool = False
    """Read every layer: layer_secret_hits, toolchain_present, and the user's number."""
    max_layer: PositiveInt = 2 * 1024**3
    """Bytes of a layer; an image with a larger one is not scanned."""
    toolchain: tuple[Text, ...] = TOOLCHAIN
    """What belongs to building only: programs by name, files and folders by path (`*` within a folder, `**` any)."""
    allow: tuple[Text, ...] = ()
    """Paths of files that are no secrets, whatever they are called."""

    class Observes(TypedDict, total=False):
        """What the engine says, and what the layers hold."""

        present: Annotated[bool, "the engine has it"]
        in_registry: Annotated[bool, "its registry has it (asked only where the engine has it not)"]
        id: Annotated[str, "its id"]
        digest: Annotated[str, "its digest in the registry, the id of one that was never pushed or pulled"]
        size: Annotated[int, "bytes it takes unpacked"]
        size_basis: Annotated[str, "how size is known: graphdriver, unpacked or history_sum; content: not known"]
        layers: Annotated[int, "how many layers it has"]
        user: Annotated[str, 'who it starts as, without the group; "" is root']
        user_uid: Annotated[int, "the user's number, of a name by its own /etc/passwd (needs scan_layers)"]
        user_name: Annotated[str, "the name of that number in its own /etc/passwd (needs scan_layers)"]
        has_healthcheck: Annotated[bool, "it has a health check"]
        revision: Annotated[str, "the commit it says it was built from"]
        version: Annotated[str, "the version it says it is"]
        created: Annotated[datetime, "when it was built"]
        created_age: Annotated[timedelta, "time since it was built"]
        env_secret_keys: Annotated[list[str], "variables and labels that hold a secret"]
        history_secret_hits: Annotated[list[str], "secrets that its build was given or wrote, by name or rule"]
        layer_secret_hits: Annotated[
            list[str], "files with secrets in any layer: rule, path, layer (needs scan_layers)"
        ]
        toolchain_present: Annotated[list[str], "programs and folders for building in it (needs scan_layers)"]

    @classmethod
    def prepare(cls) -> None:
        from captain.systems.docker_library import load

        load()

    def asks(self) -> str:
        return f"image {self.ref} of {self.host or 'the Docker engine'}"

    async def measure(self, ctx: Context) -> Measurement:
        where = endpoint(self.host, ctx.environ)
        seconds = ctx.timeout.total_seconds() * _MARGIN
        asked = f"GET image {self.ref} at {where.url}"
        notes: list[str] = []

        def ask() -> _Found | dict[str, Value]:
            with Images(where, seconds) as engine:
                document = engine.image(self.ref)
                return self._absent(engine, notes) if document is None else self._present(engine, document, notes)

        found = await ctx.blocking(ask)
        if where.exposed:
            notes.append(f"{where.name} has no TLS: whoever reaches it is root on that machine")
        if isinstance(found, dict):
            return Measurement(observed=found, asked=asked, notes=tuple(notes))
        now = moment((found.info or {}).get("SystemTime")) or ctx.clock.now()
        observed = self._observed(found, now, notes)
        return Measurement(observed=observed, asked=asked, notes=tuple(notes))

    def _absent(self, engine: Images, notes: list[str]) -> dict[str, Value]:
        observed: dict[str, Value] = {"present": False}
        notes.append(f"{safe(self.ref, 200)} is not on this engine: pull it, or name the engine it runs on as `host`")
        try:
            digest = engine.in_registry(self.ref)
        except ProbeError as error:
            notes.append(f"its registry could not be asked: {error.message}")
            return observed
        observed["in_registry"] = digest is not None
        if digest is not None:
            observed["digest"] = digest
        return observed

    def _present(self, engine: Images, document: Document, notes: list[str]) -> _Found:
        ref = str(document["Id"])
        found = _Found(document, engine.history(ref), engine.info(), engine.manifests(ref))
        if self.scan_layers:
            try:
                layers = engine.layers(ref, Scan(self.toolchain, self.allow, self.max_layer))
                if layers.count != len(facts.layer_digests(document)):
                    raise ValueError("the engine gave others than it names")
                found.layers = layers
            except TooLarge as error:
                notes.append(f"its layers were not looked at: {error}; raise max_layer, or use a scanner's report")
            except ValueError as error:
                notes.append(f"its layers were not looked at: {error}")
            except ProbeError as error:
                notes.append(f"its layers were not looked at to their end: {error.message}")
        return found

    def _observed(self, found: _Found, now: datetime, notes: list[str]) -> dict[str, Value]:
        document, labels = found.document, labels_of(found.document)
        env = facts.env_secrets(document)
        observed: dict[str, Value] = {
            "present": True,
            "id": str(document["Id"]),
            "digest": pinned(document, self.ref).digest,
            "layers": len(facts.layer_digests(document)),
            "user": facts.user(document),
            "has_healthcheck": has_check(document),
            "env_secret_keys": [*env],
        }
        if found.history:
            observed["history_secret_hits"] = [*facts.history_secrets(found.history, env)]
        else:
            notes.append("the engine tells no history of it")
        bytes_, basis = facts.size(document, found.history, found.info, found.listed)
        observed["size_basis"] = basis
        if bytes_ is None:
            notes.append("this engine tells only the packed size, so size is not known")
        else:
            observed["size"] = bytes_
        for name in ("revision", "version"):
            if value := str(labels.get(_LABEL + name) or ""):
                observed[name] = value
        if (created := facts.created(document)) is not None:
            observed |= {"created": created, "created_age": max(now - created, timedelta(0))}
        else:
            notes.append("its build sets no date, so created is not known")
        return observed | self._user(found, notes) | self._layers(found)

    def _user(self, found: _Found, notes: list[str]) -> dict[str, Value]:
        user = facts.user(found.document)
        passwd = None if found.layers is None else found.layers.passwd
        users = None if passwd is None else Users(passwd)
        number = numeric(user) if users is None else users.number(user)
        if number is None:
            why = "it has no /etc/passwd with that name" if found.layers else "that needs scan_layers"
            notes.append(f"the number of user {safe(user, 60)} is not known: {why}")
            return {}
        name = None if users is None else users.name(number)
        return {"user_uid": number} if name is None else {"user_uid": number, "user_name": name}

    def _layers(self, found: _Found) -> dict[str, Value]:
        if (layers := found.layers) is None:
            return {}
        digests = facts.layer_digests(found.document)
        hits: list[Value] = []
        for hit in layers.hits[:_LISTED]:
            digest = digests[hit.layer - 1][:19] if hit.layer <= len(digests) else "?"
            hits.append(f"{hit.rule} /{hit.path} in layer {digest}{', deleted later' if hit.deleted else ''}")
        return {
            "layer_secret_hits": hits,
            "toolchain_present": [f"/{path}" for path in layers.toolchain[:_LISTED]],
        }
