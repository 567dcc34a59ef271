"""A console's ear: reads server-sent events off a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(slots=True)
class Event:
    """One server-sent event."""

    name: str
    data: Any
    id: str = ""


@dataclass(slots=True)
class Ear:
    """What one connection has brought."""

    events: list[Event] = field(default_factory=list)
    ended: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def named(self, name: str) -> list[Any]:
        """Data of all events of a name."""
        return [event.data for event in self.events if event.name == name]

    @property
    def seqs(self) -> list[int]:
        """Numbers of the entries, as they came."""
        return [entry["seq"] for entry in self.named("entry")]

    async def until(self, done: Callable[[Ear], object], within_s: float = 15.0) -> None:
        """Waits until `done(self)`; raises `TimeoutError`."""
        async with asyncio.timeout(within_s):
            while not done(self):
                self.arrived.clear()
                await self.arrived.wait()

    async def listen(self, answer: httpx.Response) -> None:
        """Reads to the end."""
        event = Event("message", "")
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if not line:
                self.events.append(Event(event.name, json.loads(event.data), event.id))
                event = Event("message", "")
                self.arrived.set()
            elif name == "event":
                event.name = value
            elif name == "data":
                event.data += value
            elif name == "id":
                event.id = value
        self.ended = True
        self.arrived.set()


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, after: int | None = None, *, last_event_id: str = "", log: str = ""
) -> AsyncIterator[Ear]:
    """A connection to the feed, read in the background."""
    query: dict[str, Any] = {} if after is None else {"after": after}
    if log:
        query["log"] = log
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    ear = Ear()
    async with client.stream("GET", "/feed", params=query, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        reading = asyncio.create_task(ear.listen(answer))
        try:
            yield ear
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def chain_is_whole(ear: Ear, cursor: int) -> bool:
    """Whether each entry names the one before it, from the cursor on, numbers rising."""
    for entry in ear.named("entry"):
        if entry["prev"] != cursor or entry["seq"] <= cursor:
            return False
        cursor = entry["seq"]
    return True
