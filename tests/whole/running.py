"""A running demo seen from outside: its address, its sign-in, its processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from jifang.settings import Settings, load
from wire.bus import Broker

UP_WITHIN_S = 400.0
"""The first start on a machine renders the simulated streams."""


@dataclass
class RunningDemo:
    """`jifang demo` as a process."""

    process: subprocess.Popen[str]
    folder: Path
    base: str
    name: str
    password: str = field(repr=False)
    clients: list[Api] = field(default_factory=list, repr=False)

    @property
    def settings(self) -> Settings:
        """What the demo chose: ports and folders."""
        return load(self.folder / "jifang.toml")

    @property
    def field_broker(self) -> Broker:
        """The demo's Mosquitto, signed in as a device."""
        made = json.loads((self.folder / "secrets.json").read_text())
        broker = self.settings.broker
        return Broker(host=broker.host, port=broker.port, user="field", password=made["field"])

    def pid(self, part: str) -> int:
        """Process id of one of its parts."""
        return int((self.folder / "run" / f"{part}.pid").read_text())

    def kill(self, part: str) -> None:
        """kill -9."""
        os.kill(self.pid(part), signal.SIGKILL)

    def api(self) -> Api:
        """A signed-in client; closed when the demo ends."""
        self.clients.append(Api(self))
        return self.clients[-1]

    def leave(self) -> None:
        """Closes every client."""
        for client in self.clients:
            client.close()


class Api:
    """The HTTP API, over restarts of the hub."""

    def __init__(self, demo: RunningDemo) -> None:
        self._demo = demo
        self._http = httpx.Client(base_url=demo.base, timeout=10)
        self.sign_in()

    def close(self) -> None:
        """Ends its connections."""
        self._http.close()

    def sign_in(self) -> None:
        """Signs in anew."""
        body = {"name": self._demo.name, "password": self._demo.password}
        self._http.post("/api/v1/session", json=body).raise_for_status()

    def get(self, path: str, **query: Any) -> Any:
        """JSON of `/api/v1{path}`; waits out a hub that is coming back."""
        deadline = time.monotonic() + 40
        while True:
            try:
                answer = self._http.get(f"/api/v1{path}", params=query)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
                continue
            answer.raise_for_status()
            return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Posts JSON; raises on refusal with what the hub said."""
        answer = self._http.post(f"/api/v1{path}", json=body)
        assert answer.is_success, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def snapshot(self) -> dict[str, Any]:
        """`/snapshot`."""
        state: dict[str, Any] = self.get("/snapshot")
        return state

    def log(self, after: int = 0, **query: Any) -> Iterator[dict[str, Any]]:
        """Every log entry after `after`."""
        while True:
            page = self.get("/log", after=after, limit=1000, **query)
            entries = page["entries"] if isinstance(page, dict) else page
            if not entries:
                return
            yield from entries
            after = entries[-1]["seq"]


def until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first true value of `condition`; fails naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.25)
    return value


@contextmanager
def run_demo(folder: Path, *arguments: str) -> Iterator[RunningDemo]:
    """Starts `jifang demo` in `folder` and stops it afterwards."""
    command = [sys.executable, "-m", "jifang", "demo", "--data", str(folder), *arguments]
    errors = folder.parent / "demo.err"
    with (
        errors.open("w") as stream,
        subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, text=True) as process,
    ):
        running = None
        try:
            running = _announced(process, folder, errors)
            yield running
        finally:
            if running is not None:
                running.leave()
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def _announced(process: subprocess.Popen[str], folder: Path, errors: Path) -> RunningDemo:
    pattern = re.compile(r"console\s+(\S+).*?name\s+(\S+).*?password\s+(\S+)", re.DOTALL)

    def look() -> re.Match[str] | None:
        assert process.poll() is None, f"the demo ended: {errors.read_text()[-2000:]}"
        return pattern.search(errors.read_text())

    found = until(look, UP_WITHIN_S, "the demo announces its console")
    return RunningDemo(process, folder, found[1], found[2], found[3])
