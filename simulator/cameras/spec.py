"""What a simulated camera is, where it is reached, and the truth of what moves before it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from simulator.scenes import film, traffic
from simulator.scenes.jobs import FilmJob, Job, StreetJob
from simulator.scenes.programme import Programme

Tamper = Literal["none", "scene-change", "tamper-detector"]
"""Which topic the camera uses to say that its picture was covered or turned; both are in use in the field."""

_ENDPOINTS = uuid.UUID("6f1d5a52-7f5e-4f0c-9c1c-5b6c1f5be001")


@dataclass(frozen=True)
class CameraSpec:
    """A camera to be simulated. `film`: a footage file shown instead of a rendered scene."""

    id: str
    name: str
    lat: float
    lon: float
    bearing_deg: float
    scene: str
    seed: int
    film: Path | None
    user: str
    password: str
    ptz: bool = False
    tamper: Tamper = "scene-change"
    clock_skew_s: float = 0.0
    """How far the camera's clock runs ahead of the true time."""

    @property
    def endpoint(self) -> str:
        """The camera's lasting WS-Discovery address."""
        return f"urn:uuid:{uuid.uuid5(_ENDPOINTS, f'{self.id}:{self.seed}')}"

    @property
    def serial(self) -> str:
        """The serial number the device tells."""
        return uuid.uuid5(_ENDPOINTS, f"{self.id}:{self.seed}").hex[:12].upper()


@dataclass(frozen=True)
class CameraAddress:
    """Where a camera listens. The RTSP addresses hold no credentials."""

    onvif: str
    rtsp_main: str
    rtsp_sub: str


def schedule(spec: CameraSpec, programme: Programme) -> list[tuple[float, float]]:
    """(begin, end) seconds within one round of the programme between which something moves in the picture.

    For a film nothing is known: an empty list.
    """
    return [] if spec.film else traffic.movement(spec.scene, spec.seed, programme)


def readable_film(path: Path) -> Path:
    """The path, once it is known that a picture can be read from it.

    Raises FileNotFoundError or ValueError, naming the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    film.shape_of(path)
    return path


def job_of(spec: CameraSpec, programme: Programme) -> Job:
    """What has to be rendered for the camera."""
    if spec.film is not None:
        return FilmJob.of(spec.film)
    return StreetJob(spec.scene, spec.seed, spec.id.upper(), programme)
