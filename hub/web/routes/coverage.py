"""The map, the registers' file, and how much is covered."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from hub import sitefile
from hub.access import Right
from hub.domain.coverage import Coverage, TargetDetail
from hub.domain.register import Rung
from hub.evidence import NoSuchTarget
from hub.site_import import Imported
from hub.web import enrolling, mapping
from hub.web.answers import answer
from hub.web.context import Hub, hub_of
from hub.web.guard import CallerHere, guarded_router, json_only, needs
from hub.web.problems import ApiProblem

router: APIRouter = guarded_router("coverage")
AsOf = Annotated[datetime | None, Query(description="An instant with its zone; default now.")]


@router.get("/map", response_model=dict[str, Any], openapi_extra=needs(Right.MAP))
async def city_map(request: Request, caller: CallerHere) -> Response:
    """GeoJSON FeatureCollection of roads, sites and checkpoints the person may see (`properties.kind`)."""
    return answer(mapping.features_for(hub_of(request), caller))


@router.get("/coverage", response_model=Coverage, openapi_extra=needs(Right.COVERAGE))
async def coverage(
    request: Request, caller: CallerHere, rung: Rung | None = None, as_of: AsOf = None
) -> Response:
    """Each target with n, d, rate and whether it is met, over the person's jurisdiction. Without `rung`, each
    target at its own."""
    hub = hub_of(request)
    return answer(await hub.rates.coverage(as_of=_instant(hub, as_of), rung=rung, place=caller.person.place))


@router.get("/coverage/{target}", response_model=TargetDetail, openapi_extra=needs(Right.COVERAGE))
async def target(
    request: Request,
    caller: CallerHere,
    target: Annotated[str, Path(max_length=64)],
    rung: Rung | None = None,
    as_of: AsOf = None,
) -> Response:
    """One target with every member of its population and the rung each has reached."""
    hub = hub_of(request)
    try:
        found = await hub.rates.target(
            target, as_of=_instant(hub, as_of), rung=rung, place=caller.person.place
        )
    except NoSuchTarget:
        raise ApiProblem("not_found", f"没有目标 {target}。", f"There is no target {target}.") from None
    return answer(found)


@router.post(
    "/sitefile",
    response_model=Imported,
    openapi_extra=needs(Right.DEVICES_CHANGE),
    dependencies=[Depends(json_only)],
)
async def import_sitefile(request: Request, caller: CallerHere) -> Response:
    """Brings the registers up to what a site file says: adds and changes, never removes; all or nothing."""
    try:
        file = sitefile.parse(await request.body())
    except sitefile.SiteFileError as error:
        raise enrolling.file_problem(error) from error
    return answer(await enrolling.import_site(hub_of(request), caller, file))


def _instant(hub: Hub, asked: datetime | None) -> datetime:
    if asked is None:
        return hub.clock()
    if asked.tzinfo is None:
        raise ApiProblem(
            "invalid", "as_of 须带时区,如 2026-11-21T00:00:00+08:00。", "as_of needs a zone.", field="as_of"
        )
    return asked.astimezone(UTC)
