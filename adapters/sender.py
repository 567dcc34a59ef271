"""One family's way to intake: its outbox, its courier, and its refusals to quarantine."""

from __future__ import annotations

from pathlib import Path

from adapters.rejects import Rejects, sample_of
from wire import topics
from wire.bus import Bus
from wire.courier import Courier
from wire.outbox import Outbox


class Sender:
    """`adapter-alarm` and its like. Sends while its bus is connected; keeps the rest."""

    def __init__(self, name: str, data: Path, bus: Bus) -> None:
        self.name = name
        self.outbox = Outbox(data / f"outbox-{name}.db", name, source=name.replace("adapter-", "adapter:"))
        self.rejects = Rejects(
            lambda rejected: bus.publish(topics.REJECTED.format(sender=name), sample_of(rejected)),
            lambda: bus.connected,
        )
        self._courier = Courier(self.outbox, bus)

    def start(self) -> None:
        """Starts sending."""
        self._courier.start()

    def close(self) -> None:
        """Stops sending and closes the outbox; what is unconfirmed stays in it."""
        self._courier.stop()
        self.outbox.close()
