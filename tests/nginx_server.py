"""A real nginx: an authority's certificates, instances behind a balancer, a cache, redirects, headers and a page.

`nginx.url("/healthz")` is plain HTTP; `nginx.tls["good"]` and its brothers are ports of TLS, all for `localhost`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.requirements import need

VERSION = "1.5.0"
COMMIT = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678"
CHUNK = "console.log('chunk');\n" * 2000
"""What a script of the page holds; gzip makes a fraction of it."""

PAGE = """<!doctype html>
<html><head><title>Shop</title>
<!-- <script src="/static/commented-out.js"></script> -->
<link rel="stylesheet" href="/static/app.css"><link rel="icon" href="/favicon.ico">
<link rel="modulepreload" href="/static/vendor.js">
<script src="/static/shared.js" defer></script>
<script>document.write('<script src="/static/never.js"></' + 'script>')</script>
<script src="/static/{page}.js?v=1&amp;t=2"></script>
<script src="https://tracker.example.com/t.js"></script>
</head><body>{page}</body></html>
"""

CONFIG = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=edge:1m;
    types {{ text/html html; text/javascript js; text/css css; application/json json; }}
    default_type text/plain;

    upstream both {{ server unix:{folder}/blue.sock; server unix:{folder}/green.sock; }}
    upstream half_dead {{ server unix:{folder}/blue.sock; server unix:{folder}/gone.sock max_fails=0; }}
    server {{
        listen unix:{folder}/blue.sock;
        location / {{
            add_header X-Served-By blue; add_header Cache-Control "public, max-age=31536000, immutable";
            default_type application/json; return 200 '{{"version": "{version}", "host": {{"name": "blue"}}}}';
        }}
    }}
    server {{
        listen unix:{folder}/green.sock;
        location / {{
            add_header X-Served-By green; add_header Cache-Control "public, max-age=31536000, immutable";
            default_type application/json; return 200 '{{"version": "1.4.0", "host": {{"name": "green"}}}}';
        }}
    }}
    server {{
        listen 127.0.0.1:{plain};
        root {folder}/www;
        absolute_redirect off;
        add_header X-Content-Type-Options nosniff;
        location = /healthz {{ default_type application/json; return 200 '{{"status": "ok"}}'; }}
        location = /version {{
            default_type application/json;
            return 200 '{{"version": "{version}", "commit": "{commit}", "deploy": [{{"sha": "a1b2c3d"}}]}}';
        }}
        location = /version-header {{ add_header X-Version {version}; return 200; }}
        location = /balanced {{ proxy_pass http://both; }}
        location = /flaky {{ proxy_pass http://half_dead; proxy_next_upstream off; }}
        location = /cached.js {{
            proxy_pass http://unix:{folder}/blue.sock:; proxy_cache edge; proxy_cache_valid 200 1h;
            add_header X-Cache $upstream_cache_status;
        }}
        location = /gone {{ return 410; }}
        location = /closed {{ return 444; }}
        location = /slow {{ limit_rate 2k; alias {folder}/www/static/shared.js; }}
        location = /drops {{ add_header X-Own 1; return 200; }}
        location = /hop/0 {{ return 200 "arrived"; }}
        location = /hop/1 {{ return 302 /hop/0; }}
        location = /hop/2 {{ return 301 ../hop/1; }}
        location = /hop/3 {{ return 307 http://127.0.0.1:{plain}/hop/2; }}
        location = /hop/4 {{ return 308 /hop/3; }}
        location = /loop {{ return 302 /loop; }}
        location = /away {{ return 302 http://127.0.0.1:{other}/; }}
        location = /metadata {{ return 302 http://169.254.169.254/latest/meta-data/; }}
        location = /secure {{ return 301 https://127.0.0.1:{plain}/; }}
        location = /userinfo {{ return 302 http://user:pw@127.0.0.1:{plain}/; }}
        location = /echo {{ default_type text/plain; return 200 "key=$http_x_api_key"; }}
        location = /to-echo {{ return 302 /echo; }}
        location /static/ {{ gzip on; gzip_types text/javascript text/css; }}
        location = /broken-page {{ default_type text/html; return 200 '<script src="/static/gone.js"></script>'; }}
        location = /error-page {{ error_page 410 =503 /home.html; return 410; }}
    }}
    server {{
        listen 127.0.0.1:{other};
        location / {{ default_type text/plain; return 200 "elsewhere key=$http_x_api_key"; }}
    }}
    {secured}
}}
"""

SECURED = """
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/{name}.pem;
        ssl_certificate_key {folder}/{name}.key;
        ssl_protocols {protocols};
        ssl_ciphers "ALL:@SECLEVEL=0";
        add_header Strict-Transport-Security "max-age=63072000";
        location / {{ return 200 "secure"; }}
        location = /drops {{ add_header X-Own 1; return 200; }}
        location = /off {{ add_header Strict-Transport-Security "max-age=0"; return 200; }}
        location = /down {{ return 302 http://localhost:{plain}/hop/0; }}
    }}
"""
MODERN = "TLSv1.2 TLSv1.3"
PROTOCOLS = {
    "good": MODERN,
    "expired": MODERN,
    "future": MODERN,
    "wrong_host": MODERN,
    "unknown_ca": MODERN,
    "self_signed": MODERN,
    "short": MODERN,
    "legacy": "TLSv1 TLSv1.1 TLSv1.2",
    "tls12": "TLSv1.2",
    "ancient": "TLSv1",
}


@dataclass
class Nginx:
    """One nginx, and how to reach what it serves."""

    plain: int
    other: int
    """A second origin."""
    tls: dict[str, int]
    ca_file: Path
    """The authority of every certificate but unknown_ca and self_signed."""
    process: subprocess.Popen[bytes]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.plain}{path}"

    def secure(self, name: str, path: str = "/") -> str:
        return f"https://localhost:{self.tls[name]}{path}"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def certificates(folder: Path, authority: trustme.CA) -> None:
    """One certificate and key for each of PROTOCOLS."""
    now = datetime.now(UTC)
    day = timedelta(days=1)
    issued = {
        "expired": authority.issue_cert("localhost", not_before=now - 30 * day, not_after=now - 3 * day),
        "future": authority.issue_cert("localhost", not_before=now + 3 * day, not_after=now + 90 * day),
        "wrong_host": authority.issue_cert("shop.example.com", "*.shop.example.com", not_after=now + 90 * day),
        "unknown_ca": trustme.CA().issue_cert("localhost", not_after=now + 90 * day),
        "short": authority.issue_cert("localhost", not_before=now - day, not_after=now + 5 * day),
    }
    for name in PROTOCOLS:
        if name == "self_signed":
            self_signed(folder, now - day, now + 90 * day)
            continue
        made = issued.get(name) or authority.issue_cert(
            "localhost", "127.0.0.1", not_before=now - day, not_after=now + 90 * day
        )
        made.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        for pem in made.cert_chain_pems:
            pem.write_to_path(str(folder / f"{name}.pem"), append=True)


def self_signed(folder: Path, not_before: datetime, not_after: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "self_signed.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "self_signed.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx on loopback, started once."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    need("nginx", None if program else "not installed")
    folder = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    certificates(folder, authority)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    static = folder / "www" / "static"
    static.mkdir(parents=True)
    for name in ("shared.js", "vendor.js", "home.js", "cart.js"):
        (static / name).write_text(CHUNK)
    (static / "app.css").write_text("body { color: black }\n" * 500)
    for page in ("home", "cart"):
        (folder / "www" / f"{page}.html").write_text(PAGE.format(page=page))
    (folder / "www" / "empty.html").write_text("<html>No script here</html>")
    plain, other, *secured = free_ports(2 + len(PROTOCOLS))
    ports = dict(zip(PROTOCOLS, secured, strict=True))
    (folder / "nginx.conf").write_text(
        CONFIG.format(
            # nginx would hand its workers to a user that may not look into the folder.
            user="user root;" if os.getuid() == 0 else "",
            folder=folder,
            plain=plain,
            other=other,
            version=VERSION,
            commit=COMMIT,
            secured="".join(
                SECURED.format(folder=folder, name=name, port=ports[name], protocols=spoken, plain=plain)
                for name, spoken in PROTOCOLS.items()
            ),
        )
    )
    process = subprocess.Popen(
        [str(program), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _until_up(process, plain, folder)
        yield Nginx(plain, other, ports, folder / "ca.pem", process)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _until_up(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if process.poll() is not None:
            said = (folder / "error.log").read_text() if (folder / "error.log").exists() else ""
            raise AssertionError(f"nginx ended: {said}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("nginx does not come up")
