"""The app as a value: routes, errors, limits, console; `app.state.hub` is what they work on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from hub.web import models, problems
from hub.web.console import ConsoleFiles
from hub.web.guard import RIGHT_KEY
from hub.web.limits import Limits
from hub.web.routes import coverage, desk, devices, feed, media, people, public, quarantine, records, session

VERSION = "0.1.0"
ROUTERS = (session, desk, feed, media, devices, coverage, records, quarantine, people, public)
LOOSE = (models.IncidentChange, models.Beat, models.Gap, models.Resume, models.Problem)
"""Shapes that travel inside others (feed, errors) and that no call names by itself."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build(*, console: Path | None = None, lifespan: Lifespan | None = None) -> FastAPI:
    """The app without its hub: set `app.state.hub` before it serves."""
    app = FastAPI(
        title="Jifang",
        version=VERSION,
        description="The hub of a city's technical-defence network. Errors are RFC 9457 problem details.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        strict_content_type=False,
        redirect_slashes=False,
    )
    app.state.hub = None
    problems.install(app)
    for part in ROUTERS:
        # The routes themselves, not a router within: what `declared` reads is what is served.
        app.router.routes.extend(part.router.routes)
    app.state.description = msgspec.json.encode(describe(app))
    app.router.default = ConsoleFiles(console)
    app.add_middleware(Limits)
    return app


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with the shapes of the feed and the right each call needs."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas: dict[str, Any] = document["components"]["schemas"]
    for shape in LOOSE:
        schema = TypeAdapter(shape).json_schema(
            mode="serialization", ref_template="#/components/schemas/{model}", by_alias=True
        )
        for name, inner in schema.pop("$defs", {}).items():
            schemas.setdefault(name, inner)
        schemas[shape.__name__] = schema
    document["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "jifang"}
    }
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for call in path.values():
            _say_errors(call)
    return document


def _say_errors(call: dict[str, Any]) -> None:
    if call.get(RIGHT_KEY) != "public":
        call["security"] = [{"session": []}]
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses = call.setdefault("responses", {})
    responses.pop("422", None)
    responses["4XX"] = {"description": "Refused, with the reason.", "content": content}
    responses["5XX"] = {"description": "Not possible now, with the reason.", "content": content}


def api_routes(app: FastAPI) -> list[APIRoute]:
    """Every route of the API and of operation; the console's files aren't among them."""
    return [route for route in app.routes if isinstance(route, APIRoute)]
