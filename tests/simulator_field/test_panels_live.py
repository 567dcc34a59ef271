"""Panels on a real broker: what they say of themselves, the story in order, a cut line, commands."""

from __future__ import annotations

import json

from simulator.conventions import HomeAssistant, Paradox
from simulator.district import build_district
from tests.simulator_field.conftest import Ear, Starter
from tests.simulator_field.platform import until

BURGLARY = """
id = "burglary"
[[step]]
at = 0.3
device = "panel:p-01"
do = "arm"
[[step]]
at = 0.5
device = "panel:p-01"
do = "zone"
zone = "zone_3"
for = 1.0
[[step]]
at = 0.7
device = "panel:p-01"
do = "zone"
zone = "zone_5"
[[step]]
at = 0.9
device = "panel:p-01"
do = "zone"
zone = "zone_7"
"""

CUT = """
id = "cut"
[[step]]
at = 0.3
device = "panel:p-02"
do = "cut"
for = 1.5
[[step]]
at = 0.8
device = "panel:p-02"
do = "mains"
[[step]]
at = 1.0
device = "panel:p-02"
do = "zone"
zone = "柜台"
for = 0.2
"""

HOME, PAI = (
    cls(panel) for cls, panel in zip((HomeAssistant, Paradox), build_district().panels, strict=False)
)


def changes(ear: Ear, start: str) -> list[tuple[str, str]]:
    """What changed on topics that begin so, in order; a repeated state is a heartbeat."""
    last: dict[str, str] = {}
    found = []
    for topic, payload, _ in ear.heard:
        if topic.startswith(start) and last.get(topic) != payload:
            last[topic] = payload
            found.append((topic, payload))
    return found


async def test_panels_describe_themselves_for_those_who_come_later(district: Starter, ear: Ear) -> None:
    async with district() as living:
        ear.client.unsubscribe("#")
        ear.heard.clear()
        ear.client.subscribe("#", qos=1)
        config = "homeassistant/alarm_control_panel/p-01/config"
        states = {
            "alarmhub/p-01/partition/state": "disarmed",
            "alarmhub/p-01/zone_3/state": "OFF",
            HOME.availability: "online",
            "paradox/p-02/states/zones/营业厅/open": "False",
            "paradox/p-02/states/partitions/营业厅/current_state": "disarmed",
            PAI.availability: "online",
        }

        def kept() -> dict[str, str]:
            return {topic: payload for topic, payload, retained in list(ear.heard) if retained}

        await until(lambda: config in kept() and states.items() <= kept().items(), "retained states")
        assert json.loads(kept()[config])["state_topic"] == "alarmhub/p-01/partition/state"
        assert living.ledger() == [], "what is, is no change"


async def test_the_burglary_in_its_order(district: Starter, ear: Ear) -> None:
    async with district(BURGLARY) as living:
        expected = [
            ("zone:zone_3", "intrusion", True),
            ("zone:zone_5", "intrusion", True),
            ("zone:zone_7", "hold_up", True),
            ("zone:zone_3", "intrusion", False),
        ]
        await until(lambda: living.points("panel:p-01") == expected, "the story's changes in the ledger")
        arming = living.ledger("panel:p-01", "arming")
        assert [one["state"] for one in arming] == ["armed_away", "triggered"]
        assert all(one["story"] == "burglary" for one in living.ledger())
        assert all(one["at"] <= one["acked_at"] and one["at"].endswith("Z") for one in living.ledger())
    assert [one for one in changes(ear, "alarmhub/p-01/") if one[1] in ("ON", "armed_away", "triggered")] == [
        ("alarmhub/p-01/mains/state", "ON"),
        ("alarmhub/p-01/partition/state", "armed_away"),
        ("alarmhub/p-01/zone_3/state", "ON"),
        ("alarmhub/p-01/partition/state", "triggered"),
        ("alarmhub/p-01/zone_5/state", "ON"),
        ("alarmhub/p-01/zone_7/state", "ON"),
    ]


async def test_a_cut_line_speaks_by_last_will_and_loses_nothing(district: Starter, ear: Ear) -> None:
    async with district(CUT) as living:
        await until(lambda: "offline" in ear.of(PAI.availability), "the last will")
        assert living.points("panel:p-02") == []
        expected = [
            ("panel", "mains_fault", True),
            ("zone:柜台", "intrusion", True),
            ("zone:柜台", "intrusion", False),
        ]
        await until(lambda: living.points("panel:p-02") == expected, "what happened meanwhile, in order")
        await until(lambda: ear.of(PAI.availability)[-1] == "online", "online again")
    counter = changes(ear, "paradox/p-02/states/zones/柜台/open")
    assert [payload for _, payload in counter] == ["False", "True", "False"]
    assert HOME.availability not in [t for t, payload, _ in ear.heard if payload == "offline"]


async def test_commands_are_obeyed_but_never_retained_ones(district: Starter, ear: Ear) -> None:
    ear.say(PAI.command_topics[0], "arm", retain=True)
    await until(lambda: ear.of(PAI.command_topics[0]), "the retained command lies at the broker")
    async with district() as living:
        ear.say(HOME.command_topics[0], "ARM_HOME")
        ear.say(HOME.command_topics[0], "nonsense \x00")
        await until(lambda: living.ledger("panel:p-01", "arming"), "armed by command")
        assert living.ledger("panel:p-01", "arming")[0]["state"] == "armed_home"
        assert living.run.panels["p-02"].state.armed == "disarmed"
        ear.say(PAI.command_topics[0], "arm_stay")
        await until(lambda: living.ledger("panel:p-02", "arming"), "armed by command")
        assert ear.of("paradox/p-02/states/partitions/营业厅/arm_stay")[-1] == "True"


async def test_heartbeats_are_repeats_and_not_in_the_ledger(district: Starter, ear: Ear) -> None:
    async with district(speed=20.0) as living:
        await until(lambda: len(ear.of("alarmhub/p-01/partition/state")) >= 3, "the state repeated")
        assert living.ledger() == []
    assert set(ear.of("alarmhub/p-01/partition/state")) == {"disarmed"}


async def test_it_ends_in_order_with_everything_acknowledged(district: Starter, ear: Ear) -> None:
    async with district(rate=200.0, panels=8, speed=5.0) as living:
        await until(lambda: len(living.ledger()) > 60, "much is going on")
        living.end.set()
        await living.task
    heard = [payload for topic, payload in changes(ear, "") if topic.endswith(("/state", "/open"))]
    opened = [one for one in living.ledger("panel:", "point") if one["active"] and "zone" in one["point"]]
    assert len(opened) > 10
    assert len([payload for payload in heard if payload in ("ON", "True")]) >= len(opened)
    assert "offline" not in [payload for _, payload, _ in ear.heard]
