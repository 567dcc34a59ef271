"""A panel's own logic, and the words it puts it into."""

from __future__ import annotations

import json

import pytest

from simulator.conventions import HomeAssistant, Paradox, convention_of, label
from simulator.district import Panel, build_district
from simulator.panel_state import ArmChange, PanelState, PointChange

DISTRICT = build_district()


def panel(identity: str) -> Panel:
    return next(one for one in DISTRICT.panels if one.id == identity)


def test_a_zone_of_a_disarmed_panel_raises_no_alarm() -> None:
    state = PanelState(panel("p-01"))
    assert state.zone("zone_3", active=True) == [PointChange("zone:zone_3", "intrusion", True)]
    assert state.armed == "disarmed"


def test_a_zone_of_an_armed_panel_sets_it_off_once() -> None:
    state = PanelState(panel("p-01"))
    assert state.arm("armed_away") == [ArmChange("armed_away")]
    assert state.zone("zone_3", active=True) == [
        PointChange("zone:zone_3", "intrusion", True),
        ArmChange("triggered"),
    ]
    assert state.zone("zone_3", active=True) == [], "a state repeated is no change"
    assert state.zone("zone_5", active=True) == [PointChange("zone:zone_5", "intrusion", True)]
    assert state.zone("zone_3", active=False) == [PointChange("zone:zone_3", "intrusion", False)]
    assert state.disarm() == [ArmChange("disarmed")]


def test_the_hold_up_button_works_around_the_clock() -> None:
    state = PanelState(panel("p-01"))
    assert state.zone("zone_7", active=True) == [
        PointChange("zone:zone_7", "hold_up", True),
        ArmChange("triggered"),
    ]


@pytest.mark.parametrize(
    ("fault", "condition"), [("tamper", "tamper"), ("mains", "mains_fault"), ("battery", "battery_low")]
)
def test_faults_are_the_panels_own(fault: str, condition: str) -> None:
    state = PanelState(panel("p-02"))
    assert state.fault(fault, active=True) == [PointChange("panel", condition, True)]
    assert state.fault(fault, active=True) == []
    assert state.fault(fault, active=False) == [PointChange("panel", condition, False)]


def test_twenty_panels_of_each_convention_and_both_in_a_small_district() -> None:
    conventions = [one.convention for one in DISTRICT.panels]
    assert (conventions.count("homeassistant"), conventions.count("paradox")) == (20, 20)
    assert {one.convention for one in DISTRICT.panels[:2]} == {"homeassistant", "paradox"}


def test_home_assistant_describes_partition_zones_and_troubles() -> None:
    words = HomeAssistant(panel("p-01"))
    configs = {telling.topic: json.loads(telling.payload) for telling in words.describe()}
    partition = configs["homeassistant/alarm_control_panel/p-01/config"]
    assert partition["command_topic"] == words.command_topics[0]
    assert partition["availability_topic"] == words.availability
    gate = configs["homeassistant/binary_sensor/p-01/zone_3/config"]
    assert gate["name"] == "3号门"
    assert gate["device_class"] == "door"
    assert gate["device"]["identifiers"] == ["p-01"]
    assert {config["unique_id"] for config in configs.values()} >= {"p-01", "p-01_zone_3", "p-01_mains"}
    assert len({config["unique_id"] for config in configs.values()}) == len(configs)
    told = {telling.topic for telling in words.states(PanelState(panel("p-01")))}
    assert told == {config["state_topic"] for config in configs.values()}


def test_home_assistant_power_is_on_while_there_is_power() -> None:
    words, state = HomeAssistant(panel("p-01")), PanelState(panel("p-01"))
    (change,) = state.fault("mains", active=True)
    (telling,) = words.change(change, state)
    assert (telling.topic, telling.payload) == ("alarmhub/p-01/mains/state", "OFF")
    (change,) = state.fault("tamper", active=True)
    assert words.change(change, state)[0].payload == "ON"


def test_paradox_speaks_in_labels_and_true_and_false() -> None:
    words, state = Paradox(panel("p-02")), PanelState(panel("p-02"))
    state.arm("armed_away")
    change, alarm = state.zone("柜台", active=True)
    assert [(one.topic, one.payload) for one in words.change(change, state)] == [
        ("paradox/p-02/states/zones/柜台/open", "True")
    ]
    assert [one.payload for one in words.change(alarm, state)] == ["True", "False", "True", "triggered"]
    assert words.change(alarm, state)[-1].topic == "paradox/p-02/states/partitions/营业厅/current_state"
    (change,) = state.fault("mains", active=True)
    assert words.change(change, state)[0].topic.endswith("/states/system/troubles/ac_failure_trouble")


def test_labels_keep_chinese_and_lose_spaces() -> None:
    assert label(" Front door 3号 ") == "Front_door_3号"


@pytest.mark.parametrize(
    ("identity", "payload", "state"),
    [
        ("p-01", "ARM_AWAY", "armed_away"),
        ("p-01", "ARM_HOME", "armed_home"),
        ("p-01", "DISARM", "disarmed"),
        ("p-02", "arm", "armed_away"),
        ("p-02", "arm_stay", "armed_home"),
        ("p-02", "disarm", "disarmed"),
    ],
)
def test_commands_in_each_conventions_words(identity: str, payload: str, state: str) -> None:
    command = convention_of(panel(identity)).understand(payload)
    assert command is not None
    assert command.state == state


@pytest.mark.parametrize("identity", ["p-01", "p-02"])
def test_other_words_mean_nothing(identity: str) -> None:
    assert convention_of(panel(identity)).understand("explode") is None
