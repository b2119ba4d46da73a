"""YAML of other tools: anchors, merge keys, tags and several documents, and nothing that grows."""

from __future__ import annotations

from typing import Any

import pytest

from captain.documents import read_foreign_yaml


def plain(text: str) -> Any:
    return [root.plain for root in read_foreign_yaml(text.encode(), "ci.yml")]


def test_f30_words_and_numbers_stay_the_text_they_are() -> None:
    assert plain("on: push\nport: 22:22\nno: yes\nversion: 1.10\n") == [
        {"on": "push", "port": "22:22", "no": "yes", "version": "1.10"}
    ]


def test_f30_a_tag_becomes_a_key_so_that_nothing_is_lost() -> None:
    assert plain("a: !reset null\nb: !reference [.x, script]\nc: !!str 1\n") == [
        {"a": {"!reset": "null"}, "b": {"!reference": [".x", "script"]}, "c": "1"}
    ]


def test_anchors_are_shared_and_merged_keys_hold_where_the_mapping_gives_none() -> None:
    merged = "base: &b { image: x, stage: test }\njob:\n  stage: build\n  <<: *b\nlist: [*b]\n"
    assert plain(merged) == [
        {
            "base": {"image": "x", "stage": "test"},
            "job": {"stage": "build", "image": "x"},
            "list": [{"image": "x", "stage": "test"}],
        }
    ]
    assert plain("a: &a { x: 1 }\nb: &b { x: 2, y: 2 }\nc: { <<: [*a, *b], z: 3 }\n")[0]["c"] == {
        "x": "1",
        "y": "2",
        "z": "3",
    }
    assert plain("a: &a { x: 1 }\nb:\n  <<: *a\n  x: 2\n")[0]["b"] == {"x": "2"}


def test_several_documents_are_several_roots() -> None:
    assert plain("spec: { inputs: {} }\n---\njob: {}\n") == [{"spec": {"inputs": {}}}, {"job": {}}]


def test_lines_are_those_of_the_file() -> None:
    root = read_foreign_yaml(b"a: 1\nb:\n  - c: 2\n", "ci.yml")[0]
    found = root.get("b", 0, "c")
    assert found is not None
    assert (found.line, found.column) == (3, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("a: 1\na: 2\n", 'key "a" is written twice'),
        ("a: *b\n", "names nothing that is complete"),
        ("a: &a [*a]\n", "names nothing that is complete"),
        ("a: { <<: 1 }\n", "<< takes a mapping"),
        ("? [a]\n: b\n", "a key must be a plain text"),
        ("\n".join(f"{'  ' * n}a:" for n in range(60)), "nested deeper than 50"),
        ("--- 1\n" * 30, "more than 20 documents"),
        ("a: &a [" + "x," * 30_000 + "]\nb: [*a, *a]\n", "more than 50000 values"),
    ],
)
def test_what_is_refused_says_where(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=rf"^\d+:\d+: .*{said}"):
        plain(text)
    with pytest.raises(ValueError, match="not UTF-8"):
        read_foreign_yaml(b"a: \xff", "ci.yml")
