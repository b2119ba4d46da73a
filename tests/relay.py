"""A socket that stands before a real engine and remembers what was asked, or answers like a broken one."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_REQUEST = re.compile(rb"^([A-Z]+) (/\S*) HTTP/1\.", re.MULTILINE)


@contextlib.contextmanager
def listening(listener: socket.socket, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Serve each connection in a thread of its own; at the end every one of them is closed."""
    open_ones: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield
    finally:
        # Closing alone does not wake a thread that waits in accept or recv.
        for each in (listener, *open_ones):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in (acceptor, *threads):
            thread.join(10)
        listener.close()


@contextlib.contextmanager
def unix_server(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[str]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with listening(listener, serve):
        yield f"unix://{path}"


@contextlib.contextmanager
def tcp_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    with listening(listener, serve):
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def relay_to(
    host: str, asked: list[tuple[str, str]], forbidden: tuple[str, ...] = ()
) -> Callable[[socket.socket], None]:
    """Pass everything on to the engine at `host`, a unix:// address, and append method and path of each request.

    Requests for a path that ends in one of `forbidden` are answered 403 and not passed on.
    """

    def serve(connection: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(host.removeprefix("unix://"))

            def back() -> None:
                with contextlib.suppress(OSError):
                    while data := engine.recv(65536):
                        connection.sendall(data)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

            returning = threading.Thread(target=back)
            returning.start()
            with contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    requests = [(method.decode(), path.decode()) for method, path in _REQUEST.findall(data)]
                    asked.extend(requests)
                    if any(path.endswith(forbidden) for _, path in requests if forbidden):
                        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}")
                    else:
                        engine.sendall(data)
            with contextlib.suppress(OSError):
                engine.shutdown(socket.SHUT_RDWR)
            returning.join(10)

    return serve


def answering(*answers: bytes) -> Callable[[socket.socket], None]:
    """Answer every request of a connection with the same bytes."""

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            for answer in answers:
                connection.sendall(answer)

    return serve


def silent(connection: socket.socket) -> None:
    """Accept and never answer."""
    while connection.recv(65536):
        pass
