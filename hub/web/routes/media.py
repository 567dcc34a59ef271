"""Live video by WHEP, stills, evidence pictures: each view with a reason, each audited before it is given."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from hub.access import Right
from hub.media import Quality
from hub.web import models, viewing
from hub.web.answers import answer, nothing
from hub.web.context import hub_of
from hub.web.guard import CallerHere, guarded_router, needs

router: APIRouter = guarded_router("video")
CameraId = Annotated[str, Path(max_length=64)]
Reason = Annotated[str, Query(max_length=300, description="Why the picture is looked at; required.")]
VIEW = needs(Right.VIDEO)

_SDP = {"content": {"application/sdp": {"schema": {"type": "string"}}}}


@router.post(
    "/cameras/{camera}/whep",
    status_code=201,
    response_class=Response,
    responses={201: {"description": "SDP answer; `Location` is the session.", **_SDP}},
    openapi_extra=VIEW | {"requestBody": {"required": True, **_SDP}},
)
async def whep(
    request: Request,
    caller: CallerHere,
    camera: CameraId,
    reason: Reason = "",
    quality: Quality = Quality.SUB,
) -> Response:
    """Opens a live picture (WHEP): SDP offer in, SDP answer out, the camera's own H.264 passed through."""
    return await viewing.open_live(hub_of(request), caller, camera, reason, quality, request)


@router.delete("/cameras/{camera}/whep/{session}", status_code=204, openapi_extra=VIEW)
async def whep_end(
    request: Request, caller: CallerHere, camera: CameraId, session: Annotated[str, Path(max_length=64)]
) -> Response:
    """Ends a live picture."""
    await viewing.end_live(hub_of(request), caller, camera, session)
    return nothing()


@router.get(
    "/cameras/{camera}/still",
    response_model=models.StillFacts,
    responses={
        200: {
            "description": "JPEG, or StillFacts where `application/json` is accepted.",
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    openapi_extra=VIEW,
)
async def still(
    request: Request,
    caller: CallerHere,
    camera: CameraId,
    reason: Reason = "",
    quality: Quality = Quality.SUB,
    accept: Annotated[str, Header()] = "image/jpeg",
) -> Response:
    """The camera's latest picture, with its age in `Jifang-Picture-Age` (seconds)."""
    facts, jpeg = await viewing.latest_picture(hub_of(request), caller, camera, reason, quality)
    if accept.startswith("application/json"):
        return answer(facts)
    return viewing.as_jpeg(jpeg, facts)


@router.get(
    "/stills/{hash}",
    response_class=Response,
    responses={200: {"description": "JPEG", "content": {"image/jpeg": {"schema": {"type": "string"}}}}},
    openapi_extra=VIEW,
)
async def evidence_still(
    request: Request,
    caller: CallerHere,
    hash: Annotated[str, Path(pattern="^[0-9a-f]{16,64}$")],
    reason: Reason = "",
) -> Response:
    """A picture that an entry holds as evidence."""
    return await viewing.evidence(hub_of(request), caller, hash, reason)
