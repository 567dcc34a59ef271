"""Capture: addresses and errors keep secrets, silence has a time limit, lateness is caught up."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime

import pytest

from edge import capture
from edge.capture import RtspStream, StreamError, public_address
from edge.pace import Pace

SECRET = "s3cret-Gr8"


def failure(url: str, user: str = "admin", password: str = SECRET) -> str:
    """Why the stream could not be watched."""
    stream = RtspStream(url, user, password)
    with pytest.raises(StreamError) as caught:
        next(stream.pictures(lambda: True, lambda: datetime.now(UTC), threading.Lock()))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_a_refused_connection_is_told_without_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    reason = failure(f"rtsp://127.0.0.1:{port}/cam")
    assert reason == "Connection refused"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/etc/passwd", "http://127.0.0.1/x", "concat:a|b"])
def test_only_rtsp_is_opened(url: str) -> None:
    assert failure(url).startswith("the address is not RTSP")


def test_a_camera_that_accepts_and_says_nothing_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "OPEN_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        reason = failure(f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam")
    assert time.monotonic() - began < 5
    assert SECRET not in reason


def test_a_camera_that_talks_nonsense_is_an_error_not_a_crash() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"\x00\xff$garbage\r\n\r\n" * 50)

        thread = threading.Thread(target=answer)
        thread.start()
        reason = failure(f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam")
        thread.join()
    assert reason
    assert SECRET not in reason


def test_addresses_for_people_have_no_credentials() -> None:
    assert public_address("rtsp://u:p%40ss@10.0.0.9:554/a?b=1") == "rtsp://10.0.0.9:554/a?b=1"
    assert public_address("rtsp://10.0.0.9/a") == "rtsp://10.0.0.9/a"


def test_credentials_of_any_letters_go_into_the_address() -> None:
    address = capture._address("rtsp://10.0.0.9:554/a", "ad:min", "p@ss/w?rd 密")
    assert address == "rtsp://ad%3Amin:p%40ss%2Fw%3Frd%20%E5%AF%86@10.0.0.9:554/a"


def test_lateness_is_measured_against_the_promptest_packet() -> None:
    pace = Pace()
    assert pace.behind_s(10.0, 100.5) == 0.0
    assert pace.behind_s(10.2, 100.6) == 0.0
    assert pace.behind_s(10.4, 102.0) == pytest.approx(1.2, abs=0.01)


def test_a_step_in_the_timestamps_is_no_lateness() -> None:
    pace = Pace()
    pace.behind_s(10.0, 100.0)
    assert pace.behind_s(500.0, 100.2) == 0.0
    assert pace.behind_s(3.0, 100.4) == 0.0


def test_a_slow_camera_clock_is_no_lateness() -> None:
    pace, behind = Pace(), 0.0
    for second in range(20_000):
        behind = pace.behind_s(second * 0.9995, float(second))
    assert behind < 0.1
