"""A hub on a free port: real uvicorn, real store in a temporary file, no broker (it comes up without)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import uvloop

from hub import app as hub_app
from hub.accounts import NewPerson, create_person
from hub.domain.incident import Incident
from hub.recording import record
from hub.sitefile import parse
from hub.store.engine import Job, Transaction
from hub.web.application import build
from hub.web.context import Hub
from hub.web.server import Server, configured
from tests.hub_web.district import site_file
from wire.bus import Broker
from wire.clock import utc_now
from wire.observations import Body, Condition, Observation, PointState, Position

T = TypeVar("T")

PASSWORD = "correct horse battery"
PEOPLE = {
    "op": (("operator",), "xz"),
    "op-yunlong": (("operator",), "xz-yunlong"),
    "fitter": (("installer",), "xz"),
    "mate": (("installer",), "xz"),
    "inspector": (("inspector",), "xz"),
    "admin": (("administrator",), "xz"),
    "chief": (("operator", "installer", "inspector", "administrator"), ""),
}


@dataclass(slots=True)
class Running:
    """A hub that serves, in a thread with a loop of its own."""

    hub: Hub
    field_side: hub_app.FieldSide
    server: Server
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    base: str
    heard: int = 0

    def do(self, job: Job[T]) -> T:
        """Runs a job in the store."""
        return self.hub.store.enqueue(job).result(10)

    def on_loop(self, call: Callable[[], T]) -> T:
        """Runs `call` on the hub's own loop."""

        async def there() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(there(), self.loop).result(10)

    def see(self, source: str, body: Body, still: str = "", **more: Any) -> None:
        """An observation arrives as intake stores it."""
        self.heard += 1
        observation = Observation(
            source=source,
            body=body,
            heard_at=utc_now(),
            id=f"test:{time.monotonic_ns()}:{self.heard}",
            **more,
        )

        def job(tx: Transaction) -> None:
            cause = (
                None if isinstance(body, Position) else record(tx, self.hub.registers, observation, still).seq
            )
            self.hub.desk.observe(tx, observation, still, cause)

        self.do(job)

    def alarm(self, panel: str, zone: str = "1", *, active: bool = True) -> Incident | None:
        """A panel's zone goes off; the newest open incident of its site."""
        body = PointState(point=f"zone:{zone}", condition=Condition.HOLD_UP, active=active)
        self.see(f"panel:{panel}", body)
        site = self.hub.registers.locate(f"panel:{panel}").site
        return next((one for one in self.hub.desk.snapshot().incidents if one.site == site), None)

    def stop(self) -> None:
        """Ends it as SIGTERM does."""

        async def end() -> None:
            await self.hub.feed.stop()
            await self.hub.media.stop()
            self.server.should_exit = True

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.thread.join(10)
        self.hub.store.close()
        assert not self.thread.is_alive()


def start_hub(folder: Path, port: int, *, console: Path | None = None, store_url: str = "") -> Running:
    """Opens and serves a hub with the test district in it."""
    settings = hub_app.HubSettings(
        data=folder,
        store_url=store_url or f"sqlite:///{folder / 'hub.db'}",
        broker=Broker(host="127.0.0.1", port=9),
        http_host="127.0.0.1",
        http_port=port,
        field_address="mqtt://field@127.0.0.1:18830",
    )
    hub, field_side = hub_app.open_hub(settings)
    hub_app.follow_log(hub)
    app = build(console=console)
    app.state.hub = hub
    server = configured(app, settings.http_host, settings.http_port)
    loop = uvloop.new_event_loop()
    started = threading.Event()

    async def run() -> None:
        await hub_app.start_feed(hub)
        started.set()
        await server.serve()

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(run()), name="hub-under-test", daemon=True
    )
    thread.start()
    assert started.wait(10)
    wait_until(lambda: server.started)
    return Running(hub, field_side, server, loop, thread, f"http://127.0.0.1:{port}")


def furnish(running: Running) -> None:
    """Places, sites, devices, and one person of each role."""
    file = parse(site_file())
    running.do(lambda tx: running.hub.registers.import_site(tx, file, "test"))

    async def people() -> None:
        for name, (roles, place) in PEOPLE.items():
            new = NewPerson(name=name, display_name=name.title(), password=PASSWORD, roles=roles, place=place)
            await create_person(running.hub.store, new)

    asyncio.run_coroutine_threadsafe(people(), running.loop).result(20)


def wait_until(done: Callable[[], Any], within_s: float = 10.0) -> None:
    """Returns when `done()` is true; raises `TimeoutError` otherwise."""
    deadline = time.monotonic() + within_s
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("it didn't come true")
        time.sleep(0.01)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Running]:
    """One hub for all tests of this folder that don't need their own."""
    console = tmp_path_factory.mktemp("console")
    (console / "index.html").write_text("<!doctype html><title>Jifang</title>", encoding="utf-8")
    (console / "assets").mkdir()
    (console / "assets" / "app-1a2b.js").write_text("export {};", encoding="utf-8")
    hub = start_hub(tmp_path_factory.mktemp("hub"), free_port(), console=console)
    furnish(hub)
    yield hub
    hub.stop()


@dataclass(slots=True)
class Desk:
    """Signs people in once and hands out clients with their cookie."""

    base: str
    cookies: dict[str, str]

    async def client(self, name: str = "") -> httpx.AsyncClient:
        """A client of `name`; without a name nobody is signed in."""
        client = httpx.AsyncClient(base_url=f"{self.base}/api/v1", timeout=20)
        if name and name not in self.cookies:
            answer = await client.post("/session", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self.cookies[name] = client.cookies["jifang"]
        if name:
            client.cookies.set("jifang", self.cookies[name])
        return client

    @asynccontextmanager
    async def as_person(self, name: str = "") -> AsyncIterator[httpx.AsyncClient]:
        """`async with desk.as_person("op") as client`."""
        client = await self.client(name)
        try:
            yield client
        finally:
            await client.aclose()


@pytest.fixture(scope="session")
def desk(running: Running) -> Desk:
    """Clients of the shared hub."""
    return Desk(running.base, {})
