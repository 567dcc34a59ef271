"""A small district against the session's real Mosquitto and a JT/T 808 platform of the test's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from simulator.district import build_district
from simulator.line import Access
from simulator.run import NoCameras, Options, Run
from simulator.story import read_story
from tests.simulator_field.platform import Platform, running_platform, until
from wire.bus import Broker


@dataclass
class Ear:
    """Hears everything on the broker, as a person with `mosquitto_sub` would."""

    client: paho.Client
    heard: list[tuple[str, str, bool]] = field(default_factory=list)
    """Topic, payload, retained, in order of arrival."""

    def of(self, topic: str) -> list[str]:
        """Payloads on one topic, in order."""
        return [payload for name, payload, _ in self.heard if name == topic]

    def say(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publishes as the product would."""
        self.client.publish(topic, payload.encode(), qos=1, retain=retain)


@pytest.fixture
def ear(broker: Broker) -> Iterator[Ear]:
    """Listens to all topics from an empty broker on; clears what was retained afterwards."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="ear")
    client.username_pw_set(broker.user, broker.password)
    made = Ear(client)
    ready = threading.Event()

    def keep(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        made.heard.append((message.topic, message.payload.decode(), message.retain))

    client.on_message = keep
    client.on_subscribe = lambda *_: ready.set()
    client.connect(broker.host, broker.port)
    client.subscribe("#", qos=1)
    client.loop_start()
    assert ready.wait(10)
    yield made
    last = [
        client.publish(topic, b"", qos=1, retain=True)
        for topic in {name for name, payload, _ in made.heard if payload}
    ]
    for cleared in last:
        cleared.wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A JT/T 808 platform."""
    async with running_platform() as made:
        yield made


@dataclass
class Living:
    """A district that is running."""

    run: Run
    folder: Path
    end: asyncio.Event
    task: asyncio.Task[None]

    @property
    def description(self) -> dict[str, Any]:
        """Its site file."""
        found: dict[str, Any] = json.loads((self.folder / "district.json").read_text(encoding="utf-8"))
        return found

    def ledger(self, source: str = "", kind: str = "") -> list[dict[str, Any]]:
        """Lines so far, of one source and kind."""
        path = self.folder / "ledger.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        return [one for one in found if one["source"].startswith(source) and one["kind"].startswith(kind)]

    def points(self, source: str) -> list[tuple[str, str, bool]]:
        """(point, condition, active) that were acknowledged to a panel, in order."""
        return [
            (one["point"], one["condition"], one["active"])
            for one in self.ledger(source)
            if one["kind"] == "point"
        ]


Starter: TypeAlias = Callable[..., AbstractAsyncContextManager[Living]]


@pytest.fixture
def district(field_broker: Broker, platform: Platform, tmp_path: Path) -> Starter:
    """Starts a district with a story of the test's own: `async with district(story, panels=2, …)`."""

    @asynccontextmanager
    async def start(story: str = _SILENT, **changed: Any) -> AsyncIterator[Living]:
        path = tmp_path / "story.toml"
        path.write_text(story, encoding="utf-8")
        given: dict[str, Any] = {
            "describe": tmp_path / "district.json",
            "ledger": tmp_path / "ledger.jsonl",
            "access": Access(field_broker.host, field_broker.port, field_broker.user, field_broker.password),
            "jt808": ("127.0.0.1", platform.port),
            "seed": 1,
            "story": read_story(path, build_district()),
            "panels": 2,
            "cameras": 0,
            "cars": 0,
            "rate": 0.0,
            "settle_s": 0.0,
        }
        run = Run(Options(**(given | changed)), lambda _cameras, _ledger: NoCameras())
        end = asyncio.Event()
        task = asyncio.create_task(run.live(end))
        living = Living(run, tmp_path, end, task)
        try:
            await until(lambda: task.done() or (tmp_path / "district.json").exists(), "the district listens")
            yield living
        finally:
            end.set()
            await asyncio.wait_for(task, 20)

    return start


_SILENT = """
id = "silent"
[[step]]
at = 100000
device = "panel:p-40"
do = "disarm"
"""
