"""MySQL and MariaDB asked through pymysql: read-only transactions over a relay. Knows no probe and no verdict."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, TypeVar

from captain.blocking import Blocking
from captain.errors import UsageError
from captain.systems.relay import relay
from captain.systems.sql.answer import Answer, Server, SqlError, Why
from captain.systems.sql.dsn import Address, file_of
from captain.systems.sql.text import reading

if TYPE_CHECKING:
    from pymysql.connections import Connection

T = TypeVar("T")

_VERSION = re.compile(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)")
_LOGIN = frozenset((1045, 1698, 1251, 2059))
_DENIED = frozenset((1044, 1142, 1143, 1227, 1370))
_WRITES = frozenset((1792, 1290))
_LATE = frozenset((1317, 1969, 3024, 1205))


class Mysql:
    """One connection. Every statement runs in a read-only transaction of its own, bounded in time and rows."""

    def __init__(self, connection: Connection[Any], deadline: float, address: Address) -> None:
        self._connection = connection
        self._deadline = deadline
        self.address = address
        self.mariadb = "mariadb" in str(getattr(connection, "server_version", "")).lower()
        hello = self.ask(
            "select version() as name, coalesce(database(), '') as db, utc_timestamp(6) as at,"
            " exists(select 1 from information_schema.user_privileges where privilege_type = 'PROCESS'"
            " and grantee = concat('''', replace(current_user(), '@', '''@'''), '''')) as process"
        ).first()
        spoken = self.ask("show session status like 'Ssl_version'").rows
        self.server = Server(
            version=_number(str(hello["name"])),
            name=("MariaDB " if self.mariadb else "MySQL ") + str(hello["name"]),
            database=str(hello["db"]),
            now=hello["at"].replace(tzinfo=UTC) if isinstance(hello["at"], datetime) else None,
            can_see_all=bool(hello["process"]),
            tls=None if not spoken else str(spoken[0][1]) or "none",
        )

    def ask(self, statement: str, params: Sequence[str] = (), limit: int = 1000) -> Answer:
        """One statement; the protocol is told to take no second one behind it. Raises SqlError."""
        import pymysql

        try:
            statement = reading(statement, "mysql")
        except UsageError as error:
            raise SqlError(f"the statement {error.message}", "writes") from error
        try:
            with self._reading():
                return self._fetched(statement, params, limit)
        except (pymysql.Error, OSError, ValueError, AttributeError) as error:
            # Of a connection that was cut off under its hands pymysql sometimes says AttributeError.
            raise _refused(error) from error

    def count(self, table: str) -> int:
        """How many rows a table of the connection's database holds. Raises SqlError."""
        return int(self.ask(f"select count(*) from `{table.replace('`', '``')}`").rows[0][0])

    @contextmanager
    def _reading(self) -> Iterator[None]:
        left = max((self._deadline - time.monotonic()) * 0.9, 0.001)
        bound = f"max_statement_time = {left:.3f}" if self.mariadb else f"max_execution_time = {int(left * 1000) + 1}"
        with self._connection.cursor() as cursor:
            cursor.execute(
                # Not sql_select_limit: MariaDB applies it within a recursive WITH too, and counts come out wrong.
                f"set session {bound}, lock_wait_timeout = {int(left) + 1}, sql_mode = '', time_zone = '+00:00'"
            )
            cursor.execute("start transaction read only")
        yield
        if self._connection.open:
            self._connection.rollback()

    def _fetched(self, statement: str, params: Sequence[str], limit: int) -> Answer:
        """Row by row, so that a LIMIT of the statement's own fills no memory."""
        from pymysql.cursors import SSCursor

        cursor = self._connection.cursor(SSCursor)
        try:
            cursor.execute(statement, tuple(params) if params else None)
            rows = cursor.fetchmany(limit + 1)
            columns = tuple(str(column[0]) for column in cursor.description or ())
            if len(rows) > limit:
                self._abandon()
            return Answer(columns, tuple(tuple(row) for row in rows[:limit]), more=len(rows) > limit)
        except BaseException:
            self._abandon()
            raise
        finally:
            with suppress(Exception):
                cursor.close()

    def _abandon(self) -> None:
        """Hang up instead of reading rows to their end that nobody wants."""
        connection: Any = self._connection
        result = connection._result
        if result is not None and result.unbuffered_active:
            result.unbuffered_active = False
            result.connection = None
            connection._force_close()


async def ask_mysql(
    asked: str,
    address: Address,
    work: Callable[[Mysql], T],
    *,
    blocking: Blocking,
    timeout: timedelta,
    root: Path,
) -> T:
    """What `work` finds on a connection, all of it within `timeout`. Raises ProbeError that begins with `asked`.

    `work` runs on a thread; at the deadline its connection is closed and its next question fails.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    async with relay(asked, address.host, address.port, timeout=timeout) as way:
        end = await way.socket()

        def talk() -> T:
            with _connected(address, end, root) as connection:
                return work(Mysql(connection, deadline, address))

        try:
            return await blocking(talk)
        except SqlError as error:
            raise way.why or error.told(asked) from error


@contextmanager
def _connected(address: Address, end: socket, root: Path) -> Iterator[Connection[Any]]:
    import pymysql

    try:
        connection = pymysql.connect(
            # Shown to the server's certificate; the socket leads there already.
            host="localhost" if address.host.startswith("/") else address.host,
            user=address.user,
            # As bytes, because a text is sent in Latin-1.
            password=address.password.encode(),
            database=address.database or None,
            charset="utf8mb4",
            program_name="captain",
            local_infile=False,
            defer_connect=True,
            auth_plugin_map={"mysql_clear_password": _OverTls, "dialog": _OverTls},
            **_tls(address, root),
        )
        connection.connect(sock=end)
    except (pymysql.Error, OSError, ValueError, AttributeError, IndexError, UnicodeError) as error:
        raise _refused(error) from error
    try:
        yield connection
    finally:
        forced: Any = connection
        forced._force_close()


class _OverTls:
    """Gives the password itself away only where nobody on the way can read it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, _: Any) -> Any:
        if not isinstance(self._connection._sock, ssl.SSLSocket):
            raise ValueError("the server asks for the password in clear text on a connection without TLS")
        self._connection.write_packet(self._connection.password + b"\0")
        packet = self._connection._read_packet()
        packet.check_error()
        return packet


def _tls(address: Address, root: Path) -> dict[str, Any]:
    if address.sslmode == "disabled":
        return {"ssl_disabled": True}
    files = {key: file_of(root, path) for key, path in address.options.items()}
    if address.sslmode == "preferred" and not files:
        return {}
    context = ssl.create_default_context(cafile=files.get("ssl_ca"))
    # MySQL's own certificates are not made as strictly as newer Pythons ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = address.sslmode == "verify_identity"
    context.verify_mode = ssl.CERT_REQUIRED if address.sslmode.startswith("verify") else ssl.CERT_NONE
    if "ssl_cert" in files:
        context.load_cert_chain(files["ssl_cert"], files.get("ssl_key"))
    return {"ssl": context}


def _refused(error: Exception) -> SqlError:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words = str(error.args[1]) if number and len(error.args) > 1 else str(error)
    if isinstance(error, AttributeError | IndexError):
        words = "the connection ended in the middle of an answer"
    if number in _LATE:
        return SqlError("did not end in time and was stopped by the server", "late")
    why: Why = "other"
    for meant, numbers in (("login", _LOGIN), ("denied", _DENIED), ("writes", _WRITES)):
        if number in numbers:
            why = meant  # type: ignore[assignment]  # each is a Why
    return SqlError(words or type(error).__name__, why)


def _number(version: str) -> int:
    match = _VERSION.match(version)
    return int(match[1]) * 10000 + int(match[2]) * 100 + int(match[3]) if match else 0
