"""captain lint: every problem of captain.yaml and the checklists, with its place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click


@click.command("lint")
@click.argument("files", nargs=-1, metavar="[FILE]…")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How problems are written.")
@click.option("--json", "form", flag_value="json", help="Short for --format json.")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], form: str) -> None:
    """Look at captain.yaml and all its checklists, or at the FILEs, and run nothing.

    Errors exit 2. Notes (keys that this captain cannot measure yet) exit 0.
    """
    from captain import diagnostics
    from captain.loader import lint

    problems = lint(files, cwd=Path.cwd())
    if form == "json":
        click.echo(json.dumps([dataclasses.asdict(problem) for problem in problems], indent=1, ensure_ascii=False))
    else:
        for problem in problems:
            click.echo(str(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    diagnostics.say(f"{_count(errors, 'error')}, {_count(len(problems) - errors, 'note')}")
    if errors:
        ctx.exit(2)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
