"""The application: one log, one person, and the screens over them. Knows how to start, leave and fail.

Nothing imported here loads pydantic, SQLite, CEL, httpx or a client: the first frame waits for none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import WorkType

from captain.errors import CaptainError
from captain.tui import terminal
from captain.tui.keys import BRIDGE, QUIT, REVIEW, RUN, bindings, shown_key
from captain.tui.keys import keymap as parse_keymap
from captain.tui.moment import Known
from captain.tui.present import Look
from captain.tui.screens.aboard import Aboard, Opener

if TYPE_CHECKING:
    from captain.engine import Engine
    from captain.tui.harbour import Harbour

DARK = "tokyo-night"
ENDING = (signal.SIGTERM, signal.SIGHUP)


class CaptainApp(App[None]):
    """captain on a terminal."""

    CSS_PATH = Path(__file__).parent / "captain.tcss"
    TITLE = "captain"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = bindings([QUIT])

    def __init__(
        self,
        log_path: Path,
        *,
        known: Known | None = None,
        opener: Opener | None = None,
        home: Harbour | None = None,
        keymap: Mapping[str, str] | None = None,
        ascii_only: bool = False,
        calm: bool = False,
        theme: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """A run (`known`, `opener`), or the bridge (`home`). `$CAPTAIN_KEYS` remaps keys; UsageError for a bad one."""
        environ = os.environ if environ is None else environ
        calm = calm or environ.get("TEXTUAL_ANIMATIONS") == "none" or "SSH_CONNECTION" in environ
        super().__init__()
        self.look = Look(colour=not self.no_color, ascii=ascii_only, calm=calm)
        self.keys: Mapping[str, str] = dict(parse_keymap(environ.get("CAPTAIN_KEYS", "")) | dict(keymap or {}))
        self.log_path = log_path
        self.home = home
        self.engines: list[Engine] = []
        self.failure: CaptainError | None = None
        """Why nothing could be opened, for the command that started the screen."""
        self.failures: list[BaseException] = []
        """Unexpected errors, shown and kept."""
        self.farewell: str | None = None
        """What to print once the screen is gone."""
        self._known = known
        self._opener = opener
        self._dress(theme or environ.get("CAPTAIN_THEME") or environ.get("TEXTUAL_THEME") or DARK)
        self.animation_level = "none"
        if self.keys:
            self.set_keymap(dict(self.keys))

    def _dress(self, name: str) -> None:
        """Start in this theme, or in the dark one where there is none of that name."""
        theme = self.get_theme(name)
        if theme is not None and theme.ansi:
            self.theme = name
            return
        # Set before anything is drawn, a theme needs no second reading of all styles.
        self.set_reactive(CaptainApp.theme, name if theme is not None else DARK)
        self.stylesheet.set_variables(self.get_css_variables())

    def on_load(self) -> None:
        # Modules and widgets made while starting are no garbage: looking for some costs a tenth of the start.
        gc.disable()

    def on_ready(self) -> None:
        # The first frame is out. Waiting for the next refresh as well would cost two of its periods.
        if isinstance(self.screen, Aboard):
            self.screen.begin()

    def settled(self) -> None:
        """What was asked for is drawn: from here on memory is looked after as usual."""
        if not gc.isenabled():
            gc.freeze()
            gc.enable()

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for name in ENDING:
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                # Only the main thread may; elsewhere whoever runs the screen decides what a signal means.
                loop.add_signal_handler(name, self._signalled, name)
        if not self.is_headless:
            terminal.watch(lambda: loop.call_soon_threadsafe(self._signalled, signal.SIGHUP))
        self.set_class(self.look.ascii, "-ascii")

    def get_default_screen(self) -> Screen[Any]:
        """The screen captain was asked for is the first one: no other is laid out before it."""
        if self._known is not None and self._opener is not None:
            return self._aboard(self._known, self._opener)
        if self.home is not None:
            from captain.tui.screens.bridge import BridgeScreen

            return BridgeScreen(self, self.home)
        return super().get_default_screen()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette lists: the keys of this screen that may be pressed now, and the theme."""
        keys = {"run": RUN, "review": REVIEW, "bridge": BRIDGE}.get(screen.id or "", ())
        why = getattr(screen, "why_not", None)
        for key in keys:
            # Panels and the palette itself are nearer by their own key.
            if key.action.startswith(("panel", "app.")) or why is None or why(key.id) is not None:
                continue
            title = f"{key.word[:1].upper()}{key.word[1:]} ({shown_key(key, self.keys)})"
            yield SystemCommand(title, key.tooltip, partial(self._do, screen, key.action))
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Quit", "Leave captain; runs stay open", self.action_quit)

    async def _do(self, screen: Screen[Any], action: str) -> None:
        await screen.run_action(action)

    def open_run(self, known: Known, opener: Opener) -> None:
        """Show a run over what is there."""
        self.push_screen(self._aboard(known, opener))

    def _aboard(self, known: Known, opener: Opener) -> Aboard:
        """The screen of a run: a review has one of its own."""
        if known.standing:
            from captain.tui.screens.readiness import ReadinessScreen

            return ReadinessScreen(self, known, opener)
        from captain.tui.screens.run import RunScreen

        return RunScreen(self, known, opener)

    def open_history(self) -> None:
        from captain.tui.screens.history import HistoryScreen

        self.push_screen(HistoryScreen(self.log_path))

    def open_help(self, about: Screen[None]) -> None:
        from captain.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(about))

    def leave(self, screen: Screen[None]) -> None:
        """Leave a run: back to the bridge it was opened from, else out of captain."""
        if self.home is not None and len(self.screen_stack) > 1:
            self.run_worker(self._back(screen), group="leave", exit_on_error=False)
        else:
            self.exit()

    async def _back(self, screen: Screen[None]) -> None:
        screen.workers.cancel_node(screen)
        await self._close_engines()
        self.pop_screen()

    def keep(self, error: BaseException) -> None:
        """An unexpected error that was shown: kept for whoever started the screen."""
        self.failures.append(error)

    def handle_bindings_clash(self, clashed_bindings: set[Binding], node: object) -> None:
        words = ", ".join(sorted(f"{one.id or one.action} ({one.key})" for one in clashed_bindings))
        self.notify(f"two keys are the same: {words}", severity="warning", markup=False)

    async def _close_engines(self) -> None:
        while self.engines:
            try:
                await self.engines.pop().close()
            except Exception as error:
                self.keep(error)

    def _signalled(self, number: signal.Signals) -> None:
        work: WorkType[None] = partial(self._suspend, number)
        self.run_worker(work, group="signal", exclusive=True, exit_on_error=False)

    async def _suspend(self, number: signal.Signals) -> None:
        """Told to end: a line in the log, then the terminal as it was. What runs goes on."""
        for engine in self.engines:
            try:
                await engine.suspend(number.name)
            except CaptainError as error:
                self.keep(error)
        self.exit(return_code=128 + number)

    async def on_unmount(self) -> None:
        self.settled()
        await self._close_engines()
