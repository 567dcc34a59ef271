"""`jifang serve`: every part of the settings, supervised, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import structlog

from jifang.parts import lay_out, parts
from jifang.settings import Settings, dump
from jifang.supervisor import Supervisor
from wire import journal

log = structlog.get_logger(__name__)


async def serve(settings: Settings, settings_file: Path) -> None:
    """Runs until told to stop. Raises `SettingsError`, `BrokerMissing`."""
    journal.configure("supervisor")
    settings.folder.mkdir(parents=True, exist_ok=True)
    if not settings_file.exists():
        # The parts read the same file, so defaults are written down once and can be edited.
        settings_file.write_text(dump(settings), encoding="utf-8")
    supervisor = Supervisor(settings.folder, told=lambda name, what: log.info("part", name=name, what=what))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    for part in parts(lay_out(settings, settings_file)):
        supervisor.start(part)
    log.info("console", address=f"http://{settings.http.host}:{settings.http.port}")
    await stop.wait()
    await supervisor.stop_all()
