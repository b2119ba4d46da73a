"""What `captain init` finds in a repository and writes into it. Overwrites nothing, runs nothing of the repository."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from captain.errors import CaptainError, UsageError
from captain.fields import ID_PATTERN

FOLDER = ".captain"
MODELINE = "# yaml-language-server: $schema="


@dataclass(frozen=True, slots=True)
class Found:
    """What a repository says about itself."""

    service: str
    why: str
    """Where the name comes from."""
    git: bool
    """Whether it is a git work tree."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """What became of one file."""

    path: str
    kept: bool
    """True where it was there already and stays as it is."""


def look(root: Path) -> Found:
    """Read the service's name from pyproject.toml, else from the folder."""
    git = (root / ".git").exists()
    name = _pyproject(root)
    if name:
        return Found(as_id(name), "pyproject.toml", git)
    return Found(as_id(root.resolve().name), "the folder's name", git)


def _pyproject(root: Path) -> str | None:
    try:
        with (root / "pyproject.toml").open("rb") as file:
            name = tomllib.loads(file.read(1024 * 1024).decode("utf-8")).get("project", {}).get("name")
    except (OSError, ValueError, AttributeError):
        return None
    return name if isinstance(name, str) else None


def as_id(name: str) -> str:
    """The name as an id, or `service` where nothing of it is left."""
    cleaned = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:64]
    return cleaned if re.fullmatch(ID_PATTERN, cleaned) else "service"


def check_url(url: str) -> str:
    """A health URL that can be asked. Raises UsageError for any other."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "'" in url or any(c <= " " for c in url):
        raise UsageError(f"{url} is no http(s) URL", hint="as in https://shop.example.com/healthz")
    return url


def write(root: Path, found: Found, health_url: str, checklist: str, schemas: Mapping[str, str]) -> list[Wrote]:
    """Write captain.yaml, checklists/deploy.yaml and the schemas, each only where nothing is there."""
    parts = urlsplit(health_url)

    def beside(path: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    service = f"""\
{MODELINE}{FOLDER}/captain.schema.json
# What is released here, and where. captain lint checks it; captain explain says what may stand in it.
service: {found.service}
vars:
  health_url: '{health_url}'
  version_url: '{beside("/version")}'   # answers JSON with the running version
  metrics_url: '{beside("/metrics")}'
environments:
  staging: {{}}                     # give it vars of its own: {{ vars: {{ health_url: … }} }}
  production: {{ protected: true }}  # dangerous keys ask for its name
# people:                         # roles for sign-offs; without it everybody may sign everything
#   karen@example.com: [captain, dba]
checklists: [checklists/deploy.yaml]
release:
  running: {{ http: {{ url: '${{{{ vars.version_url }}}}' }}, version: json.version }}
# The way back is taken and proved before the deploy section opens. Without a plan that takes the typed words
# "no way back" and a reason.
# rollback:
#   plan:
#     - {{ id: web, strategy: command, run: [./deploy.sh, '${{{{ previous.version }}}}'] }}
#     - {{ id: web, strategy: container, container: web }}
#   verify: [deploy/health-checks-passing]
"""
    files = {
        "captain.yaml": service,
        "checklists/deploy.yaml": f"{MODELINE}../{FOLDER}/checklist.schema.json\n{checklist}",
        **{f"{FOLDER}/{name}.schema.json": text for name, text in schemas.items()},
    }
    return [_write(root, path, text) for path, text in files.items()]


def _write(root: Path, path: str, text: str) -> Wrote:
    place = root / path
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    except FileExistsError:
        return Wrote(path, kept=True)
    except OSError as error:
        raise CaptainError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return Wrote(path, kept=False)
