"""uvicorn with limits of its own: how many connections, how long and how large a request's head may be."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.web.problems import ApiProblem, render

MOST_CONNECTIONS = 1000
MOST_FROM_ONE_ADDRESS = 300
"""A control room may sit behind one address."""
HEAD_WITHIN_S = 15.0
MAX_HEAD_BYTES = 64 * 1024
KEEP_ALIVE_S = 30

WIRE = "jifang.wire"
"""ASGI extension: the `Wire` of a request's connection."""

_open: Counter[str] = Counter()


class Wire:
    """The connection under an answer that has begun without a length: chunks straight to the socket.

    An answer that a hundred others get at the same moment is written without a task of its own waking up.
    """

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow

    @property
    def ready(self) -> bool:
        """Whether all but a little (64 KiB) of what was written has left for the kernel."""
        return not (self._flow.write_paused or self._transport.is_closing())

    def write(self, data: bytes) -> None:
        """One chunk; never waits. Nothing where the connection is closing."""
        if data and not self._transport.is_closing():
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def drain(self) -> None:
        """Until it is ready, or gone."""
        await self._flow.drain()

    def bound(self, kernel_bytes: int, patience_s: float) -> None:
        """How much the kernel may hold for a peer that doesn't read, and how long it tries: a peer that
        vanished without a word (no FIN, no reset) is given up after `patience_s`."""
        kernel: Any = self._transport.get_extra_info("socket")
        if kernel is not None and not self._transport.is_closing():
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel_bytes)
            kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(patience_s * 1000))


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that is one too many, or that doesn't get its request's head across."""

    _address = ""
    _counted = False
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        peer: Any = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._counted = True
        _open[self._address] += 1
        if _open[self._address] > MOST_FROM_ONE_ADDRESS or _open.total() > MOST_CONNECTIONS:
            self._refuse("busy")
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_timer()
        if self._counted:
            self._counted = False
            _open[self._address] -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse("header_too_large")

    def on_headers_complete(self) -> None:
        """The head is across."""
        self._stop_timer()
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        wire: Any = Wire(self.transport, self.flow)
        self.scope["extensions"] = {WIRE: wire}
        if self._head_timer is None:
            self._await_head()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._refuse, "timeout")

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the words are uvicorn's
        """What came is no HTTP."""
        self._refuse("bad_request")

    def _refuse(self, code: str) -> None:
        """Answers with a problem before there is a request to answer, and closes."""
        self._stop_timer()
        answer = render(ApiProblem(code), "")
        lines = [
            f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}",
            "Connection: close",
        ]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + bytes(answer.body))
        self.transport.close()


class Server(uvicorn.Server):
    """A server that leaves signals to the process it runs in."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing is captured."""
        yield


def configured(app: Any, host: str, port: int) -> Server:
    """A server of `app`; `port` 0 takes a free one."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=3,
            backlog=512,
        )
    )
