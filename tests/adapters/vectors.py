"""Reads the vectors: recorded or specified input, and what it must come to."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from adapters.mqtt.heard import Heard
from wire.observations import Observation

FOLDER = Path(__file__).parent.parent / "vectors"

Vector: TypeAlias = dict[str, Any]


def files(family: str) -> list[Path]:
    """All vectors of a family, `{family}/{protocol}/{name}.json`."""
    return sorted((FOLDER / family).glob("*/*.json"))


def name_of(path: Path) -> str:
    """As it is named in a test's report."""
    return str(path.relative_to(FOLDER).with_suffix(""))


def load(path: Path) -> Vector:
    """A vector; every one says what it is about and where it comes from."""
    vector: Vector = json.loads(path.read_text())
    assert vector["about"], path
    assert vector["provenance"].startswith(("written from", "recorded from")), path
    return vector


def now_of(vector: Vector) -> datetime:
    """The instant at which its input is heard."""
    return datetime.fromisoformat(vector["now"])


def heard_of(message: Vector) -> Heard:
    """An MQTT message."""
    payload = bytes.fromhex(message["hex"]) if "hex" in message else message["text"].encode()
    return Heard(message["topic"], payload, message.get("retained", False))


def told(observation: Observation) -> Vector:
    """An observation as vectors write it: without when it was heard."""
    written: Vector = msgspec.to_builtins(observation)
    del written["heard_at"]
    return written


def check_plausible(observation: Observation) -> None:
    """What no true message can mean, whatever a vector says."""
    family, _, device = observation.source.partition(":")
    assert family in ("camera", "panel", "tracker")
    assert device
    assert observation.heard_at.utcoffset() is not None
    if observation.device_at is not None:
        assert 2000 <= observation.device_at.year < 2100
    body = observation.body
    if observation.kind == "position" and body.valid:  # type: ignore[union-attr]
        check_position(body)
    if observation.kind == "point":
        assert body.point  # type: ignore[union-attr]


def check_position(position: Any) -> None:
    """A position that is said to be true is on Earth, on the ground, and no faster than a car."""
    assert -90 <= position.lat <= 90
    assert -180 <= position.lon <= 180
    assert (position.lat, position.lon) != (0, 0)
    assert position.speed_kmh is None or 0 <= position.speed_kmh < 250
    assert position.course_deg is None or 0 <= position.course_deg <= 360
    assert position.altitude_m is None or -500 <= position.altitude_m < 9000
