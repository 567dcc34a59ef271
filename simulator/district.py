"""The simulated district as values: its sites, panels, cameras, checkpoints, cars and roads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simulator.gazetteer import (
    CAMERAS,
    CARS,
    CHECKPOINTS,
    PANELS,
    SITES,
    ZONE_SETS,
    CameraKind,
    Car,
    Checkpoint,
    PanelKind,
    Site,
)
from simulator.roads import Point, RoadNetwork, to_degrees
from simulator.street_plan import build_network

HEARTBEAT_S = 30.0
FIX_EVERY_S = 3.0


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone (防区) of a panel."""

    key: str
    """HA object id or PAI label: its name in the topics."""
    name: str
    name_en: str
    condition: str
    device_class: str
    """In Home Assistant's words."""

    @property
    def always(self) -> bool:
        """Guarded around the clock, armed or not."""
        return self.condition != "intrusion"


@dataclass(frozen=True, slots=True)
class Panel:
    """An alarm panel."""

    id: str
    name: str
    name_en: str
    site: str
    position: str
    convention: str
    topic: str
    partition: str
    zones: tuple[Zone, ...]
    lat: float
    lon: float
    begins_armed: bool


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera to be served: from a drawn street or from a film."""

    id: str
    name: str
    name_en: str
    site: str
    position: str
    checkpoint: str
    lat: float
    lon: float
    bearing_deg: float
    scene: str
    film: Path | None = None


@dataclass(frozen=True, slots=True)
class District:
    """Everything that a run simulates."""

    network: RoadNetwork
    sites: tuple[Site, ...]
    panels: tuple[Panel, ...]
    cameras: tuple[Camera, ...]
    checkpoints: tuple[Checkpoint, ...]
    cars: tuple[Car, ...]

    def devices(self) -> frozenset[str]:
        """`panel:…`, `camera:…`, `tracker:…` of all of them."""
        return frozenset(
            [f"panel:{one.id}" for one in self.panels]
            + [f"camera:{one.id}" for one in self.cameras]
            + [f"tracker:{one.id}" for one in self.cars]
        )


MAX_PANELS, MAX_CAMERAS, MAX_CARS = len(PANELS), len(CAMERAS), len(CARS)


@cache
def _network() -> RoadNetwork:
    return build_network()


def build_district(
    *,
    panels: int = MAX_PANELS,
    cameras: int = MAX_CAMERAS,
    cars: int = MAX_CARS,
    footage: Sequence[Path] = (),
) -> District:
    """The district with the first so many of each; the story's devices are the first. Films come on top."""
    network = _network()
    return District(
        network=network,
        sites=SITES,
        panels=tuple(_panel(network, i, kind) for i, kind in enumerate(PANELS[:panels])),
        cameras=(
            *(_camera(network, i, kind) for i, kind in enumerate(CAMERAS[:cameras])),
            *(_film_camera(network, i, film) for i, film in enumerate(footage)),
        ),
        checkpoints=CHECKPOINTS,
        cars=CARS[:cars],
    )


def site_of(identity: str) -> Site:
    """A site by its id."""
    return next(site for site in SITES if site.id == identity)


def where(network: RoadNetwork, site: Site, ahead: int = 0) -> tuple[float, float]:
    """Beside its road; several devices of a site stand a few metres apart, further along."""
    point = network.along_road(site.road, site.share, site.side_m)
    return to_degrees(Point(point.x + 4.0 * ahead, point.y + 2.5 * ahead))


def _panel(network: RoadNetwork, index: int, kind: PanelKind) -> Panel:
    site = site_of(kind.site)
    identity = f"p-{index + 1:02d}"
    paradox = index % 2 == 1
    earlier = sum(one.site == kind.site for one in PANELS[:index])
    lat, lon = where(network, site, earlier)
    return Panel(
        id=identity,
        name=f"{site.name}{kind.part}报警主机",
        name_en=f"{site.name_en}, {kind.part_en} panel",
        site=site.id,
        position=position_id(site.id, kind.part) if kind.position else "",
        convention="paradox" if paradox else "homeassistant",
        topic=f"paradox/{identity}" if paradox else identity,
        partition=kind.part if paradox else identity,
        zones=tuple(
            Zone(one.name if paradox else f"zone_{n}", one.name, one.name_en, one.condition, one.device_class)
            for n, one in enumerate(ZONE_SETS[kind.zones], 1)
        ),
        lat=lat,
        lon=lon,
        begins_armed=kind.begins_armed,
    )


def _camera(network: RoadNetwork, index: int, kind: CameraKind) -> Camera:
    site = site_of(kind.site)
    lat, lon = where(network, site, -1 - sum(one.site == kind.site for one in CAMERAS[:index]))
    position = position_id(site.id, kind.part) if kind.part else ""
    return Camera(
        f"c-{index + 1:02d}",
        kind.name,
        kind.name_en,
        site.id,
        position,
        kind.checkpoint,
        lat,
        lon,
        kind.bearing_deg,
        kind.scene,
    )


def _film_camera(network: RoadNetwork, index: int, film: Path) -> Camera:
    site = site_of("s-16")
    lat, lon = where(network, site, 3 + index)
    name = film.stem[:60]
    return Camera(
        f"c-film-{index + 1}", f"影片 {name}", f"Film {name}", site.id, "", "", lat, lon, 90.0, "film", film
    )


def position_id(site: str, part: str) -> str:
    """Id of the important position that a part of a site is."""
    parts = [one.part for one in PANELS if one.site == site]
    return f"{site}-{parts.index(part) + 1}"
