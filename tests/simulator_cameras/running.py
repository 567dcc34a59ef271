"""A small fleet that runs beside the tests in a thread of its own, as a process of its own would."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from simulator.cameras import CameraFleet, CameraSpec, Programme

T = TypeVar("T")

SHORT = Programme(traffic_s=6, quiet_s=2, quiet_repeats=1)
EAST = CameraSpec(
    "c-01", "东门", 34.26, 117.19, 20, "street", 1, None, "admin", "pä:ss/w@rd", ptz=True, clock_skew_s=3600
)
NORTH = CameraSpec(
    "c-02", "北门", 34.27, 117.2, 90, "street", 4, None, "viewer", "other", tamper="tamper-detector"
)


class RunningFleet:
    """A fleet on an event loop in a thread."""

    def __init__(self, cache: Path, specs: tuple[CameraSpec, ...] = (EAST, NORTH)) -> None:
        self.cache = cache
        self.ledger: list[dict[str, object]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fleet")
        self._thread.start()
        self.fleet = CameraFleet(specs, cache, self.ledger.append, programme=SHORT, restart_s=0.5)
        self.wait_for(self.fleet.start())

    def wait_for(self, work: Coroutine[Any, Any, T], timeout_s: float = 60) -> T:
        """Runs a coroutine on the fleet's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def do(self, action: Callable[[], T]) -> T:
        """Calls a plain function on the fleet's loop."""

        async def act() -> T:
            return action()

        return self.wait_for(act())

    def close(self) -> None:
        self.wait_for(self.fleet.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def onvif_port(self, camera: str) -> int:
        port = urlsplit(self.fleet.addresses(camera).onvif).port
        assert port
        return port

    def rtsp(self, spec: CameraSpec, stream: str) -> str:
        """The stream's address with the camera's credentials in it."""
        address = self.fleet.addresses(spec.id)
        plain = address.rtsp_main if stream == "main" else address.rtsp_sub
        return plain.replace("rtsp://", f"rtsp://{quote(spec.user)}:{quote(spec.password, safe='')}@")


def until(condition: Callable[[], T], timeout_s: float = 15.0) -> T:
    """The condition's first true value; an assertion error when the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"didn't come true within {timeout_s} s")
