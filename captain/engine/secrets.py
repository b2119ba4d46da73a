"""The values of the secrets that files declare, read once out of the surroundings. Knows no log and no masking."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captain.checklist import Target


def declared_secrets(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """Declared secrets that are set: from $NAME, else from the file named by $NAME_FILE."""
    found: dict[str, str] = {}
    for name in target.service.secrets:
        if name in environ:
            found[name] = environ[name]
        elif path := environ.get(f"{name}_FILE"):
            try:
                # A pipe without a writer would hold captain for ever; only a regular file has an end.
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                with os.fdopen(handle, "rb") as file:
                    if stat.S_ISREG(os.fstat(handle).st_mode):
                        found[name] = file.read(65536).decode("utf-8").rstrip("\r\n")
            except (OSError, ValueError):
                continue
    return {name: value for name, value in found.items() if value}
