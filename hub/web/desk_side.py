"""Between the API and the desk: what a caller may see of it, and their acts with an audit row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hub.access import Right, rights_of
from hub.desk import ActionRefused, Desk
from hub.domain.condition import AlarmCondition
from hub.domain.incident import Incident
from hub.store import audit as audit_rows
from hub.store.engine import Transaction
from hub.web import models
from hub.web.context import Hub, act_of
from hub.web.guard import Caller
from hub.web.problems import ApiProblem
from hub.web.reading import as_feed_entry

Placed = TypeVar("Placed")


@dataclass(frozen=True, slots=True)
class Action:
    """What an operator does to an incident. `word` is the code, unit, outcome or text it takes."""

    verb: str
    version: int
    word: str = ""


async def snapshot_for(hub: Hub, caller: Caller) -> models.Snapshot:
    """The desk as of one entry, in the caller's jurisdiction and as far as their roles go."""
    state = hub.desk.snapshot()
    desk = Right.INCIDENTS_SEE in rights_of(caller.person)
    return models.Snapshot(
        seq=state.seq,
        log=hub.feed.log,
        server_now=hub.clock(),
        incidents=tuple(one for one in state.incidents if desk and hub.may_see(caller, one.place)),
        conditions=tuple(one for one in state.conditions if desk and hub.may_see(caller, one.place)),
        units=tuple(one for one in state.units if desk and hub.may_see(caller, one.place)),
        cameras=tuple(one for one in state.cameras if hub.may_see(caller, one.place)),
        panels=tuple(one for one in state.panels if hub.may_see(caller, one.place)),
        hub=state.hub,
        troubles=hub.vitals.troubles(),
    )


async def incident_for(hub: Hub, caller: Caller, identity: str) -> Incident:
    """The incident, if the caller may see it; else 404."""
    incident = await hub.desk.incident(identity)
    await hub.require_seen(caller, incident.place if incident else None, f"incident:{identity}")
    if incident is None:
        raise ApiProblem("not_found")
    return incident


async def detail_of(hub: Hub, caller: Caller, incident: Incident) -> models.IncidentDetail:
    """The incident with its timeline, and units of the caller's jurisdiction for it."""
    entries = await hub.desk.timeline(incident.id)
    prevs = [0, *(entry.seq for entry in entries)]
    seen = {unit.id for unit in hub.desk.snapshot().units if hub.may_see(caller, unit.place)}
    found = [hub.desk.condition(one) for one in incident.conditions]
    return models.IncidentDetail(
        incident=incident,
        timeline=tuple(as_feed_entry(entry, prev) for entry, prev in zip(entries, prevs, strict=False)),
        recommended=tuple(one for one in hub.desk.recommended(incident.id, hub.clock()) if one.unit in seen),
        conditions=tuple(one for one in found if one is not None),
    )


async def act_on(hub: Hub, caller: Caller, identity: str, action: Action) -> Incident:
    """Does it and writes the audit row in the same transaction; 409 with the incident where it can't be."""
    incident = await incident_for(hub, caller, identity)
    if action.verb == "dispatch":
        await _require_unit(hub, caller, action.word)
    act = act_of(
        caller, f"incident.{action.verb}", f"incident:{identity}", place=incident.place, reason=action.word
    )

    def job(tx: Transaction) -> Incident:
        changed = _apply(hub.desk, tx, identity, action, caller.person.name)
        audit_rows.append(tx, act)
        return changed

    return await _refusable(hub, job)


def _apply(desk: Desk, tx: Transaction, identity: str, action: Action, by: str) -> Incident:
    plain = {"claim": desk.claim, "verify": desk.verify}
    worded = {
        "false": desk.false,
        "dispatch": desk.dispatch,
        "arrived": desk.arrived,
        "clear": desk.clear,
        "close": desk.close,
        "note": desk.note,
    }
    if action.verb in plain:
        return plain[action.verb](tx, identity, action.version, by)
    return worded[action.verb](tx, identity, action.version, by, action.word)


async def acknowledge_condition(hub: Hub, caller: Caller, identity: str) -> AlarmCondition:
    """Acknowledges a condition the caller may see."""
    condition = hub.desk.condition(identity)
    await hub.require_seen(caller, condition.place if condition else None, f"condition:{identity}")
    place = condition.place if condition else ""
    act = act_of(caller, "condition.ack", f"condition:{identity}", place=place)

    def job(tx: Transaction) -> AlarmCondition:
        changed = hub.desk.ack(tx, identity, caller.person.name)
        audit_rows.append(tx, act)
        return changed

    return await _refusable(hub, job)


async def _require_unit(hub: Hub, caller: Caller, unit: str) -> None:
    """110 orders any unit of its own jurisdiction; the desk knows whether it is free."""
    found = next((one for one in hub.desk.snapshot().units if one.id == unit), None)
    await hub.require_seen(caller, found.place if found else None, f"unit:{unit}")


async def _refusable(hub: Hub, job: Callable[[Transaction], Placed]) -> Placed:
    try:
        return await hub.store.submit(job)
    except ActionRefused as error:
        raise ApiProblem("conflict", error.reason_zh, error.reason, current=error.current) from error
    except KeyError as error:
        raise ApiProblem("not_found") from error
