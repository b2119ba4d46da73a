"""Whether a text of SQL is one statement that reads, as far as its words can tell. Knows no server and no probe.

It keeps honest files from doing harm by mistake. It cannot see into functions that somebody else wrote, so the
transaction is read-only besides, and the role should have no other rights.
"""

from __future__ import annotations

import re
from typing import Literal

from captain.errors import UsageError
from captain.safe import safe

Dialect = Literal["postgres", "mysql", "sqlite"]

MAX_STATEMENT = 16 * 1024
"""Characters of a statement."""
_FIRST: dict[Dialect, tuple[str, ...]] = {
    "postgres": ("select", "with", "values", "table", "show", "explain"),
    "mysql": ("select", "with", "values", "table", "show", "explain", "describe", "desc"),
    "sqlite": ("select", "with", "values", "explain", "pragma"),
}
_SPACE = r"\s+"
_WORD = r"[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*"
_TOKENS: dict[Dialect, re.Pattern[str]] = {
    "postgres": re.compile(
        rf"""(?P<skip>{_SPACE}|--[^\n]*|/\*(?P<nested>))
        |(?P<hidden>[uU]&")
        |(?P<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(?P<tag>(?:{_WORD.replace("$", "")})?)\$.*?\$(?P=tag)\$)
        |"(?P<quoted>(?:[^"]|"")*)"|(?P<word>{_WORD})|(?P<number>\d[\w.]*)|(?P<other>.)""",
        re.VERBOSE | re.DOTALL,
    ),
    "mysql": re.compile(
        rf"""(?P<hidden>/\*(?:!|M!|\+))
        |(?P<skip>{_SPACE}|--(?=[\s\x00-\x1f]|$)[^\n]*|\#[^\n]*|/\*.*?\*/)
        |(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
        |`(?P<quoted>(?:[^`]|``)*)`|(?P<word>{_WORD})|(?P<number>\d[\w.]*)|(?P<other>.)""",
        re.VERBOSE | re.DOTALL,
    ),
    "sqlite": re.compile(
        rf"""(?P<skip>{_SPACE}|--[^\n]*|/\*.*?\*/)|(?P<hidden>(?!))
        |(?P<text>'(?:[^']|'')*')
        |["`\[](?P<quoted>(?<=")(?:[^"]|"")*(?=")|(?<=`)(?:[^`]|``)*(?=`)|(?<=\[)[^\]]*(?=\]))["`\]]
        |(?P<word>{_WORD})|(?P<number>\d[\w.]*)|(?P<other>.)""",
        re.VERBOSE | re.DOTALL,
    ),
}
_LOCKS = re.compile(
    r"\bfor (update|share|no key update|key share)\b|\block in share mode\b|\b(next|previous) value for\b"
)
# What does something to the server, its sessions, its files or its counters although it stands in a SELECT.
_ACTS: dict[Dialect, re.Pattern[str]] = {
    "postgres": re.compile(
        r"pg_(terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile\w*|pg_switch_(wal|xlog)|pg_promote"
        r"|pg_(create|drop|copy)_\w+|pg_(wal|xlog)_replay_(pause|resume)|pg_backup_(start|stop)|pg_(start|stop)_backup"
        r"|pg_replication_(origin|slot)_\w+|pg_logical_(emit|slot_get)\w*|pg_stat(_statements)?_reset\w*|pg_notify"
        r"|pg_(try_)?advisory_\w+|pg_export_snapshot|pg_file_\w+|pg_log_backend\w*|pg_import_\w+|pg_(restore|clear)_\w+"
        r"|pg_sync_\w+|pg_prewarm|set_config|nextval|setval|lo_(?!get$)\w+|lowrite"
        # These run SQL that stands in a text, where nobody looks.
        r"|dblink\w*|query_to_xml\w*|crosstab\w*|connectby|ts_stat|ts_rewrite|xpath_table"
    ),
    "mysql": re.compile(
        r"get_lock|release_(all_)?locks?|nextval|setval|sys_(exec|eval|set)|master_\w+|source_pos_wait"
    ),
    "sqlite": re.compile(r"load_extension|fts3_tokenizer"),
}


def reading(text: str, dialect: Dialect) -> str:
    """The one statement of `text` without what ends it. Raises UsageError with the reason why it is not sent."""
    if len(text) > MAX_STATEMENT:
        raise UsageError(f"is longer than {MAX_STATEMENT} characters")
    if "\0" in text:
        raise UsageError("holds a NUL character")
    words, called, end = _taken_apart(text, dialect)
    bare = [word for word, quoted in words if not quoted]
    if not words:
        raise UsageError("holds no statement")
    if not bare or words[0] != (bare[0], False) or bare[0] not in _FIRST[dialect]:
        allowed = ", ".join(word.upper() for word in _FIRST[dialect])
        raise UsageError(f"begins with {safe(words[0][0], 30).upper()}; captain sends only {allowed}")
    if bare[0] in ("explain", "describe", "desc") and {"analyze", "analyse"} & {*bare}:
        raise UsageError("would be executed by EXPLAIN ANALYZE; leave ANALYZE out")
    if bare[0] != "explain" and "into" in bare:
        raise UsageError("writes what it reads somewhere (INTO)")
    if match := _LOCKS.search(" ".join(bare)):
        raise UsageError(f"locks what it reads or counts on ({match.group().upper()})")
    for word in called:
        if _ACTS[dialect].fullmatch(word):
            raise UsageError(f"calls {word}, which does more than read")
    return text[:end].strip()


def _taken_apart(text: str, dialect: Dialect) -> tuple[list[tuple[str, bool]], set[str], int]:
    """The words in lower case, each with whether it was quoted; those before a bracket; where the statement ends."""
    words: list[tuple[str, bool]] = []
    called: set[str] = set()
    named = False
    at, end = 0, len(text)
    while at < len(text):
        match = _TOKENS[dialect].match(text, at)
        if match is None:
            raise UsageError("cannot be taken apart")
        kind, at = match.lastgroup, match.end()
        if match["skip"] is not None:
            if dialect == "postgres" and match["nested"] is not None:
                at = _after_comment(text, at)
            continue
        if end < len(text):
            raise UsageError("holds more than one statement")
        if match["hidden"] is not None:
            raise UsageError(f"holds {match['hidden']}, behind which statements and names hide")
        if named and match["other"] == "(":
            called.add(words[-1][0])
        named = match["quoted"] is not None or match["word"] is not None
        if match["quoted"] is not None:
            words.append((match["quoted"].lower(), True))
        elif match["word"] is not None:
            words.append((match["word"].lower(), False))
        elif kind == "other":
            if match["other"] in "'\"`" or text.startswith("/*", match.start()):
                raise UsageError("holds a quote or a comment without an end")
            if match["other"] == ";":
                end = match.start()
    return words, called, end


def _after_comment(text: str, at: int) -> int:
    """Where a comment of PostgreSQL, which nest, is over; `at` is behind its opening."""
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if match.group() == "/*" else -1
        if not depth:
            return match.end()
    raise UsageError("holds a quote or a comment without an end")


def placeholders(statement: str, given: bool) -> int:
    """How many `%s` a statement holds where parameters are `given`. Raises UsageError for another use of `%`."""
    if not given:
        return 0
    marks = re.findall(r"%(.?)", statement.replace("%%", ""), re.DOTALL)
    if any(mark != "s" for mark in marks):
        raise UsageError("holds a % that is no %s; beside params it is written %%")
    return len(marks)
