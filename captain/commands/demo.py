"""captain demo: a release of an invented shop, on this machine alone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from captain.demo.world import World
    from captain.engine import Engine
    from captain.events import Event


@click.command("demo")
@click.option("--script", is_flag=True, help="Play the story unattended and tell it on stdout.")
@click.pass_context
def command(ctx: click.Context, script: bool) -> None:
    """Release an invented shop: no Docker, no network, nothing to prepare, nothing left behind.

    The new version looks healthy and breaks the checkout. The probes show it; R goes back and proves it.
    With --script: exit 0 only if every verdict of the story came out.
    """
    from captain.demo.world import world
    from captain.errors import UsageError

    if not script and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the demo draws a screen, and this is no terminal", hint="captain demo --script tells it")
    for number in (signal.SIGTERM, signal.SIGHUP):
        # The world is removed on the way out, so being told to end must be a way out.
        signal.signal(number, lambda code, _: sys.exit(128 + code))
    with world() as made:
        if script:
            from captain.demo.script import Story

            told = asyncio.run(Story(made, click.echo).tell())
            ctx.exit(0 if told else 1)
        _screen(made)


def _screen(world: World) -> None:
    from captain.demo import ENVIRONMENT, NEW
    from captain.tui.app import CaptainApp
    from captain.tui.moment import Known

    async def open_run(publish: Callable[[Event], None]) -> Engine:
        from captain.demo.script import begin, open_engine

        engine = open_engine(world, publish)
        await begin(engine)
        return engine

    known = Known(service="shop", environment=ENVIRONMENT, protected=True, version=NEW)
    app = CaptainApp(world.settings.log, known=known, opener=open_run)
    app.run()
    if app.failure is not None:
        raise app.failure
    click.echo("The demo's shop, repository and log are gone. Your own: captain init")
