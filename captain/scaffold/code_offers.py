"""What captain can read in the files of a repository alone: pages, settings, scripts and code.

Where that is a part of an item only, the offer says what a person shows besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from captain.scaffold.offer import Offer, one
from captain.scaffold.quoting import Plain
from captain.scaffold.survey import Survey

_SOURCES = {"python": ["**/*.py"], "node": ["**/*.js", "**/*.jsx", "**/*.ts", "**/*.tsx"]}
_UNVERIFIED = r"verify\s*=\s*False|rejectUnauthorized:\s*false|NODE_TLS_REJECT_UNAUTHORIZED|CERT_NONE"
_OPTIONS = r"[\"\'](?:charset|init_command|sql_mode|read_default_file|use_unicode)[\"\']\s*:"
_LAZY = r"next/dynamic|\blazy\s*\(|\bimport\s*\("
_DUMPS = r"pg_dump|pg_basebackup|mysqldump|mariadb-dump|sqlite3"
_STRICT = r"set\s+-\w*e\w*\b[^\n]*pipefail|set\s+-o\s+pipefail"


def code_offers(found: Survey) -> Iterator[tuple[str, Offer]]:
    """Every offer that needs nothing but files, by item."""
    yield from _pages(found)
    yield from _settings(found)
    yield from _scripts(found)
    yield from _code(found)


_READ = ("found >= 1", "short == 0", "todo == 0")
_LEADS = ("size(dead_links) == 0", "size(dead_paths) == 0", "size(dead_commands) == 0", "!stale")
_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "doc.deploy": ("prerequisite|before", "step|how to|deploy", "verif|check", "roll ?back|way back", "contact|who"),
    "doc.rollback": ("when", "how|step", "database|migration", "verif|check"),
    "doc.onboarding": ("prerequisite|before|need", "set ?up|install", "run|start", "test"),
    "doc.trouble": ("troubleshoot|problem|symptom",),
    "dr.runbook": ("contact|who", "restor|recover", "verif|check", "rto|rpo"),
    "dr.incident": ("severit", "on.?call|contact", "escalat"),
}


def _pages(found: Survey) -> Iterator[tuple[str, Offer]]:
    for item, path in found.docs.items():
        headings = _HEADINGS.get(item, ())
        asks: dict[str, Plain] = {"paths": [path], **({"headings": list(headings)} if headings else {})}
        said = ("size(headings_missing) == 0",) if headings else ()
        if item == "doc.arch" and found.compose:
            asks |= {"must_mention": {"from": "compose", "files": list(found.compose)}, "newer_than": [*found.compose]}
            said = ("mentions_ratio >= 0.8",)
        if item == "doc.deploy" and (described := [*found.compose, *found.pipelines][:5]):
            asks["newer_than"] = described
        # A page that is there, with a dead link or an old date, is half of what it should be.
        offer = replace(one(path, "docs", asks, *_READ, *said, *_LEADS), warn=("found >= 1", "short == 0", *said))
        yield item, replace(offer, half=_HALVES.get(item, ""))


_HALVES = {
    "doc.schema": "that every table is named in it",
    "dr.runbook": "the minutes of its last rehearsal",
    "dr.incident": "who is on call now",
}


def _settings(found: Survey) -> Iterator[tuple[str, Offer]]:
    if not found.settings:
        return
    why = ", ".join(found.settings[:5])
    if found.reuses is not None:
        keeps = one(found.reuses, "source", _looks([found.reuses], kept=r"(?i)conn_max_age\W{1,6}600\b"), _AT_LEAST)
        yield "db.pooling", replace(keeps, half="how many sessions fifty requests opened, and how many there may be")
    if found.database == "postgres":
        options = one(why, "source", _looks([*found.settings], mysql=_OPTIONS), "files > 0", _NONE)
        yield "db.no-mysql-options", replace(options, half="that pg_file_settings of the server names no error")


_AT_LEAST, _NONE = "matches >= 1", "matches == 0"


def _looks(globs: list[str], **patterns: str) -> Mapping[str, Plain]:
    return {"globs": globs, "patterns": [{"id": id, "regex": regex} for id, regex in patterns.items()]}


def _scripts(found: Survey) -> Iterator[tuple[str, Offer]]:
    if found.dumps:
        looks = {**_looks([*found.dumps], dump=_DUMPS, strict=_STRICT), "check": ["executable", "syntax"]}
        written = ("files > 0", 'per_pattern["dump"] >= 1', 'per_pattern["strict"] >= 1', "executable", "syntax_ok")
        script = one(", ".join(found.dumps), "source", looks, *written)
        yield "db.backup-scripts", replace(script, half="its schedule and what it wrote last")


def _code(found: Survey) -> Iterator[tuple[str, Offer]]:
    globs = [glob for language in found.languages for glob in _SOURCES[language]]
    if globs:
        asks = {**_looks(globs, unverified=_UNVERIFIED), "exclude": ["**/tests/**", "**/test_*.py", "**/*.test.*"]}
        verified = one("the code", "source", asks, "files > 0", _NONE)
        yield "sec.tls-external", replace(verified, half="the certificate of the edge")
    if found.frontend is not None:
        below = "" if found.frontend == "." else f"{found.frontend}/"
        looks = _looks([f"{below}{glob}" for glob in _SOURCES["node"]], lazy=_LAZY)
        late = one(f"{below}package.json", "source", looks, "files > 0", _AT_LEAST)
        yield "perf.lazy", replace(late, half="that they load late in the build")
