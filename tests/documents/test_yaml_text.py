"""Whatever a file holds, reading it gives a tree or problems with places, within bounds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from captain.documents import MAX_BYTES, MAX_DEPTH, Document, Node, read_yaml


def read(text: str | bytes) -> Document:
    return read_yaml(text.encode() if isinstance(text, str) else text, "file.yaml")


def refused(text: str | bytes) -> list[str]:
    return [f"{problem.line}:{problem.column} {problem.message}" for problem in read(text).problems]


def only(text: str | bytes, *words: str) -> None:
    """The one problem, holding all the words."""
    problems = refused(text)
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]


def test_a_file_is_read_as_it_is_written() -> None:
    document = read("a: 1.10\nb: [on, 'x y', \"z\\n\"]\nc:\nd: |\n  one\n  two\ne: ''\n")
    assert document.problems == []
    assert document.root is not None
    assert document.root.plain == {
        "a": "1.10",
        "b": ["on", "x y", "z\n"],
        "c": None,
        "d": "one\ntwo\n",
        "e": "",
    }


def test_every_value_knows_its_place_and_its_path() -> None:
    root = read("a:\n  - { ключ: значение, url: x }\n").root
    assert root is not None
    node = root.get("a", 0, "url")
    assert node is not None
    assert (node.line, node.column, node.path) == (2, 28, "a[0].url")
    holder = root.get("a", 0)
    assert holder is not None
    assert holder.keys["url"] == (2, 23)


def test_a_place_inside_a_text_is_found_again() -> None:
    text = "plain: abc def\nsingle: 'it''s def'\ndouble: \"abc def\"\nblock: |\n   abc\n   x def\n"
    root = read(text).root
    assert root is not None
    lines = text.split("\n")
    for name in ("plain", "single", "double", "block"):
        node = root.get(name)
        assert node is not None
        assert node.text is not None
        line, column = node.spot(node.text.index("def"))
        assert lines[line - 1][column - 1 :].startswith("def"), name


def test_row_1_an_alias_bomb_is_refused_before_it_is_built() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    problems = refused(bomb)
    assert [problem.split(" ", 1)[0] for problem in problems] == ["1:4", "2:4", "2:8", "2:12", "3:5", "3:9"]
    only("a: 1\n<<: { b: 2 }\n", "2:1", "merge key")


def test_row_2_deep_nesting_is_bounded() -> None:
    for text in ("[" * 50_000, "[" * 500_000, "{a: " * 200_000, "- " * 300_000):
        only(text, "nested deeper than 20 levels")
    assert "nested deeper than 20 levels" in refused("? " * 300_000)[-1]
    assert refused("[" * 20 + "]" * 20) == []


def test_row_3_a_file_above_the_limit_is_refused_unread() -> None:
    only("a: " + "x" * MAX_BYTES, "1:1", "larger than 1024 KiB")
    only("- a\n" * 60_000, "holds more than 50000 values")


def test_row_4_a_key_written_twice_is_refused() -> None:
    only("a: 1\nb: 2\na: 3\n", "3:1", 'key "a" is written twice, first on line 1')


def test_row_5_nothing_is_typed_by_guessing() -> None:
    text = "a: NO\nb: 1.10\nc: 0755\nd: 12:30:45\ne: 2024-01-01\nf: ~\ng: null\n"
    root = read(text).root
    assert root is not None
    assert list(root.plain.values()) == ["NO", "1.10", "0755", "12:30:45", "2024-01-01", "~", "null"]


def test_row_6_a_tag_is_refused_and_runs_nothing() -> None:
    only("a: !!python/object/apply:os.system [echo]\n", "1:4", "tag tag:yaml.org,2002:python")
    only("!x\na: 1\n", "1:1", "tag !x")


def test_row_7_numbers_and_dates_that_break_parsers_stay_text() -> None:
    assert refused("a: " + "9" * 5000 + "\nb: 2024-13-45\n") == []


def test_row_8_a_list_that_holds_itself_is_refused() -> None:
    assert len(refused("&a [*a]")) == 2


def test_row_9_only_clean_utf_8_is_read() -> None:
    only("a: 1".encode("utf-16"), "1:1", "not UTF-8")
    only("a: 1".encode("utf-16-le"), "1:1", "not UTF-8")
    only(b"\xef\xbb\xbfa: 1", "1:1", "byte order mark")
    only(b"a: 1\nb: \xc3\xa9\xff", "2:5", "byte 0xff")
    only("a: x\x1b[2J", "1:5", "control character")
    only("a: x\u202e", "1:5", "control character")
    only('a: "\\e[2J"', "1:4", "holds a control character")
    only('a: "\\u202e"', "1:4", "holds a control character")
    only("a: \x00", "1:4", "control character")
    assert any("not YAML" in problem for problem in refused('a: "\\ud800"'))


def test_row_10_several_documents_and_tabs_are_refused() -> None:
    only("a: 1\n---\nb: 2\n", "2:1", "second document")
    only("a:\n\tb: 1\n", "2:1", "a tab stands here")


def test_a_key_must_be_a_text() -> None:
    only("[a, b]: 1\nc: 2\n", "a key must be a plain text")
    only("? {a: b}\n: 1\n", "a key must be a plain text")
    only("? \n: 1\n", "a key must be a plain text")


def test_all_problems_are_told_at_once() -> None:
    text = "a: &x 1\na: 2\nb: !t 3\n\tc: 4\n" + "d: \x07\n"
    assert len(refused(text)) >= 4


def test_a_line_that_can_be_mended_is_shown_mended_and_the_rest_is_read() -> None:
    def correct(lines: list[str], index: int) -> str | None:
        line = lines[index]
        return line.replace("[a in [1]]", "['a in [1]']") if "[a in" in line else None

    document = read_yaml(b"x:\n  e: [a in [1]]\nb: 1\nb: 2\n", "f.yaml", correct=correct)
    first, second = sorted(document.problems)
    assert (first.line, first.message, first.hint) == (2, "quote this expression", "write: e: ['a in [1]']")
    assert second.line == 4
    assert document.root is not None
    assert document.root.plain == {"x": {"e": ["a in [1]"]}, "b": "1"}


def walk(node: Node, depth: int = 1) -> None:
    assert depth <= MAX_DEPTH + 1
    assert node.line >= 1
    assert node.column >= 1
    assert isinstance(node.path, str)
    for child in [*node.mapping.values(), *node.items]:
        assert child.parent is node
        walk(child, depth + 1)


YAMLISH = st.lists(
    st.sampled_from(
        [
            *"abc:-?{}[],&*!|>'\"%@`#~ \n\t\r",
            "\n  ",
            ": ",
            "- ",
            "'x'",
            '"\\x00"',
            "<<",
            "---\n",
            "${{ ",
            " }}",
            "é",
            "😀",
            *["expect: ", "\x00", "\ud800", "\u2028", "...\n", "!!x ", "|2\n"],
        ]
    ),
    max_size=60,
).map("".join)


@settings(max_examples=250, deadline=None)
@given(st.one_of(YAMLISH, st.text(max_size=60)))
def test_any_text_gives_a_tree_or_problems(text: str) -> None:
    document = read_yaml(text.encode("utf-8", "surrogatepass"), "f.yaml", correct=lambda lines, i: lines[i] + "'")
    if document.root is not None:
        walk(document.root)
    for problem in document.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert not {*str(problem)} & {*"\n\x00\x1b\x9b\u202e"}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_give_a_tree_or_problems(data: bytes) -> None:
    document = read_yaml(data, "f.yaml")
    assert document.root is None or document.root.plain is not Ellipsis
