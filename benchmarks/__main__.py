"""`make bench`: runs benchmarks one after the other and writes what they found into `benchmarks/README.md`.

Each result is kept in `benchmarks/results/` with its date and commit, so the page stays true where only some
were run again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.figures import meaning
from benchmarks.plots import draw

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"

BENCHMARKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "motion": ("motion",),
        "intake": ("intake",),
        "feed": ("feed",),
        "foreign": ("foreign",),
        "growth": ("growth",),
        "growth_postgresql": ("growth", "--store", "postgresql"),
    }
)
"""Name → module and arguments, in the order of the page."""
LONG = ("growth", "growth_postgresql")
"""Take over ten minutes: run where they are asked for, or with `--all`."""


def main() -> int:
    """Runs what is asked for; exit status 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--all", action="store_true", help="the long ones too")
    parser.add_argument("--short", action="store_true", help="runs in seconds, keeps nothing: proves it runs")
    given = parser.parse_args()
    unknown = set(given.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    names = given.names or [name for name in BENCHMARKS if given.all or name not in LONG]
    failed = [name for name in names if not run(name, short=given.short)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def run(name: str, *, short: bool) -> bool:
    """Runs one, prints its result and, unless `short`, keeps it; False where it failed."""
    if short and name == "motion":
        return True  # it measures detectors on rendered scenes: there is no short form of that
    print(f"benchmarks.{name} …", file=sys.stderr, flush=True)
    module, *more = BENCHMARKS[name]
    command = [sys.executable, "-m", f"benchmarks.{module}", *more, *(("--short",) if short else ())]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, cwd=FOLDER.parent)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        print(f"benchmarks.{name}: exit status {done.returncode}", file=sys.stderr)
        return False
    print(lines[-1], flush=True)
    result = json.loads(lines[-1])
    if short:
        with tempfile.TemporaryDirectory(prefix="jifang-bench-page-") as folder:
            page([result | _circumstances()], Path(folder))
        return True
    keep(result | _circumstances(), name)
    return True


def keep(result: Mapping[str, Any], name: str) -> None:
    """Writes a result down, and the page of all of them."""
    RESULTS.mkdir(exist_ok=True)
    told = json.dumps(result, ensure_ascii=False, indent=1)
    (RESULTS / f"{name}.json").write_text(told + "\n", encoding="utf-8")
    (FOLDER / "README.md").write_text(page(kept(), FOLDER), encoding="utf-8")


def kept() -> list[dict[str, Any]]:
    """The last result of each benchmark, in the page's order."""
    files = [RESULTS / f"{name}.json" for name in BENCHMARKS]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def page(results: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """The last run of each benchmark, with machine and commit; pictures go into `folder`."""
    lines = [
        "# Benchmarks",
        "",
        "One module a claim. Each prints one JSON object last and measures its own floor or baseline in the"
        " same run: read the ratios, the machine is shared and noisy. `make bench` runs all but the long ones"
        " and writes this page; `make bench ARGS=--all` runs every one (over an hour: let nothing else run),"
        " `make bench ARGS='growth intake'` those named, `make bench ARGS=--short` proves in a minute that"
        " they run. Results are kept in `results/`.",
    ]
    for result in results:
        lines += ["", f"## {result['name']}", "", _circumstances_told(result), ""]
        if draw(result, folder):
            lines += [f"![{result['name']}]({result['name']}.png)", ""]
        lines += ["| figure | value | what it is |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {_shown(value)} | {meaning(name)} |" for name, value in result["figures"].items()
        ]
        for part in ("baseline", "ratio", "conditions"):
            lines += ["", f"{part.capitalize()}: {_shown(result[part])}"]
    return "\n".join(lines) + "\n"


def _circumstances() -> dict[str, str]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "machine": f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores"
        f" ({_processor()})",
    }


def _circumstances_told(result: Mapping[str, Any]) -> str:
    if "date" not in result:
        return "Not kept."
    return f"Run on {result['date']}, commit {result['commit']}, {result['machine']}."


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
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=FOLDER)
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
