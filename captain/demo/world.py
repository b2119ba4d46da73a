"""Builds the demo's world and removes it again, whatever happened in between."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from captain.demo import GOOD, NEW
from captain.demo.server import ShopServer
from captain.errors import ProgramError
from captain.events import Actor
from captain.settings import Settings

FILES = Path(__file__).parent / "shop"


@dataclass(frozen=True, slots=True)
class World:
    """Where everything of the demo lies."""

    folder: Path
    root: Path
    """The repository."""
    settings: Settings
    actor: Actor
    server: ShopServer


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
        _repository(root)
        actor = Actor("you", "login", "you", os.getuid(), "demo")
        yield World(folder, root, Settings(folder / "state" / "log.sqlite"), actor, server)
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _repository(root: Path) -> None:
    """Two commits and two tags, made without anybody's git settings."""
    notes = root / "RELEASE_NOTES.md"
    whole = notes.read_text(encoding="utf-8")
    notes.write_text(whole[whole.index(f"# {GOOD}") :], encoding="utf-8")
    _git(root, "init", "--quiet", "--initial-branch=main")
    _commit(root, f"Release {GOOD}", f"v{GOOD}")
    notes.write_text(whole, encoding="utf-8")
    _commit(root, f"Release {NEW}", f"v{NEW}")


def _commit(root: Path, message: str, tag: str) -> None:
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", message)
    _git(root, "tag", tag)


def _git(root: Path, *arguments: str) -> None:
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
    try:
        subprocess.run(
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
