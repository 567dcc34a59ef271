"""`python -m simulator` as the product starts it: description, ledger, SIGTERM, same seed same run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hub import sitefile
from simulator.__main__ import parser
from simulator.description import CameraAccess, site_file
from simulator.district import build_district
from wire.bus import Broker


def test_help_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "模拟辖区" in text
    for option in ("--describe", "--ledger", "--broker", "--jt808", "--seed", "--footage", "--story"):
        assert option in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--broker", "nowhere"], "'nowhere' is not HOST:PORT"),
        (["--panels", "41"], "'41' is not a number from 0 to 40"),
        (["--footage", "/nowhere.mp4"], "'/nowhere.mp4' is no file"),
        (["--seed", "x"], "invalid int value"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--describe", "d", "--ledger", "l", *arguments])
    assert reason in capsys.readouterr().err


def test_the_whole_description_is_a_site_file_the_hub_takes() -> None:
    district = build_district(footage=[Path("car detection.mp4")])
    access = CameraAccess(
        "http://127.0.0.1:8000/onvif/device_service", "rtsp://127.0.0.1:8554/a", "", "u", "p"
    )
    text = json.dumps(site_file(district, lambda _: access), ensure_ascii=False)
    file = sitefile.parse(text.encode())
    assert (len(file.cameras), len(file.panels), len(file.units), len(file.checkpoints)) == (13, 40, 8, 4)
    assert len(file.sites) >= 25
    assert {unit.tracker.protocol for unit in file.units if unit.tracker} == {"owntracks", "jt808"}
    assert all(any(c.checkpoint == k.id for c in file.cameras) for k in file.checkpoints)
    positions = {one.id for one in file.positions}
    assert {zone.position for panel in file.panels for zone in panel.zones} - {""} <= positions
    assert {one.source.partition(":")[0] for one in file.evidence} == {"camera", "panel", "tracker"}


def run_for(
    broker: Broker, folder: Path, seed: int, lines: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One run of a small district, ended by SIGTERM once the ledger has so many lines."""
    folder.mkdir()
    ledger = folder / "ledger.jsonl"
    command = [
        *(sys.executable, "-m", "simulator", "--describe", str(folder / "d.json"), "--ledger", str(ledger)),
        *("--broker", f"{broker.host}:{broker.port}", "--jt808", "127.0.0.1:1", "--seed", str(seed)),
        *("--cameras", "0", "--panels", "2", "--cars", "1", "--settle", "0", "--speed", "40"),
    ]
    environment = {**os.environ, "FIELD_USER": broker.user, "FIELD_PASSWORD": broker.password}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while not ledger.exists() or len(ledger.read_text(encoding="utf-8").splitlines()) < lines:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 0, errors
    assert broker.password not in errors
    assert all(json.loads(line)["level"] == "info" for line in errors.splitlines())
    written = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    return json.loads((folder / "d.json").read_text(encoding="utf-8")), written


def kept(lines: list[dict[str, Any]], source: str) -> list[dict[str, Any]]:
    """What doesn't depend on the wall clock."""
    clocks = ("at", "acked_at", "device_at")
    return [{k: v for k, v in one.items() if k not in clocks} for one in lines if one["source"] == source]


def test_the_same_seed_gives_the_same_run(field_broker: Broker, tmp_path: Path) -> None:
    described, first = run_for(field_broker, tmp_path / "one", 5, 14)
    again, second = run_for(field_broker, tmp_path / "two", 5, 14)
    assert described == again
    assert (tmp_path / "one" / "d.json").stat().st_mode & 0o077 == 0, "it holds passwords"
    for source in ("tracker:u-0121", "panel:p-01"):
        one, two = kept(first, source), kept(second, source)
        shared = min(len(one), len(two))
        assert shared >= 3
        assert one[:shared] == two[:shared]


def test_a_story_that_cannot_be_told_ends_it_at_once(tmp_path: Path) -> None:
    story = tmp_path / "bad.toml"
    story.write_text('id = "x"\n[[step]]\nat = 1\ndevice = "panel:p-77"\ndo = "arm"\n', encoding="utf-8")
    command = [sys.executable, "-m", "simulator", "--describe", "d", "--ledger", "l", "--story", str(story)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(Path.cwd())})  # fmt: skip
    assert done.returncode == 2
    assert "step 1: device: no 'panel:p-77'" in done.stderr
