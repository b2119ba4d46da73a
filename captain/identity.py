"""Who is at the keyboard, as far as this host can tell. Never asks the inspected repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as far as this host can tell."""

    name: str
    source: str
    """Where the name comes from: flag, environment, git, login. The first two are shown as asserted."""
    login: str
    uid: int
    host: str
    key: str | None = None
    """Fingerprint of the signing key, once signatures exist."""

    @property
    def asserted(self) -> bool:
        """Whether the name was merely claimed for this process."""
        return self.source in ("flag", "environment")


def identify(given: str | None, environ: Mapping[str, str]) -> Actor:
    """The actor: `--as`, else `$CAPTAIN_AS`, else git's own e-mail, else the login.

    The repository's configuration is not read: it must not say who signs.
    """
    import socket

    login = _login(environ)
    uid = os.getuid() if hasattr(os, "getuid") else 0
    host = socket.gethostname()[:MAX_NAME] or "localhost"
    for name, source in ((given, "flag"), (environ.get("CAPTAIN_AS"), "environment")):
        if cleaned := clean(name):
            return Actor(cleaned, source, login, uid, host)
    if cleaned := clean(_git_email(environ)):
        return Actor(cleaned, "git", login, uid, host)
    return Actor(login, "login", login, uid, host)


def clean(name: str | None) -> str:
    """A name without control characters and surrounding space, at most 200 characters."""
    return "".join(char for char in name or "" if char.isprintable()).strip()[:MAX_NAME]


def _login(environ: Mapping[str, str]) -> str:
    try:
        import pwd

        return clean(pwd.getpwuid(os.getuid()).pw_name) or "unknown"
    except (ImportError, KeyError):
        return clean(environ.get("USER")) or clean(environ.get("USERNAME")) or "unknown"


def _git_email(environ: Mapping[str, str]) -> str | None:
    import subprocess

    # --global alone: neither the system's nor the repository's file, and GIT_* cannot point elsewhere.
    env = {key: environ[key] for key in ("HOME", "PATH", "XDG_CONFIG_HOME") if key in environ}
    try:
        done = subprocess.run(
            ["git", "config", "--global", "--includes", "--get", "user.email"],
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout if done.returncode == 0 else None
