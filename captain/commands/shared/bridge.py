"""Draws, where there is a terminal to draw on. Knows how the screen is started, and what to say without one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from captain.diagnostics import ExitCode, failed
from captain.errors import UsageError

if TYPE_CHECKING:
    from captain.commands.shared.options import Common
    from captain.tui.app import CaptainApp
    from captain.tui.harbour import Harbour


def undrawable() -> str | None:
    """Why no screen can be drawn here; None where one can."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "this is no terminal"
    return "nothing can be drawn on a terminal that says TERM=dumb" if os.environ.get("TERM") == "dumb" else None


def bridge(common: Common) -> int:
    """captain without a verb."""
    if why := undrawable():
        raise UsageError(f"captain draws a screen, and {why}", hint="captain status says what is open")
    from captain.tui.app import CaptainApp

    app = CaptainApp(common.settings().log, home=harbour(common), ascii_only=common.ascii, environ=common.environ)
    return draw(app, common)


def harbour(common: Common, *, read_only: bool = False, trust: str | None = None) -> Harbour:
    """What the screen opens runs with."""
    from captain.tui.harbour import Harbour

    return Harbour(
        common.settings(),
        common.cwd,
        common.actor,
        environ=common.environ,
        read_only=read_only,
        trust=trust or common.environ.get("CAPTAIN_TRUST") or None,
    )


def draw(app: CaptainApp, common: Common) -> int:
    """Run the screen to its end. Returns its exit code; raises why nothing could be opened."""
    app.run()
    if app.failure is not None:
        raise app.failure
    if app.return_code in (ExitCode.HUP, ExitCode.TERM):
        return app.return_code
    if app.farewell:
        sys.stdout.write(app.farewell + "\n")
    for problem in app.failures:
        failed(problem, debug=common.debug)
    if app.failures or app.return_code:
        return ExitCode.UNKNOWN
    return ExitCode.GO
