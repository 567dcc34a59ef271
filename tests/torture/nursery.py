"""Starts parts by forking from a process that has imported everything: a life costs tenths of a second.

What runs in the child is the whole part, `jifang.parts.run_part` as `jifang part` runs it; only the imports
are shared. `python -m tests.torture.nursery` is told on standard input what to start, as JSON lines, and
tells on standard output the process ids and how each ended.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

_PR_SET_PDEATHSIG = 1
_READ_BYTES = 65536


class Life(Protocol):
    """A process of ours, from its start to its end."""

    @property
    def pid(self) -> int: ...
    @property
    def alive(self) -> bool: ...
    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        ...


@dataclass
class _Forked:
    """A child of the nursery."""

    pid: int
    status: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def alive(self) -> bool:
        return not self.ended.is_set()

    def wait(self, timeout_s: float) -> bool:
        return self.ended.wait(timeout_s)


class Spawned:
    """A child of ours, started by a command."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        with log.open("ab") as words:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into libc
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


class Nursery:
    """The process that forks, seen from the one that orders."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as words:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.nursery"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into libc
            )
        self._ordering = threading.Lock()
        self._born: dict[int, _Forked] = {}
        self._told = threading.Condition()
        self._pids: list[int] = []
        self._reader = threading.Thread(target=self._read, name="nursery", daemon=True)
        self._reader.start()

    def start(self, order: dict[str, Any]) -> Life:
        """Forks a child that does what `order` says (see `_be`)."""
        with self._ordering:
            stdin = self._process.stdin
            if stdin is None or self._process.poll() is not None:
                raise RuntimeError("the nursery has ended")
            stdin.write(json.dumps(order).encode() + b"\n")
            stdin.flush()
            with self._told:
                if not self._told.wait_for(lambda: bool(self._pids), 60):
                    raise RuntimeError("the nursery doesn't answer")
                return self._born[self._pids.pop(0)]

    def close(self) -> None:
        """Ends the nursery; its children die with it."""
        self._process.kill()
        self._process.wait(10)
        self._reader.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        stdout = self._process.stdout
        for line in stdout or ():
            told = json.loads(line)
            with self._told:
                life = self._born.setdefault(told["pid"], _Forked(told["pid"]))
                if "status" in told:
                    life.status = told["status"]
                    life.ended.set()
                    self._born.pop(life.pid, None)
                else:
                    self._pids.append(life.pid)
                    self._told.notify_all()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tell(told: dict[str, int]) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


def _import_everything() -> None:
    import adapters.run  # noqa: F401
    import edge.run  # noqa: F401
    import hub.app  # noqa: F401
    import jifang.parts  # noqa: F401
    import tests.torture.dying
    import tests.torture.load  # noqa: F401


def _be(order: dict[str, Any]) -> None:
    """Child: `part` with `settings` (a part of the product) or `load` (a load sender); `log`; `die` as
    (function, line, nth); `overhear`, a ledger of what its outboxes take."""
    from tests.torture import dying
    from tests.torture.lines import Point

    _die_with_parent()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for standard in (1, 2):
        os.dup2(log, standard)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if order.get("overhear"):
        dying.overhear(Path(order["overhear"]))
    if order.get("die"):
        function, line, nth = order["die"]
        dying.die_at(Point(function, line), nth)
    if "load" in order:
        from tests.torture.load import LoadSettings
        from tests.torture.load import main as run_load
        from wire.bus import Broker

        told = order["load"]
        run_load(
            LoadSettings(
                told["name"],
                Path(told["folder"]),
                Path(told["ledger"]),
                Broker(**told["broker"]),
                told["per_s"],
            )
        )
    else:
        from jifang.parts import lay_out, run_part
        from jifang.settings import load

        path = Path(order["settings"])
        run_part(order["part"], lay_out(load(path), path))


def main() -> None:
    """Serves until standard input ends."""
    _import_everything()
    gc.collect()
    gc.freeze()
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    os.set_blocking(ours, False)
    signal.set_wakeup_fd(theirs)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    waiting = b""
    while True:
        ready, _, _ = select.select([0, ours], [], [])
        if ours in ready:
            os.read(ours, _READ_BYTES)
            _reap()
        if 0 in ready:
            chunk = os.read(0, _READ_BYTES)
            if not chunk:
                return
            *orders, waiting = (waiting + chunk).split(b"\n")
            for order in orders:
                _fork(json.loads(order), (ours, theirs))


def _fork(order: dict[str, Any], ours: tuple[int, int]) -> None:
    pid = os.fork()
    if pid:
        _tell({"pid": pid})
        return
    status = 1
    try:
        for one in ours:
            os.close(one)
        _be(order)
        status = 0
    except BaseException:  # noqa: BLE001 - the child's last words; nothing of the nursery may run on in it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell({"pid": pid, "status": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main()
