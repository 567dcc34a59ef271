"""Stories are checked and told in order; random life is seeded and sparse."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise, takewhile
from pathlib import Path

import pytest

from simulator.district import build_district
from simulator.panel_state import TRIGGERED, ArmChange, PanelState
from simulator.story import MARKET_NIGHT, Act, StoryError, life, read_story, together

DISTRICT = build_district()


def story(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "story.toml"
    path.write_text('id = "x"\n' + text, encoding="utf-8")
    return path


def test_the_market_story_in_its_order() -> None:
    told = read_story(MARKET_NIGHT, DISTRICT)
    begun = [(act.device, act.do, act.zone) for act in told.acts if act.active]
    assert begun[:6] == [
        ("panel:p-01", "arm", ""),
        ("panel:p-01", "zone", "zone_3"),
        ("panel:p-01", "zone", "zone_5"),
        ("panel:p-01", "zone", "zone_7"),
        ("camera:c-02", "cover", ""),
        ("panel:p-02", "cut", ""),
    ]
    at = {(act.device, act.do, act.zone, act.active): act.at_s for act in told.acts}
    assert at["panel:p-01", "zone", "zone_3", True] == 15
    assert at["camera:c-02", "cover", "", False] - at["camera:c-02", "cover", "", True] == 40
    assert at["panel:p-02", "cut", "", False] - at["panel:p-02", "cut", "", True] == 30
    assert all(act.story == "burglary" for act in told.acts)


def test_a_story_is_told_again_after_its_time() -> None:
    told = read_story(MARKET_NIGHT, DISTRICT)
    rounds = list(islice(told.told(), 2 * len(told.acts)))
    first, second = rounds[: len(told.acts)], rounds[len(told.acts) :]
    assert [act.at_s + 900 for act in first] == [act.at_s for act in second]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "step: at least one"),
        ("colour = 1", "story: colour: is not known"),
        ('[[step]]\nat = 1\ndevice = "panel:p-99"\ndo = "arm"', "step 1: device: no 'panel:p-99'"),
        ('[[step]]\nat = 1\ndevice = "panel:p-01"\ndo = "cover"', "step 1: do: 'cover' is none of arm"),
        ('[[step]]\nat = -1\ndevice = "panel:p-01"\ndo = "cut"', "step 1: at: is a number of seconds"),
        ('[[step]]\ndevice = "panel:p-01"\ndo = "cut"', "step 1: at: is needed"),
        (
            '[[step]]\nat = 1\ndevice = "panel:p-01"\ndo = "zone"\nzone = "z9"',
            "step 1: zone: panel:p-01 has no",
        ),
        ('[[step]]\nat = 1\ndevice = "panel:p-01"\ndo = "arm"\nstate = "x"', "step 1: state: 'x' is none of"),
        ('[[step]]\nat = 1\ndevice = "panel:p-01"\ndo = "arm"\nfor = 5', "step 1: for: arm doesn't last"),
        ('[[step]]\nat = 1\nwhy = 2\ndevice = "panel:p-01"\ndo = "cut"', "step 1: why: is not known"),
        ('repeat_s = 5\n[[step]]\nat = 9\ndevice = "panel:p-01"\ndo = "cut"', "repeat_s: must be longer"),
        ("[[step", "story.toml"),
    ],
)
def test_a_faulty_story_is_refused_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(StoryError, match=reason.replace("(", r"\(")):
        read_story(story(tmp_path, text), DISTRICT)


def test_a_missing_story_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match="nowhere"):
        read_story(tmp_path / "nowhere.toml", DISTRICT)


def test_life_is_the_same_for_the_same_seed() -> None:
    def some(seed: int) -> list[Act]:
        return list(islice(life(DISTRICT.panels, seed, begin_s=8), 500))

    assert some(4) == some(4)
    assert some(4) != some(5)
    assert all(one.at_s <= other.at_s for one, other in pairwise(some(4)))
    assert some(4)[0].at_s >= 8


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_life_leaves_an_operator_room_to_breathe(seed: int) -> None:
    """EEMUA 191 calls about one alarm in ten minutes manageable; an hour of life raises fewer than twelve."""
    panels = {f"panel:{panel.id}": PanelState(panel) for panel in DISTRICT.panels}
    alarms = 0
    kinds: Counter[str] = Counter()
    for act in takewhile(lambda act: act.at_s < 3600, life(DISTRICT.panels, seed, begin_s=0)):
        state = panels[act.device]
        kinds[act.do] += 1
        if act.do == "zone":
            alarms += ArmChange(TRIGGERED) in state.zone(act.zone, active=act.active)
        elif act.do == "arm":
            state.arm(act.state)
        elif act.do == "disarm":
            state.disarm()
    assert alarms <= 12
    assert kinds["zone"] > 300, "and yet people come and go"
    assert kinds["arm"] > 10
    assert kinds["disarm"] > 10
    assert kinds["mains"] > 2


def test_no_false_alarm_in_the_first_minutes() -> None:
    quiet = list(takewhile(lambda act: act.at_s < 150, life(DISTRICT.panels, 6, begin_s=8)))
    assert {act.do for act in quiet} <= {"zone", "arm", "disarm"}


def test_rate_nothing_means_no_life() -> None:
    assert list(life(DISTRICT.panels, 1, begin_s=0, rate=0)) == []


def test_streams_come_together_in_order_of_time() -> None:
    told = read_story(MARKET_NIGHT, DISTRICT).told()
    both = list(islice(together(told, life(DISTRICT.panels, 1, begin_s=8)), 200))
    assert all(one.at_s <= other.at_s for one, other in pairwise(both))
    assert {act.story for act in both} == {"", "burglary"}
