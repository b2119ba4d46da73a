"""captain score: computed from the newest review, whatever anybody would like it to be."""

from __future__ import annotations

from tests.commands.conftest import Captain
from tests.shop import SERVICE, Shop

REVIEW = """\
checklist: readiness
title: Readiness
per: service
sections:
  - id: infrastructure
    title: Infrastructure
    steps:
      - id: files
        title: Files are there
        file: {{ path: deploy.py }}
      - id: notes
        title: Notes are written
        file: {{ path: notes.txt }}
        severity: warning
  - id: gaps
    title: Gaps
    scored: false
    steps:
      - id: gap.1
        title: Load test
        affects: [files]
        severity: info
        file: {{ path: load-test.txt }}
"""


def reviewed(shop: Shop) -> None:
    service = SERVICE.replace(
        "checklists: [checklists/deploy.yaml]", "checklists: [checklists/deploy.yaml, readiness.yaml]"
    )
    shop.write(service, (shop.root / "checklists" / "deploy.yaml").read_text().replace("{", "{{").replace("}", "}}"))
    (shop.root / "readiness.yaml").write_text(REVIEW.format())


def test_a_score_is_what_was_measured_and_a_gap_leaves_half(shop: Shop, captain_says: Captain) -> None:
    reviewed(shop)
    captain_says("check", "readiness", "-e", "staging")
    said = captain_says("score")
    assert said.code == 1, said.err
    assert "Infrastructure  ██░░░░░░░░  25 %" in said.out
    assert "NO-GO" in said.out and "Load test is open and nobody accepted the risk" in said.out
    assert "of 2 items" in said.out, "a number says little without how much it is of"
    assert "◐" not in said.out.partition("Remaining")[0]
    assert "Files are there" in said.out and "capped by gap.1" in said.out

    (shop.root / "notes.txt").write_text("written")
    (shop.root / "load-test.txt").write_text("done")
    captain_says("check", "readiness", "-e", "staging", "--all")
    done = captain_says("score", "--json")
    assert done.code == 0, done.out
    assert (done.json["percent"], done.json["decision"], done.json["coverage"]) == (100, "GO", 1.0)
    assert done.json["sections"]["infrastructure"]["label"] == "Excellent"


def test_where_nothing_was_reviewed_the_way_to_begin_is_said(shop: Shop, captain_says: Captain) -> None:
    captain_says("check", "deploy", "-e", "staging", "--no-manual")
    said = captain_says("score")
    assert said.code == 2
    assert "nothing was reviewed here yet" in said.err and "captain check readiness -e ENV" in said.err


def test_each_environment_has_a_score_of_its_own(shop: Shop, captain_says: Captain) -> None:
    reviewed(shop)
    captain_says("check", "readiness", "-e", "staging")
    (shop.root / "notes.txt").write_text("written")
    captain_says("check", "readiness", "-e", "production")
    assert "shop › staging" in captain_says("score", "-e", "staging").out
    assert "25 %" in captain_says("score", "-e", "staging").out
    assert "shop › production" in captain_says("score").out
    elsewhere = captain_says("score", "-e", "testing")
    assert elsewhere.code == 2 and "nothing was reviewed here in testing yet" in elsewhere.err
    both = captain_says("score", "shop-staging-readiness", "-e", "staging")
    assert both.code == 2 and "leave -e or RUN out" in both.err


def test_the_score_says_what_to_do_next_and_what_it_came_from(shop: Shop, captain_says: Captain) -> None:
    reviewed(shop)
    captain_says("check", "readiness", "-e", "staging")
    (shop.root / "notes.txt").write_text("written")
    captain_says("check", "readiness", "-e", "staging", "--all")
    said = captain_says("score")
    assert "Checks so far: 25 → 75 %  ▲ 50 since" in said.out
    assert "75 %      Weak  ▲ 50" in said.out
    lines = said.out.splitlines()
    first = lines[lines.index("Next") + 1]
    assert first.startswith("  put right Load test: ") and "lifts the whole 75 → 100" in first
    assert "without it there is no go" in first
    assert "      captain check readiness -e staging --step gap.1" in lines
    assert "Recommendations and gaps" in lines and "      asked     file load-test.txt" in lines
    assert "      observed  exists = false, at " in said.out


def test_the_json_has_trend_advice_recommendations_and_contradictions(shop: Shop, captain_says: Captain) -> None:
    reviewed(shop)
    (shop.root / "notes.txt").write_text("written")
    captain_says("check", "readiness", "-e", "staging")
    said = captain_says("score", "--json").json
    assert [(one["low"], one["high"]) for one in said["trend"]] == [(75, 75)]
    assert said["change"]["points"] == 0 and said["change"]["sections"] == {"infrastructure": 0}
    assert said["next"][0]["step"] == "gap.1" and said["next"][0]["lifts"]["whole"] == [75, 100]
    assert said["recommendations"][0]["step"] == "gap.1" and said["recommendations"][0]["open"] is True
    assert said["recommendations"][0]["observed"] == {"exists": False}
    assert said["contradictions"] == []


def test_a_check_of_a_review_ends_with_the_number_and_the_decision_that_captain_score_prints(
    shop: Shop, captain_says: Captain
) -> None:
    reviewed(shop)
    checked = captain_says("check", "readiness", "-e", "staging").out.splitlines()
    assert checked[-3:] == ["Score of the whole review", *checked[-2:]]
    assert checked[-2].startswith("25 %  Critical") and checked[-1] == "NO-GO"
    said = captain_says("score").out.splitlines()
    at = said.index(checked[-2])
    assert said[at : at + 2] == checked[-2:]


def test_a_check_of_a_release_has_no_score(shop: Shop, captain_says: Captain) -> None:
    assert "Score" not in captain_says("check", "deploy", "-e", "staging", "--no-manual").out


def test_without_captain_yaml_the_score_is_of_the_service_that_a_check_took(shop: Shop, captain_says: Captain) -> None:
    reviewed(shop)
    (shop.root / "captain.yaml").unlink()
    captain_says("check", "./readiness.yaml", "-e", "staging")
    said = captain_says("score", "-e", "staging")
    assert said.code == 1, said.err
    assert f"{shop.root.name} › staging" in said.out


def test_what_is_switched_off_or_does_not_apply_is_listed_with_its_reason(shop: Shop, captain_says: Captain) -> None:
    reviewed(shop)
    text = (shop.root / "readiness.yaml").read_text()
    text = text.replace(
        "file: { path: load-test.txt }", "file: { path: load-test.txt }\n        disabled: never loaded"
    )
    (shop.root / "readiness.yaml").write_text(text.replace("severity: warning", "disabled: nobody reads them"))
    captain_says("check", "readiness", "-e", "staging")
    said = captain_says("score")
    assert said.code == 0 and "Remaining" not in said.out
    lines = said.out.splitlines()
    at = lines.index("Left out")
    assert lines[at + 1 : at + 3] == [
        "  - Notes are written  switched off: nobody reads them",
        "  - Load test  switched off: never loaded",
    ]


def test_what_the_files_ask_now_and_nobody_measured_is_not_verified(shop: Shop, captain_says: Captain) -> None:
    reviewed(shop)
    for name in ("notes.txt", "load-test.txt"):
        (shop.root / name).write_text("written")
    captain_says("check", "readiness", "-e", "staging")
    assert captain_says("score").code == 0
    text = (shop.root / "readiness.yaml").read_text()
    (shop.root / "readiness.yaml").write_text(text.replace("path: deploy.py", "path: nowhere.txt"))
    said = captain_says("score")
    assert said.code == 3, said.out
    assert "NO-GO: unverified" in said.out
    status = captain_says("status", "shop-staging-readiness", "--json").json
    states = {step["id"]: step["state"] for section in status["sections"] for step in section["steps"]}
    assert states == {"files": "todo", "notes": "measured", "gap.1": "measured"}
    (shop.root / "readiness.yaml").write_text("checklist: [")
    said = captain_says("score")
    assert said.code != 0, said.out
