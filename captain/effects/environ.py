"""Where a program is and which environment it is given. Starts nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from captain.errors import ProgramError

_PROBE_NAMES = frozenset(("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK"))
_PROBE_PREFIXES = ("LC_", "DOCKER_")
# What makes a program load other code than its own.
_ACTION_REFUSED = ("LD_", "DYLD_", "PYTHON", "GIT_")
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def probe_environ(environ: Mapping[str, str], extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a probe's program gets: a short allowlist of captain's environment and the variables the file gives it."""
    kept = {name: value for name, value in environ.items() if name in _PROBE_NAMES or name.startswith(_PROBE_PREFIXES)}
    return _with_safe_path(kept) | dict(extra or {})


def action_environ(
    environ: Mapping[str, str], secrets: Iterable[str], extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What an action's program gets: captain's environment without loaders' variables and the declared secrets.

    `secrets` are names; `$NAME` and `$NAME_FILE` are left out unless `extra` gives them.
    """
    hidden = {name for secret in secrets for name in (secret, f"{secret}_FILE")}
    kept = {
        name: value for name, value in environ.items() if name not in hidden and not name.startswith(_ACTION_REFUSED)
    }
    return _with_safe_path(kept) | dict(extra or {})


def find_program(name: str, *, cwd: Path, env: Mapping[str, str]) -> Path:
    """The absolute path of a program: beside `cwd` if the name holds a slash, else in the absolute entries of PATH.

    Empty and relative entries of PATH are never searched. Raises ProgramError when there is nothing to execute.
    """
    if not name or "\0" in name:
        raise ProgramError("cannot start a program without a name")
    if "/" in name:
        return _executable(Path(os.path.normpath(cwd.absolute() / name)), name)
    for entry in _absolute(env.get("PATH", _DEFAULT_PATH)):
        candidate = Path(entry) / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    hint = f"write ./{name} for the one in {cwd}" if (cwd / name).is_file() else "install it, or write its path"
    raise ProgramError(f"cannot start {name}: it is in no folder of PATH", hint=hint)


def _executable(path: Path, name: str) -> Path:
    if not path.exists():
        raise ProgramError(f"cannot start {name}: {path} is not there", hint="check `run` and `cwd`")
    if not path.is_file():
        raise ProgramError(f"cannot start {name}: {path} is not a file")
    if not os.access(path, os.X_OK):
        raise ProgramError(f"cannot start {name}: {path} is not executable", hint=f"chmod +x {path}")
    return path


def _absolute(path: str) -> list[str]:
    return [entry for entry in path.split(os.pathsep) if entry.startswith("/")]


def _with_safe_path(env: dict[str, str]) -> dict[str, str]:
    """A program that calls others by name must not find them in whatever folder it stands in."""
    return {**env, "PATH": os.pathsep.join(_absolute(env.get("PATH", _DEFAULT_PATH))) or _DEFAULT_PATH}
