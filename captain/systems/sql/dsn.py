"""Connection strings of databases, taken apart. Knows no server; shows nothing of a string in any error.

A library's own words about a string it cannot read may quote its password, so they are never passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from captain.errors import ProbeError
from captain.safe import safe

_MYSQL_OPTIONS = frozenset(
    (
        *("charset", "init_command", "sql_mode", "read_default_file", "read_default_group", "use_unicode"),
        *("unix_socket", "ssl", "ssl_ca", "ssl_mode", "isolation_level", "autocommit", "conv", "use_pure"),
        *("collation", "engine", "conn_max_age", "conn_health_checks", "pool", "atomic_requests"),
    )
)
"""Names of options that no password is shown by naming."""
_REFUSED = re.compile(r'invalid (?:connection option|URI query parameter): ?"?|invalid connection option "')
_NAMED = re.compile(r'"([A-Za-z_]{1,40})"')
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\+[A-Za-z0-9_]+)?://")
_POSTGRES = ("postgresql", "postgres", "postgis", "pgsql", "timescale")
_MYSQL = ("mysql", "mariadb", "mysql2", "mysqlgis")
MysqlMode = Literal["disabled", "preferred", "required", "verify_ca", "verify_identity"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is and how to log in."""

    host: str
    """Name or address for verification; a path that starts with / is a unix socket."""
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    sslmode: str
    """As the string says, else the library's default."""
    reach: str = ""
    """Where to connect instead of `host`."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further options of the library's."""

    @property
    def where(self) -> str:
        """How it is shown: `shop at db.example.com:5432`."""
        place = self.host if self.host.startswith("/") else f"{self.host}:{self.port}"
        return safe(f"{self.database} at {place}" if self.database else place, 200)


def postgres_address(dsn: str, name: str) -> Address:
    """A URL or `key=value` text of libpq's; schemes of Django and SQLAlchemy are understood too.

    Raises ProbeError that names the secret and what is missing, fault `unclear` for an option libpq refuses: it may
    be the product's own string.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    given = _scheme(dsn.strip(), name, _POSTGRES, "postgresql")
    try:
        # Takes nothing from the environment, unlike a connection.
        found = {key: str(value) for key, value in conninfo_to_dict(given).items() if value is not None}
    except (psycopg.Error, ValueError) as error:
        raise _unread(str(error), name) from None
    if "service" in found:
        raise _wrong(name, "names a service of a file on some machine", "write host, database and user into it")
    host, reach, port = found.get("host", ""), found.get("hostaddr", ""), found.get("port", "") or "5432"
    if "," in f"{host}{reach}{port}":
        raise _wrong(name, "names several hosts", "name the one that is asked")
    user = found.get("user", "")
    known = ("host", "hostaddr", "port", "dbname", "user", "password", "sslmode")
    return Address(
        host=_host(host or reach, name),
        port=_port(port, name),
        database=found.get("dbname") or _user(user, name),
        user=_user(user, name),
        password=found.get("password", ""),
        sslmode=found.get("sslmode") or "prefer",
        reach=reach,
        options={key: value for key, value in found.items() if key not in known},
    )


def mysql_address(dsn: str, name: str) -> Address:
    """A URL: `mysql://user:password@host:3306/shop?ssl_mode=VERIFY_IDENTITY&ssl_ca=…`. Raises ProbeError."""
    given = _scheme(dsn.strip(), name, _MYSQL, "mysql")
    try:
        parts = urlsplit(given)
        host, port = unquote(parts.hostname or ""), parts.port or 3306
        query = {key.lower().replace("-", "_"): value for key, value in parse_qsl(parts.query)}
    except ValueError:
        raise _unread("", name) from None
    if parts.scheme != "mysql":
        raise _unread("", name)
    for key in query:
        if key.startswith(("ssl", "tls")) and key not in _MODES_KEYS and key not in _TLS_FILES:
            raise _wrong(name, "holds an option about TLS that captain does not know", "write ssl_mode and ssl_ca")
    return Address(
        host=_host(query.get("unix_socket") or query.get("socket") or host, name),
        port=port,
        database=unquote(parts.path.lstrip("/")),
        user=_user(unquote(parts.username or ""), name),
        password=unquote(parts.password or ""),
        sslmode=_mysql_mode(query, name),
        options={key: value for key, value in query.items() if key in _TLS_FILES},
    )


_MODES_KEYS = ("ssl_mode", "sslmode", "ssl")
_TLS_FILES = ("ssl_ca", "ssl_cert", "ssl_key")
_MODES: dict[MysqlMode, tuple[str, ...]] = {
    "disabled": ("disabled", "disable", "false", "0"),
    "preferred": ("preferred", "prefer"),
    "required": ("required", "require", "true", "1"),
    "verify_ca": ("verify_ca",),
    "verify_identity": ("verify_identity", "verify_full"),
}


def _mysql_mode(query: Mapping[str, str], name: str) -> MysqlMode:
    written = next((query[key] for key in _MODES_KEYS if key in query), None)
    if written is None:
        # As MySQL's own client does where a file of authorities is given.
        return "verify_ca" if "ssl_ca" in query else "preferred"
    spelt = written.lower().replace("-", "_")
    mode = next((mode for mode, spellings in _MODES.items() if spelt in spellings), None)
    if mode is None:
        raise _wrong(
            name, "names an ssl_mode that there is not", "write DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"
        )
    return mode


def file_of(root: Path, path: str) -> str:
    """A file that a string names, relative to the folder of captain.yaml."""
    return path if path in ("", "system") else str(root / Path(path).expanduser())


def _scheme(dsn: str, name: str, known: tuple[str, ...], plain: str) -> str:
    """The string with the scheme the library knows. Raises ProbeError where it is another database's."""
    match = _SCHEME.match(dsn)
    if match is None:
        return dsn
    if dsn.partition("?")[0].count("@") > 1:
        # What a library would take for host and database there is the end of a password.
        raise _wrong(name, "holds more than one @", "write special characters of the password as %XX: @ is %40")
    if match[1].lower() not in known:
        engine = next((other for other, names in _ENGINES.items() if match[1].lower() in names), None)
        hint = f"write `engine: {engine}`" if engine else f"it begins with {plain}://"
        raise _wrong(name, f"is not one of {plain}", hint)
    return f"{plain}://{dsn[match.end() :]}"


_ENGINES = {"postgres": _POSTGRES, "mysql": _MYSQL}


def _unread(words: str, name: str) -> ProbeError:
    """A string that cannot be read. Of the library's words only an option that is known by name is repeated."""
    named = _NAMED.search(words)
    if _REFUSED.search(words):
        if named and named[1].lower() in _MYSQL_OPTIONS:
            said = f'invalid connection option "{named[1]}"'
            return ProbeError(
                f"the connection string in {name}: {said}, which PostgreSQL does not know",
                fault="unclear",
                hint="take it out of the string, or of OPTIONS in the product's settings",
            )
        return ProbeError(
            f"the connection string in {name} holds an option that libpq does not know",
            fault="unclear",
            hint="quote special characters of the password with %XX",
        )
    return _wrong(
        name, "cannot be read", "write postgresql://user:password@host:5432/database, special characters as %XX"
    )


def _wrong(name: str, what: str, hint: str) -> ProbeError:
    return ProbeError(f"the connection string in {name} {what}", hint=hint)


def _host(host: str, name: str) -> str:
    if not host:
        raise _wrong(name, "names no host", "write one, or the folder of the unix socket (host=/var/run/postgresql)")
    return host


def _user(user: str, name: str) -> str:
    if not user:
        raise _wrong(name, "names no user", "write postgresql://user@host/database")
    return user


def _port(text: str, name: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 65535:
        raise _wrong(name, "names no port that can be", "a port is a number from 1 to 65535")
    return int(text)
