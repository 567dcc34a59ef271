"""Draining a backlog through a real Mosquitto into the log, beside the same store without MQTT.

A backlog waits at the broker for the hub's session; the hub connects, takes it in, stores it in transactions
and acknowledges each message after the commit. The floor: the same observations, already decoded, through the
same transactions into a fresh store, without broker and decoding. Desk, registers and disk are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.brokers import own_broker, running
from hub.desk import Desk
from hub.intake import MAX_BATCH, Intake, understood
from hub.registers import Registers
from hub.sitefile import parse
from hub.store import log as stored_log
from hub.store.blobs import Blobs
from hub.store.engine import Store
from hub.watch import Watch
from wire import codec, topics
from wire.bus import Broker, Handler, LinkListener, Message, MqttBus, RequestTimeout
from wire.observations import Body, Condition, Heartbeat, Motion, Observation, PointState, Position

SENDER = "bench"
CAMERAS, PANELS, UNITS = 12, 40, 8
"""The demo's district."""


class NoBus:
    """A bus that carries nothing: what remains of intake without MQTT."""

    connected = True

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Future[None]:  # noqa: ARG002
        """Nobody hears it."""
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def consume(self, pattern: str, handler: Handler) -> None:
        """Nothing comes."""

    def forget(self, pattern: str) -> None:
        """Nothing came."""

    def on_link(self, listener: LinkListener) -> None:
        """It never changes."""

    def request(self, wing: str, verb: str, payload: bytes, *, timeout_s: float) -> Future[bytes]:  # noqa: ARG002
        """Nobody answers."""
        silence: Future[bytes] = Future()
        silence.set_exception(RequestTimeout(f"{wing}/{verb}: nobody is there"))
        return silence

    def serve(self, wing: str, verb: str, answer: Any) -> None:
        """Nobody asks."""


@dataclass(slots=True)
class Receiver:
    """The hub from intake to log, over a fresh store."""

    store: Store
    intake: Intake

    def stored(self) -> int:
        """Up to which number the backlog is committed."""
        return sum(self.store.query(stored_log.marks).values())


@contextmanager
def receiver(folder: Path, bus: Any) -> Iterator[Receiver]:
    """Store, registers, desk, watch and intake, as the hub composes them."""
    store = Store.open(f"sqlite:///{folder}/hub.db")
    try:
        registers = Registers.load(store, folder / "seal.key")
        site = parse(json.dumps(district()).encode())
        store.enqueue(lambda tx: registers.import_site(tx, site, "benchmark")).result()
        desk = Desk(store, registers)
        watch = Watch(store, desk, registers, datetime.now(UTC))
        yield Receiver(store, Intake(bus, store, desk, registers, Blobs(folder / "stills"), watch))
    finally:
        store.close()


def district() -> dict[str, Any]:
    """A site file of the demo's size."""
    return {
        "places": [{"id": "xz", "name": "徐州市", "level": "city"}],
        "sites": [
            {
                "id": f"s-{n}",
                "name": f"场所{n}",
                "class": "market",
                "place": "xz",
                "lat": 34.26,
                "lon": 117.19,
            }
            for n in range(PANELS)
        ],
        "cameras": [
            {"id": f"c-{n:02}", "name": f"摄像机{n}", "site": f"s-{n}", "rtsp_main": f"rtsp://127.0.0.1/{n}"}
            for n in range(CAMERAS)
        ],
        "panels": [
            {
                "id": f"p-{n:02}",
                "name": f"主机{n}",
                "site": f"s-{n}",
                "convention": "homeassistant",
                "topic": f"p{n}",
                "zones": [{"key": "1", "name": "后门", "condition": "intrusion"}],
            }
            for n in range(PANELS)
        ],
        "units": [
            {
                "id": f"u-{n:02}",
                "name": f"苏C-{n:04}",
                "place": "xz",
                "tracker": {"protocol": "owntracks", "address": f"car/u{n}"},
            }
            for n in range(UNITS)
        ],
    }


def backlog(count: int, seed: int) -> list[codec.Envelope]:
    """What a district sends: 70 % positions, 15 % heartbeats, 10 % motion, 5 % zones that open and close."""
    chance = random.Random(seed)
    start = datetime.now(UTC) - timedelta(seconds=60)
    return [
        codec.Envelope(
            sender=SENDER,
            epoch=f"e{seed}",
            seq=number,
            observation=_observation(chance, number, start + timedelta(milliseconds=number)),
        )
        for number in range(1, count + 1)
    ]


def _observation(chance: random.Random, number: int, at: datetime) -> Observation:
    kind = chance.random()
    body: Body
    if kind < 0.70:
        source = f"tracker:u-{chance.randrange(UNITS):02}"
        body = Position(
            lat=round(34.2 + chance.random() / 10, 6),
            lon=round(117.1 + chance.random() / 10, 6),
            speed_kmh=round(chance.random() * 60, 1),
            course_deg=float(chance.randrange(360)),
            serial=str(number % 65536),
        )
        return Observation(source=source, body=body, heard_at=at, device_at=at, id=f"{source}:{number}")
    if kind < 0.85:
        source, body = f"panel:p-{chance.randrange(PANELS):02}", Heartbeat()
    elif kind < 0.95:
        source = f"camera:c-{chance.randrange(CAMERAS):02}"
        body = Motion(active=bool(number % 2), event=f"m{number // 2}", peak=round(chance.random(), 3))
    else:
        source = f"panel:p-{chance.randrange(PANELS):02}"
        body = PointState(point="zone:1", condition=Condition.INTRUSION, active=bool(number % 2))
    return Observation(source=source, body=body, heard_at=at, id=f"{SENDER}:{number}")


def floor_rate(envelopes: Sequence[codec.Envelope], folder: Path) -> float:
    """Observations a second into the store without MQTT and without decoding."""
    with receiver(folder, NoBus()) as hub:
        batches = [
            _delivered(envelopes[start : start + MAX_BATCH]) for start in range(0, len(envelopes), MAX_BATCH)
        ]
        began = time.perf_counter()
        for batch in batches:
            hub.intake._take(batch)
        took = time.perf_counter() - began
        assert hub.stored() == len(envelopes)
    return len(envelopes) / took


def _delivered(envelopes: Sequence[codec.Envelope]) -> Any:
    """As intake holds them once they are decoded."""
    payload = codec.joined([codec.encode(envelope) for envelope in envelopes])
    return understood(Message(topics.OBSERVATIONS.format(sender=SENDER), payload, False, False, 0, _nothing))


def _nothing() -> None:
    """No broker waits for an acknowledgement."""


def drain_rate(envelopes: Sequence[codec.Envelope], folder: Path, together: int) -> float:
    """Observations a second from the broker's queue into the log, acknowledged after commit.

    `together`: observations in one message, as a courier sends them.
    """
    broker = own_broker(folder / "broker")
    with running(broker, save_on_change=False):
        _fill(broker.as_internal(), envelopes, together)
    with running(broker):
        bus = MqttBus(broker.as_internal(), "hub")
        with receiver(folder, bus) as hub:
            committed = threading.Event()
            hub.store.on_commit(lambda _: committed.set())
            hub.intake.start()
            began = time.perf_counter()
            bus.start()
            while hub.stored() < len(envelopes):
                committed.wait(0.05)
                committed.clear()
            took = time.perf_counter() - began
            _check(hub, len(envelopes))
            hub.intake.stop()
        bus.stop()
    return len(envelopes) / took


def _fill(broker: Broker, envelopes: Sequence[codec.Envelope], together: int) -> None:
    """Leaves the backlog at the broker, for the hub's session."""
    hub = MqttBus(broker, "hub")
    subscribed = threading.Event()

    def heard(message: Message) -> None:
        message.ack()
        subscribed.set()

    hub.consume(topics.ALL_OBSERVATIONS, heard)
    hub.start()
    field = MqttBus(broker, "bench-field", persistent=False)
    field.start()
    topic = topics.OBSERVATIONS.format(sender=SENDER)
    while not subscribed.wait(0.05):
        if field.connected:
            field.publish(topic, b"are you there?").result(5)
    hub.stop()
    payloads = [codec.encode(envelope) for envelope in envelopes]
    groups = [payloads[start : start + together] for start in range(0, len(payloads), together)]
    for done in [field.publish(topic, codec.joined(group)) for group in groups]:
        done.result(60)
    field.stop()


def _check(hub: Receiver, count: int) -> None:
    """Every observation is stored exactly once, and the chain holds."""
    sql = "select (select count(*) from positions) + (select count(*) from heartbeats)"
    fixes = hub.store.query(lambda connection: connection.exec_driver_sql(sql).scalar_one())
    logged = hub.store.query(
        lambda connection: connection.exec_driver_sql("select count(*) from observation_ids").scalar_one()
    )
    assert fixes + logged == count, f"{fixes} + {logged} stored of {count}"
    assert hub.store.query(stored_log.verify) == (hub.store.head, None)


def measure(count: int, rounds: int, together: int) -> dict[str, Any]:
    """Floor and drains in turn; the best of each counts, as the machine is shared."""
    floors, drains, singly = [], [], []
    with tempfile.TemporaryDirectory(prefix="jifang-bench-") as name:
        folder = Path(name)
        for number in range(rounds):
            envelopes = backlog(count, number)
            floors.append(round(floor_rate(envelopes, folder / f"floor-{number}")))
            drains.append(round(drain_rate(envelopes, folder / f"drain-{number}", together)))
            singly.append(round(drain_rate(envelopes, folder / f"single-{number}", 1)))
            told = f"floor {floors[-1]}/s, drain {drains[-1]}/s, one a message {singly[-1]}/s"
            print(f"round {number + 1} of {rounds}: {told}", flush=True)
    return {
        "name": "intake",
        "figures": {
            "observations_per_s": max(drains),
            "rounds": drains,
            "one_a_message_per_s": max(singly),
            "one_a_message_ratio": round(max(singly) / max(floors), 3),
            "lost": 0,
            "doubled": 0,
        },
        "baseline": {"group_commit_per_s": max(floors), "rounds": floors},
        "ratio": round(max(drains) / max(floors), 3),
        "conditions": {
            "observations": count,
            "observations_a_message": together,
            "mix": "70 % positions, 15 % heartbeats, 10 % motion, 5 % zones",
            "batch": MAX_BATCH,
            "store": "SQLite WAL, synchronous=FULL",
            "broker": "Mosquitto, saving on change",
            "cores": os.cpu_count(),
            "load_1m": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
        },
    }


def main() -> None:
    """Prints progress, and the result as one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="observations in a backlog")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--together", type=int, default=50, help="observations in one message")
    given = parser.parse_args()
    print(json.dumps(measure(given.count, given.rounds, given.together), ensure_ascii=False))


if __name__ == "__main__":
    main()
