"""Runs the RTSP server process, tells it what to serve, and brings it back when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("rtsp_server.py")
RESTART_S = 5.0
LISTEN_S = 20.0


class RtspError(Exception):
    """The RTSP server can't be run here; the message names what is missing."""


@dataclass
class Mount:
    """What is served for one camera: access, port once known, what it shows once ready, its states."""

    access: dict[str, object]
    port: int = 0
    shows: dict[str, object] | None = None
    states: set[str] = field(default_factory=set)


class RtspProcess:
    """One process for all cameras. It is told everything anew, ports included, after each restart."""

    def __init__(self, restart_s: float = RESTART_S) -> None:
        self.pid: int | None = None
        self._restart_s = restart_s
        self._mounts: dict[str, Mount] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._listening: dict[str, asyncio.Event] = {}
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""

    async def start(self) -> None:
        """Starts the process and its supervision."""
        self._task = asyncio.create_task(self._supervise(), name="rtsp server")

    async def stop(self) -> None:
        """Ends both."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def serve(self, camera: str, host: str, user: str, password: str) -> int:
        """Listens for a camera; returns its port. Raises RtspError where it doesn't come to that."""
        self._mounts[camera] = Mount({"host": host, "user": user, "password": password})
        self._listening[camera] = asyncio.Event()
        self._tell_mount(camera)
        try:
            await asyncio.wait_for(self._listening[camera].wait(), LISTEN_S)
        except TimeoutError as error:
            raise RtspError(f"{camera}: the RTSP server doesn't listen. {self._complaint}") from error
        return self._mounts[camera].port

    def show(self, camera: str, offset_s: float, streams: dict[str, dict[str, str]]) -> None:
        """The camera has a picture from now on; `streams` is as in rtsp_server.py."""
        shows: dict[str, object] = {"offset_s": offset_s, "streams": streams}
        self._mounts[camera].shows = shows
        self._tell({"do": "show", "id": camera, **shows})

    def set(self, camera: str, state: str, on: bool) -> None:
        """Puts a camera into a state, or takes it out; see rtsp_server.py for their names."""
        mount = self._mounts[camera]
        (mount.states.add if on else mount.states.discard)(state)
        self._tell({"do": "set", "id": camera, "state": state, "on": on})

    def _tell_mount(self, camera: str) -> None:
        mount = self._mounts[camera]
        self._tell({"do": "serve", "id": camera, **mount.access, "port": mount.port})
        if mount.shows is not None:
            self._tell({"do": "show", "id": camera, **mount.shows})
        for state in mount.states:
            self._tell({"do": "set", "id": camera, "state": state, "on": True})

    def _tell(self, order: dict[str, object]) -> None:
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _supervise(self) -> None:
        """Runs the process again and again until cancelled."""
        while True:
            try:
                code = await self._run()
                end = f"ended with {code}"
            except OSError as error:
                self._complaint = end = str(error)
            sys.stderr.write(f"RTSP server: {end}; it is started again in {self._restart_s:.0f} s\n")
            await asyncio.sleep(self._restart_s)

    async def _run(self) -> int | None:
        """One life of the process; its exit status."""
        process = await asyncio.create_subprocess_exec(
            PYTHON,
            str(SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._process, self.pid = process, process.pid
        for camera in self._mounts:
            self._tell_mount(camera)
        try:
            await asyncio.gather(self._hear(process), self._complaints(process))
            return await process.wait()
        finally:
            self._process = self.pid = None
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        async for line in process.stdout:
            said = json.loads(line)
            if said["said"] == "listening" and said["id"] in self._mounts:
                self._mounts[said["id"]].port = said["port"]
                self._listening[said["id"]].set()
            else:
                self._complaint = said.get("reason", "")

    async def _complaints(self, process: asyncio.subprocess.Process) -> None:
        """Keeps the last line of the process's standard error, for whoever asks why it doesn't listen."""
        if process.stderr is None:
            return
        async for line in process.stderr:
            self._complaint = line.decode(errors="replace").strip()
