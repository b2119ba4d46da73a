"""What the docs probe says of documents: whether they are there, whole, true to the repository, and new enough."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes.docs import DocsProbe
from tests.git_repo import Repo
from tests.judged import verdict
from tests.one_step import OneStep
from tests.probe_context import probe_context

Ask = Callable[..., Awaitable[Measurement]]
WORDS = "word " * 120
GOOD = f"""\
# Deployment

{WORDS}

## Prerequisites

See [the map](architecture.md#services) and `scripts/deploy.sh`.

## Rollback steps

```sh
cd back && make -C . build
./scripts/deploy.sh v1.4.0   # goes out
docker compose -f compose.yaml up -d web db
docker compose exec -T web python manage.py migrate
VERSION=1 bash scripts/deploy.sh "$VERSION" | tee log
npm run build
```
"""


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "shop")
    made.write("scripts/deploy.sh")
    made.write("Makefile", "build test: deps\n\ttrue\n.PHONY: build\ndeps :\nX := 1\n")
    made.write("back/Makefile", "build:\n\ttrue\n")
    made.write("back/manage.py")
    made.write("manage.py")
    made.write("package.json", '{"scripts": {"build": "x"}}')
    made.write("compose.yaml", "services: { web: { image: a:1 }, db: { image: b:1 } }\n")
    made.write("docs/architecture.md", "# Architecture\n\n## Services\n\nThe web talks to db.\n")
    made.git("add", ".")
    made.git("commit", "--quiet", "--message", "all")
    return made


@pytest.fixture
def ask(repo: Repo) -> Ask:
    async def asked(*paths: str, within: float = 20, **keys: Any) -> Measurement:
        environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        context = replace(probe_context(repo.path, within), environ=environ)
        probe = DocsProbe.model_validate({"paths": list(paths) or ["docs/deploy.md"], **keys})
        return await probe.measure(context)

    return asked


async def seen_of(repo: Repo, ask: Ask, text: str, name: str = "docs/deploy.md", **keys: Any) -> dict[str, Any]:
    repo.write(name, text)
    return dict((await ask(name, **keys)).observed)


# There and whole


async def test_a_runbook_that_is_whole_and_true_passes(repo: Repo, ask: Ask) -> None:
    repo.commit("docs/deploy.md", GOOD)
    seen = await ask(headings=["prerequisites", "Rollback"])
    for name in ("dead_links", "dead_paths", "dead_commands", "headings_missing"):
        assert seen.observed[name] == [], name
    assert (seen.observed["found"], seen.observed["missing"], seen.observed["stale"]) == (1, 0, False)
    assert seen.observed["blob"] == repo.git("rev-parse", "HEAD:docs/deploy.md")
    assert verdict(DocsProbe, seen) is Verdict.PASS


async def test_no_document_observes_nothing_that_could_pass(ask: Ask) -> None:
    seen = await ask(headings=["RTO"])
    assert seen.observed == {"found": 0, "missing": 1}
    assert verdict(DocsProbe, seen) is Verdict.FAIL
    assert verdict(DocsProbe, seen, "size(headings_missing) == 0") is Verdict.UNKNOWN
    assert verdict(DocsProbe, seen, "found >= 1 && size(headings_missing) == 0") is Verdict.FAIL


async def test_one_of_several_documents_missing_is_told(repo: Repo, ask: Ask) -> None:
    repo.write("docs/deploy.md", GOOD)
    assert (await ask("docs/*.md", "docs/gone.md")).observed["missing"] == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "# RTO and *RPO*\n"),
        ("a.md", "RTO and RPO\n=====\n"),
        ("a.md", "---\ntitle: x\n---\n\n## RTO and [RPO](x.md) ##\n"),
        ("a.rst", "RTO and RPO\n===========\n\ntext\n"),
        ("a.rst", "===========\nRTO and RPO\n===========\n"),
        ("a.adoc", "= Title\n\n== RTO and RPO\n"),
    ],
)
async def test_headings_are_found_in_each_language(repo: Repo, ask: Ask, name: str, text: str) -> None:
    assert (await seen_of(repo, ask, text, name, headings=["rto", "RPO$"]))["headings_missing"] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "```sh\n# RTO\n```\n"),
        ("a.md", "RTO\n"),
        ("a.md", "#RTO\n"),
        ("a.md", "| RTO |\n|-----|\n"),
        ("a.md", "~~~\n```\n# RTO\n"),
        ("a.rst", "Code::\n\n  RTO\n  ===\n"),
        ("a.adoc", "----\n== RTO\n----\n"),
    ],
)
async def test_what_is_no_heading_does_not_count(repo: Repo, ask: Ask, name: str, text: str) -> None:
    assert (await seen_of(repo, ask, text, name, headings=["RTO"]))["headings_missing"] == ["RTO"]


async def test_words_and_what_is_left_to_do_are_counted(repo: Repo, ask: Ask) -> None:
    seen = await seen_of(repo, ask, "one two\n\nTODO: three `TODO` todo TBD\n\n```\nTODO\n```\n", min_words=20)
    assert (seen["todo"], seen["short"], seen["words"]) == (2, 1, 7)


# True to the repository


@pytest.mark.parametrize(
    ("name", "text", "dead"),
    [
        ("a.md", "[x](gone.md)", ["gone.md"]),
        ("a.md", "![x](img/gone.png 'title')", ["img/gone.png"]),
        ("a.md", "[x][1]\n\n[1]: gone.md", ["gone.md"]),
        ("a.md", "<a href='gone.html'>x</a>", ["gone.html"]),
        ("a.md", "[x](docs/architecture.md#gone)", ["docs/architecture.md#gone"]),
        ("a.md", "# Title\n\n[x](#title) [y](#gone)", ["#gone"]),
        ("a.md", "[x](/docs/gone.md)", ["/docs/gone.md"]),
        ("a.md", "[x](docs/architecture.md) [x](docs) [x](docs/architecture) [x](/docs/architecture.md#services)", []),
        ("a.md", "`[x](gone.md)` and\n```\n[x](gone.md)\n```", []),
        ("a.md", "[x](https://x.example/gone) [x](mailto:a@b.c) [x](../../issues) [x]({{ y }}) [x](do%63s/)", []),
        ("a.rst", "`x <gone.rst>`_ and\n\n.. image:: gone.png\n", ["gone.rst", "gone.png"]),
        ("a.adoc", "link:gone.adoc[x] image::docs/gone.png[]", ["gone.adoc", "docs/gone.png"]),
    ],
)
async def test_links_to_nothing_are_dead(repo: Repo, ask: Ask, name: str, text: str, dead: list[str]) -> None:
    seen = await seen_of(repo, ask, text, name)
    assert [one.split(": ", 1)[1] for one in seen["dead_links"]] == dead
    assert "dead_links" not in await seen_of(repo, ask, text, name, links="none")


@pytest.mark.parametrize(
    ("span", "dead"),
    [
        *(("scripts/gone.sh", True), ("./gone.sh", False), ("./tools/gone", True), ("docs/gone", True)),
        *(("other/gone.py", True), ("scripts/deploy.sh", False), ("scripts/deploy.sh:12", False), ("scripts/", False)),
        *(("application/json", False), ("origin/main", False), ("/etc/gone.conf", False), ("scripts/*.sh", False)),
        *(("acme/shop:1.0", False), ("scripts/<name>.sh", False), ("architecture.md", False)),
    ],
)
async def test_paths_in_backquotes_must_be_there(repo: Repo, ask: Ask, span: str, dead: bool) -> None:
    repo.write("gone.sh")
    seen = await seen_of(repo, ask, f"See `{span}` there.")
    assert bool(seen["dead_paths"]) is dead


@pytest.mark.parametrize(
    ("command", "dead"),
    [
        ("./scripts/gone.sh", "./scripts/gone.sh"),
        ("$ ./scripts/gone.sh --now", "./scripts/gone.sh"),
        ("root@web:~# scripts/gone.sh", "scripts/gone.sh"),
        ("sudo -E true; A=1 scripts/gone.sh", "scripts/gone.sh"),
        ("bash scripts/gone.sh", "scripts/gone.sh"),
        ("python gone.py", "gone.py"),
        ("cd back && python manage.py migrate && ./gone", "./gone"),
        ("make gone", "make gone"),
        ("make -j 4 build gone X=1", "make gone"),
        ("make -C back test", "make test"),
        ("docker compose up -d gone", "docker compose up gone"),
        ("docker compose -p x exec -u root gone sh", "docker compose exec gone"),
        ("docker-compose logs --tail 100 gone", "docker compose logs gone"),
        ("docker compose -f gone.yaml up", "gone.yaml"),
        ("npm run gone", "npm run gone"),
        ("true | ./scripts/gone.sh", "./scripts/gone.sh"),
        ("make \\\n  gone", "make gone"),
        ("make build deps", None),
        ("make -C back build", None),
        ("docker compose up --scale web=3 web", None),
        ("docker compose run --rm -e A=1 web ./gone.sh", None),
        ("docker compose exec <service> sh", None),
        ("docker compose up -d > gone.log", None),
        ("./scripts/$NAME.sh", None),
        ("./scripts/NAME", None),
        ("/usr/local/bin/gone", None),
        ("curl https://x.example/gone.sh", None),
        ("python -m gone.py", None),
        ("python -c 'x/y'", None),
        ("cd /srv/shop && ./gone.sh", None),
        ("cd elsewhere\n./gone.sh", None),
        ("# ./scripts/gone.sh", None),
        ("echo './unclosed", None),
        ("git push origin/gone", None),
        ("make TARGET", None),
    ],
)
async def test_commands_must_be_there(repo: Repo, ask: Ask, command: str, dead: str | None) -> None:
    seen = await seen_of(repo, ask, f"text\n\n```bash\n{command}\n```\n")
    assert [one.split(": ", 1)[1] for one in seen["dead_commands"]] == ([] if dead is None else [dead])


@pytest.mark.parametrize(
    ("fence", "text", "dead"),
    [
        ("", "src/a.py\nsrc/b.py", 0),
        ("", "./gone.sh", 1),
        ("text", "$ scripts/gone.sh\nscripts/other-gone.sh printed this", 1),
        ("console", "$ make build\nmake: gone/x", 0),
        ("python", "./gone.sh", 0),
        ("yaml", "run: ./gone.sh", 0),
    ],
)
async def test_only_what_is_surely_a_command_counts(repo: Repo, ask: Ask, fence: str, text: str, dead: int) -> None:
    assert len((await seen_of(repo, ask, f"```{fence}\n{text}\n```\n"))["dead_commands"]) == dead


async def test_where_targets_or_services_cannot_all_be_known_none_is_dead(repo: Repo, ask: Ask) -> None:
    repo.write("Makefile", "include more.mk\nbuild:\n")
    repo.write("compose.yaml", "include: [oci://x/y]\nservices: { web: { image: a:1 } }\n")
    assert (await seen_of(repo, ask, "```sh\nmake gone\ndocker compose up gone\n```\n"))["dead_commands"] == []


async def test_nothing_of_a_document_is_run(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    await seen_of(repo, ask, f"```sh\ntouch {tmp_path}/ran\n$(touch {tmp_path}/ran)\n```\n`touch {tmp_path}/ran`\n")
    assert not (tmp_path / "ran").exists()


# What must be mentioned


async def test_services_of_compose_files_must_be_mentioned(repo: Repo, ask: Ask) -> None:
    wanted: dict[str, Any] = {"must_mention": {"from": "compose"}}
    seen = (await ask("docs/architecture.*", **wanted)).observed
    assert (seen["mentions_ratio"], seen["not_mentioned"]) == (1.0, [])
    repo.write("compose.yaml", "services: { web: { image: a:1 }, we: { image: a:1 }, cache: { image: b:1 } }\n")
    seen = (await ask("docs/architecture.*", **wanted)).observed
    assert seen["not_mentioned"] == ["we", "cache"]
    assert seen["mentions_ratio"] == pytest.approx(1 / 3)
    repo.write("compose.yaml", "services: {}\n")
    assert "mentions_ratio" not in (await ask("docs/architecture.*", **wanted)).observed
    (repo.path / "compose.yaml").unlink()
    with pytest.raises(ProbeError, match="no file of compose"):
        await ask("docs/architecture.*", **wanted)


async def test_tables_that_migrations_leave_must_be_mentioned(repo: Repo, ask: Ask) -> None:
    repo.write("db/1.sql", 'CREATE TABLE IF NOT EXISTS public."orders" (id int);\ncreate table old (id int);\n')
    repo.write(
        "db/2.sql", "DROP TABLE old;\nALTER TABLE orders RENAME TO purchases;\n-- +goose Down\nCREATE TABLE x(i int);\n"
    )
    repo.write("shop/migrations/0001_initial.py", "migrations.CreateModel(\n    name='Item',\n    fields=[])\n")
    repo.write(
        "alembic/a.py", "def upgrade():\n    op.create_table('users')\ndef downgrade():\n    op.drop_table('users')\n"
    )
    files = ["db/*.sql", "shop/migrations/*.py", "alembic/*.py"]
    wanted: dict[str, Any] = {"must_mention": {"from": "tables", "files": files}}
    seen = await seen_of(repo, ask, "The tables users and shop_item.\n", **wanted)
    assert (seen["not_mentioned"], seen["mentions_ratio"]) == (["purchases"], pytest.approx(2 / 3))
    assert (await seen_of(repo, ask, "users item purchases\n", **wanted))["mentions_ratio"] == 1


async def test_alerts_of_rule_files_must_be_mentioned(repo: Repo, ask: Ask) -> None:
    repo.write("ops/a.yml", "groups:\n- name: x\n  rules:\n  - { alert: HighErrorRate, expr: up }\n  - { record: y }\n")
    wanted: dict[str, Any] = {"must_mention": {"from": "alerts", "files": ["ops/*.yml"]}}
    assert (await seen_of(repo, ask, "## HighErrorRate\n", **wanted))["mentions_ratio"] == 1
    assert (await seen_of(repo, ask, "high error rate\n", **wanted))["not_mentioned"] == ["HighErrorRate"]
    repo.write("ops/a.yml", "groups: [\n")
    with pytest.raises(ProbeError, match=r"ops/a\.yml"):
        await ask("docs/deploy.md", **wanted)


async def test_what_a_program_names_must_be_mentioned(repo: Repo, ask: Ask) -> None:
    probe = DocsProbe.model_validate({"paths": ["a.md"], "must_mention": {"from": "cmd", "run": ["./names"]}})
    assert [one.run for one in probe.programs()] == [("./names",)]
    repo.write("names", "#!/bin/sh\necho users\necho\necho orders\n").chmod(0o755)
    wanted: dict[str, Any] = {"must_mention": {"from": "cmd", "run": ["./names"]}}
    assert (await seen_of(repo, ask, "users\n", **wanted))["not_mentioned"] == ["orders"]
    repo.write("names", "#!/bin/sh\necho users\nexit 3\n")
    with pytest.raises(ProbeError, match="exit 3"):
        await ask("docs/deploy.md", **wanted)


async def test_given_words_and_phrases_count_as_words(repo: Repo, ask: Ask) -> None:
    wanted: dict[str, Any] = {"must_mention": ["captain rollback", "db", "web-1"]}
    assert (await seen_of(repo, ask, "Run captain\nrollback, then dbx.\n", **wanted))["not_mentioned"] == [
        "db",
        "web-1",
    ]
    assert (await seen_of(repo, ask, "captain rollback (db). web-1!", **wanted))["mentions_ratio"] == 1


async def test_of_a_picture_only_that_it_is_there_is_known(repo: Repo, ask: Ask) -> None:
    (repo.path / "docs" / "map.png").write_bytes(b"\x89PNG\0")
    seen = await ask("docs/map.*", must_mention=["web"], headings=["x"])
    assert seen.observed["found"] == 1
    assert not seen.observed.keys() & {"mentions_ratio", "headings_missing", "words", "dead_links"}
    assert verdict(DocsProbe, seen, "mentions_ratio >= 0.8") is Verdict.UNKNOWN
    repo.write("docs/map.mmd", "graph TD\n  web --> db\n")
    assert (await ask("docs/map.*", must_mention=["web"])).observed["mentions_ratio"] == 1


# As new as what it describes


async def test_a_document_older_than_what_it_describes_is_stale(repo: Repo, ask: Ask) -> None:
    repo.commit("docs/deploy.md", GOOD, at="2024-01-01T00:00:00Z")
    repo.commit("deploy/a.sh", at="2024-02-01T00:00:00Z")
    old = await ask()
    assert old.observed["stale"] is True
    assert old.observed["last_commit_age"] > timedelta(days=365)  # type: ignore[operator]
    assert (await ask(stale_after="3650d")).observed["stale"] is False
    assert (await ask(newer_than=["deploy/**"])).observed["stale"] is True
    repo.commit("docs/deploy.md", GOOD + "more\n", at="2024-03-01T00:00:00Z")
    assert (await ask(newer_than=["deploy/**"])).observed["stale"] is False
    assert "stale" not in (await ask(newer_than=["gone/**"])).observed


async def test_what_no_commit_has_and_a_shallow_clone_have_no_age(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    seen = await seen_of(repo, ask, GOOD)
    assert not seen.keys() & {"stale", "last_commit_age"}
    repo.commit("docs/deploy.md", GOOD, at="2020-01-01T00:00:00Z")
    repo.commit("x.py")
    repo.git("clone", "--quiet", "--depth=1", f"file://{repo.path}", str(tmp_path / "clone"))
    context = replace(probe_context(tmp_path / "clone", 20), environ={"PATH": os.environ["PATH"]})
    shallow = await DocsProbe(paths=("docs/deploy.md",)).measure(context)
    assert "stale" not in shallow.observed
    assert verdict(DocsProbe, shallow) is Verdict.UNKNOWN


# On the web


async def test_dead_addresses_are_told_and_unclear_ones_prove_nothing(
    repo: Repo, ask: Ask, hostile_server: Any
) -> None:
    import asyncio

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1]
        status = {b"/ok": b"200 OK", b"/gone": b"404 Gone", b"/login": b"403 No", b"/get": b"405 No"}[path]
        if path == b"/get" and head.startswith(b"GET"):
            status = b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.2", 0)
    port = server.sockets[0].getsockname()[1]
    base = f"http://host.docker:{port}"
    import captain.http as http

    asked: list[str] = []
    real = http.fetch

    async def here(url: str, **keys: Any) -> Any:
        asked.append(url)
        return await real(url.replace("host.docker", "127.0.0.2"), **keys)

    http.fetch, before = here, http.fetch
    try:
        text = f"[a]({base}/ok) [b]({base}/gone#x) [c]({base}/get) [d](http://localhost/x) <https://example.com/y>\n"
        seen = await seen_of(repo, ask, text, links="all")
        assert [one.split(": ", 1)[1] for one in seen["dead_links"]] == [f"{base}/gone"]
        assert seen["links_unanswered"] == 0
        seen = await seen_of(repo, ask, f"[a]({base}/ok) [d]({base}/login)\n", links="all")
        assert "dead_links" not in seen
        assert seen["links_unanswered"] == 1
        assert not [url for url in asked if "localhost" in url or "example" in url]
        asked.clear()
        assert (await seen_of(repo, ask, text))["dead_links"] == []
        assert not asked
    finally:
        http.fetch = before
        server.close()
        await server.wait_closed()


# What could go on for ever


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        "[a](" * 200_000,
        "`" * 500_000,
        "```sh\n" + "make x && " * 100_000 + "\n```",
        "```sh\n" + "./gone\n" * 100_000 + "```",
        "<a " * 300_000,
        "# a\n" * 100_000,
        "x\n=\n" * 100_000,
        "http://" * 100_000,
        ".. _" * 100_000,
    ],
)
@pytest.mark.parametrize("end", ["md", "rst"])
async def test_hostile_documents_end_soon_and_small(repo: Repo, ask: Ask, text: str, end: str) -> None:
    repo.write(f"docs/x.{end}", text)
    began = time.monotonic()
    await ask(f"docs/x.{end}")
    assert time.monotonic() - began < 6


async def test_what_is_too_much_to_look_at_proves_nothing_dead(repo: Repo, ask: Ask) -> None:
    seen = await seen_of(repo, ask, "".join(f"[x](architecture.md?{n})\n" for n in range(2500)))
    assert "dead_links" not in seen
    seen = await seen_of(repo, ask, "```sh\n" + "make build\n" * 2500 + "```\n")
    assert "dead_commands" not in seen


async def test_memory_stays_bounded(repo: Repo, ask: Ask) -> None:
    repo.write("docs/x.md", "# head `a/b.py` [x](y.md)\n" * 10_000)
    tracemalloc.start()
    try:
        await ask("docs/x.md")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150 * 1024 * 1024


@pytest.mark.parametrize(
    "keys",
    [
        *({"paths": []}, {"paths": ["../x.md"]}, {"paths": ["a.md"], "headings": ["(a+)+"]}),
        {"paths": ["a.md"], "must_mention": {"from": "tables", "run": ["x"]}},
        {"paths": ["a.md"], "must_mention": {"from": "cmd"}},
        {"paths": ["a.md"], "must_mention": {"from": "wishes"}},
        {"paths": ["a.md"], "must_mention": "x"},
        {"paths": ["a.md"], "links": "some"},
    ],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DocsProbe.model_validate(keys)


async def test_a_step_through_the_engine_says_what_is_dead(repo: Repo) -> None:
    one = OneStep(repo.path)
    repo.commit("docs/deploy.md", GOOD + "[x](gone.md)\n")
    recorded = await one.ask("docs: { paths: [docs/deploy.md], must_mention: { from: compose } }\n")
    assert recorded.data["verdict"] == "fail"
    assert any(b": gone.md" in data for _, data in one.everything())
