"""Packs: the one that is shipped holds, and a broken one says at which key."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from hub.domain.targets import Metric, PackError, parse
from hub.evidence import load_pack

XUZHOU = Path(__file__).parents[2] / "config" / "targets" / "xuzhou-2006.toml"

SOUND = """
[pack]
id = "x"
name = "测试"
name_en = "Test"
documents = { "000" = "文件" }

[[target]]
id = "T1"
requirement = "R1"
title = "标题"
title_en = "Title"
document = "000"
clause = "第1条"
quote = "原文"
reading = "Reading"
population = { of = "positions", classes = ["municipal_key"] }
device = "alarm"
percent = 95
deadline = 2006-12-31
"""


def test_a_sound_pack() -> None:
    target = parse(SOUND).targets[0]
    assert (target.percent, target.deadline, target.default) == (95, date(2006, 12, 31), True)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('device = "alarm"', 'device = "drone"', "target[0].device: is 'drone'"),
        ('device = "alarm"', 'devise = "alarm"', "target[0].devise: isn't known here"),
        ("percent = 95", "percent = 94.96", "target[0].percent: is 94.96"),
        ("percent = 95", "percent = 0", "target[0].percent: is 0"),
        ("percent = 95", "percent = true", "target[0].percent: is True"),
        ("percent = 95", "", "target[0].percent: is missing"),
        ("2006-12-31", '"2006-12-31"', "target[0].deadline: is '2006-12-31'"),
        ("2006-12-31", "2006-12-31T00:00:00Z", "target[0].deadline"),
        ('classes = ["municipal_key"]', 'classes = ["bank"]', "target[0].population.classes: holds 'bank'"),
        ('classes = ["municipal_key"]', 'class = ["bank"]', "target[0].population.class: isn't known"),
        ('classes = ["municipal_key"]', 'tiers = ["2"]', "target[0].population.tiers: holds '2'"),
        ('quote = "原文"', "", "target[0].quote: is missing"),
        ('document = "000"', 'document = "007"', "target[0].document: '007'"),
        ('id = "x"', 'id = "x"\nversion = 2', "pack.version: isn't known here"),
        ("[[target]]", "[target]", "target: is"),
        ("percent = 95", 'percent = 95\nmetric = "unmeasured"', "target[0].needs: is missing"),
        ("[pack]", "[pack", "at line"),
    ],
)
def test_a_broken_pack_says_where(old: str, new: str, named: str) -> None:
    assert old in SOUND
    with pytest.raises(PackError) as refused:
        parse(SOUND.replace(old, new, 1))
    assert named in str(refused.value)


def test_the_same_id_twice() -> None:
    with pytest.raises(PackError, match="'T1' is there twice"):
        parse(SOUND + SOUND[SOUND.index("[[target]]") :])


def test_the_xuzhou_pack_has_every_figure() -> None:
    targets = {one.id: one for one in load_pack(XUZHOU).targets}
    figures = {
        identity: (one.percent, one.deadline.isoformat() if one.deadline else "")
        for identity, one in targets.items()
        if one.metric is not Metric.UNMEASURED
    }
    assert figures == {
        "R1": (100, "2006-12-31"),
        "R2-2006": (95, "2006-12-31"),
        "R2-2007": (100, "2007-12-31"),
        "R3-2006": (80, "2006-12-31"),
        "R3-2007": (95, "2007-12-31"),
        "R4": (100, "2006-12-31"),
        "R5-a": (95, "2007-12-31"),
        "R5-b": (95, "2007-12-31"),
        "R6-town": (100, "2008-12-31"),
        "R6-provincial": (100, "2008-12-31"),
        "R6-city": (100, "2008-12-31"),
        "R6-county": (100, "2008-12-31"),
        "R6-exit": (100, "2008-12-31"),
        "R8-unit": (100, "2011-04-28"),
        "R8-street": (100, "2011-04-28"),
        "R8-compound": (100, "2011-04-28"),
        "R8-market": (100, "2011-04-28"),
        "R8-school": (100, "2011-04-28"),
        "R9-110": (100, ""),
        "R9-tier2": (100, ""),
    }
    assert {identity for identity, one in targets.items() if one.metric is Metric.UNMEASURED} == {
        "R5-c", "R7-crossing", "R7-vital", "R7-complex", "R8-street-length", "R11-seat", "R11-village",
        "R13-established", "R13-guarded",
    }  # fmt: skip
    assert [one.id for one in targets.values() if one.requirement == "R5" and one.default] == ["R5-a"]


def test_every_target_speaks_both_languages_and_quotes_its_source() -> None:
    for one in load_pack(XUZHOU).targets:
        assert one.quote
        assert one.clause.startswith("第")
        assert one.title.isascii() is False
        assert one.title_en.isascii()
        for chinese, english in (
            (one.definition, one.definition_en),
            (one.note, one.note_en),
            (one.needs, one.needs_en),
        ):
            assert bool(chinese) == bool(english), one.id
