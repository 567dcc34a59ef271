"""Killing things during the demo: everything resumes by itself, the desk shows each loss, nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jifang.demo import read_ledger
from jifang.logged import read_observations
from jifang.reckoning import reckon
from tests.whole.running import Api, RunningDemo, until

pytestmark = pytest.mark.timeout(400)


def keep_down(demo: RunningDemo, part: str, seconds: float) -> None:
    """Kills a part again and again: its supervisor is quicker than a person could notice."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(ProcessLookupError, ValueError):
            demo.kill(part)
        time.sleep(0.1)


def changes(api: Api, kind: str, after: int) -> Iterator[dict[str, Any]]:
    """Bodies of the log's entries of one kind."""
    for entry in api.log(after):
        if entry["kind"] == kind:
            yield entry["body"]


def part_states(api: Api, name: str, after: int) -> list[bool]:
    """What the desk was told of one of our own parts, in order, without repetition."""
    told: list[bool] = []
    for body in changes(api, "hub", after):
        for part in body["parts"]:
            if part["name"] == name and (not told or told[-1] != part["up"]):
                told.append(part["up"])
    return told


def saw_it_go_and_return(api: Api, name: str, after: int) -> None:
    """Waits until the desk was told that one of our own parts was down, and that it is up again."""
    until(lambda: part_states(api, name, after)[-2:] == [False, True], 60, f"{name} shown down, then up")


def test_the_broker_is_killed_and_back(demo: RunningDemo) -> None:
    api = demo.api()
    after = api.snapshot()["seq"]
    keep_down(demo, "broker", 8)
    saw_it_go_and_return(api, "broker", after)
    heard = api.snapshot()["seq"]
    until(
        lambda: any(body["source"].startswith("panel:") for body in changes(api, "observation", heard)),
        60,
        "panels are heard again",
    )


def test_the_hub_is_killed_and_back(demo: RunningDemo) -> None:
    api = demo.api()
    before = api.snapshot()["seq"]
    keep_down(demo, "hub", 6)
    until(lambda: api.snapshot()["seq"] > before, 60, "the hub takes in observations again")
    numbers = [entry["seq"] for entry in api.log(0)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_adapters_are_killed_and_back(demo: RunningDemo) -> None:
    api = demo.api()
    after = api.snapshot()["seq"]
    keep_down(demo, "adapters", 5)
    saw_it_go_and_return(api, "adapters", after)


def test_the_edge_is_killed_and_back(demo: RunningDemo) -> None:
    api = demo.api()
    after = api.snapshot()["seq"]
    keep_down(demo, "edge", 5)
    saw_it_go_and_return(api, "edge-1", after)
    until(lambda: online(api) >= 12, 90, "every camera is online again")


def test_the_rtsp_server_is_killed_and_back(demo: RunningDemo) -> None:
    api = demo.api()
    until(lambda: online(api) >= 12, 90, "all cameras are online")
    end = time.monotonic() + 12
    while time.monotonic() < end:
        for pid in rtsp_servers(demo):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
    until(lambda: online(api) == 0, 40, "the desk shows every camera as lost")
    until(lambda: online(api) >= 12, 90, "every camera is back by itself")


def online(api: Api) -> int:
    """Cameras the desk shows as online."""
    return sum(1 for camera in api.snapshot()["cameras"] if camera["health"] == "online")


def rtsp_servers(demo: RunningDemo) -> list[int]:
    """Process ids of this demo's RTSP server."""
    simulator = demo.pid("simulator")
    return [pid for pid, parent in processes("rtsp_server.py") if descends(pid, parent, simulator)]


def processes(name: str) -> Iterator[tuple[int, int]]:
    """Id and parent of each process whose command line holds `name`."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if name.encode() in (folder / "cmdline").read_bytes():
                yield int(folder.name), parent_of(int(folder.name))


def parent_of(pid: int) -> int:
    """Parent process; 0 where there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def descends(pid: int, parent: int, ancestor: int) -> bool:
    """Whether `ancestor` is `pid` or above it."""
    while pid > 1:
        if pid == ancestor:
            return True
        pid, parent = parent, parent_of(parent)
    return False


def test_after_all_of_it_nothing_acknowledged_is_lost_or_doubled(demo: RunningDemo) -> None:
    """Runs last in this file: it counts what the kills above left."""

    def count() -> bool:
        counted = reckon(
            read_ledger(demo.folder / "ledger.jsonl"), read_observations(demo.settings.store_url)
        )
        assert counted.doubled == 0, counted.twice
        assert counted.acknowledged > 100
        return counted.lost == 0

    until(count, 60, "everything acknowledged stands in the log")
