"""Everything that runs during torture, in a folder and on ports of its own: started, killed, started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import sqlalchemy as sa

from hub.accounts import NewPerson, create_person
from hub.domain.entry import EntryKind
from hub.store.engine import Store
from hub.store.tables.log import entries
from jifang.demo import cache_folder
from jifang.parts import lay_out
from jifang.ports import free_port
from jifang.settings import BrokerSettings, EdgePart, Http, Listener, Settings, StoreSettings, dump
from tests.postgresql import PostgreSQL
from tests.torture.consoles import FOLLOWERS, PASSWORD
from tests.torture.disk import Disk
from tests.torture.district import field_district, site
from tests.torture.lines import Point
from tests.torture.nursery import Life, Nursery, Spawned
from tests.torture.proxy import Proxy

SQLITE, POSTGRESQL = "sqlite", "postgresql"
UP_WITHIN_S = 120.0


@dataclass(frozen=True)
class Scale:
    """How much of everything a run has."""

    loads: int
    per_s: float
    """Observations a second from each load sender."""
    changes_per_s: float
    """Of all foreign panels together."""
    cameras: int
    hub_disk_mb: int
    outbox_disk_mb: int


class World:
    """Broker, database, hub, adapters, edge, load senders, foreign devices, cameras and consoles."""

    def __init__(self, store: str, scale: Scale, seed: int) -> None:
        self.store = store
        self.scale = scale
        self.seed = seed
        self.folder = Path(tempfile.mkdtemp(prefix=f"jifang-torture-{store}-"))
        self.folder.chmod(0o755)
        for name in ("logs", "ledgers", "consoles", "parts"):
            (self.folder / name).mkdir()
        self.hub_disk = Disk(self.folder / "hub", scale.hub_disk_mb)
        self.outbox_disk = Disk(self.folder / "load-1", scale.outbox_disk_mb)
        self.loads = [f"load-{n}" for n in range(1, scale.loads + 1)]
        self.pausing = False
        """Load senders that are started now make nothing new."""
        self.closed = threading.Event()
        """Counted: what ends now stays ended."""
        self.postgresql: PostgreSQL | None = None
        self._starting_database = threading.Lock()
        self._plain = 0
        ports = {name: free_port() for name in ("broker", "http", "jt808", "store")}
        self._ports = ports
        self.proxies = {
            "load": Proxy(free_port(), ports["broker"]),
            "hub": Proxy(free_port(), ports["broker"]),
            "parts": Proxy(free_port(), ports["broker"]),
            "field": Proxy(free_port(), ports["broker"]),
            "console": Proxy(free_port(), ports["http"]),
        }
        if store == POSTGRESQL:
            self.proxies["store"] = Proxy(free_port(), ports["store"])
        self._write_settings()
        self._nursery = Nursery(self.folder / "logs" / "nursery.log")
        self.lives: dict[str, Life] = {}

    # Before anything is killed

    def begin(self) -> None:
        """Starts all of it, makes the accounts, and imports the registers."""
        if self.store == POSTGRESQL:
            self.postgresql = PostgreSQL(self.folder / "postgresql" / "data", self._ports["store"])
            self.postgresql.start()
            self.postgresql.database("jifang")
        asyncio.run(self._make_people())
        for name in ("broker", "hub"):
            self.start(name)
        self._wait_until_ready()
        self.start("cameras")
        self._import(site())
        cameras = self.folder / "cameras.json"
        _until(cameras.exists, "the simulated cameras listen")
        self._import(json.loads(cameras.read_text()))
        for name in ("adapters", "edge", *self.loads, "devices", "consoles"):
            self.start(name)
        # A broker acknowledges what nobody has subscribed to yet: a panel counts from when it is known.
        _until(self._panels_are_known, "every panel was heard")
        (self.folder / "begin").touch()

    async def _make_people(self) -> None:
        store = Store.open(self.direct_url)
        try:
            for one in FOLLOWERS:
                roles = tuple(role.value for role in one.roles)
                await create_person(
                    store,
                    NewPerson(
                        name=one.name, display_name=one.name, password=PASSWORD, roles=roles, place=one.place
                    ),
                )
        finally:
            store.close()

    def _wait_until_ready(self) -> None:
        def ready() -> bool:
            if not self.lives["hub"].alive:
                raise RuntimeError(f"the hub ended: {self._log('hub').read_text()[-2000:]}")
            return self.ready("hub")

        _until(ready, "the hub is ready")

    def _panels_are_known(self) -> bool:
        """Each of their points, so that each topic is subscribed to."""
        wanted = {
            (f"panel:{one.id}", point)
            for one in field_district().panels
            for point in ("panel", *(f"zone:{zone.key}" for zone in one.zones))
        }
        return wanted <= told_points(self.direct_url)

    def _import(self, document: dict[str, Any]) -> None:
        with httpx.Client(base_url=self.base, timeout=60) as http:
            body = {"name": FOLLOWERS[0].name, "password": PASSWORD}
            http.post("/api/v1/session", json=body).raise_for_status()
            answer = http.post("/api/v1/sitefile", json=document)
            if not answer.is_success:
                raise RuntimeError(f"site file refused: {answer.text[:500]}")

    # Addresses

    @property
    def base(self) -> str:
        """The hub's HTTP, without a network that fails between."""
        return f"http://127.0.0.1:{self._ports['http']}"

    @property
    def direct_url(self) -> str:
        """The store, without a network that fails between."""
        if self.store == SQLITE:
            return f"sqlite:///{self.folder / 'hub' / 'jifang.db'}"
        return f"postgresql+psycopg://jifang@127.0.0.1:{self._ports['store']}/jifang"

    @property
    def _hub_url(self) -> str:
        if self.store == SQLITE:
            return self.direct_url
        return self.direct_url.replace(f":{self._ports['store']}/", f":{self.proxies['store'].port}/")

    def ledgers(self, kind: str) -> list[Path]:
        """Ledger files whose names begin with `kind`."""
        return sorted((self.folder / "ledgers").glob(f"{kind}*.jsonl"))

    def _write_settings(self) -> None:
        self._settings = Settings(
            data=str(self.folder / "parts"),
            http=Http(port=self._ports["http"]),
            broker=BrokerSettings(port=self._ports["broker"]),
            jt808=Listener(port=self._ports["jt808"]),
            edge=EdgePart(name="edge-1"),
        )
        whole = self.folder / "jifang.toml"
        self._layout = lay_out(self._settings, whole)
        password = self.folder / "broker-password"
        password.touch(mode=0o600)
        password.write_text(self._layout.broker.password + "\n")
        for name in ("hub", "parts"):
            url = f"mqtt://127.0.0.1:{self.proxies[name].port}"
            broker = BrokerSettings(url=url, user=self._layout.broker.user, password_file=str(password))
            settings = msgspec.structs.replace(self._settings, broker=broker)
            if name == "hub":
                settings = msgspec.structs.replace(
                    settings, data=str(self.folder / "hub"), store=StoreSettings(url=self._hub_url)
                )
            (self.folder / f"{name}.toml").write_text(dump(settings))

    # Lives

    def start(self, name: str, die: tuple[Point, int] | None = None) -> Life:
        """Starts a process; with `die` one that kills itself there. Every fifth life of a part of the
        product that is to die at no line is `python -m jifang part`, the others are forked."""
        self._plain += die is None
        if name in ("hub", "adapters"):
            ours = die is None and self._plain % 5 == 0 and name == "hub"
            life = self._command(name) if ours else self._forked(name, die)
        elif name == "edge" or name in self.loads:
            life = self._forked(name, die)
        else:
            life = self._other(name)
        self.lives[name] = life
        return life

    def _command(self, name: str) -> Life:
        settings = str(self.folder / f"{'hub' if name == 'hub' else 'parts'}.toml")
        command = [sys.executable, "-m", "jifang", "part", name, "--settings", settings]
        return Spawned(command, self._log(name))

    def _forked(self, name: str, die: tuple[Point, int] | None) -> Life:
        order: dict[str, Any] = {"log": str(self._log(name))}
        if die is not None:
            order["die"] = (die[0].function, die[0].line, die[1])
        if name in self.loads:
            own = self._layout.broker
            order["load"] = {
                "name": name,
                "folder": str(self.folder / name),
                "ledger": str(self.folder / "ledgers" / f"load-{name}.jsonl"),
                "broker": {
                    "host": "127.0.0.1",
                    "port": self.proxies["load"].port,
                    "user": own.user,
                    "password": own.password,
                },
                "per_s": 0.0 if self.pausing else self.scale.per_s,
            }
        else:
            order["part"] = name
            order["settings"] = str(self.folder / f"{'hub' if name == 'hub' else 'parts'}.toml")
            if name != "hub":
                order["overhear"] = str(self.folder / "ledgers" / f"heard-{name}.jsonl")
        return self._nursery.start(order)

    def _other(self, name: str) -> Life:
        own = self._layout.own_broker
        field = self._layout.field_broker
        accounts = {"FIELD_USER": field.user, "FIELD_PASSWORD": field.password}
        here = [sys.executable, "-m"]
        if name == "broker":
            if own is None:
                raise RuntimeError("torture kills a broker of its own only")
            return Spawned(own.prepare(), self._log(name))
        if name == "cameras":
            command = [
                *here, "simulator", "--describe", str(self.folder / "cameras.json"),
                "--ledger", str(self.folder / "ledgers" / "cameras.jsonl"),
                "--broker", f"127.0.0.1:{self._ports['broker']}",
                "--jt808", f"127.0.0.1:{self._ports['jt808']}",
                "--cameras", str(self.scale.cameras), "--panels", "0", "--cars", "0",
                "--seed", str(self.seed), "--settle", "1", "--cache", str(cache_folder()),
            ]  # fmt: skip
            return Spawned(command, self._log(name), accounts)
        if name == "devices":
            command = [
                *here, "tests.torture.devices", "--ledger", str(self.folder / "ledgers" / "devices.jsonl"),
                "--broker", str(self.proxies["field"].port), "--jt808", str(self._ports["jt808"]),
                "--seed", str(self.seed), "--changes-per-s", str(self.scale.changes_per_s),
                "--begin", str(self.folder / "begin"),
            ]  # fmt: skip
            return Spawned(command, self._log(name), accounts)
        if name == "consoles":
            command = [
                *here, "tests.torture.consoles", "--port", str(self.proxies["console"].port),
                "--folder", str(self.folder / "consoles"),
            ]  # fmt: skip
            return Spawned(command, self._log(name))
        raise ValueError(name)

    def ready(self, name: str) -> bool:
        """Whether a part does its work; of those that can't be asked, whether they run."""
        if name != "hub":
            return True
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.base}/readyz", timeout=2).is_success
        return False

    def kill(self, life: Life) -> bool:
        """SIGKILL. False where it had ended before."""
        if not life.alive:
            return False
        with suppress(ProcessLookupError):
            os.kill(life.pid, signal.SIGKILL)
        return life.wait(30)

    def kill_database(self) -> None:
        """SIGKILL to all of PostgreSQL, and a new start."""
        if self.postgresql is not None:
            with self._starting_database:
                self.postgresql.kill()
                time.sleep(0.2)
                self.postgresql.start()

    def end(self, name: str, within_s: float) -> bool:
        """SIGTERM; whether it ended within the time."""
        life = self.lives[name]
        if life.alive:
            with suppress(ProcessLookupError):
                os.kill(life.pid, signal.SIGTERM)
        return life.wait(within_s)

    def close(self) -> None:
        """Ends everything that still runs."""
        for name in ("cameras", *self.lives):
            if name in self.lives and not self.end(name, 5 if name == "cameras" else 0):
                self.kill(self.lives[name])
        self._nursery.close()
        if self.postgresql is not None:
            self.postgresql.kill()
        for proxy in self.proxies.values():
            proxy.stop()
        for disk in (self.hub_disk, self.outbox_disk):
            disk.free()

    def unmount(self) -> None:
        """Lets the tmpfs go, and what is on them."""
        for disk in (self.hub_disk, self.outbox_disk):
            disk.close()

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


def told_points(url: str) -> set[tuple[str, str]]:
    """Source and point of which a word stands in the log."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            query = sa.select(entries.c.subject, entries.c.body).where(
                entries.c.kind == EntryKind.OBSERVATION.value
            )
            return {
                (str(row.subject), str(msgspec.json.decode(row.body)["body"].get("point", "")))
                for row in connection.execute(query)
            }
    finally:
        engine.dispose()


def _until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {UP_WITHIN_S:.0f} s: {what}")
        time.sleep(0.1)
