"""Tracker decoders against their vectors: whole, in pieces, and beside garbage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gps.judge import Hearing, Register, observe
from adapters.gps.report import Event, MessageDecoder, Report, StreamDecoder
from adapters.gps.table import TABLE, Line, Transport
from adapters.knowledge import Knowledge
from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from tests.adapters.vectors import (
    Vector,
    check_plausible,
    files,
    heard_of,
    load,
    name_of,
    now_of,
    told,
)
from wire.observations import Observation

LINES = {line.name: line for line in TABLE}
STREAMS = [line for line in TABLE if line.transport is not Transport.MQTT]
NOW = datetime(2026, 11, 21, 2, 14, 12, tzinfo=UTC)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    rest = iter(data)
    while piece := bytes(islice(rest, size)):
        yield piece


def of_stream(line: Line, vector: Vector, size: int) -> list[Event]:
    decoder = cast(type[StreamDecoder], line.decoder)()
    events: list[Event] = []
    for piece in pieces(bytes.fromhex(vector["hex"]), size):
        events += decoder.receive(piece, now_of(vector))
    return [*events, *decoder.receive(None, now_of(vector))]


def check(line: Line, vector: Vector, events: list[tuple[Event, bool]]) -> None:
    knowledge, register = Knowledge({}), Register()
    observations: list[Observation] = []
    for event, retained in events:
        if isinstance(event, Report):
            hearing = Hearing(line.name, now_of(vector), retained)
            observations += observe(event, hearing, register, knowledge)
    for observation in observations:
        check_plausible(observation)
    assert rounded([told(one) for one in observations], vector) == rounded(vector["observations"], vector)
    plain = [event for event, _ in events]
    assert [event.cause for event in plain if isinstance(event, Refusal)] == vector["refused"]
    assert [event.reply.hex() for event in plain if event.reply] == vector.get("replies", [])
    reports = [event for event in plain if isinstance(event, Report)]
    if "confirmed" in vector:
        confirmed = [one.confirmed for one in reports if one.confirmed]
        assert [[one.token, one.ok, one.reason] for one in confirmed] == vector["confirmed"]
    if "signed_in" in vector:
        assert any(report.signed_in for report in reports) == vector["signed_in"]


def rounded(observations: list[Vector], vector: Vector) -> list[Any]:
    """Where a vector allows a tolerance, positions are compared to it."""
    step = vector.get("tolerance_deg")
    if step is None:
        return observations
    for observation in observations:
        for key in ("lat", "lon"):
            if key in observation["body"]:
                observation["body"][key] = round(observation["body"][key] / step)
    return observations


@pytest.mark.parametrize("path", files("gps"), ids=name_of)
@pytest.mark.parametrize("size", [1_000_000, 1, 7], ids=["whole", "1-byte", "7-byte"])
def test_vector(path: Path, size: int) -> None:
    vector, line = load(path), LINES[path.parent.name]
    if line.transport is Transport.MQTT:
        decoder = cast(type[MessageDecoder], line.decoder)()
        heard = [heard_of(message) for message in vector["messages"]]
        check(line, vector, [(e, h.retained) for h in heard for e in decoder.receive(h, now_of(vector))])
    else:
        check(line, vector, [(event, False) for event in of_stream(line, vector, size)])


def test_every_protocol_has_vectors_with_good_and_bad_input() -> None:
    for line in TABLE:
        vectors = [load(path) for path in files("gps") if path.parent.name == line.name]
        assert any(vector["observations"] for vector in vectors), f"{line.name} has no vector of good input"
        assert any(vector["refused"] for vector in vectors), f"{line.name} has no vector of bad input"
    assert {path.parent.name for path in files("gps")} <= set(LINES)


GOOD = {
    line.name: [
        bytes.fromhex(vector["hex"])
        for vector in (load(path) for path in files("gps") if path.parent.name == line.name)
        if not vector["refused"] and vector["hex"]
    ]
    for line in STREAMS
}


@pytest.mark.parametrize("line", STREAMS, ids=lambda line: line.name)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_random_bytes_are_refused_and_cost_no_later_frame(line: Line, data: st.DataObject) -> None:
    garbage = data.draw(st.binary(max_size=400))
    good = data.draw(st.sampled_from(GOOD[line.name]))
    size = data.draw(st.integers(min_value=1, max_value=64))
    decoder = cast(type[StreamDecoder], line.decoder)()
    events: list[Event] = []
    # One frame right after garbage may be taken for its continuation; the one after that may not be lost.
    for piece in pieces(garbage + good + good, size):
        events += decoder.receive(piece, NOW)
    events += decoder.receive(None, NOW)
    alone = cast(type[StreamDecoder], line.decoder)().receive(good, NOW)
    last = [event for event in events if isinstance(event, Report)][-len(alone) :]
    assert [report.said for report in last] == [event.said for event in alone if isinstance(event, Report)]


@pytest.mark.parametrize("line", STREAMS, ids=lambda line: line.name)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_frame_with_one_changed_byte_never_raises(line: Line, data: st.DataObject) -> None:
    good = bytearray(data.draw(st.sampled_from(GOOD[line.name])))
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    decoder = cast(type[StreamDecoder], line.decoder)()
    for event in (*decoder.receive(bytes(good), NOW), *decoder.receive(None, NOW)):
        assert isinstance(event, Report | Refusal)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["_type", "lat", "lon", "tst", "vel", "cog", "acc", "alt"])


@given(
    payload=st.binary(max_size=60)
    | st.dictionaries(KEYS, st.just("location") | JSON).map(lambda one: repr(one).replace("'", '"').encode()),
    topic=st.text(max_size=20) | st.just("owntracks/a/b"),
)
@settings(max_examples=300, deadline=None)
def test_any_message_is_a_report_or_a_refusal(payload: bytes, topic: str) -> None:
    for line in TABLE:
        if line.transport is Transport.MQTT:
            decoder = cast(type[MessageDecoder], line.decoder)()
            for event in decoder.receive(Heard(topic, payload), NOW):
                assert isinstance(event, Report | Refusal)
