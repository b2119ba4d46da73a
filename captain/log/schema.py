"""The log's tables, word for word. Verification compares a file's schema with exactly these texts.

No JSON function and no other expression that `trusted_schema=OFF` refuses may stand in here.
"""

from __future__ import annotations

from collections.abc import Iterable

from captain.safe import safe

APPLICATION_ID = 0x43505431
"""'CPT1', in the header of every log."""
FORMAT = 1
"""The schema version, kept in user_version and in the table log."""

_IMMUTABLE = "BEGIN SELECT RAISE(ABORT,'captain: entries are immutable'); END"

_TABLES = {
    "log": """CREATE TABLE log(
  one INTEGER PRIMARY KEY CHECK(one=1),
  log_id TEXT NOT NULL CHECK(length(log_id)=32),
  format INTEGER NOT NULL CHECK(format=1)) STRICT""",
    "entry": """CREATE TABLE entry(
  seq INTEGER PRIMARY KEY CHECK(seq BETWEEN 1 AND 9007199254740991),
  id TEXT NOT NULL UNIQUE CHECK(length(id)=26),
  prev BLOB NOT NULL CHECK(length(prev)=32),
  hash BLOB NOT NULL CHECK(length(hash)=32),
  run TEXT NOT NULL,
  type TEXT NOT NULL,
  body TEXT NOT NULL CHECK(length(CAST(body AS BLOB)) BETWEEN 2 AND 65536)) STRICT""",
    "evidence": """CREATE TABLE evidence(
  digest BLOB PRIMARY KEY CHECK(length(digest)=32),
  salt BLOB NOT NULL CHECK(length(salt)=16),
  media TEXT NOT NULL,
  data BLOB NOT NULL CHECK(length(data)<=1048576)) STRICT, WITHOUT ROWID""",
    "checkpoint": """CREATE TABLE checkpoint(
  size INTEGER PRIMARY KEY,
  root BLOB NOT NULL CHECK(length(root)=32),
  note TEXT NOT NULL) STRICT""",
}
_INDEXES = {"entry_run": ("entry", "CREATE INDEX entry_run ON entry(run, seq)")}
_TRIGGERS = {
    "entry_insert": (
        "entry",
        """CREATE TRIGGER entry_insert BEFORE INSERT ON entry
  WHEN NEW.seq IS NOT (SELECT coalesce(max(seq),0)+1 FROM entry)
    OR NEW.prev IS NOT coalesce((SELECT hash FROM entry WHERE seq=NEW.seq-1), zeroblob(32))
  BEGIN SELECT RAISE(ABORT,'captain: entry does not extend the log'); END""",
    ),
    "log_insert": (
        "log",
        """CREATE TRIGGER log_insert BEFORE INSERT ON log WHEN (SELECT count(*) FROM log)>0
  BEGIN SELECT RAISE(ABORT,'captain: the log has an identity'); END""",
    ),
    **{
        f"{table}_{verb}": (table, f"CREATE TRIGGER {table}_{verb} BEFORE {verb.upper()} ON {table} {_IMMUTABLE}")
        for table in ("entry", "log", "checkpoint")
        for verb in ("update", "delete")
    },
}

STATEMENTS: tuple[str, ...] = (
    *_TABLES.values(),
    *(sql for _, sql in _INDEXES.values()),
    *(sql for _, sql in _TRIGGERS.values()),
)
"""What creates a log, in order."""

Row = tuple[object, object, object, object]
"""type, name, tbl_name and sql of sqlite_schema; from a hostile file each may be anything."""

SCHEMA_QUERY = "SELECT type, name, tbl_name, sql FROM sqlite_schema"

_EXPECTED: dict[tuple[str, str], tuple[str, str | None]] = {
    **{("table", name): (name, sql) for name, sql in _TABLES.items()},
    **{("index", name): (table, sql) for name, (table, sql) in _INDEXES.items()},
    **{("trigger", name): (table, sql) for name, (table, sql) in _TRIGGERS.items()},
    # Made by SQLite for the UNIQUE; a WITHOUT ROWID table is its own index.
    ("index", "sqlite_autoindex_entry_1"): ("entry", None),
}


def differences(rows: Iterable[Row]) -> list[str]:
    """How a file's schema differs from the log's, one sentence per object; empty when it does not."""
    missing = dict(_EXPECTED)
    found: list[str] = []
    for kind, name, table, sql in rows:
        wanted = missing.pop((kind, name), None) if isinstance(kind, str) and isinstance(name, str) else None
        shown = f"{safe(kind, 20)} {safe(name, 80)}"
        if wanted is None:
            found.append(f"the {shown} does not belong to a captain log")
        elif wanted != (table, sql):
            found.append(f"the {shown} was changed: its text differs from captain's")
    found += [f"the {kind} {name} is missing" for kind, name in missing]
    return found


def has_entries_table(rows: Iterable[Row]) -> bool:
    """Whether `entry` is captain's own table, so that its rows may be read at all."""
    tables = [row for row in rows if row[1] == "entry"]
    return tables == [("table", "entry", "entry", _TABLES["entry"])]
