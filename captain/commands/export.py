"""captain export: the log or one run as a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.files import Written
    from captain.commands.shared.runs import Row
    from captain.exports import Entry
    from captain.log.store import Log


@click.command("export")
@click.argument("run", required=False)
@click.option("--format", "form", metavar="FORMAT", required=True, help="jsonl, csv or markdown.")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to; - for stdout.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.pass_context
def command(ctx: click.Context, run: str | None, form: str, output: str, force: bool) -> int:
    """Write the whole log, or the entries of RUN. jsonl is the authoritative one: every entry byte for byte.

    Files are new, complete or absent, readable by you alone; that an export was made is recorded.
    """
    from captain.commands.shared.files import write_file
    from captain.commands.shared.opening import open_log
    from captain.commands.shared.out import many
    from captain.commands.shared.runs import find, rows
    from captain.diagnostics import say
    from captain.errors import UsageError
    from captain.exports import Story, exports, names

    found = exports.find(form)
    if found is None or found.entries is None:
        raise UsageError(f"no export format {form[:40]!r}", hint=", ".join(names("entries")))
    common = settle(ctx)
    with open_log(common, read_only=True) as log:
        row = find(rows(log), run, None, checks=True) if run is not None else None
        reach = _Reach(log, row)
        story = Story(reach.entries(), row.run if row is not None else None, _titles(common, log, row))
        written = write_file(output, found.entries(story), replace=force)
    say(f"{many(reach.count, 'entry', 'entries')}, {written.bytes} bytes" + ("" if output == "-" else f" in {output}"))
    _record(common, form, row, reach, written)
    return 0


class _Reach:
    """The entries that are exported, counted as they pass."""

    def __init__(self, log: Log, row: Row | None) -> None:
        self._log = log
        self._run = row.run if row is not None else None
        self.first = 0
        self.last = 0
        self.count = 0

    def entries(self) -> Iterator[Entry]:
        from captain.errors import LogError
        from captain.events import decode
        from captain.exports import Entry

        size = self._log.size()
        for body in self._log.bodies(self._run):
            try:
                event = decode(body)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise LogError(
                    f"the entry behind {self.last} cannot be read; it was not written by captain like this",
                    hint="run captain verify",
                ) from error
            if event.seq > size:
                return
            self.first = self.first or event.seq
            self.last = event.seq
            self.count += 1
            yield Entry(body, event)


def _titles(common: Common, log: Log, row: Row | None) -> dict[str, str]:
    """Titles from the files the run is pinned to; ids stand where those are gone."""
    if row is None:
        return {}
    from captain.commands.shared.opening import pinned
    from captain.errors import CaptainError

    try:
        checklist = pinned(log, row, common.cwd).checklist
    except CaptainError:
        return {}
    found = {step.id: step.title for _, step in checklist.steps()}
    return found | {section.id: section.title for section in checklist.sections}


def _record(common: Common, form: str, row: Row | None, reach: _Reach, written: Written) -> None:
    from captain.commands.shared.opening import open_log
    from captain.diagnostics import warn
    from captain.errors import LogError
    from captain.events import Draft

    run = row.run if row is not None else None
    data = {
        "format": form,
        "scope": run,
        "first": reach.first,
        "last": reach.last,
        "sha256": written.digest.hexdigest(),
        "bytes": written.bytes,
    }
    try:
        with open_log(common) as log:
            log.append([Draft("export.made", run or "", data)], actor=common.actor())
    except LogError as problem:
        # Whoever may only read a log may still take a copy of it.
        warn(f"that this was exported could not be recorded: {problem.message}")
