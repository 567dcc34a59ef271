"""Fixtures that every wing's tests share: real Mosquitto and PostgreSQL, a fresh store's URL, free ports."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from jifang.mosquitto import Accounts, OwnBroker
from jifang.ports import free_port as find_free_port
from tests.postgresql import PostgreSQL, discard, fresh
from wire.bus import Broker

_DATABASES = count(1)


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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The session's PostgreSQL. A test that kills it starts it again before it ends."""
    server = fresh(quick=True)
    server.start()
    yield server
    discard(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a store that doesn't exist yet, on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/hub.db"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = f"store_{next(_DATABASES)}"
    yield server.database(name)
    server.drop(name)


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
