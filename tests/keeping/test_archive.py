"""Backup and restore: online, portable, all or nothing, and nothing in it can be changed unnoticed."""

from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

import jifang.restore as restoring
from hub.registers import Registers
from hub.sealing import SealBroken, Sealer
from hub.store import log as stored_log
from hub.store.archive import ArchiveError, Manifest, Reader
from hub.store.canonical import GENESIS, canonical_body, chained
from hub.store.dumping import LEFT_OUT, rows_of
from hub.store.engine import Store
from hub.store.migrate import upgrade
from hub.store.snapshot import NoStore, revision, snapshot, tables_of
from hub.store.tables.log import entries
from jifang.backup import BackupOptions, BackupRefused, backup
from jifang.restore import Restored, RestoreOptions, RestoreRefused, restore
from jifang.steps import Silent
from jifang.verify import UnknownFile, verify_archive, verify_file, verify_store
from tests.hub_core.conftest import START, HandClock
from tests.keeping.conftest import ON_ONE, Keep, drafts, jpeg, open_keep
from tests.postgresql import PostgreSQL
from wire.observations import Position

NOW = START + timedelta(days=400)


@pytest.fixture
def busy(keep: Keep) -> Keep:
    """A store with something in every corner: an incident, pictures, positions, pruned runs, audit rows."""
    for number in range(6):
        keep.motion(jpeg(number))
        keep.audit(f"camera:{number}")
    keep.days(100)
    keep.motion(jpeg(50))
    keep.close_incident(keep.burglary())
    keep.see("tracker:u-0121", Position(lat=34.2, lon=117.1))
    keep.keeper().run()
    keep.motion(jpeg(51))
    keep.holds()
    return keep


@pytest.fixture
def other(request: pytest.FixtureRequest, keep: Keep, tmp_path: Path) -> Iterator[str]:
    """An empty store of the other kind."""
    if keep.url.startswith("sqlite"):
        server: PostgreSQL = request.getfixturevalue("postgresql")
        yield server.database("restored")
        server.drop("restored")
    else:
        yield f"sqlite:///{tmp_path}/restored.db"


def backed_up(keep: Keep, file: Path, *, with_key: bool = True, force: bool = False) -> Manifest:
    options = BackupOptions(store_url=keep.url, data=keep.data, file=file, with_key=with_key, force=force)
    return backup(options, NOW, Silent())


def put_back(file: Path, url: str, data: Path, *, despite_break: bool = False) -> Restored:
    options = RestoreOptions(file=file, store_url=url, data=data, despite_break=despite_break)
    return restore(options, NOW, Silent())


def content(url: str) -> dict[str, list[Any]]:
    """Every row of every table that is backed up."""
    with snapshot(url) as connection:
        tables = tables_of(connection)
        return {
            name: [list(row) for row in rows_of(connection, table)]
            for name, table in tables.items()
            if name not in LEFT_OUT
        }


def test_a_store_goes_over_to_the_other_database_and_stands_there_whole(
    busy: Keep, other: str, tmp_path: Path
) -> None:
    manifest = backed_up(busy, tmp_path / "night.jifang")
    restored = put_back(tmp_path / "night.jifang", other, tmp_path / "new")
    assert restored.verified.faults == []
    assert restored.verified.head == manifest.log.head + 1 == busy.store.head + 1
    before, after = content(busy.url), content(other)
    told = after["entries"].pop()
    assert told[2:4] == ["keeping", "log:restored"]
    for name in before:
        assert sorted(map(str, after[name])) == sorted(map(str, before[name])), name
    pictures = {path.name for path in (busy.data / "stills").glob("??/*")}
    assert {path.name for path in (tmp_path / "new" / "stills").glob("??/*")} == pictures != set()
    again = Store.open(other, clock=busy.clock)
    try:
        registers = Registers.load(again, tmp_path / "new" / "seal.key")
        assert registers.camera_access("c-01").rtsp_main == "rtsp://127.0.0.1:1/main"
        assert again.enqueue(lambda tx: tx.append(drafts(1)[0]).seq).result(10) == busy.store.head + 2
        assert again.query(stored_log.verify)[1] is None
    finally:
        again.close()
    second = verify_store(other, tmp_path / "new", Silent())
    assert (second.faults, second.stills) == ([], restored.verified.stills)


def test_a_backup_while_the_hub_writes_is_of_one_moment(keep: Keep, tmp_path: Path) -> None:
    keep.do(lambda tx: [tx.append(one) for one in drafts(500)])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            keep.do(lambda tx: [tx.append(one) for one in drafts(5)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        manifests = [backed_up(keep, tmp_path / f"{number}.jifang") for number in range(3)]
    finally:
        stop.set()
        writer.join()
    heads = [one.log.head for one in manifests]
    assert heads == sorted(heads)
    assert heads[0] < keep.store.head
    for number, manifest in enumerate(manifests):
        found = verify_file(tmp_path / f"{number}.jifang", Silent())
        assert found.faults == []
        assert (found.head, found.hash) == (manifest.log.head, manifest.log.hash)
        assert (found.head - 8) % 5 == (heads[0] - 8) % 5, "a transaction is in it whole or not at all"


@ON_ONE
def test_the_archive_is_its_owners_alone_and_the_key_only_on_demand(busy: Keep, tmp_path: Path) -> None:
    file = tmp_path / "a.jifang"
    manifest = backed_up(busy, file, with_key=False)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not manifest.key.included
    key = (busy.data / "seal.key").read_bytes()
    assert key not in file.read_bytes()
    assert "seal.key" not in zipfile.ZipFile(file).namelist()
    backed_up(busy, file, force=True)
    assert "seal.key" in zipfile.ZipFile(file).namelist()


@ON_ONE
def test_what_the_key_means_for_a_restored_store(busy: Keep, tmp_path: Path) -> None:
    bare = tmp_path / "bare.jifang"
    backed_up(busy, bare, with_key=False)
    absent, fitting, foreign = (tmp_path / name for name in ("absent", "fitting", "foreign"))
    for folder in (fitting, foreign):
        folder.mkdir()
    shutil.copy(busy.data / "seal.key", fitting)
    Sealer.open(foreign / "seal.key")
    for folder, said in ((absent, "absent"), (fitting, "present"), (foreign, "other")):
        restored = put_back(bare, f"sqlite:///{folder}.db", folder)
        assert restored.key == said
        assert restored.verified.ok
        store = Store.open(f"sqlite:///{folder}.db")
        try:
            registers = Registers.load(store, folder / "seal.key")
            if said == "present":
                assert registers.camera_access("c-01").rtsp_main
            else:
                with pytest.raises(SealBroken):
                    registers.camera_access("c-01")
        finally:
            store.close()
    whole = tmp_path / "whole.jifang"
    backed_up(busy, whole)
    with pytest.raises(RestoreRefused, match="another key"):
        put_back(whole, f"sqlite:///{tmp_path}/w.db", foreign)
    assert not (tmp_path / "w.db").exists()


@ON_ONE
def test_a_file_that_is_there_is_replaced_only_on_demand(keep: Keep, tmp_path: Path) -> None:
    (tmp_path / "a.jifang").write_text("precious")
    with pytest.raises(BackupRefused, match="--force"):
        backed_up(keep, tmp_path / "a.jifang")
    assert (tmp_path / "a.jifang").read_text() == "precious"
    backed_up(keep, tmp_path / "a.jifang", force=True)
    assert verify_archive(tmp_path / "a.jifang", Silent()).ok
    with pytest.raises(BackupRefused, match="no such folder"):
        backed_up(keep, tmp_path / "nowhere" / "a.jifang")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    options = BackupOptions(
        store_url=f"sqlite:///{tmp_path}/none.db", data=tmp_path, file=tmp_path / "a.jifang"
    )
    with pytest.raises(NoStore):
        backup(options, NOW, Silent())
    assert list(tmp_path.iterdir()) == []


def test_only_an_empty_store_is_restored_into(busy: Keep, other: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jifang"
    backed_up(busy, file)
    busy.store.close()
    with pytest.raises(RestoreRefused, match="isn't empty"):
        put_back(file, busy.url, busy.data)
    assert verify_store(busy.url, busy.data, Silent()).ok
    Store.open(other).close()  # migrated, and nothing in it
    assert put_back(file, other, tmp_path / "new").verified.ok


def test_a_running_hub_is_not_restored_under(keep: Keep, tmp_path: Path) -> None:
    file = tmp_path / "a.jifang"
    backed_up(keep, file)
    with pytest.raises(RestoreRefused, match=r"stop the hub|isn't empty"):
        put_back(file, keep.url, tmp_path / "new")


Tamper = Callable[[dict[str, bytes]], None]


def _flip(name: str, old: bytes, new: bytes) -> Tamper:
    def tamper(members: dict[str, bytes]) -> None:
        assert old in members[name], name
        members[name] = members[name].replace(old, new, 1)

    return tamper


def _drop(name: str) -> Tamper:
    def tamper(members: dict[str, bytes]) -> None:
        del members[name]

    return tamper


def _less(name: str) -> Tamper:
    def tamper(members: dict[str, bytes]) -> None:
        lines = members[name].splitlines(keepends=True)
        members[name] = b"".join([*lines[:-2], lines[-1]])

    return tamper


def _more(members: dict[str, bytes]) -> None:
    members["tables/extra.jsonl"] = b"{}\n"


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        (_flip("tables/entries.jsonl", "市场".encode(), "路口".encode()), "tables/entries.jsonl"),
        (_less("tables/entries.jsonl"), "tables/entries.jsonl"),
        (_flip("tables/audit.jsonl", b"camera:1", b"camera:7"), "tables/audit.jsonl"),
        (_flip("tables/pruned.jsonl", b"[", b"[ "), "tables/pruned.jsonl"),
        (_flip("tables/register_cameras.jsonl", b"c-01", b"c-09"), "tables/register_cameras.jsonl"),
        (_flip("tables/incidents.jsonl", b'"version', b'"Version'), "tables/incidents.jsonl"),
        (_flip("tables/senders.jsonl", b"sender", b"sendex"), "tables/senders.jsonl"),
        (_flip("stills.tar", b"\xff\xd8", b"\xff\xd7"), "stills"),
        (_flip("seal.key", b"", b"x"), "seal.key"),
        (_flip("manifest.json", b'"made_at"', b'"mode_at"'), "manifest.json"),
        (_flip("manifest.json", b'"machine": "', b'"machine": "x'), "manifest.json"),
        (_drop("tables/positions.jsonl"), "tables/positions.jsonl"),
        (_drop("stills.tar"), "stills.tar"),
        (_drop("manifest.json"), ""),
        (_more, "tables/extra.jsonl"),
    ],
)
def test_no_member_can_be_changed_unnoticed(
    archived: Path, tmp_path: Path, tamper: Tamper, where: str
) -> None:
    """The members are changed and the ZIP is made anew, so only our own hashes can find it."""
    with zipfile.ZipFile(archived) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    tamper(members)
    forged = tmp_path / "forged.jifang"
    with zipfile.ZipFile(forged, "w") as into:
        for name, data in members.items():
            into.writestr(name, data)
    found = verify_archive(forged, Silent())
    assert not found.ok
    assert any(where in fault.at for fault in found.faults), found.faults
    with pytest.raises(ArchiveError):
        put_back(forged, f"sqlite:///{tmp_path}/x.db", tmp_path / "x")
    assert not (tmp_path / "x.db").exists()


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a busy store."""
    folder = tmp_path_factory.mktemp("archived")
    keep = open_keep(f"sqlite:///{folder}/hub.db", folder / "data", HandClock())
    for number in range(4):
        keep.motion(jpeg(number))
        keep.audit(f"camera:{number}")
    keep.days(100)
    keep.motion(jpeg(9))
    keep.close_incident(keep.burglary())
    keep.keeper().run()
    backed_up(keep, folder / "a.jifang")
    keep.store.close()
    return folder / "a.jifang"


def test_a_damaged_file_is_told_wherever_it_is_damaged(archived: Path, tmp_path: Path) -> None:
    whole = archived.read_bytes()
    with zipfile.ZipFile(archived) as file:
        data = {one.header_offset + 30 + len(one.filename) + 20: one.compress_size for one in file.infolist()}
    spots = [start + size // 2 for start, size in data.items() if size > 10]
    assert len(spots) > 20
    for spot in spots:
        damaged = bytearray(whole)
        damaged[spot] ^= 0x10
        (tmp_path / "d.jifang").write_bytes(damaged)
        assert not verify_archive(tmp_path / "d.jifang", Silent()).ok, spot
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "d.jifang").write_bytes(whole[:length])
        assert not verify_archive(tmp_path / "d.jifang", Silent()).ok


def test_a_file_of_another_kind_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(UnknownFile):
        verify_file(tmp_path / "film.mp4", Silent())


@ON_ONE
def test_a_missing_picture_is_named_in_store_and_archive(busy: Keep, tmp_path: Path) -> None:
    paths = sorted((busy.data / "stills").glob("??/*"))
    paths[0].unlink()
    paths[1].write_bytes(b"another")
    faults = verify_store(busy.url, busy.data, Silent()).faults
    assert {(one.where, one.at) for one in faults} == {("stills", path.name) for path in paths[:2]}
    assert all("camera:c-01" in one.reason for one in faults)
    paths[1].unlink()
    manifest = backed_up(busy, tmp_path / "a.jifang")
    assert set(manifest.missing_stills) == {path.name for path in paths[:2]}
    found = verify_archive(tmp_path / "a.jifang", Silent())
    assert {one.at for one in found.faults} == {path.name for path in paths[:2]}
    assert put_back(tmp_path / "a.jifang", f"sqlite:///{tmp_path}/n.db", tmp_path / "n").verified.head


@ON_ONE
def test_a_log_that_was_broken_is_backed_up_and_says_so(busy: Keep, tmp_path: Path) -> None:
    busy.do(lambda tx: tx.connection.exec_driver_sql("update entries set actor = 'nobody' where seq = 3"))
    manifest = backed_up(busy, tmp_path / "a.jifang")
    assert manifest.log.broken_at == 3
    with pytest.raises(RestoreRefused, match="broken at 3"):
        put_back(tmp_path / "a.jifang", f"sqlite:///{tmp_path}/n.db", tmp_path / "n")
    restored = put_back(
        tmp_path / "a.jifang", f"sqlite:///{tmp_path}/n.db", tmp_path / "n", despite_break=True
    )
    assert [fault.at for fault in restored.verified.faults] == ["3"]


def test_an_end_that_was_cut_off_shows_in_what_speaks_of_it(busy: Keep) -> None:
    last = busy.store.head
    busy.do(lambda tx: tx.connection.execute(entries.delete().where(entries.c.seq > last - 2)))
    faults = verify_store(busy.url, busy.data, Silent()).faults
    assert faults
    assert all(one.where == "log" and int(one.at) > last - 2 for one in faults)


def test_an_archive_of_an_older_schema_is_brought_up(other: str, tmp_path: Path) -> None:
    """Schema 0003 knew no pruned runs."""
    url = f"sqlite:///{tmp_path}/old.db"
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        upgrade(connection, "0003")
    with engine.begin() as connection:
        previous = GENESIS
        table = tables_of(connection)["entries"]
        for seq, draft in enumerate(drafts(30), start=1):
            body = canonical_body(draft.body)
            previous = chained(previous, draft, seq, START, body)
            at = int(START.timestamp()) * 1_000_000
            connection.execute(
                table.insert().values(
                    seq=seq, at=at, kind="observation", subject=draft.subject, place="xz", actor="",
                    late=False, body=body.decode(), hash=previous,
                )
            )  # fmt: skip
    engine.dispose()
    assert verify_store(url, tmp_path, Silent()).entries == 30
    options = BackupOptions(store_url=url, data=tmp_path, file=tmp_path / "old.jifang")
    assert backup(options, NOW, Silent()).schema == "0003"
    restored = put_back(tmp_path / "old.jifang", other, tmp_path / "new")
    assert restored.verified.ok
    assert restored.verified.entries == 31
    with snapshot(other) as connection:
        assert revision(connection) != "0003"


def test_a_newer_archive_is_not_guessed_at(archived: Path, tmp_path: Path) -> None:
    with Reader(archived) as reader:
        manifest = reader.manifest
    newer = msgspec.structs.replace(manifest, schema="9999").sealed()
    with zipfile.ZipFile(archived) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    members["manifest.json"] = msgspec.json.encode(newer)
    with zipfile.ZipFile(tmp_path / "newer.jifang", "w") as into:
        for name, data in members.items():
            into.writestr(name, data)
    with pytest.raises(RestoreRefused, match="newer Jifang"):
        put_back(tmp_path / "newer.jifang", f"sqlite:///{tmp_path}/x.db", tmp_path / "x")


def test_a_restoring_that_fails_leaves_nothing(
    archived: Path, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_any: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring, "_tell", full)
    with pytest.raises(OSError, match="No space"):
        put_back(archived, other, tmp_path / "new")
    assert not list((tmp_path / "new").glob("stills/??/*"))
    assert not (tmp_path / "new" / "seal.key").exists()
    monkeypatch.undo()
    assert put_back(archived, other, tmp_path / "new").verified.ok
    assert (tmp_path / "new" / "seal.key").stat().st_mode & 0o777 == 0o600


@ON_ONE
def test_sign_ins_do_not_survive_a_restoring(busy: Keep, tmp_path: Path) -> None:
    backed_up(busy, tmp_path / "a.jifang")
    with Reader(tmp_path / "a.jifang") as reader:
        assert "sessions" not in reader.manifest.tables()
        assert "people" in reader.manifest.tables()
