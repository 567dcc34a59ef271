"""A hub as a process, for the feed's benchmark: as it is, or with what was heard passed on unstored."""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from benchmarks.backlog import district
from benchmarks.brokers import broker_at
from hub import app
from hub.accounts import NewPerson, create_person
from hub.domain.entry import Entry, EntryKind
from hub.feed import Feed
from hub.registers import Registers
from hub.sitefile import parse
from hub.store.engine import Store
from wire import codec, topics
from wire.bus import Bus, Message

NAME, PASSWORD = "desk", "benchmark passphrase"
FAR = 1_000_000
"""Where the numbers of unstored entries begin: beyond all that the hub itself commits meanwhile."""
MAX_BATCH = 500


class UnstoredFeed(Feed):
    """Hears nothing of commits; entries come from `Passing` alone."""

    made: ClassVar[list[UnstoredFeed]] = []

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.made.append(self)

    def start(self, loop: asyncio.AbstractEventLoop, log_id: str) -> None:
        """Begins far beyond the log."""
        super().start(loop, log_id)
        self._start_over(FAR)

    def taken(self, entries: Sequence[Entry]) -> None:
        """Stored entries are none of ours."""

    def pass_on(self, entries: Sequence[Entry]) -> None:
        """As the store's commit listener would be told."""
        super().taken(entries)


class Passing:
    """Stands where intake stands: decodes, makes entries and hands them on; no desk, no transaction."""

    def __init__(self, bus: Bus, *_parts: Any, **_more: Any) -> None:
        self._bus = bus
        self._waiting: queue.Queue[Message | None] = queue.Queue(20_000)
        self._seq = FAR
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()
        self._bus.consume(topics.ALL_OBSERVATIONS, self._waiting.put)

    def stop(self) -> None:
        """Ends."""
        self._waiting.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None:
            messages = [message]
            while len(messages) < MAX_BATCH and not self._waiting.empty():
                more = self._waiting.get()
                if more is None:
                    return
                messages.append(more)
            UnstoredFeed.made[-1].pass_on([entry for one in messages for entry in self._entries(one)])
            for one in messages:
                one.ack()

    def _entries(self, message: Message) -> list[Entry]:
        made = []
        for envelope in codec.decode_envelopes(message.payload):
            self._seq += 1
            made.append(
                Entry(
                    seq=self._seq,
                    at=datetime.now(UTC),
                    kind=EntryKind.OBSERVATION,
                    subject=envelope.observation.source,
                    place="xz",
                    body=msgspec.to_builtins(envelope.observation),
                )
            )
        return made


def furnish(url: str, folder: Path) -> None:
    """The district, and somebody who may see all of it."""
    store = Store.open(url)
    try:
        registers = Registers.load(store, folder / "seal.key")
        site = parse(json.dumps(district()).encode())
        store.enqueue(lambda tx: registers.import_site(tx, site, "benchmark")).result()
        roles = ("operator", "installer", "inspector", "administrator")
        asyncio.run(create_person(store, _person(roles)))
    finally:
        store.close()


def _person(roles: tuple[str, ...]) -> NewPerson:
    return NewPerson(name=NAME, display_name=NAME, password=PASSWORD, roles=roles, place="")


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="SQLAlchemy URL, without a password")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--broker", type=int, required=True, help="port of the benchmark's broker")
    parser.add_argument("--http", type=int, required=True, help="port to serve on")
    parser.add_argument("--unstored", action="store_true", help="pass on without a store")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    furnish(given.store, given.folder)
    if given.unstored:
        hub_parts: Any = app
        hub_parts.Feed, hub_parts.Intake = UnstoredFeed, Passing
    app.main(
        app.HubSettings(
            data=given.folder,
            store_url=given.store,
            broker=broker_at(given.broker),
            http_host="127.0.0.1",
            http_port=given.http,
        )
    )


if __name__ == "__main__":
    main()
