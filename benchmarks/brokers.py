"""A Mosquitto for a benchmark, configured as the product configures its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jifang.mosquitto import Accounts, OwnBroker
from jifang.ports import free_port


def own_broker(folder: Path) -> OwnBroker:
    """The product's broker on a free port, its data in `folder`."""
    accounts = Accounts(internal="benchmark-internal", field="benchmark-field")
    return OwnBroker(folder=folder, host="127.0.0.1", port=free_port(), accounts=accounts)


@contextmanager
def running(broker: OwnBroker, *, save_on_change: bool = True) -> Iterator[None]:
    """Runs it. Without `save_on_change` it saves at its end only: for filling queues quickly."""
    command = broker.prepare()
    if not save_on_change:
        _save_at_end(broker.folder)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(broker.port)
            yield
        finally:
            process.terminate()


def _save_at_end(folder: Path) -> None:
    for file in folder.rglob("*.conf"):
        text = file.read_text()
        file.write_text(text.replace("autosave_on_changes true", "autosave_on_changes false"))


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
