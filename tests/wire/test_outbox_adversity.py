"""The outbox when the disk is full, read-only or damaged, and when its own file is an old copy."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.wire.straight_bus import StraightBus
from wire import codec, topics
from wire.courier import FIRST_ITEMS, PROBE, Courier
from wire.observations import Condition, Heartbeat, Loss, Motion, Observation, PointState
from wire.outbox import FULL, Mark, Outbox, OutboxFull

NOW = datetime(2026, 11, 21, 2, 14, 12, tzinfo=UTC)
BEAT = Observation(source="panel:p-1", body=Heartbeat(), heard_at=NOW)
ALARM = Observation(
    source="panel:p-1",
    body=PointState(point="zone:1", condition=Condition.HOLD_UP, active=True),
    heard_at=NOW,
)


def until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    """Waits for `condition`."""
    idle = threading.Event()
    for _ in range(int(within_s / 0.02)):
        if condition():
            return
        idle.wait(0.02)
    raise AssertionError("it didn't happen in time")


def opened(path: Path, **more: int) -> Outbox:
    """An outbox whose clock stands still."""
    return Outbox(path, "edge-1", source="edge:edge-1", clock=lambda: NOW, **more)


def held(outbox: Outbox) -> list[codec.Envelope]:
    """Everything in it."""
    return [codec.decode_envelope(payload) for _, payload in outbox.after(0, 10_000)]


def losses(outbox: Outbox) -> list[Loss]:
    """What it says of itself."""
    return [one.observation.body for one in held(outbox) if isinstance(one.observation.body, Loss)]


def test_a_full_outbox_tells_the_pictures_it_gave_up_and_keeps_room_for_alarms(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.db", limit_bytes=64_000)
    for number in range(3):
        body = Motion(active=True, event=str(number), still=bytes(30_000))
        outbox.append([Observation(source="camera:c", body=body, heard_at=NOW)]).result(10)
    outbox.append([BEAT]).result(10)
    assert outbox.stills_dropped == 2  # the oldest first, and no more than needed
    with pytest.raises(OutboxFull):
        for _ in range(1_000):
            outbox.append([BEAT] * 10).result(10)
    assert outbox.stills_dropped == 3
    assert outbox.trouble == FULL
    outbox.append([ALARM]).result(10)
    assert outbox.trouble == FULL  # routine is refused still
    (loss,) = losses(outbox)
    assert (loss.reason, loss.count, loss.spans) == ("pictures_dropped", 3, ((1, 3),))
    outbox.confirm(outbox.last - 5).result(10)
    assert outbox.trouble == ""
    outbox.close()


def test_what_nobody_keeps_is_counted_and_told(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.db")
    outbox.lost(3)
    outbox.lost()
    outbox.append([BEAT]).result(10)
    (loss,) = losses(outbox)
    assert (loss.reason, loss.count, loss.since) == ("not_kept", 4, NOW)
    outbox.append([BEAT]).result(10)
    assert len(losses(outbox)) == 1
    outbox.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.wire.test_outbox_adversity import BEAT, opened
outbox = opened(Path(sys.argv[1]))
before = outbox.append([BEAT]).result(10)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
failed = None
for size in (50, 1):
    for _ in range(200):
        error = outbox.append([BEAT] * size).exception(10)
        if error is not None:
            failed = error
            break
assert failed is not None, "the disk was never full"
trouble = outbox.trouble
assert trouble == str(failed), trouble
kept = outbox.last
assert outbox.append([BEAT]).exception(10) is not None
assert outbox.last == kept == len(outbox.after(0, 100_000))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
after = outbox.append([BEAT]).result(10)
assert after == kept + 1 and outbox.trouble == "", outbox.trouble
outbox.close()
print(type(failed).__name__, trouble)
"""


def test_a_full_disk_refuses_clearly_and_resumes_by_itself(tmp_path: Path) -> None:
    """The operating system itself lets no file grow any more, and later does again."""
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "o.db")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().splitlines()[-1].startswith("OperationalError")


def test_a_read_only_disk_refuses_clearly_and_resumes_by_itself(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.db")
    outbox.append([BEAT]).result(10)
    outbox._db.execute("pragma query_only=on")  # SQLite answers as it does on a read-only file system
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        outbox.append([BEAT]).result(10)
    assert "readonly" in outbox.trouble
    with pytest.raises(sqlite3.OperationalError):
        outbox.confirm(1).result(10)
    outbox._db.execute("pragma query_only=off")
    assert outbox.append([BEAT]).result(10) == 2
    assert outbox.trouble == ""
    assert [one.seq for one in held(outbox)] == [2]  # what was confirmed meanwhile is gone, too
    outbox.close()


def test_its_trouble_is_told_to_the_hub(tmp_path: Path) -> None:
    bus = StraightBus()
    outbox = opened(tmp_path / "o.db")
    courier = Courier(outbox, bus, clock=lambda: NOW)
    outbox._db.execute("pragma query_only=on")
    assert outbox.append([BEAT]).exception(10) is not None
    courier._turn()
    (told,) = bus.take("floor")
    assert "readonly" in codec.decode(told.payload, codec.Floor).trouble
    outbox._db.execute("pragma query_only=off")
    outbox.append([BEAT]).result(10)
    courier._turn()
    (told,) = bus.take("floor")
    assert codec.decode(told.payload, codec.Floor) == codec.Floor(epoch=outbox.epoch, seq=0, held=1)
    outbox.close()


def _rotten(path: Path) -> None:
    """Bits turn in the middle of the file."""
    raw = bytearray(path.read_bytes())
    page = len(raw) // 2 // 4096 * 4096
    raw[page : page + 4096] = bytes(byte ^ 0x5A for byte in raw[page : page + 4096])
    path.write_bytes(bytes(raw))


def _truncated(path: Path) -> None:
    """The end is gone."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _foreign(path: Path) -> None:
    """Another program's bytes."""
    path.write_bytes(b"\x89PNG\r\n" + bytes(5_000))


def _emptied(path: Path) -> None:
    """Nothing is left."""
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "saves"), [(_rotten, True), (_truncated, True), (_foreign, False), (_emptied, False)]
)
def test_a_damaged_file_is_moved_aside_kept_and_told(
    tmp_path: Path, damage: Callable[[Path], None], saves: bool
) -> None:
    path = tmp_path / "o.db"
    outbox = opened(path)
    former = outbox.epoch
    for _ in range(30):
        outbox.append([BEAT] * 10, [Mark("packet", "7")]).result(10)
    outbox.close()
    damage(path)
    damaged = path.read_bytes()

    again = opened(path)
    until(lambda: bool(losses(again)))
    assert again.epoch != former
    (loss,) = losses(again)
    assert (loss.reason, loss.count) == ("outbox_damaged", None)
    (aside,) = [one for one in tmp_path.glob("o.db.damaged-*") if one.suffix not in ("-wal", "-shm")][:1]
    assert aside.name in loss.detail
    assert aside.read_bytes() == damaged
    assert again.append([BEAT]).result(10) > 0
    until(lambda: again.append(()).result(10) >= 0)
    taken_over = [one for one in held(again) if f":{former}:" in one.observation.id]
    assert bool(taken_over) is saves
    assert len({one.observation.id for one in held(again)}) == len(held(again))
    again.close()
    third = opened(path)
    assert third.epoch == again.epoch  # no second time
    third.close()


def test_a_file_of_the_first_release_is_taken_on(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    former = sqlite3.connect(path)
    former.executescript(
        "create table meta (name text primary key, value text not null) without rowid;"
        "create table item (seq integer primary key, payload blob not null);"
        "create table mark (name text primary key, value text not null) without rowid;"
        "insert into meta values ('epoch', 'e1'), ('stored', '4');"
    )
    payload = codec.encode(codec.Envelope(sender="edge-1", epoch="e1", seq=5, observation=BEAT.named("x")))
    former.execute("insert into item values (5, ?)", (payload,))
    former.commit()
    former.close()
    outbox = opened(path)
    assert (outbox.epoch, outbox.stored, outbox.last, outbox.waiting) == ("e1", 4, 5, 1)
    assert outbox.append([BEAT]).result(10) == 6
    outbox.close()


def test_an_old_copy_of_the_file_begins_a_new_epoch_before_it_uses_a_number_twice(tmp_path: Path) -> None:
    """The data folder was restored from a backup: intake knows numbers that this file never gave."""
    path = tmp_path / "o.db"
    outbox = opened(path)
    outbox.append([BEAT] * 3).result(10)
    outbox.close()
    shutil.copy(path, tmp_path / "backup.db")
    copy = opened(tmp_path / "backup.db")
    former = copy.epoch
    bus = StraightBus()
    Courier(copy, bus, clock=lambda: NOW)
    copy.append([ALARM]).result(10)  # would be number 4 of an epoch in which 4 is something else
    topic = topics.STORED.format(sender="edge-1")
    bus.hand(topic, topic, codec.encode(codec.Stored(epoch=former, seq=9)), retained=True)
    assert copy.epoch != former
    ids = [one.observation.id for one in held(copy)]
    assert ids == [*(f"edge-1:{former}:{seq}" for seq in (1, 2, 3)), f"edge-1:{copy.epoch}:4"]
    assert [one.seq for one in held(copy)] == [1, 2, 3, 4]
    assert {one.epoch for one in held(copy)} == {copy.epoch}
    copy.close()


def test_an_item_whose_bytes_have_turned_is_told_and_stops_no_other(tmp_path: Path) -> None:
    seconds = [0.0]
    bus = StraightBus()
    outbox = opened(tmp_path / "o.db")
    outbox.append([BEAT, BEAT]).result(10)
    outbox._db.execute("update item set payload = x'7b00' where seq = 1")
    courier = Courier(outbox, bus, clock=lambda: NOW, steady=lambda: seconds[0])
    for _ in range(5):
        courier._turn()
        seconds[0] += 100.0
    outbox.append(()).result(10)
    (told,) = bus.take("rejected")
    assert codec.decode(told.payload, codec.Rejected).peer == f"edge-1:{outbox.epoch}:1"
    (loss,) = losses(outbox)
    assert (loss.reason, loss.spans) == ("item_damaged", ((1, 1),))
    assert [one.seq for one in held(outbox)] == [2, 3]
    outbox.close()


def test_news_goes_before_history_alarms_before_motion_before_the_rest(tmp_path: Path) -> None:
    bus = StraightBus()
    now = NOW
    outbox = Outbox(tmp_path / "o.db", "edge-1", clock=lambda: now)
    courier = Courier(outbox, bus, batch=2, clock=lambda: now)
    motion = Observation(source="camera:c", body=Motion(active=True, event="1"), heard_at=NOW)
    outbox.append([BEAT, motion, ALARM]).result(10)
    now = NOW + timedelta(hours=24)
    fresh = [
        Observation(source=one.source, body=one.body, heard_at=now)
        for one in (BEAT, motion, ALARM, BEAT, ALARM)
    ]
    outbox.append(fresh).result(10)
    courier._turn()
    news = [envelope.seq for one in bus.take("obs") for envelope in codec.decode_envelopes(one.payload)]
    past = [envelope.seq for one in bus.take("history") for envelope in codec.decode_envelopes(one.payload)]
    assert news == [6, 8, 5, 4, 7]
    assert past == [1, 2]
    courier._turn()
    (rest,) = bus.take("history")
    assert codec.decode_envelope(rest.payload).seq == 3
    outbox.close()


def test_an_alarm_passes_a_window_that_is_full_of_the_rest(tmp_path: Path) -> None:
    bus = StraightBus()
    outbox = opened(tmp_path / "o.db")
    courier = Courier(outbox, bus, window=5, batch=50, clock=lambda: NOW)
    outbox.append([BEAT] * 20).result(10)
    courier._turn()
    (sent,) = bus.take("obs")
    assert len(codec.decode_envelopes(sent.payload)) == 5
    outbox.append([ALARM]).result(10)
    courier._turn()
    (sent,) = bus.take("obs")
    assert codec.decode_envelope(sent.payload).seq == 21
    outbox.close()


def test_what_was_passed_over_in_its_lane_goes_again_before_patience_ends(tmp_path: Path) -> None:
    """The broker lost the first of two messages: the second's confirmation shows it."""
    seconds = [0.0]
    bus = StraightBus()
    outbox = opened(tmp_path / "o.db")
    courier = Courier(outbox, bus, batch=2, patience_s=1000.0, clock=lambda: NOW, steady=lambda: seconds[0])
    outbox.append([BEAT] * 4).result(10)
    courier._turn()
    assert len(bus.take("obs")) == 2
    seconds[0] = 5.0
    topic = topics.STORED.format(sender="edge-1")
    bus.hand(topic, topic, codec.encode(codec.Stored(epoch=outbox.epoch, seq=0, beyond=((3, 4),))))
    outbox.append(()).result(10)
    assert [one.seq for one in held(outbox)] == [1, 2]
    courier._turn()
    (sent,) = bus.take("obs")
    assert [one.seq for one in codec.decode_envelopes(sent.payload)] == [1, 2]
    outbox.close()


def test_of_a_hub_that_is_silent_a_few_ask_and_all_go_again_once_it_answers(tmp_path: Path) -> None:
    """Found by torture: whole windows again and again made a queue that the broker saved on every change."""
    seconds = [0.0]
    bus = StraightBus()
    outbox = opened(tmp_path / "o.db")
    courier = Courier(outbox, bus, patience_s=5.0, clock=lambda: NOW, steady=lambda: seconds[0])
    outbox.append([BEAT] * 500).result(10)
    while courier._turn():
        pass
    assert sum(len(codec.decode_envelopes(one.payload)) for one in bus.take("obs")) == FIRST_ITEMS
    for _ in range(4):
        seconds[0] += 100.0
        while courier._turn():
            pass
        asking = [one for sent in bus.take("obs") for one in codec.decode_envelopes(sent.payload)]
        assert len(asking) == PROBE
    seconds[0] += 2.0
    topic = topics.STORED.format(sender="edge-1")
    upto = max(one.seq for one in asking)
    bus.hand(topic, topic, codec.encode(codec.Stored(epoch=outbox.epoch, seq=0, beyond=((1, upto),))))
    outbox.append(()).result(10)
    while courier._turn():
        pass
    again = [one.seq for sent in bus.take("obs") for one in codec.decode_envelopes(sent.payload)]
    assert set(again) == set(range(1, 501)) - set(range(1, upto + 1))
    outbox.close()


def test_asked_for_what_it_does_not_hold_a_sender_says_so(tmp_path: Path) -> None:
    bus = StraightBus()
    outbox = opened(tmp_path / "o.db")
    Courier(outbox, bus, clock=lambda: NOW)
    outbox.append([BEAT] * 9).result(10)
    outbox.confirm(0, ((3, 4), (7, 7))).result(10)
    topic = topics.AGAIN.format(sender="edge-1")
    bus.hand(topic, topic, codec.encode(codec.Again(epoch=outbox.epoch, spans=((2, 8),))))
    (told,) = bus.take("floor")
    floor = codec.decode(told.payload, codec.Floor)
    assert (floor.seq, floor.gone, floor.held) == (0, ((3, 4), (7, 7)), 6)
    bus.hand(topic, topic, codec.encode(codec.Again(epoch="another", spans=((2, 8),))))
    assert bus.take("floor") == []
    outbox.close()
