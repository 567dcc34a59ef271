"""A network that can fail: TCP forwarded, and cut, held back or reset in either direction."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)


class Fault(StrEnum):
    """What the network does to what passes."""

    NONE = "none"
    DROP = "drop"
    """Swallows it, in the direction given; when the fault ends, the connection is found to be dead."""
    HOLD = "hold"
    """Keeps it back, and delivers it when the fault ends."""
    RESET = "reset"
    """Ends all connections with RST and refuses new ones."""


class Way(StrEnum):
    """Which direction a fault strikes."""

    THERE = "there"
    """From the one that connects."""
    BACK = "back"
    BOTH = "both"


@dataclass(slots=True, eq=False)
class _Pipe:
    """One connection: both sockets, and whether bytes were swallowed on it."""

    near: socket.socket
    far: socket.socket
    spoiled: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        """Ends both sides without a word."""
        self.ended.set()
        for one in (self.near, self.far):
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                one.close()


class Proxy:
    """Listens on `port` of loopback and forwards to `target`."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._fault, self._way = Fault.NONE, Way.BOTH
        self._calm = threading.Event()
        self._calm.set()
        self._pipes: set[_Pipe] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._thread = threading.Thread(target=self._accept, name=f"proxy-{port}", daemon=True)
        self._thread.start()

    def strike(self, fault: Fault, way: Way = Way.BOTH) -> None:
        """From now on this is what the network does, until `heal`."""
        self._fault, self._way = fault, way
        self._calm.clear()
        if fault is Fault.RESET:
            self._reset_all()

    def heal(self) -> None:
        """The network works again. What swallowed bytes is found to be dead."""
        self._fault = Fault.NONE
        with self._lock:
            spoiled = [pipe for pipe in self._pipes if pipe.spoiled]
        for pipe in spoiled:
            pipe.reset()
        self._calm.set()

    def stop(self) -> None:
        """Ends."""
        self._stopped = True
        self._calm.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()
        self._thread.join(5)

    def _reset_all(self) -> None:
        with self._lock:
            pipes = list(self._pipes)
        for pipe in pipes:
            pipe.reset()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._fault is Fault.RESET:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                near.close()
                continue
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe = _Pipe(near, far)
        with self._lock:
            self._pipes.add(pipe)
        back = threading.Thread(target=self._forward, args=(pipe, far, near, Way.BACK), daemon=True)
        back.start()
        self._forward(pipe, near, far, Way.THERE)
        back.join()
        with self._lock:
            self._pipes.discard(pipe)
        for one in (near, far):
            one.close()

    def _forward(self, pipe: _Pipe, source: socket.socket, sink: socket.socket, way: Way) -> None:
        try:
            while chunk := source.recv(CHUNK):
                if self._passes(pipe, way):
                    sink.sendall(chunk)
        except OSError:
            pipe.reset()
            return
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _passes(self, pipe: _Pipe, way: Way) -> bool:
        """Whether what came may go on; waits where it is held back. Raises `OSError` where the pipe died."""
        if pipe.spoiled and self._way in (way, Way.BOTH):
            return False
        if self._fault is Fault.NONE or self._way not in (way, Way.BOTH):
            return True
        if self._fault is Fault.DROP:
            pipe.spoiled = True
            return False
        while not self._calm.wait(0.2):
            if pipe.ended.is_set():
                raise ConnectionResetError("ended while held back")
        return True


def cut(proxy: Proxy, fault: Fault, way: Way, for_s: float) -> None:
    """Strikes for a while."""
    proxy.strike(fault, way)
    time.sleep(for_s)
    proxy.heal()
