"""One camera as its ONVIF services see it: its facts, its streams, its mount, its events, its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from simulator.cameras.mount import Mount
from simulator.cameras.pullpoint import EventSource, Topic
from simulator.cameras.spec import CameraAddress, CameraSpec
from simulator.scenes.reel import Reel

_TAMPER = {"scene-change": Topic.SCENE_CHANGE, "tamper-detector": Topic.TAMPER_DETECTOR}


@dataclass(frozen=True)
class Material:
    """The reels a camera shows."""

    main: Reel
    sub: Reel
    covered_main: Reel
    covered_sub: Reel

    def streams(self) -> dict[str, tuple[Reel, Reel]]:
        """By stream name: what is shown, and what is shown while covered."""
        return {"main": (self.main, self.covered_main), "sub": (self.sub, self.covered_sub)}


def topics_of(spec: CameraSpec) -> tuple[Topic, ...]:
    """What the camera has events for."""
    return (Topic.MOTION, *([_TAMPER[spec.tamper]] if spec.tamper != "none" else []))


def _utc() -> datetime:
    return datetime.now(UTC)


_NOWHERE = CameraAddress("", "", "")


@dataclass
class Device:
    """`position_s` gives the second of the programme now. `address` is set before the services answer."""

    spec: CameraSpec
    position_s: Callable[[], float]
    address: CameraAddress = _NOWHERE
    material: Material | None = None
    states: set[str] = field(default_factory=set)
    mount: Mount = field(default_factory=Mount)
    events: EventSource = field(init=False)

    def __post_init__(self) -> None:
        self.events = EventSource(_utc, timedelta(seconds=self.spec.clock_skew_s), topics_of(self.spec))
        if self.spec.ptz:
            self.mount.presets = {"1": ("Home", (0.0, 0.0, 0.0)), "2": ("Gate", (-0.5, -0.1, 0.2))}

    def now(self) -> datetime:
        """The camera's own clock."""
        return self.events.camera_now()

    def steady_s(self) -> float:
        """Seconds for the mount."""
        return time.monotonic()

    def service(self, path: str) -> str:
        """The address of one of its services."""
        base = self.address.onvif.removesuffix("/onvif/device_service")
        return f"{base}{path}"

    def tamper_topic(self) -> Topic | None:
        """Which topic tells of a covered picture, if it has one."""
        return _TAMPER.get(self.spec.tamper)

    def key_frame(self, stream: str) -> bytes | None:
        """The H.264 key frame the stream shows now; None while its material isn't ready."""
        if self.material is None:
            return None
        reel, cover = self.material.streams()[stream]
        if "covered" in self.states:
            return cover.key_frame(0.0)
        return reel.key_frame(self.position_s())
