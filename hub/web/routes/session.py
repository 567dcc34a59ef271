"""Signing in, who am I, signing out."""

import math

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from hub.access import Right, rights_of
from hub.accounts import SignedIn, SignInRefused, TooManyTries
from hub.web import models
from hub.web.answers import answer, nothing
from hub.web.context import hub_of
from hub.web.guard import COOKIE, address_of, caller_of, guarded_router, json_only, needs
from hub.web.problems import ApiProblem

router: APIRouter = guarded_router("session")


@router.post(
    "/session",
    response_model=models.Session,
    openapi_extra=needs(Right.PUBLIC),
    dependencies=[Depends(json_only)],
)
async def sign_in(request: Request, asked: models.SignIn) -> Response:
    """Signs in; the cookie `jifang` carries the session. 401, or 429 after too many failures."""
    hub = hub_of(request)
    hub.require_store()
    try:
        signed_in = await hub.accounts.sign_in(asked.name, asked.password, address=address_of(request))
    except SignInRefused:
        raise ApiProblem("wrong_password", en="Wrong name or password.", zh="用户名或密码不正确。") from None
    except TooManyTries as error:
        wait_s = math.ceil(error.wait_s)
        raise ApiProblem(
            "too_many",
            f"失败次数过多,请 {wait_s} 秒后再试。",
            f"Too many failures; try again in {wait_s} s.",
            headers={"Retry-After": str(wait_s)},
        ) from error
    response = _session(request, signed_in)
    response.set_cookie(
        COOKIE,
        signed_in.token,
        max_age=int((signed_in.expires_at - hub.clock()).total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.get("/session", response_model=models.Session, openapi_extra=needs(Right.SELF))
async def who_am_i(request: Request) -> Response:
    """The session's person and what they may do."""
    return _session(request, request.state.session)


@router.delete("/session", status_code=204, openapi_extra=needs(Right.SELF))
async def sign_out(request: Request) -> Response:
    """Ends the session."""
    hub = hub_of(request)
    await hub.accounts.sign_out(request.state.session, address=caller_of(request).address)
    hub.feed.end_of(request.state.session.id)
    await hub.media.end_of(request.state.session.id)
    response = nothing()
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def _session(request: Request, session: SignedIn) -> Response:
    return answer(
        models.Session(
            person=hub_of(request).named(session.person),
            rights=tuple(sorted(rights_of(session.person))),
            expires_at=session.expires_at,
            server_now=hub_of(request).clock(),
        )
    )
