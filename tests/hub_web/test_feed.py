"""The feed: nothing lost or doubled between log and memory, gaps said, slow consoles told to resume."""

from __future__ import annotations

import asyncio
import random
import socket
import threading

import httpx

from hub.domain.entry import Draft, EntryKind
from tests.hub_web.conftest import Desk, Running, wait_until
from tests.hub_web.listening import Ear, chain_is_whole, listening
from wire.clock import utc_now
from wire.observations import Position

PLACES = ("xz-yunlong", "xz-gulou")


def tell(running: Running, count: int, *, place: str = "xz-yunlong", filler: str = "") -> None:
    """Commits entries in one transaction."""

    def job(tx: object) -> None:
        for number in range(count):
            body = {"what": "test", "id": str(number), "action": "changed", "record": {"filler": filler}}
            tx.append(Draft(kind=EntryKind.REGISTER, subject="test:1", place=place, body=body))  # type: ignore[attr-defined]

    running.do(job)


async def test_consoles_that_come_during_a_storm_of_commits_miss_and_double_nothing(
    running: Running, desk: Desk
) -> None:
    start = running.hub.store.head
    stop = threading.Event()

    def storm() -> None:
        dice = random.Random(7)
        while not stop.is_set():
            tell(running, dice.randint(1, 8), place=dice.choice(PLACES))

    thread = threading.Thread(target=storm)
    thread.start()
    dice = random.Random(11)
    try:
        async with desk.as_person("op") as client:

            async def console() -> tuple[Ear, int]:
                await asyncio.sleep(dice.random())
                after = dice.randint(start, running.hub.store.head)
                async with listening(client, after) as ear:
                    await ear.until(lambda one: len(one.seqs) > 300, 30)
                    return ear, after

            heard = await asyncio.gather(*(console() for _ in range(8)))
    finally:
        stop.set()
        thread.join(10)
    for ear, after in heard:
        assert ear.seqs == list(range(after + 1, after + 1 + len(ear.seqs)))
        assert chain_is_whole(ear, after)
        assert all(event.id == str(event.data["seq"]) for event in ear.events if event.name == "entry")
        assert not ear.named("gap")


async def test_a_filtered_feed_has_no_false_gaps_and_resumes_where_it_stopped(
    running: Running, desk: Desk
) -> None:
    start = running.hub.store.head
    async with desk.as_person("op-yunlong") as client:
        async with listening(client, start) as ear:
            for place in ("xz-yunlong", "xz-gulou", "xz-gulou", "xz-yunlong", "xz-gulou"):
                tell(running, 1, place=place)
            await ear.until(lambda one: len(one.seqs) == 2)
            assert ear.seqs == [start + 1, start + 4]
            assert chain_is_whole(ear, start)
        tell(running, 3, place="xz-yunlong")
        async with listening(client, start, last_event_id=str(start + 4)) as ear:
            await ear.until(lambda one: len(one.seqs) == 3)
            assert ear.seqs == [start + 6, start + 7, start + 8]
            assert chain_is_whole(ear, start + 4)


async def test_without_a_cursor_the_feed_begins_now(running: Running, desk: Desk) -> None:
    tell(running, 3)
    head = running.hub.store.head
    async with desk.as_person("op") as client, listening(client) as ear:
        await ear.until(lambda one: one.named("beat"))
        tell(running, 1)
        await ear.until(lambda one: one.seqs)
        assert ear.seqs == [head + 1]
        assert chain_is_whole(ear, head)


async def test_a_cursor_that_leads_nowhere_is_told(running: Running, desk: Desk) -> None:
    head = running.hub.store.head
    async with desk.as_person("op") as client:
        async with listening(client, head + 1000) as ear:
            await ear.until(lambda one: one.named("gap"))
            assert ear.named("gap") == [{"from": 1, "to": head, "reason": "ahead"}]
            tell(running, 1)
            await ear.until(lambda one: one.seqs)
            assert chain_is_whole(ear, head)
        async with listening(client, 1, log="0123456789abcdef") as ear:
            await ear.until(lambda one: one.named("gap"))
            assert ear.named("gap")[0]["reason"] == "other_log"
        snapshot = (await client.get("/snapshot")).json()
        async with listening(client, snapshot["seq"], log=snapshot["log"]) as ear:
            await ear.until(lambda one: one.named("beat"))
            assert not ear.named("gap")
            assert ear.named("beat")[0]["log"] == snapshot["log"] != ""
        refused = await client.get("/feed", headers={"Last-Event-ID": "no number"})
        assert refused.status_code == 422
        assert refused.json()["field"] == "Last-Event-ID"


async def test_beats_come_and_carry_the_head(running: Running, desk: Desk) -> None:
    async with desk.as_person("op-yunlong") as client, listening(client, running.hub.store.head) as ear:
        tell(running, 1, place="xz-yunlong")
        tell(running, 2, place="xz-gulou")
        await ear.until(lambda one: len(one.named("beat")) >= 2, 8)
        beat = ear.named("beat")[-1]
        assert beat["head"] == ear.seqs[-1] < beat["log_head"]


async def test_positions_are_sent_at_most_once_a_second_and_only_ones_own(
    running: Running, desk: Desk
) -> None:
    async with desk.as_person("op-yunlong") as client, listening(client) as ear:
        await ear.until(lambda one: one.named("beat"))
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - began < 2.5:
            for unit in ("u-0121", "u-0122"):
                at = utc_now()
                running.see(
                    f"tracker:{unit}", Position(lat=34.25 + random.random() / 100, lon=117.19), device_at=at
                )
            await asyncio.sleep(0.05)
        await ear.until(lambda one: one.named("units"))
        batches = ear.named("units")
        assert 1 <= len(batches) <= 4
        assert {unit["id"] for batch in batches for unit in batch} == {"u-0121"}


async def test_a_console_that_does_not_read_is_told_to_resume_and_holds_nobody_back(
    running: Running, desk: Desk
) -> None:
    start = running.hub.store.head
    async with desk.as_person("op") as client:
        slow = slow_console(running, client, start)
        async with listening(client, start) as quick:
            for _ in range(24):
                await asyncio.to_thread(tell, running, 400, filler="x" * 2000)
            target = running.hub.store.head
            await quick.until(lambda one: one.seqs and one.seqs[-1] == target, 30)
            assert chain_is_whole(quick, start)
        heard = await asyncio.to_thread(read_all, slow)
    events = heard.split(b"\n\n")
    last = next(event for event in reversed(events) if event.startswith(b"event:"))
    assert last.startswith(b"event: resume\n"), last[:200]
    ids = [int(line[4:]) for line in heard.split(b"\n") if line.startswith(b"id: ")]
    assert ids == list(range(start + 1, start + 1 + len(ids)))
    assert b'{"after":%d}' % ids[-1] in last


def slow_console(running: Running, client: httpx.AsyncClient, after: int) -> socket.socket:
    """A connection that asks and then doesn't read."""
    port = int(running.base.rsplit(":", 1)[1])
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    connection.connect(("127.0.0.1", port))
    cookie = next(one.value for one in client.cookies.jar)
    head = f"GET /api/v1/feed?after={after} HTTP/1.1\r\nHost: x\r\nCookie: jifang={cookie}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side ends, chunk frames taken out."""
    connection.settimeout(20)
    raw = bytearray()
    with connection:
        while not raw.endswith(b"0\r\n\r\n"):
            part = connection.recv(1 << 20)
            if not part:
                break
            raw += part
    _, _, body = bytes(raw).partition(b"\r\n\r\n")
    plain = bytearray()
    while body:
        size, _, body = body.partition(b"\r\n")
        plain += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return bytes(plain)


async def test_signing_out_ends_the_feed(running: Running, desk: Desk) -> None:
    async with httpx.AsyncClient(base_url=f"{running.base}/api/v1", timeout=20) as client:
        answer = await client.post("/session", json={"name": "op", "password": "correct horse battery"})
        assert answer.status_code == 200
        async with listening(client) as ear:
            await ear.until(lambda one: one.named("beat"))
            assert (await client.delete("/session")).status_code == 204
            await ear.until(lambda one: one.ended, 5)
        assert (await client.get("/session")).status_code == 401
    wait_until(lambda: running.on_loop(lambda: running.hub.feed.has_room("x")))
