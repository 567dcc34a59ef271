"""What can be looked up afterwards: log and audit."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hub.access import Right
from hub.domain.entry import EntryKind
from hub.web import models, reading
from hub.web.answers import answer
from hub.web.context import hub_of
from hub.web.guard import CallerHere, guarded_router, needs

router: APIRouter = guarded_router("records")
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/log", response_model=models.LogPage, openapi_extra=needs(Right.LOG))
async def log(
    request: Request,
    caller: CallerHere,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Limit = 200,
    kind: EntryKind | None = None,
) -> Response:
    """Entries of the log in the person's jurisdiction, oldest first."""
    return answer(await reading.log_page(hub_of(request), caller, after, limit, kind))


@router.get("/audit", response_model=models.AuditPage, openapi_extra=needs(Right.AUDIT))
async def audit(
    request: Request,
    caller: CallerHere,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Limit = 200,
) -> Response:
    """Who looked at, changed or was refused what, newest first; of people in the person's jurisdiction."""
    return answer(await reading.audit_page(hub_of(request), caller, before, limit))
