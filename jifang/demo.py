"""`jifang demo`: the whole product on a simulated district, over real protocols, counted at both ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from rich.console import Console
from rich.status import Status

from hub.accounts import NewPerson, create_person
from hub.store.engine import Store, StoreUnavailable
from jifang.desk_client import DeskClient, Heard
from jifang.duty_officer import DutyOfficer
from jifang.logged import flatten, read_observations
from jifang.parts import Layout, console_folder, lay_out, parts
from jifang.ports import free_port, is_free
from jifang.reckoning import Reckoning, latencies_ms, percentile, reckon
from jifang.settings import BrokerSettings, Http, Listener, Settings, SettingsError, StoreSettings, dump
from jifang.supervisor import Part, Supervisor

PERSON = "duty"
START_WITHIN_S = 60.0
RENDER_WITHIN_S = 900.0
SETTLE_WITHIN_S = 30.0
RENDERING = "准备模拟辖区（首次需要渲染视频）· the simulated district; the first time renders video"
SAMPLE_REGISTER = Path(__file__).parent.parent / "config" / "registers" / "xuzhou-sample.json"


class DemoFailed(RuntimeError):
    """The demo could not come up; says which part and where its log is."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `jifang demo` was asked for."""

    seconds: float | None = None
    """Run unattended for so long once everything is up; None: until interrupted."""
    folder: Path | None = None
    """Data folder; None: a fresh one, removed afterwards."""
    port: int = 8110
    seed: int = 1
    footage: tuple[Path, ...] = ()
    story: Path | None = None
    store: str = ""
    """URL of an empty database for the log; empty: SQLite in the data folder."""
    as_json: bool = False
    """Standard output is kept for the figures; everything a person reads goes to standard error."""


@dataclass(slots=True)
class Demo:
    """A demo that is running."""

    options: DemoOptions
    layout: Layout
    folder: Path
    supervisor: Supervisor
    password: str
    screen: Console
    heard: Heard = field(default_factory=Heard)

    @property
    def base(self) -> str:
        """Address of the console."""
        http = self.layout.settings.http
        return f"http://{http.host}:{http.port}"

    @property
    def ledger(self) -> Path:
        """What the simulator sent and had acknowledged."""
        return self.folder / "ledger.jsonl"

    @property
    def site_file(self) -> Path:
        """The simulator's description of its district."""
        return self.folder / "district.json"


async def run(options: DemoOptions) -> dict[str, Any] | None:
    """Brings everything up; returns the figures of an unattended run. Raises `DemoFailed`."""
    screen = Console(stderr=options.as_json)
    kept = options.folder
    folder = kept or Path(tempfile.mkdtemp(prefix="jifang-demo-"))
    demo = plan(options, folder, screen)
    try:
        await bring_up(demo)
        announce(demo)
        if options.seconds is None:
            await _until_interrupted()
            return None
        return await run_unattended(demo, options.seconds)
    finally:
        screen.print("[dim]停止各部分 · stopping[/dim]")
        await demo.supervisor.stop_all()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def plan(options: DemoOptions, folder: Path, screen: Console) -> Demo:
    """Chooses ports and writes the settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    port = options.port if options.port and is_free(options.port) else free_port()
    settings = Settings(
        data=str(folder.resolve()),
        http=Http(port=port),
        broker=BrokerSettings(port=free_port()),
        jt808=Listener(port=free_port()),
        store=_store_settings(options.store, folder),
    )
    settings_file = folder / "jifang.toml"
    settings_file.write_text(dump(settings), encoding="utf-8")

    def told(name: str, what: str) -> None:
        if what != "started":
            screen.print(f"[yellow]{name}: {what}[/yellow] → {folder}/logs/{name}.log")

    return Demo(
        options=options,
        layout=lay_out(settings, settings_file),
        folder=folder,
        supervisor=Supervisor(folder, told=told),
        password=secrets.token_urlsafe(9),
        screen=screen,
    )


def _store_settings(url: str, folder: Path) -> StoreSettings:
    """A password in the URL goes into a file that only we can read: settings never hold one."""
    if not url:
        return StoreSettings()
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise DemoFailed("--store: expected postgresql://user@host:port/database") from error
    if not parsed.password:
        return StoreSettings(url=url)
    file = folder.resolve() / "store-password"
    file.touch(mode=0o600)
    file.write_text(f"{parsed.password}\n", encoding="utf-8")
    bare = sa.URL.create(
        parsed.drivername, parsed.username, None, parsed.host, parsed.port, parsed.database, parsed.query
    )
    return StoreSettings(url=bare.render_as_string(), password_file=str(file))


async def bring_up(demo: Demo) -> None:
    """Starts every part and the simulator, and imports the simulator's district."""
    if console_folder() is None:
        raise DemoFailed("the console isn't built: make setup")
    with _step(demo, "打开存储、建立账户 · store and account"):
        await _make_person(demo)
    for part in parts(demo.layout):
        demo.supervisor.start(part)
    with _step(demo, "等待指挥中心启动 · waiting for the hub"):
        await _wait(lambda: _ready(demo.base), START_WITHIN_S, demo, "hub")
    demo.supervisor.start(_simulator(demo))
    with _step(demo, RENDERING) as status:
        described = _exists(demo.site_file, lambda: _show_progress(demo, status))
        await _wait(described, RENDER_WITHIN_S, demo, "simulator")
    await _import(demo, demo.site_file)
    await _import(demo, SAMPLE_REGISTER)


def announce(demo: Demo) -> None:
    """Prints the console's address and the sign-in made for this run."""
    demo.screen.print(
        f"\n[bold]技防 Jifang[/bold]\n  控制台 console   [bold]{demo.base}[/bold]"
        f"\n  用户 name       {PERSON}\n  口令 password   {demo.password}"
        f"\n  数据 data       {demo.folder}\n"
    )


async def run_unattended(demo: Demo, seconds: float) -> dict[str, Any]:
    """Has the duty officer work for `seconds`, then counts at both ends."""
    client = DeskClient(demo.base)
    await client.sign_in(PERSON, demo.password)
    officer = DutyOfficer(client)
    tasks = [
        asyncio.create_task(client.follow(demo.heard, officer.told)),
        asyncio.create_task(officer.work()),
    ]
    try:
        await _pass_time(demo, seconds)
        state = await client.get("/snapshot")
        coverage = await client.get("/coverage", rung="accepted")
        await demo.supervisor.stop("simulator", within_s=15)
        counted = await _settle(demo)
        await _wait(lambda: _caught_up(client, demo.heard), SETTLE_WITHIN_S, demo, "hub")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
    return _figures(demo, counted, officer, state, coverage)


async def _make_person(demo: Demo) -> None:
    try:
        store = await asyncio.to_thread(Store.open, demo.layout.settings.store_url)
    except (StoreUnavailable, SettingsError) as error:
        raise DemoFailed(f"the store: {error}") from error
    try:
        if demo.options.store and store.head:
            raise DemoFailed("--store: the database holds a log already; the demo needs an empty one")
        await create_person(
            store,
            NewPerson(
                name=PERSON,
                display_name="值班员",
                password=demo.password,
                roles=("operator", "installer", "inspector", "administrator"),
                place="",
            ),
        )
    finally:
        await asyncio.to_thread(store.close)


def _simulator(demo: Demo) -> Part:
    field_broker = demo.layout.field_broker
    jt808 = demo.layout.settings.jt808
    command = [
        *(sys.executable, "-m", "simulator"),
        *("--describe", str(demo.site_file)),
        *("--ledger", str(demo.ledger)),
        *("--broker", f"{field_broker.host}:{field_broker.port}"),
        *("--jt808", f"{jt808.host}:{jt808.port}"),
        *("--seed", str(demo.options.seed)),
        *("--cache", str(cache_folder())),
    ]
    for film in demo.options.footage:
        command += ["--footage", str(film.resolve())]
    if demo.options.story:
        command += ["--story", str(demo.options.story)]
    accounts = {"FIELD_USER": field_broker.user, "FIELD_PASSWORD": field_broker.password}
    return Part("simulator", command, accounts)


def cache_folder() -> Path:
    """Where rendered streams are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jifang" / "simulator"


async def _import(demo: Demo, path: Path) -> None:
    client = DeskClient(demo.base)
    try:
        await client.sign_in(PERSON, demo.password)
        answer = await client.post("/sitefile", json.loads(path.read_text(encoding="utf-8")))
        if not answer.is_success:
            raise DemoFailed(f"{path.name} was refused: {answer.text[:500]}")
    finally:
        await client.close()


async def _wait(done: Callable[[], Any], within_s: float, demo: Demo, part: str) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not await done():
        if asyncio.get_running_loop().time() > deadline:
            raise DemoFailed(
                f"{part} did not get there within {within_s:.0f} s: {demo.folder}/logs/{part}.log"
            )
        await asyncio.sleep(0.2)


async def _ready(base: str) -> bool:
    async with httpx.AsyncClient(timeout=2) as client:
        try:
            return (await client.get(f"{base}/readyz")).is_success
        except httpx.HTTPError:
            return False


def _exists(path: Path, meanwhile: Callable[[], None]) -> Callable[[], Any]:
    async def there() -> bool:
        meanwhile()
        return await asyncio.to_thread(path.exists)

    return there


@contextlib.contextmanager
def _step(demo: Demo, what: str) -> Iterator[Status | None]:
    """Says what is going on: in place on a terminal, as a line elsewhere."""
    if demo.screen.is_terminal:
        with demo.screen.status(what) as status:
            yield status
    else:
        demo.screen.print(what)
        yield None


def _show_progress(demo: Demo, status: Status | None) -> None:
    log = demo.folder / "logs" / "simulator.log"
    if status is not None and log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        told = next((line for line in reversed(lines) if "render" in line), "")
        status.update(f"{RENDERING}  {told[-100:]}")


async def _caught_up(client: DeskClient, heard: Heard) -> bool:
    state = await client.get("/snapshot")
    return bool(heard.last >= state["seq"])


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def _pass_time(demo: Demo, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    with demo.screen.status("") as status:
        while (left := end - loop.time()) > 0:
            status.update(f"无人值守运行 · unattended · {left:.0f} s · 记录 log {demo.heard.last}")
            await asyncio.sleep(min(1.0, left))


async def _settle(demo: Demo) -> Reckoning:
    """Counts until nothing is missing, or until what is missing has had its time to arrive."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_WITHIN_S
    while True:
        logged = await asyncio.to_thread(read_observations, demo.layout.settings.store_url)
        counted = reckon(read_ledger(demo.ledger), logged)
        if not counted.lost or loop.time() > deadline:
            return counted
        await asyncio.sleep(1)


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """The simulator's ledger."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def motion_spans(flat: list[tuple[dict[str, Any], Any]]) -> dict[str, list[list[str | None]]]:
    """Begin and end of each motion the edge saw, by camera, on the edge's clock; None: not ended yet."""
    spans: dict[str, dict[str, list[str | None]]] = {}
    for line, _ in flat:
        if line["kind"] == "motion" and line["by"] == "edge":
            events = spans.setdefault(line["source"], {})
            if line["active"]:
                events[line["event"]] = [line["heard_at"], None]
            elif line["event"] in events:
                events[line["event"]][1] = line["heard_at"]
    return {source: list(events.values()) for source, events in sorted(spans.items())}


def _figures(
    demo: Demo, counted: Reckoning, officer: DutyOfficer, state: dict[str, Any], coverage: dict[str, Any]
) -> dict[str, Any]:
    ledger = read_ledger(demo.ledger)
    flat = [
        (flatten(entry["body"]), at) for entry, at in demo.heard.entries if entry["kind"] == "observation"
    ]
    panel = latencies_ms([line for line in ledger if line["source"].startswith("panel:")], flat)
    p99 = percentile(panel, 0.99)
    motions = [
        line for line, _ in flat if line["kind"] == "motion" and line["active"] and line["by"] == "edge"
    ]
    return {
        "acknowledged": counted.acknowledged,
        "lost": counted.lost,
        "doubled": counted.doubled,
        "missing": [" ".join(key) for key in counted.missing],
        "twice": [" ".join(key) for key in counted.twice],
        "incidents_closed": len(officer.whole_way),
        "feed_gaps": demo.heard.gaps,
        "feed_entries": len(demo.heard.entries),
        "panel_to_feed_p99_ms": None if p99 is None else round(p99, 1),
        "panel_to_feed_n": len(panel),
        "motion_events": len(motions),
        "motion_by_camera": motion_spans(flat),
        "onvif_events_pulled": sum(1 for line in ledger if line["kind"] == "motion"),
        "cameras_online": sum(1 for camera in state["cameras"] if camera["health"] == "online"),
        "panels_online": sum(1 for panel in state["panels"] if panel["health"] == "online"),
        "units_online": sum(1 for unit in state["units"] if unit["link"] == "online"),
        "coverage": {
            target["id"]: {key: target[key] for key in ("n", "d", "rate", "state")}
            for target in coverage["targets"]
        },
    }


def run_blocking(options: DemoOptions) -> dict[str, Any] | None:
    """`run` for a command line; a second interrupt during the clean-up is not needed."""
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(run(options))
    return None
