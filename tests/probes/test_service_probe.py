"""What the service probe tells about services of a real swarm, and of ECS from what its command prints."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.clock import SystemClock
from captain.condition import Scope, compile_condition, observes
from captain.errors import ProbeError
from captain.measurement import Measurement, Value
from captain.probes import Context
from captain.probes.service import ServiceProbe
from captain.release import Image, Release
from captain.systems.docker import ecs, swarm
from captain.systems.docker.services import Service, observed
from tests.hostile_engine import HostileEngine
from tests.probes.test_docker_deep import ask as ask_docker
from tests.probes.test_docker_probe import in_a_thread
from tests.registry_server import Registry
from tests.relay import relay_to, unix_server
from tests.swarm_engine import Swarm

PAYLOADS = Path(__file__).parents[1] / "data" / "payloads"
PLANTED = "hunter2-canary"
NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
NANO = 1_000_000_000
GOOD: dict[str, Any] = {
    "TaskTemplate": {
        "Resources": {"Limits": {"NanoCPUs": NANO // 2, "MemoryBytes": 64 * 1024**2}},
        "RestartPolicy": {"Condition": "any", "Delay": NANO // 2},
    },
    "UpdateConfig": {"Parallelism": 1, "FailureAction": "rollback", "Monitor": NANO, "Order": "start-first"},
    "RollbackConfig": {"Parallelism": 1, "FailureAction": "pause", "Monitor": NANO, "Order": "start-first"},
}


async def ask(
    environ: Mapping[str, str],
    *,
    seconds: float = 30,
    release: Release | None = None,
    secrets: Mapping[str, str] | None = None,
    **keys: Any,
) -> Measurement:
    context = Context(
        root=Path.cwd(),
        repo=None,
        timeout=timedelta(seconds=seconds),
        environ=environ,
        secrets=secrets or {},
        blocking=in_a_thread,
        clock=SystemClock(),
        release=release,
    )
    return await ServiceProbe.model_validate(keys).measure(context)


async def of(box: Swarm, *suffixes: str, **keys: Any) -> Measurement:
    return await ask(box.engine.environ, names=[box.name(suffix) for suffix in suffixes], **keys)


def holds(result: Measurement) -> list[bool | None]:
    """What each default condition says; None where it cannot be told."""
    scope = Scope.of({"": {name: one.type for name, one in observes(ServiceProbe.Observes).items()}}, {}, ())
    conditions = [compile_condition(condition, scope) for condition in ServiceProbe.default_expect]
    return [condition.evaluate(result.observed).value for condition in conditions]


def only(items: Value) -> dict[str, Value]:
    assert isinstance(items, list) and len(items) == 1 and isinstance(items[0], dict)
    return items[0]


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / name).read_text())


def test_what_to_write_instead_of_an_observation_of_later_captains_compiles() -> None:
    later = ServiceProbe.unseen
    assert later.keys() <= observes(ServiceProbe.Observes).keys()
    scope = Scope.of({"": {name: one.type for name, one in observes(ServiceProbe.Observes).items()}}, {}, ())
    for hint in later.values():
        assert compile_condition(hint, scope).reads


# --- a real swarm -----------------------------------------------------------------------------------------------


async def test_a_fresh_service_is_told_whole_and_has_nothing_to_go_back_to(docker_swarm: Swarm) -> None:
    docker_swarm.create("web", replicas=2, **copy.deepcopy(GOOD))
    docker_swarm.running("web", 2)
    result = await of(docker_swarm, "web")
    found = dict(result.observed)
    item = only(found.pop("services"))
    image = docker_swarm.engine.image()
    assert item["image_digest"] == docker_swarm.engine.client.inspect_image(image)["Id"]
    assert found == {
        "matched": 1,
        "replicas_desired": 2,
        "replicas_running": 2,
        "converged": True,
        "updates_failed": 0,
        "update_state": "none",
        "failure_action": "rollback",
        "update_order": "start-first",
        "update_parallelism": 1,
        "update_monitor": timedelta(seconds=1),
        "rollback_configured": True,
        "has_previous_spec": False,
        "image": image,
        "image_tag": "1",
        "no_memory_limit": 0,
        "no_cpu_limit": 0,
        "mem_limit": 64 * 1024**2,
        "cpu_limit": 0.5,
        "restart_condition": "any",
        "failed_tasks": 0,
    }


async def test_f5_limits_are_read_in_swarms_spelling_and_their_absence_counts(docker_swarm: Swarm) -> None:
    docker_swarm.create("bare")
    docker_swarm.create("kept", **copy.deepcopy(GOOD))
    docker_swarm.running("bare", 1)
    docker_swarm.running("kept", 1)
    spec = docker_swarm.inspect("kept")["Spec"]["TaskTemplate"]["Resources"]["Limits"]
    assert set(spec) == {"NanoCPUs", "MemoryBytes"}
    found = (await of(docker_swarm, "bare", "kept")).observed
    assert (found["no_memory_limit"], found["no_cpu_limit"]) == (1, 1)
    assert "mem_limit" not in found and "cpu_limit" not in found, "not of all of them"
    # The engine's own defaults, asked for and not guessed; the worst of both.
    assert (found["failure_action"], found["update_order"], found["rollback_configured"]) == (
        "pause",
        "stop-first",
        False,
    )
    assert (found["replicas_running"], found["restart_condition"]) == (2, "any")


async def test_f10_an_update_that_fails_is_rolled_back_and_the_way_back_is_forgotten(docker_swarm: Swarm) -> None:
    docker_swarm.create("web", replicas=2, **copy.deepcopy(GOOD))
    docker_swarm.running("web", 2)
    bad = copy.deepcopy(GOOD)
    bad["TaskTemplate"]["ContainerSpec"] = {"Args": ["false"]}
    docker_swarm.update("web", replicas=2, **bad)
    during = await of(docker_swarm, "web")
    assert during.observed["converged"] is False
    docker_swarm.until("web", lambda each, _: each.get("UpdateStatus", {}).get("State") == "rollback_completed")
    docker_swarm.running("web", 2)
    assert docker_swarm.inspect("web").get("PreviousSpec") is None
    found = (await of(docker_swarm, "web")).observed
    assert (found["update_state"], found["updates_failed"], found["has_previous_spec"]) == (
        "rollback_completed",
        1,
        False,
    )
    assert isinstance(found["failed_tasks"], int) and found["failed_tasks"] >= 1
    took = found["rollback"]
    assert isinstance(took, timedelta) and timedelta(0) < took < timedelta(seconds=40)


async def test_an_update_that_succeeds_leaves_a_way_back_and_is_told_by_what_runs(
    docker_swarm: Swarm, image_registry: Registry
) -> None:
    first = image_registry.push("1", "1.0")
    second = image_registry.push("2", "2.0")
    docker_swarm.create("web", image=first, **copy.deepcopy(GOOD))
    docker_swarm.running("web", 1)
    digest = docker_swarm.engine.client.inspect_distribution(second)["Descriptor"]["digest"]
    pinned = f"{second}@{digest}"
    docker_swarm.update("web", image=pinned, **copy.deepcopy(GOOD))
    docker_swarm.until("web", lambda each, _: each.get("UpdateStatus", {}).get("State") == "completed")
    release = Release(images={"backend": Image(second, pinned, digest, "repository")})
    result = await of(docker_swarm, "web", release=release)
    found = result.observed
    assert (found["image"], found["image_tag"], found["previous_image"]) == (pinned, "2.0", first)
    assert (found["update_state"], found["converged"], found["has_previous_spec"]) == ("completed", True, True)
    item = only(found["services"])
    assert (item["image_digest"], item["image_key"]) == (digest, "backend")
    age = found["update_age"]
    assert isinstance(age, timedelta) and timedelta(0) <= age < timedelta(minutes=2)


async def test_a_service_that_cannot_start_is_never_converged(docker_swarm: Swarm) -> None:
    docker_swarm.create("web", image=f"{docker_swarm.engine.run}-none:1")
    docker_swarm.until("web", lambda _, tasks: any(task["Status"]["State"] == "rejected" for task in tasks))
    found = (await of(docker_swarm, "web")).observed
    assert (found["replicas_desired"], found["replicas_running"], found["converged"]) == (1, 0, False)
    assert isinstance(found["failed_tasks"], int) and found["failed_tasks"] >= 1
    assert "image" not in found and "image_tag" not in found, "nothing runs, so nothing is said to"


async def test_tasks_that_crash_after_a_deploy_are_restarts_although_swarm_replaces_them(docker_swarm: Swarm) -> None:
    began = datetime.now(UTC)
    spec = copy.deepcopy(GOOD)
    spec["TaskTemplate"]["ContainerSpec"] = {"Command": ["sh", "-c", "sleep 1"], "Args": []}
    docker_swarm.create("loop", **spec)
    docker_swarm.create("calm", **copy.deepcopy(GOOD))
    docker_swarm.until("loop", lambda _, tasks: sum(each["DesiredState"] == "shutdown" for each in tasks) >= 2)
    docker_swarm.running("calm", 1)

    async def restarts(suffix: str, deployed_at: datetime) -> Value:
        docker_swarm.running(suffix, 1)
        host, services = docker_swarm.engine.host, [docker_swarm.name(suffix)]
        return (await ask_docker(host, deployed_at=deployed_at, services=services)).observed.get("restart_count_delta")

    crashed = await restarts("loop", began)
    assert isinstance(crashed, int) and crashed >= 2
    assert await restarts("calm", began) == 0
    assert await restarts("loop", datetime.now(UTC) + timedelta(minutes=5)) == 0


async def test_a_name_that_is_only_the_beginning_of_a_service_is_not_there(docker_swarm: Swarm) -> None:
    docker_swarm.create("web-2")
    docker_swarm.running("web-2", 1)
    result = await of(docker_swarm, "web", "web-2")
    assert result.observed == {"matched": 1}
    assert result.notes == (f"1 of 2 services are there: {docker_swarm.name('web-2')}",)
    assert (await of(docker_swarm, "web")).observed == {"matched": 0}


async def test_it_sends_get_and_nothing_else_and_keeps_no_secret_of_the_swarm(
    docker_swarm: Swarm, tmp_path: Path
) -> None:
    docker_swarm.create("web", TaskTemplate={"ContainerSpec": {"Env": [f"PASSWORD={PLANTED}"]}})
    docker_swarm.running("web", 1)
    asked: list[tuple[str, str]] = []
    with unix_server(tmp_path / "s", relay_to(docker_swarm.engine.host, asked)) as host:
        result = await ask({"DOCKER_HOST": host}, names=[docker_swarm.name("web")])
    assert {method for method, _ in asked} == {"GET"}
    assert not any(path.endswith("/swarm") for _, path in asked), "it tells the tokens that let nodes join"
    assert PLANTED not in repr(result) and "SWMTKN" not in repr(result)


async def test_an_engine_that_manages_no_swarm_says_which_one_to_ask() -> None:
    class Worker(HostileEngine):
        missing = b"503 Service Unavailable"

    message = b'{"message": "This node is not a swarm manager."}'
    with (
        Worker({"/info": b"{}"}, {}, missing=message) as engine,
        pytest.raises(ProbeError, match="is no manager of a swarm") as refused,
    ):
        await ask({"DOCKER_HOST": engine.host}, names=["web"])
    assert refused.value.fault == "instrument"
    assert "name one as `host`" in (refused.value.hint or "")


@pytest.mark.parametrize("manner", ["silent", "drip", "die", "headers"])
@pytest.mark.parametrize("where", ["/info", "/services", "/tasks"])
async def test_a_manager_that_does_not_end_its_answer_is_no_verdict(manner: str, where: str) -> None:
    listed = b'[{"ID": "s", "Spec": {"Name": "web"}}]'
    answers = {"/info": b"{}", "/services": listed, "/services/s": b"{}", "/tasks": b"[]"}
    with (
        HostileEngine(answers, {where: manner}, unit=b" ") as hostile,
        hostile.measured(0.6),
        pytest.raises(ProbeError, match="Docker at tcp://"),
    ):
        await ask({"DOCKER_HOST": hostile.host}, seconds=0.6, names=["web"])


# --- Swarm's documents ------------------------------------------------------------------------------------------


def task(number: int, image: str, state: str = "running", wanted: str = "running", at: str = "") -> dict[str, Any]:
    status = {"State": state, "Timestamp": at or "2026-11-23T01:59:00Z"}
    return {"ID": f"t{number}", "DesiredState": wanted, "Status": status, "Spec": {"ContainerSpec": {"Image": image}}}


def made(image: str, replicas: int = 2, **more: Any) -> dict[str, Any]:
    template = {"ContainerSpec": {"Image": image}}
    return {"Spec": {"Name": "web", "TaskTemplate": template, "Mode": {"Replicated": {"Replicas": replicas}}}, **more}


def fact(raw: dict[str, Any], *tasks: dict[str, Any], **more: Any) -> Service:
    return swarm.service(raw, raw, tasks, NOW, **more)


NEW, OLD = f"shop:2@sha256:{'b' * 64}", f"shop:1@sha256:{'a' * 64}"


def test_captured_documents_are_read_as_expected() -> None:
    fresh = fact(payload("swarm_service_fresh.json"))
    assert (fresh.failure_action, fresh.order, fresh.has_previous) == ("rollback", "start-first", False)
    undone = fact(payload("swarm_service_rollback_completed.json"))
    assert (undone.update_state, undone.has_previous, undone.update_failed) == ("rollback_completed", False, True)
    assert (undone.memory, undone.cpus) == (67108864, 0.5)
    states = [fact(made("a", UpdateStatus=each)) for each in payload("swarm_update_status_sequence.json")]
    assert [each.update_failed for each in states] == [False, True, True]
    assert [each.converged for each in states] == [False, False, False]
    last = states[-1].rollback
    assert last is not None and abs(last.total_seconds() - 5.36) < 0.01


def test_while_an_update_goes_on_the_image_is_one_that_is_still_to_go() -> None:
    mixed = fact(made(NEW), task(1, NEW), task(2, OLD))
    assert (mixed.image, mixed.digest, mixed.converged) == (OLD, OLD.partition("@")[2], False)
    done = fact(made(NEW), task(1, NEW), task(2, NEW))
    assert (done.image, done.digest, done.converged) == (NEW, NEW.partition("@")[2], True)
    assert fact(made(NEW), task(1, OLD), task(2, OLD)).converged is False, "all of it runs, and all of it is old"
    both = fact(made(NEW), task(1, NEW), task(2, NEW), task(3, OLD))
    assert both.converged is False


def test_local_images_are_told_apart_only_where_all_of_them_are_known() -> None:
    assert fact(made("a"), task(1, "a"), task(2, "a")).digest is None
    assert fact(made("a"), task(1, "a"), task(2, "a"), digests={"t1": "x"}).digest is None
    assert fact(made("a"), task(1, "a"), task(2, "a"), digests={"t1": "x", "t2": "x"}).digest == "x"
    assert fact(made("a"), task(1, "a"), task(2, "a"), digests={"t1": "x", "t2": "y"}).digest is None


def test_a_task_of_a_node_that_is_gone_does_not_run() -> None:
    assert fact(made("a"), task(1, "a"), task(2, "a", wanted="shutdown")).running == 1
    assert fact(made("a"), task(1, "a"), task(2, "a", state="starting")).converged is False


def test_a_paused_update_and_none_that_ran_to_its_end_are_not_converged() -> None:
    running = (task(1, "a"), task(2, "a"))
    for state in ("updating", "paused", "rollback_started", "rollback_paused"):
        assert fact(made("a", UpdateStatus={"State": state}), *running).converged is False
    assert fact(made("a", UpdateStatus={"State": "paused"}), *running).update_failed is True


def test_old_failures_and_what_swarm_forgot_are_not_counted() -> None:
    tasks = (task(1, "a", "failed", "shutdown"), task(2, "a", "failed", "shutdown", "2026-11-22T00:00:00Z"))
    assert fact(made("a"), *tasks).failed == 1
    assert fact(made("a"), *tasks, remembers=False).failed is None


def test_of_several_services_the_worst_is_told_and_nothing_that_one_lacks() -> None:
    good = Service("a", 2, 2, True, False, image="x:1", update_state="completed", memory=5, cpus=1.0, failed=0)
    bad = Service("b", 1, 0, None, True, image="y:1", update_state="paused", memory=0, cpus=0.5, failed=None)
    found = observed([good, bad], NOW)
    assert (found["replicas_desired"], found["replicas_running"], found["updates_failed"]) == (3, 2, 1)
    assert (found["update_state"], found["no_memory_limit"], found["cpu_limit"]) == ("paused", 1, 0.5)
    for name in ("converged", "image", "mem_limit", "failed_tasks", "rollout_state", "update_age", "rollback"):
        assert name not in found, name
    assert found["image_tag"] == "1"
    strange = Service("c", 1, 1, True, False, update_state="exploding")
    assert observed([good, strange], NOW)["update_state"] == "exploding"


def test_a_global_service_wants_one_task_on_each_node() -> None:
    raw = {"Spec": {"Name": "w", "Mode": {"Global": {}}}, "ServiceStatus": {"DesiredTasks": 3}}
    assert swarm.service(raw, raw, [], NOW).desired == 3
    older = {"Spec": {"Name": "w", "Mode": {"Global": {}}}}
    tasks = [{**task(1, "a"), "NodeID": "n1"}, {**task(2, "a"), "NodeID": "n2"}]
    assert swarm.service(older, older, tasks, NOW).desired == 2
    assert swarm.job({"Spec": {"Mode": {"ReplicatedJob": {}}}}) and not swarm.job(older)


# --- ECS --------------------------------------------------------------------------------------------------------


def printing(document: Any, code: int = 0, words: str = "") -> list[str]:
    text = document if isinstance(document, str) else json.dumps(document)
    script = f"import sys; sys.stdout.write({text!r}); sys.stderr.write({words!r}); sys.exit({code})"
    return [sys.executable, "-c", script]


async def ecs_says(document: Any, *names: str, **keys: Any) -> Measurement:
    return await ask({}, platform="ecs", names=list(names or ("backend",)), aws_cmd=printing(document), **keys)


async def test_a_finished_rollout_of_ecs_is_converged() -> None:
    found = dict((await ecs_says(payload("ecs_describe_services.json"))).observed)
    assert found.pop("services")
    assert found == {
        "matched": 1,
        "replicas_desired": 2,
        "replicas_running": 2,
        "converged": True,
        "updates_failed": 0,
        "rollout_state": "COMPLETED",
        "failure_action": "rollback",
        "rollback_configured": True,
        "failed_tasks": 0,
    }


def changed(**service: Any) -> dict[str, Any]:
    document = payload("ecs_describe_services.json")
    document["services"][0] |= service
    return dict(document)


def deployment(state: str | None, status: str = "PRIMARY", **more: Any) -> dict[str, Any]:
    return {"status": status, "runningCount": 2, **({"rolloutState": state} if state else {}), **more}


def test_a_rollout_that_goes_on_was_given_up_or_goes_back_is_not_converged() -> None:
    def told(*deployments: dict[str, Any], **more: Any) -> Service:
        return ecs.services(changed(deployments=list(deployments), **more), ["backend"])[0]

    assert told(deployment("IN_PROGRESS"), deployment("COMPLETED", "ACTIVE")).converged is False
    assert told(deployment("COMPLETED"), deployment("COMPLETED", "ACTIVE")).converged is False, "the old one drains"
    assert told(deployment("COMPLETED"), pendingCount=1).converged is False
    assert told(deployment("COMPLETED"), runningCount=1).converged is False
    failed = told(deployment("IN_PROGRESS"), deployment("FAILED", "ACTIVE"))
    assert (failed.update_failed, failed.rollout_state) == (True, "FAILED")
    back = deployment("COMPLETED", rolloutStateReason="ECS deployment circuit breaker: rolling back to ecs-svc/1.")
    assert told(back).update_failed is True
    assert told(deployment(None)).converged is None, "another controller tells no state"


def test_without_a_circuit_breaker_ecs_tries_for_ever_and_without_rollback_it_stops() -> None:
    def action(**breaker: bool) -> tuple[str | None, bool | None]:
        document = changed(deploymentConfiguration={"deploymentCircuitBreaker": breaker} if breaker else {})
        found = ecs.services(document, ["backend"])[0]
        return found.failure_action, found.rollback_configured

    assert action(enable=False, rollback=False) == ("continue", False)
    assert action(enable=True, rollback=False) == ("pause", False)
    assert action(enable=True, rollback=True) == ("rollback", True)
    assert action() == (None, None)


async def test_a_service_that_ecs_does_not_have_is_not_there() -> None:
    missing = {"services": [], "failures": [{"arn": "arn:aws:ecs:x:service/backend", "reason": "MISSING"}]}
    result = await ecs_says(missing)
    assert result.observed == {"matched": 0}
    assert "ECS says MISSING arn:aws:ecs:x:service/backend" in result.notes
    assert (await ecs_says(changed(status="DRAINING"))).observed == {"matched": 0}
    assert (await ecs_says(changed(), "backend", "worker")).observed == {"matched": 1}
    by_arn = await ecs_says(changed(serviceArn="arn:1"), "arn:1")
    assert by_arn.observed["replicas_running"] == 2


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        ("", "not what ECS says"),
        ("not json", "not what ECS says"),
        ([], "no list `services`"),
        ({"serviceArns": []}, "no list `services`"),
        ({"services": [{"serviceName": "backend", "status": "ACTIVE"}]}, "no number `desiredCount`"),
        ("[" * 100_000, "not what ECS says"),
    ],
)
async def test_another_answer_than_that_of_describe_services_is_no_verdict(printed: Any, why: str) -> None:
    with pytest.raises(ProbeError, match=why) as refused:
        await ecs_says(printed)
    assert refused.value.fault == "instrument"


async def test_a_command_that_fails_or_hangs_is_the_instruments_fault() -> None:
    command = printing("", 254, "Unable to locate credentials\n")
    with pytest.raises(ProbeError, match="Unable to locate credentials") as refused:
        await ask({}, platform="ecs", names=["backend"], aws_cmd=command)
    assert refused.value.fault == "instrument" and "credentials valid" in (refused.value.hint or "")
    with pytest.raises(ProbeError, match=r"did not end within 0\.5s"):
        await ask(
            {}, seconds=0.5, platform="ecs", names=["b"], aws_cmd=[sys.executable, "-c", "import time; time.sleep(9)"]
        )
    with pytest.raises(ProbeError, match="no-such-aws"):
        await ask({}, platform="ecs", names=["backend"], aws_cmd=["no-such-aws"])


async def test_the_command_is_given_its_variables_and_nothing_of_them_is_told() -> None:
    script = "import os, json; assert os.environ['AWS_SECRET'] == 'hunter2-canary'; assert 'OTHER' not in os.environ"
    script += f"; print({json.dumps(payload('ecs_describe_services.json'))!r})"
    keys: dict[str, Any] = {"aws_cmd": [sys.executable, "-c", script], "env": {"AWS_SECRET": PLANTED}}
    probe = ServiceProbe.model_validate({"platform": "ecs", "names": ["backend"], **keys})
    [program] = probe.programs()
    assert program.env == ("AWS_SECRET",)
    result = await ask({"OTHER": "1"}, platform="ecs", names=["backend"], **keys)
    assert result.observed["converged"] is True


def test_parameters_that_do_not_fit_together_are_refused() -> None:
    for keys, why in (
        ({"platform": "ecs", "names": ["a"]}, "needs aws_cmd"),
        ({"names": ["a"], "aws_cmd": ["aws"]}, "for platform ecs"),
        ({"platform": "ecs", "names": ["a"], "aws_cmd": ["aws"], "host": "x"}, "host is for swarm"),
        ({"names": []}, "at least 1"),
    ):
        with pytest.raises(ValueError, match=why):
            ServiceProbe.model_validate(keys)
    assert ServiceProbe.model_validate({"names": ["a"]}).programs() == ()


# --- verdicts ---------------------------------------------------------------------------------------------------


async def test_the_default_passes_what_runs_fails_what_does_not_and_knows_nothing_of_nothing(
    docker_swarm: Swarm,
) -> None:
    docker_swarm.create("up")
    docker_swarm.create("none", replicas=0)
    docker_swarm.running("up", 1)
    assert holds(await of(docker_swarm, "up")) == [True, True, True, True]
    assert holds(await of(docker_swarm, "none"))[0] is False
    assert holds(await of(docker_swarm, "missing")) == [None, None, None, None]
