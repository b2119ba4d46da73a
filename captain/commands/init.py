"""captain init: the first files for a repository."""

from __future__ import annotations

import json
import sys

import click

from captain.commands.shared.options import settle

DEFAULT_URL = "http://127.0.0.1:8000/healthz"


@click.command("init")
@click.option("--service", metavar="NAME", help="Name of the service; else taken from the repository.")
@click.option("--health-url", metavar="URL", help="Where the service says that it is well.")
@click.pass_context
def command(ctx: click.Context, service: str | None, health_url: str | None) -> int:
    """Write captain.yaml, checklists/deploy.yaml and their schemas. What is there stays as it is."""
    from captain import scaffold
    from captain.commands.shared.out import line
    from captain.diagnostics import ExitCode, say
    from captain.errors import UsageError
    from captain.loader import lint
    from captain.loader.schema import schema
    from captain.loader.shelf import shipped

    common = settle(ctx)
    root = common.cwd
    there = scaffold.declared(root)
    found = scaffold.look(root)
    if service is not None:
        if scaffold.as_id(service) != service:
            raise UsageError(f"{service[:100]!r} is no id", hint="lower-case letters, digits, . _ - (at most 64)")
        found = scaffold.Found(service, "--service", found.git, found.branch)
    asked = health_url is None and there is None and not common.no_input and sys.stdin.isatty()
    given = click.prompt("health URL", default=DEFAULT_URL, err=True) if asked else health_url
    url = scaffold.check_url(DEFAULT_URL if given is None else given)
    if there is None:
        say(f"service  {found.service}  (from {found.why})")
        say(f"health   {url}{'' if given else '  (a guess: edit vars in captain.yaml)'}")
    on = f" on {found.branch}" if found.branch else ""
    tree = f"a work tree{on}: releases are bound to commits" if found.git else "none here: no commit is known"
    say(f"git      {tree}")
    schemas = {name: json.dumps(schema(name), indent=1) + "\n" for name in ("captain", "checklist")}
    for wrote in scaffold.write(root, found, url, shipped("deploy"), schemas):
        old = "" if wrote.same or not wrote.path.endswith(".schema.json") else "  (of another captain: delete it first)"
        line(f"{'kept' if wrote.kept else 'wrote'}  {wrote.path}{old}")
    problems = lint(cwd=root)
    for problem in problems:
        line(str(problem))
    if any(problem.severity == "error" for problem in problems):
        return ExitCode.USAGE
    if there is None:
        first = "commit these files first: a release is what was committed" if found.git else ""
        then = "captain check deploy -e staging --phase pre, then captain run deploy -r VERSION -e staging"
        for at, one in enumerate(filter(None, (first, then))):
            say(f"{'' if at else 'next':<8} {one}")
    return ExitCode.GO
