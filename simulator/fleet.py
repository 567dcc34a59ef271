"""The camera fleet as a run sees it: specifications from the district, acts from the story."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from simulator.cameras import CameraFleet, CameraSpec
from simulator.description import CameraAccess
from simulator.district import Camera
from simulator.ledger import Ledger
from simulator.story import Act

CAMERA_USER = "installer"


def camera_password(seed: int, camera: str) -> str:
    """The same for each run of a seed, so that what was registered yesterday still opens today."""
    return random.Random(f"{seed}:{camera}:password").randbytes(9).hex()


class StreetCameras:
    """The district's cameras, served by `simulator.cameras`."""

    def __init__(self, cameras: Sequence[Camera], ledger: Ledger, cache: Path, seed: int) -> None:
        self._seed = seed
        specs = [self._spec(camera) for camera in cameras]
        self._fleet = CameraFleet(specs, cache, ledger.write)
        self._acts: dict[str, Callable[[str, bool], None]] = {
            "cover": self._fleet.cover,
            "freeze": self._fleet.freeze,
            "cut": self._fleet.cut,
        }

    def _spec(self, camera: Camera) -> CameraSpec:
        return CameraSpec(
            id=camera.id,
            name=camera.name,
            lat=camera.lat,
            lon=camera.lon,
            bearing_deg=camera.bearing_deg,
            scene=camera.scene,
            seed=self._seed,
            film=camera.film,
            user=CAMERA_USER,
            password=camera_password(self._seed, camera.id),
        )

    async def start(self) -> None:
        """Renders what isn't in the cache yet, then serves; returns when all listen."""
        await self._fleet.start()

    async def stop(self) -> None:
        """Ends serving."""
        await self._fleet.stop()

    def access(self, camera: Camera) -> CameraAccess:
        """Addresses and account of one."""
        found = self._fleet.addresses(camera.id)
        password = camera_password(self._seed, camera.id)
        return CameraAccess(found.onvif, found.rtsp_main, found.rtsp_sub, CAMERA_USER, password)

    def apply(self, camera: str, act: Act) -> None:
        """Covers, freezes or cuts one, or ends that."""
        self._acts[act.do](camera, act.active)
