"""The store goes away under a hub at work: who is signed in stays, nothing is done in secret, all is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from hub import vitals
from hub.accounts import NewPerson, create_person
from hub.sitefile import parse
from hub.store.engine import Transaction
from hub.web import limits
from tests.hub_core.line import Line, line_to
from tests.hub_web.conftest import PASSWORD, PEOPLE, Desk, Running, start_hub, wait_until
from tests.hub_web.district import site_file
from tests.hub_web.listening import listening
from tests.postgresql import PostgreSQL


@pytest.fixture
def line(postgresql: PostgreSQL) -> Iterator[Line]:
    """The line between hub and database."""
    with line_to(postgresql.port) as found:
        yield found


def at_work(hub: Running) -> Running:
    """With places, two operators, and its ticker, as in `serve`."""
    file = parse(site_file())
    hub.do(lambda tx: hub.hub.registers.import_site(tx, file, "test"))

    async def people() -> None:
        for name in ("op", "op-yunlong"):
            roles, place = PEOPLE[name]
            new = NewPerson(name=name, display_name=name, password=PASSWORD, roles=roles, place=place)
            await create_person(hub.hub.store, new)

    asyncio.run_coroutine_threadsafe(people(), hub.loop).result(60)
    hub.field_side.ticker.start()
    return hub


@pytest.fixture
def far(
    postgresql: PostgreSQL, line: Line, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[Running]:
    """A hub whose database is at the other end of `line`."""
    url = sa.make_url(postgresql.database("adversity")).set(port=line.port).render_as_string()
    hub = at_work(start_hub(tmp_path, free_port(), store_url=url))
    yield hub
    line.mend()
    hub.field_side.ticker.stop()
    hub.stop()


@pytest.fixture
def near(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Running]:
    """A hub on SQLite."""
    hub = at_work(start_hub(tmp_path, free_port()))
    yield hub
    hub.field_side.ticker.stop()
    hub.stop()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is over as soon as it is."""
    monkeypatch.setattr(vitals, "HELD_S", 0.3)


@asynccontextmanager
async def operator(hub: Running, name: str = "op") -> AsyncIterator[httpx.AsyncClient]:
    """A signed-in client."""
    async with Desk(hub.base, {}).as_person(name) as client:
        yield client


async def readiness(hub: Running) -> tuple[int, dict[str, Any]]:
    """`/readyz`; and `/healthz` is always well."""
    async with httpx.AsyncClient(base_url=hub.base, timeout=20) as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()


def store_trouble(told: dict[str, Any]) -> str:
    """Code of the store's trouble; empty: none."""
    return next((one["code"] for one in told["troubles"] if one["part"] == "store"), "")


def claim(version: int = 1) -> dict[str, int]:
    return {"version": version}


@pytest.mark.usefixtures("quick")
async def test_the_database_can_t_be_reached_and_comes_back(far: Running, line: Line) -> None:
    incident = far.alarm("p-01")
    assert incident is not None
    act = f"/incidents/{incident.id}/claim"
    async with operator(far) as client, operator(far, "op-yunlong") as other, listening(client) as ear:
        await client.get("/session")
        await other.get("/session")
        line.cut()
        await ear.until(lambda one: any(map(store_trouble, one.named("beat"))))
        beat = next(one for one in ear.named("beat") if store_trouble(one))
        assert store_trouble(beat) == "unreachable"
        assert beat["troubles"][0]["severity"] == "failure"

        status, ready = await readiness(far)
        assert (status, ready["checks"]["store"]) == (503, "cannot write: unreachable")

        assert (await client.get("/session")).status_code == 200, "who is signed in stays"
        snapshot = (await client.get("/snapshot")).json()
        assert [one["id"] for one in snapshot["incidents"]] == [incident.id]
        assert store_trouble(snapshot) == "unreachable"
        assert "127.0.0.1" not in str(snapshot["hub"]), "no address of ours"

        refused = await client.post(act, json=claim(), headers={"Accept-Language": "zh-CN"})
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert "没有执行" in refused.json()["detail"] and "连不上数据库" in refused.json()["detail"]
        english = await client.post(act, json=claim(), headers={"Accept-Language": "en"})
        assert english.json()["detail"].startswith("Not done:")
        assert english.headers["retry-after"] == "5"

        looked_up = await client.get(f"/incidents/{incident.id}", headers={"Accept-Language": "en"})
        assert looked_up.status_code == 503
        assert looked_up.json()["detail"].startswith("It can't be looked up")
        video = await client.get("/cameras/c-01/still?reason=test", headers={"Accept-Language": "en"})
        assert video.status_code == 503, "a view that can't be written down isn't given"
        async with httpx.AsyncClient(base_url=f"{far.base}/api/v1", timeout=20) as stranger:
            signing_in = await stranger.post("/session", json={"name": "op", "password": "whatever it is"})
            assert signing_in.status_code == 503
            stranger.cookies.set("jifang", "invented")
            assert (await stranger.get("/session")).status_code == 503, "not known here: nobody can say"

        assert (await other.delete("/session")).status_code == 204
        assert not ear.ended

        line.mend()
        wait_until(lambda: far.hub.vitals.failure() is None, 30)
        status, ready = await readiness(far)
        assert (status, ready["ok"]) == (200, True)
        standing = far.hub.desk.snapshot().incidents[0]
        assert (standing.claimed_by, standing.version) == ("", incident.version), "nothing was done in secret"
        done = await client.post(act, json=claim(standing.acted_version))
        assert done.status_code == 200, done.text
        await ear.until(lambda one: store_trouble(one.named("beat")[-1]) == "")
        entries = [entry for entry in ear.named("entry") if entry["kind"] == "hub"]
        told = [part for entry in entries for part in entry["body"]["parts"]]
        stores = [(one["up"], one["reason"]) for one in told if one["name"] == "store"]
        assert (False, "unreachable") in stores and stores[-1] == (True, "")


@pytest.mark.usefixtures("quick")
async def test_who_signed_out_while_the_store_was_away_is_out_for_good(far: Running, line: Line) -> None:
    desk = Desk(far.base, {})
    async with desk.as_person("op") as client:
        await client.get("/session")
        line.cut()
        wait_until(lambda: not far.hub.store.health.ok)
        assert (await client.delete("/session")).status_code == 204
        client.cookies.clear()
        client.cookies.set("jifang", desk.cookies["op"])
        assert (await client.get("/session")).status_code == 401
        line.mend()
        wait_until(lambda: far.hub.store.health.ok and far.hub.insist.waiting == 0)
        assert (await client.get("/session")).status_code == 401
        count = "select count(*) from sessions"
        left = far.do(lambda tx: tx.connection.exec_driver_sql(count).scalar_one())
        assert left == 0


@pytest.mark.usefixtures("quick")
async def test_while_a_commit_hangs_nothing_is_queued_behind_it(
    far: Running, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "NO_COMMIT_S", 1.0)
    incident = far.alarm("p-01")
    assert incident is not None
    async with operator(far) as client:
        await client.get("/session")
        line.freeze()
        wait_until(lambda: far.hub.vitals.failure() is not None, 20)
        failure = far.hub.vitals.failure()
        assert failure is not None and failure.code in ("no_commit", "unreachable")
        refused = await client.post(f"/incidents/{incident.id}/claim", json=claim(incident.acted_version))
        assert refused.status_code == 503
        status, ready = await readiness(far)
        assert status == 503
        assert store_trouble(ready) in ("no_commit", "unreachable")
        line.mend()
        wait_until(lambda: far.hub.vitals.failure() is None, 30)
        far.do(lambda _tx: None)
        assert far.hub.desk.snapshot().incidents[0].claimed_by == ""


async def test_what_was_given_up_before_its_turn_is_never_done(
    near: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is held up; a request behind it runs out of time, and isn't carried out afterwards."""
    incident = near.alarm("p-01")
    assert incident is not None
    go, there = threading.Event(), threading.Event()

    def hold(_tx: Transaction) -> None:
        there.set()
        go.wait(20)

    async with operator(near) as client:
        await client.get("/session")
        monkeypatch.setattr(limits, "WITHIN_S", 0.5)
        held = near.hub.store.enqueue(hold)
        assert there.wait(10)
        late = await client.post(
            f"/incidents/{incident.id}/claim",
            json=claim(incident.acted_version),
            headers={"Accept-Language": "en"},
        )
        assert (late.status_code, late.json()["code"]) == (504, "timeout")
        assert "whether it was done is not known" in late.json()["detail"]
        go.set()
        held.result(10)
        near.do(lambda _tx: None)
        assert near.hub.desk.snapshot().incidents[0].claimed_by == ""


def limit(pages: int) -> Callable[[Transaction], None]:
    """As many pages more than it has, and not one beyond."""

    def job(tx: Transaction) -> None:
        count = tx.connection.exec_driver_sql("pragma page_count").scalar_one()
        tx.connection.exec_driver_sql(f"pragma max_page_count={count + pages}")

    return job


async def test_a_full_disk_is_named_and_ends_by_itself(near: Running) -> None:
    """SQLite at its page limit gives the very error of a full disk."""
    incident = near.alarm("p-01")
    assert incident is not None
    async with operator(near) as client, listening(client) as ear:
        near.do(limit(2))
        note = {"version": incident.acted_version, "text": "巡逻车已到" * 300}
        answers = [await client.post(f"/incidents/{incident.id}/note", json=note) for _ in range(12)]
        full = [one for one in answers if one.status_code == 503]
        assert full, "it never filled"
        assert "磁盘已满" in full[-1].json()["detail"]
        await ear.until(lambda one: any(store_trouble(beat) == "disk_full" for beat in one.named("beat")))
        status, ready = await readiness(near)
        assert (status, ready["checks"]["store"]) == (503, "cannot write: disk_full")
        text = (await client.get(f"{near.base}/metrics")).text
        assert 'jifang_trouble{code="disk_full",part="store"} 1.0' in text
        assert "jifang_store_up 0.0" in text
        near.hub.store.enqueue(limit(10_000)).exception(10)
        wait_until(lambda: near.hub.vitals.failure() is None, 20)
        assert (await readiness(near))[0] == 200
        notes = [entry for entry in ear.named("entry") if entry["body"].get("action") == "note"]
        assert len(notes) <= len(answers) - len(full)
        assert (await client.post(f"/incidents/{incident.id}/note", json=note)).status_code == 200
