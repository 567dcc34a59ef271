"""The simulated ONVIF cameras: their RTSP streams, their ONVIF services, and the fleet that runs them."""

from simulator.cameras.fleet import CameraFleet
from simulator.cameras.rendering import RenderError
from simulator.cameras.rtsp_process import RtspError
from simulator.cameras.spec import CameraAddress, CameraSpec, readable_film, schedule
from simulator.scenes.programme import Programme

__all__ = [
    "CameraAddress",
    "CameraFleet",
    "CameraSpec",
    "Programme",
    "RenderError",
    "RtspError",
    "readable_film",
    "schedule",
]
