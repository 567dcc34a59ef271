"""Devices with their health; registering, accepting and removing them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from hub.access import Right
from hub.web import enrolling, models
from hub.web.answers import answer
from hub.web.context import hub_of
from hub.web.guard import CallerHere, guarded_router, json_only, needs

router: APIRouter = guarded_router("devices")
DeviceId = Annotated[str, Path(max_length=64)]
CHANGE: dict[str, Any] = {
    "response_model": models.Registered,
    "openapi_extra": needs(Right.DEVICES_CHANGE),
    "dependencies": [Depends(json_only)],
}


@router.get("/devices", response_model=models.Devices, openapi_extra=needs(Right.DEVICES_SEE))
async def devices(request: Request, caller: CallerHere) -> Response:
    """Cameras, panels and trackers the person may see, with their health."""
    return answer(await enrolling.devices_for(hub_of(request), caller))


@router.post("/cameras", status_code=201, **CHANGE)
async def add_camera(request: Request, caller: CallerHere, asked: models.NewCamera) -> Response:
    """Registers a camera; its credentials are sealed and never come back."""
    return answer(await enrolling.add_camera(hub_of(request), caller, asked), 201)


@router.post("/panels", status_code=201, **CHANGE)
async def add_panel(request: Request, caller: CallerHere, asked: models.NewPanel) -> Response:
    """Registers an alarm panel."""
    return answer(await enrolling.add_panel(hub_of(request), caller, asked), 201)


@router.post("/trackers", status_code=201, **CHANGE)
async def add_tracker(request: Request, caller: CallerHere, asked: models.NewTracker) -> Response:
    """Registers a terminal or phone and its unit."""
    return answer(await enrolling.add_tracker(hub_of(request), caller, asked), 201)


@router.delete("/cameras/{device}", **CHANGE)
async def remove_camera(
    request: Request, caller: CallerHere, device: DeviceId, asked: models.Removal
) -> Response:
    """Takes a camera out of the register, with a reason."""
    return answer(await enrolling.remove(hub_of(request), caller, f"camera:{device}", asked.reason))


@router.delete("/panels/{device}", **CHANGE)
async def remove_panel(
    request: Request, caller: CallerHere, device: DeviceId, asked: models.Removal
) -> Response:
    """Takes a panel out of the register, with a reason."""
    return answer(await enrolling.remove(hub_of(request), caller, f"panel:{device}", asked.reason))


@router.delete("/trackers/{device}", **CHANGE)
async def remove_tracker(
    request: Request, caller: CallerHere, device: DeviceId, asked: models.Removal
) -> Response:
    """Takes a tracker out of the register, with a reason."""
    return answer(await enrolling.remove(hub_of(request), caller, f"tracker:{device}", asked.reason))


@router.post(
    "/devices/{source}/acceptance",
    status_code=201,
    response_model=models.Registered,
    openapi_extra=needs(Right.DEVICES_ACCEPT),
    dependencies=[Depends(json_only)],
)
async def accept(
    request: Request, caller: CallerHere, source: Annotated[str, Path(max_length=80)], asked: models.Accepting
) -> Response:
    """Evidence for rung L2: what was tested on site and seen at the desk."""
    return answer(await enrolling.accept(hub_of(request), caller, source, asked), 201)
