"""The PostgreSQL that tests are run against is what they take it for."""

from __future__ import annotations

import contextlib

import psycopg
import pytest

from tests.postgres_server import PASSWORD, Postgres


def test_a_role_reaches_a_database_of_its_own_over_verified_tls(
    postgres_server: Postgres, postgres_database: str
) -> None:
    ca = str(postgres_server.ca)
    dsn = postgres_server.dsn("app", postgres_database, "localhost", sslmode="verify-full", sslrootcert=ca)
    with contextlib.closing(psycopg.connect(dsn)) as connection:
        connection.execute("create table orders (id int)")
        assert connection.info.pgconn.ssl_in_use


def test_a_role_for_tls_only_is_refused_without(postgres_server: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(postgres_server.dsn("tls_only", sslmode="disable"))


def test_a_setting_is_changed_for_a_while(postgres_server: Postgres) -> None:
    before = postgres_server.run("show log_min_duration_statement")
    with postgres_server.setting(log_min_duration_statement="-1"):
        assert postgres_server.run("show log_min_duration_statement") == [("-1",)]
    assert postgres_server.run("show log_min_duration_statement") == before


def test_its_password_is_one_that_a_url_must_quote(postgres_server: Postgres) -> None:
    assert PASSWORD not in postgres_server.dsn()
