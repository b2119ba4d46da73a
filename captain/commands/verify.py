"""captain verify: is the log as captain wrote it? Reads any file whatever and changes nothing."""

from __future__ import annotations

from pathlib import Path

import click

from captain.commands.shared.options import settle
from captain.commands.shared.out import as_json, format_option, json_option, line, many, put


@click.command("verify")
@click.argument("log", required=False)
@format_option
@json_option
@click.pass_context
def command(ctx: click.Context, log: str | None, form: str) -> int:
    """Check every entry, its evidence and the tables of LOG, or of the log in use.

    Exit 0 intact, 1 tampered, 2 not a log, 3 it cannot be read. That entries were cut off the end, or that the whole
    file was written anew, shows only beside a size and root that were kept elsewhere.
    """
    from captain import diagnostics
    from captain.log.verify import verify

    path = Path(log).expanduser().absolute() if log is not None else settle(ctx).settings().log
    report = verify(path)
    if form == "json":
        put(
            as_json(
                {
                    "log": str(path),
                    "state": report.state,
                    "exit_code": report.exit_code,
                    "entries": report.entries,
                    "root": report.root,
                    "findings": [
                        {"entry": one.seq, "severity": one.severity, "what": one.what} for one in report.findings
                    ],
                }
            )
        )
        return report.exit_code
    for one in report.findings:
        line((f"{one.severity}: ", "bad" if one.severity == "finding" else "quiet"), str(one))
    words = {0: ("intact", "good"), 1: ("TAMPERED", "bad"), 2: ("not a log", "bad"), 3: ("cannot be read", "warning")}
    count = f"  {many(report.entries, 'entry', 'entries')}" if report.entries else ""
    root = f"  root {report.root}" if report.root else ""
    line(words[report.exit_code], count, root)
    diagnostics.detail(str(path))
    return report.exit_code
