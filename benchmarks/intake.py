"""A backlog drained through a real Mosquitto into the log, beside the same stores without MQTT.

A backlog waits at the broker for the hub's session; the hub connects, takes it in, stores it in transactions
and acknowledges each message after the commit. The floor: the same observations, already decoded, through the
same transactions into a fresh store, without broker and decoding. Beside it, the way paho does it by itself:
acknowledged at delivery. How much faster that is, and what it loses when the hub is killed in mid-drain, is
measured with a hub process that is killed -9.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import sqlalchemy as sa

from benchmarks import stores
from benchmarks.backlog import MIX, SENDER, backlog
from benchmarks.brokers import AT_ITS_END, own_broker, running
from benchmarks.receiver import AT_COMMIT, BUSES, BY_LIBRARY, NoBus, Receiver, receiver
from hub.intake import MAX_BATCH, understood
from hub.store import log as stored_log
from hub.store.tables.fixes import heartbeats, positions
from hub.store.tables.log import entries, observation_ids
from jifang.mosquitto import OwnBroker
from wire import codec, topics
from wire.bus import Broker, Message, MqttBus
from wire.observations import Heartbeat, Observation

TOPIC = topics.OBSERVATIONS.format(sender=SENDER)
STARTS_WITHIN_S = 15.0
"""A hub process that has stored nothing more for so long has nothing more to store."""
PATIENCE_S = 120.0
"""Nothing that a benchmark waits for takes so long; then it has failed."""


def floor_rate(envelopes: Sequence[codec.Envelope], url: str, folder: Path) -> float:
    """Observations a second into the store without MQTT and without decoding."""
    with receiver(url, folder, NoBus()) as hub:
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
    return understood(Message(TOPIC, payload, False, False, 0, _nothing))


def _nothing() -> None:
    """No broker waits for an acknowledgement."""


def drain_rate(
    envelopes: Sequence[codec.Envelope], url: str, folder: Path, *, together: int, ack: str = AT_COMMIT
) -> float:
    """Observations a second from the broker's queue into the log.

    `together`: observations in one message, as a courier sends them. `ack`: when messages are acknowledged.
    """
    broker = own_broker(folder / "broker")
    with running(broker, AT_ITS_END):
        _fill(broker.as_internal(), envelopes, together)
    with running(broker):
        bus = BUSES[ack](broker.as_internal(), "hub")
        with receiver(url, folder, bus) as hub:
            committed = threading.Event()
            hub.store.on_commit(lambda _: committed.set())
            hub.intake.start()
            began = time.perf_counter()
            bus.start()
            while hub.stored() < len(envelopes):
                committed.wait(0.05)
                committed.clear()
                assert time.perf_counter() - began < PATIENCE_S, f"{hub.stored()} of {len(envelopes)}"
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
    with _field(broker) as field_bus:
        while not subscribed.wait(0.05):
            if field_bus.connected:
                field_bus.publish(TOPIC, b"are you there?").result(5)
        hub.stop()
        payloads = [codec.encode(envelope) for envelope in envelopes]
        groups = [payloads[start : start + together] for start in range(0, len(payloads), together)]
        for done in [field_bus.publish(TOPIC, codec.joined(group)) for group in groups]:
            done.result(PATIENCE_S)


@contextmanager
def _field(broker: Broker) -> Iterator[MqttBus]:
    bus = MqttBus(broker, "bench-field", persistent=False)
    bus.start()
    try:
        yield bus
    finally:
        bus.stop()


def _check(hub: Receiver, count: int) -> None:
    """Every observation is stored exactly once, and the chain holds."""
    assert hub.store.query(_identities) == count
    assert hub.store.query(_repeated) == 0
    verified = hub.store.query(stored_log.verify)
    assert verified[1] is None, verified


def _identities(connection: sa.Connection) -> int:
    """How many identities are stored."""
    tables = (observation_ids, positions, heartbeats)
    return sum(
        int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
        for table in tables
    )


def _repeated(connection: sa.Connection) -> int:
    """Observations that have more than one entry."""
    bodies = connection.execute(sa.select(entries.c.body).where(entries.c.kind == "observation")).scalars()
    told = [msgspec.json.decode(body)["id"] for body in bodies]
    return len(told) - len(set(told))


@dataclass(slots=True)
class Killed:
    """What became of a backlog whose receiver was killed -9 again and again."""

    kills: int = 0
    sent: int = 0
    lost: int = 0
    doubled: int = 0


def killed_in_mid_drain(count: int, kills: int, url: str, folder: Path, *, together: int, ack: str) -> Killed:
    """Drains by a process that is killed `kills` times while it is at it; then everything is counted.

    The broker keeps its queue in memory: where it saves at each acknowledgement it is far behind in reading
    them, and what it had not read yet comes again. That would hide what acknowledging early loses.
    """
    envelopes = backlog(count, 900)
    broker = own_broker(folder / "broker")
    with running(broker, AT_ITS_END):
        _fill(broker.as_internal(), envelopes, together)
    told = Killed(sent=count)
    engine = sa.create_engine(url)
    with running(broker, AT_ITS_END):
        for number in range(kills):
            goal = count * (number + 1) // (kills + 1)
            with _receiving(broker, url, folder, ack) as process:
                alive = _wait_for_more(engine, goal)
                process.kill()
                process.wait(30)
                told.kills += int(alive)
        with _receiving(broker, url, folder, ack):
            _wait_for_the_last(engine, broker.as_internal(), count)
    with engine.connect() as connection:
        told.lost = count + 1 - _identities(connection)
        told.doubled = _repeated(connection)
    engine.dispose()
    return told


@contextmanager
def _receiving(broker: OwnBroker, url: str, folder: Path, ack: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "benchmarks.receiver", "--store", url, "--folder", str(folder)]
    command += ["--port", str(broker.port), "--ack", ack]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait_for_more(engine: sa.Engine, goal: int) -> bool:
    """Until `goal` identities are stored, or nothing has come for long; whether it was still at it."""
    known, changed = -1, time.monotonic()
    while time.monotonic() - changed < STARTS_WITHIN_S:
        found = _stored(engine)
        if found >= goal:
            return True
        if found != known:
            known, changed = found, time.monotonic()
        time.sleep(0.01)
    return False


def _stored(engine: sa.Engine) -> int:
    try:
        with engine.connect() as connection:
            return _identities(connection)
    except sa.exc.DBAPIError:  # the tables are still being made, or the database is busy
        return 0


def _wait_for_the_last(engine: sa.Engine, broker: Broker, count: int) -> None:
    """Sends one more observation: when it is stored, everything queued before it has been delivered."""
    last = codec.Envelope(
        sender=SENDER, epoch="last", seq=1, observation=_last_observation(backlog(1, 901)[0].observation)
    )
    with _field(broker) as bus:
        bus.publish(TOPIC, codec.encode(last)).result(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    wanted = sa.select(heartbeats.c.id).where(heartbeats.c.id == last.observation.id)
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.execute(wanted).first():
                return
        time.sleep(0.05)
    raise TimeoutError(f"the last of {count} was never stored")


def _last_observation(like: Observation) -> Observation:
    return Observation(source="panel:p-00", body=Heartbeat(), heard_at=like.heard_at, id="bench:the-last")


@dataclass(slots=True)
class Rates:
    """Observations a second of every round, on one store."""

    floor: list[float] = field(default_factory=list)
    drain: list[float] = field(default_factory=list)
    single: list[float] = field(default_factory=list)
    auto: list[float] = field(default_factory=list)
    auto_single: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Medians, and the ratio of each round's drain to its own floor."""
        ratios = [drain / floor for drain, floor in zip(self.drain, self.floor, strict=True)]
        singles = [drain / floor for drain, floor in zip(self.single, self.floor, strict=True)]
        gains = [auto / drain for auto, drain in zip(self.auto, self.drain, strict=True)]
        return {
            "observations_per_s": round(median(self.drain)),
            "ratio": round(median(ratios), 3),
            "one_a_message_per_s": round(median(self.single)),
            "one_a_message_ratio": round(median(singles), 3),
            "auto_ack_per_s": round(median(self.auto)),
            "auto_ack_gain": round(median(gains), 3),
            "auto_ack_one_a_message_per_s": round(median(self.auto_single)),
        }


def measure_store(kind: str, given: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], Rates]:
    """All figures of one store; kinds of run take turns within a round, as the machine is shared."""
    rates = Rates()
    with stores.databases(kind, folder) as fresh:

        def rate_of(name: str, envelopes: Sequence[codec.Envelope], together: int, ack: str) -> float:
            url = fresh(name)
            return drain_rate(envelopes, url, folder / name, together=together, ack=ack)

        for number in range(given.rounds):
            told = backlog(given.count, number)
            rates.floor.append(floor_rate(told, fresh(f"floor-{number}"), folder / f"floor-{number}"))
            rates.drain.append(rate_of(f"drain-{number}", told, given.together, AT_COMMIT))
            rates.auto.append(rate_of(f"auto-{number}", told, given.together, BY_LIBRARY))
            rates.single.append(rate_of(f"single-{number}", told, 1, AT_COMMIT))
            rates.auto_single.append(rate_of(f"autosingle-{number}", told, 1, BY_LIBRARY))
            _tell(
                f"{kind}, round {number + 1} of {given.rounds}: floor {rates.floor[-1]:.0f}/s, drain"
                f" {rates.drain[-1]:.0f}/s, one a message {rates.single[-1]:.0f}/s, acknowledged by the"
                f" library {rates.auto[-1]:.0f}/s and {rates.auto_single[-1]:.0f}/s"
            )
        figures = rates.figures()
        figures |= _losses(kind, given, fresh, folder)
    return figures, rates


def _losses(kind: str, given: argparse.Namespace, fresh: stores.FreshUrl, folder: Path) -> dict[str, int]:
    """What is lost when the hub is killed -9 in mid-drain, batched and one a message together."""
    figures = {"kills": 0, "lost": 0, "doubled": 0, "auto_ack_kills": 0, "auto_ack_lost": 0}
    for together in (given.together, 1):
        for ack, prefix in ((AT_COMMIT, ""), (BY_LIBRARY, "auto_ack_")):
            name = f"killed-{ack}-{together}"
            count = given.killed_count * (5 if together > 1 else 1)
            killed = killed_in_mid_drain(
                count, given.kills, fresh(name), folder / name, together=together, ack=ack
            )
            _tell(f"{kind}, acknowledged by {ack}, {together} a message: {killed}")
            figures[f"{prefix}kills"] += killed.kills
            figures[f"{prefix}lost"] += killed.lost
            figures["doubled"] += killed.doubled
    return figures


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Every store asked for; PostgreSQL's figures end in `_postgresql`."""
    kinds = [kind for kind in given.store.split(",") if stores.available(kind)]
    load = round(os.getloadavg()[0], 1)
    figures: dict[str, Any] = {}
    baseline: dict[str, Any] = {}
    for kind in kinds:
        suffix = "" if kind == kinds[0] else f"_{kind}"
        with tempfile.TemporaryDirectory(prefix="jifang-bench-") as name:
            found, rates = measure_store(kind, given, Path(name))
        figures |= {f"{key}{suffix}": value for key, value in found.items()}
        baseline[f"group_commit_per_s{suffix}"] = round(median(rates.floor))
        baseline[f"rounds{suffix}"] = [round(one) for one in rates.floor]
        figures[f"rounds{suffix}"] = [round(one) for one in rates.drain]
    return {
        "name": "intake",
        "figures": figures,
        "baseline": baseline,
        "ratio": figures["ratio"],
        "conditions": {
            "observations": given.count,
            "observations_a_message": given.together,
            "rounds": given.rounds,
            "observations_in_killed_drains": [5 * given.killed_count, given.killed_count],
            "mix": MIX,
            "batch": MAX_BATCH,
            "stores": [stores.described(kind) for kind in kinds],
            "broker": "Mosquitto as the product configures it; for the killed drains saving at its end only",
            "cores": os.cpu_count(),
            "load_1m_before": load,
            "python": platform.python_version(),
        },
    }


def main() -> None:
    """Prints progress, and the result as one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", default=",".join(stores.KINDS), help="sqlite, postgresql, or both")
    parser.add_argument("--count", type=int, default=20_000, help="observations in a backlog")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--together", type=int, default=50, help="observations in one message")
    parser.add_argument("--kills", type=int, default=5, help="of the hub, for each killed drain")
    parser.add_argument("--killed-count", type=int, default=20_000, help="in a killed drain; times 5 batched")
    parser.add_argument("--short", action="store_true", help="runs in seconds; proves it runs, not a figure")
    given = parser.parse_args()
    if given.short:
        given.count, given.rounds, given.kills, given.killed_count = 1_000, 1, 1, 2_000
    print(json.dumps(measure(given), ensure_ascii=False))


if __name__ == "__main__":
    main()
