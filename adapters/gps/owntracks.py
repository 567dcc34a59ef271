"""OwnTracks phones over MQTT: `owntracks/<user>/<device>`, one JSON object a message.

Source: OwnTracks booklet, "JSON" (`_type` location, lwt, encrypted, cmd) and "Topics".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from adapters.gps.report import Errand, Event, MessageDecoder, Outgoing, Report, Said
from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from wire.observations import Body, Heartbeat, Link, Position

QUIET_TYPES = {
    "beacon",
    "card",
    "cmd",
    "configuration",
    "dump",
    "request",
    "status",
    "steps",
    "transition",
    "waypoint",
    "waypoints",
}
"""Say nothing of where the phone is now, only that it lives."""
RADIUS_M = 50


class OwnTracks(MessageDecoder):
    """All phones."""

    def receive(self, heard: Heard, now: datetime) -> tuple[Event, ...]:
        """One message, one event."""
        _ = now
        try:
            return (_report(heard),)
        except Refusal as refusal:
            return (refusal,)

    def order(self, address: str, errand: Errand) -> Outgoing:
        """A waypoint named by the text. The phone confirms nothing."""
        waypoint = {
            "_type": "waypoint",
            "desc": errand.text,
            "lat": round(errand.lat, 6),
            "lon": round(errand.lon, 6),
            "rad": RADIUS_M,
            "tst": int(errand.at.timestamp()),
        }
        command = {
            "_type": "cmd",
            "action": "setWaypoints",
            "waypoints": {"_type": "waypoints", "waypoints": [waypoint]},
        }
        return Outgoing(msgspec.json.encode(command), topic=f"owntracks/{address}/cmd")


def _report(heard: Heard) -> Report:
    levels = heard.topic.split("/")
    if len(levels) != 3 or not all(levels):
        raise Refusal("bad_topic", f"{heard.topic}: not owntracks/<user>/<device>", heard.payload)
    address = "/".join(levels[1:])
    document = _document(heard)
    match document.get("_type"):
        case "location":
            return Report(address, (_location(document, heard),))
        case "lwt":
            return Report(address, (_said(Link(up=False, reason="last will"), document, heard),))
        case "encrypted":
            raise Refusal(
                "encrypted", f"{heard.topic}: encrypted payloads need a key we don't have", heard.payload
            )
        case str() as kind if kind in QUIET_TYPES:
            return Report(address, (Said(Heartbeat()),))
        case kind:
            raise Refusal("unknown_type", f"{heard.topic}: $._type is {str(kind)[:40]!r}", heard.payload)


def _document(heard: Heard) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(heard.text.encode())
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal("not_json", f"{heard.topic}: {error}", heard.payload) from error
    if not isinstance(found, dict):
        raise Refusal("wrong_type", f"{heard.topic}: not a JSON object", heard.payload)
    return found


def _location(document: dict[str, Any], heard: Heard) -> Said:
    lat, lon = _number(document, "lat", heard), _number(document, "lon", heard)
    if lat is None or lon is None:
        raise Refusal("missing_key", f"{heard.topic}: $.lat and $.lon are needed", heard.payload)
    speed = _number(document, "vel", heard)
    position = Position(
        lat=lat,
        lon=lon,
        # Phones leave `vel` out when it is zero; a negative one says that it isn't known.
        speed_kmh=0.0 if speed is None else speed if speed >= 0 else None,
        course_deg=_unsigned(_number(document, "cog", heard)),
        accuracy_m=_unsigned(_number(document, "acc", heard)),
        altitude_m=_number(document, "alt", heard),
    )
    return _said(position, document, heard, f"{lat},{lon}")


def _said(body: Body, document: dict[str, Any], heard: Heard, rest: str = "") -> Said:
    """With the phone's clock; `rest` completes the identity."""
    seconds = _number(document, "tst", heard)
    try:
        device_at = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Refusal("bad_time", f"{heard.topic}: $.tst {seconds}: {error}", heard.payload) from error
    identity = f"{device_at:%Y%m%dT%H%M%SZ}:{rest}" if device_at and rest else ""
    return Said(body, device_at, identity)


def _number(document: dict[str, Any], key: str, heard: Heard) -> float | None:
    value = document.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal("wrong_type", f"{heard.topic}: $.{key} is not a number", heard.payload)
    return float(value)


def _unsigned(value: float | None) -> float | None:
    return value if value is not None and value >= 0 else None
