"""PostgreSQL asked through libpq: read-only transactions over a relay. Knows no probe, no preset and no verdict.

libpq takes whatever a connection string leaves open from the environment and from files in the home folder. Here
every such option is given, so that captain asks what the string says, on whichever machine.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from captain.blocking import Blocking
from captain.errors import UsageError
from captain.systems.relay import relay
from captain.systems.sql.answer import Answer, Server, SqlError, Why
from captain.systems.sql.dsn import Address, file_of
from captain.systems.sql.text import reading

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

NOWHERE = "/dev/null/none"
"""A file that cannot be: libpq looks in the home folder where none is named."""
_GIVEN = {
    "application_name": "captain",
    "client_encoding": "UTF8",
    "gssencmode": "disable",
    "passfile": NOWHERE,
    "sslcert": NOWHERE,
    "sslkey": NOWHERE,
    "sslrootcert": NOWHERE,
    "sslcrl": NOWHERE,
}
_NOT_EMPTY = {"sslcertmode": "allow", "min_protocol_version": "3.0", "max_protocol_version": "3.0"}
"""Options whose default is none, and for which libpq takes no empty value."""
_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "passfile")
_DROPPED = ("application_name", "client_encoding", "connect_timeout", "gssencmode", "replication", "sslkeylogfile")
_WHERE = re.compile(
    r'connection failed: |connection (to server )?(at|on) ("[^"]*"( \([^)]*\))?, port \d+|socket "[^"]*") failed: '
)
_LOGIN = re.compile(r"password authentication failed|no password supplied|28P01|client certificate|SASL authentication")
_STATES: dict[str, Why] = {"42501": "denied", "25006": "writes", "57014": "late", "55P03": "late"}
_HELLO = """
select current_setting('server_version_num')::int as version, version() as name, current_database() as database,
       clock_timestamp() as now, pg_has_role(current_user, 'pg_read_all_stats', 'usage') as can_see_all,
       pg_is_in_recovery() as standby,
       (select ssl.version from pg_stat_ssl ssl where ssl.pid = pg_backend_pid()) as tls"""


class Postgres:
    """One connection. Every statement runs in a read-only transaction of its own, bounded in time and rows."""

    def __init__(self, connection: psycopg.Connection[Any], deadline: float, address: Address) -> None:
        self._connection = connection
        self._deadline = deadline
        self.address = address
        hello = self.ask(_HELLO).first()
        if not connection.pgconn.ssl_in_use:
            hello["tls"] = "none"
        self.server = Server(**hello)

    def ask(self, statement: str, params: Sequence[str] = (), limit: int = 1000) -> Answer:
        """One statement. It is sent so that the server itself refuses a second one behind it. Raises SqlError."""
        import psycopg

        try:
            statement = reading(statement, "postgres")
        except UsageError as error:
            raise SqlError(f"the statement {error.message}", "writes") from error
        try:
            with self._reading():
                return self._fetched(statement, params, limit)
        except psycopg.Error as error:
            raise _refused(error) from error

    def count(self, schema: str, table: str) -> int:
        """How many rows a table holds. Raises SqlError."""
        from psycopg import sql

        named = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
        return int(self.ask(named.as_string(self._connection)).rows[0][0])

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A read-only transaction whose settings end with it: behind a pooler the next one is somebody else's."""
        left = max(int((self._deadline - time.monotonic()) * 900), 1)
        self._connection.execute(
            f"begin read only; set local statement_timeout = {left}; set local lock_timeout = {left};"
            # An error instead of rows that are silently not shown.
            " set local row_security = off;"
            " set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres';"
            " set local standard_conforming_strings = on".encode()
        )
        try:
            yield
        finally:
            if not self._connection.closed and not self._connection.broken:
                self._connection.execute(b"rollback")

    def _fetched(self, statement: str, params: Sequence[str], limit: int) -> Answer:
        """Row by row, so that nobody holds more than is asked for; the server is told when that is enough.

        No cursor of the server's: behind its FETCH the statement would be in no log and no list of sessions.
        """
        rows: list[tuple[Any, ...]] = []
        with self._connection.cursor() as cursor:
            stream: Any = cursor.stream(statement.encode(), list(params) if params else None)
            with closing(stream):
                for row in stream:
                    rows.append(tuple(row))
                    if len(rows) > limit:
                        break
            columns = tuple(column.name for column in cursor.description or ())
        return Answer(columns, tuple(rows[:limit]), more=len(rows) > limit)


async def ask_postgres(
    asked: str,
    address: Address,
    work: Callable[[Postgres], T],
    *,
    blocking: Blocking,
    timeout: timedelta,
    root: Path,
) -> T:
    """What `work` finds on a connection, all of it within `timeout`. Raises ProbeError that begins with `asked`.

    `work` runs on a thread; at the deadline its connection is closed and its next question fails.
    """
    deadline = time.monotonic() + timeout.total_seconds()

    async with relay(asked, _door(address), address.port, timeout=timeout) as way:
        port = await way.port()

        def talk() -> T:
            with _connected(address, port, root) as connection:
                return work(Postgres(connection, deadline, address))

        try:
            return await blocking(talk)
        except SqlError as error:
            raise way.why or error.told(asked) from error


async def plain_is_refused(
    asked: str, address: Address, *, blocking: Blocking, timeout: timedelta, root: Path
) -> bool | None:
    """Whether the server turns a connection without TLS away before it asks who it is; None where that is not clear.

    No password is sent.
    """
    import dataclasses

    bare = dataclasses.replace(address, password="", sslmode="disable", options={})

    def knock(port: int) -> bool | None:
        try:
            with _connected(bare, port, root):
                return False
        except SqlError as error:
            # The name of the file stays in every language; a password is asked for only where plain is accepted.
            if "pg_hba.conf" in error.words:
                return True
            return False if "password" in error.words else None

    async with relay(asked, _door(address), address.port, timeout=timeout) as way:
        port = await way.port()
        found = await blocking(lambda: knock(port))
        if way.why is not None:
            raise way.why
        return found


@contextmanager
def _connected(address: Address, port: int, root: Path) -> Iterator[psycopg.Connection[Any]]:
    import psycopg

    try:
        connection = psycopg.connect(conninfo(address, port, root), autocommit=True)
    except psycopg.Error as error:
        raise _refused(error) from error

    with connection:
        from psycopg.types.json import set_json_loads

        set_json_loads(_document, connection)
        try:
            yield connection
        except psycopg.Error as error:
            raise _refused(error) from error


def _document(text: str | bytes) -> Any:
    from captain.documents import parse_json

    try:
        return parse_json(text)
    except ValueError:
        return text if isinstance(text, str) else text.decode("utf-8", "replace")


def conninfo(address: Address, port: int, root: Path) -> str:
    """What libpq is given: every option it would look for elsewhere, and the relay instead of the server."""
    from psycopg import pq
    from psycopg.conninfo import make_conninfo

    any_method = "none,password,md5,gss,sspi,scram-sha-256" + (",oauth" if pq.version() >= 180000 else "")
    filled = {**_NOT_EMPTY, "require_auth": any_method}
    options = {
        # An empty value counts as given, so that no variable is looked for.
        name: (option.compiled or b"").decode() or filled.get(name, "")
        for option in pq.Conninfo.get_defaults()
        if option.envvar and (name := option.keyword.decode())
    }
    own = {key: value for key, value in address.options.items() if key not in _DROPPED}
    own |= {key: file_of(root, own[key]) for key in _FILES if key in own}
    local = address.host.startswith("/")
    options |= {
        **_GIVEN,
        **own,
        "host": "localhost" if local else address.host,
        "hostaddr": "127.0.0.1",
        "port": str(port),
        "dbname": address.database,
        "user": address.user,
        "password": address.password,
        # A unix socket has no TLS; libpq ignores the mode there.
        "sslmode": "disable" if local else address.sslmode,
        "connect_timeout": "0",
    }
    # A service that is named, even an empty one, must be found in a file.
    options.pop("service", None)
    return make_conninfo("", **options)


def _door(address: Address) -> str:
    if address.host.startswith("/"):
        return f"{address.host.rstrip('/')}/.s.PGSQL.{address.port}"
    return address.reach or address.host


def _refused(error: psycopg.Error) -> SqlError:
    # Not the details of an error: they quote values.
    words = error.diag.message_primary or _WHERE.sub("", str(error)).strip()
    words = re.sub(r"\bFATAL:\s+|^ERROR:\s+", "", words)
    if "definition of service" in words:
        words = "PGSERVICE is set where captain runs, and libpq looks for it; unset it"
    state = error.sqlstate or ""
    if _LOGIN.search(words) or state.startswith("28"):
        return SqlError(words, "login")
    if "root certificate file" in words and NOWHERE in words:
        words = "the connection string asks for a verified certificate and names no authority: add sslrootcert=PATH"
        return SqlError(f"{words} or sslrootcert=system", "login")
    if state == "57014":
        return SqlError("did not end in time and was stopped by the server", "late")
    return SqlError(words, _STATES.get(state, "other"))
