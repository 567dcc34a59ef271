"""Films for live video tests: numbered pictures, so that each received one can be found again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, FPS = 320, 192, 15


def write_film(path: Path, seconds: float, *, b_frames: int = 0, key_every: int = 15) -> Path:
    """H.264 in MP4: a counter over a moving bar."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size, stream.bit_rate = key_every, 400_000
        stream.options = {"preset": "ultrafast", "bf": str(b_frames), "x264-params": f"bframes={b_frames}"}
        if not b_frames:
            stream.options |= {"tune": "zerolatency", "profile": "baseline"}
        for number in range(round(seconds * FPS)):
            picture = np.full((HEIGHT, WIDTH), 60, np.uint8)
            picture[:, number * 4 % WIDTH : number * 4 % WIDTH + 20] = 200
            cv2.putText(picture, str(number), (20, 120), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 255, 4)
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def fingerprint(frame: av.VideoFrame) -> str:
    """Equal for pictures that are equal to the last bit."""
    return hashlib.sha256(frame.to_ndarray(format="yuv420p").tobytes()).hexdigest()


def fingerprints(path: Path) -> dict[str, int]:
    """Every picture of a film as decoded, with its number."""
    with av.open(str(path)) as container:
        return {fingerprint(frame): number for number, frame in enumerate(container.decode(video=0))}
