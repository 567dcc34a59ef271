"""Consoles on the feed: stalled, vanished, frozen, moved to another jurisdiction, back after a day."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from hub.domain.entry import EntryKind
from hub.screens import FROZEN_AFTER_S, Screen, Screens
from hub.store.tables.accounts import people
from hub.tail import TAIL_ENTRIES, Tail
from hub.web import stream
from tests.hub_web.conftest import Desk, Running, wait_until
from tests.hub_web.feed_world import ALL, LOG, Console, World
from tests.hub_web.listening import chain_is_whole, listening
from tests.hub_web.test_feed import slow_console, tell


@pytest.fixture
def world() -> Iterator[World]:
    """A feed over a list."""
    made = World(tail=Tail(most=100))
    yield made
    made.close()


def test_a_commit_is_encoded_once_for_consoles_that_see_the_same(world: World) -> None:
    consoles = [Console(world, ALL, None) for _ in range(3)]
    written: list[int] = []
    for console in consoles:
        console.socket.write = lambda events: written.append(id(events))  # type: ignore[method-assign]
    for _ in range(2):
        world.commit("a", "b")
        world.turn()
    assert len(written) == 6
    assert len(set(written[3:])) == 1, "from the second commit on the cursors agree, and so do the bytes"


def test_commits_of_one_turn_are_written_together(world: World) -> None:
    console = Console(world, ALL, None)
    writes: list[bytes] = []

    def keep(events: bytes) -> None:
        writes.append(events)

    console.socket.write = keep  # type: ignore[method-assign]
    for _ in range(10):
        world.commit("a")
    world.turn()
    assert len(writes) == 1 and writes[0].count(b"event: entry") == 10


def test_a_console_whose_socket_trips_holds_nobody_back(world: World) -> None:
    consoles = [Console(world, ALL, None) for _ in range(5)]
    consoles[2].socket.fails = True
    world.commit("a")
    world.turn()
    assert [console.seqs for console in consoles] == [[1], [1], [], [1], [1]]
    assert consoles[2].subscriber.closed


def test_a_loop_that_cannot_follow_the_writer_leaves_the_rest_to_the_log(world: World) -> None:
    console = Console(world, ALL, None)
    for _ in range(3):
        world.commit(*["a"] * (TAIL_ENTRIES // 2 - 1))
    assert world.feed._inbox_entries <= TAIL_ENTRIES
    world.turn()
    console.catch_up()
    assert console.seqs == list(range(1, world.log.head + 1))
    assert console.resumed == 0, "that was the hub's slowness, not the console's"


def test_a_long_replay_reads_page_by_page_and_live_consoles_do_not_wait(world: World) -> None:
    for _ in range(20):
        world.commit(*["a"] * 500)
    world.turn()
    live = Console(world, ALL, None, log_id=LOG)
    late = Console(world, ALL, 0, log_id=LOG)
    pages = 0
    while late.step():
        pages += 1
        assert len(late.subscriber.paged) <= 200
        world.commit("b")
        world.turn()
        assert live.at == world.log.head, "each commit is with the live console at once"
        if pages == 30:
            break
    late.catch_up()
    assert late.at == world.log.head and late.seqs == list(range(1, world.log.head + 1))


def test_a_log_that_cannot_be_read_ends_only_the_feed_that_reads_it(world: World) -> None:
    for _ in range(3):
        world.commit(*["a"] * 60)
    world.turn()
    live, late = Console(world, ALL, None), Console(world, ALL, 0)
    world.log.broken = True
    with pytest.raises(OSError, match="can't be read"):
        late.step()
    world.commit("a")
    world.turn()
    assert live.at == world.log.head


def test_a_console_that_paints_nothing_of_what_it_was_sent_is_told_after_a_while() -> None:
    told: list[tuple[str, bool]] = []
    screens = Screens()
    screens.on_change(lambda person, drawing: told.append((person, drawing)))
    screen = Screen("op", "s1", "tab-1", painted=10)
    for second in range(100):
        screens.look([(screen, 10)], float(second))
    assert told == [], "a quiet night is no frozen desk"
    for second in range(100, 100 + int(FROZEN_AFTER_S) + 1):
        screens.look([(screen, 11)], float(second))
    assert told == []
    screens.look([(screen, 12)], 100 + FROZEN_AFTER_S + 1)
    assert told == [("op", False)] and screens.frozen == {"op"}
    screen.paint(12, 140.0)
    screens.look([(screen, 12)], 141.0)
    assert told == [("op", False), ("op", True)]


def test_a_console_that_keeps_painting_under_load_is_not_frozen_though_never_up_to_date() -> None:
    told: list[tuple[str, bool]] = []
    screens = Screens()
    screens.on_change(lambda person, drawing: told.append((person, drawing)))
    screen = Screen("op", "s1", "tab-1", painted=0)
    for second in range(300):
        screens.look([(screen, 100 * second + 100)], float(second))
        if second % 5 == 0:
            screen.paint(100 * second, float(second))
    assert told == []


def test_a_hidden_tab_beside_one_that_draws_is_nobody_s_frozen_desk() -> None:
    told: list[tuple[str, bool]] = []
    screens = Screens()
    screens.on_change(lambda person, drawing: told.append((person, drawing)))
    hidden, shown = Screen("op", "s1", "hidden"), Screen("op", "s1", "shown")
    for second in range(60):
        shown.paint(second, float(second))
        screens.look([(hidden, second), (shown, second)], float(second))
    assert told == []
    for second in range(60, 120):
        screens.look([(hidden, second)], float(second))
    assert told == [("op", False)]
    screens.look([], 121.0)
    assert told == [("op", False), ("op", True)], "who is not connected is not shown as live"


async def test_a_frozen_operator_s_console_is_told_to_the_others(running: Running, desk: Desk) -> None:
    screens = running.hub.feed.screens
    async with desk.as_person("op-yunlong") as other, listening(other) as ear:
        await ear.until(lambda one: one.named("beat"))
        running.on_loop(lambda: [tell_frozen("op", False) for tell_frozen in screens._listeners])
        await ear.until(lambda one: _part(one, "console:op") == (False, "not_drawing"))
        running.on_loop(lambda: [tell_frozen("op", True) for tell_frozen in screens._listeners])
        await ear.until(lambda one: _part(one, "console:op") == (True, ""))


def _part(ear: object, name: str) -> tuple[bool, str] | None:
    told = [entry["body"] for entry in ear.named("entry") if entry["kind"] == EntryKind.HUB]  # type: ignore[attr-defined]
    parts = {part["name"]: part for part in told[-1]["parts"]} if told else {}
    return (parts[name]["up"], parts[name]["reason"]) if name in parts else None


async def test_what_a_console_paints_reaches_its_own_screen(running: Running, desk: Desk) -> None:
    async with desk.as_person("op") as client:
        head = running.hub.store.head
        query: dict[str, str | int] = {"after": head, "console": "tab-7"}
        async with client.stream("GET", "/feed", params=query) as answer:
            assert answer.status_code == 200
            tell(running, 1)
            seq = running.hub.store.head
            screens = lambda: [  # noqa: E731
                one.screen
                for one in running.hub.feed._subscribers
                if one.screen is not None and one.screen.tab == "tab-7"
            ]
            wait_until(lambda: running.on_loop(screens))
            body = {"seq": 0, "painted": seq, "console": "tab-7"}
            assert (await client.post("/feed/rendered", json=body)).status_code == 204
            assert [screen.painted for screen in running.on_loop(screens)] == [seq]
            beyond = {"seq": 0, "painted": seq + 10**6, "console": "tab-7"}
            refused = await client.post("/feed/rendered", json=beyond)
            assert (refused.status_code, refused.json()["field"]) == (422, "painted")


async def test_t2_is_the_first_console_that_may_see_the_incident_and_only_that(
    running: Running, desk: Desk
) -> None:
    incident = await asyncio.to_thread(running.alarm, "p-02")
    assert incident is not None

    def t2() -> object:
        found = next(one for one in running.hub.desk.snapshot().incidents if one.id == incident.id)
        return found.clocks.t2_rendered

    def say(body: dict[str, object], name: str) -> object:
        async def post() -> int:
            async with desk.as_person(name) as client:
                return (await client.post("/feed/rendered", json=body)).status_code

        return post()

    head = running.hub.store.head
    assert not running.hub.registers.within(incident.place, "xz-yunlong")
    for name in ("fitter", "op-yunlong"):
        assert await say({"seq": head}, name) == 204  # type: ignore[misc]
        assert t2() is None, f"{name} doesn't see incidents there"
    assert await say({"seq": head}, "op") == 204  # type: ignore[misc]
    first = t2()
    assert first is not None
    commits = running.hub.store.head
    assert await say({"seq": head}, "op") == 204  # type: ignore[misc]
    assert t2() == first and running.hub.store.head == commits, "once, and nothing is written for no news"


async def test_a_person_who_gets_another_jurisdiction_is_told_to_begin_anew(
    running: Running, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SESSION_CHECK_S", 0.2)
    monkeypatch.setattr(stream, "BEAT_S", 0.2)

    def place(to: str) -> None:
        running.do(
            lambda tx: tx.connection.execute(
                sa.update(people).where(people.c.name == "op-yunlong").values(place=to)
            )
        )

    async with desk.as_person("op-yunlong") as client, listening(client) as ear:
        await ear.until(lambda one: one.named("beat"))
        try:
            await asyncio.to_thread(place, "xz")
            await ear.until(lambda one: one.ended, 10)
        finally:
            await asyncio.to_thread(place, "xz-yunlong")
        assert [gap["reason"] for gap in ear.named("gap")] == ["jurisdiction"]


async def test_a_console_that_slept_too_long_asks_for_a_gap_instead_of_all_of_it(
    running: Running, desk: Desk
) -> None:
    start = running.hub.store.head
    await asyncio.to_thread(tell, running, 30)
    head = running.hub.store.head
    async with desk.as_person("op") as client:
        query = {"after": start, "at_most": 10}
        async with client.stream("GET", "/feed", params=query) as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == "event: gap"
            assert await anext(lines) == f'data: {{"from":{start + 1},"to":{head},"reason":"too_far"}}'
        async with listening(client, start) as ear:
            await ear.until(lambda one: one.seqs and one.seqs[-1] == head)
            assert chain_is_whole(ear, start)


async def test_a_stalled_console_costs_a_bounded_buffer_and_is_let_go(
    running: Running, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SEND_WITHIN_S", 2.0)
    before = running.on_loop(lambda: set(running.hub.feed._subscribers))
    async with desk.as_person("op") as client:
        stalled = slow_console(running, client, running.hub.store.head)
        try:

            def mine() -> list[object]:
                return [one for one in running.hub.feed._subscribers if one not in before]

            await asyncio.to_thread(wait_until, lambda: running.on_loop(mine))
            (subscriber,) = running.on_loop(mine)
            held = 0
            for _ in range(10):
                await asyncio.to_thread(tell, running, 100, filler="x" * 2000)
                waiting = subscriber.pipe._transport.get_write_buffer_size  # type: ignore[attr-defined]
                held = max(held, running.on_loop(waiting))
            assert held <= 64 * 1024 + 256 * 1024 + 64 * 1024
            await asyncio.to_thread(wait_until, lambda: not running.on_loop(mine), 30)
        finally:
            stalled.close()


async def test_a_snapshot_stands_at_the_head_also_after_entries_that_concern_no_desk(
    running: Running, desk: Desk
) -> None:
    await asyncio.to_thread(tell, running, 30)
    async with desk.as_person("op") as client:
        snapshot = (await client.get("/snapshot")).json()
        assert snapshot["seq"] >= running.hub.store.head
        query: dict[str, str | int] = {"after": snapshot["seq"], "log": snapshot["log"], "at_most": 10}
        async with client.stream("GET", "/feed", params=query) as answer:
            assert await anext(answer.aiter_lines()) == "event: beat", "no gap after gap after gap"
