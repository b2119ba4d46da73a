"""The options every verb has, accepted before and behind it. Reads no file and opens nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from captain.events import Actor
    from captain.settings import Settings


class Common:
    """What the common options said."""

    def __init__(self) -> None:
        self.log: str | None = None
        self.name: str | None = None
        self.no_input = False
        self.debug = False
        self.ascii = False
        self.environ: Mapping[str, str] = dict(os.environ)
        """As captain was started with."""
        self._actor: Actor | None = None
        self._actor_name: str | None = None

    @property
    def cwd(self) -> Path:
        """Where files are looked for: `-C`, or where captain was started."""
        from pathlib import Path

        return Path.cwd()

    def settings(self) -> Settings:
        """Where the log lies."""
        from captain.settings import settings

        return settings(self.log, self.environ)

    def actor(self) -> Actor:
        """Who is at the keyboard."""
        from captain.identity import identify

        if self._actor is None or self._actor_name != self.name:
            self._actor, self._actor_name = identify(self.name, self.environ), self.name
        return self._actor


def settle(ctx: click.Context) -> Common:
    """The common options of this call, as far as they were read."""
    found = ctx.find_root().ensure_object(Common)
    assert isinstance(found, Common)
    return found


def answers(given: Iterable[str]) -> dict[str, str]:
    """What `--set NAME=TEXT` said. Raises UsageError."""
    from captain.errors import UsageError

    found: dict[str, str] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise UsageError(f"--set takes NAME=TEXT, not {one[:100]!r}")
        found[name] = text
    return found


def _move(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None or ctx.resilient_parsing:
        return
    settle(ctx)
    try:
        os.chdir(value)
    except OSError as error:
        raise click.UsageError(f"-C: cannot go to {value[:200]!r}: {error.strerror}", ctx) from error


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    # A value given behind the verb wins over one before it; one that was not given changes nothing.
    if value is None or value is False or ctx.resilient_parsing:
        return
    setattr(settle(ctx), _FIELDS[str(parameter.name)], value)


def _louder(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from captain import diagnostics

        diagnostics.configure(quiet=parameter.name == "quiet", verbose=parameter.name == "verbose")


_FIELDS = {"log_path": "log", "as_name": "name", "no_input": "no_input", "debug": "debug", "ascii": "ascii"}


def ascii_option() -> click.Option:
    """For what draws: the bridge, a run, the demo."""
    return click.Option(
        ["--ascii"], is_flag=True, expose_value=False, callback=_keep, help="Draw screens with ASCII only."
    )


def common() -> list[click.Option]:
    """The options, new objects each time."""
    return [
        click.Option(
            ["-C", "folder"], metavar="DIR", expose_value=False, is_eager=True, callback=_move, help="Work in DIR."
        ),
        click.Option(
            ["--log", "log_path"],
            metavar="PATH",
            expose_value=False,
            callback=_keep,
            help="The log to use; else $CAPTAIN_LOG, else the one of this user.",
        ),
        click.Option(
            ["--as", "as_name"],
            metavar="NAME",
            expose_value=False,
            callback=_keep,
            help="Who acts; else $CAPTAIN_AS, else your git e-mail. Shown as asserted.",
        ),
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_louder, help="Only problems on stderr."
        ),
        click.Option(["-v", "--verbose"], is_flag=True, expose_value=False, callback=_louder, help="More on stderr."),
        click.Option(
            ["--no-input"], is_flag=True, expose_value=False, callback=_keep, help="Never ask; fail naming the flag."
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_keep,
            help="Show a traceback where captain itself fails.",
        ),
    ]
