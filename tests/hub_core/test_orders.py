"""Orders: logged first, sent over a real broker, their answers written back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from hub.domain.entry import EntryKind
from hub.domain.incident import AssignmentState
from hub.orders import Orders
from tests.hub_core.conftest import Core
from tests.hub_core.test_intake import a_bus, eventually, subscribed
from wire import codec
from wire.bus import Broker, MqttBus
from wire.observations import Condition, Reply
from wire.work import Answer, UnitOrder


class Wing:
    """The GPS adapter's side: notes what it is asked, and answers as told."""

    def __init__(self, answer: Answer | None) -> None:
        self.asked: list[UnitOrder] = []
        self.logged_by_then: list[str] = []
        self._answer = answer
        self.look: Callable[[], list[str]] = list

    def __call__(self, raw: bytes) -> bytes:
        self.asked.append(codec.decode(raw, UnitOrder))
        self.logged_by_then = self.look()
        if self._answer is None:
            return b"this is no answer"
        return codec.encode(self._answer)


@pytest.fixture
def buses(broker: Broker) -> Iterator[tuple[MqttBus, MqttBus]]:
    """The hub's and the adapters' connections."""
    name = uuid.uuid4().hex[:8]
    pair = a_bus(broker, f"hub-{name}"), a_bus(broker, f"adapters-{name}")
    yield pair
    for bus in pair:
        bus.stop()


def send_a_car(core: Core) -> str:
    """An intrusion, and u-0121 is ordered there; the command's id."""
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    identity = core.incident.id
    core.do(lambda tx: core.desk.claim(tx, identity, 1, "li"))
    core.do(lambda tx: core.desk.dispatch(tx, identity, 2, "li", "u-0121"))
    return f"{identity}/1"


def order_states(core: Core) -> list[tuple[str, str]]:
    """How the orders stand in the log, in its order."""
    return [(entry.body["state"], entry.body["reason"]) for entry in core.entries(EntryKind.ORDER)]


def serve(buses: tuple[MqttBus, MqttBus], wing: Wing, core: Core) -> None:
    """The wing answers on the real bus."""
    wing.look = lambda: [state for state, _ in order_states(core)]
    buses[1].serve("gps", "order", wing)
    subscribed(buses[1], buses[0])


def test_an_order_is_logged_then_sent_then_answered(core: Core, buses: tuple[MqttBus, MqttBus]) -> None:
    wing = Wing(Answer(ok=True))
    serve(buses, wing, core)
    Orders(buses[0], core.store, core.desk).start(core.clock.now)
    command = send_a_car(core)
    eventually(lambda: len(order_states(core)) == 2)
    assert order_states(core) == [("sent", ""), ("done", "")]
    assert wing.logged_by_then == ["sent"]
    (order,) = wing.asked
    assert (order.command, order.tracker) == (command, "u-0121")
    assert core.assigned() is AssignmentState.ACCEPTED


def test_a_refused_order_stands_as_refused(core: Core, buses: tuple[MqttBus, MqttBus]) -> None:
    serve(buses, Wing(Answer(ok=False, reason="terminal is not connected")), core)
    Orders(buses[0], core.store, core.desk).start(core.clock.now)
    send_a_car(core)
    eventually(lambda: len(order_states(core)) == 2)
    assert order_states(core)[1] == ("failed", "terminal is not connected")
    assert core.assigned() is AssignmentState.DISPATCHED


def test_handed_on_is_not_accepted(core: Core) -> None:
    """OwnTracks: the broker has the order, and no phone ever says so."""
    command = send_a_car(core)
    core.do(lambda tx: core.desk.order_answered(tx, command, True, "terminals confirm nothing"))
    assert order_states(core)[1] == ("done", "terminals confirm nothing")
    assert core.assigned() is AssignmentState.DISPATCHED


def test_what_the_adapter_logs_of_it_is_no_acceptance_either(core: Core) -> None:
    """The same word arrives as an observation too; a terminal's own confirmation then counts."""
    command = send_a_car(core)
    source = f"tracker:{core.incident.assignments[-1].unit}"
    core.see(source, Reply(command=command, ok=True, reason="terminals confirm nothing"))
    assert core.assigned() is AssignmentState.DISPATCHED
    core.see(source, Reply(command=command, ok=True))
    assert core.assigned() is AssignmentState.ACCEPTED


def test_an_answer_that_cant_be_read_is_no_confirmation(core: Core, buses: tuple[MqttBus, MqttBus]) -> None:
    serve(buses, Wing(None), core)
    Orders(buses[0], core.store, core.desk).start(core.clock.now)
    send_a_car(core)
    eventually(lambda: len(order_states(core)) == 2)
    assert order_states(core)[1][0] == "failed"
    assert "can't be read" in order_states(core)[1][1]


def test_no_answer_is_told(core: Core, buses: tuple[MqttBus, MqttBus]) -> None:
    Orders(buses[0], core.store, core.desk, within_s=0.2).start(core.clock.now)
    send_a_car(core)
    eventually(lambda: len(order_states(core)) == 2)
    assert order_states(core)[1][0] == "failed"
    assert "no reply" in order_states(core)[1][1]


def test_a_hub_that_died_before_sending_sends(core: Core, buses: tuple[MqttBus, MqttBus]) -> None:
    wing = Wing(Answer(ok=True))
    serve(buses, wing, core)
    send_a_car(core)
    Orders(buses[0], core.store, core.desk).start(core.clock.now + timedelta(seconds=60))
    eventually(lambda: len(order_states(core)) == 2)
    assert len(wing.asked) == 1
    Orders(buses[0], core.store, core.desk).start(core.clock.now + timedelta(seconds=60))
    assert len(wing.asked) == 1


def test_an_order_that_is_too_old_is_left_to_a_person(core: Core, buses: tuple[MqttBus, MqttBus]) -> None:
    wing = Wing(Answer(ok=True))
    serve(buses, wing, core)
    send_a_car(core)
    Orders(buses[0], core.store, core.desk).start(core.clock.now + timedelta(minutes=3))
    eventually(lambda: len(order_states(core)) == 2)
    assert order_states(core)[1] == ("failed", "the hub was restarted meanwhile")
    assert wing.asked == []


def test_a_second_answer_changes_nothing(core: Core) -> None:
    command = send_a_car(core)
    for ok in (True, False):
        core.do(lambda tx, said=ok: core.desk.order_answered(tx, command, said, ""))  # type: ignore[misc]
    assert [state for state, _ in order_states(core)] == ["sent", "done"]
