"""Two people at the shell: countersigning, authors of a release, and what ends soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.commands.conftest import Captain
from tests.git_repo import Repo
from tests.shop import Shop

SERVICE = """\
service: shop
vars: {{ url: 'http://127.0.0.1:{port}' }}
environments: {{ staging: {{}} }}
checklists: [checklists/deploy.yaml]
people: {{ karen@example.com: [captain], eve@example.com: [captain], ann@example.com: [captain] }}
"""
CHECKLIST = """\
checklist: deploy
title: Deployment
sections:
  - id: pre
    title: Before
    phase: pre
    steps:
      - {{ id: healthy, title: Healthy, http: {{ url: '${{{{ vars.url }}}}/healthz' }} }}
      - {{ id: told, title: Told, manual: Tell., sign_off: {{ role: captain, not_author: true }} }}
      - {{ id: tried, title: Tried, manual: Try., sign_off: {{ role: captain, valid_for: 20d }} }}
"""
RUN = "shop-staging-1.4.0"


@pytest.fixture
def repo(shop: Shop) -> Repo:
    """Ann wrote everything, with Eve; karen is at the keyboard."""
    shop.write(SERVICE, CHECKLIST)
    found = Repo(shop.root)
    found.write(".gitignore", "state/\n")
    found.git("add", "-A")
    found.git("commit", "-q", "-m", "all\n\nCo-authored-by: Eve <EVE@example.com>")
    found.git("tag", "v1.4.0")
    return found


def opened(captain_says: Captain, version: str = "1.4.0") -> None:
    assert captain_says("run", "deploy", "-e", "staging", "-r", version, "--no-screen").code == 4


def until(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


def test_a_signature_that_lifts_nothing_says_why(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    shop.health = 503
    opened(captain_says)
    captain_says("check", "deploy", "-e", "staging", "--run", RUN, "--step", "healthy")
    waived = captain_says("sign", RUN, "healthy", "--waive", "--note", "known", "--until", until(7))
    assert "\nhealthy does not count yet: " in waived.err
    tried = captain_says("sign", RUN, "tried", "--approve")
    assert "recorded in" in tried.err and "does not count yet" not in tried.err
    assert "at most 30 days from now" in captain_says("sign", RUN, "healthy", "--waive", "--note", "x").err


def test_a_waiver_counts_once_somebody_else_countersigned_it(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    shop.health = 503
    opened(captain_says)
    check = ("check", "deploy", "-e", "staging", "--run", RUN, "--step", "healthy")
    assert captain_says(*check).code == 1
    captain_says("sign", RUN, "healthy", "--waive", "--note", "known", "--until", until(7))
    assert captain_says(*check).code == 4
    own = captain_says("sign", RUN, "healthy", "--countersign")
    assert (own.code, "another person has to countersign it" in own.err) == (1, True)
    nobody = captain_says("--as", "mallory@example.com", "sign", RUN, "healthy", "--countersign")
    assert (nobody.code, "cannot countersign" in nobody.err) == (1, True)
    assert captain_says("--as", "eve@example.com", "sign", RUN, "healthy", "--countersign").code == 0
    assert captain_says(*check).code == 0
    status = captain_says("status", RUN).out
    assert "~ waived" in status or "waived by karen@example.com" in status
    assert "waiver of healthy in staging, by karen@example.com, owner karen@example.com" in status
    assert captain_says("--as", "eve@example.com", "sign", RUN, "healthy", "--withdraw").code == 0
    assert captain_says(*check).code == 4
    assert captain_says("verify").code == 0


def test_who_wrote_the_release_does_not_sign_it(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    opened(captain_says)
    said = shop.recorded("run.authors")[0].data
    assert said == {"names": ["ann@example.com", "eve@example.com"], "known": True}
    for name in ("ann@example.com", "EVE@example.com"):
        refused = captain_says("--as", name, "sign", RUN, "told", "--approve")
        assert (refused.code, "wrote part of this release" in refused.err) == (1, True), refused.err
    assert captain_says("sign", RUN, "told", "--approve").code == 0


def test_where_git_cannot_tell_who_wrote_it_nobody_signs(shop: Shop, captain_says: Captain) -> None:
    shop.write(SERVICE, CHECKLIST)
    opened(captain_says)
    refused = captain_says("sign", RUN, "told", "--approve")
    assert (refused.code, "who wrote this release is not known" in refused.err) == (1, True)


def test_only_commits_behind_the_previous_release_count(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    opened(captain_says)
    captain_says("sign", RUN, "told", "--approve")
    captain_says("sign", RUN, "tried", "--approve")
    assert captain_says("gate", RUN, "pre", "--go").code == 0
    repo.write("more.md", "more\n")
    repo.git("add", "-A")
    repo.git("-c", "user.name=K", "commit", "-q", "-m", "more", "--author", "K <karen@example.com>")
    repo.git("tag", "v1.5.0")
    opened(captain_says, "1.5.0")
    assert shop.recorded("run.authors")[-1].data["names"] == ["karen@example.com"]
    assert captain_says("--as", "ann@example.com", "sign", "told", "--approve").code == 0


def test_an_approval_for_longer_carries_over_is_listed_before_it_ends_and_renewed(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    opened(captain_says)
    for step in ("told", "tried"):
        captain_says("sign", RUN, step, "--approve")
    captain_says("gate", RUN, "pre", "--go")
    ends = captain_says("status", "--json").json["ends"]
    assert [(one["what"], one["step"], one["by"]) for one in ends] == [("sign-off", "tried", "karen@example.com")]
    repo.git("tag", "v1.6.0")
    opened(captain_says, "1.6.0")
    states = captain_says("status", "shop-staging-1.6.0", "--json").json["sections"][0]["steps"]
    assert {one["id"]: one["state"] for one in states} == {"healthy": "todo", "told": "waiting", "tried": "measured"}
    assert "sign-off of tried" in captain_says("status").out
    # Whoever takes their word back in the later run ends it there.
    captain_says("sign", "shop-staging-1.6.0", "tried", "--reject", "--note", "it broke")
    assert "sign-off of tried" not in captain_says("status").out
