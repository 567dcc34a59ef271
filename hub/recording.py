"""An observation into the log: the one place that gives it an entry."""

from __future__ import annotations

from typing import Any

import msgspec

from hub.domain.entry import Draft, Entry, EntryKind
from hub.registers import Registers
from hub.store import stills
from hub.store.engine import Transaction
from wire.observations import Lateness, Motion, Observation, PointState


def record(tx: Transaction, registers: Registers, observation: Observation, still_hash: str = "") -> Entry:
    """Appends the entry of an observation that isn't known yet; noting its identity is the caller's.

    `still_hash` replaces its picture.
    """
    body = observation.body
    point = body.point if isinstance(body, PointState) else ""
    entry = tx.append(
        Draft(
            kind=EntryKind.OBSERVATION,
            subject=observation.source,
            place=registers.locate(observation.source, point).place,
            body=as_body(observation, still_hash),
            late=observation.lateness is not Lateness.LIVE,
        )
    )
    if still_hash:
        stills.show(tx, still_hash, entry)
    return entry


def as_body(observation: Observation, still_hash: str) -> dict[str, Any]:
    """The observation as JSON's own types, its picture replaced by the content hash."""
    body = observation.body
    if isinstance(body, Motion | PointState) and body.still:
        bare = msgspec.structs.replace(body, still=b"")
        observation = msgspec.structs.replace(observation, body=bare)
    told: dict[str, Any] = msgspec.to_builtins(observation)
    if still_hash:
        told["body"]["still"] = still_hash
    return told
