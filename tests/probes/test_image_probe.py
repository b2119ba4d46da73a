"""What the image probe tells about images of a real engine and a real registry, and that it changes nothing."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.clock import SystemClock
from captain.condition import Scope, compile_condition, observes
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes import Context
from captain.probes.image import ImageProbe
from captain.systems.docker import image_facts as facts
from tests.docker_engine import Engine
from tests.hostile_engine import HostileEngine
from tests.probes.test_docker_probe import in_a_thread
from tests.registry_server import Registry
from tests.relay import relay_to, unix_server
from tests.systems.test_image_layers import old_layout, tar

PAYLOADS = Path(__file__).parents[1] / "data" / "payloads"
PLANTED = "tok_hunter2-canary"
Build = Callable[..., str]


async def ask(host: str, ref: str, *, seconds: float = 30, **keys: Any) -> Measurement:
    context = Context(
        root=Path.cwd(),
        repo=None,
        timeout=timedelta(seconds=seconds),
        environ={"DOCKER_HOST": host},
        secrets={},
        blocking=in_a_thread,
        clock=SystemClock(),
    )
    return await ImageProbe(ref=ref, **keys).measure(context)


@pytest.fixture
def build(docker_engine: Engine) -> Iterator[Build]:
    """Builds an image from instructions and files beside them; gone when the test ends."""
    made: list[str] = []

    def built(*instructions: str, files: dict[str, bytes] | None = None, **arguments: str) -> str:
        ref = f"{docker_engine.run}-image:{secrets.token_hex(4)}"
        lines = "\n".join((f"FROM {docker_engine.image()}", *instructions)).encode()
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for name, content in {"Dockerfile": lines, **(files or {})}.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o755
                archive.addfile(entry, io.BytesIO(content))
        options = {"custom_context": True, "tag": ref, "rm": True, "network_mode": "none", "decode": True}
        for line in docker_engine.client.build(
            fileobj=io.BytesIO(context.getvalue()), buildargs=dict(arguments), **options
        ):
            assert "error" not in line, line
        made.append(ref)
        return ref

    yield built
    for ref in reversed(made):
        docker_engine.client.remove_image(ref, force=True)


async def test_a_clean_image_is_told_whole(build: Build, docker_engine: Engine) -> None:
    labels = "LABEL org.opencontainers.image.revision=a1b2c3d org.opencontainers.image.version=1.4.0"
    ref = build(labels, "HEALTHCHECK CMD true", "ENV MODE=production", "USER app:1000")
    document = docker_engine.client.inspect_image(ref)
    found = dict((await ask(docker_engine.host, ref, scan_layers=True)).observed)
    age = found.pop("created_age")
    assert isinstance(age, timedelta) and timedelta(0) <= age < timedelta(minutes=10)
    assert found.pop("created")
    assert found == {
        "present": True,
        "id": document["Id"],
        "digest": document["Id"],
        "size": document["Size"],
        "size_basis": "graphdriver",
        "layers": 1,
        "user": "app",
        "user_uid": 1000,
        "user_name": "app",
        "has_healthcheck": True,
        "revision": "a1b2c3d",
        "version": "1.4.0",
        "env_secret_keys": [],
        "history_secret_hits": [],
        "layer_secret_hits": [],
        "toolchain_present": [],
    }


async def test_f8_a_careless_image_gives_away_names_and_never_values(build: Build, docker_engine: Engine) -> None:
    ref = build(
        "ARG API_TOKEN",
        "COPY env /srv/.env",
        "COPY tool /usr/bin/gcc",
        "RUN echo x$API_TOKEN > /dev/null && rm /srv/.env",
        f"ENV STRIPE_SECRET_KEY={PLANTED} MODE=production",
        f"LABEL db=postgres://app:{PLANTED}@db/shop",
        files={"env": f"PASSWORD={PLANTED}".encode(), "tool": b"#!"},
        API_TOKEN=PLANTED,
    )
    result = await ask(docker_engine.host, ref, scan_layers=True)
    found = result.observed
    digests = docker_engine.client.inspect_image(ref)["RootFS"]["Layers"]
    assert found["env_secret_keys"] == ["STRIPE_SECRET_KEY", "db"]
    assert found["history_secret_hits"] == ["API_TOKEN"]
    assert found["layer_secret_hits"] == [f"env-file /srv/.env in layer {digests[1][:19]}, deleted later"]
    assert found["toolchain_present"] == ["/usr/bin/gcc"]
    assert PLANTED not in repr(result)


async def test_f8_a_build_argument_of_an_earlier_stage_is_not_in_the_image(build: Build, docker_engine: Engine) -> None:
    base = docker_engine.image()
    ref = build(
        *("ARG API_TOKEN", "RUN echo $API_TOKEN > /data/x", f"FROM {base}", "COPY --from=0 /www/version /v"),
        API_TOKEN=PLANTED,
    )
    result = await ask(docker_engine.host, ref, scan_layers=True)
    assert result.observed["history_secret_hits"] == []
    assert result.observed["layer_secret_hits"] == []


async def test_a_user_is_resolved_in_the_images_own_file_and_nowhere_else(build: Build, docker_engine: Engine) -> None:
    own = build("COPY passwd /etc/passwd", "USER nextjs", files={"passwd": b"nextjs:x:4711:1::/:\n"})
    found = (await ask(docker_engine.host, own, scan_layers=True)).observed
    assert (found["user"], found["user_uid"], found["user_name"]) == ("nextjs", 4711, "nextjs")
    nobody = await ask(docker_engine.host, build("USER ghost"), scan_layers=True)
    assert nobody.observed["user"] == "ghost" and "user_uid" not in nobody.observed
    assert any("no /etc/passwd with that name" in note for note in nobody.notes)
    unscanned = await ask(docker_engine.host, own)
    assert "user_uid" not in unscanned.observed
    assert any("needs scan_layers" in note for note in unscanned.notes)
    number = (await ask(docker_engine.host, build("USER 1000:5"), scan_layers=True)).observed
    assert (number["user"], number["user_uid"], number["user_name"]) == ("1000", 1000, "app")
    root = (await ask(docker_engine.host, docker_engine.image())).observed
    assert (root["user"], root["user_uid"]) == ("", 0)


async def test_an_image_that_is_not_here_is_looked_for_in_its_registry(image_registry: Registry) -> None:
    engine = image_registry.engine
    ref = image_registry.push("1", "1.4.0")
    here = (await ask(engine.host, ref)).observed
    assert here["present"] is True and str(here["digest"]).startswith("sha256:") and here["digest"] != here["id"]
    image_registry.forget(ref)
    there = await ask(engine.host, ref)
    assert there.observed == {"present": False, "in_registry": True, "digest": here["digest"]}
    assert any("is not on this engine" in note for note in there.notes)
    nowhere = await ask(engine.host, f"{image_registry.address}/shop:9.9")
    assert nowhere.observed == {"present": False, "in_registry": False}


async def test_a_registry_that_does_not_answer_says_nothing_about_the_image(docker_engine: Engine) -> None:
    result = await ask(docker_engine.host, "127.0.0.1:1/shop:1")
    assert result.observed == {"present": False}
    assert any("could not be asked" in note and "refused" in note for note in result.notes)


@pytest.mark.parametrize(
    "message", ["pull access denied", "unauthorized", "denied: requested access", "page not found"]
)
async def test_a_404_that_may_hide_a_private_image_is_not_taken_for_its_absence(message: str) -> None:
    body = json.dumps({"message": message}).encode()
    with HostileEngine({}, {}, missing=body) as engine:
        result = await ask(engine.host, "shop:1")
    assert result.observed == {"present": False}


async def test_a_layer_over_the_limit_leaves_only_the_layers_unknown(docker_engine: Engine) -> None:
    result = await ask(docker_engine.host, docker_engine.image(), scan_layers=True, max_layer=1000)
    assert "layer_secret_hits" not in result.observed and "toolchain_present" not in result.observed
    assert result.observed["present"] is True
    assert any("raise max_layer" in note for note in result.notes)


async def test_it_sends_get_and_nothing_else(docker_engine: Engine, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    with unix_server(tmp_path / "s", relay_to(docker_engine.host, asked)) as host:
        await ask(host, docker_engine.image(), scan_layers=True)
    assert {method for method, _ in asked} == {"GET"}
    assert any(path.endswith("/get") for _, path in asked)


def test_the_default_needs_an_image_and_what_it_was_built_from() -> None:
    scope = Scope.of({"": {name: one.type for name, one in observes(ImageProbe.Observes).items()}}, {}, ())
    conditions = [compile_condition(condition, scope) for condition in ImageProbe.default_expect]

    def judged(**found: Any) -> list[bool | None]:
        return [condition.evaluate(found).value for condition in conditions]

    clean: dict[str, Any] = {"present": True, "env_secret_keys": [], "history_secret_hits": []}
    assert judged(**clean) == [True, True, True]
    assert judged(**{**clean, "env_secret_keys": ["TOKEN"]}) == [True, False, True]
    assert judged(present=False, in_registry=True) == [True, None, None], "nobody looked into it"
    assert judged(present=False, in_registry=False) == [False, None, None]
    assert judged(present=False) == [None, None, None], "its registry could not be asked"


# --- documents of every engine ----------------------------------------------------------------------------------


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / name).read_text())


def test_captured_documents_are_read_as_expected() -> None:
    env = facts.env_secrets(payload("docker_image_inspect_secret_env.json"))
    assert env == ["STRIPE_SECRET_KEY"]
    assert facts.history_secrets(payload("docker_image_history_secret_arg.json"), env) == ["API_TOKEN"]
    assert facts.user(payload("docker_image_inspect_secret_env.json")) == "app"


@pytest.mark.parametrize(
    ("command", "hits"),
    [
        ("|1 API_TOKEN=tok /bin/sh -c make", ["API_TOKEN"]),
        ("|2 A=1 API_TOKEN=a b c /bin/sh -c make", ["API_TOKEN"]),
        ("RUN |1 NPM_TOKEN=npm_x /bin/sh -c npm ci # buildkit", ["NPM_TOKEN"]),
        ("RUN |1 NPM_TOKEN= /bin/sh -c npm ci # buildkit", []),
        ("/bin/sh -c #(nop)  ARG DB_PASSWORD=hunter2", ["DB_PASSWORD"]),
        ("/bin/sh -c #(nop)  ARG DB_PASSWORD", []),
        ("RUN /bin/sh -c export AWS_SECRET_ACCESS_KEY=abc && aws s3 ls # buildkit", ["AWS_SECRET_ACCESS_KEY"]),
        ('RUN /bin/sh -c SECRET_KEY="$(cat /run/secrets/k)" ./build # buildkit', []),
        ("RUN /bin/sh -c pip install --extra-index-url https://u:pw@pypi.example.com/simple x", ["url-userinfo"]),
        ("RUN /bin/sh -c curl -H 'Authorization: token ghp_" + "a" * 36 + "' x", ["github-token"]),
        ("/bin/sh -c #(nop)  ENV OLD_SECRET=x", ["OLD_SECRET"]),
        ("/bin/sh -c #(nop)  ENV KNOWN_SECRET=x", []),
        ("COPY --chown=app:app . /app # buildkit", []),
        ("", []),
    ],
)
def test_what_a_build_was_given_is_read_from_its_history(command: str, hits: list[str]) -> None:
    assert facts.history_secrets([{"CreatedBy": command}, {}], ["KNOWN_SECRET"]) == hits


def test_f34_the_packed_size_of_a_containerd_store_is_never_taken_for_the_size() -> None:
    packed = {"Id": "i", "Size": 40_000_000}
    history = [{"Size": 90_000_000}, {"Size": 30_000_000}, {}]
    driver = {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
    listed = {
        "Manifests": [{"Available": True, "ImageData": {"Size": {"Unpacked": 125_000_000}}}, {"Available": False}]
    }
    assert facts.size(packed, history, driver, listed) == (125_000_000, "unpacked")
    assert facts.size(packed, history, driver, None) == (120_000_000, "history_sum")
    assert facts.size(packed, [], driver, None) == (None, "content")
    assert facts.size(packed, history, {"Driver": "overlay2"}, None) == (40_000_000, "graphdriver")
    assert facts.size(packed, history, None, None) == (120_000_000, "history_sum"), "nobody says which store"


async def test_f34_an_engine_of_today_is_read_without_the_keys_it_leaves_out() -> None:
    digest = f"sha256:{'a' * 64}"
    layer = tar({"usr/bin/make": b"x", "app/.env": b"A=1"}, 0o755)
    document = {
        "Id": digest,
        "RepoDigests": [f"shop@{digest}"],
        "Config": {},
        "Size": 5,
        "RootFS": {"Layers": [digest]},
    }
    answers = {
        "/images/shop:1/json": json.dumps(document).encode(),
        "/history": b'[{"CreatedBy": "COPY a b # buildkit", "Size": 1000}]',
        "/info": b'{"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}',
        "/images/json": json.dumps([{"Id": digest, "Manifests": []}]).encode(),
        "/get": old_layout(layer),
    }
    version = b'{"ApiVersion": "1.52", "MinAPIVersion": "1.44", "Version": "29.0.0"}'
    with HostileEngine(answers, {}, version=version) as engine:
        result = await ask(engine.host, "shop:1", scan_layers=True)
    assert dict(result.observed) == {
        "present": True,
        "id": digest,
        "digest": digest,
        "size": 1000,
        "size_basis": "history_sum",
        "layers": 1,
        "user": "",
        "user_uid": 0,
        "has_healthcheck": False,
        "env_secret_keys": [],
        "history_secret_hits": [],
        "layer_secret_hits": [f"env-file /app/.env in layer {digest[:19]}"],
        "toolchain_present": ["/usr/bin/make"],
    }
    assert any("sets no date" in note for note in result.notes)


def test_a_date_that_every_build_writes_is_no_date() -> None:
    assert facts.created({"Created": "1970-01-01T00:00:01Z"}) is None
    assert facts.created({"Created": "1980-01-01T00:00:00Z"}) is None
    assert facts.created({}) is None


# --- engines that do not end ------------------------------------------------------------------------------------

PLAIN = {
    "/images/web/json": b'{"Id": "web", "RootFS": {"Layers": ["sha256:a"]}}',
    "/history": b"[]",
    "/info": b"{}",
}
ENDLESS = tar({"x": b"y"})[:1024]


@pytest.mark.parametrize("manner", ["silent", "drip", "flood", "die"])
async def test_a_stream_of_layers_without_end_leaves_the_layers_unknown_in_time(manner: str) -> None:
    with HostileEngine(PLAIN, {"/get": manner}, unit=ENDLESS) as hostile, hostile.measured(1):
        result = await ask(hostile.host, "web", seconds=1, scan_layers=True)
    assert "layer_secret_hits" not in result.observed
    assert result.observed["present"] is True
    assert any("layers were not looked at" in note for note in result.notes)


@pytest.mark.parametrize("manner", ["silent", "drip", "die"])
@pytest.mark.parametrize("where", ["/images/web/json", "/history", "/info"])
async def test_an_engine_that_does_not_end_its_answer_is_no_verdict(manner: str, where: str) -> None:
    with (
        HostileEngine(PLAIN, {where: manner}, unit=b" ") as hostile,
        hostile.measured(0.6),
        pytest.raises(ProbeError, match="Docker at tcp://") as refused,
    ):
        await ask(hostile.host, "web", seconds=0.6)
    assert refused.value.fault == "instrument"
