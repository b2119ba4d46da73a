"""What captain init finds in a repository, and what it makes of it."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain import scaffold
from captain.__main__ import main
from captain.documents import read_yaml
from captain.errors import ProbeError
from captain.loader import lint
from captain.loader.schema import schema
from captain.loader.shelf import shipped
from captain.probes import probes
from captain.scaffold.catalogue import items, known
from captain.scaffold.composed import composed
from captain.scaffold.offer import Offer, one
from captain.scaffold.offers import offers
from captain.scaffold.survey import Survey, survey
from captain.systems.patterns import finder
from tests.docker_engine import Box
from tests.git_repo import Repo
from tests.scaffold.repositories import LIBRARY, SERVICE, make

ROOT = Path(__file__).parents[2]


def written(root: Path, found: Survey) -> dict[str, dict[str, Any]]:
    """The steps of the review by id, after everything was written and linted."""
    files = scaffold.planned(found, shipped("deploy"), None, beside=None)
    schemas = {name: json.dumps(schema(name)) for name in ("captain", "checklist")}
    url = found.health[0] if found.health else "http://127.0.0.1:8000/healthz"
    list(scaffold.write(root, scaffold.look(root), url, files, schemas))
    problems = [str(problem) for problem in lint(cwd=root) if problem.severity == "error"]
    assert problems == []
    document = read_yaml((root / "checklists/readiness.yaml").read_bytes(), "readiness.yaml")
    assert document.root is not None
    plain = document.root.plain
    return {step["id"]: step for section in plain["sections"] for step in section["steps"]}


def running(root: Path) -> list[dict[str, Any]]:
    labels = {"com.docker.compose.project.working_dir": str(root), "com.docker.compose.project": "shop"}
    other = {"com.docker.compose.project.working_dir": "/elsewhere", "com.docker.compose.project": "other"}
    return [
        {"Names": ["/shop-backend-1"], "State": "running", "Labels": labels},
        {"Names": ["/shop-db-1"], "State": "exited", "Labels": labels},
        {"Names": ["/other-1"], "State": "running", "Labels": other},
        {"Names": None, "State": "running", "Labels": None},
    ]


def silent() -> list[Any]:
    raise ProbeError("Docker at unix:///var/run/docker.sock: not there")


def test_a_service_of_django_and_next_is_recognised_with_the_file_that_says_so(tmp_path: Path) -> None:
    found = survey(make(tmp_path / "shop", SERVICE), {}, silent)
    told = {one.topic: (one.said, one.where) for one in found.findings}
    assert told["web"] == ("Django", "backend/manage.py")
    assert told["frontend"] == ("Next.js", "frontend/package.json")
    assert told["queue"] == ("dramatiq", "backend/requirements.txt")
    assert told["database"][0] == "postgres"
    assert told["metrics"] == ("django-prometheus", "backend/requirements.txt")
    assert told["CI"][0] == "GitHub Actions: test, deploy"
    assert found.health == ("http://127.0.0.1:8001/healthz", "compose.yaml: the health check of backend")
    assert found.dockerfiles == ("backend/Dockerfile", "frontend/Dockerfile")
    assert {"SHOP_DATABASE_URL", "REDIS_URL"} <= found.variables
    assert any("not there" in one for one in found.trouble), "an engine that does not answer is told"


def test_a_service_gets_probes_where_they_can_run_and_questions_for_the_rest(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    steps = written(root, survey(root, {}, silent))
    assert "workflow" in steps["ci.tests-on-pr"]
    assert steps["ci.type-check"]["expect"] == ["found > 0", "gating"]
    assert steps["ci.pre-deploy"]["workflow"]["needs_of"] == "deploy"
    assert steps["mon.metrics"]["metrics"]["url"] == "${{ vars.metrics_url }}"
    assert {*steps["sec.dep-scan"]["probes"]} == {"python", "node"}, (
        "a scan of one language proves nothing of the other"
    )
    assert "SHOP_DATABASE_URL is set" in steps["db.ssl-mode"]["help"], "the question says what would make it known"
    assert "add.cb.pattern" not in steps
    for step in steps.values():
        if "manual" in step:
            assert step["sign_off"]["evidence"] == "required" and step["sign_off"]["valid_for"]
            assert step["help"]


def test_databases_and_caches_are_asked_where_their_secret_is_set(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    environ = {"SHOP_DATABASE_URL": "postgresql://u:hunter2@db/shop", "REDIS_URL_FILE": "/run/redis"}
    steps = written(root, survey(root, environ))
    assert steps["db.ssl-mode"]["sql"] == {"engine": "postgres", "dsn_env": "SHOP_DATABASE_URL", "preset": "ssl"}
    assert steps["perf.cache"]["redis"]["url_env"] == "REDIS_URL"
    assert steps["scal.queue"]["queue"]["broker"] == "dramatiq"
    assert steps["scal.cache"]["alias"] == "perf.cache"
    assert "secrets: ['SHOP_DATABASE_URL', 'REDIS_URL']" in (root / "captain.yaml").read_text()
    assert not any(b"hunter2" in path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_running_containers_of_this_folder_are_asked_and_no_others(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    found = survey(root, {}, lambda: running(root))
    assert found.containers == ("shop-backend-1",)
    steps = written(root, found)
    assert steps["infra.non-root"]["docker"] == {"project": "shop", "top": "true"}
    assert steps["infra.network"]["docker"]["roles"] == {"db": "data", "redis": "data"}
    assert "published_internal == 0" in steps["infra.network"]["expect"]


def test_what_runs_is_asked_for_its_logs_its_writes_and_its_size(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    services = [
        {**running(root)[0], "Names": [f"/shop-{name}-1"], "Image": f"shop-{name}"} for name in ("backend", "frontend")
    ]
    for name, listed in zip(("backend", "frontend"), services, strict=True):
        listed["Labels"] = {**listed["Labels"], "com.docker.compose.service": name}
    steps = written(root, survey(root, {}, lambda: services))
    assert steps["log.structured"]["logs"]["services"] == ["backend", "frontend"]
    assert steps["log.levels"]["expect"] == ["level_known_ratio >= 0.95", "debug_lines == 0"]
    assert steps["scal.stateless"]["docker"]["diff"] == "true" and "sign_off" in steps["scal.stateless"]
    assert steps["perf.image-size"]["params"] == {"backend": "500", "frontend": "200"}
    assert steps["perf.image-size"]["probes"]["frontend"]["image"]["ref"] == "shop-frontend"


def test_what_files_show_in_part_is_measured_and_signed(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    steps = written(root, survey(root, {}, silent))
    for name, kind in (
        ("db.pooling", "source"),
        ("db.backup-scripts", "source"),
        ("db.no-mysql-options", "source"),
        ("infra.auto-restart", "compose"),
        ("infra.volumes", "compose"),
        ("scal.horizontal", "compose"),
        ("sec.tls-external", "source"),
        ("perf.lazy", "source"),
    ):
        assert kind in steps[name] and steps[name]["sign_off"]["evidence"] == "required", name
        assert "Signed as well: " in steps[name]["help"], "it says what the probe does not see"
    users = steps["sec.named-users"]["probes"]
    assert {name: one["dockerfile"]["expected_user"] for name, one in users.items()} == {
        "of_backend": "appuser",
        "of_frontend": "nextjs",
    }


def test_a_setting_that_no_file_holds_is_asked_of_a_person(tmp_path: Path) -> None:
    files = {**SERVICE, "backend/shop/settings.py": SERVICE["backend/shop/settings.py"].replace("CONN_MAX_AGE", "X")}
    root = make(tmp_path / "shop", files)
    assert "manual" in written(root, survey(root, {}, silent))["db.pooling"]


def test_the_uptime_check_is_asked_of_the_forge_where_there_is_a_token(tmp_path: Path) -> None:
    uptime = "on: { schedule: [{ cron: '*/10 * * * *' }] }\njobs:\n  ping: { steps: [{ run: curl -f x }] }\n"
    root = make(tmp_path / "shop", {**SERVICE, ".github/workflows/uptime.yml": uptime})
    found = survey(root, {"GITHUB_TOKEN": "t"}, silent)
    assert found.uptime == "uptime.yml"
    found.repository = "acme/shop"
    asked = offers(found)["mon.uptime"][0].asks[""]
    assert asked[1]["workflow"] == "uptime.yml" and offers(found)["mon.uptime"][0].ready
    files = scaffold.planned(found, shipped("deploy"), None, beside=None, repository="acme/shop")
    assert files.secrets.count("GITHUB_TOKEN") == 1, "CI of the commit is asked with the same token"
    found.repository = None
    assert "mon.uptime" not in offers(found)


def test_without_known_databases_nothing_passes_for_isolation(tmp_path: Path) -> None:
    files = {**SERVICE, "compose.yaml": "services: { web: { build: . } }\n"}
    root = make(tmp_path / "shop", files)
    steps = written(root, survey(root, {}, lambda: running(root)))
    assert "manual" in steps["infra.network"] or "compose" in steps["infra.network"]


def test_a_library_is_not_asked_about_databases_and_containers(tmp_path: Path) -> None:
    root = make(tmp_path / "colours", LIBRARY)
    steps = written(root, survey(root, {}, silent))
    assert "workflow" in steps["ci.tests-on-pr"] and "workflow" in steps["ci.type-check"]
    assert {one.partition(".")[0] for one in steps} == {"sec", "ci", "doc"}
    assert "service: colours" in (root / "captain.yaml").read_text()


def test_an_empty_repository_gets_questions_that_say_what_would_answer_them(tmp_path: Path) -> None:
    root = make(tmp_path / "new", {})
    steps = written(root, survey(root, {}))
    assert steps
    assert "No file of CI was found" in steps["ci.tests-on-pr"]["help"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("'CONN_MAX_AGE': 600", "CONN_MAX_AGE: 600"),
        ("'CONN_MAX_AGE': 0", "CONN_MAX_AGE: 0, no connection is kept"),
        ("CONN_MAX_AGE = None", "CONN_MAX_AGE: None"),
        ("'CONN_MAX_AGE': env.int('AGE')", "CONN_MAX_AGE is set"),
    ],
)
def test_how_long_connections_are_kept_is_told_as_it_is_written(tmp_path: Path, line: str, said: str) -> None:
    settings = {"manage.py": "import django\n", "shop/settings.py": f"DATABASES = {{{line}}}\n"}
    found = survey(make(tmp_path / "shop", settings), {})
    assert [one.said for one in found.findings if one.topic == "settings"] == [said]


@pytest.mark.parametrize("files", [SERVICE, LIBRARY, {}], ids=["service", "library", "empty"])
def test_init_ends_with_a_first_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: dict[str, str]
) -> None:
    root = make(tmp_path / "shop", files)
    monkeypatch.chdir(root)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    monkeypatch.setenv("CAPTAIN_LOG", str(tmp_path / "log.sqlite"))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and ".git" not in path.parts}
    assert main(["init", "--no-input"]) == 0
    said = capsys.readouterr()
    assert re.search(r"\nscore    \d.* % of it verified: NO-GO.*\n +of \d+ steps: ", said.err)
    assert "Traceback" not in said.err
    assert all(path.read_bytes() == data for path, data in before.items()), "nothing of the repository changed"
    assert not (tmp_path / "log.sqlite").exists(), "a first look is kept nowhere"
    if files is SERVICE:
        assert "fail     Health checks implemented" in said.err, "what forbids a go is told first"
        assert "more: captain check readiness" in said.err
        assert main(["check", "readiness", "-e", "staging", "--step", "ci.type-check", "--no-record", "-q"]) == 0
        assert "FAIL     Type checking enforced" in capsys.readouterr().out, "mypy . || true enforces nothing"
        assert "web      Django" in said.err and "(backend/manage.py)" in said.err
        assert "unseen   running containers: " in said.err


def test_nothing_of_the_repository_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = "import pathlib\npathlib.Path('ran').write_text('x')\n"
    files = {**SERVICE, "backend/manage.py": f"import django\n{trap}", "conftest.py": trap, "sitecustomize.py": trap}
    root = make(tmp_path / "shop", files)
    monkeypatch.chdir(root)
    monkeypatch.setenv("CAPTAIN_LOG", str(tmp_path / "log.sqlite"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    assert main(["init", "--no-input"]) == 0
    assert not list(tmp_path.rglob("ran"))


HOSTILE = ["a' b: [", "${{ secrets.X }}", "{params.x}", "- !x", "\u202eevil", "ä" * 90, "#", "'", '"', "a: b", "%s\\"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_files_are_quoted(tmp_path: Path, name: str) -> None:
    root = tmp_path / "shop"
    quoted = "'" + name.replace("'", "''") + "'"
    root.mkdir()
    (root / "compose.yaml").write_text(f"services:\n  {quoted}: {{ image: 'postgres:16', build: . }}\n")
    flows = root / ".github/workflows"
    flows.mkdir(parents=True)
    (flows / "a.yml").write_text(f"on: [push]\njobs:\n  {quoted[:-1]}deploy': {{ steps: [{{ run: x }}] }}\n")
    folder = root / name.replace("/", "_")
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM x\n")
    (root / "docs").mkdir()
    (root / "docs" / f"{name[:60]}deploy.md".replace("/", "_")).write_text("# x\n")
    found = survey(root, {}, lambda: running(root))
    written(root, found)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("compose.yaml", "services: ["),
        ("compose.yaml", "services: 7\n"),
        (
            "compose.yaml",
            "services: { a: 1, b: [x], c: { ports: 7, environment: 7, healthcheck: { test: { a: b } } } }\n",
        ),
        ("compose.yaml", "[" * 50000),
        ("package.json", "[1]"),
        ("package.json", '{"dependencies": 7}'),
        ("package.json", "{"),
        ("pyproject.toml", "[[["),
        ("requirements.txt", "\x00\xff"),
        (".github/workflows/a.yml", "jobs: 7\n"),
        (".gitlab-ci.yml", "- a\n"),
        ("settings.py", "((((" * 20000),
        ("compose.yaml", "x" * (2 * 1024 * 1024)),
    ],
)
def test_broken_files_are_passed_over(tmp_path: Path, path: str, text: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    written(tmp_path, survey(tmp_path, {}))


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    root.mkdir()
    outside = tmp_path / "outside.yaml"
    outside.write_text("services: { secret: { image: postgres } }\n")
    (root / "compose.yaml").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "package.json")
    found = survey(root, {})
    assert found.services == {} and found.frontend is None


def test_a_huge_repository_is_looked_at_in_part_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captain.scaffold.folder.MAX_ENTRIES", 50)
    for number in range(80):
        (tmp_path / f"{number}.txt").touch()
    assert any("more than 50 files" in one for one in survey(tmp_path, {}).trouble)


def test_an_offer_of_a_kind_that_is_not_there_or_does_not_take_it_is_not_written() -> None:
    assert one("x", "git", {}, "dirty == 0").ready
    assert not one("x", "no-such-kind", {}, "found > 0").ready
    assert not one("x", "git", {"colour": "red"}, "dirty == 0").ready
    assert not one("x", "git", {}, "dirt == 0").ready, "a condition on what the kind does not observe"
    assert not Offer("x", {"a": ("git", {})}, ("a.dirt == 0",)).ready


def test_every_offer_of_a_kind_that_is_there_can_be_written(tmp_path: Path) -> None:
    """An offer that misspells a parameter would silently become a question."""
    root = make(tmp_path / "shop", SERVICE)
    environ = {"SHOP_DATABASE_URL": "x", "REDIS_URL": "x"}
    for item, made in offers(survey(root, environ, lambda: running(root))).items():
        assert item in items()
        for offer in made:
            if all(probes.find(kind) for kind in offer.kinds):
                assert offer.ready, (item, offer)


def test_a_title_with_another_number_is_measured_by_it_or_not_at_all() -> None:
    tried = Offer("x", {"": ("docker", {})}, ("health_retries_min >= params.attempts",), params={"attempts": "3"})
    changed = tried.titled("Health check retries (3 attempts)", "Health check retries (5 attempts)")
    assert changed is not None and changed.params == {"attempts": "5"}
    assert one("x", "git", {}).titled("At most 3", "At most 5") is None
    assert one("x", "git", {}).titled("At most 3", "At most 3") is not None


def test_lines_are_known_by_their_words_and_their_section() -> None:
    def name(title: str, section: str = "") -> str | None:
        found = known(title, section)
        return found.id if found else None

    assert name("✅ Prometheus   METRICS endpoint") == "mon.metrics"
    assert name("Database connection pooling", "Performance") == "perf.pooling"
    assert name("Database connection pooling", "10. Scalability") == "scal.pooling"
    assert name("Connection pooling") == "db.pooling", "without the brackets"
    assert name("Security scanning in CI (Snyk)") is None, "another scanner is another question"
    assert name("Secrets in images") is None, "one word less turns it round"
    assert name("…") is None and name("") is None


@given(st.text(max_size=60), st.text(max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_line_is_known_or_not(title: str, section: str) -> None:
    found = known(title, section)
    assert found is None or found.id in items()


def test_ports_of_compose_in_every_spelling() -> None:
    text = b"""services: { a: { ports: ['127.0.0.1:8001:8000', '${PORT:-9001}:9000', '70', '1-2:3-4',
      { target: 5, published: '50' }], healthcheck: { test: 'curl http://localhost:9000/ping || exit 1' } } }"""
    from captain.documents import read_foreign_yaml

    (service,) = composed([("c", read_foreign_yaml(text, "c")[0])]).values()
    assert service.ports == {8000: 8001, 9000: 9001, 5: 50}
    assert service.health == "http://127.0.0.1:9001/ping"


@pytest.mark.parametrize(
    ("line", "tests"),
    [
        ("pytest -q", True),
        ("uv run pytest", True),
        ("python -m pytest", True),
        ("cd backend && python manage.py test", True),
        ("npm run test", True),
        ("pip install pytest", False),
        ("pip install pytest-cov tox", False),
        ("cat pytest.ini", False),
    ],
)
def test_installing_a_tool_is_not_running_it(tmp_path: Path, line: str, tests: bool) -> None:
    flow = f"on: [pull_request]\njobs:\n  test: {{ runs-on: x, steps: [{{ run: '{line}' }}] }}\n"
    root = make(tmp_path / "shop", {".github/workflows/ci.yml": flow})
    (offer,) = offers(survey(root, {}))["ci.tests-on-pr"]
    pattern = offer.asks[""][1]["step"]
    assert isinstance(pattern, str)
    assert (finder(pattern)(line) is not None) is tests


def test_each_build_is_judged_by_the_dockerignore_of_its_own_folder(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    (offer,) = offers(survey(root, {}))["sec.dockerignore"]
    assert [params["root"] for _, params in offer.asks.values()] == ["backend", "frontend"]
    (root / "compose.yaml").write_text("services: { a: { build: { context: . , dockerfile: backend/Dockerfile } } }\n")
    (offer,) = offers(survey(root, {}))["sec.dockerignore"]
    assert [params["root"] for _, params in offer.asks.values()] == ["."]
    (root / "compose.yaml").write_text("services: { a: { build: '${ELSEWHERE}' } }\n")
    assert "sec.dockerignore" not in offers(survey(root, {}))


def test_a_variable_that_is_set_to_nothing_is_no_secret(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    assert "sql" not in written(root, survey(root, {"SHOP_DATABASE_URL": ""}))["db.ssl-mode"]


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("https://github.com/acme/shop.git", "acme/shop"),
        ("https://karen:s3cr3t@github.com/acme/shop", "acme/shop"),
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("https://github.com.evil.example/acme/shop", None),
        ("https://gitlab.com/acme/shop", None),
        ("https://github.com/acme/shop/'x", None),
    ],
)
def test_ci_is_asked_before_a_deployment_where_there_is_a_token(tmp_path: Path, remote: str, name: str | None) -> None:
    root = make(tmp_path / "shop", SERVICE)
    Repo(root).git("remote", "add", "origin", remote)
    found = scaffold.look(root)
    assert found.repository == name
    environ = {"GITHUB_TOKEN": "s3cr3t"}
    files = scaffold.planned(survey(root, environ), shipped("deploy"), None, beside=None, repository=name)
    text = files.sheets["checklists/deploy.yaml"]
    assert ("ci: { provider: github, repo: 'acme/shop', token_env: 'GITHUB_TOKEN' }" in text) is (name is not None)
    assert ("GITHUB_TOKEN" in files.secrets) is (name is not None)
    assert "s3cr3t" not in repr(files) + repr(found)
    list(scaffold.write(root, found, "http://127.0.0.1:8000/healthz", files, {}))
    assert [str(one) for one in lint(cwd=root) if one.severity == "error"] == []
    files = scaffold.planned(survey(root, {}), shipped("deploy"), None, beside=None, repository=name)
    assert "manual: Open the CI run" in files.sheets["checklists/deploy.yaml"], "without a token a person answers"


def test_what_outlives_a_container_is_compared_only_where_its_path_is_known(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    steps = written(root, survey(root, {}, lambda: running(root)))
    mounts = {"db": ["/var/lib/postgresql/data"], "redis": ["/data"]}
    assert steps["infra.volumes"]["docker"]["require_mounts"] == mounts
    (root / "compose.yaml").write_text("services: { db: { image: 'postgres:18' } }\n")
    unknown = offers(survey(root, {}, lambda: running(root)))["infra.volumes"]
    assert [one.kinds for one in unknown] == [("compose",)] and unknown[0].half
    (root / "compose.yaml").write_text("services: { web: { build: . } }\n")
    made = offers(survey(root, {}, lambda: running(root)))
    assert [one.kinds for one in made["infra.volumes"]] == [("compose",)] and "infra.network" not in made


def test_containers_of_a_real_engine_are_found_and_measured(
    tmp_path: Path, docker_box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make(tmp_path / "shop", {"compose.yaml": "services: { web: { image: shop } }\n"})
    labels = {
        "com.docker.compose.project": docker_box.prefix,
        "com.docker.compose.project.working_dir": str(root),
        "com.docker.compose.service": "web",
    }
    docker_box.start("web", Labels=labels)
    docker_box.start("other")
    monkeypatch.chdir(root)
    monkeypatch.setenv("DOCKER_HOST", docker_box.engine.host)
    monkeypatch.setenv("CAPTAIN_LOG", str(tmp_path / "log.sqlite"))
    assert main(["init", "--no-input"]) == 0
    said = re.sub(r"\n {18}", " ", capsys.readouterr().err)
    assert f"running  {docker_box.name('web')}  (the engine, project {docker_box.prefix})" in said
    assert "fail     Docker containers running non-root users: root_processes = 1" in said
    assert "fail     Resource limits configured (CPU, memory): no_memory_limit = 1" in said


def test_a_file_made_to_be_slow_is_not(tmp_path: Path) -> None:
    for name, text in {
        "requirements.txt": "\n" * 1_000_000,
        "pyproject.toml": "'a " * 300_000,
        "settings.py": "environ" + " " * 500_000 + "env." * 100_000,
        "config.py": "postgres+" * 100_000,
        "urls.py": "'/" * 500_000,
        ".env.example": "A" * 1_000_000,
    }.items():
        (tmp_path / name).write_text(text)
    began = time.monotonic()
    survey(tmp_path, {})
    assert time.monotonic() - began < 5


def test_many_files_take_no_long_look(tmp_path: Path) -> None:
    for number in range(100):
        folder = tmp_path / f"docs{number}"
        folder.mkdir()
        for other in range(100):
            (folder / f"page-{other}.md").touch()
    began = time.monotonic()
    survey(tmp_path, {})
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("ports", ["['99999:8000']", "['0:8000']", "[{ published: '70000', target: '8000' }]"])
@pytest.mark.parametrize("path", ["/healthz", "/hälth", "/a'b", "/${{ x }}"])
def test_whatever_a_health_check_says_init_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ports: str, path: str
) -> None:
    check = json.dumps(f"curl http://localhost:8000{path}")
    ports = ports if path == "/healthz" else "['8000:8000']"
    (tmp_path / "compose.yaml").write_text(
        f"services: {{ web: {{ build: ., ports: {ports}, healthcheck: {{ test: {check} }} }} }}\n"
    )
    (tmp_path / "urls.py").write_text("path('healthz', x)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    assert main(["init", "--no-input", "--no-check"]) == 0


def test_a_question_does_not_ask_for_what_is_there_already(tmp_path: Path) -> None:
    root = make(tmp_path / "shop", SERVICE)
    steps = written(root, survey(root, {"SHOP_DATABASE_URL": "x"}, lambda: running(root)))
    assert "Once the containers run" not in steps["infra.auto-restart"]["help"]
    assert "is set, captain init" not in steps["db.pooling"]["help"]
