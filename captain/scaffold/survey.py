"""What a repository is made of, as its files and its running containers say. Starts nothing and believes no name.

Each finding comes with the file it was read from. What a file only hints at is no finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from captain.documents import parse_json
from captain.safe import safe
from captain.scaffold.composed import Composed, composed, project
from captain.scaffold.folder import Folder
from captain.scaffold.quoting import fit

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_REQUIREMENTS = ("requirements*.txt", "requirements/*.txt", "pyproject.toml", "Pipfile", "setup.cfg", "setup.py")
_QUEUES = ("dramatiq", "celery", "rq")
_ENV = re.compile(
    r"(?:environ(?:\.get)?\s*[\[(]|getenv\s*\(|\benv(?:\.\w+)?\s*\(|\bconfig\s*\()\s*[\"']([A-Z][A-Z0-9_]*)"
)
_ENGINE = re.compile(r"django\.db\.backends\.(postgresql|mysql|sqlite3)|\b(postgres(?:ql)?|mysql|mariadb)(?:\+\w+)?://")
_IMAGES = {"postgres": "postgres", "postgis": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_MAX_CONTAINERS = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, and where."""

    topic: str
    said: str
    where: str


@dataclass(slots=True)
class Survey:
    """Everything that was found."""

    findings: list[Finding] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    """What could not be looked at."""
    about: set[str] = field(default_factory=set)
    """What items may be about here: code, service, web, containers, …"""
    dockerfiles: tuple[str, ...] = ()
    compose: tuple[str, ...] = ()
    project: str = ""
    services: dict[str, Composed] = field(default_factory=dict)
    containers: tuple[str, ...] = ()
    """Names of the running ones that Compose started from here."""
    images: dict[str, str] = field(default_factory=dict)
    """What they run, by the service."""
    pipelines: tuple[str, ...] = ()
    forge: str = ""
    """github or gitlab, by its files of CI."""
    jobs: tuple[str, ...] = ()
    scheduled: bool = False
    django: str | None = None
    """The folder of manage.py."""
    alembic: str | None = None
    database: str = ""
    """postgres or mysql."""
    variables: set[str] = field(default_factory=set)
    """Names of variables that settings and Compose files read."""
    set_variables: frozenset[str] = frozenset()
    """Those that are set where `init` was started."""
    settings: tuple[str, ...] = ()
    """Django's settings files."""
    reuses: str | None = None
    """The one that says how long connections are kept."""
    dumps: tuple[str, ...] = ()
    """Scripts that back something up, by their names."""
    uptime: str | None = None
    """The workflow that looks at the service by the clock."""
    repository: str | None = None
    """OWNER/NAME on the forge."""
    queue: str = ""
    metrics: bool = False
    languages: tuple[str, ...] = ()
    """python, node: whose packages the code needs."""
    frontend: str | None = None
    """The folder of package.json."""
    docs: dict[str, str] = field(default_factory=dict)
    """Pages by the item that they are about."""
    health: tuple[str, str] | None = None
    """A URL that says whether the service is well, and where it was read."""

    def found(self, topic: str, said: str, where: str) -> None:
        """Keep one finding."""
        self.findings.append(Finding(topic, safe(said, 120), safe(where, 120)))

    def variable(self, *endings: str) -> str | None:
        """The variable that holds an address of that kind."""
        named = sorted(name for name in self.variables if name.endswith(endings))
        return min(named, key=len, default=None)


Containers = Callable[[], Sequence[Mapping[str, Any]]]
"""Lists what runs, as the engine does. Raises ProbeError or ImportError where none answers."""


def survey(root: Path, environ: Mapping[str, str], containers: Containers | None = None) -> Survey:
    """Look at everything once. Never raises for what the repository holds."""
    folder = Folder.of(root)
    found = Survey()
    needed = _dependencies(folder, found)
    _images(folder, found, root)
    _pipelines(folder, found)
    _frameworks(folder, found, needed)
    _migrations(folder, found)
    _stores(found, needed)
    found.dumps = tuple(folder.like("*backup*.sh", "*dump*.sh")[:10])
    if found.dumps:
        found.found("backups", f"{len(found.dumps)} script{'s' * (len(found.dumps) > 1)}", ", ".join(found.dumps[:5]))
    _docs(folder, found)
    _health(folder, found)
    wanted = {*found.variables, "DATABASE_URL", "REDIS_URL", "GITHUB_TOKEN"}
    given = {name.removesuffix("_FILE") for name, value in environ.items() if value}
    found.set_variables = frozenset(wanted & given)
    if containers is not None and found.compose:
        _running(found, root, containers)
    if found.about & {"web", "containers", "image"}:
        found.about |= {"service", "deployed"}
    found.about.add("code")
    found.trouble += folder.trouble
    return found


def _dependencies(folder: Folder, found: Survey) -> dict[str, str]:
    """Names of what the code needs, each with the file that says so. Versions and comments are no names."""
    needed: dict[str, str] = {}
    for path in folder.like(*_REQUIREMENTS):
        for name in re.findall(r"(?m)^[ \t\"'\[]*([A-Za-z][A-Za-z0-9_.-]*)", folder.text(path)):
            needed.setdefault(name.lower().replace("_", "-"), path)
        # Lists of pyproject.toml may stand on one line.
        if path.endswith(".toml"):
            for name in re.findall(r"[\"']([A-Za-z][A-Za-z0-9_.-]*)\s*[\"'\[<>=~!;]", folder.text(path)):
                needed.setdefault(name.lower().replace("_", "-"), path)
    if top := folder.named("pyproject.toml", "setup.py", "requirements.txt"):
        found.found("code", "Python", top[0])
        found.languages = ("python",)
    if packages := folder.named("package.json"):
        found.languages += ("node",)
    for path in packages:
        try:
            package = parse_json(folder.text(path))
        except ValueError as error:
            found.trouble.append(f"{safe(path, 100)}: {safe(error, 120)}")
            continue
        groups = [package.get(key) for key in ("dependencies", "devDependencies")] if isinstance(package, dict) else []
        names = [name for group in groups if isinstance(group, dict) for name in group]
        for name in names:
            needed.setdefault(f"npm:{name}", path)
        if found.frontend is None and {"next", "react", "vue", "svelte"} & {*names}:
            found.frontend = str(PurePosixPath(path).parent)
            found.about |= {"frontend", "web"}
            kind = next(name for name in ("next", "react", "vue", "svelte") if name in names)
            found.found("frontend", {"next": "Next.js"}.get(kind, kind), path)
    return needed


def _images(folder: Folder, found: Survey, root: Path) -> None:
    files = [path for path in folder.paths if PurePosixPath(path).name.split(".")[0] == "Dockerfile"][:20]
    found.dockerfiles = tuple(path for path in files if not path.lower().endswith(".dockerignore"))
    if found.dockerfiles:
        found.about |= {"image", "containers"}
        found.found("images", f"{len(found.dockerfiles)} built", ", ".join(found.dockerfiles[:5]))
    read = [(path, roots[0]) for path in folder.named(*COMPOSE) if "/" not in path and (roots := folder.yaml(path))]
    found.compose = tuple(path for path, _ in read)
    if not read:
        return
    found.services = composed(read)
    found.project = project((node for _, node in read), root.resolve().name)
    found.about.add("containers")
    found.found("services", f"{len(found.services)} services: {', '.join(found.services)}", found.compose[0])
    for service in found.services.values():
        found.variables |= {name for name in service.variables if re.fullmatch(r"[A-Z][A-Z0-9_]*", name)}


def _pipelines(folder: Folder, found: Survey) -> None:
    github = [path for path in folder.like("*.yml", "*.yaml") if str(PurePosixPath(path).parent) == ".github/workflows"]
    gitlab = [path for path in (".gitlab-ci.yml",) if path in folder.paths]
    files = github or gitlab
    jobs: dict[str, None] = {}
    read = []
    for path in files[:50]:
        for root in folder.yaml(path):
            read.append(path)
            listed = root.get("jobs") if github else root
            jobs |= dict.fromkeys(name for name in (listed.mapping if listed is not None else {}) if fit(name))
            if root.get("on", "schedule") is not None:
                found.scheduled = True
                if re.search("uptime|health|monitor", PurePosixPath(path).name.lower()):
                    found.uptime = PurePosixPath(path).name
    if not read:
        return
    found.pipelines, found.jobs = tuple(dict.fromkeys(read)), tuple(jobs)
    found.forge = "github" if github else "gitlab"
    said = {"github": "GitHub Actions", "gitlab": "GitLab CI"}[found.forge]
    found.found("CI", f"{said}: {', '.join(found.jobs) or 'no job'}", ", ".join(found.pipelines[:5]))


def _frameworks(folder: Folder, found: Survey, needed: Mapping[str, str]) -> None:
    for path in folder.named("manage.py"):
        if "django" in folder.text(path).lower():
            found.django = str(PurePosixPath(path).parent)
            found.about |= {"web", "migrations"}
            found.found("web", "Django", path)
            break
    if (ini := folder.named("alembic.ini")) and found.django is None:
        found.alembic = str(PurePosixPath(ini[0]).parent)
        found.about.add("migrations")
        found.found("migrations", "Alembic", ini[0])
    for name in ("fastapi", "flask", "starlette", "aiohttp", "npm:express", "npm:fastify"):
        if name in needed and found.django is None:
            found.about.add("web")
            found.found("web", name.removeprefix("npm:"), needed[name])
            break
    for path in folder.like("settings.py", "settings/*.py", "config/*.py", "config.py", ".env.example", ".env.sample"):
        text = folder.text(path)
        names = _ENV.findall(text)
        if ".env." in path:
            names = re.findall(r"(?m)^(?:export\s+)?([A-Z][A-Z0-9_]*)=", text)
        found.variables.update(names)
        if found.django is not None and path.endswith(".py"):
            found.settings += (path,)
            if found.reuses is None and re.search(r"(?i)conn_max_age", text):
                found.reuses = path
                found.found("settings", _kept(text), path)
        engine = _ENGINE.search(text)
        if engine and not found.database:
            word = engine[1] or engine[2]
            found.database = "postgres" if word.startswith("postgres") else "mysql" if word != "sqlite3" else ""
            if found.database:
                found.found("database", found.database, path)
    for name in ("django-prometheus", "prometheus-client", "prometheus-fastapi-instrumentator", "npm:prom-client"):
        if name in needed:
            found.metrics = True
            found.found("metrics", name.removeprefix("npm:"), needed[name])
            break


def _kept(settings: str) -> str:
    """What the settings say of how long connections are kept: a number, or only that something is said."""
    number = re.search(r"(?i)conn_max_age[\"']?\s*[:=]\s*(\d{1,9}|None)\b", settings)
    if number is None:
        return "CONN_MAX_AGE is set"
    return f"CONN_MAX_AGE: {number[1]}" + (", no connection is kept" if not number[1].strip("0") else "")


def _migrations(folder: Folder, found: Survey) -> None:
    at = [path for path in folder.like("migrations/*.py", "versions/*.py") if not path.endswith("/__init__.py")]
    if at and (found.django is not None or found.alembic is not None):
        where = sorted({str(PurePosixPath(path).parent) for path in at})
        found.found("schema", f"{len(at)} migration{'s' * (len(at) > 1)}", ", ".join(where[:5]))


def _stores(found: Survey, needed: Mapping[str, str]) -> None:
    for service in found.services.values():
        image = service.store
        if image in _IMAGES and not found.database:
            found.database = _IMAGES[image]
            found.found("database", found.database, f"{service.file}: {service.name}")
        if image in ("redis", "valkey", "keydb") and "redis" not in found.about:
            found.about.add("redis")
            found.found("cache", image, f"{service.file}: {service.name}")
    if found.database:
        found.about |= {"database", *({"postgres"} if found.database == "postgres" else ())}
    for name in _QUEUES:
        where = next((needed[one] for one in (name, f"django-{name}") if one in needed), None)
        if where is not None:
            found.queue = name
            found.about.add("queue")
            found.found("queue", name, where)
            break


_PAGES: tuple[tuple[str, str], ...] = (
    ("doc.deploy", "*deploy*.md"),
    ("doc.rollback", "*rollback*.md"),
    ("doc.api", "*api*.md"),
    ("doc.schema", "*schema*.md"),
    ("doc.arch", "*architecture*.*"),
    ("doc.onboarding", "*onboarding*.md"),
    ("doc.onboarding", "CONTRIBUTING.md"),
    ("doc.trouble", "*troubleshoot*.md"),
    ("dr.runbook", "*disaster*.md"),
    ("dr.incident", "*incident*.md"),
)


def _docs(folder: Folder, found: Survey) -> None:
    for item, pattern in _PAGES:
        at = [path for path in folder.like(pattern) if path.count("/") == 0 or path.lower().startswith("doc")]
        if at and item not in found.docs:
            found.docs[item] = at[0]
    if found.docs:
        pages = sorted({*found.docs.values()})
        found.found("docs", f"{len(pages)} page{'s' * (len(pages) > 1)}", ", ".join(pages[:5]))


def _health(folder: Folder, found: Survey) -> None:
    for service in found.services.values():
        if service.health is not None:
            found.health = (service.health, f"{service.file}: the health check of {safe(service.name, 60)}")
            break
    else:
        for path in folder.named("urls.py", "main.py", "app.py"):
            route = re.search(r"[\"']/?((?:health|healthz|livez|readyz|ping)/?)[\"']", folder.text(path))
            ports = [port for service in found.services.values() if service.builds for port in service.ports.values()]
            if route and ports:
                found.health = (f"http://127.0.0.1:{ports[0]}/{route[1]}", f"a route in {safe(path, 80)}")
                break
    if found.health is not None:
        found.about.add("web")
        found.found("health", found.health[0], found.health[1])


def _running(found: Survey, root: Path, containers: Containers) -> None:
    from captain.errors import ProbeError

    try:
        listed = containers()[:_MAX_CONTAINERS]
    except (ProbeError, ImportError, OSError, ValueError) as error:
        found.trouble.append(f"running containers: {safe(getattr(error, 'message', error), 160)}")
        return
    here = str(root.resolve())
    own = [one for one in listed if _label(one, "project.working_dir") == here and one.get("State") == "running"]
    if not own:
        found.trouble.append("running containers: none that Compose started from here")
        return
    found.project = _label(own[0], "project") or found.project
    own = [one for one in own if _label(one, "project") == found.project]
    found.containers = tuple(sorted(str((one.get("Names") or ["?"])[0]).removeprefix("/") for one in own))
    found.images = {name: str(one.get("Image") or "") for one in own if (name := _label(one, "service"))}
    found.found("running", ", ".join(found.containers), f"the engine, project {found.project}")


def _label(listed: Mapping[str, Any], name: str) -> str:
    labels = listed.get("Labels")
    return str(labels.get(f"com.docker.compose.{name}") or "") if isinstance(labels, Mapping) else ""
