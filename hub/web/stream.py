"""One console's feed as server-sent events, written straight to the socket with a limit on patience."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub import metrics
from hub.access import Right, kinds_for, rights_of
from hub.accounts import SignedIn
from hub.feed import BEAT_S, Feed, Gap, Subscriber, event
from hub.screens import Screen
from hub.store.engine import StoreUnavailable
from hub.tail import Sight
from hub.web.context import Hub
from hub.web.guard import Caller
from hub.web.problems import ApiProblem
from hub.web.server import WIRE, Wire

log = structlog.get_logger(__name__)

SEND_WITHIN_S = 20.0
"""A console that takes nothing for this long is let go; it resumes from its cursor."""
KERNEL_BYTES = 256 * 1024
"""What the kernel holds for a console that doesn't read."""
SESSION_CHECK_S = 10.0
"""A right that was taken away ends the feed within this time."""
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """From where a console wants the feed."""

    after: int | None
    """None: from now on."""
    log: str = ""
    at_most: int | None = None
    """Rather a gap than more entries than this."""
    tab: str = ""
    """The console's own name for itself; then it says what it paints."""


def cursor_of(last_event_id: str | None, after: int | None) -> int | None:
    """Where to resume. A reconnecting browser's `Last-Event-ID` is newer than the address it was given."""
    if not last_event_id:
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= 18):
        raise ApiProblem(
            "invalid", "Last-Event-ID 应为编号。", "Last-Event-ID must be a number.", field="Last-Event-ID"
        )
    return int(last_event_id)


def sight_of(caller: Caller) -> Sight:
    """Which entries the caller is sent: the kinds their roles may see, in their jurisdiction."""
    rights = rights_of(caller.person)
    return Sight(kinds_for(caller.person), caller.person.place, Right.INCIDENTS_SEE in rights)


class EventStream(Response):
    """The response that doesn't end by itself."""

    def __init__(self, hub: Hub, caller: Caller, session: SignedIn, cursor: Cursor) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._hub, self._caller, self._session = hub, caller, session
        self._cursor = cursor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: until the console leaves, is too slow, or is signed out."""
        feed = self._hub.feed
        wire: Wire = scope["extensions"][WIRE]
        if not feed.has_room(self._session.id):
            raise ApiProblem("too_many", "打开的控制台过多。", "Too many consoles are open.")
        subscriber = self._subscribe(feed, wire)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            wire.bound(KERNEL_BYTES, SEND_WITHIN_S)
            await self._until_over(feed, subscriber, wire, receive)
        finally:
            feed.leave(subscriber)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _subscribe(self, feed: Feed, wire: Wire) -> Subscriber:
        cursor, screen = self._cursor, None
        if cursor.tab and Right.INCIDENTS_ACT in rights_of(self._caller.person):
            screen = Screen(self._caller.person.name, self._session.id, cursor.tab)
        subscriber = feed.subscribe(
            sight_of(self._caller),
            wire,
            cursor.after,
            log_id=cursor.log,
            at_most=cursor.at_most,
            session=self._session.id,
            screen=screen,
        )
        if screen is not None:
            screen.painted = subscriber.cursor
        return subscriber

    async def _until_over(self, feed: Feed, subscriber: Subscriber, wire: Wire, receive: Receive) -> None:
        writing = asyncio.create_task(self._write(feed, subscriber, wire))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, leaving):
                task.cancel()
            ends = await asyncio.gather(writing, leaving, return_exceptions=True)
        if isinstance(ends[0], SQLAlchemyError | StoreUnavailable):
            log.warning("a console's feed ends: the log can't be read", reason=str(ends[0]))
        elif isinstance(ends[0], Exception) and not isinstance(ends[0], TimeoutError):
            raise ends[0]

    async def _write(self, feed: Feed, subscriber: Subscriber, wire: Wire) -> None:
        """Ends when the console must resume or sign in again; `TimeoutError` where it takes nothing."""
        if subscriber.gap is not None:
            wire.write(subscriber.told())
        wire.write(feed.beat(subscriber, self._hub.clock()))
        subscriber.begin()
        loop = asyncio.get_running_loop()
        beat_at, check_at = loop.time() + BEAT_S, loop.time() + SESSION_CHECK_S
        while not subscriber.closed:
            async with asyncio.timeout(SEND_WITHIN_S):
                await wire.drain()
            if feed.is_too_slow(subscriber):
                metrics.FEED_RESUMES.inc()
                wire.write(event("resume", {"after": subscriber.cursor}))
                return
            if feed.is_behind(subscriber):
                wire.write(await feed.burst(subscriber))
            elif subscriber.units:
                wire.write(subscriber.take_units())
            else:
                await subscriber.wait(beat_at - loop.time())
            if loop.time() >= beat_at:
                beat_at = loop.time() + BEAT_S
                wire.write(feed.beat(subscriber, self._hub.clock()))
            if loop.time() >= check_at:
                check_at = loop.time() + SESSION_CHECK_S
                if not await self._still_theirs(feed, wire):
                    return

    async def _still_theirs(self, feed: Feed, wire: Wire) -> bool:
        """Whether the sign-in goes on with the same rights; told where they have become others.

        A store that can't be read takes nobody's desk away: it can't have been told of anything new either.
        """
        try:
            person = await self._hub.accounts.person_now(self._session)
        except (SQLAlchemyError, StoreUnavailable) as error:
            log.warning("sign-ins can't be looked up; feeds go on", reason=str(error))
            return True
        if person is not None and person != self._session.person:
            wire.write(Gap(1, feed.head, "jurisdiction").event())
        return person == self._session.person


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
