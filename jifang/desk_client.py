"""A console without a screen: signs in, follows the feed, acts through the same HTTP API as a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from wire.link import Backoff

Json = dict[str, Any]


@dataclass(slots=True)
class Heard:
    """What a feed has brought so far."""

    entries: list[tuple[Json, datetime]] = field(default_factory=list)
    """Each entry with the instant it arrived, UTC."""
    gaps: int = 0
    """Numbers missing without a word, and gaps the hub announced."""
    last: int = 0
    head: int = 0


class DeskClient:
    """One signed-in person."""

    def __init__(self, base: str) -> None:
        self._http = httpx.AsyncClient(base_url=base, timeout=15)

    async def close(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    async def sign_in(self, name: str, password: str) -> None:
        """Raises `httpx.HTTPStatusError` where refused."""
        answer = await self._http.post("/api/v1/session", json={"name": name, "password": password})
        answer.raise_for_status()

    async def get(self, path: str, **query: Any) -> Any:
        """JSON of `/api/v1{path}`."""
        answer = await self._http.get(f"/api/v1{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    async def post(self, path: str, body: Json) -> httpx.Response:
        """Posts JSON to `/api/v1{path}`; the caller judges the status."""
        return await self._http.post(f"/api/v1{path}", json=body)

    async def follow(self, heard: Heard, told: Callable[[Json], None]) -> None:
        """Follows the feed for ever, over every loss of the connection, resuming where it stopped."""
        backoff = Backoff(first_s=0.3, most_s=3.0)
        while True:
            try:
                async for event, data in self._events(heard.last):
                    backoff.succeeded()
                    _take(event, data, heard, told)
            except httpx.HTTPError:
                pass
            await asyncio.sleep(backoff.delay_s())

    async def _events(self, after: int) -> AsyncIterator[tuple[str, Json]]:
        limits = httpx.Timeout(15, read=20)
        async with self._http.stream(
            "GET", "/api/v1/feed", params={"after": after}, timeout=limits
        ) as answer:
            answer.raise_for_status()
            event, data = "message", ""
            async for line in answer.aiter_lines():
                if line.startswith("event:"):
                    event = line[6:].strip()
                elif line.startswith("data:"):
                    data += line[5:].strip()
                elif not line and data:
                    yield event, json.loads(data)
                    event, data = "message", ""


def _take(event: str, data: Any, heard: Heard, told: Callable[[Json], None]) -> None:
    if event == "entry":
        if data["prev"] != heard.last and heard.last:
            heard.gaps += 1
        heard.last = data["seq"]
        heard.entries.append((data, datetime.now(UTC)))
        told(data)
    elif event == "gap":
        heard.gaps += 1
        heard.last = max(heard.last, int(data["to"]))
    elif event == "beat":
        heard.head = int(data["head"])
