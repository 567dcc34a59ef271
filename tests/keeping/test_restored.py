"""After a restoring: consoles are told a gap, senders don't hang, and the past is still answerable."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from hub.accounts import NewPerson, create_person
from hub.domain.entry import EntryKind
from hub.intake import Intake
from hub.store import log as stored_log
from hub.store import senders
from hub.store.engine import Store
from hub.watch import Watch
from jifang.backup import BackupOptions, backup
from jifang.steps import Silent
from jifang.verify import verify_store
from tests.hub_core.conftest import HandClock
from tests.hub_core.test_intake import eventually
from tests.hub_web.conftest import PASSWORD, Running, start_hub
from tests.hub_web.listening import Ear
from tests.keeping.conftest import ON_ONE, Keep, drafts, jpeg, open_keep
from tests.keeping.test_archive import NOW, backed_up, put_back
from wire.bus import Broker, MqttBus
from wire.courier import Courier
from wire.observations import Arming, ArmState, Observation
from wire.outbox import Outbox


@pytest.fixture
def restored(keep: Keep, tmp_path: Path) -> Store:
    """A store restored from a backup that is older than what consoles have seen; it has grown past them."""
    keep.motion(jpeg(1))
    backed_up(keep, tmp_path / "a.jifang")
    keep.do(lambda tx: [tx.append(one) for one in drafts(20)])
    put_back(tmp_path / "a.jifang", f"sqlite:///{tmp_path}/r.db", tmp_path / "r")
    opened = Store.open(f"sqlite:///{tmp_path}/r.db", clock=keep.clock)
    opened.enqueue(lambda tx: [tx.append(one) for one in drafts(50)]).result(10)
    return opened


def test_a_restored_log_is_another_log(keep: Keep, restored: Store, tmp_path: Path) -> None:
    before = keep.store.query(stored_log.identity)
    after = restored.query(stored_log.identity)
    assert before != after
    assert before == keep.store.query(lambda c: stored_log.numbered(c, [1]))[0].hash[:16]
    assert restored.head > keep.store.head, "a cursor of the lost future is a number that exists here"
    restored.close()
    assert verify_store(f"sqlite:///{tmp_path}/r.db", tmp_path / "r", Silent()).ok


@ON_ONE
def test_two_restorings_of_one_archive_are_two_logs(keep: Keep, restored: Store, tmp_path: Path) -> None:
    keep.clock.forward(60)
    once = restored.query(stored_log.identity)
    restored.close()
    backed_up(keep, tmp_path / "b.jifang")
    put_back(tmp_path / "b.jifang", f"sqlite:///{tmp_path}/s.db", tmp_path / "s")
    again = Store.open(f"sqlite:///{tmp_path}/s.db", clock=keep.clock)
    assert again.query(stored_log.identity) not in (once, keep.store.query(stored_log.identity))
    again.close()


def test_the_identity_outlives_retention(keep: Keep) -> None:
    before = keep.store.query(stored_log.identity)
    keep.motion()
    keep.days(4000)
    keep.motion()
    keep.keeper().run()
    assert keep.store.query(stored_log.identity) == before
    assert 1 in keep.seqs()
    assert set(keep.seqs(EntryKind.KEEPING)), "what was done to the log stays with it"


# Consoles


async def test_a_console_with_a_cursor_of_the_lost_future_is_told_a_gap(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """The number it comes with exists in the restored log, and means something else there."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = start_hub(tmp_path / "a", free_port())
    someone = NewPerson(name="op", display_name="Op", password=PASSWORD, roles=("operator",), place="")
    asyncio.run_coroutine_threadsafe(create_person(first.hub.store, someone), first.loop).result(20)
    try:
        url = f"sqlite:///{tmp_path}/a/hub.db"
        options = BackupOptions(store_url=url, data=tmp_path / "a", file=tmp_path / "n.jifang", with_key=True)
        backup(options, NOW, Silent())
        first.do(lambda tx: [tx.append(one) for one in drafts(30)])
        async with signed_in(first) as client:
            snapshot = (await client.get("/snapshot")).json()
    finally:
        first.stop()
    put_back(tmp_path / "n.jifang", f"sqlite:///{tmp_path}/b/hub.db", tmp_path / "b")
    second = start_hub(tmp_path / "b", free_port())
    try:
        second.do(lambda tx: [tx.append(one) for one in drafts(60)])
        assert second.hub.store.head > snapshot["seq"]
        async with signed_in(second) as client:
            ear = await heard(client, f"/feed?after={snapshot['seq']}&log={snapshot['log']}")
            assert ear.named("gap")[0]["reason"] == "other_log"
            fresh = (await client.get("/snapshot")).json()
            assert fresh["log"] != snapshot["log"]
            ear = await heard(client, f"/feed?after={fresh['seq']}&log={fresh['log']}")
            assert ear.named("gap") == []
    finally:
        second.stop()


@asynccontextmanager
async def signed_in(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """An operator's client."""
    async with httpx.AsyncClient(base_url=f"{running.base}/api/v1", timeout=20) as client:
        answer = await client.post("/session", json={"name": "op", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        yield client


async def heard(client: httpx.AsyncClient, path: str) -> Ear:
    """What the feed says first, up to its first beat."""
    ear = Ear()
    async with client.stream("GET", path) as answer:
        listening = asyncio.create_task(ear.listen(answer))
        await ear.until(lambda one: one.named("beat"))
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return ear


# Senders


def test_a_sender_that_was_told_more_than_was_restored_does_not_hang(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    """It has let go of what the lost hub had confirmed: that is gone, and everything after it comes in."""
    name = uuid.uuid4().hex[:8]
    keep = open_keep(f"sqlite:///{tmp_path}/a.db", tmp_path / "a", clock)
    outbox = Outbox(tmp_path / "outbox.db", f"sender-{name}")
    field_bus = MqttBus(broker, f"field-{name}")
    courier = Courier(outbox, field_bus, patience_s=0.5)
    first = a_hub(keep, broker, f"hub-{name}")
    field_bus.start()
    courier.start()
    try:
        say(keep, outbox, 5)
        eventually(lambda: outbox.waiting == 0, 30)
        backed_up(keep, tmp_path / "n.jifang")
        say(keep, outbox, 5)
        eventually(lambda: outbox.waiting == 0, 30)
        first()
        keep.store.close()
        put_back(tmp_path / "n.jifang", f"sqlite:///{tmp_path}/b.db", tmp_path / "b")
        second = open_keep(f"sqlite:///{tmp_path}/b.db", tmp_path / "b", keep.clock)
        key = (outbox.sender, outbox.epoch)
        assert second.store.query(senders.standings)[key][0] == 5
        ending = a_hub(second, broker, f"hub-{name}")
        say(second, outbox, 3)
        eventually(lambda: outbox.waiting == 0, 60)
        assert second.store.query(senders.standings)[key][0] == 13
        ids = [
            str(one.body["id"])
            for one in second.store.query(lambda c: stored_log.about(c, ["panel:p-01"]))
            if one.kind is EntryKind.OBSERVATION and outbox.epoch in str(one.body["id"])
        ]
        numbers = sorted(int(one.rsplit(":", 1)[1]) for one in ids)
        assert numbers == [1, 2, 3, 4, 5, 11, 12, 13], "each once, and six to ten went with the disk"
        ending()
        second.store.close()
    finally:
        courier.stop()
        field_bus.stop()
        outbox.close()


def a_hub(keep: Keep, broker: Broker, name: str) -> Callable[[], None]:
    """Intake at work over a store; call to end it."""
    bus = MqttBus(broker, name)
    watch = Watch(keep.store, keep.desk, keep.registers, keep.clock.now)
    intake = Intake(bus, keep.store, keep.desk, keep.registers, keep.blobs, watch)
    intake.start()
    bus.start()
    eventually(lambda: bus.connected, 30)

    def end() -> None:
        intake.stop()
        bus.stop()

    return end


def say(keep: Keep, outbox: Outbox, count: int) -> None:
    """The panel's partition is set and unset."""
    for number in range(count):
        state = ArmState.ARMED_AWAY if number % 2 else ArmState.DISARMED
        body = Arming(partition="1", state=state)
        outbox.append([Observation(source="panel:p-01", body=body, heard_at=keep.clock.now)]).result(10)
