"""captain demo: a release of an invented shop, on this machine alone."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.demo.world import World
    from captain.engine import Engine
    from captain.events import Event


@click.command("demo")
@click.option("--script", is_flag=True, help="Play the story unattended and tell it on stdout.")
@click.pass_context
def command(ctx: click.Context, script: bool) -> int:
    """Release an invented shop: no Docker, no network, nothing to prepare, nothing left behind.

    The new version looks healthy and breaks the checkout. The probes show it; R goes back and proves it.
    With --script: exit 0 only if every verdict of the story came out.
    """
    from captain.commands.shared.bridge import undrawable
    from captain.demo.world import world
    from captain.errors import UsageError

    if not script and (why := undrawable()):
        raise UsageError(f"the demo draws a screen, and {why}", hint="captain demo --script tells it line by line")
    for number in (signal.SIGTERM, signal.SIGHUP):
        # The world is removed on the way out, so being told to end must be a way out.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda code, _: sys.exit(128 + code))
    with world() as made:
        return _tell(made) if script else _screen(made, settle(ctx))


def _tell(world: World) -> int:
    from captain.commands.shared.ending import Ending, headless
    from captain.commands.shared.out import line
    from captain.demo.script import Story

    async def told(ending: Ending) -> int:
        ending.farewell = "the story was interrupted; the demo's shop, repository and log are gone"
        return 0 if await Story(world, line).tell() else 1

    return headless(told)


def _screen(world: World, common: Common) -> int:
    from captain.commands.shared.bridge import draw
    from captain.demo import ENVIRONMENT, NEW
    from captain.tui.app import CaptainApp
    from captain.tui.moment import Known

    async def open_run(publish: Callable[[Event], None]) -> Engine:
        from captain.demo.script import begin, open_engine

        engine = open_engine(world, publish)
        try:
            await begin(engine)
        except BaseException:
            await engine.close()
            raise
        return engine

    known = Known(service="shop", environment=ENVIRONMENT, protected=True, version=NEW)
    app = CaptainApp(world.settings.log, known=known, opener=open_run, ascii_only=common.ascii)
    code = draw(app, common)
    if code == 0:
        click.echo("The demo's shop, repository and log are gone. Your own: captain init")
    return code
