"""Fixtures that every wing's tests share: a real Mosquitto and free ports."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from jifang.mosquitto import Accounts, OwnBroker
from jifang.ports import free_port as find_free_port
from wire.bus import Broker


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    """A real Mosquitto, configured as the product configures it."""
    broker = OwnBroker(
        folder=tmp_path_factory.mktemp("mosquitto"),
        host="127.0.0.1",
        port=find_free_port(),
        accounts=Accounts(internal="internal-test-password", field="field-test-password"),
    )
    with subprocess.Popen(broker.prepare(), stderr=subprocess.DEVNULL) as process:
        wait_for_port(broker.port)
        yield broker
        process.terminate()


@pytest.fixture(scope="session")
def broker(own_broker: OwnBroker) -> Broker:
    """The session's Mosquitto, signed in as one of our own parts."""
    return own_broker.as_internal()


@pytest.fixture(scope="session")
def field_broker(own_broker: OwnBroker) -> Broker:
    """The session's Mosquitto, signed in as a device."""
    return own_broker.as_field()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a free TCP port of loopback."""
    return find_free_port


def wait_for_port(port: int, timeout_s: float = 10.0) -> None:
    """Returns when something listens on `port`; raises `TimeoutError` otherwise."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
