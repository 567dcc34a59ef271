"""At which lines a part is killed: every line of a stated list of functions, found in their code objects.

A line that is added to one of these functions is covered by itself. A function that is gone or renamed makes
the run fail, so that nothing drops out of the list unnoticed.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

_BUS = ("wire.bus:MqttBus.publish", "wire.bus:MqttBus._on_message", "wire.bus:MqttBus._on_publish")
_OUTBOX = (
    "wire.outbox:Outbox.append",
    "wire.outbox:Outbox.confirm",
    "wire.outbox:Outbox._write",
    "wire.outbox:Outbox._commit",
    "wire.outbox:Outbox._settle",
    "wire.outbox:Outbox._take_out",
    "wire.outbox:Outbox._insert",
    "wire.outbox:Outbox._insert_items",
    "wire.outbox:Outbox._failed",
    "wire.outbox:Outbox._resolve",
    "wire.courier:Courier._on_link",
    "wire.courier:Courier._on_stored",
    "wire.courier:Courier._on_again",
    "wire.courier:Courier._settled",
    "wire.courier:Courier._arrived",
    "wire.courier:Courier._tell_floor",
    "wire.courier:Courier._turn",
    "wire.courier:Courier._lose",
    "wire.courier:Courier._news",
    "wire.courier:Courier._history",
    "wire.courier:Courier._send",
)

FUNCTIONS: Mapping[str, Sequence[str]] = {
    "hub": (
        "hub.deliveries:understood",
        "hub.intake:Intake._run",
        "hub.intake:Intake._gather",
        "hub.intake:Intake._take",
        "hub.intake:Intake._advanced",
        "hub.intake:Intake._store_batch",
        "hub.intake:Intake._keep_still",
        "hub.intake:Intake._known",
        "hub.intake:Intake._write",
        "hub.intake:Intake._write_item",
        "hub.intake:Intake._write_observation",
        "hub.intake:_write_identities",
        "hub.intake:Intake._write_marks",
        "hub.intake:Intake._tell_stored",
        "hub.intake:Intake._tell_missing",
        "hub.intake:Intake._ask_again",
        "hub.intake:_Moves.stored",
        "hub.recording:record",
        "hub.store.blobs:Blobs.put",
        "hub.store.engine:Store._run",
        "hub.store.engine:Store._commit",
        "hub.store.engine:Store._begin",
        "hub.store.engine:Store._work_through",
        "hub.store.engine:Store._settle",
        "hub.store.engine:Store._answer",
        "hub.store.engine:Store._abandon",
        "hub.store.transaction:Work.write",
        "hub.store.transaction:Work.flush",
        "hub.store.transaction:Transaction.append",
        "hub.store.transaction:Transaction.savepoint",
        "hub.store.transaction:Transaction.run",
        "hub.store.transaction:Transaction.take_back",
        *_BUS,
    ),
    "adapters": (
        "adapters.mqtt.deliveries:Deliveries.again",
        "adapters.mqtt.deliveries:Deliveries.take",
        "adapters.mqtt.driver:FieldConnection._receive",
        "adapters.mqtt.driver:FieldConnection._take",
        "adapters.mqtt.driver:FieldConnection._store",
        "adapters.mqtt.driver:FieldConnection._acknowledge_when_stored",
        "adapters.mqtt.driver:FieldConnection._call_on_loop",
        "adapters.mqtt.driver:FieldConnection._settle",
        "adapters.gps.driver:GpsDriver.store",
        "adapters.gps.driver:Session._report",
        "adapters.gps.driver:Session._stored",
        "wire.outbox:Outbox._commit",
    ),
    "edge": (
        "edge.run:Edge._hear",
        "edge.open_events:OpenEvents.append",
        "wire.outbox:Outbox._commit",
    ),
    "load": (*_OUTBOX, *_BUS),
}
"""By part. Senders' lines are met in the load, which is a sender and nothing else."""

OF_STORE: Mapping[str, Sequence[str]] = {
    "sqlite": (
        "hub.store.sqlite:SQLite.begin",
        "hub.store.sqlite:SQLite.commit",
        "hub.store.sqlite:SQLite.savepoint",
        "hub.store.sqlite:SQLite.release",
    ),
    "postgresql": (
        "hub.store.postgresql:PostgreSQL.begin",
        "hub.store.postgresql:PostgreSQL.commit",
        "hub.store.postgresql:PostgreSQL.savepoint",
        "hub.store.postgresql:PostgreSQL.release",
    ),
}
"""Of the hub as well, by what is behind its store."""


class Renamed(RuntimeError):
    """Functions of the list that the code doesn't have: names them."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """Just before a line is run."""

    function: str
    """`module:qualified.name`"""
    line: int

    def __str__(self) -> str:
        return f"{self.function}:{self.line}"


def points(part: str) -> list[Point]:
    """Every line at which `part` is to be killed, in order. Raises `Renamed`."""
    return _points(FUNCTIONS[part])


def points_of_store(store: str) -> list[Point]:
    """Every line of one database's own code at which the hub is to be killed. Raises `Renamed`."""
    return _points(OF_STORE[store])


def _points(names: Sequence[str]) -> list[Point]:
    gone = [name for name in names if not _exists(name)]
    if gone:
        raise Renamed(f"tests/torture/lines.py names what isn't there: {', '.join(gone)}")
    return sorted({Point(name, line) for name in names for line in _lines(name)})


def codes_at(point: Point) -> list[CodeType]:
    """The code objects that hold the line: the function or ones made within it."""
    return [code for code in _codes(_code(point.function)) if point.line in _lines_of(code)]


def _exists(name: str) -> bool:
    try:
        _code(name)
    except (ImportError, AttributeError):
        return False
    return True


def _code(name: str) -> CodeType:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for step in path.split("."):
        found = getattr(found, step)
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    if not isinstance(found, FunctionType):
        raise AttributeError(f"{name} is no function")  # noqa: TRY004 - as a name that is not there
    return found.__code__


def _lines(name: str) -> set[int]:
    return {line for code in _codes(_code(name)) for line in _lines_of(code)}


def _lines_of(code: CodeType) -> set[int]:
    """Without the line of the `def`: it is run by whoever defines, not by a call."""
    return {line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
