"""Many threads publish while acknowledgements come in: paho's locks and ours must not wait for each other."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait

from wire.bus import Broker, MqttBus


def test_publishers_and_acknowledgements_never_wait_for_each_other(broker: Broker) -> None:
    bus = MqttBus(broker, "bus-under-load", persistent=False)
    up = threading.Event()
    bus.on_link(lambda is_up, _reason: up.set() if is_up else None)
    bus.start()
    assert up.wait(10)
    done: list[Future[None]] = []
    threads = [
        threading.Thread(
            target=lambda: done.extend(bus.publish("load/one", b"x") for _ in range(400)), daemon=True
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "a publisher hangs"
    assert not wait(done, 20).not_done
    assert len(done) == 1200
    bus.stop()
