"""Every export format, held still byte for byte, against text that wants out of its cell."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from captain.exports import Entry, Story, exports, names
from captain.exports.csv import COLUMNS
from captain.exports.csv import write as write_csv
from captain.exports.json import write as write_json
from captain.exports.jsonl import write as write_jsonl
from captain.exports.junit import write as write_junit
from captain.exports.markdown import text
from captain.exports.markdown import write as write_markdown
from captain.log.canonical import leaf_hash
from captain.safe import safe
from tests.exports.conftest import HOSTILE, RUN, entry

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, written: bytes) -> None:
    """The bytes are a contract: CAPTAIN_UPDATE_GOLDEN=1 writes them anew, for a reviewer to see."""
    path = GOLDEN / name
    if os.environ.get("CAPTAIN_UPDATE_GOLDEN"):
        path.write_bytes(written)
    assert written == path.read_bytes()


def test_the_formats_are_found_by_their_files() -> None:
    assert names("entries") == ["csv", "jsonl", "markdown"]
    assert names("result") == ["github", "json", "junit", "markdown", "sarif", "tap"]
    found = exports.find("csv")
    assert found is not None
    assert found.suffix == ".csv"
    assert exports.find("pdf") is None


def test_jsonl_is_the_stored_bodies(story: Story, entries: list[Entry]) -> None:
    written = b"".join(write_jsonl(story))
    golden("run.jsonl", written)
    assert written.decode().splitlines() == [one.body for one in entries[1:]]


def test_csv_is_held_still(story: Story) -> None:
    golden("run.csv", b"".join(write_csv(story)))


def test_csv_carries_the_hash_that_the_log_is_chained_by(story: Story, entries: list[Entry]) -> None:
    rows = list(csv.DictReader(io.StringIO(b"".join(write_csv(story)).decode(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert [row["hash"] for row in rows] == [leaf_hash(one.body.encode()).hex() for one in entries[1:]]
    assert json.loads(rows[1]["data"])["message"] == HOSTILE


STARTS = ["=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠", " =", "\0=", "\u00a0=", "\t", "\n"]


@pytest.mark.parametrize("start", STARTS)
def test_row_55_no_cell_is_a_formula(start: str) -> None:
    note = entry(2, "step.note", {"step": None, "text": f'{start}cmd|"/c calc"!A1, x', "evidence": []})
    rows = list(csv.reader(io.StringIO(b"".join(write_csv(Story([note]))).decode(), newline="")))
    cell = rows[1][COLUMNS.index("note")]
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert "\0" not in cell
    assert len(rows) == 2, "a line break stays inside its cell"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_row_55_any_text_survives_the_quoting(words: str) -> None:
    note = entry(2, "step.note", {"step": None, "text": words.encode("utf-8", "replace").decode(), "evidence": []})
    rows = list(csv.reader(io.StringIO(b"".join(write_csv(Story([note]))).decode(), newline="")))
    assert [len(row) for row in rows] == [len(COLUMNS)] * 2
    assert rows[1][8][:1] not in tuple("=+-@\t\r\n")


def test_markdown_is_held_still(story: Story) -> None:
    golden("run.md", b"".join(write_markdown(story)))


def test_markdown_of_the_whole_log_names_the_run_of_each_line(entries: list[Entry]) -> None:
    written = b"".join(write_markdown(Story(entries))).decode()
    assert written.startswith("# captain log\n")
    assert written.count("| shop-production-1.5.0 |") == 4


def test_no_outside_text_breaks_a_table_or_becomes_markup(story: Story) -> None:
    written = b"".join(write_markdown(story)).decode()
    tables = [line for line in written.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) - 1 for line in tables}
    assert widths == {2, 4, 5}
    found: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            found.append(tag)

    Tags().feed(written)
    assert found == []
    assert not re.search(r"(?<!\\)\]\(", written), "no link"
    assert "@here" not in written, "nobody is mentioned"
    assert "\x1b" not in written


LURES = [
    "[ok](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "<http://evil.example>",
    "see http://evil.example and HTTPS://evil.example, www.evil.example or ftp://evil.example",
    "mailto:eve@evil.example",
    "[a]: http://evil.example\n\n[a]",
    "| a | b |\n|---|---|\n| c | d |",
    "\\| x \\\\| y",
    "# heading\n\n- list\n\n> quote\n\n---",
    "```\ncode\n```",
    "&lt;b&gt; &#60;b&#62; &#124; &#91;ok&#93;(http&#58;//evil.example)",
    "**bold** _it_ ~~gone~~ `code` $x$ @here #1 :tada:",
]


def rendered(written: bytes) -> list[Any]:
    """What a renderer as ticket systems have it makes of it: with tables, HTML and links of bare addresses."""
    reader = MarkdownIt("gfm-like", {"html": True})
    # Guesses from bare names and //, which such renderers do not make.
    cast(Any, reader.linkify).add("//", None).set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    found = reader.parse(written.decode())
    return [*found, *(inner for token in found for inner in token.children or ())]


@pytest.mark.parametrize("lure", LURES)
def test_row_51_outside_text_is_no_link_no_html_and_no_table(lure: str, entries: list[Entry]) -> None:
    data: dict[str, Any] = {"step": None, "text": lure, "evidence": []}
    noted = [*entries[1:4], entry(5, "step.note", data, name=lure[:60])]
    plain = [*entries[1:4], entry(5, "step.note", data | {"text": "plain"})]
    found = rendered(b"".join(write_markdown(Story(noted, RUN, {"checkout-works": lure}))))
    kinds = Counter(token.type for token in found if token.type not in ("text", "text_special", "softbreak"))
    expected = Counter(token.type for token in rendered(b"".join(write_markdown(Story(plain, RUN)))))
    assert kinds == Counter({kind: count for kind, count in expected.items() if kind in kinds})
    assert not {"link_open", "image", "html_inline", "html_block", "code_inline", "strong_open"} & set(kinds)
    shown = "".join(token.content for token in found if token.type in ("text", "text_special")).replace("\u200b", "")
    assert safe(lure) in shown, "and all of it is there to be read"


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="[]()<>!|\\`*_~#:/.&;@wh tp\n", max_size=40))
def test_row_51_no_text_becomes_markup(words: str) -> None:
    note = entry(2, "step.note", {"step": None, "text": words, "evidence": []})
    kinds = {token.type for token in rendered(b"".join(write_markdown(Story([note]))))}
    parts = ("heading", "table", "thead", "tbody", "tr", "th", "td")
    assert kinds <= {
        "inline",
        "text",
        "text_special",
        *(f"{part}_{end}" for part in parts for end in ("open", "close")),
    }


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_text_stays_one_cell(words: str) -> None:
    shown = text(words)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", shown)
    assert "<" not in shown


def test_json_is_the_document(result: dict[str, Any]) -> None:
    written = write_json(result)
    golden("check.json", written)
    assert json.loads(written) == result


def test_junit_is_held_still(result: dict[str, Any]) -> None:
    golden("check.xml", write_junit(result))


def test_junit_turns_red_for_blockers_alone(result: dict[str, Any]) -> None:
    root = ElementTree.fromstring(write_junit(result))
    cases = {str(case.get("name")): case for case in root.iter("testcase")}
    kinds = {name: [child.tag for child in case if child.tag != "system-out"] for name, case in cases.items()}
    assert kinds == {
        "good": [],
        "odd": [],
        "bad": ["failure"],
        "dark": ["error"],
        "old": ["error"],
        "refused": ["failure"],
        "person": ["skipped"],
        "deploy": ["skipped"],
        "other": ["skipped"],
        "excused": ["skipped"],
        "hint": ["skipped"],
        "aside": ["skipped"],
    }
    counts = [root.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["12", "2", "2", "6"]
    failure = next(root.iter("failure"))
    assert "status == 200  status = ü" in (failure.text or "")
    assert "␛[2J" in (failure.get("message") or ""), "what XML cannot hold is shown by its picture"


def test_a_story_is_read_once_and_written_piece_by_piece(entries: list[Entry]) -> None:
    def once() -> Any:
        yield from entries

    for name in names("entries"):
        found = exports.find(name)
        assert found is not None
        assert found.entries is not None
        assert b"".join(found.entries(Story(once(), None)))


def test_a_new_format_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import captain.exports

    (tmp_path / "count.py").write_text(
        "from captain.exports import export\n\n"
        "@export('count', suffix='.txt')\n"
        "def write(story):\n"
        "    yield str(sum(1 for _ in story.entries)).encode()\n"
    )
    monkeypatch.setattr(captain.exports, "__path__", [*captain.exports.__path__, str(tmp_path)])
    assert "count" in names("entries")
    found = exports.find("count")
    assert found is not None
    assert found.entries is not None
    assert b"".join(found.entries(Story([entry(1, "log.open", {"format": 1}, run="")], RUN))) == b"1"
