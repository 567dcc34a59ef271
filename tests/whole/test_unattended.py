"""`jifang demo --for … --json`: ends by itself, with one JSON object last, counted at both ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(900)
def test_an_unattended_run_loses_nothing_and_closes_the_story(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jifang", "demo", "--for", "120", "--json", "--port", "0"]
    command += ["--data", str(tmp_path / "data")]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    figures = json.loads(run.stdout.strip().splitlines()[-1])
    assert figures["acknowledged"] > 200
    assert (figures["lost"], figures["missing"]) == (0, [])
    assert (figures["doubled"], figures["twice"]) == (0, [])
    assert figures["incidents_closed"] >= 1
    assert figures["feed_gaps"] == 0
    assert figures["panel_to_feed_n"] > 0
    assert figures["panel_to_feed_p99_ms"] < 1000
    assert figures["motion_events"] >= 1
    assert figures["cameras_online"] == 12
    assert figures["coverage"]
    for target in figures["coverage"].values():
        assert 0 <= target["n"] <= target["d"]
    assert_no_secret_in_logs(tmp_path / "data", run.stderr)


def assert_no_secret_in_logs(data: Path, screen: str) -> None:
    """Neither the broker's passwords nor the cameras' stand in any part's log."""
    made = json.loads((data / "secrets.json").read_text())
    cameras = json.loads((data / "district.json").read_text())["cameras"]
    hidden = {*made.values(), *(camera["password"] for camera in cameras)}
    logs = list((data / "logs").glob("*.log"))
    assert len(logs) >= 5
    assert len(hidden) > 2
    for text in (*(log.read_text(errors="replace") for log in logs), screen):
        assert not [secret for secret in hidden if secret in text]
