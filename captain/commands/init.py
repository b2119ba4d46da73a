"""captain init: the first files for a repository."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from captain.commands.shared.options import Common
    from captain.scaffold import Files, Found, Survey

DEFAULT_URL = "http://127.0.0.1:8000/healthz"
_ENGINE_SECONDS = 3.0


@click.command("init")
@click.option("--service", metavar="NAME", help="Name of the service; else taken from the repository.")
@click.option("--health-url", metavar="URL", help="Where the service says that it is well.")
@click.option("--from", "source", metavar="FILE", help="Import a checklist kept in Markdown; no tick of it counts.")
@click.option("--no-check", is_flag=True, help="Do not measure what was written.")
@click.pass_context
def command(ctx: click.Context, service: str | None, health_url: str | None, source: str | None, no_check: bool) -> int:
    """Look at the repository, write captain.yaml, checklists and their schemas, and measure once.

    Starts nothing of the repository. What is there stays as it is.
    """
    from dataclasses import replace

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
        found = replace(found, service=service, why="--service")
    given = None if health_url is None else scaffold.check_url(health_url)
    imported = _source(root, source)
    seen = scaffold.survey(root, common.environ, lambda: _containers(common))
    guess = seen.health[0] if seen.health is not None else DEFAULT_URL
    if given is None and there is None and not common.no_input and sys.stdin.isatty():
        given = scaffold.check_url(click.prompt("health URL", default=guess, err=True))
    url = given or scaffold.check_url(guess)
    beside = None if there is None else _beside(source, scaffold.as_id)
    files = scaffold.planned(seen, shipped("deploy"), imported, beside=beside, repository=found.repository)
    _tell(found, seen, files, url, given is not None, there is None)
    schemas = {name: json.dumps(schema(name), indent=1) + "\n" for name in ("captain", "checklist")}
    wrote = []
    for one in scaffold.write(root, found, url, files, schemas):
        old = "" if one.same or not one.path.endswith(".schema.json") else "  (of another captain: delete it first)"
        if one.kept and one.path in files.sheets:
            old = "" if one.same else "  (another one: move it away and call init again for captain's)"
        line(f"{'kept' if one.kept else 'wrote'}  {one.path}{old}")
        if not one.kept:
            wrote.append(one.path)
    problems = lint(cwd=root)
    added = [path for path in files.sheets if path in wrote] if there is not None else []
    problems += lint(added, cwd=root) if added else []
    for problem in problems:
        line(str(problem))
    if any(problem.severity == "error" for problem in problems):
        return ExitCode.USAGE
    for path in added:
        say(f"next     name {path} under checklists in {there}")
    if there is None:
        review = "checklists/readiness.yaml" in files.sheets
        if not no_check and review:
            from captain.commands.shared.first_look import first_look

            first_look(common, "readiness", "staging")
        first = "commit these files first: a release is what was committed" if found.git else ""
        kept = "captain check readiness -e staging keeps the review, captain score lists what is left" if review else ""
        then = "captain check deploy -e staging --phase pre, then captain run deploy -r VERSION -e staging"
        for at, one_of in enumerate(filter(None, (first, kept, then))):
            say(f"{'' if at else 'next':<8} {one_of}")
    return ExitCode.GO


def _source(root: Path, source: str | None) -> tuple[str, bytes] | None:
    """Name and content of the file to import, bounded."""
    import os
    import stat
    from pathlib import PurePath

    from captain.errors import UsageError
    from captain.scaffold.markdown import MAX_BYTES

    if source is None:
        return None
    try:
        with os.fdopen(os.open(root / source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            # A pipe in its place would never answer.
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"--from {source[:200]!r} is no regular file")
            return PurePath(source).name, file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file name"
        raise UsageError(f"--from {source[:200]!r} cannot be read: {why}") from error


def _containers(common: Common) -> list[Mapping[str, Any]]:
    from captain.systems.docker.reader import Reader, endpoint

    with Reader(endpoint(None, common.environ), _ENGINE_SECONDS) as engine:
        return list(engine.containers())


def _beside(source: str | None, as_id: Callable[[str], str]) -> str:
    """What the ids of imported checklists begin with where captain.yaml is there already."""
    from pathlib import PurePath

    return as_id(PurePath(source).stem)[:48].rstrip("-._") or "imported" if source else "imported"


def _tell(found: Found, seen: Survey, files: Files, url: str, given: bool, fresh: bool) -> None:
    """What was found and where, before anything is written."""
    from captain.diagnostics import say

    if fresh:
        say(f"service  {found.service}  (from {found.why})")
        where = "" if given else f"  ({seen.health[1]})" if seen.health else "  (a guess: edit vars in captain.yaml)"
        say(f"health   {url}{where}")
    on = f" on {found.branch}" if found.branch else ""
    tree = f"a work tree{on}: releases are bound to commits" if found.git else "none here: no commit is known"
    say(f"git      {tree}")
    if files.sheets:
        for one in seen.findings:
            if one.topic != "health":
                say(f"{one.topic:<8} {one.said}  ({one.where})")
        for trouble in seen.trouble:
            say(f"unseen   {trouble}")
    for sentence in files.said:
        say(f"import   {sentence}")
    for doubt in files.doubts:
        say(f"doubt    {doubt}")
    if files.measured or files.asked:
        both = f"{files.both} measured and signed, " if files.both else ""
        say(f"steps    {files.measured} measured, {both}{files.asked} asked of people with evidence that expires")
