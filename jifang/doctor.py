"""`jifang doctor`: what this machine has and lacks, with what to do about it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from hub.store.trial import complaint
from jifang.mosquitto import BrokerMissing, find
from jifang.parts import console_folder
from jifang.ports import is_free
from jifang.settings import Settings, SettingsError, external_broker

LEAST_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    well: bool
    advice: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Looks at everything; changes nothing."""
    return [
        Finding("Python 3.11", sys.version_info[:2] == (3, 11), "install Python 3.11"),
        _broker(settings),
        Finding("控制台已构建 · console built", console_folder() is not None, "make setup"),
        _port("http.port", settings.http.host, settings.http.port),
        _port("jt808.port", settings.jt808.host, settings.jt808.port),
        _store(settings),
        _disk(settings.folder),
    ]


def _broker(settings: Settings) -> Finding:
    try:
        external = external_broker(settings.broker)
        where = f"{external.host}:{external.port}" if external else find("mosquitto")
    except (BrokerMissing, SettingsError) as error:
        return Finding("Mosquitto", False, str(error))
    return Finding(f"Mosquitto: {where}", True)


def _store(settings: Settings) -> Finding:
    """Reached, written to, and taken back; beside a hub that runs as well."""
    try:
        wrong = complaint(settings.store_url)
    except SettingsError as error:
        wrong = str(error)
    kind = "PostgreSQL" if settings.store.url.startswith("postgresql") else "SQLite"
    return Finding(f"存储可写 · store can be written: {kind}", not wrong, wrong)


def _port(name: str, host: str, port: int) -> Finding:
    return Finding(f"{name} = {port}", is_free(port, host), f"{host}:{port} is taken: set another {name}")


def _disk(folder: Path) -> Finding:
    existing = next(one for one in (folder.resolve(), *folder.resolve().parents) if one.exists())
    free = shutil.disk_usage(existing).free
    return Finding(
        f"磁盘 · disk: {free // 1_000_000_000} GB free at {existing}",
        free >= LEAST_FREE_BYTES,
        "at least 2 GB are needed; 30 days of recording need far more",
    )
