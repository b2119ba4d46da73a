"""What the compose probe reads from compose files, and that nothing it did not read counts as fine."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes.compose import ComposeProbe
from tests.judged import verdict
from tests.one_step import OneStep
from tests.probe_context import probe_context

GOOD = Path(__file__).parents[1] / "data" / "payloads" / "compose_good.yml"
PLANTED = "hunter2-planted-9f3"
Ask = Callable[..., Awaitable[Measurement]]
Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    return made


@pytest.fixture
def write(root: Path) -> Write:
    def written(text: str, name: str = "compose.yaml") -> Path:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return written


@pytest.fixture
def ask(root: Path) -> Ask:
    async def asked(**keys: Any) -> Measurement:
        return await ComposeProbe.model_validate(keys).measure(probe_context(root, 10))

    return asked


def service(*lines: str, name: str = "web") -> str:
    return f"services:\n  {name}:\n    image: shop:1\n" + "".join(f"    {line}\n" for line in lines)


async def seen_of(write: Write, ask: Ask, *lines: str, **keys: Any) -> dict[str, Any]:
    write(service(*lines))
    return dict((await ask(**keys)).observed)


# What a file says


async def test_f30_a_file_with_reset_and_texts_that_look_like_numbers_passes(
    write: Write, ask: Ask, root: Path
) -> None:
    write(GOOD.read_text())
    (root / ".env").write_text("A=1\n")
    (root / ".env").chmod(0o600)
    seen = await ask()
    expected = {"services": 2, "has_version_key": 0, "literal_secrets": 0, "default_secrets": 0, "internal_networks": 1}
    assert {name: seen.observed[name] for name in expected} == expected
    assert (seen.observed["published_data_ports"], seen.observed["env_files_missing"]) == (0, 0)
    assert (seen.observed["no_limits"], seen.observed["env_files_open_mode"]) == (1, 0)
    assert verdict(ComposeProbe, seen) is Verdict.PASS


async def test_f30_a_port_of_22_22_and_on_stay_text(write: Write, ask: Ask) -> None:
    seen = await seen_of(write, ask, "ports: [22:22]", "environment: { on: off, RATIO: 1.10 }")
    assert (seen["fixed_host_ports"], seen["literal_secrets"]) == (1, 0)


@pytest.mark.parametrize(
    "line",
    [
        f"environment: {{ SECRET_KEY: {PLANTED} }}",
        f"environment: [SECRET_KEY={PLANTED}]",
        f"environment: {{ DATABASE_URL: 'postgres://app:{PLANTED}@db/shop' }}",
        f"environment: {{ DATABASE_URL: 'postgres://app:{PLANTED}@${{DB_HOST}}/shop' }}",
        f"environment: {{ PGOPTIONS: 'host=db password={PLANTED}' }}",
        f"environment: {{ SENTRY_DSN: 'https://{PLANTED}@o1.ingest.sentry.io/1' }}",
        f"build: {{ context: ., args: {{ NPM_TOKEN: {PLANTED} }} }}",
        f"command: [redis-server, --requirepass, {PLANTED}]",
        f"command: redis-server --requirepass {PLANTED}",
        f"environment: {{ DB_PASSWORD: 'pa$${PLANTED}' }}",
    ],
)
async def test_a_secret_in_a_compose_file_fails_and_is_never_repeated(write: Write, ask: Ask, line: str) -> None:
    write(service(line))
    seen = await ask()
    assert seen.observed["literal_secrets"] == 1
    assert verdict(ComposeProbe, seen) is Verdict.FAIL
    assert PLANTED not in repr(seen)


@pytest.mark.parametrize(
    "value",
    [
        f"${{DB_PASSWORD:-{PLANTED}}}",
        f"${{DB_PASSWORD-{PLANTED}}}",
        f"${{A:-${{B:-{PLANTED}}}}}",
        f"postgres://app:${{DB_PASSWORD:-{PLANTED}}}@db/shop",
    ],
)
async def test_a_secret_as_a_default_fails(write: Write, ask: Ask, value: str) -> None:
    write(service(f"environment: {{ DB_PASSWORD: '{value}' }}"))
    seen = await ask()
    assert (seen.observed["literal_secrets"], seen.observed["default_secrets"]) == (0, 1)
    assert verdict(ComposeProbe, seen) is Verdict.FAIL
    assert PLANTED not in repr(seen)


@pytest.mark.parametrize(
    "value",
    [
        *("${DB_PASSWORD}", "$DB_PASSWORD", "${DB_PASSWORD:?set it}", "${DB_PASSWORD:-}", "", "/run/secrets/db"),
        *("postgres://app:${DB_PASSWORD:?}@db/shop", "${A:-${B}}"),
    ],
)
async def test_what_names_a_secret_without_holding_it_is_fine(write: Write, ask: Ask, value: str) -> None:
    seen = await seen_of(write, ask, f"environment: {{ DB_PASSWORD: '{value}' }}")
    assert (seen["literal_secrets"], seen["default_secrets"]) == (0, 0)
    seen = await seen_of(write, ask, "environment: { REDIS_URL: 'redis://redis:6379/0', API_URL: 'http://api:80' }")
    assert (seen["literal_secrets"], seen["default_secrets"]) == (0, 0)
    seen = await seen_of(write, ask, "environment:", "  DB_PASSWORD:", "  DB_PASSWORD_FILE: /run/secrets/db")
    assert (seen["literal_secrets"], seen["default_secrets"]) == (0, 0)


async def test_a_secret_that_an_anchor_brings_into_services_is_one_place(write: Write, ask: Ask) -> None:
    write(
        f"x-env: &env {{ SECRET_KEY: {PLANTED} }}\n"
        "services:\n  a: { image: s:1, environment: *env }\n  b: { image: s:1, environment: { <<: *env, X: 1 } }\n"
    )
    seen = await ask()
    assert seen.observed["literal_secrets"] == 1
    assert seen.observed["findings"][0]["line"] == 1  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("no_limits", "mem_limit: 1g", "deploy: { resources: { limits: { cpus: '0.5', memory: 512M } } }"),
        ("no_limits", "cpus: 0", "{ cpus: 1, mem_limit: 1g }"),
        ("no_healthcheck", "healthcheck: { disable: true }", "healthcheck: { test: curl localhost }"),
        ("no_healthcheck", "healthcheck: { test: [NONE] }", "healthcheck: { test: [CMD, true] }"),
        ("no_restart", "restart: no", "restart: unless-stopped"),
        ("no_restart", "restart: ''", "restart: 'on-failure:3'"),
        ("root_user", "user: '0:0'", "user: '1000'"),
        ("root_user", "user: '${UID:-root}'", "user: nobody"),
        ("privileged", "privileged: true", "privileged: false"),
        ("fixed_container_names", "container_name: web", "labels: {}"),
        ("fixed_host_ports", "ports: ['8000:80']", "ports: ['80', '8000-8010:80']"),
        ("fixed_host_ports", "ports: [{ target: 80, published: 8000 }]", "ports: [{ target: 80 }]"),
        ("host_network", "network_mode: host", "network_mode: bridge"),
        ("sock_mounts", "volumes: ['/var/run/docker.sock:/x:ro']", "volumes: ['data:/x']"),
        ("sock_mounts", "volumes: ['${SOCK:-/var/run/docker.sock}:/x']", "volumes: ['./x:/x']"),
        ("sock_mounts", "volumes: [{ type: bind, source: /run//docker.sock, target: /x }]", "volumes: []"),
        ("host_mounts", "volumes: ['/:/host:ro']", "volumes: ['/srv/shop:/x']"),
        ("anonymous_volumes", "volumes: [/data]", "volumes: ['data:/data']"),
        ("anonymous_volumes", "volumes: [{ type: volume, target: /d }]", "volumes: [{ type: tmpfs, target: /d }]"),
        ("latest_tags", "image: redis", "image: redis:7"),
        ("latest_tags", "image: 'reg.example:5000/shop:${TAG:-latest}'", "image: reg.example:5000/shop:1"),
        ("log_unbounded", "logging: { driver: json-file }", "logging: { options: { max-size: 10m } }"),
        ("log_unbounded", "init: true", "logging: { driver: local }"),
    ],
)
async def test_each_rule_tells_the_bad_from_the_good(write: Write, ask: Ask, name: str, bad: str, good: str) -> None:
    for line, count in ((bad, 1), (good, 0)):
        lines = line.strip("{} ").split(", ") if line.startswith("{ ") else [line]
        text = service(*lines)
        text = text.replace("    image: shop:1\n", "") if any(each.startswith("image:") for each in lines) else text
        write(text)
        assert (await ask()).observed[name] == count, line


async def test_services_that_run_once_need_no_check_and_no_restart(write: Write, ask: Ask) -> None:
    write(
        "services:\n  migrate: { image: s:1 }\n"
        "  web: { image: s:1, restart: always, healthcheck: { test: x },"
        " depends_on: { migrate: { condition: service_completed_successfully } } }\n"
    )
    seen = (await ask()).observed
    assert (seen["no_healthcheck"], seen["no_restart"]) == (0, 0)


@pytest.mark.parametrize(
    ("ports", "count"),
    [("['5432:5432']", 1), ("['5432']", 1), ("['127.0.0.1:5432:5432']", 0), ("['[::1]:5432:5432']", 0), ("[]", 0)],
)
async def test_a_database_that_others_can_reach_is_told(write: Write, ask: Ask, ports: str, count: int) -> None:
    write(f"services:\n  db:\n    image: postgres:16\n    ports: {ports}\n")
    assert (await ask()).observed["published_data_ports"] == count


async def test_where_no_service_is_known_to_keep_data_nothing_is_said_of_its_ports(write: Write, ask: Ask) -> None:
    write(service("ports: ['5432:5432']", name="store"))
    seen = await ask()
    assert "published_data_ports" not in seen.observed
    assert any("roles" in note for note in seen.notes)
    assert (await ask(roles={"store": "data"})).observed["published_data_ports"] == 1
    write("services: { postgres-exporter: { image: 'postgres-exporter:1', ports: ['9187:9187'] } }\n")
    assert "published_data_ports" not in (await ask()).observed


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("user: ${UID}", "root_user"),
        ("network_mode: ${MODE}", "host_network"),
        ("privileged: ${P}", "privileged"),
        ("volumes: ['${SRC}:/x']", "sock_mounts"),
        ("env_file: [a.env, '${ENV}.env']", "env_files_open_mode"),
        ("{ mem_limit: '${MEM}', cpus: 1 }", "no_limits"),
        ("logging: { driver: '${LOG}' }", "log_unbounded"),
    ],
)
async def test_what_hangs_on_a_variable_is_left_out(write: Write, ask: Ask, line: str, name: str) -> None:
    lines = line.strip("{} ").split(", ") if line.startswith("{ ") else [line]
    assert name not in await seen_of(write, ask, *lines)


# Env files


async def test_env_files_are_looked_at_and_never_read(write: Write, ask: Ask, root: Path) -> None:
    (root / "deploy").mkdir()
    (root / "deploy" / "open.env").write_text(f"SECRET_KEY={PLANTED}\n")
    (root / "deploy" / "open.env").chmod(0o644)
    entries = "[open.env, { path: gone.env }, { path: maybe.env, required: false }]"
    write(service(f"env_file: {entries}"), "deploy/compose.yaml")
    seen = await ask(files=["deploy/compose.yaml"])
    assert (seen.observed["env_files_missing"], seen.observed["env_files_open_mode"]) == (1, 1)
    assert PLANTED not in repr(seen)
    elsewhere = await ask(files=["deploy/compose.yaml"], project_dir=".")
    assert elsewhere.observed["env_files_missing"] == 2
    assert (await seen_of(write, ask, "env_file: gone.env"))["env_files_missing"] == 1


# Several files


async def test_overrides_are_merged_as_compose_does(write: Write, ask: Ask) -> None:
    write(service("environment: [A=1, B=2]", "ports: ['8000:80']", "user: root", "volumes: ['a:/x', 'b:/y']"))
    write(
        "services:\n  web:\n    user: nobody\n    environment: { B: 3 }\n    ports: ['9000:80']\n"
        "    volumes: ['/var/run/docker.sock:/x']\n",
        "compose.override.yaml",
    )
    both = (await ask()).observed
    assert (both["files"], both["root_user"], both["fixed_host_ports"], both["sock_mounts"]) == (2, 0, 2, 1)
    only = (await ask(files=["compose.yaml"])).observed
    assert (only["files"], only["root_user"], only["fixed_host_ports"], only["sock_mounts"]) == (1, 1, 1, 0)


async def test_reset_takes_away_and_override_replaces(write: Write, ask: Ask) -> None:
    write(service("ports: ['8000:80', '8001:81']", f"environment: {{ SECRET_KEY: {PLANTED} }}", "user: root"))
    write(
        "services:\n  web:\n    ports: !override ['9000:80']\n    environment: { SECRET_KEY: !reset null }\n"
        "    user: !reset ''\n",
        "prod.yaml",
    )
    seen = (await ask(files=["compose.yaml", "prod.yaml"])).observed
    assert (seen["fixed_host_ports"], seen["literal_secrets"], seen["root_user"]) == (1, 0, 0)


async def test_the_version_key_is_found_in_every_file_and_nowhere_else(write: Write, ask: Ask) -> None:
    write(service("labels: { version: '3' }"))
    assert (await ask()).observed["has_version_key"] == 0
    write("version: '3.9'\n", "compose.override.yml")
    seen = (await ask()).observed
    assert seen["has_version_key"] == 1
    assert {"file": "compose.override.yml", "line": 1, "service": "", "rule": "version-key"} in seen["findings"]  # type: ignore[operator]


async def test_extends_and_includes_are_followed(write: Write, ask: Ask) -> None:
    write(f"services: {{ base: {{ image: s:1, environment: [SECRET_KEY={PLANTED}], env_file: x.env }} }}\n", "c/b.yaml")
    write("services: { cache: { image: 'redis:7', ports: ['6379:6379'] } }\n", "c/cache.yaml")
    write(
        "include: [c/cache.yaml]\n"
        "services:\n  web: { extends: { file: c/b.yaml, service: base }, environment: { A: 1 } }\n"
        "  again: { extends: web }\n"
    )
    seen = await ask()
    assert seen.observed["service_names"] == ["cache", "web", "again"]
    assert (seen.observed["literal_secrets"], seen.observed["published_data_ports"]) == (1, 1)
    assert seen.observed["env_files_missing"] == 2
    write("", "c/x.env")
    assert (await ask()).observed["env_files_missing"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "include: [oci://registry.example/x]\n" + service(),
        "include: [../outside.yaml]\n" + service(),
        "include: ['${MORE}/x.yaml']\n" + service(),
        service("extends: { file: ../../etc/x.yaml, service: base }"),
    ],
)
async def test_what_was_not_read_proves_no_absence(write: Write, ask: Ask, text: str) -> None:
    write(text)
    seen = await ask()
    assert seen.observed["services"] == 1
    assert "literal_secrets" not in seen.observed
    assert verdict(ComposeProbe, seen) is Verdict.UNKNOWN
    assert any("not read" in note for note in seen.notes)
    write(text.replace("image: shop:1", "image: shop:1\n    privileged: true"))
    assert verdict(ComposeProbe, await ask()) is Verdict.FAIL


async def test_profiles_choose_services(write: Write, ask: Ask) -> None:
    write("services:\n  web: { image: s:1 }\n  debug: { image: s:1, profiles: [debug], privileged: true }\n")
    assert (await ask()).observed["privileged"] == 1
    assert (await ask(profiles=["prod"])).observed["privileged"] == 0
    assert (await ask(profiles=["debug"])).observed["services"] == 2


# Nothing to look at


async def test_no_service_observes_nothing_that_could_pass(write: Write, ask: Ask) -> None:
    write("services: {}\n")
    seen = await ask()
    assert {name for name, value in seen.observed.items() if value == 0} == {"services", "has_version_key"}
    assert "literal_secrets" not in seen.observed
    assert verdict(ComposeProbe, seen) is Verdict.FAIL
    assert verdict(ComposeProbe, seen, "literal_secrets == 0") is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "text", ["", "a: [1\n", "- a\n", "a: 1\na: 2\n", "services: [a]\n", "services: { web: text }\n", "a: *b\n"]
)
async def test_a_file_that_compose_could_not_read_either_is_unknown(write: Write, ask: Ask, text: str) -> None:
    write(text)
    with pytest.raises(ProbeError, match=r"compose\.yaml") as caught:
        await ask()
    assert caught.value.fault == "instrument"


async def test_a_missing_file_is_unknown_and_says_what_to_do(ask: Ask) -> None:
    with pytest.raises(ProbeError, match=r"no compose\.yaml") as caught:
        await ask()
    assert caught.value.hint
    with pytest.raises(ProbeError, match=r"gone\.yaml: there is no such file"):
        await ask(files=["gone.yaml"])


@pytest.mark.parametrize("path", ["../x.yaml", "/etc/passwd", "a/../../x"])
def test_files_outside_of_the_folder_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        ComposeProbe.model_validate({"files": [path]})


async def test_a_link_out_of_the_folder_is_not_followed(root: Path, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(service())
    (root / "compose.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(ProbeError, match="outside"):
        await ask()


@pytest.mark.parametrize(
    "text",
    [
        "services: { a: { extends: b }, b: { extends: a } }\n",
        "services: { a: { extends: a } }\n",
        "include: [compose.yaml]\nservices: { a: { image: x:1 } }\n",
        "services:\n  s0: { image: x:1, cap_add: ["
        + ", ".join(f"c{n}" for n in range(500))
        + "] }\n"
        + "".join(f"  s{n}: {{ extends: s{n - 1}, cap_add: [d{n}] }}\n" for n in range(1, 900)),
        "x-a: &a [1,1,1,1,1,1,1,1,1]\nx-b: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nx-c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "x-d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\nx-e: [*d,*d,*d,*d,*d,*d,*d,*d]\n",
        "services: { a: { environment: { A: '" + "${X:-" * 5000 + "}" * 5000 + "' } } }\n",
    ],
)
async def test_hostile_files_end_soon_and_small(write: Write, ask: Ask, text: str) -> None:
    write(text)
    tracemalloc.start()
    began = time.monotonic()
    try:
        seen = await ask()
        assert "services" in seen.observed
    except ProbeError as error:
        assert "compose" in error.message
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.monotonic() - began < 5
    assert peak < 100 * 1024 * 1024


async def test_a_step_through_the_engine_keeps_no_secret(tmp_path: Path) -> None:
    one = OneStep(tmp_path)
    (tmp_path / "compose.yaml").write_text(service(f"environment: {{ SECRET_KEY: {PLANTED} }}"))
    recorded = await one.ask("compose: { files: [compose.yaml] }\n")
    assert recorded.data["verdict"] == "fail"
    assert not [where for where, data in one.everything() if PLANTED.encode() in data]
