"""Quarantine: bounded with fairness, counted honestly; what was ours is understood again here."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.domain.entry import EntryKind
from hub.replaying import Came, Replaying
from hub.sightings import Seen, Sightings
from hub.store import quarantine
from hub.store.blobs import Blobs
from hub.store.engine import Store, Transaction
from hub.store.quarantine import Quarantined, Wanted, origin_of
from tests.hub_core.conftest import Core
from tests.hub_core.test_intake import Field, at_work, eventually, intrusion
from wire import codec
from wire.again import DecodeAgain, DecodedAgain, Redecoded
from wire.bus import MqttBus
from wire.observations import Lateness, Observation

__all__ = ["at_work"]
NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def keep(tx: Transaction, number: int, peer: str, protocol: str = "jt808", **more: object) -> None:
    quarantine.keep(
        tx.connection,
        protocol=protocol,
        peer=peer,
        reason="check code",
        raw=b"%d" % number,
        size=len(b"%d" % number),
        now=NOW + timedelta(seconds=number),
        cause="bad_checksum",
        **more,  # type: ignore[arg-type]
    )


def keep_many(tx: Transaction, count: int) -> None:
    for number in range(count):
        keep(tx, number, f"10.0.0.{number}:1")


def rows(store: Store, **wanted: object) -> list[Quarantined]:
    return store.query(
        lambda connection: quarantine.listed(connection, Wanted(**wanted), limit=5000)  # type: ignore[arg-type]
    )


def row(store: Store) -> Quarantined:
    (only,) = rows(store)
    return only


@pytest.mark.parametrize(
    ("peer", "origin"),
    [
        ("10.0.0.7:51234", "10.0.0.7"),
        ("[::1]:80", "[::1]"),
        ("10.0.0.7", "10.0.0.7"),
        ("owntracks/car/u1", "owntracks/car"),
        ("ck/node-1/zone/3", "ck/node-1"),
        ("camera:c-01", "camera:c-01"),
    ],
)
def test_who_is_behind_a_peer(peer: str, origin: str) -> None:
    assert origin_of(peer) == origin


def test_one_that_floods_pushes_out_its_own(store: Store) -> None:
    def flood(tx: Transaction) -> None:
        for number in range(3):
            keep(tx, number, f"10.0.0.{number}:1", "jt808")
            keep(tx, number, f"owntracks/car/u{number}", "owntracks")
        for number in range(500):
            keep(tx, 10 + number, f"10.9.9.9:{1000 + number}")

    store.enqueue(flood).result(60)
    kept = rows(store)
    assert sum(one.peer.startswith("10.9.9.9") for one in kept) == quarantine.MAX_OF_ORIGIN
    assert sum(not one.peer.startswith("10.9.9.9") for one in kept) == 6, "everybody else's is still there"
    assert kept[0].raw == b"509", "of the flood, the latest"
    assert store.query(quarantine.made_room) == {"jt808": 500 - quarantine.MAX_OF_ORIGIN}


def test_a_protocol_that_floods_from_everywhere_leaves_room_for_others(store: Store) -> None:
    most = quarantine.MAX_OF_PROTOCOL

    def flood(tx: Transaction) -> None:
        keep(tx, 0, "camera:c-01", "onvif")
        for number in range(most + 50):
            keep(tx, 1 + number, f"10.{number // 250}.{number % 250}.1:9")

    store.enqueue(flood).result(120)
    assert len(rows(store, protocol="jt808")) == most
    assert len(rows(store, protocol="onvif")) == 1
    assert store.query(quarantine.made_room) == {"jt808": 50}


def test_a_sampled_flood_is_counted_to_the_last(store: Store) -> None:
    heard = NOW - timedelta(hours=1)

    def twice(tx: Transaction) -> None:
        keep(tx, 1, "10.0.0.7:1", count=40, heard_at=heard)
        keep(tx, 1, "10.0.0.7:1", count=2, heard_at=NOW)

    store.enqueue(twice).result(10)
    only = row(store)
    assert (only.times, only.heard_at, only.cause) == (42, heard, "bad_checksum")
    (tally,) = store.query(quarantine.tallies)
    assert (tally.protocol, tally.cause, tally.rows, tally.times) == ("jt808", "bad_checksum", 1, 42)


def test_filters(store: Store) -> None:
    def some(tx: Transaction) -> None:
        keep(tx, 1, "a", "onvif")
        keep(tx, 2, "b", "jt808")
        keep(tx, 3, "c", "jt808")
        quarantine.tried(tx.connection, [3], "understood 1", NOW)

    store.enqueue(some).result(10)
    assert [one.peer for one in rows(store, protocol="jt808")] == ["c", "b"]
    assert [one.peer for one in rows(store, since=NOW + timedelta(seconds=2))] == ["c", "b"]
    assert [one.peer for one in rows(store, untried=True)] == ["b", "a"]
    assert rows(store, cause="not_utf8") == []
    matching = store.query(lambda connection: quarantine.matching(connection, Wanted(), limit=2))
    assert [one.peer for one in matching] == ["a", "b"]
    assert store.enqueue(lambda tx: quarantine.discard(tx.connection, 1)).result(10)
    assert not store.enqueue(lambda tx: quarantine.discard(tx.connection, 1)).result(10)


def replaying(core: Core, bus: MqttBus, folder: Path) -> Replaying:
    return Replaying(core.store, bus, core.registers, core.desk, Blobs(folder / "blobs"))


async def test_what_a_rule_tripped_over_is_stored_once_the_rule_is_mended(
    at_work: Field, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    core, take = at_work.core, Sightings.take

    def faulty(sightings: Sightings, seen: Seen) -> None:
        if seen.observation.id.endswith(":2"):
            raise ZeroDivisionError("a rule with a fault")
        take(sightings, seen)

    monkeypatch.setattr(Sightings, "take", faulty)
    for seq in (1, 2, 3):
        at_work.publish(seq, intrusion(core, active=seq != 3))
    eventually(lambda: at_work.mark() == 3)
    kept = row(core.store)
    assert (kept.protocol, kept.cause) == ("bus", "not_storable")
    again = replaying(core, at_work.bus, tmp_path)
    summary = await again.replay([kept])
    assert [one.came for one in summary.results] == [Came.REFUSED]
    assert "a rule with a fault" in row(core.store).outcome

    monkeypatch.setattr(Sightings, "take", take)
    incidents, said = len(core.incidents), row(core.store)
    for stored in (1, 0):
        summary = await again.replay([said])
        assert [(one.came, one.observations) for one in summary.results] == [(Came.UNDERSTOOD, stored)]
    assert at_work.logged() == [f"{at_work.sender}:e1:{seq}" for seq in (1, 3, 2)]
    late = [entry for entry in core.entries(EntryKind.OBSERVATION) if entry.body["id"].endswith(":e1:2")]
    assert [entry.late for entry in late] == [True]
    assert len(core.incidents) == incidents, "history raises nothing"
    assert row(core.store).outcome == "understood 0"
    assert row(core.store).replayed_at == core.clock.now


async def test_what_stays_nonsense_stays_here_with_the_reason(at_work: Field, tmp_path: Path) -> None:
    core = at_work.core
    at_work.raw(b'{"sender":1}')
    at_work.raw(b"x" * 9000)
    eventually(lambda: len(rows(core.store)) == 2)
    long, short = sorted(rows(core.store), key=lambda one: -one.size)
    summary = await replaying(core, at_work.bus, tmp_path).replay([long, short])
    assert [one.came for one in summary.results] == [Came.TRUNCATED, Came.REFUSED]
    assert "$.sender" in summary.results[1].reason
    assert at_work.logged() == []


async def test_the_wing_is_asked_in_order_and_its_answer_stands_on_the_row(
    at_work: Field, tmp_path: Path
) -> None:
    core, asked = at_work.core, []

    def wing(raw: bytes) -> bytes:
        items = codec.decode(raw, DecodeAgain).items
        asked.append([one.raw for one in items])
        good = [Redecoded(id=one.id, understood=True, observations=2) for one in items if one.raw != b"3"]
        bad = [Redecoded(id=one.id, understood=False, reason="no") for one in items if one.raw == b"3"]
        results = [*bad, *good]
        return codec.encode(DecodedAgain(results=tuple(results)))

    at_work.bus.serve("adapters", "decode-again", wing)
    core.do(lambda tx: keep_many(tx, 45))
    found = core.store.query(lambda connection: quarantine.matching(connection, Wanted(), limit=100))
    summary = await replaying(core, at_work.bus, tmp_path).replay(found)
    assert [len(one) for one in asked] == [20, 20, 5]
    assert asked[0][:3] == [b"0", b"1", b"2"]
    assert (summary.count(Came.UNDERSTOOD), summary.count(Came.REFUSED), summary.left) == (44, 1, 0)
    assert summary.observations == 44 * 2
    outcomes = {one.raw: one.outcome for one in rows(core.store)}
    assert (outcomes[b"2"], outcomes[b"3"]) == ("understood 2", "refused 0 no")


async def test_a_wing_that_is_away_is_told_and_nothing_is_lost(
    at_work: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.replaying.ANSWER_WITHIN_S", 0.2)
    at_work.core.do(lambda tx: keep_many(tx, 45))
    found = rows(at_work.core.store)
    summary = await replaying(at_work.core, at_work.bus, tmp_path).replay(found)
    assert {one.came for one in summary.results} == {Came.UNANSWERED}
    assert summary.left == 25, "it isn't asked again and again"
    assert len(rows(at_work.core.store)) == 45


def test_history_of_the_bus_keeps_what_it_was_marked(core: Core) -> None:
    """A retained one stays retained; only what was live becomes history."""
    from hub.replaying import _observations

    name = uuid.uuid4().hex
    for lateness, becomes in ((Lateness.LIVE, Lateness.BUFFERED), (Lateness.RETAINED, Lateness.RETAINED)):
        one = Observation(
            source="panel:p-01", body=intrusion(core).body, heard_at=NOW, lateness=lateness, id=name
        )
        envelope = codec.Envelope(sender="s", epoch="e", seq=1, observation=one)
        kept = Quarantined(
            id=1,
            first_at=NOW,
            at=NOW,
            times=1,
            protocol="bus",
            peer="jifang/obs/s",
            reason="",
            raw=codec.encode(envelope),
            size=1,
            identity="",
        )
        assert [told.lateness for told in _observations(kept)] == [becomes]
