"""What was acknowledged, one JSON line each, in the file before anyone is told: it survives kill -9.

A line goes out in one write, so it stands whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from wire.observations import Heartbeat, Motion, Observation, PointState, Position
from wire.outbox import Outbox

Line = dict[str, Any]


class Ledger:
    """Appends to a file, from any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, line: Line) -> None:
        """Writes a line."""
        os.write(self._file, msgspec.json.encode(line) + b"\n")


def taken_by(outbox: Outbox, observations: Sequence[Observation], last: int) -> Line:
    """What an outbox took: sender, epoch, last number, and of each observation its identity and content."""
    first = last - len(observations) + 1
    return {
        "sender": outbox.sender,
        "epoch": outbox.epoch,
        "last": last,
        "ids": [
            one.id or f"{outbox.sender}:{outbox.epoch}:{number}"
            for number, one in enumerate(observations, first)
        ],
        "says": [content_of(one) for one in observations],
    }


def content_of(observation: Observation) -> str:
    """What tells an observation from every other: kind, source and what is unique in it."""
    body = observation.body
    mark = observation.heard_at.isoformat()
    if isinstance(body, Position):
        mark = f"{body.lat},{body.lon}"
    elif isinstance(body, Motion):
        mark = f"{body.event},{body.active}"
    elif isinstance(body, PointState):
        mark = f"{body.point},{body.condition},{body.active},{body.code},{mark}"
    elif isinstance(body, Heartbeat):
        mark = observation.heard_at.isoformat()
    return f"{observation.kind}|{observation.source}|{mark}"


def read(path: Path) -> Iterator[Line]:
    """The ledger's whole lines."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line)
