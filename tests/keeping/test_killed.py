"""kill -9 and a full disk in the middle of a backup, a restoring and a run of retention."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.domain.retention import Terms
from hub.retention import Pace, Retention, read_history
from hub.store.engine import Store
from jifang.settings import Settings, StoreSettings, dump
from jifang.steps import Silent
from jifang.verify import verify_archive, verify_store
from tests.hub_core.conftest import HandClock
from tests.keeping.conftest import ON_ONE, Keep, jpeg, open_keep
from tests.keeping.test_archive import backed_up, put_back


def settings_for(keep: Keep, folder: Path) -> Path:
    file = folder / "jifang.toml"
    file.write_text(dump(Settings(data=str(keep.data), store=StoreSettings(url=keep.url))), encoding="utf-8")
    return file


def until(what: Callable[[], bool], process: subprocess.Popen[bytes], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@ON_ONE
def test_a_backup_that_is_killed_leaves_no_archive(keep: Keep, tmp_path: Path) -> None:
    """A picture that is a pipe holds the backup up half way through."""
    for number in range(5):
        keep.motion(jpeg(number))
    held = keep.data / "stills" / "ff" / ("f" * 64)
    held.parent.mkdir(exist_ok=True)
    os.mkfifo(held)
    file = tmp_path / "night.jifang"
    settings = settings_for(keep, tmp_path)
    command = [sys.executable, "-m", "jifang", "backup", str(file), "--settings", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: any(one.stat().st_size for one in tmp_path.glob(".night.*.part")), process)
        process.send_signal(signal.SIGKILL)
    assert not file.exists()
    held.unlink()
    backed_up(keep, file)
    assert verify_archive(file, Silent()).ok
    assert not list(tmp_path.glob(".night.*.part")), "what the killed one left is tidied away"


@ON_ONE
def test_a_disk_that_is_full_half_way_leaves_no_archive(keep: Keep, tmp_path: Path) -> None:
    for _ in range(200):
        keep.put(os.urandom(2_000))
    file = tmp_path / "night.jifang"
    command = [
        sys.executable, "-m", "jifang", "backup", str(file), "--settings", str(settings_for(keep, tmp_path)),
    ]  # fmt: skip

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [one.name for one in tmp_path.iterdir() if "night" in one.name]


def test_a_run_of_retention_that_is_killed_leaves_a_provable_log(
    store_url: str, tmp_path: Path, clock: HandClock
) -> None:
    keep = open_keep(store_url, tmp_path / "data", clock)
    for number in range(12):
        keep.motion(jpeg(number))
    keep.close_incident(keep.burglary())
    keep.days(1)
    for number in range(12):
        keep.motion(jpeg(100 + number))
    keep.days(91)
    keep.motion()
    now = keep.clock.now.isoformat()
    keep.store.close()
    command = [sys.executable, "-m", "tests.keeping.killed", store_url, str(keep.data), now]
    for commits in (2, 4):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for _ in range(commits):
                assert process.stdout.readline()
                process.stdin.write("\n")
                process.stdin.flush()
            assert process.stdout.readline()
            process.kill()
        found = verify_store(store_url, keep.data, Silent())
        assert [one for one in found.faults if one.where != "stills"] == []
        assert found.pruned_entries > 0
    again = Store.open(store_url, clock=keep.clock)
    try:
        assert read_history(again.query).unfinished, "the next start goes on at once"
        Retention(again, keep.blobs, keep.clock, Terms(), pace=Pace(rest=0.0)).run()
        assert not read_history(again.query).unfinished
    finally:
        again.close()
    found = verify_store(store_url, keep.data, Silent())
    assert found.faults == []
    assert found.stills == 12, "pictures around the incident stay, the next day's are gone"


@pytest.mark.parametrize(
    ("store_url", "at"), [("sqlite", "end"), ("postgresql", "tables")], indirect=["store_url"]
)
def test_a_restoring_that_is_killed_leaves_an_empty_store(
    keep: Keep, store_url: str, tmp_path: Path, at: str, request: pytest.FixtureRequest
) -> None:
    keep.motion(jpeg(1))
    file = tmp_path / "a.jifang"
    backed_up(keep, file)
    target = f"sqlite:///{tmp_path}/killed.db"
    if store_url.startswith("postgresql"):
        target = request.getfixturevalue("postgresql").database("killed")
    patch = {"tables": "load", "end": "_tell"}[at]
    program = (
        "import os, signal, sys\n"
        "from datetime import datetime, UTC\n"
        "from pathlib import Path\n"
        "import jifang.restore as r\n"
        "from jifang.steps import Silent\n"
        f"real, calls = r.{patch}, []\n"
        "def dying(*given):\n"
        "    calls.append(1)\n"
        "    real(*given)\n"
        f"    if len(calls) == {5 if at == 'tables' else 1}: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"r.{patch} = dying\n"
        "r.restore(r.RestoreOptions(file=Path(sys.argv[1]), store_url=sys.argv[2], data=Path(sys.argv[3])),"
        " datetime.now(UTC), Silent())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file), target, str(tmp_path / "new")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (tmp_path / "new" / "seal.key").unlink(missing_ok=True)
    restored = put_back(file, target, tmp_path / "new")
    assert restored.verified.ok
    assert restored.verified.stills == 1
