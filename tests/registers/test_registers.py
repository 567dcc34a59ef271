"""Adding, finding and removing devices: what is seen, what is refused, and where no secret may stand."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hub.domain.entry import Entry, EntryKind
from hub.recording import record
from hub.registers import (
    Acceptance,
    AlreadyRegistered,
    CameraNew,
    NotRegistered,
    PanelNew,
    RegisterError,
    Registers,
    TrackerNew,
    UnitNew,
    ZoneNew,
)
from hub.sealing import SealBroken, Sealer
from hub.sitefile import parse
from hub.store.engine import Store, Transaction
from wire.observations import DeviceFacts, Observation

CITY = {
    "places": [
        {"id": "xz", "name": "徐州市", "name_en": "Xuzhou City", "level": "city"},
        {"id": "xz-a", "name": "云龙区", "level": "district", "parent": "xz"},
        {"id": "xz-a-1", "name": "彭城街道", "level": "town", "parent": "xz-a"},
        {"id": "xz-b", "name": "鼓楼区", "level": "district", "parent": "xz"},
    ],
    "sites": [
        {
            "id": "market",
            "name": "集贸市场",
            "name_en": "Market",
            "class": "market",
            "place": "xz-a-1",
            "lat": 34.26,
            "lon": 117.2,
        },
        {
            "id": "bank",
            "name": "储蓄所",
            "class": "municipal_key",
            "place": "xz-b",
            "lat": 34.27,
            "lon": 117.2,
        },
    ],
    "positions": [{"id": "vault", "site": "bank", "name": "金库"}],
}


async def found(store: Store, registers: Registers) -> None:
    """Brings the city's places and sites in."""
    file = parse(msgspec.json.encode(CITY))
    await store.submit(lambda tx: registers.import_site(tx, file, ""))


async def add(store: Store, registers: Registers, new: CameraNew) -> str:
    """Registers a camera."""
    return await store.submit(lambda tx: registers.add_camera(tx, new, "li"))


async def accept(store: Store, registers: Registers, source: str, acceptance: Acceptance) -> None:
    """Accepts a device."""
    await store.submit(lambda tx: registers.accept(tx, source, acceptance, "li"))


async def test_an_rtsp_address_with_credentials_becomes_a_camera(store: Store, registers: Registers) -> None:
    await found(store, registers)
    new = CameraNew(name="东门", site="market", rtsp_main="rtsp://admin:s3cr%40t@10.0.0.9:554/main?token=zz")
    identity = await store.submit(lambda tx: registers.add_camera(tx, new, "li"))

    camera = registers.camera(identity)
    assert camera is not None
    assert camera.place == "xz-a-1"
    assert camera.rtsp_main == "rtsp://10.0.0.9:554/main?…"
    access = registers.camera_access(identity)
    assert access.rtsp_main == "rtsp://10.0.0.9:554/main?token=zz"
    assert (access.user, access.password) == ("admin", "s3cr@t")
    work = registers.work()[0].cameras
    assert [(one.id, one.user, one.password) for one in work] == [(identity, "admin", "s3cr@t")]


async def test_no_secret_leaves_its_seal(store: Store, registers: Registers, tmp_path: Path) -> None:
    entries: list[Entry] = []
    store.on_commit(entries.extend)
    new = CameraNew(
        id="c-1",
        name="门",
        rtsp_main="rtsp://10.0.0.9/user=adm_password=tops3cret_channel=1.sdp",
        onvif="http://u:hidd3n@10.0.0.9/onvif",
    )
    await store.submit(lambda tx: registers.add_camera(tx, new, "li"))

    shown = f"{new!r} {registers.camera('c-1')!r} {registers.camera_access('c-1')!r} {entries!r}"
    await store.submit(lambda tx: tx.connection.exec_driver_sql("select 1").scalar())
    files = b"".join(file.read_bytes() for file in tmp_path.glob("hub.db*"))
    for secret in ("tops3cret", "hidd3n"):
        assert secret not in shown
        assert secret.encode() not in files
    assert [entry.kind for entry in entries] == [EntryKind.REGISTER]
    assert entries[0].subject == "camera:c-1"
    assert entries[0].actor == "li"
    assert registers.camera_access("c-1").password == "hidd3n"


async def test_a_seal_moved_to_another_camera_stays_shut(store: Store, registers: Registers) -> None:
    for identity in ("c-1", "c-2"):
        new = CameraNew(id=identity, name=identity, rtsp_main=f"rtsp://u:{identity}@10.0.0.9/")
        await add(store, registers, new)

    def swap(tx: Transaction) -> None:
        tx.connection.exec_driver_sql(
            "update register_cameras set sealed = (select sealed from register_cameras where id='c-1')"
            " where id='c-2'"
        )
        registers.add_unit(tx, UnitNew(name="触发刷新"), "")

    await store.submit(swap)
    with pytest.raises(SealBroken, match="camera:c-2"):
        registers.camera_access("c-2")
    assert [one.id for one in registers.work()[0].cameras] == ["c-1"]


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (CameraNew(name="", rtsp_main="rtsp://h/"), "name"),
        (CameraNew(name="门"), "rtsp_main"),
        (CameraNew(name="门", rtsp_main="http://h/"), "rtsp_main"),
        (CameraNew(name="门", rtsp_main="rtsp:///x"), "rtsp_main"),
        (CameraNew(name="门", rtsp_main="rtsp://h:notaport/x"), "rtsp_main"),
        (CameraNew(name="门", rtsp_main="rtsp://h/\r\nX: 1"), "rtsp_main"),
        (CameraNew(name="门", onvif="ftp://h/"), "onvif"),
        (CameraNew(name="门", rtsp_main="rtsp://h/", id="a/b"), "id"),
        (CameraNew(name="门", rtsp_main="rtsp://h/", lat=91.0, lon=1.0), "lat"),
        (CameraNew(name="门", rtsp_main="rtsp://h/", lat=1.0), "lon"),
        (CameraNew(name="门", rtsp_main="rtsp://h/", lat=float("nan"), lon=1.0), "lat"),
        (CameraNew(name="门", rtsp_main="rtsp://h/", bearing_deg=361.0), "bearing_deg"),
        (CameraNew(name="门", rtsp_main="rtsp://h/", site="nowhere"), "site"),
        (CameraNew(name="门", rtsp_main="rtsp://h/", site="market", position="vault"), "position"),
        (CameraNew(name="门", rtsp_main="rtsp://h/", checkpoint="k-9"), "checkpoint"),
    ],
)
async def test_a_wrong_camera_is_refused_by_field(
    store: Store, registers: Registers, new: CameraNew, field: str
) -> None:
    await found(store, registers)
    before = store.head
    with pytest.raises(RegisterError) as refused:
        await store.submit(lambda tx: registers.add_camera(tx, new, "li"))
    assert refused.value.field == field
    assert not refused.value.reason_zh.isascii()
    assert registers.cameras() == ()
    assert store.head == before


async def test_an_unreadable_address_is_not_quoted_back() -> None:
    with pytest.raises(RegisterError) as refused:
        from hub.enrolment import check_camera

        check_camera(CameraNew(name="门", rtsp_main="http://u:pa55@h/"))
    assert "pa55" not in str(refused.value)


async def test_panels_of_both_conventions(store: Store, registers: Registers) -> None:
    await found(store, registers)
    zones = (ZoneNew(key="金库 门", name="金库门", position="vault"), ZoneNew(key="3", condition="hold_up"))
    paradox = PanelNew(
        id="p-1", name="主机", convention="paradox", topic="bank/pai", site="bank", zones=zones
    )
    plain = PanelNew(name="HA", convention="homeassistant", topic="node7")
    await store.submit(lambda tx: registers.add_panel(tx, paradox, "li"))
    await store.submit(lambda tx: registers.add_panel(tx, plain, "li"))

    zone = registers.zone("panel:p-1", "zone:金库 门")
    assert zone is not None
    assert (zone.name, zone.condition, zone.position) == ("金库门", "intrusion", "vault")
    assert registers.locate("panel:p-1", "zone:3").label == "3"
    wanted = {one.id: one for one in registers.work()[1].panels}["p-1"]
    assert [(one.point, one.key, one.condition) for one in wanted.zones] == [
        ("zone:金库 门", "金库 门", "intrusion"),
        ("zone:3", "3", "hold_up"),
    ]
    with pytest.raises(AlreadyRegistered) as taken:
        await store.submit(lambda tx: registers.add_panel(tx, plain, "li"))
    assert taken.value.field == "topic"


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (PanelNew(name="P", convention="paradox", topic="a/#"), "topic"),
        (PanelNew(name="P", convention="paradox", topic="jifang/obs"), "topic"),
        (PanelNew(name="P", convention="No Such", topic="a"), "convention"),
        (PanelNew(name="P", convention="paradox", topic="a", interval_s=0.0), "interval_s"),
        (PanelNew(name="P", convention="paradox", topic="a", zones=(ZoneNew(key="+"),)), "zones[0].key"),
        (
            PanelNew(name="P", convention="paradox", topic="a", zones=(ZoneNew(key="1"), ZoneNew(key="1"))),
            "zones[1].key",
        ),
        (
            PanelNew(name="P", convention="paradox", topic="a", zones=(ZoneNew(key="1", condition="rain"),)),
            "zones[0].condition",
        ),
        (
            PanelNew(name="P", convention="paradox", topic="a", zones=(ZoneNew(key="1", position="vault"),)),
            "zones[0].position",
        ),
    ],
)
async def test_a_wrong_panel_is_refused_by_field(
    store: Store, registers: Registers, new: PanelNew, field: str
) -> None:
    await found(store, registers)
    with pytest.raises(RegisterError) as refused:
        await store.submit(lambda tx: registers.add_panel(tx, new, "li"))
    assert refused.value.field == field
    assert not refused.value.reason_zh.isascii()


async def test_a_phone_comes_with_its_unit_and_leaves_with_it(store: Store, registers: Registers) -> None:
    await found(store, registers)
    phone = TrackerNew(protocol="owntracks", address="wang/phone", name="王警官手机", place="xz-b")
    identity = await store.submit(lambda tx: registers.add_tracker(tx, phone, "li"))
    source = f"tracker:{identity}"
    assert registers.unit_of(source) == identity
    where = registers.locate(source)
    assert (where.label, where.place, where.registered) == ("王警官手机", "xz-b", True)

    with pytest.raises(AlreadyRegistered):
        await store.submit(lambda tx: registers.add_tracker(tx, phone, "li"))
    await store.submit(lambda tx: registers.remove_tracker(tx, identity, "换机", "li"))
    assert registers.trackers() == ()
    assert registers.units() == ()
    assert await store.submit(lambda tx: registers.add_tracker(tx, phone, "li")) != identity


async def test_a_car_that_is_counted_stays_when_its_terminal_goes(store: Store, registers: Registers) -> None:
    car = UnitNew(id="u-1", name="苏C-0001", duty="patrol_110")
    terminal = TrackerNew(id="u-1", unit="u-1", protocol="jt808", address="13900000001")
    await store.submit(lambda tx: registers.add_unit(tx, car, "li"))
    await store.submit(lambda tx: registers.add_tracker(tx, terminal, "li"))
    await store.submit(lambda tx: registers.remove_tracker(tx, "u-1", "报废", "li"))
    assert [unit.id for unit in registers.units()] == ["u-1"]


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (TrackerNew(protocol="owntracks", address="phone", name="N"), "address"),
        (TrackerNew(protocol="jt808", address="0139", name="N"), "address"),
        (TrackerNew(protocol="owntracks", address="a/+", name="N"), "address"),
        (TrackerNew(protocol="owntracks", address="a/b"), "name"),
        (TrackerNew(protocol="owntracks", address="a/b", unit="u-404"), "unit"),
        (TrackerNew(protocol="owntracks", address="a/b", name="N", place="mars"), "place"),
    ],
)
async def test_a_wrong_tracker_is_refused_by_field(
    store: Store, registers: Registers, new: TrackerNew, field: str
) -> None:
    with pytest.raises(RegisterError) as refused:
        await store.submit(lambda tx: registers.add_tracker(tx, new, "li"))
    assert refused.value.field == field
    assert not refused.value.reason_zh.isascii()
    assert registers.units() == ()


async def test_a_protocol_that_is_not_known_yet_can_be_registered(store: Store, registers: Registers) -> None:
    toy = TrackerNew(protocol="toy", address="anything", name="N")
    identity = await store.submit(lambda tx: registers.add_tracker(tx, toy, "li"))
    assert [(one.id, one.protocol) for one in registers.work()[2].trackers] == [(identity, "toy")]


async def test_memory_follows_the_database_when_a_job_fails(store: Store, registers: Registers) -> None:
    changes: list[int] = []
    registers.on_change(lambda: changes.append(len(registers.units())))

    def half(tx: Transaction) -> None:
        registers.add_unit(tx, UnitNew(id="u-1", name="一"), "li")
        raise RuntimeError("the rest of the job failed")

    with pytest.raises(RuntimeError):
        await store.submit(half)
    assert registers.units() == ()
    await store.submit(lambda tx: registers.add_unit(tx, UnitNew(id="u-2", name="二"), "li"))
    assert [unit.id for unit in registers.units()] == ["u-2"]
    assert changes == [1]


async def test_removal_needs_a_reason_and_keeps_the_id(store: Store, registers: Registers) -> None:
    entries: list[Entry] = []
    store.on_commit(entries.extend)
    camera = CameraNew(id="c-1", name="门", rtsp_main="rtsp://h/")
    await store.submit(lambda tx: registers.add_camera(tx, camera, "li"))
    with pytest.raises(RegisterError) as refused:
        await store.submit(lambda tx: registers.remove_camera(tx, "c-1", " ", "li"))
    assert refused.value.field == "reason"
    await store.submit(lambda tx: registers.remove_camera(tx, "c-1", "拆除", "wang"))
    assert registers.camera("c-1") is None
    assert entries[-1].body["action"] == "removed"
    assert entries[-1].body["reason"] == "拆除"
    assert entries[-1].actor == "wang"
    with pytest.raises(NotRegistered):
        await store.submit(lambda tx: registers.remove_camera(tx, "c-1", "再拆", "wang"))
    with pytest.raises(AlreadyRegistered):
        await store.submit(lambda tx: registers.add_camera(tx, camera, "li"))
    with pytest.raises(NotRegistered):
        registers.camera_access("c-1")


async def test_an_onvif_camera_learns_its_streams_but_keeps_what_a_person_entered(
    store: Store, registers: Registers
) -> None:
    asked = CameraNew(id="c-1", name="门", onvif="http://10.0.0.9/onvif", user="u", password="p")
    entered = CameraNew(id="c-2", name="窗", onvif="http://10.0.0.8/onvif", rtsp_main="rtsp://10.0.0.8/a")
    for new in (asked, entered):
        await add(store, registers, new)

    def learn(camera: str, main: str) -> bool:
        return store.enqueue(lambda tx: registers.learn_streams(tx, camera, main, "")).result(10)

    assert learn("c-1", "rtsp://u:p@10.0.0.9/main")
    assert registers.camera_access("c-1").rtsp_main == "rtsp://10.0.0.9/main"
    assert not learn("c-1", "rtsp://10.0.0.9/main")
    assert learn("c-1", "rtsp://10.0.0.9/other")
    assert not learn("c-2", "rtsp://10.0.0.8/b")
    assert registers.camera_access("c-2").rtsp_main == "rtsp://10.0.0.8/a"
    with pytest.raises(RegisterError):
        learn("c-1", "gopher://10.0.0.9/")
    with pytest.raises(NotRegistered):
        learn("c-3", "rtsp://10.0.0.9/")


async def test_acceptance_asks_for_what_the_device_is_for(store: Store, registers: Registers) -> None:
    entries: list[Entry] = []
    store.on_commit(entries.extend)
    panel = PanelNew(id="p-1", name="P", convention="paradox", topic="a")
    await store.submit(lambda tx: registers.add_panel(tx, panel, "li"))
    for source, acceptance, field in (
        ("panel:p-1", Acceptance(video_seen=True), "alarm_tested"),
        ("panel:p-2", Acceptance(alarm_tested=True), "source"),
        ("hub:store", Acceptance(alarm_tested=True), "source"),
    ):
        with pytest.raises(RegisterError) as refused:
            await accept(store, registers, source, acceptance)
        assert refused.value.field == field
    await store.submit(lambda tx: registers.accept(tx, "panel:p-1", Acceptance(alarm_tested=True), "zhao"))
    assert entries[-1].body["action"] == "accepted"
    assert entries[-1].actor == "zhao"


async def test_where_things_are(store: Store, registers: Registers) -> None:
    await found(store, registers)
    camera = CameraNew(id="c-1", name="东门", name_en="East gate", site="market", rtsp_main="rtsp://h/")
    await store.submit(lambda tx: registers.add_camera(tx, camera, "li"))
    where = registers.locate("camera:c-1", "picture")
    assert (where.place_name, where.site_name, where.site_name_en) == ("彭城街道", "集贸市场", "Market")
    assert (where.label, where.label_en, where.lat, where.lon) == ("东门", "East gate", 34.26, 117.2)
    stranger = registers.locate("panel:new-one", "zone:1")
    assert (stranger.place, stranger.place_name, stranger.label) == ("xz", "徐州市", "new-one")
    assert not stranger.registered
    assert registers.locate("edge:edge-1").registered


async def test_jurisdiction_is_one_tree(store: Store, registers: Registers) -> None:
    assert registers.root == "root"
    await found(store, registers)
    assert registers.root == "xz"
    assert registers.within("xz-a-1", "xz-a")
    assert registers.within("xz-a-1", "xz")
    assert not registers.within("xz-a", "xz-a-1")
    assert not registers.within("xz-b", "xz-a")
    assert not registers.within("nowhere", "xz-a")
    assert registers.within("nowhere", "xz")
    assert registers.contains("xz-a", "xz-a-1")


async def test_cameras_near_prefer_the_site_then_those_that_look_there(
    store: Store, registers: Registers
) -> None:
    await found(store, registers)

    def camera(identity: str, lat: float, bearing: float, site: str = "") -> CameraNew:
        return CameraNew(
            id=identity, name=identity, rtsp_main="rtsp://h/", site=site, lat=lat, lon=117.2,
            bearing_deg=bearing, fov_deg=60.0, range_m=400.0,
        )  # fmt: skip

    cameras = (
        camera("own-away", 34.2602, 0.0, site="market"),
        camera("north-looking-south", 34.2620, 180.0),
        camera("north-looking-north", 34.2610, 0.0),
        camera("too-far", 34.29, 180.0),
        CameraNew(id="nowhere", name="n", rtsp_main="rtsp://h/"),
    )
    for new in cameras:
        await add(store, registers, new)
    near = registers.cameras_near("market", 34.26, 117.2)
    assert near == ["own-away", "north-looking-south", "north-looking-north"]
    assert registers.cameras_near("market", 34.26, 117.2, limit=1) == ["own-away"]
    assert registers.cameras_near("market", None, None) == ["own-away"]
    assert registers.cameras_near("", None, None) == []


async def test_all_is_there_after_a_restart(store: Store, registers: Registers, tmp_path: Path) -> None:
    await found(store, registers)
    camera = CameraNew(id="c-1", name="东门", rtsp_main="rtsp://u:p@h/", site="market")
    await store.submit(lambda tx: registers.add_camera(tx, camera, "li"))
    again = Registers(store, Sealer.open(tmp_path / "seal.key"))
    assert again.camera("c-1") == registers.camera("c-1")
    assert again.camera_access("c-1").password == "p"
    assert again.sites() == registers.sites()


async def test_facts_in_the_log_fill_in_the_streams(store: Store, registers: Registers) -> None:
    """The ONVIF adapter's facts, as intake writes them down; then the edge is told."""
    await add(store, registers, CameraNew(id="c-1", name="门", onvif="http://10.0.0.9/onvif"))
    told = threading.Event()
    registers.on_change(told.set)
    detail = {"rtsp_main": "rtsp://10.0.0.9:8554/main", "rtsp_sub": "rtsp://10.0.0.9:8554/sub"}
    facts = Observation(
        source="camera:c-1", body=DeviceFacts(make="Jifang", detail=detail), heard_at=datetime.now(UTC)
    )
    await store.submit(lambda tx: record(tx, registers, facts))
    assert told.wait(10)
    work = registers.work()[0].cameras[0]
    assert (work.rtsp_main, work.rtsp_sub) == (detail["rtsp_main"], detail["rtsp_sub"])
