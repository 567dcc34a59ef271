"""The hub from intake to log, as the hub composes it; with a bus or none, or as a process to be killed."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho

from benchmarks.backlog import district
from benchmarks.brokers import broker_at
from hub.desk import Desk
from hub.intake import Intake
from hub.registers import Registers
from hub.sitefile import parse
from hub.store import log as stored_log
from hub.store.blobs import Blobs
from hub.store.engine import Store
from hub.watch import Watch
from wire.bus import Bus, Handler, LinkListener, MqttBus, RequestTimeout

AT_COMMIT, BY_LIBRARY = "commit", "library"
"""When a message is acknowledged to the broker: after the commit, or by paho as soon as it is delivered."""


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


class AutoAckBus(MqttBus):
    """The bus as it would be with paho's own acknowledgement: at delivery, before anything is stored."""

    def _make_client(self) -> paho.Client:
        client = super()._make_client()
        client.manual_ack_set(False)
        return client


BUSES: dict[str, type[MqttBus]] = {AT_COMMIT: MqttBus, BY_LIBRARY: AutoAckBus}


@dataclass(slots=True)
class Receiver:
    """The hub from intake to log."""

    store: Store
    intake: Intake

    def stored(self) -> int:
        """Up to which number each sender's backlog is committed, added up."""
        return sum(self.store.query(stored_log.marks).values())


@contextmanager
def receiver(url: str, folder: Path, bus: Bus) -> Iterator[Receiver]:
    """Store, registers, desk, watch and intake over the database at `url`; files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store.open(url)
    try:
        registers = Registers.load(store, folder / "seal.key")
        site = parse(json.dumps(district()).encode())
        store.enqueue(lambda tx: registers.import_site(tx, site, "benchmark")).result()
        desk = Desk(store, registers)
        watch = Watch(store, desk, registers, datetime.now(UTC))
        yield Receiver(store, Intake(bus, store, desk, registers, Blobs(folder / "stills"), watch))
    finally:
        store.close()


def main() -> None:
    """A process that takes in what waits at the broker, until it is ended or killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="SQLAlchemy URL, without a password")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True, help="of the benchmark's broker")
    parser.add_argument("--ack", choices=list(BUSES), required=True)
    given = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    bus = BUSES[given.ack](broker_at(given.port), "hub")
    with receiver(given.store, given.folder, bus) as hub:
        hub.intake.start()
        bus.start()
        ended.wait()
        hub.intake.stop()
    bus.stop()


if __name__ == "__main__":
    main()
