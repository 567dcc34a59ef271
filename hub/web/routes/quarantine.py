"""What could not be decoded: list, one with its bytes, try again, discard. For people of the root place."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from hub.access import Right
from hub.store.quarantine import Wanted
from hub.web import models, quarantined
from hub.web.answers import answer
from hub.web.context import hub_of
from hub.web.guard import CallerHere, guarded_router, json_only, needs

router: APIRouter = guarded_router("quarantine")
RIGHT = needs(Right.QUARANTINE)
RowId = Annotated[int, Path(ge=1, le=2**53)]
Reason = Annotated[str, Query(max_length=300, description="Why the bytes are looked at; required.")]
CHANGE: dict[str, Any] = {"openapi_extra": RIGHT, "dependencies": [Depends(json_only)]}


@router.get("/quarantine", response_model=models.QuarantinePage, openapi_extra=RIGHT)
async def quarantine(
    request: Request,
    caller: CallerHere,
    protocol: Annotated[str, Query(max_length=40)] = "",
    cause: Annotated[str, Query(max_length=40)] = "",
    since: datetime | None = None,
    untried: bool = False,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> Response:
    """Messages that could not be decoded, newest first, without their bytes. Only for people of the root
    place: no place is known of what could not be understood."""
    wanted = Wanted(protocol=protocol, cause=cause, since=quarantined.aware(since), untried=untried)
    return answer(await quarantined.page(hub_of(request), caller, wanted, limit))


@router.get("/quarantine/{row}", response_model=models.QuarantineItem, openapi_extra=RIGHT)
async def quarantine_item(request: Request, caller: CallerHere, row: RowId, reason: Reason = "") -> Response:
    """One message with its bytes as hexadecimal and text; audited with the reason."""
    return answer(await quarantined.item(hub_of(request), caller, row, reason))


@router.get(
    "/quarantine/{row}/raw",
    response_class=Response,
    responses={
        200: {
            "description": "The bytes as kept, at most 4 KiB.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    openapi_extra=RIGHT,
)
async def quarantine_raw(request: Request, caller: CallerHere, row: RowId, reason: Reason = "") -> Response:
    """The bytes as a file; audited with the reason."""
    return await quarantined.raw(hub_of(request), caller, row, reason)


@router.post("/quarantine/replay", response_model=models.Replayed, **CHANGE)
async def quarantine_replay_all(request: Request, caller: CallerHere, asked: models.ReplayWanted) -> Response:
    """Tries everything of a filter again, in the order in which it was first heard; `left`: ask once more."""
    wanted = Wanted(
        protocol=asked.protocol,
        cause=asked.cause,
        since=quarantined.instant(asked.since),
        untried=asked.untried,
    )
    return answer(await quarantined.replay_all(hub_of(request), caller, wanted))


@router.post("/quarantine/{row}/replay", response_model=models.Replayed, **CHANGE)
async def quarantine_replay(request: Request, caller: CallerHere, row: RowId) -> Response:
    """Tries one message again: what is understood goes to the log as history, and never twice."""
    return answer(await quarantined.replay_one(hub_of(request), caller, row))


@router.delete("/quarantine/{row}", response_model=models.Discarded, **CHANGE)
async def quarantine_discard(
    request: Request, caller: CallerHere, row: RowId, asked: models.Removal
) -> Response:
    """Throws a message away, with a reason; the log keeps that it was, and who did it."""
    return answer(await quarantined.discard(hub_of(request), caller, row, asked.reason))
