"""The desk: snapshot, incidents and what an operator does with them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from hub.access import Right
from hub.domain.condition import AlarmCondition
from hub.domain.incident import Incident
from hub.web import models
from hub.web.answers import answer
from hub.web.context import hub_of
from hub.web.desk_side import Action, acknowledge_condition, act_on, detail_of, incident_for, snapshot_for
from hub.web.guard import CallerHere, guarded_router, json_only, needs

router: APIRouter = guarded_router("desk")
IncidentId = Annotated[str, Path(max_length=40)]
ACT: dict[str, Any] = {
    "openapi_extra": needs(Right.INCIDENTS_ACT),
    "response_model": Incident,
    "dependencies": [Depends(json_only)],
}


@router.get("/snapshot", response_model=models.Snapshot, openapi_extra=needs(Right.FEED))
async def snapshot(request: Request, caller: CallerHere) -> Response:
    """Everything the person may see, as of `seq`; the feed goes on from there."""
    return answer(await snapshot_for(hub_of(request), caller))


@router.get("/incidents", response_model=list[Incident], openapi_extra=needs(Right.INCIDENTS_SEE))
async def incidents(
    request: Request,
    caller: CallerHere,
    state: Literal["open", "closed"] = "open",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """Open ones in the order of the queue, or closed ones, the latest first."""
    hub = hub_of(request)
    found = await hub.desk.incidents(closed=state == "closed", limit=limit)
    return answer([one for one in found if hub.may_see(caller, one.place)])


@router.get(
    "/incidents/{incident}", response_model=models.IncidentDetail, openapi_extra=needs(Right.INCIDENTS_SEE)
)
async def incident_detail(request: Request, caller: CallerHere, incident: IncidentId) -> Response:
    """One incident with its timeline and the units proposed."""
    hub = hub_of(request)
    return answer(await detail_of(hub, caller, await incident_for(hub, caller, incident)))


@router.post("/incidents/{incident}/claim", **ACT)
async def claim(request: Request, caller: CallerHere, incident: IncidentId, asked: models.Based) -> Response:
    """Takes a new incident: of several operators exactly one gets it."""
    return await _act(request, caller, incident, Action("claim", asked.version))


@router.post("/incidents/{incident}/verify", **ACT)
async def verify(request: Request, caller: CallerHere, incident: IncidentId, asked: models.Based) -> Response:
    """Judges the alarm real."""
    return await _act(request, caller, incident, Action("verify", asked.version))


@router.post("/incidents/{incident}/false", **ACT)
async def judge_false(
    request: Request, caller: CallerHere, incident: IncidentId, asked: models.FalseAlarm
) -> Response:
    """Judges the alarm false and closes it with the cause."""
    return await _act(request, caller, incident, Action("false", asked.version, asked.code))


@router.post("/incidents/{incident}/dispatch", **ACT)
async def dispatch(
    request: Request, caller: CallerHere, incident: IncidentId, asked: models.OnUnit
) -> Response:
    """Orders a unit to the incident."""
    return await _act(request, caller, incident, Action("dispatch", asked.version, asked.unit))


@router.post("/incidents/{incident}/arrived", **ACT)
async def arrived(
    request: Request, caller: CallerHere, incident: IncidentId, asked: models.OnUnit
) -> Response:
    """Notes by hand that a unit has arrived."""
    return await _act(request, caller, incident, Action("arrived", asked.version, asked.unit))


@router.post("/incidents/{incident}/clear", **ACT)
async def clear(request: Request, caller: CallerHere, incident: IncidentId, asked: models.OnUnit) -> Response:
    """Releases a unit from the incident."""
    return await _act(request, caller, incident, Action("clear", asked.version, asked.unit))


@router.post("/incidents/{incident}/close", **ACT)
async def close(
    request: Request, caller: CallerHere, incident: IncidentId, asked: models.Closing
) -> Response:
    """Closes the incident with its outcome."""
    return await _act(request, caller, incident, Action("close", asked.version, asked.outcome))


@router.post("/incidents/{incident}/note", **ACT)
async def note(request: Request, caller: CallerHere, incident: IncidentId, asked: models.Noting) -> Response:
    """Adds a note to the timeline."""
    return await _act(request, caller, incident, Action("note", asked.version, asked.text))


@router.post(
    "/conditions/{condition:path}/ack",
    response_model=AlarmCondition,
    openapi_extra=needs(Right.INCIDENTS_ACT),
    dependencies=[Depends(json_only)],
)
async def acknowledge(
    request: Request, caller: CallerHere, condition: Annotated[str, Path(max_length=300)]
) -> Response:
    """Acknowledges an alarm condition: seen, not settled."""
    return answer(await acknowledge_condition(hub_of(request), caller, condition))


async def _act(request: Request, caller: CallerHere, incident: str, action: Action) -> Response:
    return answer(await act_on(hub_of(request), caller, incident, action))
