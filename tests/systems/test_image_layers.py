"""What layers hold, from archives as engines of any age write them, and from such as nobody should."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import time
import tracemalloc
from collections.abc import Callable

import pytest

from captain.systems.docker.image_layers import TOOLCHAIN, Layers, Scan, TooLarge
from captain.systems.docker.tar_stream import Source, entries, gunzipped
from captain.systems.globs import Glob
from captain.systems.secret_names import SYNTHETIC, FileRule, file_rule, secret_key, secret_value

KEY = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n"
Files = dict[str, bytes | str | None]
"""Content by name; None is a folder, a text leads to another file."""


def tar(files: Files, mode: int = 0o644, style: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=style) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return made.getvalue()


def old_layout(*layers: bytes) -> bytes:
    """As engines before 25 save: the manifest last."""
    names = [f"{index:064x}/layer.tar" for index in range(len(layers))]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": names}]).encode()
    files: Files = dict(zip(names, layers, strict=True))
    return tar({**files, "c.json": b"{}", "manifest.json": manifest, "repositories": b"{}"})


def oci_layout(*layers: bytes) -> bytes:
    """As engines from 25 on save: blobs by their digest, in any order, configuration among them."""
    names = [f"blobs/sha256/{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    manifest = json.dumps([{"Config": "blobs/sha256/c", "Layers": names}]).encode()
    files: Files = dict(sorted(zip(names, layers, strict=True)))
    more: Files = {"blobs/sha256/c": b'{"config": {}}', "index.json": b"{}", "oci-layout": b"{}"}
    return tar({"blobs/": None, **more, **files, "manifest.json": manifest})


def scan(data: bytes, *, allow: tuple[str, ...] = (), max_layer: int = 1 << 30) -> Layers:
    return Scan(TOOLCHAIN, allow, max_layer).read(io.BytesIO(data).read)


def hits(layers: Layers) -> list[tuple[str, str, int, bool]]:
    return [(hit.rule, hit.path, hit.layer, hit.deleted) for hit in layers.hits]


@pytest.mark.parametrize("layout", [old_layout, oci_layout])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_f8_a_file_deleted_later_is_still_in_the_image(
    layout: Callable[..., bytes], pack: Callable[[bytes], bytes]
) -> None:
    first = tar({"srv/": None, "srv/.env": b"TOKEN=x", "etc/passwd": b"root:x:0:0::/:\n"})
    second = tar({"srv/.wh..env": b"", "app/key.pem": KEY, "etc/passwd": b"app:x:10:10::/:\n"})
    found = scan(layout(pack(first), pack(second)))
    assert hits(found) == [("env-file", "srv/.env", 1, True), ("private-key", "app/key.pem", 2, False)]
    assert found.count == 2
    assert found.passwd == "app:x:10:10::/:\n"


def test_whole_folders_that_are_deleted_or_replaced_take_their_files_along() -> None:
    tools = tar({"usr/bin/gcc": b"x", "root/.cache/pip/a": b"x", "app/.git/HEAD": b"x", "opt/go": b"x"}, 0o755)
    assert scan(old_layout(tools)).toolchain == ("app/.git", "opt/go", "root/.cache", "usr/bin/gcc")
    gone = tar({"root/.wh..cache": b"", "app/.wh..wh..opq": b"", "usr/bin/.wh.gcc": b""})
    assert scan(old_layout(tools, gone)).toolchain == ("opt/go",)
    again = tar({"usr/bin/gcc": b"y"}, 0o755)
    assert scan(old_layout(tools, gone, again)).toolchain == ("opt/go", "usr/bin/gcc")
    same = tar({"app/.wh..wh..opq": b"", "app/.git/config": b""})
    assert "app/.git" in scan(old_layout(tools, same)).toolchain, "what is hidden is below, not beside"


def test_a_word_is_no_toolchain_where_it_is_no_program() -> None:
    plain = tar({"usr/share/doc/make": b"x", "usr/lib/go/": None, "home/.cache/x": b"", "app/.github/x": b""})
    assert scan(old_layout(plain)).toolchain == ()
    assert scan(old_layout(tar({"etc/alternatives/cc": "/usr/bin/gcc"}))).toolchain == ("etc/alternatives/cc",)


def test_a_users_file_that_is_deleted_or_a_link_is_not_read() -> None:
    first = tar({"etc/passwd": b"root:x:0:0::/:\n"})
    assert scan(old_layout(first, tar({"etc/.wh.passwd": b""}))).passwd is None
    assert scan(old_layout(first, tar({"etc/passwd": "../x"}))).passwd is None
    assert scan(old_layout(first, tar({"a": b""}))).passwd == "root:x:0:0::/:\n"


def test_files_that_may_be_called_so_are_left_out_and_no_others() -> None:
    layer = tar({"srv/.env": b"A=1", "node_modules/x/test/key.pem": KEY})
    assert hits(scan(old_layout(layer), allow=("/node_modules/**",))) == [("env-file", "srv/.env", 1, False)]


@pytest.mark.parametrize(
    ("path", "content", "rule"),
    [
        ("srv/.env", b"A=1", "env-file"),
        ("srv/.env.production", b"A=1", "env-file"),
        ("srv/.env.example", b"A=1", None),
        ("srv/.env", b"\n", None),
        ("etc/ssl/certs/ca.pem", b"-----BEGIN CERTIFICATE-----", None),
        ("etc/ssl/private/server.key", KEY, "private-key"),
        ("root/.ssh/id_ed25519", b"-----BEGIN OPENSSH PRIVATE KEY-----", "private-key"),
        ("root/.ssh/id_ed25519.pub", b"ssh-ed25519 AAAA", None),
        ("app/id_map", b"1 2", None),
        ("root/.npmrc", b"//registry.npmjs.org/:_authToken=npm_x", "npmrc"),
        ("root/.npmrc", b"//registry.npmjs.org/:_authToken=${NPM_TOKEN}", None),
        ("root/.npmrc", b"save-exact=true", None),
        ("root/.pypirc", b"[pypi]\npassword = pypi-x", "pypirc"),
        ("root/.aws/credentials", b"[default]", "aws-credentials"),
        ("app/credentials", b"[default]", None),
        ("app/.git/config", b"url = https://me:tok@github.com/a/b", "git-config"),
        ("app/.git/config", b"url = git@github.com:a/b", None),
        ("root/.docker/config.json", b'{"auths": {"r": {"auth": "eHg="}}}', "docker-config"),
        ("root/.docker/config.json", b'{"auths": {}}', None),
        ("root/.netrc", b"machine x login y password z", "netrc"),
        ("root/.kube/config", b"token: abc", "kube-config"),
        ("app/store.p12", b"\x30\x82", "key-store"),
        ("app/prod.env", b"# of production\nDEBUG=0\nexport DB_PASSWORD='$uperSecret1'\n", "env-file"),
        ("app/prod.env", b"DATABASE_URL=postgres://app:hunter2@db/shop", "env-file"),
        ("app/prod.env", b"DEBUG=0\nDB_PASSWORD=\nDB_PASSWORD_FILE=/run/secrets/db\n#API_TOKEN=x\n", None),
        ("app/example.env", b"DB_PASSWORD=hunter2", None),
        ("app/prod-sample.env", b"DB_PASSWORD=hunter2", None),
        ("app/service-account.json", b'{"private_key": "-----BEGIN PRIVATE KEY-----\\nMII"}', "service-account"),
        ("app/service-account.json", b'{"private_key": ""}', None),
        ("app/package.json", b'{"name": "private_key"}', None),
    ],
)
def test_a_file_is_a_secret_by_its_name_and_where_it_takes_that_by_its_content(
    path: str, content: bytes, rule: str | None
) -> None:
    assert [hit.rule for hit in scan(old_layout(tar({path: content}))).hits] == ([rule] if rule else [])


def test_a_hard_link_is_a_secret_by_its_name_only_where_that_says_enough() -> None:
    assert (file_rule("app/.env") or FileRule("", bool, alone=False)).alone
    for path in ("app/package.json", "app/prod.env"):
        rule = file_rule(path)
        assert rule is not None and not rule.alone


def test_every_synthetic_name_meets_a_rule() -> None:
    assert [name for name in SYNTHETIC if file_rule(name) is None] == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            "SECRET_KEY",
            "STRIPE_SECRET_KEY",
            "DJANGO_SECRET_KEY",
            "API_TOKEN",
            "DB_PASSWORD",
            "PGPASSWORD",
            "MYSQL_PWD",
        ),
        *("AWS_SECRET_ACCESS_KEY", "NPM_TOKEN", "SECRET_KEY_BASE", "dbPassword", "api-key", "APIKEY", "JWT_SECRET_2"),
    ],
)
def test_a_variable_that_holds_a_secret_is_known_by_its_name(name: str) -> None:
    assert secret_key(name, "abc123")
    assert not secret_key(name, "")
    assert not secret_key(name, "/run/secrets/x")
    assert not secret_key(name, "${OTHER}")


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "PWD", "GPG_KEY", "PYTHON_VERSION", "TOKEN_TTL", "PASSWORD_HASHERS", "SECRET_KEY_FILE", "KEYBOARD"),
        *("NEXT_PUBLIC_API_KEY", "SSH_AUTH_SOCK", "PYTHON_GET_PIP_SHA256", "COMPASS", "AUTHOR", ""),
    ],
)
def test_a_variable_that_only_sounds_so_is_none(name: str) -> None:
    assert not secret_key(name, "E3FF2839C048B25C084DEBE9B26995E310250568")


def test_a_value_gives_itself_away_by_its_shape() -> None:
    assert secret_value("postgres://app:hunter2@db/shop") == "url-userinfo"
    assert secret_value("https://github.com/a/b") is None
    assert secret_value("postgres://app:$PASS@db/shop") is None
    assert secret_value("postgres://app:***@db/shop") is None
    assert secret_value("x AKIAABCDEFGHIJKLMNOP y") == "aws-key"
    assert secret_value("ghp_" + "a" * 36) == "github-token"


# --- archives that are not whole, or hostile --------------------------------------------------------------------


@pytest.mark.parametrize("layout", [old_layout, oci_layout])
def test_a_stream_cut_anywhere_is_never_taken_for_whole(layout: Callable[..., bytes]) -> None:
    whole = layout(tar({"srv/.env": b"A=1"}), tar({"b": b"x" * 3000}))
    end = whole.rstrip(b"\0")
    for cut in range(0, len(end) + 1, 97):
        with pytest.raises(ValueError, match=r"ends early|not one of docker save"):
            scan(whole[:cut])


def test_a_layer_that_is_cut_inside_a_whole_stream_is_not_whole() -> None:
    layer = tar({"srv/.env": b"A=1", "b": b"x" * 3000})
    for cut in (600, 1500, 2048):
        with pytest.raises(ValueError, match="ends early"):
            scan(old_layout(layer[:cut]))
    with pytest.raises(ValueError, match="ends early"):
        scan(old_layout(gzip.compress(layer)[:-30]))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "ends early"),
        (tar({"a": b""}), "not one of docker save"),
        (tar({"manifest.json": b"[" * 100_000}), "not one of docker save"),
        (tar({"manifest.json": b"{}"}), "several images"),
        (tar({"manifest.json": b'[{"Layers": null}]'}), "0 layers"),
        (tar({"manifest.json": b'[{"Layers": ["x/layer.tar"]}]'}), "a layer is missing"),
        (tar({"manifest.json": json.dumps([{"Layers": ["x"] * 500}]).encode()}), "500 layers"),
        (b"a" * 4096, "not a tar archive"),
        (old_layout(b"\x28\xb5\x2f\xfd" + b"x" * 600), "zstd"),
        (old_layout(b"x" * 600), "a layer is missing"),
        (tar({"n" * 5000: b""}), "no system has"),
    ],
)
def test_what_is_not_understood_is_said_and_not_guessed(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        scan(data)


def test_a_layer_that_is_too_large_is_not_read_packed_or_not() -> None:
    with pytest.raises(TooLarge, match=r"a layer has \d+ bytes"):
        scan(old_layout(tar({"a": b"x" * 2000})), max_layer=1000)
    packed = gzip.compress(tar({"a": b"\0" * 50_000_000}))
    assert len(packed) < 100_000
    with pytest.raises(TooLarge, match="more than"):
        scan(old_layout(packed), max_layer=1_000_000)


def test_long_names_of_both_kinds_are_read_whole() -> None:
    name = "d/" * 30 + "e" * 200 + "/.env"
    for style in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert [hit.path for hit in scan(old_layout(tar({name: b"A=1"}, style=style))).hits] == [name]


def test_names_that_climb_out_are_names_and_nothing_else() -> None:
    assert [hit.path for hit in scan(old_layout(tar({"../../x/.env": b"A=1", "./y/.env": b"A=1"}))).hits] == [
        "../../x/.env",
        "y/.env",
    ]


def test_an_extended_header_that_lies_about_its_length_is_no_archive() -> None:
    for words in (b"9999999 path=x\n", b"0 path=x\n", b"x path=y\n", b"3 a\n"):
        entry = tarfile.TarInfo("x")
        entry.type, entry.size = tarfile.XHDTYPE, len(words)
        data = entry.tobuf() + words.ljust(512, b"\0") + b"\0" * 1024
        with pytest.raises(ValueError, match="not a tar archive"):
            list(entries(Source(io.BytesIO(data).read)))
    big = tarfile.TarInfo("x")
    big.type, big.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(ValueError, match="says too much"):
        list(entries(Source(io.BytesIO(big.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096).read)))


def test_a_large_layer_is_read_in_little_memory() -> None:
    files: Files = {f"d/{index}": b"x" * 1000 for index in range(5000)}
    layer = tar({**files, "big": b"y" * 20_000_000})
    data = old_layout(layer)
    read = io.BytesIO(data).read
    tracemalloc.start()
    began = time.monotonic()
    Scan(TOOLCHAIN, (), 1 << 30).read(read)
    took, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000, peak
    assert took < 10, took


def test_more_files_that_matter_than_are_kept_are_an_error_and_no_memory() -> None:
    many: Files = {f"d/{index}/.env": b"A=1" for index in range(21_000)}
    layer = tar(many, style=tarfile.USTAR_FORMAT)
    with pytest.raises(ValueError, match="more such files"):
        scan(old_layout(layer))


def test_gzip_is_unpacked_in_pieces() -> None:
    read = gunzipped(io.BytesIO(gzip.compress(b"ab" * 1000)).read)
    assert read(10) == b"ab" * 5
    with pytest.raises(ValueError, match="not gzip"):
        gunzipped(io.BytesIO(b"\x1f\x8bxxxxxxxxxxxxxxxxxxxx").read)(10)


def test_patterns_of_paths_mean_parts_and_not_letters() -> None:
    assert Glob("/tmp/**").matches("/tmp") and Glob("/tmp/**").matches("/tmp/a/b")
    assert not Glob("/tmp/**").matches("/tmpx") and not Glob("/tmp/*").matches("/tmp/a/b")
    assert Glob("**/a/**").matches("x/y/a/z") and Glob("**/a/**").matches("a")
    assert Glob("/usr/lib*/gcc?").matches("usr/lib64/gcc9")
    assert Glob("**/.git").above("app/x/.git/objects/1") == "app/x/.git"
    assert Glob("/root/.cache").above("home/root/.cache/a") is None
    began = time.monotonic()
    Glob("/".join(["**", "a"] * 20)).matches("a/" * 2000 + "b")
    assert time.monotonic() - began < 1
