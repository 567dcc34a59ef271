"""Runs our parts as processes of their own: starts, logs, restarts what dies, stops in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import logging.handlers
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from wire.link import Backoff, supervise

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 10.0
PROVED_AFTER_S = 5.0
LAST_WORDS_S = 1.0
MAX_LOG_BYTES = 20_000_000
MAX_LINE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class PartEnded(RuntimeError):
    """A part that should run for ever has ended."""


class Supervisor:
    """Keeps parts running; output goes to `{folder}/logs/{name}.log`, pids to `{folder}/run/{name}.pid`."""

    def __init__(self, folder: Path, *, told: Callable[[str, str], None] = lambda _name, _what: None) -> None:
        self._logs = folder / "logs"
        self._run = folder / "run"
        self._told = told
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping: set[str] = set()
        self._logs.mkdir(parents=True, exist_ok=True)
        self._run.mkdir(parents=True, exist_ok=True)

    def start(self, part: Part) -> None:
        """Starts `part` and keeps it running until `stop`."""
        self._tasks[part.name] = asyncio.create_task(
            supervise(
                part.name,
                lambda proved: self._live(part, proved),
                down=lambda reason: self._told(part.name, reason),
                backoff=Backoff(first_s=0.3, most_s=5.0),
            )
        )

    def pid(self, name: str) -> int | None:
        """Process id of a running part."""
        process = self._processes.get(name)
        return process.pid if process and process.returncode is None else None

    async def stop(self, name: str, within_s: float = STOP_WITHIN_S) -> None:
        """Ends a part: SIGTERM, then SIGKILL after `within_s`."""
        task = self._tasks.pop(name, None)
        if task is None:
            return
        self._stopping.add(name)
        process = self._processes.get(name)
        if process is not None and process.returncode is None:
            await _end(process, within_s)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        self._stopping.discard(name)

    async def stop_all(self) -> None:
        """Ends every part, last started first."""
        for name in reversed(list(self._tasks)):
            await self.stop(name)

    async def _live(self, part: Part, proved: Callable[[], None]) -> None:
        async with _pipe() as (output, end):
            process = await asyncio.create_subprocess_exec(
                *_die_with_us(part.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=end,
                stderr=end,
                env={**os.environ, **part.environment},
            )
            os.close(end)
            self._processes[part.name] = process
            (self._run / f"{part.name}.pid").write_text(str(process.pid))
            self._told(part.name, "started")
            began = time.monotonic()
            copying = asyncio.create_task(self._copy(part.name, output))
            try:
                code = await process.wait()
                # A grandchild may still hold the pipe open: last words are waited for, but not for ever.
                await asyncio.wait({copying}, timeout=LAST_WORDS_S)
            finally:
                copying.cancel()
        if part.name in self._stopping:
            await asyncio.get_running_loop().create_future()  # until `stop` cancels us: no fault, no restart
        if time.monotonic() - began > PROVED_AFTER_S:
            proved()
        raise PartEnded(f"exit status {code}")

    async def _copy(self, name: str, output: asyncio.StreamReader) -> None:
        handler = logging.handlers.RotatingFileHandler(
            self._logs / f"{name}.log", maxBytes=MAX_LOG_BYTES, backupCount=3, encoding="utf-8"
        )
        rest = b""
        try:
            while chunk := await output.read(65536):
                lines, _, rest = (rest + chunk).rpartition(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    lines, rest = lines + b"\n" + rest, b""
                if lines:
                    handler.emit(_record(lines))
            if rest:
                handler.emit(_record(rest))
        finally:
            handler.close()


@contextlib.asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """A pipe of our own: what we read from, and the end a child writes to. Ours is closed at the end."""
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", 0)
    )
    try:
        yield reader, theirs
    finally:
        transport.close()


def _record(lines: bytes) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": lines.decode(errors="replace"), "levelno": logging.INFO})


def _die_with_us(command: Sequence[str]) -> list[str]:
    """Has the kernel end the child when we die by SIGKILL; without setpriv it outlives us."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else list(command)


async def _end(process: asyncio.subprocess.Process, within_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), within_s)
    except TimeoutError:
        log.warning("part had to be killed", pid=process.pid)
        process.kill()
        await process.wait()
