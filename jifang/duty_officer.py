"""The unattended demo's duty officer: takes the story's incident the whole way, through the API only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog

from jifang.desk_client import DeskClient

log = structlog.get_logger(__name__)

HANDLED_CONDITIONS = ("hold_up", "duress", "intrusion", "sos")


@dataclass(slots=True)
class DutyOfficer:
    """Claims, verifies, dispatches the best free unit, waits for its arrival by GPS, clears, closes."""

    client: DeskClient
    whole_way: set[str] = field(default_factory=set)
    """Incidents that were closed after a unit's arrival was seen from GPS."""
    changed: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    def told(self, entry: dict[str, Any]) -> None:
        """To be given every entry of the feed."""
        if entry["kind"] != "incident" or entry["late"]:
            return
        incident = entry["body"]["incident"]
        if incident["state"] == "closed" and _arrived_by_gps(incident):
            self.whole_way.add(incident["id"])
        self.changed.put_nowait(incident)

    async def work(self) -> None:
        """Acts on each change of an incident, for ever."""
        while True:
            incident = await self.changed.get()
            if incident["condition"] not in HANDLED_CONDITIONS:
                continue
            try:
                done = await self._act(incident)
            except httpx.HTTPError as error:
                log.info("duty officer waits for the hub", why=type(error).__name__)
                done = False
            if not done:
                # No entry will come of it, so the same step is tried again.
                self.changed.put_nowait(incident)
                await asyncio.sleep(1)

    async def _act(self, incident: dict[str, Any]) -> bool:
        """Whether nothing is left to do before the incident changes again."""
        step = await self._next_step(incident)
        if step is None:
            return bool(incident["state"] != "pending")  # no unit was free: one may be soon
        verb, body = step
        answer = await self.client.post(
            f"/incidents/{incident['id']}/{verb}", {"version": incident["version"], **body}
        )
        if answer.is_server_error:
            answer.raise_for_status()
        if answer.is_success:
            log.info("duty officer", incident=incident["id"], did=verb)
        else:
            # Someone or something changed it meanwhile; the entry of that change comes next on the feed.
            log.info("duty officer was refused", incident=incident["id"], verb=verb, why=answer.text[:300])
        return True

    async def _next_step(self, incident: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        state = incident["state"]
        if state == "new":
            return "claim", {}
        if state == "triage":
            return "verify", {}
        if state == "pending":
            detail = await self.client.get(f"/incidents/{incident['id']}")
            free = [one for one in detail["recommended"] if not one["busy_with"] and not one["stale"]]
            return ("dispatch", {"unit": free[0]["unit"]}) if free else None
        if state == "active":
            there = [one["unit"] for one in incident["assignments"] if one["state"] == "on_scene"]
            return ("clear", {"unit": there[0]}) if there else None
        if state == "handled":
            return "close", {"outcome": "巡逻车到场处置完毕"}
        return None


def _arrived_by_gps(incident: dict[str, Any]) -> bool:
    return any(one["arrival_by"] == "gps" for one in incident["assignments"])
