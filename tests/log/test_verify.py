"""Whoever changes the log behind captain's back is found out; whatever file it is given, verification answers."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from captain.errors import LogError
from captain.events import Draft
from captain.log.canonical import encode, leaf_hash
from captain.log.evidence import Evidence
from captain.log.merkle import Tree
from captain.log.schema import APPLICATION_ID, STATEMENTS
from captain.log.store import Log
from captain.log.verify import verify, verify_from
from tests.log_parts import KAREN, HandClock, intruder, note
from tests.requirements import need


def lift_guard(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TRIGGER entry_update")
    connection.execute("DROP TRIGGER entry_delete")
    connection.execute("DROP TRIGGER entry_insert")


@pytest.fixture
def quietly(ten: Path) -> Iterator[sqlite3.Connection]:
    """A connection on which the guards are lifted; `put_back` hides that."""
    with intruder(ten) as connection:
        lift_guard(connection)
        yield connection


def put_back(path: Path) -> None:
    """The guards as captain wrote them."""
    with intruder(path) as connection:
        for statement in STATEMENTS:
            if any(name in statement for name in ("TRIGGER entry_update", "TRIGGER entry_delete", "TRIGGER entry_in")):
                connection.execute(statement)


def findings(path: Path) -> list[str]:
    return [str(finding) for finding in verify(path).findings]


def test_an_untouched_log_is_intact_and_has_a_head(ten: Path) -> None:
    before = ten.read_bytes()
    seen: list[tuple[int, int]] = []
    report = verify(ten, progress=lambda done, total: seen.append((done, total)))
    assert (report.exit_code, report.state, report.entries, report.findings) == (0, "intact", 10, ())
    assert report.why is None and report.first_bad is None
    tree = Tree()
    with intruder(ten) as connection:
        for (body,) in connection.execute("SELECT body FROM entry ORDER BY seq"):
            tree.add(hashlib.sha256(b"\0" + body.encode()).digest())
    assert report.root == tree.root().hex()
    assert seen == [(10, 10)]
    assert ten.read_bytes() == before
    assert sorted(item.name for item in ten.parent.iterdir()) == ["log.sqlite", "log.sqlite.d"]


def test_dropping_the_trigger_and_changing_one_byte_names_the_entry_and_the_trigger(ten: Path) -> None:
    with intruder(ten) as connection:
        connection.execute("DROP TRIGGER entry_update")
        connection.execute("UPDATE entry SET body = replace(body, 'note number 7', 'note number 8') WHERE seq = 7")
    report = verify(ten)
    assert (report.exit_code, report.state, report.first_bad) == (1, "tampered", 7)
    assert [str(finding) for finding in report.findings] == [
        "the trigger entry_update is missing",
        "entry 7: its text was changed: it does not match its hash",
    ]
    assert report.why == "entry 7: its text was changed: it does not match its hash"
    assert report.root is None and report.upto is None


def test_the_sqlite_shell_leaves_the_same_traces(ten: Path) -> None:
    shell = shutil.which("sqlite3")
    need("the sqlite3 shell", None if shell else "not installed")
    assert shell is not None
    script = "DROP TRIGGER entry_update; UPDATE entry SET body = replace(body, 'number 7', 'number 8') WHERE seq = 7;"
    subprocess.run([shell, str(ten), script], check=True, timeout=30)
    report = verify(ten)
    assert (report.exit_code, report.first_bad) == (1, 7)
    assert "the trigger entry_update is missing" in findings(ten)


def test_changing_one_byte_in_the_file_itself_names_the_entry(ten: Path) -> None:
    raw = ten.read_bytes()
    assert raw.count(b"note number 7") == 1
    ten.write_bytes(raw.replace(b"note number 7", b"note number 1"))
    report = verify(ten)
    assert (report.exit_code, report.first_bad) == (1, 7)
    assert findings(ten) == ["entry 7: its text was changed: it does not match its hash"]


def rehashed(connection: sqlite3.Connection, seq: int, change: dict[str, Any]) -> None:
    """Change an entry and give it the hash that fits."""
    (body,) = connection.execute("SELECT body FROM entry WHERE seq = ?", (seq,)).fetchone()
    text = encode({**json.loads(body), **change})
    connection.execute("UPDATE entry SET body = ?, hash = ? WHERE seq = ?", (text, leaf_hash(text.encode()), seq))


def test_an_edit_with_a_fitting_hash_breaks_the_chain_behind_it(ten: Path, quietly: sqlite3.Connection) -> None:
    rehashed(quietly, 7, {"ts": "2026-11-23T13:00:00.000000Z"})
    put_back(ten)
    report = verify(ten)
    assert report.exit_code == 1
    assert "entry 8: does not follow entry 7: one of the two was replaced" in findings(ten)
    assert "entry 8: its text names another entry before it" not in findings(ten)


def test_a_removed_entry_is_named(ten: Path, quietly: sqlite3.Connection) -> None:
    quietly.execute("DELETE FROM entry WHERE seq IN (5, 6)")
    put_back(ten)
    assert findings(ten)[:2] == [
        "entry 5: missing: the log goes on with entry 7",
        "entry 7: does not follow entry 6: one of the two was replaced",
    ]
    assert verify(ten).first_bad == 5


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("run = 'another-run'", "the column run differs"),
        ("type = 'signoff'", "the column type differs"),
        ("id = '01ARZ3NDEKTSV4RRFFQ69G5FAV'", "the column id differs"),
        ("prev = zeroblob(32)", "does not follow entry 3"),
        ("hash = zeroblob(32)", "does not match its hash"),
    ],
)
def test_columns_that_differ_from_the_text_are_named(
    ten: Path, quietly: sqlite3.Connection, change: str, what: str
) -> None:
    quietly.execute(f"UPDATE entry SET {change} WHERE seq = 4")
    put_back(ten)
    report = verify(ten)
    assert (report.exit_code, report.first_bad) == (1, 4)
    assert report.why is not None and what in report.why


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"log": "0" * 32}, "belongs to another log"),
        ({"seq": 11}, "carries another number"),
        ({"prev": "0" * 64}, "names another entry before it"),
        ({"type": "signoff"}, "column type differs"),
        ({"data": {"step": None, "text": "x"}}, "data.evidence is missing"),
        ({"data": None}, "data is not an object"),
        ({"more": 1}, "its parts are not those of an entry: more"),
        ({"actor": {"name": "x"}}, "does not say who wrote it"),
        ({"actor": None}, "does not say who wrote it"),
        ({"ts": "yesterday"}, "its time is not in the form"),
        ({"ts": 5}, "its time is not in the form"),
        ({"ts": "2026-13-41T00:00:00.000000Z"}, "its time is not in the form"),
        ({"mono": "1"}, "its clock or tool"),
        ({"id": "x" * 26}, "its id is no ULID"),
        ({"v": 0}, "no version that captain knows"),
        ({"v": True}, "no version that captain knows"),
        ({"v": "1"}, "no version that captain knows"),
    ],
)
def test_an_entry_captain_would_not_have_written_is_named(
    ten: Path, quietly: sqlite3.Connection, change: dict[str, Any], what: str
) -> None:
    rehashed(quietly, 10, change)
    put_back(ten)
    report = verify(ten)
    assert (report.exit_code, report.first_bad) == (1, 10)
    assert any(what in finding for finding in findings(ten)), findings(ten)


def test_an_unknown_type_is_a_finding_and_a_newer_form_a_note(ten: Path, quietly: sqlite3.Connection) -> None:
    rehashed(quietly, 10, {"type": "moon.phase"})
    quietly.execute("UPDATE entry SET type = 'moon.phase' WHERE seq = 10")
    put_back(ten)
    assert findings(ten) == ["entry 10: has the type moon.phase, which captain does not know"]
    with intruder(ten) as connection:
        lift_guard(connection)
        rehashed(connection, 10, {"v": 2})
    put_back(ten)
    report = verify(ten)
    assert (report.exit_code, report.state) == (0, "intact")
    assert "newer form (2)" in str(report.findings[0])


@pytest.mark.parametrize("spelling", ['{"v":1,"v":1}', "{}", "[]", "null", '"x"', '{"a":1.0}', "[" * 60000, "{\n}"])
def test_a_text_in_another_spelling_is_named(ten: Path, quietly: sqlite3.Connection, spelling: str) -> None:
    quietly.execute("UPDATE entry SET body = ?, hash = ? WHERE seq = 10", (spelling, leaf_hash(spelling.encode())))
    put_back(ten)
    report = verify(ten)
    assert (report.exit_code, report.first_bad) == (1, 10)


def test_a_log_that_begins_otherwise_is_named(ten: Path, quietly: sqlite3.Connection) -> None:
    rehashed(quietly, 1, {"type": "step.note", "data": {"step": None, "text": "", "evidence": []}})
    quietly.execute("UPDATE entry SET type = 'step.note' WHERE seq = 1")
    put_back(ten)
    assert "entry 1: a log begins with log.open, and only there" in findings(ten)


def test_an_emptied_log_and_a_second_identity_are_named(ten: Path, quietly: sqlite3.Connection) -> None:
    quietly.execute("DELETE FROM entry")
    put_back(ten)
    assert findings(ten) == ["the log has no entries, not even its first"]
    with intruder(ten) as connection:
        connection.execute("DROP TRIGGER log_delete")
        connection.execute("DELETE FROM log")
    assert "the log's identity was changed" in findings(ten)


def test_a_row_hidden_from_the_index_is_named(ten: Path) -> None:
    with intruder(ten) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = sql || ' WHERE seq <> 7' WHERE name = 'entry_run'")
        connection.execute("PRAGMA writable_schema = OFF")
    with intruder(ten) as connection:
        connection.execute("REINDEX entry_run")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ' WHERE seq <> 7', '') WHERE name = 'entry_run'"
        )
    report = verify(ten)
    assert report.exit_code == 1
    assert any("row 7 missing from index entry_run" in finding for finding in findings(ten))


def test_a_weakened_trigger_is_named(ten: Path) -> None:
    with intruder(ten) as connection:
        connection.execute("DROP TRIGGER entry_update")
        connection.execute("CREATE TRIGGER entry_update BEFORE UPDATE ON entry WHEN 0 BEGIN SELECT 1; END")
    assert findings(ten) == ["the trigger entry_update was changed: its text differs from captain's"]
    assert verify(ten).exit_code == 1


def test_a_log_of_a_newer_format_is_not_called_tampered(ten: Path) -> None:
    with intruder(ten) as connection:
        connection.execute("PRAGMA user_version = 2")
    assert findings(ten) == ["its format was changed to 2; its tables are those of format 1"]
    with intruder(ten) as connection:
        connection.execute("CREATE TABLE proof(a)")
    report = verify(ten)
    assert (report.exit_code, report.state) == (3, "unreadable")
    assert report.why is not None and "newer captain" in report.why


def test_time_going_back_without_a_word_is_a_note(ten: Path, quietly: sqlite3.Connection) -> None:
    rehashed(quietly, 10, {"ts": "2020-01-01T00:00:00.000000Z"})
    put_back(ten)
    report = verify(ten)
    assert (report.exit_code, report.findings[0].severity) == (0, "note")


# Evidence and checkpoints


def with_evidence(path: Path) -> Evidence:
    piece = Evidence("text/plain", b"the answer")
    named = {"name": "a", "media": piece.media, "size": len(piece.data), "digest": piece.digest}
    with Log.open(path, clock=HandClock()) as log:
        log.append(
            [Draft("step.note", "r", {"step": None, "text": "", "evidence": [named]})], actor=KAREN, evidence=[piece]
        )
    return piece


def test_changed_evidence_is_named_and_deleted_evidence_is_a_note(ten: Path) -> None:
    piece = with_evidence(ten)
    assert verify(ten).findings == ()
    with intruder(ten) as connection:
        connection.execute("UPDATE evidence SET data = ?", (b"another answer",))
    assert verify(ten).exit_code == 1
    assert findings(ten) == [f"the evidence {piece.digest[:12]} was changed"]
    with intruder(ten) as connection:
        connection.execute("DELETE FROM evidence")
    report = verify(ten)
    assert (report.exit_code, findings(ten)) == (0, ["entry 11: 1 piece of evidence deleted, from this entry on"])


def test_a_checkpoint_shows_a_rewritten_or_shortened_log(ten: Path, quietly: sqlite3.Connection) -> None:
    root = verify(ten).root
    assert root is None  # the guards are lifted
    put_back(ten)
    root = verify(ten).root
    assert root is not None
    with intruder(ten) as connection:
        connection.execute("INSERT INTO checkpoint VALUES (10, ?, 'note')", (bytes.fromhex(root),))
    assert verify(ten).exit_code == 0
    with intruder(ten) as connection:
        lift_guard(connection)
        connection.execute("DELETE FROM entry WHERE seq > 8")
    put_back(ten)
    assert findings(ten) == ["the log was cut: it has 8 entries, a checkpoint says 10"]
    with intruder(ten) as connection:
        connection.execute("INSERT INTO checkpoint VALUES (3, zeroblob(32), 'note')")
    assert "entry 3: the checkpoint of 3 entries does not match them" in findings(ten)


def test_a_checkpoint_finds_what_the_chain_alone_cannot(ten: Path, quietly: sqlite3.Connection) -> None:
    put_back(ten)
    root = verify(ten).root
    assert root is not None
    with intruder(ten) as connection:
        lift_guard(connection)
        prev = ""
        rows = connection.execute("SELECT seq, body FROM entry ORDER BY seq").fetchall()
        for seq, body in rows:
            value = json.loads(body)
            if seq == 7:
                value["data"]["text"] = "rewritten, and everything behind it chained anew"
            if prev:
                value["prev"] = prev
            text = encode(value)
            prev = leaf_hash(text.encode()).hex()
            connection.execute(
                "UPDATE entry SET body = ?, prev = ?, hash = ? WHERE seq = ?",
                (text, bytes.fromhex(value["prev"]), bytes.fromhex(prev), seq),
            )
    put_back(ten)
    assert verify(ten).exit_code == 0  # as the module says: only a head kept elsewhere shows this
    assert verify(ten).root != root
    with intruder(ten) as connection:
        connection.execute("INSERT INTO checkpoint VALUES (10, ?, '')", (bytes.fromhex(root),))
    assert verify(ten).exit_code == 1


# New entries only


def test_new_entries_are_verified_without_reading_the_old_ones(ten: Path) -> None:
    first = verify(ten)
    assert first.upto is not None
    piece = with_evidence(ten)
    second = verify_from(ten, first.upto)
    assert (second.exit_code, second.entries) == (0, 11)
    assert second.root == verify(ten).root
    assert second.upto is not None
    assert verify_from(ten, second.upto).entries == 11
    with intruder(ten) as connection:
        connection.execute("UPDATE evidence SET data = x'00'")
    assert [str(finding) for finding in verify_from(ten, first.upto).findings] == ["entry 11: its evidence was changed"]
    assert piece.digest


def test_new_entries_on_a_shortened_or_replaced_log_are_found_out(ten: Path, tmp_path: Path) -> None:
    report = verify(ten)
    assert report.upto is not None
    with intruder(ten) as connection:
        lift_guard(connection)
        connection.execute("DELETE FROM entry WHERE seq > 8")
    put_back(ten)
    with Log.open(ten, clock=HandClock()) as log:
        log.append([note("in their"), note("place")], actor=KAREN)
    again = verify_from(ten, report.upto)
    assert (again.exit_code, again.first_bad) == (1, 10)
    other = tmp_path / "other.sqlite"
    Log.open(other, clock=HandClock()).close()
    replaced = verify_from(other, report.upto)
    assert replaced.exit_code == 1
    assert "another log lies in its place" in [str(finding) for finding in replaced.findings]


def test_verification_beside_an_open_log_leaves_its_locks_alone(log: Log, log_path: Path) -> None:
    def from_inside(_: object) -> list[Draft]:
        assert verify(log_path).exit_code == 0
        # Were the lock lost, another writer could begin now.
        code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0); c.execute('BEGIN IMMEDIATE')"
        done = subprocess.run([sys.executable, "-c", code, str(log_path)], capture_output=True, timeout=30)
        assert b"database is locked" in done.stderr
        return [note()]

    assert log.append(build=from_inside, actor=KAREN)[0].seq == 2


# Any file whatever


@pytest.mark.parametrize(
    ("content", "exit_code"),
    [(b"", 2), (b"\0", 2), (b"hello\n", 2), (b"SQLite format 3\0", 2), (b"\0" * 8192, 2), (bytes(range(256)) * 40, 2)],
)
def test_row_61_files_that_are_no_log_get_exit_2(tmp_path: Path, content: bytes, exit_code: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    report = verify(path)
    assert (report.exit_code, report.state) == (exit_code, "unreadable")
    assert report.why


def test_things_that_are_no_files_get_an_answer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert [verify(tmp_path / name).exit_code for name in ("pipe", "link", "round", ".", "none", "none/none")] == [
        2, 2, 2, 2, 3, 3,
    ]  # fmt: skip
    assert verify(Path("/dev/zero")).exit_code == 2
    assert verify(Path("x\0y")).exit_code == 3
    assert verify(Path("y" * 5000)).exit_code == 3


def test_row_60_another_programs_database_is_not_a_log(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite"
    with intruder(path) as connection:
        connection.execute("CREATE TABLE entry(seq INTEGER PRIMARY KEY, body TEXT)")
    assert verify(path).exit_code == 2
    with intruder(path) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    report = verify(path)
    assert report.exit_code == 1
    assert "the table of entries was redefined, so its rows are not looked at" in findings(path)
    with intruder(path) as connection:
        connection.execute("DROP TABLE entry")
    assert verify(path).exit_code == 2


def test_row_60_a_view_in_place_of_the_entries_runs_nothing(ten: Path) -> None:
    with intruder(ten) as connection:
        connection.execute("DROP TABLE entry")
        connection.execute(
            "CREATE VIEW entry AS WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq FROM n) SELECT * FROM n"
        )
    report = verify(ten)
    assert report.exit_code == 1
    assert "the view entry does not belong to a captain log" in findings(ten)


def test_names_in_a_hostile_schema_cannot_move_the_cursor(ten: Path) -> None:
    with intruder(ten) as connection:
        connection.execute('CREATE VIEW "\x1b[2J\x07 [red]" AS SELECT 1')
    assert all(finding.isprintable() for finding in findings(ten))


def test_row_60_wal_mode_is_a_finding_and_nothing_is_left_beside_the_log(ten: Path) -> None:
    with intruder(ten) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    before = ten.read_bytes()
    report = verify(ten)
    assert (report.exit_code, report.entries) == (1, 10)
    assert "write-ahead" in findings(ten)[0]
    assert ten.read_bytes() == before
    assert sorted(item.name for item in ten.parent.iterdir()) == ["log.sqlite", "log.sqlite.d"]


def half_written(path: Path) -> Path:
    """The log and its journal as they are when a writer dies within a commit."""
    with intruder(path) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO evidence VALUES (?, zeroblob(16), 'text/plain', zeroblob(9000))",
            [(bytes([number]) * 32,) for number in range(60)],
        )
        main = path.read_bytes()
        journal = path.with_name(path.name + "-journal").read_bytes()
        connection.execute("ROLLBACK")
    path.write_bytes(main)
    path.with_name(path.name + "-journal").write_bytes(journal)
    return path.with_name(path.name + "-journal")


def test_a_log_left_by_a_crash_is_verified_as_it_will_be_and_not_written(ten: Path) -> None:
    journal = half_written(ten)
    before = ten.read_bytes(), journal.read_bytes()
    report = verify(ten)
    assert (report.exit_code, report.entries) == (0, 10)
    assert "halfway" in findings(ten)[0]
    assert (ten.read_bytes(), journal.read_bytes()) == before


def test_row_60_a_journal_that_names_another_file_is_not_played_back(ten: Path) -> None:
    journal = half_written(ten)
    victim = ten.with_name("victim")
    victim.write_bytes(b"keep me")
    journal.write_bytes(journal.read_bytes() + bytes.fromhex("d9d505f920a163d7"))
    report = verify(ten)
    assert (report.exit_code, report.state) == (3, "unreadable")
    assert "did not write it" in findings(ten)[0]
    assert victim.read_bytes() == b"keep me"


def test_a_log_that_others_can_write_is_verified_with_a_note(ten: Path, tmp_path: Path) -> None:
    ten.chmod(0o666)
    os.link(ten, tmp_path / "second")
    report = verify(ten)
    assert report.exit_code == 0
    assert [finding.severity for finding in report.findings] == ["note"]


def test_an_unreadable_log_gets_exit_3(ten: Path) -> None:
    ten.chmod(0)
    assert verify(ten).exit_code == (0 if os.geteuid() == 0 else 3)  # root may read everything


def test_row_61_a_log_cut_at_any_length_never_passes(ten: Path) -> None:
    raw = ten.read_bytes()
    for length in (1, 99, 100, 512, 4095, 4096, len(raw) // 2, len(raw) - 4096, len(raw) - 1):
        ten.write_bytes(raw[:length])
        report = verify(ten)
        assert report.exit_code in (1, 2, 3), length
        assert report.why
    ten.write_bytes(raw + b"junk" * 1024)
    assert verify(ten).exit_code in (0, 1)


def rows_of(path: Path) -> list[list[tuple[Any, ...]]]:
    """All that an entry, a checkpoint or a piece of evidence consists of; a media type is a mere label."""
    with intruder(path) as connection:
        connection.text_factory = bytes
        return [
            connection.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY 1").fetchall()
            for table, columns in (
                ("log", "*"),
                ("entry", "*"),
                ("evidence", "digest, salt, data"),
                ("checkpoint", "*"),
            )
        ]


def test_row_61_no_flipped_bit_raises_and_none_that_changes_a_row_passes(ten: Path) -> None:
    with_evidence(ten)
    root = verify(ten).root
    assert root is not None
    with intruder(ten) as connection:
        connection.execute("INSERT INTO checkpoint VALUES (11, ?, 'note')", (bytes.fromhex(root),))
    raw = ten.read_bytes()
    original = rows_of(ten)
    chance = random.Random(61)
    used = [at for at, byte in enumerate(raw) if byte]
    places = [*range(100), *chance.sample(used, 500), *(chance.randrange(len(raw)) for _ in range(100))]
    caught = 0
    for at in places:
        flipped = bytearray(raw)
        flipped[at] ^= 1 << chance.randrange(8)
        ten.write_bytes(flipped)
        report = verify(ten)
        assert not any("checking failed" in finding.what for finding in report.findings), (at, report.findings)
        if report.exit_code == 0:
            assert rows_of(ten) == original, at
        else:
            caught += 1
    assert caught > 400


def test_row_61_opening_a_damaged_log_fails_with_a_sentence_or_works(ten: Path) -> None:
    raw = ten.read_bytes()
    chance = random.Random(62)
    for _ in range(150):
        flipped = bytearray(raw)
        flipped[chance.randrange(3 * 4096)] ^= 1 << chance.randrange(8)
        ten.write_bytes(flipped)
        try:
            with Log.open(ten, clock=HandClock()) as log:
                list(log.entries())
                log.append([note()], actor=KAREN)
        except LogError as error:
            assert error.message


def test_row_61_random_damage_of_many_bytes_never_raises(ten: Path) -> None:
    raw = ten.read_bytes()
    chance = random.Random(7)
    for _ in range(60):
        damaged = bytearray(raw)
        for _ in range(chance.choice((2, 20, 400))):
            damaged[chance.randrange(100, len(raw))] = chance.randrange(256)
        ten.write_bytes(damaged)
        verify(ten)
