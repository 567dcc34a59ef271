"""Real parts for the edge's tests: an RTSP server with a film, an edge process, a stand-in for intake."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wire import codec, topics
from wire.bus import Broker, Message, MqttBus
from wire.observations import Observation
from wire.spans import Spans
from wire.work import Camera, CameraWork

SERVER = Path(__file__).parent / "rtsp_server.py"
USER, PASSWORD = "admin", "p@ss/w:rd-7Q"


@dataclass
class RtspServer:
    """Debian's gst-rtsp-server with one film; may be killed and started again on its port."""

    port: int
    film: Path
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/bin/python3", SERVER, str(self.port), self.film, USER, PASSWORD],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@dataclass
class Intake:
    """Takes what an edge sends, keeps it, and confirms it as the hub's intake does."""

    bus: MqttBus
    name: str
    seen: list[Observation] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    taken: Spans = field(default_factory=Spans)

    def start(self) -> None:
        self.bus.consume(topics.OBSERVATIONS.format(sender=self.name), self._take)
        self.bus.start()

    def _take(self, message: Message) -> None:
        message.ack()
        envelopes = codec.decode_envelopes(message.payload)
        with self.changed:
            for envelope in envelopes:
                if envelope.seq not in self.taken:
                    self.taken.add(envelope.seq, envelope.seq)
                    self.seen.append(envelope.observation)
                    self.changed.notify_all()
        stored = codec.encode(codec.Stored(epoch=envelopes[0].epoch, seq=0, beyond=tuple(self.taken)))
        self.bus.publish(topics.STORED.format(sender=self.name), stored, retain=True)

    def wait_for(
        self, wanted: Callable[[Observation], bool], after: int = 0, within_s: float = 20.0
    ) -> Observation:
        """The first observation that is wanted, from the `after`th on; fails when none comes in time."""

        def found() -> Observation | None:
            return next((o for o in self.seen[after:] if wanted(o)), None)

        with self.changed:
            seen = self.changed.wait_for(lambda: found() is not None, within_s)
        observation = found()
        assert seen and observation is not None, [type(o.body).__name__ for o in self.seen]
        return observation

    def assign(self, *cameras: Camera) -> None:
        """Publishes the hub's list of cameras."""
        work = codec.encode(CameraWork(cameras=cameras))
        self.bus.publish(topics.CAMERA_WORK, work, retain=True).result(5)


class EdgeProcess:
    """`edge.run.main` as a process of its own; its log goes to a file."""

    def __init__(self, broker: Broker, name: str, folder: Path) -> None:
        self.log = folder / f"{name}.log"
        self._folder = folder
        self._broker = broker
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        code = (
            "import os; from pathlib import Path; from edge.run import EdgeSettings, main; "
            "from wire.bus import Broker; b = os.environ; "
            "main(EdgeSettings(name=b['NAME'], data=Path(b['DATA']), processes=1, broker=Broker("
            "host=b['HOST'], port=int(b['PORT']), user=b['BUS_USER'], password=b['BUS_PASSWORD'])))"
        )
        environment = {
            "NAME": self._name,
            "DATA": str(self._folder),
            "HOST": self._broker.host,
            "PORT": str(self._broker.port),
            "BUS_USER": self._broker.user,
            "BUS_PASSWORD": self._broker.password,
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code], env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def workers(self) -> list[int]:
        """Process ids of its workers."""
        assert self._process is not None
        found = subprocess.run(
            ["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=False
        )
        return [int(line) for line in found.stdout.split()]

    def terminate(self) -> int:
        """Asks it to end and waits; returns its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(15)

    def kill(self) -> None:
        """Ends it at once; its worker ends because its stdin does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)


@pytest.fixture
def intake(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Intake]:
    name = f"edge-{zlib.crc32(request.node.name.encode())}"
    intake = Intake(MqttBus(broker, f"intake-{name}", persistent=False), name)
    intake.start()
    deadline = time.monotonic() + 5
    while not intake.bus.connected and time.monotonic() < deadline:
        time.sleep(0.01)
    assert intake.bus.connected
    yield intake
    intake.assign()
    intake.bus.stop()


@pytest.fixture
def edge(broker: Broker, intake: Intake, tmp_path: Path) -> Iterator[EdgeProcess]:
    process = EdgeProcess(broker, intake.name, tmp_path)
    process.start()
    yield process
    process.kill()
