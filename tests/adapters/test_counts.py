"""Refusals counted to the last while only samples travel; values told once; the key of our own kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from adapters.gps.datum import gcj02_from_wgs84, wgs84_from_gcj02
from adapters.gps.judge import Register
from adapters.knowledge import Knowledge, News
from adapters.mqtt.deliveries import PREFIX, Deliveries
from adapters.mqtt.driver import Family, FieldConnection, Taken
from adapters.mqtt.followed import Followed
from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from adapters.rejects import Rejects
from adapters.run import _secret
from adapters.sender import Sender
from wire.bus import Broker, Message, MqttBus
from wire.codec import MAX_REJECTED_BYTES, Rejected
from wire.outbox import Outbox
from wire.work import Tracker

NOW = datetime(2026, 11, 21, 2, 14, 12, tzinfo=UTC)


def test_a_flood_is_sampled_and_counted_to_the_last() -> None:
    sent: list[Rejected] = []
    rejects = Rejects(sent.append, lambda: True, per_s=5)
    for _ in range(1000):
        rejects.add("jt808", "192.0.2.1:1", Refusal("bad_checksum", "wrong", b"\x7e" * 9000), NOW)
    assert len(sent) == 5
    rejects.flush(NOW + timedelta(seconds=1))
    assert sum(one.count for one in sent) == 1000
    assert rejects.counts["jt808", "bad_checksum"] == 1000
    assert all(len(one.raw) <= MAX_REJECTED_BYTES and one.size == 9000 for one in sent)


def test_while_the_bus_is_away_only_the_latest_sample_of_a_cause_is_kept() -> None:
    sent: list[Rejected] = []
    away = True
    rejects = Rejects(sent.append, lambda: not away)
    for number in range(100):
        rejects.add("mqtt", f"topic/\udcff{number}", Refusal("not_utf8", "no \udcff text"), NOW)
    assert sent == []
    away = False
    rejects.flush(NOW + timedelta(seconds=1))
    assert [(one.count, one.peer) for one in sent] == [(100, "topic/\\udcff99")]


def test_a_value_is_news_once_and_again_when_the_device_itself_says_it() -> None:
    knowledge = Knowledge({})
    assert knowledge.learn("p|1", "zone", "0", rest="0") is News.BASELINE
    assert knowledge.learn("p|1", "zone", "1", rest="0", live=False) is News.CHANGED
    assert knowledge.learn("p|1", "zone", "1", rest="0", live=False) is News.SAME
    assert knowledge.learn("p|1", "zone", "1", rest="0") is News.CHANGED, "only the broker had said it"
    assert knowledge.learn("p|1", "zone", "1", rest="0") is News.SAME
    marks = knowledge.take_marks()
    assert knowledge.take_marks() == ()
    after = Knowledge({mark.name: mark.value for mark in marks})
    assert after.learn("p|1", "zone", "1", rest="0") is News.SAME
    assert after.get("p|2", "zone") is None


def test_an_old_copy_between_does_not_make_news_of_what_the_device_repeats() -> None:
    """Found by torture: the broker delivered an old retained copy late, then the present one."""
    knowledge = Knowledge({})
    knowledge.learn("p|1", "zone", "0", rest="0")
    assert knowledge.learn("p|1", "zone", "1", rest="0") is News.CHANGED
    assert knowledge.learn("p|1", "zone", "0", rest="0", live=False) is News.CHANGED
    assert knowledge.get("p|1", "zone") == "0"
    knowledge = Knowledge({mark.name: mark.value for mark in knowledge.take_marks()})
    assert knowledge.learn("p|1", "zone", "1", rest="0", live=False) is News.CHANGED
    assert knowledge.learn("p|1", "zone", "1", rest="0") is News.SAME
    assert knowledge.learn("p|1", "zone", "0", rest="0") is News.CHANGED


def test_a_change_that_a_copy_overtook_is_news_when_it_comes() -> None:
    knowledge = Knowledge({})
    knowledge.learn("p|1", "zone", "1", rest="0")
    assert knowledge.learn("p|1", "zone", "0", rest="0", live=False) is News.CHANGED
    assert knowledge.learn("p|1", "zone", "0", rest="0") is News.CHANGED
    assert knowledge.learn("p|1", "zone", "1", rest="0", live=False) is News.CHANGED
    assert knowledge.learn("p|1", "zone", "1", rest="0") is News.CHANGED


def test_a_copy_is_not_believed_against_the_device_where_nothing_it_said_can_be_missed() -> None:
    """Found by torture: killed before it had saved, the broker came back with an older copy; the device then
    repeated itself, which passed for a second alarm."""
    knowledge = Knowledge({})
    assert knowledge.learn("p|1", "zone", "0", rest="0", live=False, followed=True) is News.BASELINE
    assert knowledge.learn("p|1", "zone", "1", rest="0") is News.CHANGED
    assert knowledge.learn("p|1", "zone", "0", rest="0", live=False, followed=True) is News.SAME
    assert knowledge.learn("p|1", "zone", "1", rest="0") is News.SAME
    assert knowledge.learn("p|1", "zone", "0", rest="0") is News.CHANGED


def test_a_topic_is_followed_from_the_second_connection_on_and_only_without_a_break(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "adapter-test")
    followed = Followed(outbox, "adapters-alarm")
    followed.connected({"homes/+/state", "alarm/#"}, session_kept=True)
    assert not followed.covers("homes/1/state"), "what was said before we came is known from its copy alone"
    followed.connected({"homes/+/state", "alarm/#", "new/#"}, session_kept=True)
    assert followed.covers("homes/1/state")
    assert followed.covers("alarm/1/zone")
    assert not followed.covers("new/1")
    followed.forget({"alarm/#"})
    assert not followed.covers("alarm/1/zone")
    outbox.append((), ()).result(10)
    outbox.close()

    outbox = Outbox(tmp_path / "o.db", "adapter-test")
    next_life = Followed(outbox, "adapters-alarm")
    next_life.connected({"homes/+/state", "alarm/#"}, session_kept=True)
    assert next_life.covers("homes/1/state")
    assert not next_life.covers("alarm/1/zone"), "nobody listened between"
    next_life.connected({"homes/+/state", "alarm/#"}, session_kept=False)
    assert not next_life.covers("homes/1/state"), "the broker has forgotten us"
    outbox.close()


async def test_a_copy_that_the_broker_repeats_says_nothing(tmp_path: Path) -> None:
    """Retained and DUP: it was sent before and may be older than what came since."""
    bus = MqttBus(Broker(host="127.0.0.1", port=1), "never-started")
    sender = Sender("adapter-test", tmp_path, bus)
    heard: list[Heard] = []

    def take(one: Heard) -> Taken:
        heard.append(one)
        return Taken()

    family = Family(name="test", take=take, protocol_of=lambda _topic: "test")
    connection = FieldConnection(Broker(host="127.0.0.1", port=1), "test", sender, family, lambda: NOW)
    connection._loop = asyncio.get_running_loop()
    connection._broken = connection._loop.create_future()
    acknowledged = asyncio.Queue[None]()
    for retained, duplicate in ((True, True), (True, False), (False, True)):
        message = Message("zone", b"OFF", retained, duplicate, 7, lambda: acknowledged.put_nowait(None))
        connection._take(message, 3)
    for _ in range(3):
        await acknowledged.get()
    assert [one.retained for one in heard] == [True, False]
    sender.outbox.close()


async def test_what_said_nothing_new_is_known_when_it_is_delivered_again(tmp_path: Path) -> None:
    """Found by torture: open, open once more, shut; killed before the broker heard of it. All three come
    again, and the second "open" must not pass for one that came after "shut"."""
    bus = MqttBus(Broker(host="127.0.0.1", port=1), "never-started")
    sender = Sender("adapter-test", tmp_path, bus)
    heard: list[bytes] = []

    def take(one: Heard) -> Taken:
        heard.append(one.payload)
        return Taken()

    family = Family(name="test", take=take, protocol_of=lambda _topic: "test")
    said = [(b"ON", 1), (b"ON", 2), (b"OFF", 3)]
    for duplicate in (False, True):
        connection = FieldConnection(Broker(host="127.0.0.1", port=1), "test", sender, family, lambda: NOW)
        connection._loop = asyncio.get_running_loop()
        connection._broken = connection._loop.create_future()
        connection._deliveries = Deliveries(sender.outbox.marks(PREFIX))
        acknowledged = asyncio.Queue[int]()
        for payload, packet in said:
            told = partial(acknowledged.put_nowait, packet)
            connection._take(Message("zone", payload, False, duplicate, packet, told), len(payload))
        assert [await acknowledged.get() for _ in said] == [1, 2, 3]
    assert heard == [b"ON", b"ON", b"OFF"]
    sender.outbox.close()


def test_a_terminal_is_known_by_its_number_without_leading_zeros() -> None:
    register = Register([Tracker(id="u-1", protocol="jt808", address="013912340001")])
    assert register.id_of("jt808", "13912340001") == "u-1"
    assert register.id_of("owntracks", "13912340001") == "owntracks-13912340001"
    assert register.terminal_of("u-1") == ("jt808", "13912340001")
    thief = Register([Tracker(id="jt808-7", protocol="jt808", address="8")])
    assert thief.id_of("jt808", "7") == "jt808-7-unregistered", (
        "a stranger never speaks under a registered id"
    )


def test_the_shift_of_chinese_maps_goes_both_ways() -> None:
    for lat, lon in ((34.2611, 117.1858), (39.9042, 116.4074), (22.5431, 114.0579), (47.35, 130.3)):
        shifted = gcj02_from_wgs84(lat, lon)
        assert 0.0005 < abs(shifted[0] - lat) + abs(shifted[1] - lon) < 0.02
        back = wgs84_from_gcj02(*shifted)
        assert abs(back[0] - lat) < 1e-7
        assert abs(back[1] - lon) < 1e-7
    assert gcj02_from_wgs84(52.52, 13.405) == (52.52, 13.405), "outside China nothing is shifted"


def test_the_key_for_terminals_is_made_once_and_readable_by_us_only(tmp_path: Path) -> None:
    key = _secret(tmp_path / "tracker.key")
    assert len(key) == 32
    assert _secret(tmp_path / "tracker.key") == key
    assert (tmp_path / "tracker.key").stat().st_mode & 0o777 == 0o600
