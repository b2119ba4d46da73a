"""The one starter of programs. Knows nothing of steps, logs or verdicts.

`program` runs a bounded program and waits for it (probes, git). `attempt` starts one that outlives captain
(actions, rollback parts) through `shim`, and reads afterwards what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass

ATTEMPT_DIRECTORY = "\x1eattempt-directory"
"""As an argument of an attempt it stands for the attempt's own directory; no file can hold it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program as a file names it, before templates are resolved; what `captain trust` shows."""

    run: tuple[str, ...] | str
    """Arguments, or one text for `sh -c`."""
    cwd: str = "."
    env: tuple[str, ...] = ()
    """Names of the variables it is given, sorted."""
    container: str | None = None
    """The container it runs in, as the file names it; None on this machine."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The arguments as they will be executed."""
        return ("/bin/sh", "-c", self.run) if isinstance(self.run, str) else self.run
