"""The supervisor with real processes: started, logged, restarted after kill -9, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from jifang.supervisor import Part, Supervisor

LIVES = "import signal, sys; print('alive', flush=True); signal.pause()"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('alive', flush=True)\n"
    "while True: time.sleep(1)"
)


async def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Waits for `condition`."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether no such process is left."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_part_that_is_killed_comes_back_and_its_output_is_kept(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    supervisor = Supervisor(tmp_path, told=lambda name, what: told.append((name, what)))
    supervisor.start(Part("one", [sys.executable, "-c", LIVES]))
    log = tmp_path / "logs" / "one.log"
    await until(lambda: log.exists() and "alive" in log.read_text())
    first = supervisor.pid("one")
    assert first is not None
    assert (tmp_path / "run" / "one.pid").read_text() == str(first)
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pid("one") not in (None, first) and log.read_text().count("alive") == 2)
    second = supervisor.pid("one")
    assert second is not None
    await supervisor.stop_all()
    assert gone(second)
    assert ("one", "PartEnded: exit status -9") in told


async def test_a_part_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.start(Part("deaf", [sys.executable, "-c", STUBBORN]))
    log = tmp_path / "logs" / "deaf.log"
    await until(lambda: log.exists() and "alive" in log.read_text())
    pid = supervisor.pid("deaf")
    assert pid is not None
    await supervisor.stop("deaf", within_s=0.2)
    assert gone(pid)
    assert supervisor.pid("deaf") is None


async def test_the_environment_reaches_the_part_and_not_its_name_in_the_list(tmp_path: Path) -> None:
    part = Part("env", [sys.executable, "-c", "import os; print(os.environ['WORD'])"], {"WORD": "geheim"})
    assert "geheim" not in repr(part)
    supervisor = Supervisor(tmp_path)
    supervisor.start(part)
    log = tmp_path / "logs" / "env.log"
    await until(lambda: log.exists() and "geheim" in log.read_text())
    await supervisor.stop_all()


async def test_long_output_keeps_its_lines_whole(tmp_path: Path) -> None:
    told = "for n in range(3000): print(str(n).zfill(60))\n"
    told += "import signal; print('alive', flush=True); signal.pause()"
    supervisor = Supervisor(tmp_path)
    supervisor.start(Part("talks", [sys.executable, "-c", told]))
    log = tmp_path / "logs" / "talks.log"
    await until(lambda: log.exists() and "alive" in log.read_text())
    await supervisor.stop_all()
    assert log.read_text().splitlines() == [str(n).zfill(60) for n in range(3000)] + ["alive"]


async def test_a_grandchild_that_holds_the_pipe_does_not_hide_a_death(tmp_path: Path) -> None:
    leaves = (
        "import subprocess, sys; subprocess.Popen(['sleep', '30']); print('alive', flush=True); sys.exit(3)"
    )
    told: list[str] = []
    supervisor = Supervisor(tmp_path, told=lambda _name, what: told.append(what))
    supervisor.start(Part("parent", [sys.executable, "-c", leaves]))
    await until(lambda: "PartEnded: exit status 3" in told, timeout_s=10)
    await supervisor.stop_all()
