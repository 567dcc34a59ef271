"""The live feed and what consoles say of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from hub.access import Right
from hub.web import models
from hub.web.answers import nothing
from hub.web.context import hub_of
from hub.web.guard import CallerHere, guarded_router, json_only, needs
from hub.web.stream import Cursor, EventStream, cursor_of

router: APIRouter = guarded_router("feed")

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Server-sent events. `entry` (with `id:`, the number): FeedEntry. `units`: Unit[], latest "
            "positions, at most once a second. `beat`, every 5 s: Beat. `gap`: Gap, take a new snapshot. "
            "`resume`: Resume, this console is too slow; connect again with its cursor."
        ),
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/feed", responses=_STREAM, response_class=Response, openapi_extra=needs(Right.FEED))
async def feed(
    request: Request,
    caller: CallerHere,
    after: Annotated[int | None, Query(ge=0)] = None,
    log: Annotated[str, Query(max_length=64)] = "",
    at_most: Annotated[int | None, Query(ge=0)] = None,
    console: Annotated[str, Query(max_length=40)] = "",
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Every entry the person may see, from a cursor on, without end. `Last-Event-ID` wins over `after`;
    without either the feed begins now. `log` is the snapshot's: a cursor of another log gives a `gap`, and
    so do more than `at_most` entries since. A `console` that gives itself a name says what it paints."""
    cursor = Cursor(cursor_of(last_event_id, after), log, at_most, console)
    return EventStream(hub_of(request), caller, request.state.session, cursor)


@router.post(
    "/feed/rendered", status_code=204, openapi_extra=needs(Right.FEED), dependencies=[Depends(json_only)]
)
async def rendered(request: Request, caller: CallerHere, asked: models.RenderedUpTo) -> Response:
    """What this console has drawn: `seq` of the incidents (T2), `painted` of anything (it isn't frozen)."""
    await hub_of(request).rendered(caller, asked)
    return nothing()
