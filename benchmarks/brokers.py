"""A Mosquitto for a benchmark, configured as the product configures its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from jifang.mosquitto import Accounts, OwnBroker
from jifang.ports import free_port
from wire.bus import Broker

ACCOUNTS = Accounts(internal="benchmark-internal", field="benchmark-field")

Saving: TypeAlias = Callable[[str], str]
"""The product's configuration → the configuration to run."""


def own_broker(folder: Path) -> OwnBroker:
    """The product's broker on a free port, its data in `folder`."""
    return OwnBroker(folder=folder, host="127.0.0.1", port=free_port(), accounts=ACCOUNTS)


def broker_at(port: int) -> Broker:
    """How a part of ours signs in to the benchmark's broker on `port`."""
    return OwnBroker(folder=Path(), host="127.0.0.1", port=port, accounts=ACCOUNTS).as_internal()


def as_configured(configuration: str) -> str:
    """The product's own way of saving."""
    return configuration


def saving(*lines: str) -> Saving:
    """The product's configuration, but with these lines about saving in place of its own."""

    def change(configuration: str) -> str:
        kept = [line for line in configuration.splitlines() if not line.startswith("autosave_")]
        return "\n".join((*kept, *lines)) + "\n"

    return change


AT_ITS_END = saving("autosave_interval 0")
"""Saves when it ends in order, and only then: for filling queues quickly."""


@contextmanager
def running(broker: OwnBroker, how: Saving = as_configured) -> Iterator[subprocess.Popen[bytes]]:
    """Runs it until the end of the block; killed inside, it is simply gone."""
    process = started(broker, how)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def started(broker: OwnBroker, how: Saving = as_configured) -> subprocess.Popen[bytes]:
    """Starts it and waits until it listens. The caller ends it."""
    command = broker.prepare()
    configuration = broker.folder / "mosquitto.conf"
    configuration.write_text(how(configuration.read_text()))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(broker.port)
    return process


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
