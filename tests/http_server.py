"""Real servers on loopback that say whatever bytes a test gives them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

Talk = Callable[[socket.socket], None]


class Server:
    """Accepts connections on loopback and hands each to `talk` on a thread of its own."""

    def __init__(self, talk: Talk, secured: ssl.SSLContext | None = None) -> None:
        self._talk = talk
        self._secured = secured
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._secured else 'http'}://{'localhost' if self._secured else '127.0.0.1'}:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._secured is not None:
                peer = self._secured.wrap_socket(peer, server_side=True)
                self._open.append(peer)
            self._talk(peer)
        with contextlib.suppress(OSError):
            peer.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._open:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()
        for thread in self._threads:
            thread.join(timeout=5)


class Servers:
    """Starts servers and remembers them."""

    def __init__(self) -> None:
        self._made: list[Server] = []

    def talk(self, talk: Talk, secured: ssl.SSLContext | None = None) -> Server:
        """A server that does whatever `talk` does with each connection."""
        self._made.append(Server(talk, secured))
        return self._made[-1]

    def answer(self, answer: bytes, secured: ssl.SSLContext | None = None) -> Server:
        """A server that reads one request, sends those bytes and closes."""

        def talk(peer: socket.socket) -> None:
            server.requests.append(read_request(peer))
            peer.sendall(answer)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass

        server = self.talk(talk, secured)
        return server

    def close(self) -> None:
        for server in self._made:
            server.close()


def read_request(peer: socket.socket) -> bytes:
    """The head of a request, and its body where it announces one."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer of HTTP/1.1."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
