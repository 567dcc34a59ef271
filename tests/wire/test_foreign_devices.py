"""Devices that aren't ours: what the broker acknowledged while the adapters are away outlives its kill -9."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from jifang.mosquitto import Accounts, OwnBroker
from jifang.ports import free_port
from tests.conftest import wait_for_port
from wire.bus import Message, MqttBus

COUNT = 60


def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Waits for `condition`."""
    idle = threading.Event()
    for _ in range(int(within_s / 0.02)):
        if condition():
            return
        idle.wait(0.02)
    raise AssertionError("it didn't happen in time")


def started(broker: OwnBroker) -> subprocess.Popen[bytes]:
    """The broker as the product runs it."""
    process = subprocess.Popen(broker.prepare(), stderr=subprocess.DEVNULL)
    wait_for_port(broker.port)
    return process


def test_what_was_acknowledged_to_a_foreign_device_survives_the_brokers_kill(tmp_path: Path) -> None:
    accounts = Accounts(internal="internal-test-password", field="field-test-password")
    broker = OwnBroker(folder=tmp_path / "mosquitto", host="127.0.0.1", port=free_port(), accounts=accounts)
    process = started(broker)
    try:
        adapters = MqttBus(broker.as_internal(), "adapters-alarm")
        adapters.consume("homes/+/state", lambda _message: None)
        adapters.start()
        until(lambda: adapters.connected)
        device = MqttBus(broker.as_field(), "foreign", persistent=False)
        device.start()
        until(lambda: device.connected)
        heard = threading.Event()

        def hear(message: Message) -> None:
            message.ack()
            heard.set()

        def asked() -> bool:
            device.publish("homes/probe", b"?").result(10)
            return heard.is_set()

        adapters.consume("homes/probe", hear)
        until(asked)
        adapters.stop()  # away; the session stays

        for number in range(COUNT):
            device.publish("homes/h1/state", b"state-%d" % number).result(20)
        database = broker.folder / "mosquitto.db"
        until(lambda: b"state-%d" % (COUNT - 1) in database.read_bytes())
        process.kill()
        process.wait(20)
        device.stop()

        process = started(broker)
        taken: list[str] = []

        def take(message: Message) -> None:
            taken.append(message.payload.decode())
            message.ack()

        back = MqttBus(broker.as_internal(), "adapters-alarm")
        back.consume("homes/+/state", take)
        back.start()
        until(lambda: len(taken) >= COUNT)
        assert taken == [f"state-{number}" for number in range(COUNT)]
        back.stop()
    finally:
        process.kill()
        process.wait(20)
