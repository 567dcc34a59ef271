"""From publish to browser socket: real Mosquitto, the hub as it is, server-sent events over real HTTP.

Sender, broker, hub and readers are processes of their own on one machine, with one monotonic clock. The floor
is the same run in the same session without a store: decoded, numbered and handed to the same feed. Then 200
consoles at 500/s: memory for each, the hub's CPU, and whether anything was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.brokers import own_broker, running
from benchmarks.feed_hub import NAME, PASSWORD
from benchmarks.feed_reader import TIMED
from benchmarks.figures import POSTGRESQL as SUFFIX
from benchmarks.stores import POSTGRESQL, SQLITE, FreshUrl, available, databases, described
from jifang.ports import free_port

CONSOLES, RATES = 50, (100, 2000)
MANY, MANY_RATE = 200, 500
ONE_SIGN_IN = 12
"""Consoles that one sign-in may have."""
NO_STORE = "no_store"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to."""

    delays_ms: Sequence[float]
    missed: int
    broken: int
    hub_cores: float
    reader_cores: float

    def at(self, share: float) -> float:
        """A percentile, ms."""
        return round(self.delays_ms[min(len(self.delays_ms) - 1, int(len(self.delays_ms) * share))], 2)


@dataclass(frozen=True, slots=True)
class Served:
    """A hub that runs."""

    pid: int
    http: int
    broker: int

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory_kb(self) -> int:
        """Resident, private or shared."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])

    def cookies(self, consoles: int) -> list[str]:
        """Sign-ins enough for so many consoles."""
        return [self._sign_in() for _ in range(-(-consoles // ONE_SIGN_IN))]

    def _sign_in(self) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/api/v1/session",
            json.dumps({"name": NAME, "password": PASSWORD}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own hub
            return str(answer.headers["Set-Cookie"]).partition("=")[2].partition(";")[0]


@contextmanager
def hub(url: str, folder: Path, *, unstored: bool = False) -> Iterator[Served]:
    """Broker and hub, until the end of the block."""
    broker = own_broker(folder / "broker")
    http = free_port()
    command = _module("feed_hub", "--store", url, "--folder", folder / "hub")
    command += ["--broker", str(broker.port), "--http", str(http), *(["--unstored"] if unstored else [])]
    folder.mkdir(parents=True, exist_ok=True)
    with running(broker), (folder / "hub.log").open("wb") as journal:
        process = subprocess.Popen(command, stdout=journal, stderr=journal)
        try:
            _wait_for(http, process)
            yield Served(process.pid, http, broker.port)
        finally:
            process.terminate()
            process.wait(30)


def _module(name: str, *given: object) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}", *map(str, given)]


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                if json.loads(answer.read())["checks"]["broker"] == "ok":
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.1)
    raise TimeoutError("the hub doesn't serve; see hub.log")


@contextmanager
def consoles(served: Served, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process with `count` consoles that are on the feed."""
    command = _module("feed_reader", "--port", served.http, "--consoles", count)
    command += ["--cookies", ",".join(served.cookies(count))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def load(served: Served, count: int, rate: float, warm_s: float, seconds: float) -> Run:
    """`count` consoles hear what is published at `rate`."""
    with consoles(served, count) as readers:
        command = _module("feed_sender", "--broker", served.broker, "--rate", rate)
        began, cpu_s = time.monotonic(), served.cpu_s()
        command += ["--warm", str(warm_s), "--seconds", str(seconds)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        sent = next(int(line) for line in said.splitlines() if line.isdigit())
        took, cpu_s = time.monotonic() - began, served.cpu_s() - cpu_s
        time.sleep(1.0)
        told, _ = readers.communicate("end\n", timeout=60)
    heard = json.loads(told)
    missed = sum(sent - one for one in heard["counts"]) + heard["gaps"]
    return Run(heard["delays_ms"], missed, heard["broken"], cpu_s / took, heard["cpu_s"] / took)


def latency(url: str, folder: Path, rate: int, seconds: float, *, unstored: bool) -> Run:
    """One fresh hub under one rate."""
    with hub(url, folder, unstored=unstored) as served:
        return load(served, CONSOLES, rate, 2.0, seconds)


def many(url: str, folder: Path, count: int, seconds: float) -> dict[str, Any]:
    """Memory of each of `count` consoles, the hub's CPU, and what was missed."""
    with hub(url, folder) as served:
        load(served, 1, MANY_RATE, 1.0, seconds / 2)
        alone = served.memory_kb()
        with consoles(served, count):
            time.sleep(1.0)
            idle = served.memory_kb()
        run = load(served, count, MANY_RATE, 2.0, seconds)
        loaded = served.memory_kb()
    return {
        "memory_kb_per_console": round(max(idle, loaded) / count - alone / count, 1),
        "cpu_cores": round(run.hub_cores, 3),
        "missed": run.missed,
        "out_of_order": run.broken,
        "p50_ms_500": run.at(0.5),
        "p99_ms_500": run.at(0.99),
        "reader_cores_500": round(run.reader_cores, 2),
    }


def rounds(
    kinds: Sequence[str], urls: Mapping[str, FreshUrl], folder: Path, count: int, seconds: float
) -> dict[tuple[str, int], list[Run]]:
    """Every store beside no store at every rate, in turn, `count` times."""
    found: dict[tuple[str, int], list[Run]] = {}
    for number in range(count):
        for rate in RATES:
            for kind in (NO_STORE, *kinds):
                name = f"{kind}-{rate}-{number}"
                url = urls[SQLITE if kind == NO_STORE else kind](name)
                run = latency(url, folder / name, rate, seconds, unstored=kind == NO_STORE)
                found.setdefault((kind, rate), []).append(run)
                print(
                    f"round {number + 1} of {count}: {kind} at {rate}/s: p50 {run.at(0.5)} ms,"
                    f" p99 {run.at(0.99)} ms, missed {run.missed}, hub {run.hub_cores:.2f} cores,"
                    f" readers {run.reader_cores:.2f}",
                    flush=True,
                )
    return found


def figures(found: Mapping[tuple[str, int], Sequence[Run]], kinds: Sequence[str]) -> dict[str, Any]:
    """p50 and p99 of the median round, and p99 over that of the same round with no store (median)."""
    told: dict[str, Any] = {}
    for kind in kinds:
        suffix = "" if kind == SQLITE else SUFFIX
        for rate in RATES:
            runs, floors = found[kind, rate], found[NO_STORE, rate]
            ratios = [run.at(0.99) / floor.at(0.99) for run, floor in zip(runs, floors, strict=True)]
            told[f"p50_ms_{rate}{suffix}"] = median([run.at(0.5) for run in runs])
            told[f"p99_ms_{rate}{suffix}"] = median([run.at(0.99) for run in runs])
            told[f"p99_over_no_store_{rate}{suffix}"] = round(median(ratios), 2)
    return told


def median(values: Sequence[float]) -> float:
    """The middle one, the upper of two."""
    return sorted(values)[len(values) // 2]


def measure(seconds: float, count: int, most: int) -> dict[str, Any]:
    """All runs."""
    kinds = [kind for kind in (SQLITE, POSTGRESQL) if available(kind)]
    with tempfile.TemporaryDirectory(prefix="jifang-bench-") as name:
        folder = Path(name)
        with databases(SQLITE, folder / "sqlite") as sqlite, databases(kinds[-1], folder / "other") as other:
            urls = {kinds[-1]: other, SQLITE: sqlite}
            found = rounds(kinds, urls, folder, count, seconds)
            crowd = many(sqlite("many"), folder / "many", most, seconds)
            print(f"{most} consoles at {MANY_RATE}/s: {crowd}", flush=True)
    runs = [run for all_of_it in found.values() for run in all_of_it]
    crowd["missed"] += sum(run.missed for run in runs)
    crowd["out_of_order"] += sum(run.broken for run in runs)
    ours = figures(found, kinds)
    return {
        "name": "feed",
        "figures": {**ours, **crowd},
        "baseline": {
            f"no_store_{name}_ms_{rate}": median([run.at(share) for run in found[NO_STORE, rate]])
            for rate in RATES
            for name, share in (("p50", 0.5), ("p99", 0.99))
        },
        "ratio": ours["p99_over_no_store_2000"],
        "conditions": {
            "consoles": f"{CONSOLES} at {RATES[0]}/s and {RATES[1]}/s, {most} at {MANY_RATE}/s; one process",
            "path": "paho, Mosquitto saving on change, intake, store, feed, HTTP; one process each",
            "observations": "contacts that are only logged; what is due within 5 ms in one message",
            "clock": "CLOCK_MONOTONIC of one machine, from due to read",
            "timed": f"every {TIMED}th console; all others counted and their chain checked",
            "reader_cores_at_2000": round(found[SQLITE, RATES[1]][-1].reader_cores, 2),
            "hub_cores_at_2000": round(found[SQLITE, RATES[1]][-1].hub_cores, 2),
            "stores": ", ".join(described(kind) for kind in kinds),
            "seconds": seconds,
            "rounds": count,
            "cores": os.cpu_count(),
            "load_1m": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
        },
    }


def main() -> None:
    """Prints progress, and the result as one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="proves that it runs")
    given = parser.parse_args()
    short = (2.0, 1, 30)
    seconds, count, most = short if given.short else (given.seconds, given.rounds, MANY)
    print(json.dumps(measure(seconds, count, most), ensure_ascii=False))


if __name__ == "__main__":
    main()
