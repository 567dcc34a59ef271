"""Health, metrics: what needs no session."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from hub import metrics
from hub.access import Right
from hub.web import models
from hub.web.answers import answer
from hub.web.context import hub_of, measure
from hub.web.guard import guarded_router, needs

router: APIRouter = guarded_router("operation", prefix="")


@router.get("/healthz", response_model=models.Readiness, openapi_extra=needs(Right.PUBLIC))
async def healthz() -> Response:
    """The process answers."""
    return answer(models.Readiness(ok=True))


@router.get("/readyz", response_model=models.Readiness, openapi_extra=needs(Right.PUBLIC))
async def readyz(request: Request) -> Response:
    """Whether the hub can store; 503 where not. Names the part, not its address."""
    health = await hub_of(request).readiness()
    return answer(health, 200 if health.ok else 503)


@router.get("/metrics", response_class=Response, openapi_extra=needs(Right.PUBLIC))
async def exposition(request: Request) -> Response:
    """Figures in Prometheus' text format."""
    measure(hub_of(request))
    return Response(metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})


@router.get(
    "/openapi.json", response_class=Response, include_in_schema=False, openapi_extra=needs(Right.PUBLIC)
)
async def description(request: Request) -> Response:
    """The API's own description."""
    return Response(request.app.state.description, media_type="application/json")
