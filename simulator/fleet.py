"""The camera fleet as a run sees it: specifications from the district, acts from the story."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from simulator.cameras import CameraFleet, CameraSpec, RenderError, RtspError
from simulator.description import CameraAccess
from simulator.district import Camera
from simulator.ledger import Ledger
from simulator.run import CamerasFailed
from simulator.story import Act

CAMERA_USER = "installer"


def camera_password(seed: int, camera: str) -> str:
    """The same for each run of a seed, so that what was registered yesterday still opens today."""
    return random.Random(f"{seed}:{camera}:password").randbytes(9).hex()


class StreetCameras:
    """The district's cameras, served by `simulator.cameras`."""

    def __init__(self, cameras: Sequence[Camera], ledger: Ledger, cache: Path, seed: int) -> None:
        self._seed = seed
        specs = [self._spec(number, camera) for number, camera in enumerate(cameras, 1)]
        self._fleet = CameraFleet(specs, cache, ledger.write)

    def _spec(self, number: int, camera: Camera) -> CameraSpec:
        # As in the field: a few turn and tilt, makers differ in how they tell of tampering, one clock is off.
        return CameraSpec(
            id=camera.id,
            name=camera.name,
            lat=camera.lat,
            lon=camera.lon,
            bearing_deg=camera.bearing_deg,
            scene=camera.scene,
            seed=1000 * self._seed + number,
            film=camera.film,
            user=CAMERA_USER,
            password=camera_password(self._seed, camera.id),
            ptz=number % 4 == 1,
            tamper="tamper-detector" if number % 3 == 0 else "scene-change",
            clock_skew_s=75.0 if number == 8 else 0.0,
        )

    async def start(self) -> None:
        """Renders what isn't in the cache yet; returns when all listen and show. Raises `CamerasFailed`."""
        try:
            await self._fleet.start()
        except (RenderError, RtspError) as error:
            raise CamerasFailed(str(error)) from error

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
        if act.do == "cover":
            self._fleet.cover(camera, act.active, act.story)
        elif act.do == "freeze":
            self._fleet.freeze(camera, act.active)
        elif act.do == "cut":
            self._fleet.cut(camera, act.active)
