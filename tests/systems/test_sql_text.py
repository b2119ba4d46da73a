"""Which texts of SQL are one statement that reads, and which connection strings show nothing of themselves."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain.errors import ProbeError, UsageError
from captain.systems.sql.answer import Answer, plain
from captain.systems.sql.dsn import mysql_address, postgres_address
from captain.systems.sql.postgres import conninfo
from captain.systems.sql.text import Dialect, placeholders, reading


@pytest.mark.parametrize(
    ("dialect", "text", "sent"),
    [
        ("postgres", "select 1 ; -- done", "select 1"),
        ("postgres", "/* a /* b */ ; */ select 1", "/* a /* b */ ; */ select 1"),
        ("postgres", "select $$; delete$$, $a$ into $a$, E'\\'; x', 'it''s; ', \"a;b\"", None),
        ("postgres", "(select 1) union (select 2);", "(select 1) union (select 2)"),
        ("postgres", "select substring('abc' for 2), x ~ '^a' from t where y @> '{}'", None),
        ("postgres", "select nextval, set_config from counters", None),
        ("mysql", "select '\\'; into', \"for update\", `a``;b` # ; rest", None),
        ("mysql", "select 5 --1", None),
        ("mysql", "select * from doors where lock in (1, 2) for json path", None),
        ("sqlite", 'select [a;b], "c;d", `e;f` from t', None),
        ("sqlite", "pragma integrity_check;", "pragma integrity_check"),
    ],
)
def test_a_statement_that_reads_is_sent_as_it_is_written(dialect: Dialect, text: str, sent: str | None) -> None:
    assert reading(text, dialect) == (text if sent is None else sent)


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite"])
@given(text=st.text(alphabet="select ;'\"`[]$-/*#\\into()1\n", max_size=40))
def test_no_text_gets_through_with_a_second_statement(dialect: Dialect, text: str) -> None:
    try:
        sent = reading(f"select 1 {text}", dialect)
    except UsageError:
        return
    with pytest.raises(UsageError, match=r"statement|without an end|behind which"):
        reading(f"{sent}\n; delete from orders", dialect)


def test_placeholders_are_counted_and_other_percents_refused() -> None:
    assert placeholders("select 5 % 3, '%s'", given=False) == 0
    assert placeholders("select %s, %s, 5 %% 3, '100%%'", given=True) == 2
    for wrong in ("select 5 % 3", "select %(name)s", "select '%"):
        with pytest.raises(UsageError, match="written %%"):
            placeholders(wrong, given=True)


SECRETS = ("planted", "s3cret")


@pytest.mark.parametrize(
    "dsn",
    [
        *("planted s3cret", "postgresql://u:planted@s3cret/x@h/db", "postgresql://u:planted s3cret@h:x/db"),
        *("host=h user=u password=planted s3cret=1", "postgres://u:planted@h:s3cret/db", "mysql://u:planted@h/s3cret"),
        *(
            "postgresql://u:planted%zz@h/db",
            "service=planted",
            "postgresql://u:planted@h1,h2/db",
            "host=h password=planted",
        ),
        *("postgresql://u:planted@/db", "postgresql://u:planted@h/db?s3cret=1", "user=u password='planted"),
    ],
)
def test_a_string_that_cannot_be_read_is_not_quoted(dsn: str) -> None:
    with pytest.raises(ProbeError) as raised:
        postgres_address(dsn, "DATABASE_URL")
    said = f"{raised.value.message} {raised.value.hint} {raised.value!r} {raised.value.__cause__!r}"
    assert not any(secret in said for secret in SECRETS) and "DATABASE_URL" in said


@pytest.mark.parametrize(
    "dsn", ["planted", "mysql://u:pl@nted@h/x", "mysql://u:planted/x@h/db", "mysql://u:x@h/?ssl_no=1"]
)
def test_a_string_of_mysql_that_cannot_be_read_is_not_quoted_either(dsn: str) -> None:
    with pytest.raises(ProbeError) as raised:
        mysql_address(dsn, "DATABASE_URL")
    assert "nted" not in f"{raised.value.message} {raised.value!r} {raised.value.__cause__!r}"


def test_addresses_of_django_and_sqlalchemy_are_understood_and_keep_their_password_to_themselves() -> None:
    place = postgres_address("postgresql+psycopg://u:p%40ss@[::1]:5433/shop?sslmode=require", "X")
    assert (place.host, place.port, place.database, place.password, place.sslmode) == (
        "::1",
        5433,
        "shop",
        "p@ss",
        "require",
    )
    assert place.where == "shop at ::1:5433" and "p@ss" not in repr(place)
    local = mysql_address("mysql+pymysql://u:p@localhost/shop?unix_socket=/run/x.sock&ssl-ca=ca.pem", "X")
    assert (local.host, local.sslmode, local.options) == ("/run/x.sock", "verify_ca", {"ssl_ca": "ca.pem"})


def test_files_of_a_connection_string_lie_beside_captain_yaml() -> None:
    place = postgres_address("postgresql://u@h/db?sslmode=verify-full&sslrootcert=certs/ca.pem", "X")
    assert "sslrootcert=/srv/shop/certs/ca.pem" in conninfo(place, 1, Path("/srv/shop"))
    place = postgres_address("postgresql://u@h/db?sslmode=verify-full&sslrootcert=system", "X")
    assert "sslrootcert=system" in conninfo(place, 1, Path("/srv/shop"))


def test_numbers_keep_what_they_are() -> None:
    assert [plain(Decimal(text)) for text in ("7", "7.0", "1E+3", "NaN", "1E+400")] == [7, 7.0, 1000, None, None]
    assert [type(plain(Decimal(text))) for text in ("7", "7.0")] == [int, float]
    deep: list[object] = []
    for _ in range(50):
        deep = [deep]
    assert "[[[" in str(plain(deep))
    assert Answer(("a", "a", "a_2"), ((1, 2, 3),)).dicts(str) == [{"a": 1, "a_2": 2, "a_2_2": 3}]
