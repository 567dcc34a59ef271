"""A line over a broker that is killed and comes back: nothing lost, in order, each acknowledged once."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from jifang.mosquitto import Accounts, OwnBroker
from simulator.ledger import Ledger
from simulator.line import Access, Line, Will
from tests.conftest import wait_for_port


def wait_until(condition: Callable[[], object], what: str, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)


def start(broker: OwnBroker) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(broker.prepare(), stderr=subprocess.DEVNULL)
    wait_for_port(broker.port)
    return process


def listener(broker: OwnBroker, heard: list[int]) -> paho.Client:
    """A consumer with a persistent session, as the product's adapters are."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="consumer", clean_session=False)
    client.username_pw_set("jifang", broker.accounts.internal)
    client.reconnect_delay_set(1, 1)
    ready = threading.Event()
    client.on_message = lambda _client, _data, message: heard.append(int(message.payload))
    client.on_subscribe = lambda *_: ready.set()
    client.connect(broker.host, broker.port)
    client.subscribe("device/state", qos=1)  # once: the session keeps it
    client.loop_start()
    assert ready.wait(10)
    return client


def test_a_killed_broker_costs_no_message_and_no_order(tmp_path: Path, free_port: Callable[[], int]) -> None:
    broker = OwnBroker(tmp_path / "broker", "127.0.0.1", free_port(), Accounts(internal="i", field="f"))
    ledger_file = tmp_path / "ledger.jsonl"
    heard: list[int] = []
    process = start(broker)
    client = listener(broker, heard)
    with Ledger(ledger_file) as ledger:
        line = Line(
            Access(broker.host, broker.port, "field", "f"),
            "device-1",
            ledger,
            will=Will("device/will", b"offline", retain=True),
        )
        line.start()

        def say(number: int) -> None:
            line.send("device/state", str(number).encode(), retain=True, entry={"at": "", "n": number})

        try:
            for number in range(20):
                say(number)
            wait_until(lambda: line.idle, "the first are acknowledged")
            say(20)
            process.kill()
            process.wait()
            for number in range(21, 40):
                say(number)
            wait_until(lambda: not line.up, "the loss is noticed")
            assert ledger.written in (20, 21)
            process = start(broker)
            wait_until(lambda: line.idle, "all are acknowledged")
            wait_until(lambda: heard and heard[-1] == 39, "all are heard")
        finally:
            line.stop()
            client.disconnect()
            client.loop_stop()
            process.terminate()
            process.wait()
    acknowledged = [json.loads(text)["n"] for text in ledger_file.read_text(encoding="utf-8").splitlines()]
    assert acknowledged == list(range(40)), "each once, in order"
    assert sorted(set(heard)) == list(range(40))
    firsts = [number for i, number in enumerate(heard) if number not in heard[:i]]
    assert firsts == list(range(40)), "the order in which they came about"


def test_what_a_device_sends_before_it_is_connected_waits(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    broker = OwnBroker(tmp_path / "broker", "127.0.0.1", free_port(), Accounts(internal="i", field="f"))
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        line = Line(
            Access(broker.host, broker.port, "field", "f"),
            "device-2",
            ledger,
            will=Will("device/will", b"offline", retain=True),
        )
        line.send("device/state", b"1", retain=True, entry={"at": ""})
        line.start()
        assert not line.idle
        process = start(broker)
        try:
            wait_until(lambda: line.idle, "acknowledged once there is a broker")
            assert ledger.written == 1
        finally:
            line.stop()
            process.terminate()
            process.wait()
