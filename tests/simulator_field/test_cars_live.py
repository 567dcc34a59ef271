"""Cars on the network: fixes acknowledged or kept, texts obeyed, in both protocols."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from simulator import jt808
from simulator.cars import read_command
from simulator.description import CameraAccess, site_file
from simulator.district import build_district, site_of, where
from simulator.driving import Duty
from simulator.roads import to_point
from tests.simulator_field.conftest import Ear, Starter
from tests.simulator_field.platform import Platform, until

PHONE = "13905160133"
MARKET = where(build_district().network, site_of("s-01"))
ORDER = "苏C-0133 速赴云龙集贸市场3号门，紧急按钮 {:.5f},{:.5f}".format(*MARKET)
CUT = """
id = "cut"
[[step]]
at = 0
device = "tracker:u-0133"
do = "cut"
for = 30
"""


async def test_owntracks_locations_are_ledgered_when_acknowledged(district: Starter, ear: Ear) -> None:
    async with district(panels=0, cars=1, speed=20.0) as living:
        await until(lambda: len(living.ledger("tracker:u-0121", "position")) >= 8, "fixes")
    heard = [json.loads(payload) for payload in ear.of("owntracks/xz110/car0121")]
    lines = living.ledger("tracker:u-0121")
    assert [(one["lat"], one["lon"]) for one in lines] == [(one["lat"], one["lon"]) for one in heard]
    assert all(one["_type"] == "location" and len(one["tid"]) == 2 for one in heard)
    times = [datetime.fromisoformat(one["device_at"]).timestamp() for one in lines]
    assert times == [one["tst"] for one in heard]
    assert times == sorted(set(times)), "one fix a second at most"


async def test_an_owntracks_command_sends_the_car(district: Starter, ear: Ear) -> None:
    async with district(panels=0, cars=1, speed=60.0) as living:
        car = living.run.cars["u-0121"]
        await until(lambda: living.ledger("tracker:u-0121"), "it is on the air")
        waypoint = {
            "_type": "waypoint",
            "desc": "市场",
            "lat": MARKET[0],
            "lon": MARKET[1],
            "rad": 50,
            "tst": 1,
        }
        command = {
            "_type": "cmd",
            "action": "setWaypoints",
            "waypoints": {"_type": "waypoints", "waypoints": [waypoint]},
        }
        ear.say("owntracks/xz110/car0121/cmd", json.dumps(command))
        await until(lambda: car.driver.duty is Duty.ON_SCENE, "it arrives")
        last = living.ledger("tracker:u-0121")[-1]
        await until(lambda: living.ledger("tracker:u-0121")[-1] != last, "it reports from there")
        there = json.loads(ear.of("owntracks/xz110/car0121")[-1])
        assert to_point(there["lat"], there["lon"]).distance_m(to_point(*MARKET)) < 40
        assert "vel" not in there, "a phone that stands leaves out its speed"
        await until(lambda: car.driver.duty is Duty.PATROL, "it goes back on patrol")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"_type":"cmd","action":"notify","content":"go 34.26110,117.21873"}', (None, True)),
        (b'{"_type":"cmd","action":"setWaypoints","waypoints":{"waypoints":[{"_type":"waypoint","lat":34.2,"lon":117.1}]}}',
         ((34.2, 117.1), False)),
        (b'{"_type":"cmd","action":"setWaypoints","waypoints":{"waypoints":[{"_type":"waypoint","lat":"x","lon":1e999}]}}',
         (None, False)),
        (b'{"_type":"location"}', (None, False)),
        (b"\xff\xfe", (None, False)),
        (b"[" * 5000, (None, False)),
    ],
)  # fmt: skip
def test_reading_an_owntracks_command(payload: bytes, expected: tuple[object, bool]) -> None:
    place, text = read_command(payload)
    assert (place, "34.26110,117.21873" in text) == expected


async def test_a_terminal_signs_in_and_counts_only_what_is_acknowledged(
    district: Starter, platform: Platform
) -> None:
    platform.acknowledge = False
    async with district(panels=0, cars=2, speed=20.0) as living:
        await until(lambda: len(platform.of(jt808.POSITION)) >= 3, "positions")
        assert [frame.message for frame in platform.frames[:2]] == [jt808.REGISTER, jt808.AUTHENTICATE]
        assert len(platform.of(jt808.AUTHENTICATE)) == 1, "and nothing before it but the registration"
        assert platform.of(jt808.REGISTER)[0].body.endswith("苏C0133".encode("gbk"))
        assert living.ledger("tracker:u-0133") == [], "nothing was acknowledged"
        withheld = len(platform.of(jt808.POSITION))
        platform.acknowledge = True
        platform.hang_up()
        await until(lambda: len(living.ledger("tracker:u-0133")) > withheld, "sent again and acknowledged")
        assert len(platform.of(jt808.REGISTER)) == 1, "it kept its authentication code"
        assert platform.of(jt808.POSITION_BATCH), "what was kept goes as a batch"
    lines = living.ledger("tracker:u-0133")
    times = [one["device_at"] for one in lines]
    assert len(set(times)) == len(times), "each fix is counted once"
    bodies = {frame.body[8:16] for frame in platform.of(jt808.POSITION)}
    for frame in platform.of(jt808.POSITION_BATCH):
        count = int.from_bytes(frame.body[:2])
        size = (len(frame.body) - 3) // count
        bodies |= {frame.body[3 + i * size + 10 : 3 + i * size + 18] for i in range(count)}
    for one in lines:
        raw = round(one["lat"] * 1e6).to_bytes(4) + round(one["lon"] * 1e6).to_bytes(4)
        assert raw in bodies


async def test_a_terminal_that_is_cut_off_keeps_its_fixes(district: Starter, platform: Platform) -> None:
    async with district(CUT, panels=0, cars=2, speed=20.0) as living:
        await until(lambda: platform.of(jt808.POSITION_BATCH), "the batch after the cut", 15)
        await until(lambda: len(living.ledger("tracker:u-0133")) >= 9, "all acknowledged")
    first = platform.of(jt808.POSITION_BATCH)[0]
    count = int.from_bytes(first.body[:2])
    assert count >= 5
    assert first.body[2] == 1, "blind area"


async def test_a_text_sends_the_car_and_is_answered(district: Starter, platform: Platform) -> None:
    async with district(panels=0, cars=2, speed=60.0) as living:
        car = living.run.cars["u-0133"]
        await until(lambda: car.up and living.ledger("tracker:u-0133"), "it is on the air")
        platform.text(PHONE, ORDER)
        await until(lambda: car.driver.duty is Duty.ON_SCENE, "it arrives")
        replies = [jt808.read_general_reply(one.body) for one in platform.of(jt808.TERMINAL_REPLY)]
        assert replies == [(9, jt808.TEXT, jt808.OK)]
        last = living.ledger("tracker:u-0133")[-1]
        await until(lambda: living.ledger("tracker:u-0133")[-1] != last, "it reports from there")
        there = living.ledger("tracker:u-0133")[-1]
        assert to_point(there["lat"], there["lon"]).distance_m(to_point(*MARKET)) < 40
        newest = platform.of(jt808.POSITION)[-1].body
        assert int.from_bytes(newest[18:20]) == 0, "it stands"


async def test_other_messages_are_answered_as_unsupported(district: Starter, platform: Platform) -> None:
    async with district(panels=0, cars=2, speed=20.0) as living:
        await until(lambda: living.run.cars["u-0133"].up, "it is on the air")
        platform.send(PHONE, 0x8103, 5, b"\x00")
        platform.text(PHONE, "注意安全")
        await until(lambda: len(platform.of(jt808.TERMINAL_REPLY)) == 2, "both are answered")
        replies = [jt808.read_general_reply(one.body) for one in platform.of(jt808.TERMINAL_REPLY)]
        assert replies == [(5, 0x8103, jt808.UNSUPPORTED), (9, jt808.TEXT, jt808.OK)]
        assert living.run.cars["u-0133"].driver.duty is Duty.PATROL


async def test_a_2019_terminal_uses_the_longer_header(district: Starter, platform: Platform) -> None:
    async with district(panels=0, cars=4, speed=10.0) as living:
        await until(lambda: living.ledger("tracker:u-0142"), "its fixes are acknowledged")
        platform.text("13905160142", ORDER, edition=2019)
        await until(lambda: living.run.cars["u-0142"].driver.duty is Duty.RESPONDING, "it is on its way")
    editions = {frame.phone: frame.edition for frame in platform.frames}
    assert editions == {PHONE: 2013, "13905160142": 2019}


async def test_device_times_are_true_utc_in_whole_seconds(district: Starter, platform: Platform) -> None:
    before = datetime.now(UTC).timestamp() - 1
    async with district(panels=0, cars=2) as living:
        await until(lambda: living.ledger("tracker:u-0133"), "a fix")
    line = living.ledger("tracker:u-0133")[0]
    at = datetime.fromisoformat(line["device_at"])
    assert before <= at.timestamp() <= time.time()
    assert at.microsecond == 0
    body = platform.of(jt808.POSITION)[0].body
    assert jt808.utc_of_bcd(body[22:28]) == at


def test_units_are_described_as_they_report() -> None:
    district = site_file(build_district(cameras=0), lambda _: CameraAccess("", "", "", "", ""))
    units = {one["id"]: one["tracker"] for one in district["units"]}
    assert units["u-0121"] == {"protocol": "owntracks", "address": "xz110/car0121", "interval_s": 3.0}
    assert units["u-0133"] == {"protocol": "jt808", "address": PHONE, "interval_s": 3.0}
    assert [one["protocol"] for one in units.values()].count("jt808") == 4
