"""What a container is made of again: everything a person set, nothing the engine gave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from captain.release import Image
from captain.systems.docker.recreate import (
    body_of,
    endpoints,
    env_names,
    extra_networks,
    first_network,
    kept_name,
    missing_networks,
    target_of,
    volumes_of,
)

ID = "3eb0f7ad5101" + "f" * 52
ANONYMOUS = "a1" * 32
IMAGE = Image("web:1", "sha256:aa", "sha256:aa", "id")


def target(**parts: Any) -> dict[str, Any]:
    """The target of a container with one user network; `parts` replace parts of its inspect document."""
    document = {
        "Id": ID,
        "Name": "/web",
        "Image": "sha256:aa",
        "State": {"Running": True},
        "Config": {"Image": "web:1", "Hostname": ID[:12], "Env": ["B=2", "A=1=1", "C"], **parts.get("Config", {})},
        "HostConfig": {"NetworkMode": "front", **parts.get("HostConfig", {})},
        "NetworkSettings": {"Networks": parts.get("Networks", {"front": {"NetworkID": "n1", "Aliases": [ID[:12]]}})},
        "Mounts": parts.get("Mounts", []),
    }
    return target_of(document, IMAGE, "unix:///var/run/docker.sock")


def test_a_target_is_plain_json_and_does_not_change_when_a_body_is_made_of_it() -> None:
    taken = target(Mounts=[{"Type": "volume", "Name": ANONYMOUS, "Destination": "/data"}])
    text = json.dumps(taken)
    body_of(taken, "A1")
    assert json.dumps(taken) == text
    assert env_names(taken) == ("A", "B", "C")


def test_the_image_is_the_recorded_one_whatever_the_tag_means_now() -> None:
    body = body_of(target(), "A1")
    assert body["Image"] == "sha256:aa"
    assert body["Labels"] == {"captain.attempt": "A1", "captain.target": ID}


@pytest.mark.parametrize(
    ("config", "host", "stays"),
    [
        ({"Hostname": ID[:12]}, {}, False),
        ({"Hostname": "shop"}, {}, True),
        ({"Hostname": "vm"}, {"NetworkMode": "host"}, False),
        ({"Hostname": "vm"}, {"UTSMode": "host"}, False),
        ({"Hostname": "other", "Domainname": "x"}, {"NetworkMode": "container:db"}, False),
    ],
)
def test_a_hostname_stays_only_if_a_person_chose_it(config: dict[str, Any], host: dict[str, Any], stays: bool) -> None:
    body = body_of(target(Config=config, HostConfig=host), "A1")
    assert ("Hostname" in body) is stays
    assert "Domainname" not in body


def test_anonymous_volumes_are_bound_by_their_names_wherever_they_came_from() -> None:
    mounts = [
        {"Type": "volume", "Name": "named", "Destination": "/named", "RW": True},
        {"Type": "volume", "Name": ANONYMOUS, "Destination": "/image", "RW": True},
        {"Type": "volume", "Name": "b2" * 32, "Destination": "/readonly", "RW": False},
        {"Type": "volume", "Name": "c3" * 32, "Destination": "/mount", "RW": True},
        {"Type": "bind", "Source": "/srv", "Destination": "/bind", "RW": True},
        {"Type": "tmpfs", "Destination": "/tmp"},
    ]
    host = {"Binds": ["named:/named", "/srv:/bind"], "Mounts": [{"Type": "volume", "Target": "/mount"}]}
    taken = target(HostConfig=host, Mounts=mounts)
    made = body_of(taken, "A1")["HostConfig"]
    assert made["Binds"] == ["named:/named", "/srv:/bind", f"{ANONYMOUS}:/image", f"{'b2' * 32}:/readonly:ro"]
    assert made["Mounts"] == [{"Type": "volume", "Target": "/mount", "Source": "c3" * 32}]
    assert volumes_of(taken) == sorted(["named", ANONYMOUS, "b2" * 32, "c3" * 32])


def test_networks_keep_aliases_and_chosen_addresses_and_lose_what_the_engine_gave() -> None:
    given = {
        "front": {
            "NetworkID": "n1",
            "Aliases": ["shop", ID[:12]],
            "IPAMConfig": {"IPv4Address": "10.0.0.9"},
            "IPAddress": "10.0.0.9",
            "MacAddress": "02:42:0a:00:00:09",
            "Gateway": "10.0.0.1",
            "EndpointID": "e",
            "DriverOpts": None,
        },
        "back": {"NetworkID": "n2", "Aliases": None, "IPAMConfig": {}, "IPAddress": "10.1.0.4"},
    }
    taken = target(Networks=given)
    assert endpoints(taken) == {"front": {"Aliases": ["shop"], "IPAMConfig": {"IPv4Address": "10.0.0.9"}}, "back": {}}
    assert body_of(taken, "A1")["NetworkingConfig"] == {"EndpointsConfig": {"front": endpoints(taken)["front"]}}
    made: dict[str, Any] = {"NetworkSettings": {"Networks": {"front": {}, "surplus": {}}}}
    assert (missing_networks(taken, made), extra_networks(taken, made)) == (["back"], ["surplus"])


def test_a_network_given_by_its_id_is_meant_by_its_name() -> None:
    taken = target(HostConfig={"NetworkMode": "n1"})
    assert (first_network(taken), body_of(taken, "A1")["HostConfig"]["NetworkMode"]) == ("front", "front")


@pytest.mark.parametrize("mode", ["host", "none", "container:db"])
def test_shared_and_absent_networks_are_connected_to_nothing(mode: str) -> None:
    taken = target(HostConfig={"NetworkMode": mode}, Networks={mode: {"NetworkID": "x"}})
    assert (endpoints(taken), first_network(taken), extra_networks(taken, {})) == ({}, None, [])
    assert "NetworkingConfig" not in body_of(taken, "A1")


@pytest.mark.parametrize("mode", ["default", "bridge"])
def test_the_default_bridge_goes_without_saying_and_takes_no_aliases(mode: str) -> None:
    networks = {"bridge": {"NetworkID": "b", "Aliases": ["x"]}, "back": {"NetworkID": "n"}}
    taken = target(HostConfig={"NetworkMode": mode}, Networks=networks)
    assert (first_network(taken), endpoints(taken)["bridge"]) == (None, {})
    assert missing_networks(taken, {"NetworkSettings": {"Networks": {"bridge": {}}}}) == ["back"]


def test_links_are_written_the_way_they_are_given() -> None:
    assert body_of(target(HostConfig={"Links": ["/db:/web/database"]}), "A1")["HostConfig"]["Links"] == ["db:database"]


def test_a_kept_container_has_a_name_the_engine_takes() -> None:
    assert kept_name("web", "01JCXG5V7Q") == "web-captain-01JCXG5V7Q"
    assert kept_name("web", "../x y") == "web-captain-..-x-y"
