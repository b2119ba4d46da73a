"""A real name server on loopback: dnsmasq, with the records of one zone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import dns.message
import dns.query
import pytest

from tests.nginx_server import free_ports
from tests.requirements import need

ZONE = "shop.test"
MANY = 120
"""Records of one name: more than one datagram holds."""


@dataclass
class NameServer:
    """One dnsmasq."""

    port: int
    process: subprocess.Popen[bytes]


def records() -> list[str]:
    return [
        f"--local=/{ZONE}/",
        f"--host-record=web.{ZONE},10.0.0.7",
        f"--host-record=both.{ZONE},10.0.0.8,fd00::8",
        f"--cname=www.{ZONE},web.{ZONE}",
        f"--mx-host={ZONE},mail.{ZONE},10",
        f"--mx-host={ZONE},backup.{ZONE},20",
        f"--txt-record={ZONE},v=spf1 -all,and more",
        f"--dns-rr={ZONE},2,026e73{'04'}{b'shop'.hex()}04{b'test'.hex()}00",
        *(f"--txt-record=long.{ZONE},record {number:04} {'x' * 60}" for number in range(MANY)),
    ]


@pytest.fixture(scope="session")
def name_server() -> Iterator[NameServer]:
    """dnsmasq, asked by the zone `shop.test` only; it has nobody else to ask."""
    program = shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    need("dnsmasq-base", None if program else "not installed")
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [
            str(program),
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
            "--no-resolv",
            "--no-hosts",
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
            f"--port={port}",
            "--local-ttl=60",
            *(["--user=root"] if os.getuid() == 0 else []),
            *records(),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _until_up(process, port)
        yield NameServer(port, process)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _until_up(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"dnsmasq ended: {process.stderr.read() if process.stderr else b''!r}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
            continue
        dns.query.udp(dns.message.make_query(f"web.{ZONE}", "A"), "127.0.0.1", timeout=5, port=port)
        return
    raise AssertionError("dnsmasq does not come up")
