"""A district of the demo's size and what it sends: the same load for every benchmark of the hub."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from wire import codec
from wire.observations import Body, Condition, Heartbeat, Motion, Observation, PointState, Position

SENDER = "bench"


@dataclass(frozen=True, slots=True)
class Size:
    """How much stands in a district."""

    cameras: int
    panels: int
    units: int


DEMO = Size(12, 40, 8)
CITY = Size(200, 150, 60)
MIX = "70 % positions, 15 % heartbeats, 10 % motion, 5 % zones"


def district(size: Size = DEMO) -> dict[str, Any]:
    """A site file with that much in it."""
    return {
        "places": [{"id": "xz", "name": "徐州市", "level": "city"}],
        "sites": [
            {
                "id": f"s-{n}",
                "name": f"场所{n}",
                "class": "market",
                "place": "xz",
                "lat": 34.26,
                "lon": 117.19,
            }
            for n in range(max(size.panels, size.cameras))
        ],
        "cameras": [
            {"id": f"c-{n:02}", "name": f"摄像机{n}", "site": f"s-{n}", "rtsp_main": f"rtsp://127.0.0.1/{n}"}
            for n in range(size.cameras)
        ],
        "panels": [
            {
                "id": f"p-{n:02}",
                "name": f"主机{n}",
                "site": f"s-{n}",
                "convention": "homeassistant",
                "topic": f"p{n}",
                "zones": [{"key": "1", "name": "后门", "condition": "intrusion"}],
            }
            for n in range(size.panels)
        ],
        "units": [
            {
                "id": f"u-{n:02}",
                "name": f"苏C-{n:04}",
                "place": "xz",
                "tracker": {"protocol": "owntracks", "address": f"car/u{n}"},
            }
            for n in range(size.units)
        ],
    }


def backlog(count: int, seed: int, size: Size = DEMO) -> list[codec.Envelope]:
    """`count` envelopes of `MIX`, heard within the last minute; zones open and close."""
    chance = random.Random(seed)
    start = datetime.now(UTC) - timedelta(seconds=60)
    return [
        codec.Envelope(
            sender=SENDER,
            epoch=f"e{seed}",
            seq=number,
            observation=_observation(chance, size, seed, number, start + timedelta(milliseconds=number)),
        )
        for number in range(1, count + 1)
    ]


def _observation(chance: random.Random, size: Size, seed: int, number: int, at: datetime) -> Observation:
    kind = chance.random()
    body: Body
    if kind < 0.70:
        source = f"tracker:u-{chance.randrange(size.units):02}"
        body = Position(
            lat=round(34.2 + chance.random() / 10, 6),
            lon=round(117.1 + chance.random() / 10, 6),
            speed_kmh=round(chance.random() * 60, 1),
            course_deg=float(chance.randrange(360)),
            serial=str(number % 65536),
        )
        identity = f"{source}:{at.isoformat()}:{seed}-{number}"
        return Observation(source=source, body=body, heard_at=at, device_at=at, id=identity)
    if kind < 0.85:
        source, body = f"panel:p-{chance.randrange(size.panels):02}", Heartbeat()
    elif kind < 0.95:
        source = f"camera:c-{chance.randrange(size.cameras):02}"
        body = Motion(active=bool(number % 2), event=f"m{number // 2}", peak=round(chance.random(), 3))
    else:
        source = f"panel:p-{chance.randrange(size.panels):02}"
        body = PointState(point="zone:1", condition=Condition.INTRUSION, active=bool(number % 2))
    return Observation(source=source, body=body, heard_at=at, id=f"{SENDER}:e{seed}:{number}")
