"""Any interleaving of commits, consoles, stalls, losses and retention: nothing is passed over unsaid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import hub.feed
from hub.domain.entry import EntryKind
from hub.tail import Sight, Tail
from tests.hub_web.feed_world import EVERYTHING, LOG, Console, World

PLACES = st.sampled_from(["a", "b", "c"])
SIGHTS = st.sampled_from(
    [
        Sight(EVERYTHING, "", units=False),
        Sight(EVERYTHING, "x", units=False),
        Sight(EVERYTHING, "c", units=False),
        Sight(frozenset({EntryKind.HUB, EntryKind.CAMERA}), "y", units=False),
    ]
)
KINDS = st.sampled_from([EntryKind.REGISTER, EntryKind.CAMERA, EntryKind.HUB])
COMMITS = st.lists(PLACES, min_size=1, max_size=6)


class FeedMachine(RuleBasedStateMachine):
    """The feed with small limits, so that everything overflows soon; `Console` holds the model."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(tail=Tail(most=7, most_bytes=2_500))
        self.consoles: list[Console] = []

    @rule(places=COMMITS, kind=KINDS, filler=st.sampled_from([0, 0, 300]))
    def commit(self, places: list[str], kind: EntryKind, filler: int) -> None:
        """A commit; the loop may turn to it now or later."""
        self.world.commit(*places, kind=kind, filler=filler)

    @rule(places=COMMITS)
    def commit_unannounced(self, places: list[str]) -> None:
        """The listener fails."""
        self.world.commit(*places, tell=False)

    @rule()
    def turn(self) -> None:
        """The loop turns to what was committed."""
        self.world.turn()

    @rule()
    def second(self) -> None:
        """A second passes: what nobody announced is noticed at the second one."""
        self.world.feed.second(0.0)
        self.world.turn()

    @precondition(lambda self: len(self.consoles) < 6)
    @rule(sight=SIGHTS, after=st.one_of(st.none(), st.integers(0, 40)), known=st.booleans())
    def join(self, sight: Sight, after: int | None, known: bool) -> None:
        """A console, fresh, with a cursor, or with one of another log."""
        log_id = LOG if known or after is None else "f" * 16
        self.consoles.append(Console(self.world, sight, after, log_id=log_id))

    @precondition(lambda self: len(self.consoles) < 6)
    @rule(sight=SIGHTS, back=st.integers(0, 12), at_most=st.integers(0, 6))
    def join_impatient(self, sight: Sight, back: int, at_most: int) -> None:
        """A console that wants a gap rather than a long replay."""
        after = max(0, self.world.feed.head - back)
        console = Console(self.world, sight, after, log_id=LOG, at_most=at_most)
        self.consoles.append(console)
        assert (console.subscriber.gap is not None) == (self.world.feed.head - after > at_most)

    @precondition(lambda self: self.consoles)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A console goes."""
        console = data.draw(st.sampled_from(self.consoles))
        self.world.feed.leave(console.subscriber)
        self.consoles.remove(console)

    @precondition(lambda self: self.consoles)
    @rule(data=st.data(), ready=st.booleans())
    def stall(self, data: st.DataObject, ready: bool) -> None:
        """A console stops reading, or reads again."""
        data.draw(st.sampled_from(self.consoles)).socket.ready = ready

    @precondition(lambda self: self.consoles)
    @rule(data=st.data(), steps=st.integers(1, 4))
    def step(self, data: st.DataObject, steps: int) -> None:
        """A console's task runs for a while."""
        console = data.draw(st.sampled_from(self.consoles))
        for _ in range(steps):
            console.step()

    @precondition(lambda self: self.consoles)
    @rule(data=st.data(), places=COMMITS, prune=st.booleans())
    def step_while_committing(self, data: st.DataObject, places: list[str], prune: bool) -> None:
        """The log grows and is pruned while a page of it is being read."""

        def meanwhile() -> None:
            self.world.commit(*places)
            if prune:
                self.world.log.prune(1, self.world.log.head - 2)

        self.world.log.during = meanwhile
        data.draw(st.sampled_from(self.consoles)).step()
        self.world.log.during = None

    @precondition(lambda self: self.world.log.head > 0)
    @rule(data=st.data())
    def prune(self, data: st.DataObject) -> None:
        """Retention deletes a run, at the beginning or in the middle."""
        first = data.draw(st.integers(1, self.world.log.head))
        self.world.log.prune(first, data.draw(st.integers(first, self.world.log.head)))

    @rule(place=PLACES, root=st.sampled_from(["x", "y"]))
    def move(self, place: str, root: str) -> None:
        """The tree of places changes, and everybody whose jurisdiction it changes is told."""
        for console in self.consoles:
            console.socket.ready = True
            console.catch_up()
        self.world.turn()
        for console in self.consoles:
            console.catch_up()
        changed = self.world.tree.under[place] != root
        before = [len(console.gaps) for console in self.consoles]
        self.world.tree.move(place, root)
        self.world.feed.second(0.0)
        for console, gaps in zip(self.consoles, before, strict=True):
            console.catch_up()
            if changed and console.sight.place in ("x", "y"):
                assert len(console.gaps) == gaps + 1 and console.gaps[-1][2] == "jurisdiction"

    @invariant()
    def beats_agree(self) -> None:
        """What the beat says is what the console has."""
        for console in self.consoles:
            if console.subscriber.gap is None and console.socket.ready:
                console.socket.write(self.world.feed.beat(console.subscriber, self.world.feed._clock()))

    @invariant()
    def memory_is_bounded(self) -> None:
        """For all consoles together the tail, for each at most a page."""
        tail = self.world.feed._tail
        assert len(list(tail.after(tail.first - 1))) <= 7
        assert all(len(one.subscriber.paged) <= 2 * hub.feed.PAGE + 1 for one in self.consoles)

    def teardown(self) -> None:
        """When everybody reads again, everybody has everything."""
        for _ in range(3):
            self.world.turn()
            self.world.feed.second(0.0)
        for console in self.consoles:
            console.socket.ready = True
            console.catch_up()
            assert console.missed(self.world.log.head) == []
        self.world.close()


@contextmanager
def small_limits() -> Iterator[None]:
    """Pages of 3 entries and bursts of about two, so that they matter."""
    with mock.patch.object(hub.feed, "PAGE", 3), mock.patch.object(hub.feed, "BURST_BYTES", 400):
        yield


def test_every_interleaving_gives_each_console_everything_or_names_what_is_missing() -> None:
    with small_limits():
        run_state_machine_as_test(
            FeedMachine,
            settings=settings(
                max_examples=120,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
