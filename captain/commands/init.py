"""captain init: the first files for a repository."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

DEFAULT_URL = "http://127.0.0.1:8000/healthz"


@click.command("init")
@click.option("--service", metavar="NAME", help="Name of the service; else taken from the repository.")
@click.option("--health-url", metavar="URL", help="Where the service says that it is well.")
@click.option("--no-input", is_flag=True, help="Never ask.")
@click.pass_context
def command(ctx: click.Context, service: str | None, health_url: str | None, no_input: bool) -> None:
    """Write captain.yaml, checklists/deploy.yaml and their schemas. What is there stays as it is."""
    from captain import scaffold
    from captain.errors import UsageError
    from captain.loader import lint
    from captain.loader.schema import schema
    from captain.loader.shelf import shipped
    from captain.safe import safe

    root = Path.cwd()
    found = scaffold.look(root)
    if service is not None:
        if scaffold.as_id(service) != service:
            raise UsageError(f"{service} is no id", hint="lower-case letters, digits, . _ - (at most 64)")
        found = scaffold.Found(service, "--service", found.git)
    click.echo(f"service    {found.service} (from {found.why})")
    click.echo(f"git        {'a work tree: releases are bound to commits' if found.git else 'none here: no commit is known'}")
    if health_url is None and not no_input and sys.stdin.isatty() and not (root / "captain.yaml").exists():
        health_url = click.prompt("health URL", default=DEFAULT_URL)
    url = scaffold.check_url(health_url or DEFAULT_URL)
    click.echo(f"health     {safe(url)}{'' if health_url else '   (a guess: edit vars in captain.yaml)'}")
    schemas = {name: json.dumps(schema(name), indent=1) + "\n" for name in ("captain", "checklist")}
    for wrote in scaffold.write(root, found, url, shipped("deploy"), schemas):
        click.echo(f"{'kept      ' if wrote.kept else 'wrote     '} {wrote.path}")
    problems = lint(cwd=root)
    for problem in problems:
        click.echo(str(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    if errors:
        ctx.exit(2)
    click.echo("\nNext: captain lint · captain check deploy -e staging · captain run deploy -r VERSION -e staging")
