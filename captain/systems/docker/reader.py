"""How to ask a Docker engine. Reading sends GET only; what changes things is a class of its own. No verdicts here.

Every method blocks, bounded by one deadline for all calls of a client: call from a thread that may be left behind.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar

from captain.errors import CaptainError, ProbeError
from captain.release import Image
from captain.safe import safe
from captain.systems.docker.logs import Log, read_log
from captain.systems.docker.tar_stream import Source, entries
from captain.systems.docker.wire import Budget, TooMuch, Transport
from captain.systems.docker_library import load

T = TypeVar("T")
Document = dict[str, Any]
"""An answer of the engine, as it came."""
_FIXED = re.compile(r"([^\s@]+?)(?::[\w.-]+)?@(sha256:[0-9a-f]{64})")

READS = frozenset(("GET", "HEAD"))
CHANGES = READS | {"POST", "DELETE"}
LOG = 4 * 1024 * 1024
"""Bytes of a log that are read where nothing else is said."""
_LINKS = 5
_FOREIGN = "the answer is not the engine's API"
_PIECE = 64 * 1024
DEFAULT_HOST = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an engine is."""

    url: str
    """unix:///var/run/docker.sock, tcp://host:2376, ssh://host."""
    tls: Any = None
    """docker.tls.TLSConfig or None."""

    @property
    def name(self) -> str:
        """How sentences name it."""
        return f"Docker at {safe(self.url, 200)}"

    @property
    def exposed(self) -> bool:
        """Whether it listens on a network without TLS: whoever reaches it is root there."""
        return not self.tls and not self.url.startswith(("unix://", "ssh://", "npipe://"))


def endpoint(host: str | None, environ: Mapping[str, str]) -> Endpoint:
    """The engine meant: `host`, else $DOCKER_HOST, else the docker context's, else the default socket.

    Raises ProbeError where its TLS files or its context cannot be read.
    """
    load()
    from docker.context import ContextAPI
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env

    url = host or environ.get("DOCKER_HOST")
    try:
        if url:
            url = f"unix://{url}" if url.startswith("/") else url
            return Endpoint(url, kwargs_from_env(environment={**environ, "DOCKER_HOST": url}).get("tls") or None)
        found = ContextAPI.kwargs_from_context(environment=environ)
    except (DockerException, OSError, ValueError, KeyError) as error:
        raise ProbeError(f"Docker at {safe(url or 'the current context', 200)}: {_words(error)}") from error
    base = str(found.get("base_url") or DEFAULT_HOST)
    return Endpoint(base.removeprefix("http+"), found.get("tls"))


class Reader:
    """Asks one engine, with GET only. Close it, or use it in a `with`.

    Errors are of the class `error`, by default ProbeError: the instrument is down, not the product.
    """

    methods = READS
    error: type[CaptainError] = ProbeError

    def __init__(self, where: Endpoint, seconds: float) -> None:
        """Connect and agree on a version. `seconds` is for all calls together."""
        self.where = where
        self._seconds = seconds
        self._budget = Budget(time.monotonic() + seconds)
        with self._told():
            self._api = self._connected()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._api.close()

    def seconds_left(self) -> float:
        """What is left of its time. Raises where there is none."""
        with self._told():
            return self._budget.seconds()

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the engine's API: (1, 41)."""
        return tuple(int(part) for part in re.findall(r"\d+", str(self._api._version))[:2])

    def containers(self) -> list[Document]:
        """Every container, running or not, as the list shows it."""
        return self._documents(lambda: self._api.containers(all=True), "Id")

    def container(self, ref: str) -> Document | None:
        """A container's inspect document, None where there is none of that id or name."""
        return self._document(lambda: self._api.inspect_container(ref), "Id")

    def image(self, ref: str) -> Document | None:
        """An image's inspect document, None where it is not on this engine."""
        return self._document(lambda: self._api.inspect_image(ref), "Id")

    def volume(self, name: str) -> Document | None:
        return self._document(lambda: self._api.inspect_volume(name), "Name")

    def network(self, name: str) -> Document | None:
        return self._document(lambda: self._api.inspect_network(name), "Name")

    def info(self) -> Document | None:
        """Facts about the engine, None where a proxy in front of it forbids the question."""
        return self._document(self._api.info, "", absent=(401, 403, 404))

    def processes(self, ref: str) -> list[tuple[int, int, str]] | None:
        """uid, pid on the engine's host and name of every process; None where the container does not run."""
        answer = self._document(lambda: self._api.top(ref, ps_args="-eo uid,pid,comm"), "", absent=(404, 409))
        if answer is None:
            return None
        with self._told():
            return [(int(row[0]), int(row[1]), " ".join(row[2:])) for row in answer.get("Processes") or []]

    def changes(self, ref: str) -> list[Document] | None:
        """What a container changed in its own file system: Path, and Kind 0 changed, 1 added, 2 deleted.

        None where there is no such container; the engine says null where nothing was changed.
        """
        answer = self._ask(lambda: (self._api.diff(ref),), absent=(404,))
        return None if answer is None else self._documents(lambda: answer[0] or [], "Path")

    def stats(self, ref: str) -> Document | None:
        """What a container uses at this moment; None where there is none."""
        one_shot = True if self.version >= (1, 41) else None
        return self._document(lambda: self._api.stats(ref, stream=False, one_shot=one_shot), "")

    def file(self, ref: str, path: str, most: int) -> bytes | None:
        """The first `most` bytes of a file in a container, running or not; None where there is no such file."""
        for _ in range(_LINKS):
            try:
                with self._streamed("/containers/{0}/archive", ref, {"path": path}, most + 1024**2) as read:
                    entry = next(entries(Source(read)), None)
                    if entry is None or entry.kind != "symlink":
                        return entry.head(most) if entry is not None and entry.kind == "file" else None
            except self.error as error:
                if _status(error) == HTTPStatus.NOT_FOUND:
                    return None
                raise
            path = posixpath.join(posixpath.dirname(path), entry.link)
        return None

    def logs(
        self,
        ref: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        tail: int | None = None,
        most: int = LOG,
    ) -> Log | None:
        """What a container wrote, oldest first, by the engine's clock; None where there is no such container.

        At most `most` bytes as the engine sends them, and the last `tail` lines of what is asked for. Raises where the
        log's driver gives nothing back.
        """
        document = self.container(ref)
        if document is None:
            return None
        terminal = bool((document.get("Config") or {}).get("Tty"))
        params = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": 0, "tail": "all" if tail is None else tail}
        params |= {name: f"{at.timestamp():.6f}" for name, at in (("since", since), ("until", until)) if at}
        try:
            with self._streamed("/containers/{0}/logs", str(document["Id"]), params, most + 1024**2) as read:
                return read_log(read, terminal=terminal, most=most)
        except self.error as error:
            if _status(error) != HTTPStatus.NOT_IMPLEMENTED:
                raise
            driver = ((document.get("HostConfig") or {}).get("LogConfig") or {}).get("Type")
            raise self.error(
                f"{self.where.name}: the log driver {safe(driver or '?', 40)} of {safe(ref, 80)} gives no log back",
                hint="ask where the log is sent, or give the container a driver that can be read: local, json-file",
            ) from error

    def pin(self, ref: str) -> Image:
        """What a reference means now: on this engine, else in its registry. Nothing is pulled."""
        if document := self.image(ref):
            return pinned(document, ref)
        digest = self._ask(lambda: str(self._api.inspect_distribution(ref)["Descriptor"]["digest"]))
        return Image(ref, f"{repository(ref)}@{digest}", digest, "repository")

    def _document(self, ask: Callable[[], Any], key: str, absent: tuple[int, ...] = (404,)) -> Document | None:
        """One document, None for a status in `absent`. The engine gives none without a text under `key`."""
        answer = self._ask(lambda: (ask(),), absent)
        return None if answer is None else self._shaped(answer[0], key)

    def _documents(self, ask: Callable[[], Any], key: str, absent: tuple[int, ...] = ()) -> list[Document]:
        """A list of them, empty for a status in `absent`."""
        answer = self._ask(lambda: (ask(),), absent)
        if answer is None:
            return []
        if not isinstance(answer[0], list):
            raise self.error(f"{self.where.name}: {_FOREIGN}")
        return [self._shaped(each, key) for each in answer[0]]

    def _shaped(self, answer: Any, key: str) -> Document:
        # Whatever else stands behind a proxy's 200 must not be counted as a container without faults.
        if not isinstance(answer, dict) or (key and not isinstance(answer.get(key), str)):
            raise self.error(f"{self.where.name}: {_FOREIGN}")
        return answer

    def _ask(self, ask: Callable[[], Any], absent: tuple[int, ...] = ()) -> Any:
        """The answer, or None for a status in `absent`."""
        from docker.errors import DockerException

        with self._told():
            try:
                return ask()
            # A KeyError is what the library makes of an error whose JSON has no message.
            except (DockerException, KeyError) as error:
                if status_of(error) in absent:
                    return None
                raise

    @contextlib.contextmanager
    def _streamed(self, path: str, ref: str, params: Mapping[str, Any], most: int) -> Iterator[Callable[[int], bytes]]:
        """An answer that is read piece by piece, at most `most` bytes of it."""
        with self._told():
            self._budget.stream(most)
            response = self._api._get(self._api._url(path, ref), params=params, stream=True)
            with contextlib.closing(response):
                self._api._raise_for_status(response)
                # Read through the library: what it makes of an error in the middle is an OSError too.
                pieces = response.iter_content(_PIECE)
                yield lambda _: next(pieces, b"")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the library as one sentence."""
        from docker.errors import DockerException

        malformed = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
        try:
            yield
        # The library's errors of transport are OSErrors.
        except (DockerException, OSError, *malformed) as error:
            raise explained(error, self.where, self._seconds, self.error) from error

    def _connected(self) -> Any:
        load()
        import docker

        if self.where.url.startswith("unix://"):
            # The library leaves its socket open when a connection is refused; this one says why and is closed.
            with socket.socket(socket.AF_UNIX) as attempt:
                attempt.settimeout(self._seconds)
                attempt.connect(self.where.url.removeprefix("unix://"))
        tls = self.where.tls or False
        api: Any = docker.APIClient(self.where.url, version="1.24", timeout=max(1, int(self._seconds)), tls=tls)
        # Neither proxies nor .netrc of the environment have a say in who answers for the engine.
        api.trust_env = False
        # Archives would come packed, of any size once unpacked.
        api.headers["Accept-Encoding"] = "identity"
        # An engine that sends captain elsewhere is none.
        api.max_redirects = 0
        inner = api.get_adapter(api.base_url)
        for prefix in ("http://", "https://", "http+docker://"):
            api.mount(prefix, Transport(inner, self.methods, self._budget))
        try:
            # The library knows no other way to set the version after it was asked for.
            api._version = str(api.version(api_version=False)["ApiVersion"])
        except BaseException:
            api.close()
            raise
        return api


def explained(error: Exception, where: Endpoint, seconds: float, kind: type[CaptainError]) -> CaptainError:
    """One sentence for whatever the library or the system threw."""
    for cause in _causes(error):
        if isinstance(cause, TooMuch):
            return kind(f"{where.name}: more than {cause.limit // 1024**2} MiB came back, stopped there")
        if isinstance(cause, TimeoutError):
            return kind(f"{where.name}: no answer within {seconds:g} s", hint="is the engine hung, or out of reach?")
        if isinstance(cause, OSError) and cause.errno is not None and cause.strerror:
            why = cause.strerror[:1].lower() + cause.strerror[1:]
            return kind(f"{where.name}: cannot connect ({safe(why, 200)})", hint=_HINTS.get(type(cause), _HINT))
    if (status := status_of(error)) is not None:
        return kind(f"{where.name}: {status} {safe(getattr(error, 'explanation', None) or 'without a reason', 300)}")
    return kind(f"{where.name}: {_words(error)}")


def _status(error: CaptainError) -> int | None:
    return None if error.__cause__ is None else status_of(error.__cause__)


def status_of(error: BaseException) -> int | None:
    """The HTTP status an error of the library stands for, None where the engine did not answer at all."""
    responses = (getattr(cause, "response", None) for cause in _causes(error))
    return next((int(response.status_code) for response in responses if response is not None), None)


_HINT = "is the engine running, and is `host` or DOCKER_HOST right?"
_HINTS: dict[type[OSError], str] = {
    PermissionError: "this user may not use the socket: join the group docker, or set DOCKER_HOST",
}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything wrapped in it, outermost first."""
    todo, seen = [error], set[int]()
    while todo:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [part for part in (*one.args, getattr(one, "reason", None)) if isinstance(part, BaseException)]
        todo += [part for part in (one.__cause__, one.__context__) if part is not None]


def _words(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError | KeyError | TypeError | AttributeError | RecursionError):
        return _FOREIGN
    return safe(str(error) or type(error).__name__, 300)


def pinned(document: Document, ref: str) -> Image:
    """An image by its repository digest if it has one, of the reference's own repository where it can, else by id."""
    named = sorted(str(each) for each in document.get("RepoDigests") or [] if "@sha256:" in str(each))
    own = repository(ref)
    chosen = next((each for each in named if each.partition("@")[0] == own), named[0] if named else None)
    if chosen:
        return Image(ref, chosen, chosen.partition("@")[2], "repository")
    return Image(ref, str(document["Id"]), str(document["Id"]), "id")


def repository(ref: str) -> str:
    """`host:5000/shop` of `host:5000/shop:1.4.0@sha256:…`."""
    return re.sub(r":[^/:]*$", "", ref.partition("@")[0])


def image_pin(ref: str, *, host: str | None, environ: Mapping[str, str], seconds: float) -> Image:
    """What can be run for `ref` and never moves. Blocks. Raises ProbeError where neither engine nor registry has it.

    A reference that names its digest is taken at its word, with or without an engine: it cannot move.
    """
    if fixed := _FIXED.fullmatch(ref):
        return Image(ref, f"{fixed[1]}@{fixed[2]}", fixed[2], "repository")
    with Reader(endpoint(host, environ), seconds) as engine:
        return engine.pin(ref)
