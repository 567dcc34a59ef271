"""What every request is held to: size of body and headers, time; and the headers of every answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub import metrics
from hub.web.problems import ApiProblem, render

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1024 * 1024
LARGE_BODIES: Mapping[str, int] = {"/api/v1/sitefile": 64 * 1024 * 1024}
"""Path → its own limit, bytes."""
MAX_HEADER_BYTES = 16 * 1024
WITHIN_S = 20.0
DRAIN_WITHIN_S = 5.0
DRAIN_BYTES = 32 * 1024 * 1024
UNTIMED = ("/api/v1/feed",)

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from any other host, no inline script: the console works with no internet."""

HEADERS = [
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]


class _Refused(Exception):
    """A limit was met while the body was being read."""

    def __init__(self, problem: ApiProblem) -> None:
        super().__init__(problem.code)
        self.problem = problem


class Limits:
    """Outermost layer of the app. Where a limit is met it answers by itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            exchange.check_head()
            async with asyncio.timeout(None if exchange.untimed else WITHIN_S):
                await self._app(scope, exchange.receive, exchange.send)
            if exchange.over is not None:
                await exchange.refuse(exchange.over)
        except _Refused as refused:
            await exchange.refuse(refused.problem)
        except TimeoutError:
            await exchange.refuse(_too_slow(scope["method"]))
        except Exception:  # the supervision loop of requests: one that trips takes no other with it
            log.exception("request failed", method=scope["method"], path=scope["path"])
            await exchange.refuse(ApiProblem("internal"))
        finally:
            exchange.measure()


def _too_slow(method: str) -> ApiProblem:
    if method in ("GET", "HEAD"):
        return ApiProblem("timeout")
    return ApiProblem(
        "timeout",
        "中心没有及时答复,操作是否已执行尚不确定:请先看最新状态,再决定是否重做。",
        "The hub didn't answer in time; whether it was done is not known. Look at the latest state first.",
    )


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._path: str = scope["path"]
        self._most = LARGE_BODIES.get(self._path, MAX_BODY_BYTES)
        self._got = 0
        self._status = 0
        self._refusing = False
        self._began = time.perf_counter()
        self.over: ApiProblem | None = None
        """The limit that was met; whatever the app made of it isn't sent."""
        self.untimed = self._path in UNTIMED

    def header(self, name: bytes) -> str:
        """A request header's value."""
        return next((v.decode("latin-1") for k, v in self._scope["headers"] if k == name), "")

    def check_head(self) -> None:
        """Raises for headers or an announced body that are too large."""
        if sum(len(k) + len(v) for k, v in self._scope["headers"]) > MAX_HEADER_BYTES:
            raise _Refused(ApiProblem("header_too_large"))
        announced = self.header(b"content-length")
        if announced.isdigit() and int(announced) > self._most:
            raise _Refused(self._too_large())

    def _too_large(self) -> ApiProblem:
        limit = f"{self._most // 1024} kB"
        return ApiProblem(
            "too_large",
            f"内容超过 {limit} 上限。",
            f"The body is over the limit of {limit}.",
            headers={"Connection": "close"},
        )

    async def receive(self) -> Message:
        """The next part of the body, as long as it stays within the limits."""
        if self._status or self.untimed:
            return await self._receive()
        message = await self._receive()
        if message["type"] == "http.request":
            self._got += len(message.get("body", b""))
            if self._got > self._most:
                self.over = self._too_large()
                raise _Refused(self.over)
        return message

    async def send(self, message: Message) -> None:
        """The answer, with the headers that every answer has."""
        if self.over is not None and not self._refusing:
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
            present = {name.lower() for name, _ in message.get("headers", ())}
            extra = [pair for pair in HEADERS if pair[0] not in present]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await self._send(message)

    async def refuse(self, problem: ApiProblem) -> None:
        """Answers with a problem, unless an answer has begun."""
        self._refusing = True
        if problem.code == "too_large":
            await self._drain()
        if not self._status:
            await render(problem, self.header(b"accept-language"))(self._scope, self._receive, self.send)

    async def _drain(self) -> None:
        """Reads on for a while: a sender that is cut off in the middle never sees the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_WITHIN_S):
                while self._got < DRAIN_BYTES:
                    message = await self._receive()
                    self._got += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return

    def measure(self) -> None:
        """Counts the answer under its route's template, so that ids make no new series."""
        route: Any = self._scope.get("route")
        name = getattr(route, "path", "other")
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        metrics.HTTP_ANSWERS.labels(name, method, str(self._status)).inc()
        if not self.untimed:
            metrics.HTTP_SECONDS.labels(name, method).observe(time.perf_counter() - self._began)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
