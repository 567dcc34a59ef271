"""What a client of the cameras' RTSP streams gets, through PyAV over TCP."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

import av
import numpy as np
import pytest
from av.container import InputContainer

from simulator.cameras import CameraSpec
from simulator.cameras.spec import job_of
from simulator.scenes import jobs
from simulator.scenes.reel import Reel
from tests.simulator_cameras.running import EAST, NORTH, SHORT, RunningFleet, until

OPTIONS = {"rtsp_transport": "tcp", "analyzeduration": "100000", "probesize": "32768"}


class Shown(NamedTuple):
    """One frame as it arrived."""

    at_s: float
    pts_s: float
    luma: float
    fingerprint: bytes


@contextmanager
def playing(url: str) -> Iterator[InputContainer]:
    with av.open(url, options=OPTIONS, timeout=5) as container:
        yield container


def frames(container: InputContainer, limit_s: float) -> Iterator[Shown]:
    """Frames as they come, until the time is over."""
    end = time.monotonic() + limit_s
    for packet in container.demux(video=0):
        for frame in packet.decode():
            if frame.pts is None or frame.time_base is None:
                continue  # PyAV knows no time for the very first packet
            luma = np.asarray(frame.to_ndarray(format="gray"))
            yield Shown(
                time.monotonic(), float(frame.pts * frame.time_base), float(luma.mean()), luma.tobytes()
            )
        if time.monotonic() > end:
            return


def watch(fleet: RunningFleet, spec: CameraSpec, stream: str, for_s: float) -> list[Shown]:
    with playing(fleet.rtsp(spec, stream)) as container:
        return list(frames(container, for_s))


def luma_until(fleet: RunningFleet, spec: CameraSpec, dark: bool) -> float:
    """Watches the sub stream until the picture is dark, or bright; gives the luma seen then."""
    with playing(fleet.rtsp(spec, "sub")) as container:
        for shown in frames(container, 6):
            if (shown.luma < 40) == dark:
                return shown.luma
    raise AssertionError("the picture didn't change")


def test_streams_run_on_time_and_monotonic_across_the_loop(fleet: RunningFleet) -> None:
    """Both streams at once, longer than the programme lasts; and the picture stands where the programme is,
    so that the events, which follow the programme, tell of what is shown."""
    long_s = SHORT.length_s + 3.0
    with ThreadPoolExecutor(2) as pool:
        main = pool.submit(watch, fleet, EAST, "main", long_s)
        sub = pool.submit(watch, fleet, NORTH, "sub", long_s)
    for shown, fps in ((main.result(), 25), (sub.result(), 5)):
        steady = [one for one in shown if one.pts_s > shown[0].pts_s + 2.1]
        steps = [later.pts_s - earlier.pts_s for earlier, later in pairwise(steady)]
        assert min(steps) > 0
        assert sum(abs(step - 1 / fps) < 0.005 for step in steps) > 0.97 * len(steps)
        assert steady[-1].pts_s - steady[0].pts_s > SHORT.length_s
        lag = [one.at_s - one.pts_s for one in steady]
        assert float(np.percentile(lag, 90)) - min(lag) < 0.25
    assert behind_s(fleet, NORTH, sub.result()[2:]) < 0.3


def places(reel: Reel) -> dict[bytes, float]:
    """The second of the material at which each decoded picture stands; noise makes every one unique."""
    decoder = av.CodecContext.create("h264", "r")
    data = reel.stem.with_suffix(".h264").read_bytes()
    found: dict[bytes, float] = {}
    for offset, size, _, at_us in reel.units:
        for frame in decoder.decode(av.Packet(data[offset : offset + size])):
            found[np.asarray(frame.to_ndarray(format="gray")).tobytes()] = at_us / 1e6
    return found


def behind_s(fleet: RunningFleet, spec: CameraSpec, shown: list[Shown]) -> float:
    """How far the pictures of the sub stream, as they arrived, lay behind the camera's programme (median)."""
    reel = Reel.load(jobs.stems(fleet.cache, job_of(spec, SHORT).key)[1])
    known = places(reel)
    now_s, position_s = time.monotonic(), fleet.fleet.position_s(spec.id)
    lags = []
    for one in shown:
        then_s = reel.material_us(position_s - (now_s - one.at_s)) / 1e6
        lags.append((then_s - known[one.fingerprint]) % reel.length_s)
    return float(np.median(lags))


def test_a_wrong_password_is_refused(fleet: RunningFleet) -> None:
    plain = fleet.fleet.addresses("c-01").rtsp_main
    for url in (plain, plain.replace("rtsp://", "rtsp://admin:wrong@")):
        with pytest.raises(av.HTTPUnauthorizedError), playing(url):
            pass


def test_a_covered_camera_shows_cloth_and_then_its_street_again(fleet: RunningFleet) -> None:
    fleet.do(lambda: fleet.fleet.cover("c-02", True))
    try:
        assert luma_until(fleet, NORTH, dark=True) > 5
    finally:
        fleet.do(lambda: fleet.fleet.cover("c-02", False))
    assert luma_until(fleet, NORTH, dark=False) > 60


def test_a_covered_picture_comes_to_a_client_that_watches_already(fleet: RunningFleet) -> None:
    with playing(fleet.rtsp(NORTH, "sub")) as container:
        coming = frames(container, 8)
        assert next(coming).luma > 60
        fleet.do(lambda: fleet.fleet.cover("c-02", True))
        try:
            assert next(shown for shown in coming if shown.luma < 40)
        finally:
            fleet.do(lambda: fleet.fleet.cover("c-02", False))
        assert next(shown for shown in coming if shown.luma > 60)


def test_a_frozen_camera_repeats_one_picture(fleet: RunningFleet) -> None:
    fleet.do(lambda: fleet.fleet.freeze("c-02", True))
    try:
        with playing(fleet.rtsp(NORTH, "main")) as container:
            coming = frames(container, 5)
            pictures = [next(coming) for _ in range(8)]
    finally:
        fleet.do(lambda: fleet.fleet.freeze("c-02", False))
    assert len({shown.fingerprint for shown in pictures}) == 1
    assert all(later.pts_s > earlier.pts_s for earlier, later in pairwise(pictures))


def test_a_killed_server_comes_back_on_the_same_ports(fleet: RunningFleet) -> None:
    old_pid = fleet.fleet.rtsp_pid
    assert old_pid
    os.kill(old_pid, signal.SIGKILL)
    until(lambda: fleet.fleet.rtsp_pid not in (None, old_pid))
    for spec in (EAST, NORTH):

        def picture(spec: CameraSpec = spec) -> bool:
            try:
                return bool(watch(fleet, spec, "sub", 0.3))
            except av.FFmpegError:
                return False

        until(picture)
    assert behind_s(fleet, EAST, watch(fleet, EAST, "sub", 2.5)[2:]) < 0.3
