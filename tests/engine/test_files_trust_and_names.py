"""What a run is pinned to, which commands were accepted, who signs, and what is never written down."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.errors import CaptainError, Refusal, UsageError
from captain.events import Output
from captain.identity import identify
from captain.measurement import Verdict
from captain.run.gates import readiness
from tests.engine.stories import BOB, KAREN, accepted, captain, found, to_deploy, types
from tests.log_parts import intruder
from tests.shop import CHECKLIST, DEPLOY, SERVICE, Shop

SECRET = "s3cr3t-token-of-the-shop"


def changed(shop: Shop, *pairs: tuple[str, str]) -> None:
    text = CHECKLIST
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    shop.write(SERVICE, text)


async def test_a_file_that_changed_is_shown_and_the_pinned_one_is_kept(shop: Shop) -> None:
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        await engine.sign("on-call-told", "approve")
    changed(shop, ("manual: Tell the on-call engineer.", "manual: Tell everybody."), ("status == 200", "status == 204"))
    async with captain(shop) as engine:
        change = engine.changed_files()
        assert change is not None
        assert change.changed == ("healthy-before", "on-call-told", "checkout-works")
        assert (change.added, change.removed) == ((), ())
        assert found(engine, "on-call-told").counts
        await engine.adopt("keep")
        assert engine.changed_files() is None
        assert found(engine, "healthy-before").counts


async def test_taking_up_changed_files_loses_results_and_sign_offs_of_changed_steps_alone(shop: Shop) -> None:
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        await engine.measure("checkout-works")
        await engine.sign("on-call-told", "approve")
    changed(shop, ("manual: Tell the on-call engineer.", "manual: Tell everybody."))
    async with captain(shop) as engine:
        with pytest.raises(UsageError):
            await engine.adopt("perhaps")
        await engine.adopt("adopt")
        assert found(engine, "on-call-told").state == "lapsed"
        assert found(engine, "healthy-before").counts
        assert found(engine, "checkout-works").result is not None
    async with captain(shop) as engine:
        assert engine.changed_files() is None


async def test_files_without_the_open_section_cannot_be_taken_up(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
    changed(shop, ("id: deploy\n    title: Deployment\n    phase", "id: rollout\n    title: Deployment\n    phase"))
    async with captain(shop) as engine:
        with pytest.raises(Refusal, match="no section deploy"):
            await engine.adopt("adopt")
        assert engine.view().section is not None


async def test_a_run_whose_pinned_file_was_purged_says_so(shop: Shop) -> None:
    async with captain(shop):
        pass
    digests = [one["evidence"] for one in shop.recorded("run.start")[0].data["files"]]
    with intruder(shop.settings.log) as connection:
        connection.execute("DELETE FROM evidence WHERE digest = ?", (bytes.fromhex(digests[-1]),))
    changed(shop, ("title: Healthy before", "title: Healthy now"))
    engine = shop.engine()
    with pytest.raises(Refusal, match="was purged from the log: shop-staging"):
        await engine.resume("shop-staging-1.5.0")
    await engine.close()


async def test_a_second_attempt_at_a_version_gets_the_next_number(shop: Shop) -> None:
    async with captain(shop) as engine:
        await engine.abort("not tonight")
    async with captain(shop) as engine:
        assert engine.run is not None
        assert engine.run.id == "shop-staging-1.5.0.2"
    async with captain(shop) as engine:
        assert engine.run is not None
        assert engine.run.id == "shop-staging-1.5.0.2"
        assert types(shop, "run.resume") == ["run.resume"]
    engine = shop.engine()
    for version in ("", "-rf", "1/2", "x" * 65):
        with pytest.raises(UsageError, match="is no version"):
            await engine.open(version)
    await engine.close()


async def test_a_changed_script_is_another_command(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        assert engine.trust() is None
        (shop.root / "deploy.py").write_text(DEPLOY + "print('more')\n")
        with pytest.raises(Refusal, match="not accepted"):
            await engine.act("roll-out")
        assert shop.effects == []
        request = engine.trust()
        assert request is not None
        with pytest.raises(Refusal, match="not the ones that were shown"):
            await engine.accept("0" * 64)
        await engine.accept(request.digest)
        await engine.act("roll-out")
        (shop.root / "deploy.py").write_text(DEPLOY + "print('still more')\n")
        await engine.roll_back(await engine.plan_rollback())
        assert engine.run is not None
        assert engine.run.state == "rolled_back", "going back never asks again"


async def test_trust_given_on_the_command_line_holds_for_its_digest_and_this_process(shop: Shop) -> None:
    first = shop.engine()
    await first.open("1.5.0")
    request = first.trust()
    assert request is not None
    await first.close()
    async with captain(shop, trust=request.digest) as engine:
        assert engine.trust() is None
    other = shop.engine(trust="0" * 64)
    await other.resume("shop-staging-1.5.0")
    assert other.trust() is not None
    await other.close()
    assert types(shop, "trust.given") == []


async def test_an_untrusted_program_is_not_started_by_any_kind_of_measuring(shop: Shop) -> None:
    probe = """
      - id: version-file
        title: Version file
        command: { run: [touch, started] }
        expect: ['before.exit_code == 0 || exit_code == 0']
"""
    changed(
        shop,
        (
            "      - id: on-call-told",
            probe.strip("\n").replace("{", "{{").replace("}", "}}") + "\n      - id: on-call-told",
        ),
    )
    engine = shop.engine()
    await engine.open("1.5.0")
    await engine.measure_section("pre")
    assert found(engine, "version-file").verdict is Verdict.UNKNOWN
    assert "not accepted" in found(engine, "version-file").message
    await engine.sign("on-call-told", "approve")
    await engine.waive("version-file", "later", "bob", engine.view().now + timedelta(days=1))
    await engine.gate("pre", "go", no_way_back="nothing to lose")
    assert not (shop.root / "started").exists()
    await accepted(engine)
    await engine.measure("version-file")
    assert (shop.root / "started").exists()
    await engine.close()


async def test_a_waived_blocker_that_gets_worse_closes_the_gate_when_it_is_measured_again(shop: Shop) -> None:
    changed(
        shop,
        (
            "expect: [status == 200]\n      - id: on-call",
            "expect: [status == 200, 'json.status == \"ready\"']\n      - id: on-call",
        ),
    )
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        await engine.sign("on-call-told", "approve")
        assert found(engine, "healthy-before").verdict is Verdict.FAIL
        await engine.waive("healthy-before", "known", "bob", engine.view().now + timedelta(days=1))
        section = engine.view().section
        assert section is not None
        said = readiness(engine.view(), section)
        assert said.go
        assert said.verdict is Verdict.WARN
        shop.health = 500
        await engine.measure("healthy-before")
        with pytest.raises(Refusal, match="no go: Healthy before") as refused:
            await engine.gate("pre", "go")
        assert refused.value.exit_code == 1
        shop.health = 200
        await engine.measure("healthy-before")
        await engine.gate("pre", "go")
        assert shop.recorded("gate.decision")[0].data["counted"][0]["verdict"] == "fail"
        assert shop.recorded("gate.decision")[0].data["risk"] == ["healthy-before: waived by karen@example.com"]


async def test_who_may_sign_is_said_by_people_and_not_by_spelling(shop: Shop) -> None:
    people = "people: {{ Bob@Example.com: [dba], karen@example.com: [captain] }}\n"
    changed_list = CHECKLIST.replace(
        "manual: Tell the on-call engineer.", "manual: Look.\n        sign_off: {{ role: dba, evidence: required }}"
    )
    shop.write(SERVICE + people, changed_list)
    async with captain(shop) as karen:
        with pytest.raises(Refusal, match=r"karen@example\.com cannot sign this: it asks for dba"):
            await karen.sign("on-call-told", "approve")
        bob = shop.engine(actor=BOB)
        await bob.resume("shop-staging-1.5.0")
        with pytest.raises(Refusal, match="needs evidence"):
            await bob.sign("on-call-told", "approve")
        for wrong in ("/no/such/file", "entry 9999"):
            with pytest.raises(CaptainError):
                await bob.sign("on-call-told", "approve", "", [wrong])
        report = shop.root / "report.txt"
        report.write_text(f"all well, token {SECRET}")
        await bob.measure("healthy-before")
        (measured,) = shop.recorded("step.result")
        await bob.sign("on-call-told", "approve", "so", [str(report), "https://wiki/x", f"entry {measured.seq}"])
        await karen.catch_up()
        assert found(karen, "on-call-told").counts
        kept = shop.recorded("signoff")[0].data["evidence"]
        assert [one["name"] for one in kept] == ["report.txt", "https://wiki/x", f"entry {measured.seq}"]
        with shop.log(read_only=True) as log:
            blob = log.evidence(kept[0]["digest"])
            assert blob is not None
            assert SECRET.encode() not in blob.data
        (shop.root / "big").write_bytes(b"x" * (1024 * 1024 + 1))
        await bob.sign("on-call-told", "approve", "again", [str(shop.root / "big")])
        (big,) = shop.recorded("signoff")[1].data["evidence"]
        assert big["size"] == 1024 * 1024 + 1
        await karen.catch_up()
        with pytest.raises(Refusal, match="only they can take it back"):
            await karen.withdraw(shop.recorded("signoff")[1].seq)
        await bob.withdraw(shop.recorded("signoff")[1].seq)
        assert not found(bob, "on-call-told").counts
        await bob.close()


def test_the_repository_never_says_who_signs(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("[user]\n email = mallory@example.com\n")
    (tmp_path / ".gitconfig").write_text("[user]\n email = karen@example.com\n")
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "GIT_DIR": str(tmp_path / ".git")}
    assert (identify(None, environ).name, identify(None, environ).source) == ("karen@example.com", "git")
    assert identify("Bob", environ).asserted
    assert identify(None, environ | {"CAPTAIN_AS": "Eve"}).source == "environment"


async def test_secrets_reach_neither_log_nor_evidence_nor_screen(shop: Shop) -> None:
    leaky = DEPLOY + (
        f"print('token {SECRET}', flush=True)\nprint('{SECRET[:10]}', end='', flush=True)\ntime.sleep(0.3)\n"
        f"print('{SECRET[10:]}', flush=True)\nprint('x' * 5000 + '{SECRET}', flush=True)\n"
    )
    (shop.root / "deploy.py").write_text(leaky)
    step = """
      - id: leaks
        title: Leaks
        command:
          run: [python3, -c, "import os; print('a' * 1015 + os.environ['TOKEN'])"]
          env: { TOKEN: '${{ secrets.SHOP_TOKEN }}' }
        expect: [exit_code == 0, 'stdout != ""']
"""
    changed(
        shop,
        (
            "      - id: on-call-told",
            step.strip("\n").replace("{", "{{").replace("}", "}}") + "\n      - id: on-call-told",
        ),
    )
    async with captain(shop) as engine:
        await to_deploy(engine)
        assert found(engine, "leaks").verdict is Verdict.PASS
        await engine.note(f"the token is {SECRET}")
        await engine.act("roll-out")
        await engine.abort(f"it printed {SECRET}", left_running=SECRET)
    spoken = "\n".join(event.text for event in shop.seen if isinstance(event, Output))
    assert "token [secret SHOP_TOKEN]" in spoken
    assert SECRET not in spoken
    assert SECRET[10:] not in spoken
    everything = b"".join(path.read_bytes() for path in shop.settings.log.parent.rglob("*") if path.is_file())
    assert SECRET.encode() not in everything
    assert SECRET[:9].encode() not in b"".join(
        str(event.data["observed"]).encode() for event in shop.recorded("step.result")
    )


async def test_a_secret_that_only_the_pinned_files_name_stays_one(shop: Shop) -> None:
    async with captain(shop):
        pass
    shop.write(SERVICE.replace("secrets: [SHOP_TOKEN]", "secrets: []"), CHECKLIST)
    async with captain(shop) as engine:
        await engine.note(f"the token is {SECRET}")
        await engine.adopt("adopt")
        await engine.note(f"the token is still {SECRET}")
    assert [SECRET in event.data["text"] for event in shop.recorded("step.note")] == [False, False]


async def test_a_deployment_by_somebody_else_is_expected_and_then_seen(shop: Shop) -> None:
    changed(
        shop,
        (
            "action: {{ run: ['{python}', deploy.py, '${{{{ release.version }}}}'] }}",
            "action: {{ external: CI deploys on the tag }}",
        ),
        ("within: 10s", "within: 200ms"),
    )
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        assert found(engine, "roll-out").verdict is Verdict.FAIL
        with pytest.raises(Refusal, match="is known"):
            await engine.resolve("roll-out", "applied", "CI is green")
        (shop.root / "current").write_text("1.5.0")
        await engine.measure("roll-out")
        assert found(engine, "roll-out").verdict is Verdict.PASS
        assert shop.recorded("action.resolved")[0].data["by"] == "observation"
        assert shop.recorded("action.started")[0].data["pid"] is None
        assert engine.run is not None
        assert engine.run.deploy_started_at == shop.recorded("action.intent")[0].at
        assert shop.effects == []


@pytest.mark.parametrize(
    ("program", "current", "verdict", "message"),
    [
        ("sys.exit(1)", "1.5.0", "warn", "exit 1, but"),
        ("sys.exit(1)", "1.4.0", "fail", "exit 1;"),
        ("os.kill(os.getpid(), 9)", "1.5.0", "pass", "killed by SIGKILL, but"),
        ("os.kill(os.getpid(), 9)", "1.4.0", "fail", "killed by SIGKILL;"),
        ("time.sleep(60)", "1.5.0", "pass", "timed out, but"),
        ("sys.exit(0)", "1.4.0", "fail", "not true within"),
    ],
)
async def test_what_is_really_there_is_held_against_how_the_program_ended(
    shop: Shop, program: str, current: str, verdict: str, message: str
) -> None:
    (shop.root / "deploy.py").write_text(
        "import os, pathlib, sys, time\n"
        f"pathlib.Path(__file__).with_name('current').write_text('{current}')\n{program}\n"
    )
    changed(
        shop,
        ("within: 10s", "within: 200ms"),
        ("'${{{{ release.version }}}}'] }}", "'${{{{ release.version }}}}'], timeout: 800ms }}"),
    )
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        seen = found(engine, "roll-out")
        assert (seen.verdict.value, seen.message.startswith(message)) == (verdict, True), seen.message


async def test_an_action_nobody_can_observe_stays_unknown_until_a_person_says_what_it_did(shop: Shop) -> None:
    (shop.root / "deploy.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    start = CHECKLIST.index("        observe:")
    end = CHECKLIST.index("  - id: post")
    shop.write(SERVICE, CHECKLIST[:start] + CHECKLIST[end:])
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        assert found(engine, "roll-out").verdict is Verdict.UNKNOWN
        with pytest.raises(Refusal, match="unknown") as refused:
            await engine.act("roll-out")
        assert refused.value.exit_code == 3
        with pytest.raises(Refusal, match="unknown"):
            await engine.gate("deploy", "go")
        with pytest.raises(UsageError):
            await engine.resolve("roll-out", "perhaps", "hm")
        with pytest.raises(Refusal, match="note is missing"):
            await engine.resolve("roll-out", "not_applied", " ")
        await engine.resolve("roll-out", "not_applied", "looked at the host")
        (shop.root / "deploy.py").write_text(DEPLOY)
        await accepted(engine)
        with pytest.raises(Refusal, match="not accepted"):
            await engine.act("roll-out")
        await accepted(engine)
        await engine.act("roll-out")
        first, second = shop.recorded("action.intent")
        assert second.data["retry_of"] == first.data["attempt"]
        assert found(engine, "roll-out").verdict is Verdict.PASS
        await engine.gate("deploy", "go")


async def test_captain_tells_a_program_what_it_is_part_of_and_keeps_secrets_to_itself(shop: Shop) -> None:
    (shop.root / "deploy.py").write_text(
        "import json, os, pathlib, sys\n"
        "pathlib.Path(__file__).with_name('environ').write_text(json.dumps(dict(os.environ)))\n"
        "pathlib.Path(__file__).with_name('current').write_text(sys.argv[1])\n"
    )
    changed(
        shop,
        (
            "'${{{{ release.version }}}}'] }}",
            "'${{{{ release.version }}}}'], env: {{ CAPTAIN_FENCE: '1', MINE: '${{{{ secrets.SHOP_TOKEN }}}}' }} }}",
        ),
    )
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        seen: dict[str, Any] = json.loads((shop.root / "environ").read_text())
        assert seen["CAPTAIN_RUN"] == "shop-staging-1.5.0"
        assert seen["CAPTAIN_STEP"] == "roll-out"
        assert seen["CAPTAIN_FENCE"] == str(shop.recorded("lock.acquire")[0].seq)
        assert seen["MINE"] == SECRET
        assert "SHOP_TOKEN" not in seen
        assert SECRET not in str(shop.recorded("action.intent")[0].data)


async def test_a_check_measures_everything_and_has_no_gates(shop: Shop) -> None:
    async with captain(shop, None) as engine:
        run_id = await engine.open(None, kind="check")
        assert run_id.startswith("shop-staging-check-")
        await engine.measure_section("pre", purpose="check")
        await engine.measure_section("post", purpose="check")
        with pytest.raises(Refusal, match="no gates"):
            await engine.gate("pre", "go")
        with pytest.raises(Refusal, match="check"):
            await engine.act("roll-out")
        await engine.end_check("pass")
        assert engine.run is not None
        assert engine.run.state == "checked"
    async with captain(shop) as engine:
        assert engine.run is not None
        assert engine.run.id == "shop-staging-1.5.0"


async def test_many_captains_in_a_row_leave_the_run_as_it_was(shop: Shop) -> None:
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        await engine.sign("on-call-told", "approve")
        live = engine.run
    for _ in range(3):
        async with captain(shop, actor=KAREN) as engine:
            assert live is not None
            assert engine.run is not None
            assert dict(engine.run.results) == dict(live.results)
            assert engine.run.sign_offs == live.sign_offs
            assert engine.view().lock_mine is False


async def test_an_approval_with_a_time_carries_over_to_the_next_release_and_one_without_does_not(shop: Shop) -> None:
    lasting = "manual: Tell the on-call engineer.\n        sign_off: {{ valid_for: 7d }}"
    more = "\n      - id: told-again\n        title: Told again\n        manual: Tell them again."
    changed(shop, ("manual: Tell the on-call engineer.", lasting + more))
    async with captain(shop, "1.4.1") as engine:
        await engine.sign("on-call-told", "approve", "for the whole week")
        await engine.sign("told-again", "approve", "for tonight")
        await engine.abort("not tonight")
    async with captain(shop, "1.5.0") as engine:
        assert found(engine, "on-call-told").counts
        assert not found(engine, "told-again").counts
        await engine.sign("on-call-told", "reject", "not this time")
        assert found(engine, "on-call-told").rejected is not None
        await engine.abort("not tonight")
    async with captain(shop, "1.6.0") as engine:
        assert not found(engine, "on-call-told").counts, "the newest word of a person is their word"
    changed(shop, ("manual: Tell the on-call engineer.", lasting.replace("engineer", "team") + more))
    async with captain(shop, "1.7.0") as engine:
        assert not found(engine, "on-call-told").counts


async def test_who_cannot_sign_a_step_cannot_do_away_with_it_either(shop: Shop) -> None:
    people = "people: {{ Bob@Example.com: [dba], karen@example.com: [captain] }}\n"
    old = "expect: [status == 200]\n      - id: on-call"
    assert old in CHECKLIST
    shop.write(SERVICE + people, CHECKLIST.replace(old, old.replace("\n", "\n        sign_off: {{ role: dba }}\n", 1)))
    async with captain(shop) as karen:
        until = karen.view().now + timedelta(days=1)
        with pytest.raises(Refusal, match=r"karen@example\.com cannot do away with healthy-before: it asks for dba"):
            await karen.sign("healthy-before", "not_applicable", "no health here")
        with pytest.raises(Refusal, match="cannot do away with healthy-before"):
            await karen.waive("healthy-before", "known", "bob", until)
        await karen.waive("checkout-works", "known", "bob", until)
        mallory = shop.engine(actor=replace(BOB, name="mallory@example.com"))
        await mallory.resume("shop-staging-1.5.0")
        with pytest.raises(Refusal, match=r"people do not allow it"):
            await mallory.waive("checkout-works", "known", "bob", until)
        await mallory.close()
        bob = shop.engine(actor=BOB)
        await bob.resume("shop-staging-1.5.0")
        await bob.sign("healthy-before", "not_applicable", "no health here")
        await karen.catch_up()
        assert found(karen, "healthy-before").counts
        await bob.close()


async def test_the_same_words_about_another_server_are_another_question(shop: Shop) -> None:
    signed = CHECKLIST.replace(
        "expect: [status == 200]\n      - id: on-call",
        "expect: [status == 200]\n        sign_off: {{ valid_for: 7d }}\n      - id: on-call",
    )
    shop.write(SERVICE, signed)
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        await engine.sign("healthy-before", "approve", "for the week")
        await engine.sign("on-call-told", "approve")
        assert found(engine, "healthy-before").counts
    shop.write(SERVICE.replace("vars: {{ url: 'http://127.0.0.1", "vars: {{ url: 'http://localhost"), signed)
    async with captain(shop) as engine:
        change = engine.changed_files()
        assert change is not None
        assert change.changed == ("healthy-before", "roll-out", "checkout-works")
        await engine.adopt("adopt")
        assert found(engine, "healthy-before").result is None
        assert not found(engine, "healthy-before").signed
        assert found(engine, "on-call-told").counts
        await engine.abort("not tonight")
    shop.write(SERVICE, signed)
    async with captain(shop, "1.6.0") as engine:
        await engine.measure("healthy-before")
        assert found(engine, "healthy-before").signed, "the question that it answered is asked again"
    shop.write(SERVICE.replace("vars: {{ ", "vars: {{ other: x, "), signed)
    async with captain(shop, "1.7.0") as engine:
        await engine.measure("healthy-before")
        assert found(engine, "healthy-before").signed, "a var that it does not name changes nothing"


async def test_what_a_step_stands_for_is_part_of_its_question(shop: Shop) -> None:
    more = "\n      - id: still-works\n        title: Still works\n        alias: checkout-works"
    shop.write(SERVICE, CHECKLIST.rstrip("\n") + more)
    async with captain(shop):
        pass
    shop.write(SERVICE, (CHECKLIST.rstrip("\n") + more).replace("/checkout' }}", "/healthz' }}"))
    async with captain(shop) as engine:
        change = engine.changed_files()
        assert change is not None
        assert change.changed == ("checkout-works", "still-works")
