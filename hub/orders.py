"""Orders to the field: sent over the bus once they stand in the log, and their answers written back."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta

import structlog

from hub.desk import Desk
from hub.domain.entry import Entry, EntryKind
from hub.domain.incident import AssignmentState
from hub.insisting import Insistence, Insisting
from hub.store import log as stored_log
from hub.store.engine import Store
from wire import codec
from wire.bus import Bus
from wire.work import Answer, UnitOrder

log = structlog.get_logger(__name__)

ANSWER_WITHIN_S = 15.0
STILL_WORTH_SENDING = timedelta(minutes=2)
"""An order that the hub logged but, having died, may not have sent: later than this a person decides."""


class Orders:
    """Sends what the desk logged as `ORDER`, state `sent`, and tells the desk how it ended."""

    def __init__(
        self,
        bus: Bus,
        store: Store,
        desk: Desk,
        insist: Insisting | None = None,
        *,
        within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._bus = bus
        self._store = store
        self._desk = desk
        self._insist: Insisting = insist if insist is not None else Insistence(store)
        self._within_s = within_s

    def start(self, now: datetime) -> None:
        """Takes up what a hub before this one left open, then follows the log."""
        self._store.on_commit(self._committed)
        for entry in self._left_open():
            if now - entry.at <= STILL_WORTH_SENDING:
                self._send(entry)
            else:
                self._answered(str(entry.body["command"]), ok=False, reason="the hub was restarted meanwhile")

    def _committed(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.ORDER and entry.body["state"] == "sent":
                self._send(entry)

    def _left_open(self) -> list[Entry]:
        waiting = [
            f"order:{one.id}"
            for incident in self._desk.snapshot().incidents
            for one in incident.assignments
            if one.state is AssignmentState.DISPATCHED
        ]
        last: dict[str, Entry] = {}
        for entry in self._store.query(lambda connection: stored_log.about(connection, waiting)):
            last[entry.subject] = entry
        return [entry for entry in last.values() if entry.body["state"] == "sent"]

    def _send(self, entry: Entry) -> None:
        body = entry.body
        order = UnitOrder(
            command=body["command"],
            tracker=body["to"],
            text=body["text"],
            lat=body["lat"] or 0.0,
            lon=body["lon"] or 0.0,
        )
        answer = self._bus.request(body["wing"], body["verb"], codec.encode(order), timeout_s=self._within_s)
        answer.add_done_callback(lambda done: self._on_answer(order.command, done))

    def _on_answer(self, command: str, done: Future[bytes]) -> None:
        error = done.exception()
        if error is not None:
            self._answered(command, ok=False, reason=str(error))
            return
        try:
            answer = codec.decode(done.result(), Answer)
        except codec.WireError as broken:
            self._answered(command, ok=False, reason=f"the answer can't be read: {broken.reason}")
            return
        self._answered(command, ok=answer.ok, reason=answer.reason)

    def _answered(self, command: str, *, ok: bool, reason: str) -> None:
        log.info("order answered", command=command, ok=ok, reason=reason)
        self._insist(lambda tx: self._desk.order_answered(tx, command, ok, reason))
