"""captain check: measure a checklist without a screen, and answer in one exit code."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    import asyncio

    from captain.checklist import Step, Target
    from captain.commands.shared.checking import Wish
    from captain.commands.shared.ending import Ending
    from captain.commands.shared.outcome import Outcome
    from captain.engine import Engine
    from captain.settings import Settings


FORMATS = "text, json, junit, markdown, github (annotations and step summary), sarif or tap. [default: text]"


@click.command("check")
@click.argument("checklist")
@click.option("-e", "--environment", metavar="ENV", help="The environment; may be left out where only one is declared.")
@click.option("-r", "--release", "version", metavar="VERSION", help="The version that is checked.")
@click.option("--commit", metavar="SHA", help="Bind the version to a commit by hand.")
@click.option("--set", "inputs", metavar="NAME=TEXT", multiple=True, help="Answer a question that captain.yaml asks.")
@click.option("--run", "run", metavar="RUN", help="Measure for an open run: the results are its own.")
@click.option("--phase", type=click.Choice(["pre", "deploy", "post"]), multiple=True, help="Only sections of a phase.")
@click.option("--section", "sections", metavar="ID", multiple=True, help="Only this section; may be given again.")
@click.option("--step", "steps", metavar="ID", multiple=True, help="Only this step and what it needs.")
@click.option("--all", "everything", is_flag=True, help="With per: service: measure what still counts too.")
@click.option("--no-manual", is_flag=True, help="List sign-offs, but do not count them.")
@click.option("--fail-on", type=click.Choice(["fail", "warn"]), default="fail", help="What is a no-go. [default: fail]")
@click.option("--deadline", metavar="DURATION", help="What is not measured by then is unknown: 10m.")
@click.option("--format", "form", metavar="FORMAT", default="text", help=FORMATS)
@click.option("--json", "form", flag_value="json", help="Short for --format json.")
@click.option("-o", "--output", metavar="FILE", default="-", help="Write the result there instead of stdout.")
@click.option("--report", "reports", metavar="FORMAT=FILE", multiple=True, help="Write another format as well.")
@click.option("--trust", metavar="DIGEST", help="Accept the commands of that digest for this call; or $CAPTAIN_TRUST.")
@click.option("--no-record", is_flag=True, help="Keep nothing: measure over a log that is thrown away.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=16, show_default=True, help="Probes at once.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Measure CHECKLIST (a path, an id of captain.yaml, or a shipped one) and say go or no-go.

    Of a checklist with per: service what still counts is not measured again; steps that are named by --step are.
    Actions are never started. Exit 0 go, 1 no-go, 2 usage or file problem, 3 could not tell, 4 waits for a person.
    """
    from captain.commands.shared.checking import Wish
    from captain.commands.shared.ending import headless

    wish = Wish.of(**given)
    common = settle(ctx)
    return headless(lambda ending: _check(common, wish, ending))


async def _check(common: Common, wish: Wish, ending: Ending) -> int:
    from captain.commands.shared.checking import write

    with _place(common, wish) as settings:
        async with _engine(common, wish, settings, ending) as engine:
            found, result = await _measured(engine, wish, ending)
    write(found, result, wish, common.environ)
    return found.exit_code


@contextlib.contextmanager
def _place(common: Common, wish: Wish) -> Iterator[Settings]:
    """Where results are kept: the log, or a folder that is deleted."""
    import tempfile
    from pathlib import Path

    from captain.settings import Settings

    if not wish.throw_away:
        yield common.settings()
        return
    with tempfile.TemporaryDirectory(prefix="captain-check-") as folder:
        yield Settings(Path(folder) / "log.sqlite")


@contextlib.asynccontextmanager
async def _engine(common: Common, wish: Wish, settings: Settings, ending: Ending) -> AsyncIterator[Engine]:
    from captain.commands.shared import opening
    from captain.errors import LogError, UsageError
    from captain.loader import load

    trust = wish.trust or common.environ.get("CAPTAIN_TRUST") or None
    if wish.run is not None:
        async with opening.engine_on(
            common, wish.run, ending, publish=wish.publish, trust=trust, concurrency=wish.concurrency
        ) as engine:
            run = engine.view().run
            if run.checklist != _id(wish.checklist, engine.target):
                raise UsageError(f"{run.id} walks {run.checklist}, not {wish.checklist}")
            if wish.environment not in (None, run.environment):
                raise UsageError(f"{run.id} goes to {run.environment}, not {wish.environment}")
            _trusted(engine.target, wish, untrusted=engine.trust() is not None)
            yield engine
        return
    target = load(wish.checklist, wish.environment, cwd=common.cwd)
    wish.chosen(target)
    review = target.checklist.per == "service"
    if review and (wish.version or wish.commit):
        raise UsageError(
            f"{target.checklist.checklist} is per: service, of the commit at hand", hint="leave -r and --commit out"
        )
    try:
        log = opening.open_log(common, settings=settings)
    except LogError as problem:
        hint = f"{problem.hint}; --no-record checks without a log" if problem.hint else "--no-record checks without one"
        raise LogError(problem.message, hint=hint) from problem
    known = opening.accepted(common, target, log, elsewhere=wish.throw_away, given=trust)
    try:
        _trusted(target, wish, untrusted=not known)
    except UsageError:
        log.close()
        raise
    async with opening.engine_over(
        common,
        target,
        log,
        ending,
        publish=wish.publish,
        settings=settings,
        trust=known or trust,
        concurrency=wish.concurrency,
    ) as engine:
        await engine.open(
            wish.version, commit=wish.commit, kind="release" if review else "check", inputs=wish.inputs, asks=False
        )
        yield engine


def _id(given: str, target: Target) -> str:
    """The id that a name on the command line means, if it is this run's checklist."""
    from pathlib import Path

    named = Path(given)
    paths = {Path(one.path).name for one in target.files}
    return target.checklist.checklist if named.suffix in (".yaml", ".yml") and named.name in paths else given


def _trusted(target: Target, wish: Wish, *, untrusted: bool) -> None:
    """Refuse where a program would have to be started that nobody accepted."""
    from captain.errors import UsageError
    from captain.trust import request

    asked = request(target) if untrusted else None
    # What does more than read is not started by a check.
    starts = [step.id for step in wish.measurable(target) if step.programs(reading=True)]
    if asked is not None and starts:
        raise UsageError(
            f"{starts[0]} starts a program that was not accepted yet",
            hint=f"captain trust shows it; captain trust --digest {asked.digest} accepts it, --trust for this call",
        )


async def _measured(engine: Engine, wish: Wish, ending: Ending) -> tuple[Outcome, dict[str, Any]]:
    import asyncio
    from datetime import timedelta

    from captain import diagnostics
    from captain.clock import stamp
    from captain.commands.shared.checking import judged

    view = engine.view()
    began = asyncio.get_running_loop().time()
    own, review = view.run.kind == "check", view.run.standing
    late = False
    steps = wish.due(view)
    wish.measured = len(steps)
    started = view.now
    wish.titles = {step.id: step.title for _, step in view.target.checklist.steps()}
    what = ", ".join(part for part in (f"checking {view.run.checklist}", wish.kept_why) if part)
    with diagnostics.Steps(what, len(steps)) as progress:
        wish.progress = progress
        try:
            async with asyncio.timeout(wish.deadline.total_seconds() if wish.deadline else None):
                await _all(engine, steps, "check" if own else "measure")
        except TimeoutError:
            late = True
        except asyncio.CancelledError:
            ending.farewell = "interrupted; what was measured is recorded"
            if own:
                found, _ = judged(engine.view(), wish, late=True, duration=timedelta(0))
                await engine.end_check(found.verdict.value)
            raise
        finally:
            wish.progress = None
    duration = timedelta(seconds=asyncio.get_running_loop().time() - began)
    found, result = judged(engine.view(), wish, late=late, duration=duration)
    if own:
        await engine.end_check(found.verdict.value)
    elif review:
        result["started_at"] = stamp(started)
        await engine.checked(found.verdict.value, len(steps), wish.kept)
    return found, result


async def _all(engine: Engine, steps: list[Step], purpose: str) -> None:
    """Everything side by side, each step after the ones it needs, stands for or sums up."""
    import asyncio

    from captain.run.summing import before

    await engine.prepare(steps)
    over = before(steps)
    tasks: dict[str, asyncio.Task[None]] = {}

    async def one(step: Step, first: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*first)
        await engine.measure(step.id, purpose)

    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                first = [tasks[name] for name in over[step.id] if name in tasks]
                tasks[step.id] = group.create_task(one(step, first))
    except BaseExceptionGroup as problems:
        # The first says why; the others were stopped with it.
        raise problems.exceptions[0] from problems
