"""What the edge's parent and its worker processes say to each other: JSON lines over pipes."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from wire.observations import Observation
from wire.work import Camera


class Assign(Struct, frozen=True, kw_only=True):
    """Parent → worker: watch exactly these."""

    cameras: tuple[Camera, ...]


class Report(Struct, frozen=True, kw_only=True, tag="report"):
    """Worker → parent: seen at one camera, in order."""

    observations: tuple[Observation, ...]


class EdgeFigures(Struct, frozen=True, kw_only=True, tag="figures"):
    """Worker → parent: counted since the worker started; `cameras` and `up` are as of now."""

    cameras: int = 0
    up: int = 0
    packets: int = 0
    frames: int = 0
    undecodable: int = 0
    dropped: int = 0
    reconnects: int = 0

    def plus(self, other: EdgeFigures) -> EdgeFigures:
        """Both together."""
        names = self.__struct_fields__
        return EdgeFigures(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Said(Struct, frozen=True, kw_only=True, tag="said"):
    """Worker → parent: a line for the log, which only the parent writes."""

    level: str
    event: str
    fields: dict[str, str]


FromWorker: TypeAlias = Report | EdgeFigures | Said
