"""Only captain.log may open the log or change how a database is laid out; nothing else may learn how."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import captain

ROOT = Path(captain.__file__).parent
ELSEWHERE = sorted(path for path in ROOT.rglob("*.py") if "log" not in path.relative_to(ROOT).parts[:1])
# A probe may ask somebody else's SQLite database; that client opens it read-only, with an authorizer of its own.
CLIENTS = ("systems",)


def offences(source: str) -> list[str]:
    """What in a module reaches round the log's one door."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if "sqlite3" in names or module.split(".")[0] == "sqlite3":
                found.append("sqlite3")
            if any(name.split(".")[0] == "sqlite_utils" for name in [*names, module]):
                found.append("sqlite_utils")
        elif isinstance(node, ast.Attribute) and node.attr in ("transform", "atomic", "enable_wal", "disable_wal"):
            found.append(f".{node.attr}(")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "journal_mode" in node.value.lower():
            found.append("journal_mode")
    return found


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_reaches_into_the_log(path: Path) -> None:
    found = offences(path.read_text(encoding="utf-8"))
    if path.relative_to(ROOT).parts[0] in CLIENTS:
        found = [offence for offence in found if offence != "sqlite3"]
    assert found == []


def test_the_log_itself_never_rebuilds_a_table_nor_begins_without_a_lock() -> None:
    for path in (ROOT / "log").rglob("*.py"):
        assert [offence for offence in offences(path.read_text(encoding="utf-8")) if offence.startswith(".")] == []
        assert '"BEGIN"' not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "import sqlite3",
        "from sqlite3 import connect",
        "import sqlite_utils",
        "from sqlite_utils import Database",
        "db['entry'].transform()",
        "db.atomic()",
        "run('PRAGMA journal_mode=WAL')",
        "run(f'pragma JOURNAL_MODE={mode}')",
    ],
)
def test_the_rule_finds_what_it_forbids(line: str) -> None:
    assert offences(line)


def test_the_heavy_library_is_loaded_only_when_a_log_is_opened() -> None:
    code = (
        "import sys, captain.log.store, captain.log.verify;"
        "print([m for m in ('sqlite_utils', 'click', 'textual', 'pydantic', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
