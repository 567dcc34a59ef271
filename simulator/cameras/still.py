"""The still that a camera serves: a stored key frame turned into a JPEG."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

QUALITY = 85


def jpeg(unit: bytes) -> bytes:
    """An H.264 key frame (Annex B, with its parameter sets) as JPEG. Raises ValueError where it isn't one."""
    decoder = av.CodecContext.create("h264", "r")
    if not isinstance(decoder, VideoCodecContext):
        raise TypeError("h264 is not a video decoder")
    frames = [*decoder.decode(av.Packet(unit)), *decoder.decode(None)]
    if not frames:
        raise ValueError("no picture in these bytes")
    picture = np.asarray(frames[0].to_ndarray(format="bgr24"), np.uint8)
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError("the picture couldn't be turned into a JPEG")
    return data.tobytes()
