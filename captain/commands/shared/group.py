"""The group of all verbs: one imported when it is called, every one with the common options. Imports no verb."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from captain.commands import VERBS
from captain.commands.shared.options import ascii_option, common, settle


class NoReader(Exception):
    """Whoever read stdout is gone. No OSError: click would make of a broken pipe a 1, which means no-go."""


class Verbs(click.Group):
    """Finds a verb by its name in the table."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError as problem:
            raise NoReader from problem

    def invoke(self, ctx: click.Context) -> Any:
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as problem:
            raise NoReader from problem
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        verb = importlib.import_module(f"captain.commands.{cmd_name}").command
        if not isinstance(verb, click.Command):
            raise TypeError(f"captain.commands.{cmd_name}.command is no command")
        known = {option for parameter in verb.params for option in parameter.opts}
        verb.params += [option for option in common() if not known & set(option.opts)]
        return verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"there is no command {args[0][:60]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        names = (name for name in VERBS if name.startswith(incomplete))
        return [CompletionItem(name, help=VERBS[name]) for name in names]


def bare(ctx: click.Context) -> int | None:
    """captain without a verb: the bridge."""
    if ctx.invoked_subcommand is not None:
        return None
    from captain.commands.shared.bridge import bridge

    return bridge(settle(ctx))


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from captain import __version__

        click.echo(f"captain {__version__}")
        ctx.exit()


verbs = Verbs(
    "captain",
    callback=click.pass_context(bare),
    invoke_without_command=True,
    params=[
        *common(),
        ascii_option(),
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
        ),
    ],
    help="Walk a release: checklists, live probes, an audit log, a rollback that proves itself.\n\n"
    "Without a command: open and recent runs on the screen.",
    epilog="Exit codes: 0 go or intact, 1 no-go or tampered, 2 usage or file problem, 3 could not tell, "
    "4 waits for a person, 130 interrupted, 141 nobody read the answer.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
