"""One console's feed as server-sent events, written straight to the socket with a limit on patience."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub import metrics
from hub.access import Right, kinds_for, rights_of
from hub.accounts import SignedIn
from hub.domain.entry import Entry, EntryKind
from hub.feed import BEAT_S, Feed, Gap, Subscriber, event
from hub.web.context import Hub
from hub.web.guard import Caller
from hub.web.problems import ApiProblem

Put: TypeAlias = Callable[[bytes], Awaitable[None]]

SEND_WITHIN_S = 20.0
"""A console that takes nothing for this long is let go; it resumes from its cursor."""
SESSION_CHECK_S = 30.0
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


def cursor_of(last_event_id: str | None, after: int | None) -> int | None:
    """Where to resume. A reconnecting browser's `Last-Event-ID` is newer than the address it was given."""
    if not last_event_id:
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= 18):
        raise ApiProblem(
            "invalid", "Last-Event-ID 应为编号。", "Last-Event-ID must be a number.", field="Last-Event-ID"
        )
    return int(last_event_id)


def sees_entry(hub: Hub, caller: Caller) -> Callable[[Entry], bool]:
    """Which entries the caller is sent: the kinds their roles may see, in their jurisdiction. The state of
    our own parts concerns everyone."""
    kinds = kinds_for(caller.person)

    def sees(entry: Entry) -> bool:
        if entry.kind not in kinds:
            return False
        return entry.kind is EntryKind.HUB or hub.may_see(caller, entry.place)

    return sees


class EventStream(Response):
    """The response that doesn't end by itself."""

    def __init__(self, hub: Hub, caller: Caller, session: SignedIn, after: int | None, log_id: str) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._hub, self._caller, self._session = hub, caller, session
        self._after, self._log_id = after, log_id

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: until the console leaves, is too slow, or is signed out."""
        feed = self._hub.feed
        if not feed.has_room(self._session.id):
            raise ApiProblem("too_many", "打开的控制台过多。", "Too many consoles are open.")
        gap = await feed.gap(self._after, self._log_id)
        subscriber = self._subscribe(feed, gap)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        writing = asyncio.create_task(self._write(feed, subscriber, gap, _patient(send)))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            feed.leave(subscriber)
            for task in (writing, leaving):
                task.cancel()
            ends = await asyncio.gather(writing, leaving, return_exceptions=True)
        if ends[0] is None:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif isinstance(ends[0], Exception) and not isinstance(ends[0], TimeoutError):
            raise ends[0]

    def _subscribe(self, feed: Feed, gap: Gap | None) -> Subscriber:
        start = feed.head if self._after is None else self._after
        if gap is not None:
            start = gap.to
        return feed.subscribe(
            sees_entry(self._hub, self._caller),
            lambda place: self._hub.may_see(self._caller, place),
            start,
            console=self._session.id,
            wants_units=Right.INCIDENTS_SEE in rights_of(self._caller.person),
        )

    async def _write(self, feed: Feed, subscriber: Subscriber, gap: Gap | None, put: Put) -> None:
        """Ends when the console must resume or sign in again; `TimeoutError` where it takes nothing."""
        if gap is not None:
            metrics.FEED_GAPS.labels(gap.reason).inc()
            await put(event("gap", {"from": gap.from_, "to": gap.to, "reason": gap.reason}))
        await put(feed.beat(subscriber, self._hub.clock()))
        while burst := await feed.replay(subscriber):
            await put(burst)
        loop = asyncio.get_running_loop()
        beat_at, check_at = loop.time() + BEAT_S, loop.time() + SESSION_CHECK_S
        while not subscriber.closed:
            if subscriber.overflowed:
                metrics.FEED_RESUMES.inc()
                await put(event("resume", {"after": subscriber.cursor}))
                return
            if burst := subscriber.take() or feed.take_units(subscriber):
                await put(burst)
            else:
                await subscriber.wait(beat_at - loop.time())
            if loop.time() >= beat_at:
                beat_at = loop.time() + BEAT_S
                await put(feed.beat(subscriber, self._hub.clock()))
            if loop.time() >= check_at:
                check_at = loop.time() + SESSION_CHECK_S
                if not await self._hub.accounts.still_signed_in(self._session):
                    return


def _patient(send: Send) -> Put:
    async def put(chunk: bytes) -> None:
        async with asyncio.timeout(SEND_WITHIN_S):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    return put


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
