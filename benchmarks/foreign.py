"""What saving on change costs at the broker, and what it saves: devices that aren't ours, at QoS 1.

They can't send again what the broker acknowledged. So while the adapters are away the broker alone holds it,
and what it holds must outlive it. Three ways of saving on the product's configuration, each with the adapters
away and there: messages a second acknowledged to the devices, and how many of those are lost when the broker
is killed -9 right after the last acknowledgement. Mosquitto acknowledges a message in the turn of its loop at
whose end it saves it: what it acknowledged in the turn in which it died is lost, on change too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.brokers import Saving, as_configured, own_broker, saving, started
from jifang.mosquitto import OwnBroker
from wire.bus import Message, MqttBus

WAYS: Mapping[str, Saving] = {
    "ours": as_configured,
    "every_second": saving("autosave_interval 1"),
    "defaults": saving("autosave_interval 1800"),
}
"""Mosquitto's own defaults save every 30 minutes and at an orderly end."""
AWAY, THERE = "away", "there"
TOPIC = "homes/{device}/state"
ALL = "homes/+/state"
LAST = b"last"
PATIENCE_S = 300.0


@dataclass(slots=True)
class Devices:
    """Devices of somebody else's make: each its own connection, 20 messages in flight (paho's default)."""

    broker: OwnBroker
    count: int
    sent: int
    acknowledged_at: list[float] = field(default_factory=list)
    _all: threading.Event = field(default_factory=threading.Event)

    def publish(self) -> float:
        """Publishes everything; seconds until the broker has acknowledged the last one."""
        clients = [self._connected(number) for number in range(self.count)]
        began = time.perf_counter()
        for number in range(self.sent):
            device = number % self.count
            clients[device].publish(TOPIC.format(device=device), _payload(number), qos=1)
        if not self._all.wait(PATIENCE_S):
            raise TimeoutError(f"{len(self.acknowledged_at)} of {self.sent} acknowledged")
        took = self.acknowledged_at[-1] - began
        for client in clients:
            client.disconnect()
            client.loop_stop()
        self.acknowledged_at = [one - began for one in self.acknowledged_at]
        return took

    def _connected(self, number: int) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"device-{number}", protocol=MQTTProtocolVersion.MQTTv311
        )
        access = self.broker.as_field()
        client.username_pw_set(access.user, access.password)
        client.max_queued_messages_set(0)
        up = threading.Event()
        client.on_connect = lambda *_: up.set()
        client.on_publish = self._acknowledged
        client.connect(access.host, access.port)
        client.loop_start()
        if not up.wait(30):
            raise TimeoutError("a device could not connect")
        return client

    def _acknowledged(self, *_: Any) -> None:
        self.acknowledged_at.append(time.perf_counter())
        if len(self.acknowledged_at) == self.sent:
            self._all.set()


def _payload(number: int) -> bytes:
    """What a panel of an alarm convention says, 180 bytes."""
    told = json.dumps({"n": number, "state": "armed_away", "zone": number % 16, "battery": 13.2})
    return told.encode().ljust(180)


class Adapters:
    """The listening side: a persistent session under the adapters' own client id."""

    def __init__(self, broker: OwnBroker) -> None:
        self.got: set[int] = set()
        self.heard_last = threading.Event()
        self._bus = MqttBus(broker.as_internal(), "adapters")
        self._bus.consume(ALL, self._hear)
        self._bus.start()

    def _hear(self, message: Message) -> None:
        if message.payload == LAST:
            self.heard_last.set()
        else:
            self.got.add(int(json.loads(message.payload)["n"]))
        message.ack()

    def stop(self) -> None:
        """Goes away; the session stays."""
        self._bus.stop()

    def wait_until_subscribed(self) -> None:
        """Until what is published arrives."""
        self.catch_up()
        self.heard_last.clear()

    def catch_up(self) -> None:
        """Until everything that the broker holds for the session has been delivered."""
        sender = MqttBus(self._bus._broker, "bench-last", persistent=False)
        sender.start()
        deadline = time.monotonic() + PATIENCE_S
        while not self.heard_last.wait(0.2):
            if sender.connected:
                sender.publish(TOPIC.format(device="last"), LAST)
            if time.monotonic() > deadline:
                raise TimeoutError("the broker did not deliver what it holds")
        sender.stop()


@dataclass(frozen=True, slots=True)
class Run:
    """One way of saving, with the adapters away or there."""

    per_s: float
    lost: int
    acknowledged_at: tuple[float, ...]


def run(way: str, situation: str, count: int, devices: int, folder: Path) -> Run:
    """Publishes, kills the broker, starts it again, and counts what is delivered after all."""
    broker = own_broker(folder / "broker")
    process = started(broker, WAYS[way])
    try:
        adapters = Adapters(broker)
        adapters.wait_until_subscribed()
        if situation == AWAY:
            adapters.stop()
        field_side = Devices(broker, devices, count)
        took = field_side.publish()
        process.kill()
        process.wait(30)
        if situation == AWAY:
            got: set[int] = set()
        else:
            adapters.stop()
            got = adapters.got
        process = started(broker, WAYS[way])
        after = Adapters(broker)
        after.catch_up()
        after.stop()
        lost = count - len(got | after.got)
    finally:
        process.kill()
        process.wait(30)
    return Run(count / took, lost, tuple(field_side.acknowledged_at))


def measure(count: int, rounds: int, devices: int) -> dict[str, Any]:
    """Every way and situation, in turns; medians, and losses added up."""
    load = round(os.getloadavg()[0], 1)
    runs: dict[tuple[str, str], list[Run]] = {}
    with tempfile.TemporaryDirectory(prefix="jifang-bench-") as name:
        for number in range(rounds):
            for situation in (AWAY, THERE):
                for way in WAYS:
                    one = run(way, situation, count, devices, Path(name) / f"{way}-{situation}-{number}")
                    runs.setdefault((way, situation), []).append(one)
                    words = f"round {number + 1} of {rounds}: {way}, adapters {situation}"
                    print(f"{words}: {one.per_s:.0f}/s, lost {one.lost}", file=sys.stderr, flush=True)
    figures: dict[str, Any] = {}
    baseline: dict[str, Any] = {}
    for (way, situation), found in runs.items():
        into, suffix = (figures, "") if way == "ours" else (baseline, f"_{way}")
        into[f"{situation}_per_s{suffix}"] = round(median(one.per_s for one in found))
        into[f"{situation}_lost{suffix}"] = sum(one.lost for one in found)
    figures["away_queue_curve"] = {way: _curve(runs[way, AWAY][0], count) for way in WAYS}
    return {
        "name": "foreign",
        "figures": figures,
        "baseline": baseline,
        "ratio": round(figures["away_per_s"] / max(1, baseline["away_per_s_defaults"]), 3),
        "conditions": {
            "messages": count,
            "rounds": rounds,
            "devices": devices,
            "bytes_a_message": 180,
            "killed": "kill -9 right after the last acknowledgement, once a run",
            "cores": os.cpu_count(),
            "load_1m_before": load,
            "python": platform.python_version(),
        },
    }


def _curve(one: Run, count: int, points: int = 10) -> list[int]:
    """Messages a second while the queue grew, tenth by tenth."""
    step = max(1, count // points)
    marks = [0.0, *one.acknowledged_at[step - 1 :: step]]
    return [round(step / max(1e-6, later - earlier)) for earlier, later in pairwise(marks)]


def main() -> None:
    """Prints progress, and the result as one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000, help="messages a run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--short", action="store_true", help="runs in seconds; proves it runs, not a figure")
    given = parser.parse_args()
    if given.short:
        given.count, given.rounds, given.devices = 200, 1, 4
    print(json.dumps(measure(given.count, given.rounds, given.devices), ensure_ascii=False))


if __name__ == "__main__":
    main()
