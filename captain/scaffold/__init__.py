"""What `captain init` finds in a repository and writes into it. Overwrites nothing, runs nothing of the repository."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from captain.errors import UsageError
from captain.fields import ID_PATTERN
from captain.scaffold.files import Wrote, write_new
from captain.scaffold.plan import Files, planned
from captain.scaffold.quoting import flow, scalar
from captain.scaffold.survey import Containers, Survey, survey
from captain.systems.git.glance import glance

__all__ = [
    "Containers",
    "Files",
    "Found",
    "Survey",
    "Wrote",
    "as_id",
    "check_url",
    "declared",
    "look",
    "planned",
    "survey",
    "write",
]

FOLDER = ".captain"
SERVICE_FILES = ("captain.yaml", "captain.yml")
MODELINE = "# yaml-language-server: $schema="
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """What a repository says about itself."""

    service: str
    why: str
    """Where the name comes from."""
    git: bool
    """Whether it lies in a git work tree."""
    branch: str | None = None
    repository: str | None = None
    """OWNER/NAME, where a remote is on github.com."""


def look(root: Path) -> Found:
    """The service's name from pyproject.toml, else from the git remote, else from the folder."""
    seen = glance(root)
    remote = _remote(seen.remotes) if seen is not None else None
    for name, why in (
        (_pyproject(root), "pyproject.toml"),
        (remote, "the git remote"),
        (root.resolve().name, "the folder's name"),
    ):
        if name and (found := as_id(name)):
            branch = seen.branch if seen is not None else None
            return Found(found, why, seen is not None, branch, _github(seen.remotes) if seen is not None else None)
    return Found("service", "nothing here that could be a name", seen is not None)


def declared(root: Path) -> str | None:
    """The name of the service file that is there already, be it only a link to nothing."""
    return next((name for name in SERVICE_FILES if (root / name).exists() or (root / name).is_symlink()), None)


def _pyproject(root: Path) -> str | None:
    try:
        with (root / "pyproject.toml").open("rb") as file:
            project = tomllib.loads(file.read(MAX_BYTES).decode("utf-8")).get("project")
    except (OSError, ValueError, RecursionError):
        return None
    name = project.get("name") if isinstance(project, dict) else None
    return name if isinstance(name, str) else None


def _remote(remotes: Mapping[str, str]) -> str | None:
    """The last part of a remote's path, never of anything before it: a URL may hold a password."""
    url = remotes.get("origin") or next(iter(remotes.values()), "")
    try:
        path = urlsplit(url).path if "://" in url else url.rpartition(":")[2]
    except ValueError:
        return None
    tail = path.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return None if "@" in tail else tail


def _github(remotes: Mapping[str, str]) -> str | None:
    url = remotes.get("origin") or next(iter(remotes.values()), "")
    found = re.fullmatch(
        r"(?:https://(?:[^@/]*@)?github\.com/|(?:ssh://)?git@github\.com[:/])([\w.-]+/[\w.-]+?)(?:\.git)?/?", url
    )
    return found[1] if found and found[1].isascii() else None


def as_id(name: str) -> str:
    """The name as an id, or nothing where nothing of it is left."""
    cleaned = re.sub(r"[^a-z0-9._-]+", "-", name.lower()[:200]).strip("-._")[:64].rstrip("-._")
    return cleaned if re.fullmatch(ID_PATTERN, cleaned) else ""


def check_url(url: str) -> str:
    """A health URL that can be asked and written down. Raises UsageError for any other."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or {*url} & {*" '\"\\{}"} or len(url) > 2000:
        raise UsageError(
            "the health URL is no http(s) URL that can be written down", hint="as in https://shop.example.com/healthz"
        )
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "the health URL holds a name or password, which does not belong into a file",
            hint="leave it out; give the step a header from a declared secret later",
        )
    return url


def write(root: Path, found: Found, health_url: str, files: Files, schemas: Mapping[str, str]) -> Iterator[Wrote]:
    """Write captain.yaml, the checklists and the schemas, each only where nothing is there.

    Where a captain.yaml is there already it stays, and its owner says which checklists count: only imported ones and
    the schemas are added. Raises CaptainError naming the file that cannot be written.
    """
    there = declared(root)
    if there is None:
        yield write_new(root, SERVICE_FILES[0], _service(found, health_url, files))
    else:
        yield Wrote(there, kept=True, same=True)
    for path, text in files.sheets.items():
        yield write_new(root, path, f"{MODELINE}../{FOLDER}/checklist.schema.json\n{text}")
    for name, text in schemas.items():
        yield write_new(root, f"{FOLDER}/{name}.schema.json", text)


def _service(found: Found, health_url: str, files: Files) -> str:
    parts = urlsplit(health_url)

    def beside(path: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    name = scalar(found.service)
    secrets = (
        f"secrets: {flow(files.secrets)}   # names only; values come from the environment\n" if files.secrets else ""
    )
    lists = ", ".join(files.sheets)
    return f"""\
{MODELINE}{FOLDER}/captain.schema.json
# What is released here, and where. captain lint checks it; captain explain says what may stand in it.
service: {name}
vars:
  health_url: '{health_url}'
  version_url: '{beside("/version")}'   # answers JSON with the running version
  metrics_url: '{beside("/metrics")}'
{secrets}environments:
  staging: {{}}                     # give it vars of its own: {{ vars: {{ health_url: … }} }}
  production: {{ protected: true }}  # dangerous keys ask for its name
# people:                         # roles for sign-offs; without it everybody may sign everything
#   karen@example.com: [captain, dba]
checklists: [{lists}]
release:
  running: {{ http: {{ url: '${{{{ vars.version_url }}}}' }}, version: json.version }}
# The way back is taken and proved before the deploy section opens. Without a plan that takes the typed words
# "no way back" and a reason.
# rollback:
#   plan:
#     - {{ id: web, strategy: command, run: [./deploy.sh, '${{{{ previous.version }}}}'] }}
#   verify: [deploy/health-checks-passing]
"""
