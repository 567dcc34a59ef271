"""A wing's courier for the feed's benchmark: observations at a rate, what is due together in one message.

Each carries the instant it became due (monotonic, ns) in `code`; those of the first seconds don't count.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime

from benchmarks.brokers import broker_at
from wire import codec, topics
from wire.bus import MqttBus
from wire.observations import Condition, Observation, PointState

PANELS = 40
"""The district's."""
TURN_S = 0.005
"""What becomes due within this time travels together, as it does from an outbox."""


def observation(number: int, counted: bool) -> Observation:
    """A contact that is only logged: one entry each, whatever the desk does."""
    return Observation(
        source=f"panel:p-{number % PANELS:02}",
        body=PointState(
            point="input:1",
            condition=Condition.DIGITAL_INPUT,
            active=bool(number % 2),
            code=f"{'t' if counted else 'w'}{time.monotonic_ns()}",
        ),
        heard_at=datetime.now(UTC),
        id=f"bench:{time.monotonic_ns()}:{number}",
    )


def send(bus: MqttBus, rate: float, warm_s: float, seconds: float) -> int:
    """Sends, and returns how many counted."""
    epoch, seq, counted = f"e{time.monotonic_ns()}", 0, 0
    began = time.monotonic()
    topic = topics.OBSERVATIONS.format(sender="bench")
    last = None
    while (passed := time.monotonic() - began) < warm_s + seconds:
        due = int(passed * rate) - seq
        if due <= 0:
            time.sleep(min(TURN_S, (seq + 1) / rate - passed) if rate < 1 / TURN_S else TURN_S)
            continue
        envelopes = []
        for _ in range(min(due, 50)):
            seq += 1
            counts = passed >= warm_s
            counted += counts
            one = observation(seq, counts)
            envelopes.append(
                codec.encode(codec.Envelope(sender="bench", epoch=epoch, seq=seq, observation=one))
            )
        last = bus.publish(topic, codec.joined(envelopes))
    if last is not None:
        last.result(30)
    return counted


def main() -> None:
    """Prints how many counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--warm", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    bus = MqttBus(broker_at(given.broker), "bench-sender", persistent=False)
    bus.start()
    while not bus.connected:
        time.sleep(0.01)
    print(send(bus, given.rate, given.warm, given.seconds), flush=True)
    bus.stop()


if __name__ == "__main__":
    main()
