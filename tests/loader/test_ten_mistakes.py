"""One file, ten mistakes of ten classes: all are told at once, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from captain.errors import ProblemsError
from captain.loader import lint, load

BAD = """\
checklist: deploy
title: Deployment
title: Twice
sections:
  - id: roll
    title: Roll
    phase: deploy
    steps:
      - { id: a, title: A, manual: Do it, severty: info }
      - { id: b, title: [B], manual: Do it }
      - { id: c, manual: Do it }
      - { id: d, title: D, manual: Do it, pinger: { url: x } }
      - { id: E!, title: E, manual: Do it }
      - { id: f, title: F, manual: Do it, needs: [aa] }
      - { id: g, title: G, pinger: { url: x }, expect: 'statuss == 200' }
      - { id: h, title: H, pinger: { url: x }, expect: 'status == "200"' }
      - { id: i, title: I, pinger: { url: x }, within: 5 minutes }
      - { id: j, title: J, pinger: { ulr: x }, expect: latency < 500 }
"""
TOLD = [
    (3, 1, 'key "title" is written twice, first on line 2', None, "title"),
    (9, 43, '"severty" is not a key of a step', "did you mean severity?", "sections[0].steps[0].severty"),
    (10, 25, "title takes a text, not a list", None, "sections[0].steps[1].title"),
    (11, 9, "title is missing", None, "sections[0].steps[2].title"),
    (12, 43, "manual and pinger stand side by side; a step has one", None, "sections[0].steps[3].pinger"),
    (
        13,
        15,
        'id: "E!" is not an id; ids are lower-case letters, digits, . _ - (at most 64)',
        None,
        "sections[0].steps[4].id",
    ),
    (14, 51, 'needs "aa", which is no step of this checklist', "did you mean a?", "sections[0].steps[5].needs[0]"),
    (15, 57, "statuss is not known here", "did you mean status?", "sections[0].steps[6].expect"),
    (16, 64, "== cannot compare a whole number and a text", "write 200", "sections[0].steps[7].expect"),
    (
        17,
        56,
        'within: "5 minutes" is not a duration; write 200ms, 10s, 5m, 24h or 90d',
        None,
        "sections[0].steps[8].within",
    ),
    (18, 36, "url is missing", None, "sections[0].steps[9].pinger.url"),
    (18, 38, '"ulr" is not a key of pinger', "did you mean url?", "sections[0].steps[9].pinger.ulr"),
    (
        18,
        64,
        "< cannot compare a duration and a whole number",
        'compare durations: duration("500ms")',
        "sections[0].steps[9].expect",
    ),
]


def test_every_mistake_of_a_file_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    found = [problem for problem in lint(["bad.yaml"], cwd=tmp_path) if problem.severity == "error"]
    assert [(one.line, one.column, one.message, one.hint, one.key) for one in found] == TOLD
    with pytest.raises(ProblemsError) as caught:
        load("./bad.yaml", "staging", cwd=tmp_path)
    assert caught.value.problems == sorted(found)


def test_a_misspelt_kind_hides_no_wrong_condition(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        BAD.split("      - {")[0].replace("title: Twice\n", "")
        + "      - { id: a, title: A, pingr: { url: x }, expect: 'statuss == 200' }\n"
        + "      - { id: b, title: B, probes: { p: { pingr: { url: x } } }, expect: 'p.statuss == 200' }\n"
    )
    found = [(one.line, one.message, one.hint) for one in lint(["bad.yaml"], cwd=tmp_path) if one.severity == "error"]
    assert found == [
        (8, '"pingr" is not a key of a step', "did you mean pinger?"),
        (8, "statuss is not known here", "did you mean status?"),
        (9, '"pingr" is not a kind of probe', "did you mean pinger?"),
        (9, "p.statuss is not known here", "did you mean p.status?"),
    ]


def test_the_sentence_names_path_line_column_and_key(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    said = [str(problem) for problem in lint(["bad.yaml"], cwd=tmp_path)]
    assert (
        'bad.yaml:18:38: error: "ulr" is not a key of pinger; did you mean url? [sections[0].steps[9].pinger.ulr]'
        in said
    )
    assert "bad.yaml:1:1: note: no captain.yaml: vars, secrets and people are not checked" in said
