"""captain trust: nothing of a repository runs before a person saw it."""

from __future__ import annotations

import io

import pytest

from tests.commands.conftest import Captain, digest
from tests.shop import CHECKLIST, SERVICE, Shop


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_shows_every_program_as_it_is_written(shop: Shop, captain_says: Captain) -> None:
    said = captain_says("trust", "--no-input")
    assert said.code == 2, "nobody can be asked"
    assert f"--digest {digest(shop)}" in said.err
    assert "deploy in production, deploy in staging" in said.out
    assert "deploy.py '${{ release.version }}'" in said.out
    assert "deploy.py '${{ previous.version }}'" in said.out, "the way back is trusted before it is needed"
    assert shop.recorded("trust.given") == [] if shop.settings.log.exists() else True


def test_it_shows_in_which_container_a_program_runs(shop: Shop, captain_says: Captain) -> None:
    step = "\n      - {{ id: counted, title: Counted, command: {{ run: [psql, -c, 'select 1'], container: shop_db }} }}"
    shop.write(SERVICE, CHECKLIST.replace("\n  - id: deploy", step + "\n  - id: deploy", 1))
    assert "psql -c 'select 1'  in container shop_db" in captain_says("trust", "--no-input").out


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_a_person_at_the_terminal_is_asked(
    shop: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    said = captain_says("trust")
    assert said.code == code
    assert "Accept" in said.err
    given = shop.recorded("trust.given") if shop.settings.log.exists() else []
    assert [(one.data["digest"], one.data["via"]) for one in given] == ([(digest(shop), "cli")] if code == 0 else [])


def test_what_was_accepted_is_not_asked_again_until_a_program_changes(shop: Shop, captain_says: Captain) -> None:
    given = captain_says("trust", "--digest", digest(shop))
    assert (given.code, given.err) == (0, f"accepted 2 commands, {digest(shop)}\n")
    assert captain_says("trust", "--no-input").code == 0
    (shop.root / "deploy.py").write_text("print('something else')")
    assert captain_says("trust", "--no-input").code == 2


def test_a_digest_of_other_commands_accepts_nothing(shop: Shop, captain_says: Captain) -> None:
    assert captain_says("trust", "--digest", "0" * 64).code == 2
    assert not shop.settings.log.exists()


def test_one_command_is_one_command(shop: Shop, captain_says: Captain) -> None:
    shop.write(SERVICE.partition("rollback:")[0], CHECKLIST)
    assert captain_says("trust", "--digest", digest(shop)).err == f"accepted 1 command, {digest(shop)}\n"


def test_untrusted_actions_are_not_started(shop: Shop, captain_says: Captain) -> None:
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    captain_says("sign", "on-call-told", "--approve")
    assert captain_says("gate", "pre", "--go", "--no-way-back", "none yet").code == 0
    said = captain_says("act", "roll-out")
    assert said.code == 2
    assert "captain trust" in said.err
    assert shop.effects == []
    assert captain_says("act", "roll-out", "--trust", digest(shop)).code == 0
    assert shop.effects == ["1.5.0"]
