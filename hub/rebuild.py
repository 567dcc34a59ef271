"""The desk's tables made anew from the log: entries hold the full state after a change; the last wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from hub.domain.condition import AlarmCondition
from hub.domain.device import CameraView, HubStatus, PanelView
from hub.domain.entry import Entry, EntryKind
from hub.domain.incident import Incident
from hub.domain.unit import Unit
from hub.store import cases
from hub.store import log as stored_log
from hub.store.cases import Kept
from hub.store.engine import Transaction

T = TypeVar("T")

_PAGE = 2_000
_VIEWS: Mapping[EntryKind, type[Any]] = MappingProxyType(
    {EntryKind.CAMERA: CameraView, EntryKind.PANEL: PanelView, EntryKind.UNIT: Unit}
)


@dataclass(slots=True)
class _Fold:
    """What the log has said so far."""

    conditions: dict[str, Kept] = field(default_factory=dict)
    incidents: dict[str, Kept] = field(default_factory=dict)
    views: dict[str, dict[str, Kept | None]] = field(
        default_factory=lambda: {"camera": {}, "panel": {}, "unit": {}, "part": {}}
    )


def rebuild(tx: Transaction) -> None:
    """Empties the desk's tables and fills them from the log, in this transaction."""
    fold = _Fold()
    seq = 0
    while page := stored_log.after(tx.connection, seq, limit=_PAGE):
        for entry in page:
            _apply(fold, entry)
        seq = page[-1].seq
    cases.clear(tx.connection)
    cases.save_conditions(tx.connection, fold.conditions)
    cases.save_incidents(tx.connection, fold.incidents)
    for kind, changed in fold.views.items():
        cases.save_views(tx.connection, kind, changed)


def _apply(fold: _Fold, entry: Entry) -> None:
    kind, body = entry.kind, entry.body
    if kind is EntryKind.CONDITION:
        fold.conditions[body["id"]] = Kept(entry.seq, _as(AlarmCondition, body))
    elif kind is EntryKind.INCIDENT:
        fold.incidents[body["incident"]["id"]] = Kept(entry.seq, _as(Incident, body["incident"]))
    elif kind in _VIEWS:
        fold.views[kind.value][entry.subject] = Kept(entry.seq, _as(_VIEWS[kind], body))
    elif kind is EntryKind.HUB:
        _parts(fold, entry)
    elif kind is EntryKind.REGISTER and body.get("action") == "removed" and body["what"] in fold.views:
        fold.views[body["what"]].pop(f"{body['what']}:{body['id']}", None)


def _parts(fold: _Fold, entry: Entry) -> None:
    for part in _as(HubStatus, entry.body).parts:
        known = fold.views["part"].get(part.name)
        if known is None or known.value != part:
            fold.views["part"][part.name] = Kept(entry.seq, part)


def _as(kind: type[T], body: Any) -> T:
    return msgspec.convert(body, kind)
