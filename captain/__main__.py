"""captain's entry: the command line in, an exit code out. Every error ends here as a sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, without the program's name. Returns the exit code."""
    _three_streams()
    import click

    from captain import diagnostics
    from captain.commands.shared.group import NoReader, verbs
    from captain.commands.shared.options import Common

    arguments = list(sys.argv[1:] if argv is None else argv)
    common = Common()
    # pydantic loads whatever plugin is installed beside it, and takes 20 ms to look for some.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    diagnostics.configure()
    try:
        done = verbs.main(arguments, prog_name="captain", standalone_mode=False, obj=common)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as problem:
        return _usage(problem)
    except NoReader:
        return _no_reader()
    except (KeyboardInterrupt, click.Abort):
        from captain.diagnostics import ExitCode, warn

        warn("interrupted")
        return ExitCode.INTERRUPT
    except Exception as problem:
        return _failed(problem, common.debug)
    return done if isinstance(done, int) else 0


def _three_streams() -> None:
    """A closed standard stream must not be the number that the log gets: what is written there would land in it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free number, which is the one that was closed.
            handle = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(handle, mode, closefd=False))  # noqa: SIM115 (a stream for life)


def _usage(problem: object) -> int:
    import click

    from captain.diagnostics import ExitCode, warn

    assert isinstance(problem, click.ClickException)
    warn(problem.format_message())
    ctx = getattr(problem, "ctx", None)
    if isinstance(ctx, click.Context):
        warn(f"{ctx.command_path} --help says what it takes")
    return ExitCode.USAGE


def _no_reader() -> int:
    """What is left in stdout's buffer must not fail again at exit."""
    from captain.diagnostics import ExitCode

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.PIPE


def _failed(problem: Exception, debug: bool) -> int:
    from captain import diagnostics
    from captain.diagnostics import ExitCode
    from captain.errors import CaptainError, ProbeError, ProgramError, Refusal

    if not isinstance(problem, CaptainError):
        # What captain did not foresee is neither a yes nor a no.
        diagnostics.failed(problem, debug=debug)
        return ExitCode.UNKNOWN
    diagnostics.error(problem)
    if isinstance(problem, Refusal):
        return problem.exit_code
    return ExitCode.UNKNOWN if isinstance(problem, ProbeError | ProgramError) else ExitCode.USAGE


def _only_own_modules() -> None:
    """`python -m captain` puts the working directory in front of every import: what lies there must not be code."""
    from pathlib import Path

    own = Path(__file__).resolve().parent.parent
    if not sys.flags.safe_path and sys.path and Path(sys.path[0] or ".").resolve() != own:
        del sys.path[0]


if __name__ == "__main__":
    _only_own_modules()
    sys.exit(main())
