"""Accounts, for the administrator."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from hub.access import Right
from hub.web import models
from hub.web.answers import answer
from hub.web.context import hub_of
from hub.web.guard import CallerHere, guarded_router, json_only, needs

router: APIRouter = guarded_router("people")


@router.get("/people", response_model=list[models.PersonView], openapi_extra=needs(Right.PEOPLE))
async def people(request: Request, caller: CallerHere) -> Response:
    """Accounts in the person's jurisdiction."""
    hub = hub_of(request)
    found = await hub.accounts.people()
    return answer([hub.person_view(one) for one in found if hub.may_see(caller, one.place)])


@router.post(
    "/people",
    status_code=201,
    response_model=models.PersonView,
    openapi_extra=needs(Right.PEOPLE),
    dependencies=[Depends(json_only)],
)
async def add_person(request: Request, caller: CallerHere, asked: models.NewPerson) -> Response:
    """Makes an account in the person's own jurisdiction. The password isn't kept, only its hash."""
    hub = hub_of(request)
    return answer(hub.person_view(await hub.add_person(caller, asked)), 201)
