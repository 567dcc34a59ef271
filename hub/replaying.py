"""Quarantined bytes tried again: by the wing whose decoder refused them, or here where they were our own.

What is understood now goes to the log as history, under its original time and under ids made of its content:
never news, and never twice. What it came to is noted on the row.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import structlog

from hub.desk import Desk
from hub.recording import record
from hub.registers import Registers
from hub.store import fixes, quarantine
from hub.store import log as stored_log
from hub.store.blobs import Blobs
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.store.quarantine import Quarantined
from wire import again, codec
from wire.again import DecodeAgain, DecodedAgain, KeptRaw
from wire.bus import Bus, RequestTimeout
from wire.observations import Heartbeat, Lateness, Motion, Observation, PointState, Position

log = structlog.get_logger(__name__)

OURS = "bus"
"""Protocol of what came on our own topics."""
ANSWER_WITHIN_S = 8.0
REPLAY_WITHIN_S = 14.0
"""All of a filter: what is left then is for the next call."""


class Came(StrEnum):
    """What trying again came to. The first word of a row's outcome; part of the API."""

    UNDERSTOOD = "understood"
    REFUSED = "refused"
    """Still not understood: the reason follows."""
    TRUNCATED = "truncated"
    """More came than is kept: it can't be tried."""
    UNANSWERED = "unanswered"
    """The wing didn't answer in time: nothing is known, and trying once more doubles nothing."""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one row."""

    id: int
    came: Came
    observations: int = 0
    reason: str = ""

    @property
    def outcome(self) -> str:
        """As the row keeps it."""
        return f"{self.came.value} {self.observations} {self.reason}".rstrip()


def result_of(row: Quarantined) -> Result | None:
    """A row's outcome as a value; None where it was never tried."""
    came, _, rest = row.outcome.partition(" ")
    if came not in list(Came):
        return None
    count, _, reason = rest.partition(" ")
    return Result(row.id, Came(came), int(count) if count.isdigit() else 0, reason)


@dataclass(frozen=True, slots=True)
class Summary:
    """Of many rows."""

    results: tuple[Result, ...]
    left: int
    """How many time didn't suffice for."""

    def count(self, came: Came) -> int:
        """How many came to that."""
        return Counter(one.came for one in self.results)[came]

    @property
    def observations(self) -> int:
        """How many observations there were in all."""
        return sum(one.observations for one in self.results)


class Replaying:
    """Tries rows again. Runs on the hub's event loop."""

    def __init__(self, store: Store, bus: Bus, registers: Registers, desk: Desk, blobs: Blobs) -> None:
        self._store = store
        self._bus = bus
        self._registers = registers
        self._desk = desk
        self._blobs = blobs

    async def replay(self, rows: Sequence[Quarantined]) -> Summary:
        """Tries `rows` in their order, as far as time suffices, and notes on each what it came to."""
        until = time.monotonic() + REPLAY_WITHIN_S
        results: list[Result] = []
        for batch in _batches(rows):
            results += await self._batch(batch)
            if time.monotonic() > until or results[-1].came is Came.UNANSWERED:
                break
        return Summary(tuple(results), len(rows) - len(results))

    async def _batch(self, rows: Sequence[Quarantined]) -> list[Result]:
        whole = [row for row in rows if not row.truncated]
        found = {row.id: Result(row.id, Came.TRUNCATED) for row in rows if row.truncated}
        found |= {row.id: await self._ours(row) for row in whole if row.protocol == OURS}
        found |= await self._asked([row for row in whole if row.protocol != OURS])
        results = [found[row.id] for row in rows]
        await self._store.submit(lambda tx: _note(tx, results))
        return results

    async def _asked(self, rows: Sequence[Quarantined]) -> dict[int, Result]:
        """What the adapters make of it."""
        if not rows:
            return {}
        asked = DecodeAgain(items=tuple(_kept(row) for row in rows))
        try:
            answer = self._bus.request(again.WING, again.VERB, codec.encode(asked), timeout_s=ANSWER_WITHIN_S)
            told = codec.decode(await asyncio.wrap_future(answer), DecodedAgain)
        except (RequestTimeout, codec.WireError) as error:
            return {row.id: Result(row.id, Came.UNANSWERED, reason=str(error)) for row in rows}
        by_id = {one.id: one for one in told.results}
        found = {}
        for row in rows:
            one = by_id.get(row.id)
            if one is None:
                found[row.id] = Result(row.id, Came.UNANSWERED, reason="not in the answer")
            else:
                came = Came.UNDERSTOOD if one.understood else Came.REFUSED
                found[row.id] = Result(row.id, came, one.observations, one.reason)
        return found

    async def _ours(self, row: Quarantined) -> Result:
        """What came on our own topics is understood here."""
        try:
            observations = _observations(row)
        except codec.WireError as error:
            return Result(row.id, Came.REFUSED, reason=error.reason)
        try:
            stills = await asyncio.to_thread(lambda: [self._keep_still(one) for one in observations])
            stored = await self._store.submit(lambda tx: self._write(tx, observations, stills))
        except StoreUnavailable:
            raise
        except Exception as error:  # supervision: what the rules trip over stays here, and stops nothing
            log.exception("could not store again", peer=row.peer)
            return Result(row.id, Came.REFUSED, reason=f"not storable: {type(error).__name__}: {error}")
        return Result(row.id, Came.UNDERSTOOD, stored)

    def _keep_still(self, observation: Observation) -> str:
        body = observation.body
        return self._blobs.put(body.still) if isinstance(body, Motion | PointState) and body.still else ""

    def _write(self, tx: Transaction, observations: Sequence[Observation], stills: Sequence[str]) -> int:
        """Stores what isn't stored yet; how many were."""
        fixed = [one for one in observations if isinstance(one.body, Position | Heartbeat)]
        known = fixes.known(tx.connection, [one.id for one in fixed])
        known |= stored_log.known(tx.connection, [one.id for one in observations if one not in fixed])
        stored = 0
        for observation, still in zip(observations, stills, strict=True):
            if observation.id in known:
                continue
            known.add(observation.id)
            stored += 1
            cause = None
            if observation in fixed:
                fixes.add(tx.connection, [observation], tx.now, tx.head)
            else:
                cause = record(tx, self._registers, observation, still).seq
                stored_log.remember(tx.connection, [(observation.id, cause)])
            self._desk.observe(tx, observation, still, cause)
        return stored


def _batches(rows: Sequence[Quarantined]) -> Iterable[Sequence[Quarantined]]:
    return (rows[start : start + again.MOST] for start in range(0, len(rows), again.MOST))


def _kept(row: Quarantined) -> KeptRaw:
    heard_at = row.heard_at or row.first_at
    return KeptRaw(
        id=row.id,
        protocol=row.protocol,
        peer=row.peer,
        raw=row.raw,
        heard_at_ms=int(heard_at.timestamp() * 1000),
        identity=row.identity,
    )


def _observations(row: Quarantined) -> list[Observation]:
    """What a message of our own holds, as history. Raises `WireError`."""
    if row.peer.split("/")[1:2] != ["obs"]:
        raise codec.WireError(f"{row.peer}: holds no observations")
    found = []
    for envelope in codec.decode_envelopes(row.raw):
        one = codec.in_utc(envelope.observation)
        if not 0 < len(one.id) <= 300 or len(one.source) > 200:
            raise codec.WireError("$.observation: id has 1 to 300 characters, source at most 200")
        if isinstance(one.body, Position) and not (abs(one.body.lat) <= 90 and abs(one.body.lon) <= 180):
            raise codec.WireError("$.observation.body: is no place on earth")
        late = one.lateness if one.lateness is not Lateness.LIVE else Lateness.BUFFERED
        found.append(msgspec.structs.replace(one, lateness=late))
    return found


def _note(tx: Transaction, results: Sequence[Result]) -> None:
    for result in results:
        quarantine.tried(tx.connection, [result.id], result.outcome, tx.now)
