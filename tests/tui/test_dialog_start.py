"""Opening a dialog waits for no library that only the engine needs."""

from __future__ import annotations

import subprocess
import sys


def test_dialogs_and_looking_screens_load_no_engine_part() -> None:
    names = "abort action base changed dates fields forecast gate new_run not_applicable note reopen resolve rollback"
    dialogs = [
        f"captain.tui.dialogs.{name}" for name in (*names.split(), "sign", "trust", "typed", "waive", "withdraw")
    ]
    screens = [f"captain.tui.screens.{name}" for name in ("help", "history", "rollback")]
    heavy = ("pydantic", "sqlite_utils", "cel_expr_python", "httpx", "docker", "git", "yaml", "captain.engine")
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {[*dialogs, *screens]!r}]; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
