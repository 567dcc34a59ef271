"""The bus and the outbox against a real Mosquitto."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wire import codec, topics
from wire.bus import Broker, Message, MqttBus, RequestTimeout
from wire.courier import Courier
from wire.observations import Condition, Heartbeat, Motion, Observation, PointState
from wire.outbox import Mark, Outbox, OutboxFull

NOW = datetime(2026, 11, 21, 2, 14, 12, tzinfo=UTC)
BEAT = Observation(source="panel:p-1", body=Heartbeat(), heard_at=NOW)


def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Waits for `condition` on a wake-up that nothing sets, so without a fixed sleep."""
    idle, waited = threading.Event(), 0.0
    while not condition():
        assert waited < timeout_s, "condition not met in time"
        idle.wait(0.02)
        waited += 0.02


@pytest.fixture
def bus(broker: Broker) -> Iterator[Callable[[str], MqttBus]]:
    """Makes started buses under fresh client ids; stops them afterwards."""
    made: list[MqttBus] = []

    def make(name: str) -> MqttBus:
        one = MqttBus(broker, f"{name}-{uuid.uuid4().hex[:8]}")
        made.append(one)
        one.start()
        until(lambda: one.connected)
        return one

    yield make
    for one in made:
        one.stop()


def test_an_outbox_gives_each_observation_an_identity_and_keeps_it_over_a_restart(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "edge-1")
    assert outbox.append([BEAT, BEAT]).result(5) == 2
    epoch = outbox.epoch
    outbox.close()
    again = Outbox(tmp_path / "o.db", "edge-1")
    envelopes = [codec.decode_envelope(payload) for _, payload in again.after(0, 10)]
    assert [envelope.observation.id for envelope in envelopes] == [f"edge-1:{epoch}:1", f"edge-1:{epoch}:2"]
    again.close()


def test_confirmed_items_go_and_numbers_go_on(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "edge-1")
    outbox.append([BEAT, BEAT, BEAT]).result(5)
    outbox.confirm(3)
    until(lambda: outbox.stored == 3)
    assert outbox.after(0, 10) == []
    outbox.close()
    again = Outbox(tmp_path / "o.db", "edge-1")
    assert again.append([BEAT]).result(5) == 4
    again.close()


def test_a_full_outbox_drops_stills_before_it_refuses_observations(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "edge-1", limit_bytes=20_000)
    still = Observation(
        source="camera:c", body=Motion(active=True, event="1", still=b"x" * 18_000), heard_at=NOW
    )
    outbox.append([still]).result(5)
    outbox.append([BEAT]).result(5)
    assert outbox.stills_dropped == 1
    assert codec.decode_envelope(outbox.after(0, 1)[0][1]).observation.body.still == b""  # type: ignore[union-attr]
    with pytest.raises(OutboxFull):
        for _ in range(300):
            outbox.append([BEAT] * 10).result(5)
    outbox.close()


def test_marks_commit_with_their_observations(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "adapter-alarm")
    outbox.append([BEAT], [Mark("packet:7", "abc")]).result(5)
    assert outbox.marked("packet:7") == "abc"
    assert outbox.marked("packet:8") is None
    outbox.close()


def test_a_courier_delivers_in_order_and_sends_again_what_nobody_confirmed(
    tmp_path: Path, bus: Callable[[str], MqttBus]
) -> None:
    sender = f"edge-{uuid.uuid4().hex[:6]}"
    hub, edge = bus("hub"), bus("edge")
    heard: list[int] = []

    def take(message: Message) -> None:
        heard.extend(envelope.seq for envelope in codec.decode_envelopes(message.payload))
        message.ack()

    hub.consume(topics.OBSERVATIONS.format(sender=sender), take)
    outbox = Outbox(tmp_path / "o.db", sender)
    courier = Courier(outbox, edge, window=2, patience_s=0.3)
    courier.start()
    outbox.append([BEAT] * 4).result(5)
    until(lambda: heard[:4] == [1, 2, 1, 2])  # the window holds two; unconfirmed, they come again
    stored = codec.Stored(epoch=outbox.epoch, seq=2)
    hub.publish(topics.STORED.format(sender=sender), codec.encode(stored), retain=True)
    until(lambda: 4 in heard)
    courier.stop()
    outbox.close()


def test_a_request_is_answered_or_times_out(bus: Callable[[str], MqttBus]) -> None:
    desk, wing = bus("desk"), bus("wing")
    verb = uuid.uuid4().hex
    wing.serve("gps", verb, lambda body: body.upper())
    # Acknowledged after the subscription that went before it: from here on the wing is listening.
    wing.publish("open/listening", b"").result(5)
    assert desk.request("gps", verb, b"order", timeout_s=5).result(6) == b"ORDER"
    with pytest.raises(RequestTimeout):
        desk.request("gps", "nobody", b"", timeout_s=0.2).result(5)


def test_a_topic_that_is_not_utf8_reaches_no_handler_and_stops_nothing(bus: Callable[[str], MqttBus]) -> None:
    one = bus("one")
    heard: list[str] = []

    def take(message: Message) -> None:
        heard.append(message.topic)
        message.ack()

    one.consume("open/#", take)
    one.publish("open/好", b"\xff\xfe").result(5)
    until(lambda: heard == ["open/好"])


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\xff", "malformed"),
        (b"{}", "sender"),
        (b'{"sender":"a","epoch":"b","seq":"1","observation":{}}', "$.seq"),
        (
            b'{"sender":"a","epoch":"b","seq":1,"observation":{"source":"s","heard_at":"2026-01-01T00:00:00",'
            b'"body":{"type":"heartbeat"}}}',
            "heard_at",
        ),
        (b"x" * (codec.MAX_ENVELOPE_BYTES + 1), "over the limit"),
    ],
)
def test_a_broken_envelope_names_its_field(raw: bytes, says: str) -> None:
    with pytest.raises(codec.WireError, match=says.replace("$", r"\$").replace(".", r"\.")):
        codec.decode_envelope(raw)


def test_every_body_survives_the_wire() -> None:
    body = PointState(
        point="zone:3", condition=Condition.INTRUSION, active=True, label="北门", still=b"\xff\xd8"
    )
    observation = Observation(source="panel:p", body=body, heard_at=NOW, id="x")
    envelope = codec.Envelope(sender="s", epoch="e", seq=1, observation=observation)
    assert codec.decode_envelope(codec.encode(envelope)) == envelope
