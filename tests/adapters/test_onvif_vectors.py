"""ONVIF answers against their vectors, through the watch that holds a camera's states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.knowledge import PREFIX, Knowledge
from adapters.onvif.addresses import endpoint_of, service_at, stream_at
from adapters.onvif.events import notifications_of
from adapters.onvif.topics import ROWS, row_of
from adapters.onvif.watch import Watch
from adapters.refusal import Refusal
from tests.adapters.vectors import Vector, check_plausible, files, load, name_of, now_of, told
from wire.observations import Motion, Observation

NOW = datetime(2026, 11, 21, 2, 14, 12, tzinfo=UTC)


def replay(vector: Vector, watch: Watch) -> tuple[list[Observation], list[str]]:
    observations: list[Observation] = []
    refused: list[str] = []
    skew = timedelta(seconds=vector.get("skew_s", 0))
    for step in vector["steps"]:
        now = now_of(vector) + timedelta(seconds=step.get("after_s", 0))
        if step.get("lost"):
            observations += watch.lost(now)
        elif step.get("expire"):
            observations += watch.expire(now)
        else:
            taken, causes = take(watch, step["answer"].encode(), now, skew)
            observations += taken
            refused += causes
    return observations, refused


def take(watch: Watch, answer: bytes, now: datetime, skew: timedelta) -> tuple[list[Observation], list[str]]:
    observations: list[Observation] = []
    refused: list[str] = []
    try:
        notifications = notifications_of(answer)
    except Refusal as refusal:
        return [], [refusal.cause]
    for notification in notifications:
        try:
            if isinstance(notification, Refusal):
                raise notification
            observations += watch.take(notification, now, skew)
        except Refusal as refusal:
            refused.append(refusal.cause)
    return observations, refused


@pytest.mark.parametrize("path", files("onvif"), ids=name_of)
def test_vector(path: Path) -> None:
    vector = load(path)
    observations, refused = replay(vector, Watch("camera:c-01", Knowledge({}), now_of(vector)))
    for observation in observations:
        check_plausible(observation)
    assert [told(one) for one in observations] == vector["observations"]
    assert refused == vector["refused"]


def test_every_row_of_the_table_can_be_reached() -> None:
    for row in ROWS:
        assert row_of(row.topic.replace("*", "X")) is row, f"{row.topic} is hidden by an earlier row"


def test_motion_that_was_on_before_a_restart_ends() -> None:
    vector = load(next(path for path in files("onvif") if path.stem == "motion-padded"))
    knowledge = Knowledge({})
    begun, _ = replay(vector, Watch("camera:c-01", knowledge, NOW))
    kept = Knowledge({mark.name: mark.value for mark in knowledge.take_marks()})
    again = Watch("camera:c-01", kept, NOW)
    assert again.expire(NOW + timedelta(seconds=59)) == []
    ended = [one.body for one in again.expire(NOW + timedelta(seconds=61))]
    first = begun[0].body
    assert isinstance(first, Motion)
    assert ended == [Motion(active=False, event=first.event, by="camera")]
    assert all(mark.name.startswith(PREFIX) for mark in kept.take_marks())


@given(answer=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_any_answer_is_read_or_refused(answer: bytes) -> None:
    try:
        assert notifications_of(answer) == ()
    except Refusal as refusal:
        assert refusal.cause in ("not_xml", "wrong_type")


def test_an_answer_that_expands_without_end_is_refused() -> None:
    entities = b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
    assert (
        notifications_of(entities + b"<PullMessagesResponse>&c;</PullMessagesResponse>") == ()
    )  # entities stay unexpanded
    with pytest.raises(Refusal, match="over"):
        notifications_of(b" " * (5 * 1024 * 1024))


def test_addresses_are_brought_to_where_the_camera_is_reached() -> None:
    endpoint = endpoint_of("http://203.0.113.7:8081/onvif/device_service")
    assert service_at("http://192.168.1.64/onvif/Events", endpoint) == "http://203.0.113.7:8081/onvif/Events"
    assert (
        service_at("http://203.0.113.7:8082/onvif/Media", endpoint) == "http://203.0.113.7:8082/onvif/Media"
    )
    said = "rtsp://admin:geheim@192.168.1.64:554/Streaming/1?a=b"
    assert stream_at(said, endpoint) == "rtsp://203.0.113.7:554/Streaming/1?a=b"
    assert stream_at("rtsp://[fe80::1]/x", endpoint_of("http://[2001:db8::1]")) == "rtsp://[2001:db8::1]/x"
    assert stream_at("http://x/y", endpoint) == ""
    assert endpoint_of("camera.local").url == "http://camera.local:80/onvif/device_service"
    for wrong in ("ftp://x/", "http://", "http://x:99999/", "http://[::1"):
        with pytest.raises(Refusal, match=r"http|HTTP"):
            endpoint_of(wrong)
