"""captain run: start a release or resume one, on the screen or only by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captain.commands.shared.options import Common, answers, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from captain.commands.shared.ending import Ending
    from captain.engine import Engine
    from captain.events import Event
    from captain.tui.moment import Known


@click.command("run")
@click.argument("checklist")
@click.option("-r", "--release", "version", metavar="VERSION", help="The version; may be left out to resume.")
@click.option("-e", "--environment", metavar="ENV", help="The environment; may be left out where only one is declared.")
@click.option("--commit", metavar="SHA", help="Bind the version to a commit by hand.")
@click.option("--image", "images", metavar="NAME=REF", multiple=True, help="Use this image instead of the file's.")
@click.option("--set", "inputs", metavar="NAME=TEXT", multiple=True, help="Answer a question that captain.yaml asks.")
@click.option("--no-screen", is_flag=True, help="Open or resume it, print its id, and leave it open (exit 4).")
@click.option("--read-only", is_flag=True, help="Only look: nothing can be measured, signed or started.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII only.")
@click.option("--trust", metavar="DIGEST", help="Accept the commands of that digest for this call; or $CAPTAIN_TRUST.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Walk CHECKLIST (a path, an id of captain.yaml, or a shipped one) for a version in an environment.

    An open run of the same checklist, version and environment is resumed. A checklist with per: service takes no
    version: it has one run in each environment, which stands. Leaving the screen leaves it open.
    Exit 0 completed, 1 aborted or rolled back, 4 left open.
    """
    common = settle(ctx)
    call = _Call(common, given)
    if given["no_screen"]:
        from captain.commands.shared.ending import headless

        return headless(call.without_screen)
    return call.on_screen()


class _Call:
    """One command line."""

    def __init__(self, common: Common, given: dict[str, Any]) -> None:
        self.common = common
        self.checklist: str = given["checklist"]
        self.version: str | None = given["version"]
        self.environment: str | None = given["environment"]
        self.commit: str | None = given["commit"]
        self.read_only: bool = given["read_only"]
        self.ascii: bool = given["ascii_only"]
        self.trust: str | None = given["trust"] or common.environ.get("CAPTAIN_TRUST") or None
        self.images = dict(_image(one) for one in given["images"])
        self.inputs = answers(given["inputs"])

    def on_screen(self) -> int:
        from captain.commands.shared.bridge import draw, undrawable
        from captain.errors import UsageError

        if why := undrawable():
            raise UsageError(
                f"captain run draws a screen, and {why}",
                hint="captain check measures without one; --no-screen opens the run and prints its id",
            )
        from captain.tui.app import CaptainApp

        app = CaptainApp(
            self.common.settings().log,
            known=self._known(),
            opener=self._opener(),
            ascii_only=self.ascii or self.common.ascii,
            environ=self.common.environ,
        )
        code = draw(app, self.common)
        return code or self._left_open()

    def _known(self) -> Known:
        """What the header can say before anything is opened: a look into captain.yaml, judged later."""
        from captain.commands.shared.glance import glance, stands
        from captain.tui.moment import Known

        service, environment, protected = glance(self.common.cwd, self.environment)
        return Known(service, environment, protected, self.version, stands(self.common.cwd, self.checklist))

    def _opener(self) -> Callable[..., Awaitable[Engine]]:
        import asyncio

        async def opener(publish: Callable[[Event], None], inputs: Mapping[str, str] | None = None) -> Engine:
            self.inputs |= inputs or {}
            engine = await asyncio.to_thread(self._engine, publish)
            try:
                self._id = await self._open(engine)
            except BaseException:
                await engine.close()
                raise
            return engine

        return opener

    _id: str | None = None

    def _engine(self, publish: Callable[[Event], None]) -> Engine:
        from captain.commands.shared.opening import open_log
        from captain.engine import Engine
        from captain.errors import UsageError
        from captain.loader import load

        target = load(self.checklist, self.environment, cwd=self.common.cwd)
        if not target.declared:
            raise UsageError("no captain.yaml here", hint="captain -C DIR …, or write one with captain init")
        log = open_log(self.common, read_only=self.read_only)
        try:
            return Engine(
                target,
                log,
                settings=self.common.settings(),
                actor=self.common.actor(),
                publish=publish,
                environ=self.common.environ,
                read_only=self.read_only,
                trust=self.trust,
            )
        except BaseException:
            log.close()
            raise

    async def _open(self, engine: Engine) -> str:
        if engine.target.checklist.per == "service":
            return await self._open_standing(engine)
        version = self.version or self._open_version(engine)
        return await engine.open(version, commit=self.commit, images=self.images, inputs=self.inputs)

    async def _open_standing(self, engine: Engine) -> str:
        from captain.errors import UsageError

        if self.version or self.commit or self.images:
            name = engine.target.checklist.checklist
            raise UsageError(f"{name} is per: service, of the commit at hand", hint="leave -r, --commit, --image out")
        return await engine.open(None, inputs=self.inputs)

    def _open_version(self, engine: Engine) -> str | None:
        """Without -r: the version of the only open run of this checklist and environment."""
        from captain.commands.shared.opening import open_log
        from captain.commands.shared.runs import rows

        target = engine.target
        same = ("release", target.service.service, target.environment, target.checklist.checklist)
        with open_log(self.common, read_only=True) as log:
            data = [one.start.data for one in rows(log) if one.open]
        found = [
            one["version"]
            for one in data
            if (one["kind"], one["service"], one["environment"], one["checklist"]) == same
        ]
        return found[0] if len(found) == 1 else None

    def _left_open(self) -> int:
        """The exit code of a screen that was left: 4 while the run is open."""
        from captain.commands.shared.runs import reading, rows
        from captain.diagnostics import ExitCode, say

        if self._id is None or self.read_only:
            return ExitCode.GO
        with reading(self.common) as log:
            row = next((one for one in rows(log) if one.run == self._id), None) if log is not None else None
        if row is None or not row.open:
            state = row.state if row is not None else "completed"
            return ExitCode.GO if state == "completed" else ExitCode.NO_GO
        say(f"{self._id} stays open; captain status says what is next")
        return ExitCode.WAITS

    async def without_screen(self, ending: Ending) -> int:
        from captain.commands.shared.opening import quiet
        from captain.commands.shared.out import line
        from captain.commands.shared.pages import next_command
        from captain.diagnostics import ExitCode, say, warn

        engine = self._engine(quiet)
        try:
            run = await self._open(engine)
            if engine.changed_files() is not None:
                warn("the files differ from the pinned ones, which count; on the screen captain asks about it")
            say(f"next: {next_command(engine)}")
            line(run)
            return ExitCode.GO if engine.view().run.ended else ExitCode.WAITS
        finally:
            await engine.close()


def _image(text: str) -> tuple[str, str]:
    from captain.errors import UsageError

    name, equals, ref = text.partition("=")
    if not equals or not name or not ref:
        raise UsageError(f"--image takes NAME=REF, not {text[:100]!r}")
    return name, ref
