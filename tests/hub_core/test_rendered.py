"""T2: kept through a restart and an undone transaction, and only by who may see the incident."""

from __future__ import annotations

import pytest

from hub.desk import Desk
from hub.store.engine import Transaction
from tests.hub_core.conftest import Core
from wire.observations import Condition


def test_a_hub_that_restarted_still_waits_for_the_first_console(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    again = Desk(core.store, core.registers)
    core.clock.forward(5)
    seq = again.snapshot().seq
    assert again.undrawn(seq, lambda _place: True)
    core.do(lambda tx: again.rendered(tx, seq, "desk-1", tx.now))
    assert again.snapshot().incidents[0].clocks.t2_rendered == core.clock.now
    assert not again.undrawn(again.snapshot().seq, lambda _place: True)


def test_a_word_whose_transaction_is_undone_may_be_said_again(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    seq = core.desk.snapshot().seq

    def failing(tx: Transaction) -> None:
        core.desk.rendered(tx, seq, "desk-1", tx.now)
        raise RuntimeError("afterwards")

    with pytest.raises(RuntimeError, match="afterwards"):
        core.do(failing)
    assert core.incident.clocks.t2_rendered is None
    core.do(lambda tx: core.desk.rendered(tx, seq, "desk-1", tx.now))
    assert core.incident.clocks.t2_rendered == core.clock.now


def test_who_does_not_see_the_place_has_drawn_nothing_of_it(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    seq, place = core.desk.snapshot().seq, core.incident.place
    assert not core.desk.undrawn(seq, lambda one: one != place)
    core.do(lambda tx: core.desk.rendered(tx, seq, "elsewhere", tx.now, lambda one: one != place))
    assert core.incident.clocks.t2_rendered is None
    assert core.desk.undrawn(seq, lambda one: one == place)
