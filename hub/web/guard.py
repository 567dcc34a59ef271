"""Every route passes here first: session, right and origin are decided before a body is read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from hub.access import Person, Right, decide
from hub.accounts import SignedIn
from hub.web.problems import ApiProblem

API = "/api/v1"
COOKIE = "jifang"
RIGHT_KEY = "x-right"
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


_WITHOUT_STORE = frozenset({Right.SELF, Right.FEED, Right.VIDEO})
"""What goes on while a commit hangs: signing out, telling what is drawn, looking at pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is asking, and from where."""

    person: Person
    session: str
    """Short public id of the session: tells consoles apart in the audit log."""
    address: str


def needs(right: Right) -> dict[str, Any]:
    """A route's declaration of the right it asks for, as `openapi_extra`."""
    return {RIGHT_KEY: right.value}


def declared(route: APIRoute) -> Right | None:
    """The right a route declares; None where it declares none."""
    value = (route.openapi_extra or {}).get(RIGHT_KEY)
    return Right(value) if value else None


class GuardedRoute(APIRoute):
    """A route that answers nothing before `admit` has said yes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        right = declared(self)

        async def guarded(request: Request) -> Response:
            await admit(request, right)
            return await handle(request)

        return guarded


def guarded_router(tag: str, *, prefix: str = API) -> APIRouter:
    """A router all of whose routes are guarded; they are called by their functions' names."""
    return APIRouter(
        route_class=GuardedRoute,
        tags=[tag],
        prefix=prefix,
        generate_unique_id_function=lambda route: route.name,
    )


def address_of(request: Request) -> str:
    """The peer's address. No proxy header is believed."""
    return request.client.host if request.client else ""


async def admit(request: Request, right: Right | None) -> None:
    """Refuses, with a row in the audit log, or leaves `request.state.caller` behind."""
    _same_site(request)
    if right is Right.PUBLIC:
        return
    hub = request.app.state.hub
    if hub is None:
        raise ApiProblem("busy", "系统正在启动。", "The hub is starting.")
    token = request.cookies.get(COOKIE, "")
    session: SignedIn | None = await hub.accounts.find(token) if token else None
    decision = decide(session.person if session else None, right)
    if session is not None:
        caller = Caller(person=session.person, session=session.id, address=address_of(request))
        request.state.caller, request.state.session = caller, session
    if decision.allowed:
        if request.method in CHANGING and right not in _WITHOUT_STORE:
            hub.require_store()
        return
    if session is None:
        raise ApiProblem("not_signed_in", "请先登录。", "Sign in first.")
    await hub.denied(caller, right, f"{request.method} {request.url.path}", decision.reason)
    raise ApiProblem(
        "forbidden",
        f"您的角色没有此项权限({right.value if right else '-'})。",
        f"None of your roles grants {right.value if right else '-'}.",
    )


def _same_site(request: Request) -> None:
    """Second line behind SameSite=Strict: a browser on another site is refused (Fetch Metadata)."""
    if request.method not in CHANGING:
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ApiProblem("cross_site")


def caller_of(request: Request) -> Caller:
    """The signed-in caller, left by `admit`."""
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise ApiProblem("not_signed_in", "请先登录。", "Sign in first.")
    return caller


async def json_only(request: Request) -> None:
    """Changing calls with a body speak JSON: what a form on another site can't send."""
    if (
        request.method in CHANGING
        and request.headers.get("content-type", "").split(";")[0] != "application/json"
    ):
        raise ApiProblem(
            "wrong_media_type",
            "请以 application/json 发送。",
            "Send application/json.",
            field="Content-Type",
        )


CallerHere = Annotated[Caller, Depends(caller_of)]
