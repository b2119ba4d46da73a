"""A server on loopback that speaks the documented shapes of GitHub's and GitLab's REST APIs."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from tests.http_server import Servers, answer, read_request

DATA = Path(__file__).parent / "data" / "payloads"
SHA = "4f1c0b7e9a2d4c55b1e0a6d3c2f98b7a61540e21"
"""The commit that the recorded answers are about."""


def recorded(name: str) -> Any:
    """A recorded answer."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


class ForgeServer:
    """Answers by path; what it was not told is 404, as a forge answers for what a token may not see."""

    def __init__(self, servers: Servers) -> None:
        self._pages: dict[str, list[Any]] = {}
        self._refusals: dict[str, tuple[str, tuple[str, ...], Any]] = {}
        self.headers: list[str] = []
        """Headers that every answer carries."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Paths and queries, as they came."""
        self.heads: list[str] = []
        self.endless = False
        """Whether every page names a next one."""
        self._server = servers.talk(self._talk)

    @property
    def url(self) -> str:
        """The address of the API."""
        return self._server.url

    def put(self, path: str, *pages: Any) -> None:
        """What a path answers, page by page."""
        self._pages[path] = list(pages)

    def refuse(self, path: str, status: str, *headers: str, body: Any = None) -> None:
        """A path that answers with an error; a path ending in * stands for all below it."""
        self._refusals[path] = (status, headers, {"message": "no"} if body is None else body)

    def paths(self) -> list[str]:
        """The paths that were asked, each once."""
        return list(dict.fromkeys(path for path, _ in self.asked))

    def _talk(self, peer: socket.socket) -> None:
        head = read_request(peer).decode("latin-1")
        if not head:
            return
        self.heads.append(head)
        target = head.split(" ", 2)[1]
        raw, _, query_text = target.partition("?")
        path, query = unquote(raw.lstrip("/")), dict(parse_qsl(query_text))
        self.asked.append((path, query))
        peer.sendall(self._answer(path, raw, query, query_text))
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass

    def _answer(self, path: str, raw: str, query: dict[str, str], query_text: str) -> bytes:
        for pattern, (status, headers, body) in self._refusals.items():
            if path == pattern or (pattern.endswith("*") and path.startswith(pattern[:-1])):
                return answer(_json(body), *self.headers, *headers, status=status)
        pages = self._pages.get(path)
        if pages is None:
            return answer(_json(recorded("github_not_found_404")), *self.headers, status="404 Not Found")
        at = int(query.get("page", "1")) - 1
        carried = list(self.headers)
        if at + 1 < len(pages) or self.endless:
            base = "&".join(part for part in query_text.split("&") if part and not part.startswith("page="))
            following = f"{self.url}{raw}?{base}&page={at + 2}"
            carried.append(f'Link: <{self.url}{raw}?page=1>; rel="first", <{following}>; rel="next"')
        return answer(_json(pages[at % len(pages)]), *carried, "Content-Type: application/json")


def _json(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.fixture
def forge() -> Iterator[ForgeServer]:
    """A forge that knows nothing yet."""
    servers = Servers()
    yield ForgeServer(servers)
    servers.close()
