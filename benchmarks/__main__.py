"""`make bench`: runs every benchmark and writes the table of this run into `benchmarks/README.md`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.plots import draw

FOLDER = Path(__file__).parent
BENCHMARKS = ("motion", "intake")


def main() -> int:
    """Runs all; exit status 1 where one failed."""
    results, failed = [], False
    for name in BENCHMARKS:
        print(f"benchmarks.{name} …", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        run = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
        if run.returncode or not lines:
            print(f"benchmarks.{name}: exit status {run.returncode}", file=sys.stderr)
            failed = True
            continue
        results.append(json.loads(lines[-1]))
        print(lines[-1])
    (FOLDER / "README.md").write_text(page(results), encoding="utf-8")
    return int(failed)


def page(results: list[dict[str, Any]]) -> str:
    """The table of a run, with machine and commit."""
    lines = [
        "# Benchmarks",
        "",
        "One module a claim. Each prints one JSON object last and measures its own floor or baseline in the"
        " same run: read the ratios, the machine is shared and noisy. `make bench` runs all and writes this.",
        "",
        f"Last run: {datetime.now(UTC):%Y-%m-%d}, commit {_commit()}, {platform.python_implementation()}"
        f" {platform.python_version()}, {os.cpu_count()} cores ({_processor()}).",
    ]
    for result in results:
        lines += ["", f"## {result['name']}", ""]
        if draw(result, FOLDER):
            lines += [f"![{result['name']}]({result['name']}.png)", ""]
        lines += ["| figure | value |", "|---|---|"]
        lines += [f"| `{name}` | {_shown(value)} |" for name, value in result["figures"].items()]
        for part in ("baseline", "ratio", "conditions"):
            lines += ["", f"{part.capitalize()}: {_shown(result[part])}"]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value)
    return str(value)


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=FOLDER)
    return run.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
