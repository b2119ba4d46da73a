"""Builds the demo's world and removes it again, whatever happened in between."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from captain.demo import GOOD, NEW
from captain.demo.forge import Forge
from captain.demo.reports import write_backups, write_reports
from captain.demo.repository import write_first, write_next
from captain.demo.server import ShopServer
from captain.effects.attempt import bar, stop
from captain.errors import ProgramError
from captain.events import Actor
from captain.settings import Settings

FILES = Path(__file__).parent / "shop"
SECRETS = (
    *("DATABASE_URL", "REDIS_URL", "GITHUB_TOKEN", "SCRATCH_DATABASE_URL"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)
"""What the demo's captain.yaml declares. Those of whoever plays the demo lead to systems that it must not touch."""


@dataclass(frozen=True, slots=True)
class World:
    """Where everything of the demo lies."""

    folder: Path
    root: Path
    """The repository."""
    settings: Settings
    actor: Actor
    server: ShopServer

    def environ(self) -> dict[str, str]:
        """What captain finds in the environment: nobody's secrets, and no engine of this machine."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DOCKER_"))}
        for name in SECRETS:
            own.pop(name, None)
            own.pop(f"{name}_FILE", None)
        return {**own, "GITHUB_TOKEN": "none-is-needed-here", "DOCKER_HOST": f"unix://{self.folder}/no-engine.sock"}


@contextmanager
def world() -> Iterator[World]:
    """The demo's world, gone when the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="captain-demo-"))
    server: ShopServer | None = None
    try:
        current = folder / "current"
        current.write_text(GOOD, encoding="utf-8")
        server = ShopServer(current)
        root = folder / "shop"
        shutil.copytree(FILES, root, ignore=shutil.ignore_patterns("__pycache__"))
        config = root / "captain.yaml"
        config.write_text(config.read_text(encoding="utf-8").replace("PORT", str(server.port)), encoding="utf-8")
        now = datetime.now(UTC)
        released, newest = _repository(root, now)
        write_reports(root, newest, now)
        write_backups(root, now)
        _write_env(root)
        server.forge = Forge(released, newest)
        actor = Actor("you", "login", "you", os.getuid(), "demo")
        yield World(folder, root, Settings(folder / "state" / "log.sqlite"), actor, server)
    finally:
        with _undisturbed():
            _stop_attempts(folder)
            if server is not None:
                server.stop()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Whoever ends captain twice in a hurry must not keep the world from being removed."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    except ValueError:  # only the main thread gets signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _stop_attempts(folder: Path) -> None:
    """An action outlives captain. The demo's must not: its world is about to go."""
    for directory in Settings(folder / "state" / "log.sqlite").attempt("any").parent.glob("*"):
        bar(directory)
        asyncio.run(stop(directory, grace=timedelta(seconds=2)))


def _repository(root: Path, now: datetime) -> tuple[str, str]:
    """Two commits and two tags, made without anybody's git settings. The commits' ids."""
    notes = root / "RELEASE_NOTES.md"
    whole = notes.read_text(encoding="utf-8")
    notes.write_text(whole[whole.index(f"# {GOOD}") :], encoding="utf-8")
    write_first(root)
    _git(root, "init", "--quiet", "--initial-branch=main")
    released = _commit(root, GOOD, now - timedelta(days=14))
    notes.write_text(whole, encoding="utf-8")
    write_next(root)
    return released, _commit(root, NEW, now - timedelta(hours=2))


def _commit(root: Path, version: str, at: datetime) -> str:
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", f"Release {version}", at=at)
    _git(root, "tag", f"v{version}")
    return _git(root, "rev-parse", "HEAD")


def _write_env(root: Path) -> None:
    """What the service is configured with on its host: never in git, readable for its owner alone."""
    example = (root / ".env.example").read_text(encoding="utf-8")
    lines = [f"{line}{secrets.token_urlsafe(24)}" if line.endswith("=") else line for line in example.splitlines()]
    for path, content in ((root / ".env", "\n".join(lines)), (root / "secrets/db_password", secrets.token_urlsafe(24))):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"{content}\n", encoding="utf-8")


def _git(root: Path, *arguments: str, at: datetime | None = None) -> str:
    """What git says. `at` is when a commit was made."""
    env = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(root.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "demo",
        "GIT_AUTHOR_EMAIL": "demo@example.com",
        "GIT_COMMITTER_NAME": "demo",
        "GIT_COMMITTER_EMAIL": "demo@example.com",
    }
    if at is not None:
        env |= dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), at.isoformat(timespec="seconds"))
    try:
        done = subprocess.run(
            ["git", "-c", "commit.gpgSign=false", *arguments],
            cwd=root,
            env=env,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )
    except FileNotFoundError as error:
        raise ProgramError("the demo needs git, which is not installed", hint="apt install git") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise ProgramError(f"git {arguments[0]} failed: {said}") from error
    return done.stdout.decode("utf-8", "replace").strip()
