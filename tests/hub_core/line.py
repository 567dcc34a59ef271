"""A line to the database that can be cut, go silent, or lose what belongs to a commit: a real TCP proxy."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

COMMIT = b"commit\x00"


class Loss(Enum):
    """What becomes of the next commit on the line."""

    REQUEST = "the server never gets it"
    ANSWER = "the server does it, the client never hears"


class Line:
    """Passes bytes between a port of its own and `target` on loopback, until told otherwise."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._calls: set[tuple[socket.socket, socket.socket]] = set()
        self._open = threading.Event()
        self._open.set()
        self._passing = threading.Event()
        self._passing.set()
        self._ended = False
        self._loss: Loss | None = None
        self._passed = 0
        self.lost = threading.Event()
        """A commit was lost as told."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends every call and answers no new one."""
        self._open.clear()
        for pair in list(self._calls):
            self._hang_up(pair)

    def freeze(self) -> None:
        """Passes nothing more, and says nothing."""
        self._passing.clear()

    def mend(self) -> None:
        """Everything passes again."""
        self._passing.set()
        self._open.set()

    def lose(self, loss: Loss | None, *, after: int = 0) -> None:
        """A commit is lost, and its call with it: the next, or the one after so many others."""
        self.lost.clear()
        self._passed = -after
        self._loss = loss

    def end(self) -> None:
        """Nothing of it remains."""
        self._ended = True
        self._listener.close()
        self.mend()
        for pair in list(self._calls):
            self._hang_up(pair)

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._open.is_set():
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = (client, server)
            self._calls.add(pair)
            threading.Thread(target=self._carry, args=(pair,), daemon=True).start()

    def _carry(self, pair: tuple[socket.socket, socket.socket]) -> None:
        client, server = pair
        with selectors.DefaultSelector() as ready, suppress(OSError, ValueError):
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            answer_is_lost = False
            while True:
                for key, _ in ready.select():
                    source, sink = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    piece = source.recv(65536)
                    self._passing.wait()
                    if not piece or (source is server and answer_is_lost):
                        if answer_is_lost:
                            self.lost.set()
                        self._hang_up(pair)
                        return
                    if source is client and self._loss and COMMIT in piece:
                        self._passed += 1
                    if source is client and self._loss and self._passed > 0:
                        loss, self._loss = self._loss, None
                        if loss is Loss.REQUEST:
                            self.lost.set()
                            self._hang_up(pair)
                            return
                        answer_is_lost = True
                    sink.sendall(piece)

    def _hang_up(self, pair: tuple[socket.socket, socket.socket]) -> None:
        self._calls.discard(pair)
        for end in pair:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    """A line that ends with the block."""
    line = Line(port)
    try:
        yield line
    finally:
        line.end()
