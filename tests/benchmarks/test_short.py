"""Each benchmark of the hub in its short form runs to its end and tells figures of the documented shape."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import page
from benchmarks.figures import meaning
from benchmarks.plots import draw

ROOT = Path(__file__).parent.parent.parent


def short(name: str, *more: str) -> dict[str, Any]:
    """The result of `python -m benchmarks.{name} --short`."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--short", *more]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout.splitlines()[-1])
    assert isinstance(told, dict)
    return told


def check_shape(result: dict[str, Any], folder: Path) -> None:
    """Keys, the documented figures, a page and a picture of it."""
    assert set(result) == {"name", "figures", "baseline", "ratio", "conditions"}
    assert result["ratio"] > 0
    assert "load_1m_before" in result["conditions"]
    assert all(meaning(key) for key in result["figures"])
    assert f"## {result['name']}" in page([result], folder)
    picture = draw(result, folder)
    assert picture is not None
    assert picture.stat().st_size > 5_000


@pytest.mark.timeout(240)
def test_intake_loses_nothing_where_the_hub_is_killed(tmp_path: Path) -> None:
    result = short("intake", "--store", "sqlite")
    check_shape(result, tmp_path)
    figures = result["figures"]
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["kills"] >= 1
    assert figures["observations_per_s"] > 0
    assert result["baseline"]["group_commit_per_s"] > 0


@pytest.mark.timeout(240)
def test_growth_measures_the_real_hub_over_two_lengths(tmp_path: Path) -> None:
    result = short("growth")
    check_shape(result, tmp_path)
    small, large = result["baseline"]["entries"]
    assert large > small
    assert len(result["figures"]["intake_per_s"]) == 2


@pytest.mark.timeout(240)
def test_saving_on_change_loses_no_more_than_one_save(tmp_path: Path) -> None:
    """Mosquitto acknowledges a message in the turn in which it saves it, and before it does."""
    result = short("foreign")
    check_shape(result, tmp_path)
    in_flight = 20 * result["conditions"]["devices"]
    assert 0 <= result["figures"]["away_lost"] <= in_flight
    assert result["figures"]["away_per_s"] > 0
    lost_by_default = result["baseline"]["away_lost_defaults"]
    assert lost_by_default == result["conditions"]["messages"], "or this measures nothing"
