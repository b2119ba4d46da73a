"""Loads the library for Docker, once. Knows nothing of what is asked with it.

Its packages import each other in circles, which Python survives on one thread alone: of two that begin at the same
time, one finds half a package.
"""

from __future__ import annotations

import threading

_ALONE = threading.Lock()


def load() -> None:
    """Import it whole; whoever comes second waits. To be called before anything of it is imported on a thread."""
    with _ALONE:
        import docker.context
        import docker.errors
        import docker.utils.build
        import docker.utils.fnmatch  # noqa: F401  # their import is all that is wanted
