"""Facts of containers from what engines of any age send."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.errors import UsageError
from captain.release import Image
from captain.systems.docker import containers as told
from captain.systems.docker.counts import Counts
from captain.systems.docker.look import Look, Seen
from captain.systems.docker.reader import Endpoint, pinned
from captain.systems.patterns import chooser

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "Id": "3eb0f7ad5101" + "f" * 52,
    "Name": "/web",
    "Image": "sha256:aa",
    "RestartCount": 2,
    "State": {
        "Status": "running",
        "Running": True,
        "Pid": 21341,
        "StartedAt": "2026-11-23T01:31:25.64064963Z",
        "Health": {"Status": "healthy", "FailingStreak": 0},
    },
    "HostConfig": {
        "Memory": 134217728,
        "NanoCpus": 500000000,
        "PidsLimit": 100,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "NetworkMode": "front",
    },
    "Config": {"User": "app", "Image": "web:1", "Healthcheck": {"Test": ["CMD", "true"], "Retries": 3}},
    "Mounts": [{"Type": "volume", "Name": "data", "Destination": "/data"}],
    "NetworkSettings": {
        "Networks": {"front": {}},
        "Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "1"}], "9/tcp": None},
    },
}


def counted(*documents: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    seen = tuple(Seen(dict(each), Image("web:1", "sha256:aa", "sha256:aa", "id"), None) for each in documents)
    return dict(Counts(Look(seen, NOW, False), NOW, **options).observed())


def without(document: Any, paths: frozenset[str], at: str = "") -> Any:
    if not isinstance(document, dict):
        return document
    return {key: without(value, paths, f"{at}/{key}") for key, value in document.items() if f"{at}/{key}" not in paths}


def paths_of(document: Any, at: str = "") -> list[str]:
    if not isinstance(document, dict):
        return []
    return [path for key, value in document.items() for path in (f"{at}/{key}", *paths_of(value, f"{at}/{key}"))]


@settings(max_examples=150, deadline=None)
@given(st.frozensets(st.sampled_from(paths_of(GOOD)), max_size=8))
def test_f34_keys_that_newer_engines_leave_out_count_as_unset(gone: frozenset[str]) -> None:
    found = counted(without(GOOD, gone))
    if gone & {"/Config", "/Config/User"}:
        assert found["root_configured"] == 1
    if gone & {"/HostConfig", "/HostConfig/Memory"}:
        assert found["no_memory_limit"] == 1
    if gone & {"/Config", "/Config/Healthcheck", "/Config/Healthcheck/Test"}:
        assert (found["no_healthcheck"], found["healthy"]) == (1, 0)
    if not gone:
        assert all(found[name] == 0 for name in ("root_configured", "no_memory_limit", "no_healthcheck", "privileged"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["running", "paused", "restarting", "exited", "unhealthy"]), min_size=1, max_size=6))
def test_every_container_is_in_exactly_one_state(states: list[str]) -> None:
    documents = []
    for state in states:
        flags = {"Running": state != "exited", "Paused": state == "paused", "Restarting": state == "restarting"}
        health = {"Status": "unhealthy" if state in ("unhealthy", "exited") else "healthy", "FailingStreak": 4}
        documents.append({**GOOD, "State": {**flags, "Health": health}})
    found = counted(*documents)
    assert sum(found[name] for name in ("running", "paused", "restarting", "exited")) == found["matched"] == len(states)
    assert found["healthy"] + found["unhealthy"] + found["starting"] == found["running"]
    assert found["unhealthy"] == states.count("unhealthy")


@pytest.mark.parametrize("user", ["", "0", "root", "0:0", "root:app", "00", ":1000"])
def test_f6_root_has_many_spellings(user: str) -> None:
    assert told.configured_root({"Config": {"User": user}})


@pytest.mark.parametrize("user", ["app", "1000", "1000:0", "app:root", "nobody"])
def test_f6_and_everybody_else_is_not_root(user: str) -> None:
    assert not told.configured_root({"Config": {"User": user}})


@pytest.mark.parametrize(
    ("policy", "restarts"),
    [
        ({"Name": "always"}, True),
        ({"Name": "unless-stopped"}, True),
        ({"Name": "on-failure", "MaximumRetryCount": 0}, True),
        ({"Name": "on-failure", "MaximumRetryCount": 3}, True),
        ({"Name": "on-failure", "MaximumRetryCount": 2}, False),
        ({"Name": "no"}, False),
        ({"Name": ""}, False),
        ({}, False),
    ],
)
def test_a_policy_restarts_what_fails_or_does_not(policy: dict[str, Any], restarts: bool) -> None:
    assert told.restarts_itself({"HostConfig": {"RestartPolicy": policy}}) is restarts


def test_what_swarm_runs_is_restarted_by_swarm() -> None:
    assert told.restarts_itself({"Config": {"Labels": {"com.docker.swarm.task.id": "x"}}})


def test_f5_both_ways_to_limit_processors_are_read_with_their_default_period() -> None:
    assert told.cpus({"HostConfig": {"NanoCpus": 1_500_000_000}}) == 1.5
    assert told.cpus({"HostConfig": {"CpuQuota": 50_000}}) == 0.5
    assert told.cpus({"HostConfig": {"CpuQuota": 50_000, "CpuPeriod": 25_000}}) == 2.0
    assert told.cpus({"HostConfig": {"CpuQuota": -1, "CpuShares": 1024}}) == 0


def test_ports_on_loopback_are_not_published() -> None:
    ports = {"1/tcp": [{"HostIp": "", "HostPort": "5"}, {"HostIp": "::1", "HostPort": "5"}], "2/tcp": None}
    assert told.published({"NetworkSettings": {"Ports": ports}}) == ["0.0.0.0:5->1/tcp"]


def test_remapped_users_are_not_judged_by_their_uids() -> None:
    seen = Seen(GOOD, Image("web:1", "sha256:aa", "sha256:aa", "id"), [(0, 21341, "web")])
    for remapped, known in ((True, False), (None, False), (False, True)):
        counts = Counts(Look((seen,), NOW, remapped), NOW, top=True)
        assert ("root_processes" in counts.observed()) is known
        assert bool(counts.notes) is not known


def test_more_containers_than_conditions_look_through_leave_the_list_out() -> None:
    assert "items" in counted(*[GOOD] * 1000)
    assert "items" not in counted(*[GOOD] * 1001)


@pytest.mark.parametrize(
    ("digests", "ref", "pinned_as", "basis"),
    [
        (["host:5000/shop@sha256:bb"], "host:5000/shop:1.4.0", "host:5000/shop@sha256:bb", "repository"),
        (["a/shop@sha256:cc", "b/shop@sha256:bb"], "b/shop", "b/shop@sha256:bb", "repository"),
        (["mirror/shop@sha256:bb"], "shop:1", "mirror/shop@sha256:bb", "repository"),
        (["shop@sha256:bb"], "shop@sha256:bb", "shop@sha256:bb", "repository"),
        (["<none>@<none>"], "shop:1", "sha256:aa", "id"),
        (None, "shop:1", "sha256:aa", "id"),
    ],
)
def test_an_image_is_pinned_by_its_repositorys_digest_else_by_its_id(
    digests: list[str] | None, ref: str, pinned_as: str, basis: str
) -> None:
    image = pinned({"Id": "sha256:aa", "RepoDigests": digests}, ref)
    assert (image.pinned, image.basis, image.ref) == (pinned_as, basis, ref)
    assert image.digest == pinned_as.rpartition("@")[2]


def test_row_38_only_a_socket_or_tls_is_not_exposed() -> None:
    assert Endpoint("tcp://10.0.0.9:2375").exposed
    assert not Endpoint("tcp://10.0.0.9:2376", tls=object()).exposed
    assert not Endpoint("unix:///var/run/docker.sock").exposed
    assert not Endpoint("ssh://host").exposed


_PIECES = st.sampled_from(["a", "b", ".", "[ab]", "*", "+", "?", "{2}", "(", ")", "(?:", "|", "^", "$", "\\d", "\\."])


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=14).map("".join), st.text(alphabet="ab1.", max_size=128))
def test_row_33_a_pattern_that_is_taken_answers_soon(pattern: str, name: str) -> None:
    try:
        chooses = chooser(f"/{pattern}/")
    except UsageError:
        return
    began = time.process_time()
    chooses(name)
    chooses("a" * 128)
    assert time.process_time() - began < 5
