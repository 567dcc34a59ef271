"""Panel conventions against their vectors, through the judge that tells news from repetition."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.alarm.convention import CannotOrder, Convention, Statement
from adapters.alarm.judge import Judge
from adapters.alarm.table import CONVENTIONS
from adapters.knowledge import Knowledge
from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from tests.adapters.vectors import Vector, check_plausible, files, heard_of, load, name_of, now_of, told
from wire.observations import Observation
from wire.work import Panel

KINDS = {kind.name: kind for kind in CONVENTIONS}


def panels_of(vector: Vector) -> list[Panel]:
    return msgspec.convert(vector["panels"], list[Panel])


def hear(convention: Convention, judge: Judge, heard: Heard, vector: Vector) -> list[Observation]:
    if not convention.claims(heard.topic):
        return []
    outcome = convention.receive(heard)
    return judge.judge(outcome.statements, now_of(vector), retained=heard.retained)


@pytest.mark.parametrize("path", files("alarm"), ids=name_of)
def test_vector(path: Path) -> None:
    vector = load(path)
    convention, judge = KINDS[path.parent.name](), Judge(Knowledge({}))
    convention.expect(panels_of(vector))
    judge.expect({panel.id: panel.interval_s for panel in panels_of(vector)})
    observations: list[Observation] = []
    refused: list[str] = []
    for message in vector["messages"]:
        try:
            observations += hear(convention, judge, heard_of(message), vector)
        except Refusal as refusal:
            refused.append(refusal.cause)
    for observation in observations:
        check_plausible(observation)
    assert [told(one) for one in observations] == vector["observations"]
    assert refused == vector["refused"]
    check_orders(convention, vector)


def check_orders(convention: Convention, vector: Vector) -> None:
    for order in vector["orders"]:
        if "refused" in order:
            with pytest.raises(CannotOrder, match=order["refused"]):
                convention.order(order["panel"], order["partition"], order["state"])
        else:
            publication = convention.order(order["panel"], order["partition"], order["state"])
            assert (publication.topic, publication.payload.decode()) == (order["topic"], order["text"])


def test_every_convention_has_vectors_with_good_and_bad_input() -> None:
    for name in KINDS:
        vectors = [load(path) for path in files("alarm") if path.parent.name == name]
        assert any(vector["observations"] for vector in vectors), f"{name} has no vector of good input"
        assert any(vector["refused"] for vector in vectors), f"{name} has no vector of bad input"
        assert any(vector["orders"] for vector in vectors), f"{name} has no vector of an order"
    assert {path.parent.name for path in files("alarm")} <= set(KINDS)


@pytest.mark.parametrize("path", files("alarm"), ids=name_of)
def test_after_a_restart_nothing_is_told_twice(path: Path) -> None:
    """What was kept is given back; then every message comes once more, as the broker's copy."""
    vector = load(path)
    knowledge = Knowledge({})
    first, judge = KINDS[path.parent.name](), Judge(knowledge)
    first.expect(panels_of(vector))
    facts: dict[str, str] = {}
    for message in vector["messages"]:
        try:
            heard = heard_of(message)
            if first.claims(heard.topic):
                outcome = first.receive(heard)
                facts.update(outcome.facts)
                judge.judge(outcome.statements, now_of(vector), retained=heard.retained)
        except Refusal:
            continue
    marks = {mark.name: mark.value for mark in knowledge.take_marks()}
    again, judge = KINDS[path.parent.name](), Judge(Knowledge(marks))
    again.recall({name: fact for name, fact in facts.items() if fact})
    again.expect(panels_of(vector))
    last = {message["topic"]: message for message in vector["messages"]}
    for message in last.values():
        try:
            heard = heard_of({**message, "retained": True})
            told_again = hear(again, judge, heard, vector)
        except Refusal:
            continue
        assert told_again == [], f"{heard.topic}: told again"


TOPICS = st.sampled_from(
    [
        "homeassistant/binary_sensor/n/o/config",
        "homeassistant/alarm_control_panel/n/o/config",
        "homeassistant/device/n/config",
        "ck/state",
        "p/states/zones/a/open",
        "p/states/partitions/a/current_state",
        "p/states/system/troubles/ac",
        "p/interface/availability",
    ]
)
KEYS = st.sampled_from(
    ["~", "stat_t", "avty", "avty_t", "val_tpl", "dev", "cmps", "pl_on", "name", "dev_cla"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["ck/state", "{{ value_json.a }}", "~/x", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
PAYLOADS = (
    st.binary(max_size=30)
    | st.sampled_from([b"ON", b"True", b"triggered", b'{"a": 1}'])
    | st.dictionaries(KEYS, VALUES, max_size=6).map(lambda document: json.dumps(document).encode())
)


@given(messages=st.lists(st.tuples(TOPICS, PAYLOADS), max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_messages_are_statements_or_refusals(messages: list[tuple[str, bytes]]) -> None:
    for kind in CONVENTIONS:
        convention = kind()
        convention.expect(())
        for topic, payload in messages:
            if not convention.claims(topic):
                continue
            try:
                outcome = convention.receive(Heard(topic, payload))
            except Refusal as refusal:
                assert refusal.cause
            else:
                assert all(isinstance(one, Statement) for one in outcome.statements)
                convention.wants()
