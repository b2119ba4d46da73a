"""What the shipped review says of the first four categories where something runs: good systems and broken ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.checklists.reviewed import Reviewed, conditions
from tests.docker_engine import Box
from tests.dumps import DATABASE, Dumps, rested
from tests.forge_server import ForgeServer, recorded
from tests.nginx_server import Nginx
from tests.postgres_server import Postgres, program
from tests.swarm_engine import Swarm

MB = 1024**2
OWN = ("backend", "frontend", "worker")
STORES = {"db": "/var/lib/postgresql/data", "redis": "/data"}
SLEEP = ["sleep", "300"]


@pytest.fixture
def shop(tmp_path: Path) -> Reviewed:
    made = Reviewed(tmp_path / "shop", environ={"DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock"})
    made.healthy()
    return made


async def verdict(shop: Reviewed, step: str) -> str:
    return str((await shop.ask(step))[step].data["verdict"])


async def verdicts(shop: Reviewed, *steps: str) -> dict[str, str]:
    return {step: str(found.data["verdict"]) for step, found in (await shop.ask(*steps)).items()}


# --- containers -------------------------------------------------------------------------------------------------


class Stack:
    """The five services of the shop as containers of one Compose project, each as good as it can be."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.network = box.network("inside", internal=True)

    def start(self, service: str, *, host: dict[str, Any] | None = None, **config: Any) -> None:
        mounts = []
        if (path := STORES.get(service)) is not None:
            mounts = [{"Type": "volume", "Source": self.box.volume(service), "Target": path}]
        good = {
            "NetworkMode": self.network,
            "Memory": 64 * MB,
            "NanoCpus": 500_000_000,
            "PidsLimit": 50,
            "RestartPolicy": {"Name": "unless-stopped"},
            "Mounts": mounts,
        }
        check = {
            "Test": ["CMD", "test", "-e", f"/bin/{'sh' if service in OWN else 'ls'}"],
            "Interval": 10**9,
            "Retries": 3,
        }
        labels = {"com.docker.compose.project": self.box.prefix, "com.docker.compose.service": service}
        body = {"Cmd": SLEEP, "User": "app", "Healthcheck": check, **config}
        self.box.start(service, Labels=labels, HostConfig={**good, **(host or {})}, **body)

    def whole(self, *, but: str = "") -> None:
        for service in (*OWN, *STORES):
            if service != but:
                self.start(service)
        for service in (*OWN, *STORES):
            if service != but:
                self.healthy(service)

    def healthy(self, service: str) -> None:
        self.box.until(self.box.name(service), lambda each: each["State"]["Health"]["Status"] == "healthy")


@pytest.fixture
def stack(shop: Reviewed, docker_box: Box) -> Stack:
    shop.environ = {"DOCKER_HOST": docker_box.engine.host}
    shop.params = {
        **shop.params,
        "project": f'"{docker_box.prefix}"',
        "backend_user": '"app"',
        "frontend_user": '"app"',
    }
    for name in ("backend", "frontend"):
        file = shop.root / name / "Dockerfile"
        shop.write(f"{name}/Dockerfile", file.read_text().replace("USER appuser", "USER app").replace("nextjs", "app"))
    shop.commit()
    return Stack(docker_box)


LIVE = ("infra.non-root", "infra.limits", "infra.health", "infra.volumes", "infra.network", "sec.named-users")


async def test_containers_that_run_as_they_should_pass(shop: Reviewed, stack: Stack) -> None:
    stack.whole()
    found = await shop.ask(*LIVE, "ci.health-retries", "infra.auto-restart")
    said = {step: one.data["verdict"] for step, one in found.items()}
    assert said == {
        **dict.fromkeys((*LIVE, "ci.health-retries"), "pass"),
        # No worker was killed yet, and Compose starts nothing anew because it is unhealthy.
        "infra.auto-restart": "warn",
    }, [one.data["message"] for one in found.values()]


async def test_a_root_process_without_limits_or_a_check_fails_what_is_about_it(shop: Reviewed, stack: Stack) -> None:
    stack.whole(but="worker")
    stack.start(
        "worker",
        host={"Memory": 0, "NanoCpus": 0, "PidsLimit": 0, "RestartPolicy": {"Name": "no"}},
        User="0",
        Healthcheck={"Test": ["NONE"]},
    )
    steps = ("infra.non-root", "infra.limits", "infra.health", "infra.auto-restart", "ci.health-retries")
    found = await shop.ask(*steps, "infra.network")
    assert {step: one.data["verdict"] for step, one in found.items()} == {
        **dict.fromkeys(steps, "fail"),
        "infra.network": "pass",
    }
    assert "live.root_processes = 1" in found["infra.non-root"].data["message"]
    assert "live.no_memory_limit = 1" in found["infra.limits"].data["message"]
    assert "live.no_healthcheck = 1" in found["infra.health"].data["message"]
    assert "live.no_restart_policy = 1" in found["infra.auto-restart"].data["message"]


async def test_a_worker_that_only_inherits_the_check_of_the_web_server_is_not_healthy(
    shop: Reviewed, stack: Stack
) -> None:
    asks = {"Test": ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/version"], "Interval": 10**9, "Retries": 1}
    stack.whole(but="worker")
    stack.start("worker", Healthcheck=asks)
    stack.box.until(stack.box.name("worker"), lambda each: each["State"]["Health"]["Status"] == "unhealthy")
    found = (await shop.ask("infra.health"))["infra.health"]
    assert (found.data["verdict"], "live.unhealthy = 1" in found.data["message"]) == ("fail", True)


async def test_a_published_database_without_a_volume_fails(shop: Reviewed, stack: Stack) -> None:
    stack.whole(but="db")
    outside = stack.box.network("outside")
    ports = {"PortBindings": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]}, "NetworkMode": outside}
    stack.start("db", host={**ports, "Mounts": []}, ExposedPorts={"8080/tcp": {}}, Volumes={STORES["db"]: {}})
    found = await shop.ask("infra.network", "infra.volumes")
    assert {one.data["verdict"] for one in found.values()} == {"fail"}
    assert "live.published_internal = 1" in found["infra.network"].data["message"]
    assert "live.missing_mounts = 1" in found["infra.volumes"].data["message"]


async def test_a_worker_that_was_killed_and_came_back_makes_the_restart_policy_true(
    shop: Reviewed, stack: Stack
) -> None:
    stack.whole()
    shop.allow = "drill"
    shop.params = {**shop.params, "orchestrator": '"swarm"'}
    assert await verdict(shop, "infra.auto-restart") == "warn"
    drill = await shop.act("drill.auto-restart")
    assert drill.data["verdict"] == "pass", drill.data["message"]
    assert await verdict(shop, "infra.auto-restart") == "pass"


async def test_where_nothing_may_be_killed_somebody_shows_the_log_of_a_crash(shop: Reviewed, stack: Stack) -> None:
    stack.whole()
    shop.params = {**shop.params, "orchestrator": '"swarm"', "fault_injection": "false"}
    await shop.ask("infra.auto-restart")
    assert (await shop.status("infra.auto-restart")).state == "waiting"
    await shop.sign("infra.auto-restart", "https://files.example.com/crash.log")
    assert (await shop.status("infra.auto-restart")).verdict.value == "pass"


async def test_a_service_that_does_not_run_is_never_taken_for_a_good_one(shop: Reviewed, stack: Stack) -> None:
    stack.whole(but="worker")
    found = await shop.ask(*LIVE, "ci.health-retries")
    assert {step: found[step].data["verdict"] for step in LIVE[:3]} == dict.fromkeys(LIVE[:3], "unknown")
    assert f"no container of {stack.box.prefix}_worker" in found["infra.limits"].data["message"]


async def test_two_services_of_one_name_are_told_when_they_are_asked(shop: Reviewed, stack: Stack) -> None:
    stack.whole()
    shop.params = {**shop.params, "cache": '"db"'}
    found = (await shop.ask("infra.network"))["infra.network"]
    assert (found.data["verdict"], "_db stands there twice" in found.data["message"]) == ("unknown", True)


# --- the swarm --------------------------------------------------------------------------------------------------


async def test_a_service_that_starts_first_and_goes_back_by_itself_is_what_swarm_can_show(
    shop: Reviewed, docker_swarm: Swarm
) -> None:
    shop.environ = docker_swarm.engine.environ
    shop.params = {
        **shop.params,
        "orchestrator": '"swarm"',
        "project": f'"{docker_swarm.name("shop")}"',
        "previous_image": f'"{docker_swarm.engine.image()}"',
    }
    update = {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 10**9, "Order": "start-first"}
    check = {"ContainerSpec": {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**9}}}
    docker_swarm.create("shop_backend", replicas=2, UpdateConfig=update, RollbackConfig=update, TaskTemplate=check)
    docker_swarm.running("shop_backend", 2)
    found = await shop.ask("ci.rollback", "ci.zero-downtime")
    assert found["ci.zero-downtime"].data["verdict"] == "pass", found["ci.zero-downtime"].data["message"]
    assert (await shop.status("ci.zero-downtime")).state == "waiting", "nobody watched a rollout"
    assert found["ci.rollback"].data["verdict"] == "unknown", "nobody rehearsed it"
    await shop.sign("ci.rollback", "https://files.example.com/rehearsal.log")
    assert (await shop.status("ci.rollback")).verdict.value == "pass"
    shop.params = {**shop.params, "previous_image": '"shop-of-nobody:previous"'}
    docker_swarm.create("bare_backend", replicas=1)
    docker_swarm.running("bare_backend", 1)
    shop.params = {**shop.params, "project": f'"{docker_swarm.name("bare")}"'}
    found = await shop.ask("ci.rollback", "ci.zero-downtime")
    assert {one.data["verdict"] for one in found.values()} == {"fail"}


# --- the database -----------------------------------------------------------------------------------------------


@pytest.fixture
def database(shop: Reviewed, postgres_server: Postgres, postgres_database: str) -> Postgres:
    shop.secrets = {"DATABASE_URL": dsn(postgres_server, postgres_database)}
    return postgres_server


def dsn(server: Postgres, name: str, role: str = "monitor", mode: str = "verify-full") -> str:
    return server.dsn(role, name, sslmode=mode, sslrootcert=str(server.ca))


async def test_tls_of_every_session_is_what_counts(shop: Reviewed, database: Postgres, postgres_database: str) -> None:
    assert await verdict(shop, "db.ssl-mode") == "pass"
    shop.secrets = {"DATABASE_URL": dsn(database, postgres_database, mode="require")}
    assert await verdict(shop, "db.ssl-mode") == "warn"
    shop.secrets = {"DATABASE_URL": dsn(database, postgres_database, role="plain")}
    assert await verdict(shop, "db.ssl-mode") == "unknown", "who sees no other sessions counts none"
    shop.secrets = {"DATABASE_URL": dsn(database, postgres_database)}
    with contextlib.closing(psycopg.connect(database.dsn("app", postgres_database, sslmode="disable"))):
        found = (await shop.ask("db.ssl-mode"))["db.ssl-mode"]
    assert (found.data["verdict"], "live.plain_connections = 1" in found.data["message"]) == ("fail", True)


async def test_a_slow_statement_must_be_found_in_the_log_where_captain_can_read_it(
    shop: Reviewed, database: Postgres, docker_box: Box
) -> None:
    shop.params = {**shop.params, "slow_query": 'duration("100ms")', "project": f'"{docker_box.prefix}"'}
    shop.environ = {"DOCKER_HOST": docker_box.engine.host}
    found = (await shop.ask("db.slow-log"))["db.slow-log"]
    assert (found.data["verdict"], "no container" in found.data["message"]) == ("unknown", True)
    shop.params = {**shop.params, "database_logs": "false"}
    assert await verdict(shop, "db.slow-log") == "warn"
    with database.setting(log_min_duration_statement="-1"):
        assert await verdict(shop, "db.slow-log") == "fail"
    shop.params = {**shop.params, "database_logs": "true"}
    labels = {"com.docker.compose.project": docker_box.prefix, "com.docker.compose.service": "db"}
    docker_box.start("db", Labels=labels, Cmd=["sh", "-c", "echo LOG: ready; exec sleep 300"])
    found = (await shop.ask("db.slow-log"))["db.slow-log"]
    assert (found.data["verdict"], "log.canary_found = false" in found.data["message"]) == ("fail", True)
    docker_box.engine.client.remove_container(docker_box.name("db"), force=True)
    line = database.log.read_text(errors="replace").splitlines()
    logged = [one for one in line if "captain:canary:slow" in one and "duration:" in one]
    assert logged, "the server logs the statement with its comment"
    docker_box.start("db", Labels=labels, Cmd=["sh", "-c", f"echo '{logged[-1]}'; exec sleep 300"])
    assert await verdict(shop, "db.slow-log") == "pass"


@contextlib.contextmanager
def site(address: str, *, keeps: bool) -> Iterator[str]:
    """A page that asks the database, over one connection or over a new one for each request."""
    kept = psycopg.connect(address, autocommit=True)
    alone = threading.Lock()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with alone:
                connection = kept if keeps else psycopg.connect(address, autocommit=True)
                connection.execute("select count(*) from pg_class")
                if not keeps:
                    connection.close()
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        kept.close()


@pytest.mark.parametrize(("keeps", "expected"), [(True, "pass"), (False, "fail")])
async def test_pooling_is_what_fifty_requests_show_and_not_what_the_setting_says(
    shop: Reviewed, database: Postgres, postgres_database: str, keeps: bool, expected: str
) -> None:
    shop.allow = "active"
    with site(database.dsn("app", postgres_database), keeps=keeps) as url:
        shop.params = {**shop.params, "base_url": f'"{url}"'}
        assert await verdict(shop, "db.pooling") == "unknown", "the setting alone proves nothing"
        proof = await shop.act("drill.pooling")
    assert proof.data["verdict"] == expected, proof.data["message"]
    assert await verdict(shop, "db.pooling") == expected


async def test_a_restored_backup_is_proof_until_it_is_old(
    shop: Reviewed, dumps: Dumps, postgres_server: Postgres
) -> None:
    shop.allow = "drill"
    shop.environ = {**shop.environ, "PATH": f"{Path(program('pg_restore')).parent}:{os.environ['PATH']}"}
    # The superuser of the tests' server; in production a role that may create databases and nothing else.
    shop.secrets = {
        "SCRATCH_DATABASE_URL": postgres_server.dsn("postgres"),
        "DATABASE_URL": dumps.server.dsn("app", DATABASE),
    }
    shop.params = {**shop.params, "backups": f'"{shop.root}/state/restored/*.dump"'}
    copied = shop.root / "state" / "restored" / "shop.dump"
    copied.parent.mkdir()
    shutil.copy(dumps.path("custom"), copied)
    rested(copied)
    drill = await shop.act("drill.restore")
    assert drill.data["verdict"] == "pass", drill.data["message"]
    assert await verdict(shop, "db.restore") == "pass"
    shop.params = {**shop.params, "drill_max_age": 'duration("0s")'}
    assert await verdict(shop, "db.restore") == "unknown"
    assert (await shop.status("db.restore")).waits == ("",), "an old drill asks for a new one, or for somebody's word"


async def test_a_file_that_only_superusers_see_is_half_of_the_check_for_mysql(
    shop: Reviewed, database: Postgres, postgres_database: str
) -> None:
    assert await verdict(shop, "db.no-mysql-options") == "warn"
    shop.secrets = {"DATABASE_URL": dsn(database, postgres_database, role="postgres")}
    assert await verdict(shop, "db.no-mysql-options") == "pass"


# --- what the world sees ----------------------------------------------------------------------------------------


class Leads(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(308)
        self.send_header("Location", "https://localhost/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def plain() -> Iterator[str]:
    """A server of plain HTTP that leads to https."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Leads)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_certificate_versions_redirect_and_headers_are_all_looked_at(
    shop: Reviewed, nginx: Nginx, plain: str
) -> None:
    def at(name: str) -> None:
        shop.params = {
            **shop.params,
            "host": '"localhost"',
            "public_url": f'"{nginx.secure(name, "")}"',
            "plain_url": f'"{plain}"',
        }
        shop.steps = f"""\
sections:
  - id: security
    steps:
      - id: sec.tls-external
        probes:
          edge: {{ tls: {{ port: {nginx.tls[name]}, ca_file: '{nginx.ca_file}', probe_legacy: true }} }}
          front: {{ http: {{ ca_file: '{nginx.ca_file}' }} }}
          static: {{ http: {{ ca_file: '{nginx.ca_file}' }} }}
"""

    at("good")
    found = (await shop.ask("sec.tls-external"))["sec.tls-external"]
    unmet = [one for one, said in conditions(found).items() if said == "fail"]
    assert not unmet, found.data["message"]
    # Whether this machine's OpenSSL can try what is old decides between a pass and nothing known.
    assert found.data["verdict"] in ("pass", "unknown"), found.data["message"]
    shop.params = {**shop.params, "static_path": '"/drops"'}
    found = (await shop.ask("sec.tls-external"))["sec.tls-external"]
    assert any("static.security_headers_missing" in one for one, said in conditions(found).items() if said == "fail")
    for name in ("short", "expired", "wrong_host", "unknown_ca"):
        at(name)
        assert await verdict(shop, "sec.tls-external") == "fail", name


# --- the forge --------------------------------------------------------------------------------------------------


def green(forge: ForgeServer, sha: str, conclusion: str = "success") -> None:
    run = {
        "id": 1,
        "name": "test",
        "head_sha": sha,
        "status": "completed",
        "conclusion": conclusion,
        "started_at": "2026-11-23T00:01:00Z",
        "html_url": "https://github.com/acme/shop/runs/1",
        "check_suite": {"id": 77},
        "app": {"id": 15368},
    }
    forge.put(f"repos/acme/shop/commits/{sha}/check-runs", {"total_count": 1, "check_runs": [run]})
    forge.put(f"repos/acme/shop/commits/{sha}/status", {"state": "pending", "statuses": [], "total_count": 0})
    forge.put(f"repos/acme/shop/commits/{sha}/check-suites", {"total_count": 0, "check_suites": []})


def merged(number: int, sha: str) -> dict[str, Any]:
    return {
        "number": number,
        "html_url": f"https://github.com/acme/shop/pull/{number}",
        "merged_at": f"2026-11-{number:02}T10:00:00Z",
        "base": {"ref": "main"},
        "head": {"sha": sha},
    }


def required(*names: str) -> list[dict[str, Any]]:
    checks = [{"context": name} for name in names]
    return [{"type": "required_status_checks", "parameters": {"required_status_checks": checks}}] if names else []


async def test_tests_on_changes_are_run_required_and_obeyed(shop: Reviewed, forge: ForgeServer) -> None:
    shop.secrets = {"GITHUB_TOKEN": "ghp_secret0123456789abcdef"}
    shop.params = {**shop.params, "forge_api": f'"{forge.url}"'}
    assert await verdict(shop, "ci.tests-on-pr") == "unknown", "what the token may not see is not known"
    good, red = "b" * 40, "c" * 40
    green(forge, good)
    green(forge, red, "failure")
    forge.put("repos/acme/shop/pulls", [merged(9, good), merged(10, good)])
    forge.put("repos/acme/shop/rules/branches/main", required("test", "types"))
    forge.put("repos/acme/shop/branches/main", {"name": "main", "protected": False})
    assert await verdict(shop, "ci.tests-on-pr") == "pass"
    forge.put("repos/acme/shop/rules/branches/main", required("lint"))
    assert await verdict(shop, "ci.tests-on-pr") == "warn", "run and obeyed, but nobody has to"
    forge.put("repos/acme/shop/pulls", [merged(9, good), merged(10, red)])
    found = (await shop.ask("ci.tests-on-pr"))["ci.tests-on-pr"]
    assert (found.data["verdict"], "merged.pr_ratio = 0.5" in found.data["message"]) == ("fail", True)


async def test_types_are_enforced_where_their_check_is_required_and_green(shop: Reviewed, forge: ForgeServer) -> None:
    shop.secrets = {"GITHUB_TOKEN": "ghp_secret0123456789abcdef"}
    shop.params = {**shop.params, "forge_api": f'"{forge.url}"', "type_check": '"test"'}
    head = shop.repo.git("rev-parse", "HEAD")
    green(forge, head)
    forge.put("repos/acme/shop/rules/branches/main", required("test"))
    forge.put("repos/acme/shop/branches/main", {"name": "main", "protected": False})
    assert await verdict(shop, "ci.type-check") == "pass"
    green(forge, head, "failure")
    assert await verdict(shop, "ci.type-check") == "fail"


async def test_a_deploy_waits_for_tests_a_protected_environment_and_captains_own_gate(
    shop: Reviewed, forge: ForgeServer
) -> None:
    found = (await shop.ask("ci.pre-deploy"))["ci.pre-deploy"]
    assert (found.data["verdict"], "no decision on deploy/pre in staging yet" in found.data["message"]) == (
        "fail",
        True,
    )
    await shop.gate()
    assert await verdict(shop, "ci.pre-deploy") == "warn", "without a forge captain's own part counts"
    shop.secrets = {"GITHUB_TOKEN": "ghp_secret0123456789abcdef"}
    shop.params = {**shop.params, "forge_api": f'"{forge.url}"'}
    rules = [{"type": "required_reviewers", "reviewers": []}]
    forge.put("repos/acme/shop/environments/production", {"name": "production", "protection_rules": rules})
    assert await verdict(shop, "ci.pre-deploy") == "pass"
    shop.write("more.md", "more")
    shop.commit()
    assert await verdict(shop, "ci.pre-deploy") == "fail", "the gate was about the commit before"


async def test_a_deploy_is_looked_at_afterwards_and_runs_the_commit_at_hand(
    shop: Reviewed, forge: ForgeServer, nginx: Nginx
) -> None:
    shop.secrets = {"GITHUB_TOKEN": "ghp_secret0123456789abcdef"}
    shop.params = {**shop.params, "forge_api": f'"{forge.url}"', "version_url": f'"{nginx.url("/version")}"'}
    forge.put("repos/acme/shop/actions/workflows/deploy.yml", recorded("github_workflow_active"))
    forge.put("repos/acme/shop/actions/workflows/deploy.yml/runs", recorded("github_workflow_runs_fresh"))
    found = (await shop.ask("ci.post-deploy"))["ci.post-deploy"]
    assert (found.data["verdict"], "live.version_match = false" in found.data["message"]) == ("fail", True)
    shop.params = {**shop.params, "version_url": f'"{nginx.url("/no-such-page")}"'}
    assert await verdict(shop, "ci.post-deploy") == "warn", "the service does not say what it is"
