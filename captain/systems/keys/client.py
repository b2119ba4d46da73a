"""Speaks to one Redis over a bounded connection. Knows no verdict, and never names a password.

Commands are given one by one and answered one by one: no pool, no retry, nothing sent that the caller did not ask for.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.http.tls import context
from captain.safe import safe
from captain.systems.relay import LIMIT, Relay, relay

T = TypeVar("T")
_SCHEMES = ("redis", "rediss", "unix")
_CODE = re.compile(r"[A-Z][A-Z0-9]{1,20}")
_NO_SUCH_DATABASE = ("out of range", "invalid db index", "SELECT is not allowed")


@dataclass(frozen=True, slots=True)
class Where:
    """One database of one server."""

    name: str
    """The secret the address came from: what errors call it."""
    host: str
    """A path that starts with / is a unix socket."""
    port: int
    database: int
    username: str | None
    password: str | None
    tls: bool

    def __str__(self) -> str:
        place = self.host if self.host.startswith("/") else f"{self.host}:{self.port}"
        return f"redis {safe(place, 200)}/{self.database}"

    def __repr__(self) -> str:
        return f"<{self}>"  # never the password


def address(name: str, url: str) -> Where:
    """What the URL in the secret `name` points to. Raises ProbeError, which quotes nothing of it."""
    wrong = ProbeError(
        f"redis: {name} is not the URL of a Redis",
        hint="redis://USER:PASSWORD@HOST:6379/0, rediss:// for TLS, unix:///PATH?db=0; "
        "a password with / ? # @ in it is written percent-encoded",
    )
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        query = parse_qs(parts.query)
    except ValueError:
        raise wrong from None  # its text holds a piece of the URL
    on_disk = parts.scheme == "unix"
    path = unquote(parts.path)
    database = query.get("db", ["0"])[0] if on_disk or not path.strip("/") else path.removeprefix("/")
    known = parts.scheme in _SCHEMES and (path.startswith("/") if on_disk else bool(parts.hostname))
    if not known or not re.fullmatch(r"[0-9]{1,5}", database) or parts.fragment:
        raise wrong
    return Where(
        name=name,
        host=path if on_disk else str(parts.hostname),
        port=port or 6379,
        database=int(database),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
    )


class Client:
    """One connection, used on one thread at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.asked = "the connection"
        """The command asked last: what an error is about."""

    def ask(self, command: str, *arguments: str | bytes | int) -> Any:
        """The server's answer: bytes, int, a list of them, or None. Raises the library's error."""
        self.asked = command
        self._connection.send_command(*command.split(" "), *arguments)
        return self._connection.read_response()

    def ask_all(self, commands: list[tuple[str | bytes | int, ...]]) -> list[Any]:
        """The answers to several commands sent at once; an error answer stands in its place."""
        from redis.exceptions import ResponseError

        answers: list[Any] = []
        for start in range(0, len(commands), 500):
            some = commands[start : start + 500]
            self.asked = str(some[0][0])
            self._connection.send_packed_command(self._connection.pack_commands(some))
            for command in some:
                self.asked = str(command[0])
                try:
                    answers.append(self._connection.read_response())
                except ResponseError as error:
                    if _code(error) == "NOPERM":
                        raise
                    answers.append(error)
        return answers

    def close(self) -> None:
        """Close the connection, whatever it is doing."""
        self._connection.disconnect()


class Session:
    """A Redis that was reached and let captain in. Used on the event loop; work runs on a thread."""

    def __init__(
        self, where: Where, asked: str, way: Relay, blocking: Blocking, secured: ssl.SSLContext | None
    ) -> None:
        self.where = where
        self._asked = asked
        self._way = way
        self._blocking = blocking
        self._secured = secured
        self._client: Client | None = None
        self._clients: list[Client] = []

    async def do(self, work: Callable[[Client], T]) -> T:
        """The work's result. Raises ProbeError where the server did not answer it."""
        if self._client is None:
            self._client = await self._connected(self.where.username, self.where.password)
        client = self._client
        return await self._run(lambda: work(client), client)

    async def lets_anybody_in(self) -> bool | None:
        """Whether a command is answered without a password; None where the answer says neither."""
        if not self.where.password:
            return True
        from redis.exceptions import AuthenticationError, ResponseError

        try:
            stranger = await self._connected(None, None, select=False)
            await self._blocking(lambda: stranger.ask("PING"))
        except AuthenticationError:
            return False
        except (ProbeError, ResponseError, OSError, _library_error()):
            return None
        return True

    async def _connected(self, username: str | None, password: str | None, *, select: bool = True) -> Client:
        end = await self._way.socket()

        def connect() -> Client:
            secured = _secure(end, self._secured, self.where.host)
            return Client(_connection(secured, username, password, self.where.database if select else 0))

        try:
            self._clients.append(await self._run(connect, None))
        except ProbeError as error:
            if self._secured is None or error is not self._way.why:
                raise
            # A server without TLS waits for the end of what it takes for a command.
            raise ProbeError(error.message, fault=error.fault, hint="does it speak TLS? redis:// is without") from None
        return self._clients[-1]

    def close(self) -> None:
        """Close what was opened."""
        for client in self._clients:
            client.close()

    async def _run(self, work: Callable[[], T], client: Client | None) -> T:
        try:
            return await self._blocking(work)
        except ProbeError as error:
            raise ProbeError(f"{self._asked}: {error.message}", fault=error.fault, hint=error.hint) from None
        except (_library_error(), OSError, ValueError, OverflowError, RecursionError) as error:
            # The pumps of the relay may be a moment behind the library in noticing why.
            await asyncio.sleep(0)
            if self._way.why is not None:
                raise self._way.why from None
            raise unable(self._asked, self.where, error, "" if client is None else client.asked) from None


@asynccontextmanager
async def redis_session(
    where: Where,
    *,
    blocking: Blocking,
    timeout: timedelta,
    ca_file: Path | None = None,
    limit: int = LIMIT,
    asked: str | None = None,
) -> AsyncIterator[Session]:
    """Reach the server. Raises ProbeError where it cannot be reached, or redis-py is not installed."""
    _library_error()
    secured = context(ca_file, True) if where.tls else None
    asked = asked or str(where)
    async with relay(asked, where.host, where.port, timeout=timeout, limit=limit) as way:
        session = Session(where, asked, way, blocking, secured)
        try:
            yield session
        finally:
            session.close()


def load() -> None:
    """Import the library, where it is there, before anybody waits for an answer."""
    with contextlib.suppress(ImportError):
        import redis  # noqa: F401  # its import is all that is wanted


def text(value: object) -> str:
    """An answer as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def unable(asked: str, where: Where, error: BaseException, command: str) -> ProbeError:
    """What an error means, in a sentence that never quotes what was sent."""
    code = _code(error)
    words = _words(error)
    if isinstance(error, ssl.SSLError):
        return _tls_trouble(asked, error)
    if code == "WRONGPASS" or "invalid password" in words:
        return ProbeError(f"{asked}: the user or password in {where.name} is not accepted", hint=f"check {where.name}")
    if code == "NOAUTH":
        return ProbeError(f"{asked}: asks for a password, and {where.name} holds none", hint=f"add it to {where.name}")
    if "without any password" in words or "no password is set" in words:
        return ProbeError(
            f"{asked}: asks for no password, but {where.name} holds one",
            hint="whoever reaches it is let in: set requirepass or an ACL there, else take the password out",
        )
    if code == "NOPERM":
        grant = f"ACL SETUSER {safe(where.username or 'default', 60)} +{command.lower().replace(' ', '|')}"
        return ProbeError(f"{asked}: {command}: {safe(words, 200)}", hint=f"let this user run it: {grant}")
    if any(piece in words for piece in _NO_SUCH_DATABASE):
        return ProbeError(f"{asked}: has no database {where.database}", hint=f"check the number in {where.name}")
    if not command or command == "the connection":
        # A server that does not know AUTH quotes what it was sent.
        words = "" if code == "ERR" else words
    return ProbeError(f"{asked}: {_plainly(code, words)}", fault="unclear", hint=_hint(code, words))


def _plainly(code: str, words: str) -> str:
    """The sentences of Redis that need an explanation, else its own."""
    known = {
        "LOADING": "is still loading its data and answers nothing yet",
        "READONLY": "is a replica, which takes no writes",
        "MASTERDOWN": "is a replica that lost its master and gives no data",
        "MOVED": "is one node of a cluster, and what was asked lies on another",
        "ASK": "is one node of a cluster, and what was asked is moving to another",
        "CLUSTERDOWN": "is a cluster that is down",
        "ERR": f"refused: {safe(words, 200)}" if words else "refused the connection",
    }
    if "max number of clients" in words:
        return "takes no more clients (maxclients is reached)"
    if "Protocol Error" in words or "InvalidResponse" in words:
        return "did not answer as Redis does"
    if "Connection closed" in words or "reset" in words.lower():
        return "closed the connection"
    return known.get(code) or safe(words, 200)


def _hint(code: str, words: str) -> str | None:
    if code == "MOVED":
        return "ask a Redis that is no cluster, or the node that holds the key"
    if code == "LOADING":
        return "wait until it is loaded (INFO persistence: loading_eta_seconds)"
    if "Connection closed" in words:
        return "does it want TLS? that is rediss:// instead of redis://"
    return None


def _tls_trouble(asked: str, error: ssl.SSLError) -> ProbeError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ProbeError(
            f"{asked}: the certificate does not verify: {safe(error.verify_message, 200)}",
            fault="unclear",
            hint="name its authority with ca_file",
        )
    reason = (error.reason or "").lower().replace("_", " ")
    if "wrong version number" in reason or "record layer" in reason:
        return ProbeError(f"{asked}: does not speak TLS", fault="unclear", hint="redis:// is without TLS")
    return ProbeError(f"{asked}: no TLS: {safe(reason or 'the handshake was broken off', 200)}", fault="unclear")


def _code(error: BaseException) -> str:
    """The first word of an error answer: WRONGPASS, LOADING, ERR."""
    code = getattr(error, "status_code", None)
    if not isinstance(code, str):
        code = str(error).partition(" ")[0]
    return code if _CODE.fullmatch(code) else ""


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _library_error() -> type[Exception]:
    try:
        from redis.exceptions import RedisError
    except ImportError as error:
        raise ProbeError("redis: redis-py is not installed", hint="pip install 'release-captain[redis]'") from error
    return RedisError


def _secure(end: socket.socket, secured: ssl.SSLContext | None, host: str) -> socket.socket:
    return end if secured is None else secured.wrap_socket(end, server_hostname=host)


def _connection(end: socket.socket, username: str | None, password: str | None, database: int) -> Any:
    """A connection of the library's over a socket that is there already, authenticated, its database chosen."""
    from redis.connection import Connection
    from redis.exceptions import ConnectionError
    from redis.maint_notifications import MaintNotificationsConfig

    class Given(Connection):
        def _connect(self) -> socket.socket:
            return end

        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            if (end_now := self._get_socket()) is None:
                raise ConnectionError("Connection closed before")
            # A server that refuses says why and closes at once: what it said is still to be read.
            with suppress(OSError):
                end_now.sendall(b"".join(command))

    made: Any = Given(  # type: ignore[no-untyped-call]
        username=username,
        password=password,
        db=database,
        socket_timeout=None,
        protocol=2,
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    try:
        made.connect()
    except BaseException:
        made.disconnect()
        raise
    return made
