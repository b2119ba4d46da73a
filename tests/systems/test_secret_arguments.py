"""Secrets in the history and the variables of an image, and what only looks like one."""

from __future__ import annotations

import time

import pytest

from captain.systems.docker.image_facts import env_secrets, history_secrets
from captain.systems.secret_arguments import secret_arguments

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "given",
    [
        "DB_PASSWORD=$uperSecret1",
        "DB_PASSWD=$ecret",
        "PGPASSWORD=`x",
        "REDIS_PASSWORD=/etc/passw0rd!x",
        "DATABASE_URL=postgres://app:$ecret@db/x",
        "DATABASE_URL=postgres://a$b:pa$$word@db/x",
        "OPENAI_KEY=sk-abcdefghijklmnopqrstuvwx1234567890",
        "OPENAI_KEY=sk-proj-AbCdEfGh1234567890abcdefgh_x-y",
        "CLAUDE=sk-ant-api03-AbCdEfGh1234567890abcdefgh",
        f"SESSION={JWT}",
        "REPO=https://0123456789abcdef0123456789abcdef01234567@github.com/a/b",
    ],
)
def test_a_variable_of_an_image_is_final_so_a_dollar_in_it_stands_for_itself(given: str) -> None:
    assert env_secrets({"Config": {"Env": ["PATH=/bin", given]}}) == [given.partition("=")[0]]


@pytest.mark.parametrize(
    "given",
    [
        *("DB_PASSWORD=${DB_PASS}", "DB_PASSWORD=$DB_PASS", "DB_PASSWORD=$(cat /run/secrets/db)", "DB_PASSWORD="),
        *("DB_PASSWORD=/run/secrets/db", "DB_PASSWORD=<password>", "DB_PASSWORD={{ password }}", "A_PASSWORD=true"),
        *("DATABASE_URL=postgres://app:${DB_PASS}@db/x", "DATABASE_URL=postgres://app:$DB_PASS@db/x"),
        *("DATABASE_URL=postgres://app:***@db/x", "DATABASE_URL=postgres://app@db/x", "MAX_TOKENS=4096"),
        "SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/1",
        "ERRORS=https://0123456789abcdef0123456789abcdef@errors.example.com/12",
        "HOME_PAGE=https://example.com/users/0123456789abcdef0123456789abcdef@work",
        f"NEXT_PUBLIC_SUPABASE_ANON_KEY={JWT}",
        "GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568",
        "SPINNER=sk-fading-circle-container-number-12",
        "BUCKET=task-abcdefghijklmnopqrstuvwx1234567890",
        "OPENAI_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
)
def test_a_variable_that_something_is_still_put_into_or_that_is_public_is_none(given: str) -> None:
    assert env_secrets({"Config": {"Env": [given]}}) == []


@pytest.mark.parametrize(
    ("command", "hits"),
    [
        ("RUN /bin/sh -c mysql -uroot --password=hunter2 < seed.sql # buildkit", ["--password"]),
        ('CMD ["redis-server" "--requirepass" "hunter2"]', ["--requirepass"]),
        ('CMD ["redis-server", "--requirepass", "hunter2"]', ["--requirepass"]),
        ("CMD redis-server --requirepass hunter2", ["--requirepass"]),
        ('CMD ["app" "--db-password=hunter2"]', ["--db-password"]),
        ("RUN /bin/sh -c keytool -importcert -storepass hunter2 -noprompt", ["-storepass"]),
        ("CMD java -Dspring.datasource.password=hunter2 -jar app.jar", ["-Dspring.datasource.password"]),
        ("RUN /bin/sh -c deploy --api-key 'abc def' now", ["--api-key"]),
        ("RUN /bin/sh -c curl -u admin:hunter2 https://x # buildkit", ["curl-user"]),
        ("RUN /bin/sh -c curl -fsSLu admin:hunter2 https://x", ["curl-user"]),
        ("RUN /bin/sh -c curl -o a https://x --user 'admin:hunter2'", ["curl-user"]),
        ("RUN /bin/sh -c curl -H 'Authorization: Bearer abcdefghijklmnop' https://x", ["authorization"]),
        ('RUN /bin/sh -c wget --header="Authorization: Basic YWRtaW46aHVudGVyMg==" https://x', ["authorization"]),
        ("RUN git clone https://0123456789abcdef0123456789abcdef01234567@github.com/a/b", ["url-token"]),
        ("/bin/sh -c #(nop)  ENV OLD_PASSWORD=$uperSecret1", ["OLD_PASSWORD"]),
    ],
)  # fmt: skip
def test_a_secret_among_the_arguments_of_a_build_is_found(command: str, hits: list[str]) -> None:
    assert history_secrets([{"CreatedBy": command}]) == hits


@pytest.mark.parametrize(
    "command",
    [
        "RUN /bin/sh -c adduser --disabled-password --gecos '' app",
        "RUN /bin/sh -c adduser --disabled-password app",
        "RUN /bin/sh -c adduser -D -H --no-create-home app && echo app:!:1 > /etc/shadow",
        "RUN /bin/sh -c mysql --password=$DB_PASSWORD < seed.sql",
        'RUN /bin/sh -c mysql --password="$(cat /run/secrets/db)" < seed.sql',
        "RUN /bin/sh -c mysql -uroot --password shop < seed.sql",
        "RUN /bin/sh -c docker login -u app --password-stdin registry.example.com",
        "RUN /bin/sh -c gpg --batch --passphrase '' --quick-gen-key app",
        "RUN /bin/sh -c deploy --token-file /run/secrets/token --token \"$TOKEN\"",
        "RUN /bin/sh -c docker build --secret id=npm,src=.npmrc .",
        "RUN /bin/sh -c app --private-key server.key --password --verbose",
        "RUN /bin/sh -c keytool -cacerts -storepass changeit -noprompt -importcert -file ca.crt",
        'CMD ["serve" "--max-tokens" "4096"]',
        "RUN /bin/sh -c curl -u \"$USER:$PASS\" https://x",
        "RUN /bin/sh -c curl -u app:$PASS https://x",
        "RUN /bin/sh -c curl -fsSL https://example.com:8443/x -o /usr/x:y",
        "RUN /bin/sh -c install -o app:app x && chown -R 1000:1000 /app && su -u app:app",
        "RUN /bin/sh -c curl -H \"Authorization: Bearer $TOKEN\" https://x",
        "RUN /bin/sh -c curl -H 'Authorization: Bearer ********' https://x",
        "RUN /bin/sh -c git clone https://x-access-token:$TOKEN@github.com/a/b",
        "RUN /bin/sh -c git clone https://$TOKEN@github.com/a/b",
        "RUN /bin/sh -c pip install git+https://git@github.com/a/b",
    ],
)  # fmt: skip
def test_what_a_build_says_without_giving_a_secret_away_is_none(command: str) -> None:
    assert history_secrets([{"CreatedBy": command}]) == []


@pytest.mark.parametrize(
    "piece", ["curl -u", "--password ", "-a ", "curl ", "'\"", "--a=", "https://a1", "authorization:"]
)
def test_a_command_without_end_is_looked_through_soon(piece: str) -> None:
    began = time.process_time()
    secret_arguments(piece * 20_000)
    history_secrets([{"CreatedBy": piece * 20_000}])
    assert time.process_time() - began < 4
