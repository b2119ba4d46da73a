"""captain schema: the JSON Schema of the files and of results."""

from __future__ import annotations

import json

import click

NAMES = ("checklist", "captain", "result")


@click.command("schema")
@click.argument("name", required=False, type=click.Choice(NAMES), metavar="[checklist|captain|result]")
@click.option("--result", is_flag=True, help="Short for `captain schema result`.")
def command(name: str | None, result: bool) -> None:
    """Write the draft-07 JSON Schema of checklists, of captain.yaml, or of `check --format json`.

    An editor reads it through the first line of a file:
    # yaml-language-server: $schema=../.captain/checklist.schema.json
    """
    from captain.errors import UsageError
    from captain.loader.schema import schema

    if result and name not in (None, "result"):
        raise UsageError(f"--result and {name} ask for two schemas", hint="leave one out")
    click.echo(json.dumps(schema("result" if result else name or "checklist"), indent=1, ensure_ascii=False))
