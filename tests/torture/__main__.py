"""`python -m tests.torture`: kills everything in turn over both stores and counts. Last line: JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.torture.lines import Renamed
from tests.torture.plan import Extent
from tests.torture.run import Order, Result, figures, torture
from tests.torture.world import POSTGRESQL, SQLITE, Scale

ALL = 100_000
LONG_SCALE = Scale(loads=3, per_s=65.0, changes_per_s=40.0, cameras=3, hub_disk_mb=1500, outbox_disk_mb=48)
LONG = Extent(
    lines={"hub": ALL, "adapters": ALL, "edge": 16, "load": ALL, "store": ALL},
    random={"hub": 40, "adapters": 16, "edge": 8, "load": 18, "broker": 24, "postgresql": 20},
    breath_s=(2.0, 7.0),
    weather=48,
    weather_s=(1.0, 6.0),
    reach_s={"hub": 6.0, "adapters": 5.0, "edge": 8.0, "load": 5.0},
    least_s={"hub": 3.0, "adapters": 4.0, "edge": 10.0, "load": 15.0},
)
SHORT_SCALE = Scale(loads=2, per_s=60.0, changes_per_s=15.0, cameras=1, hub_disk_mb=300, outbox_disk_mb=32)
SHORT = Extent(
    lines={"hub": 5, "adapters": 3, "edge": 1, "load": 3, "store": 1},
    random={"hub": 2, "adapters": 1, "edge": 1, "load": 2, "broker": 2, "postgresql": 2},
    breath_s=(1.0, 3.0),
    weather=8,
    weather_s=(0.2, 0.8),
    reach_s={"hub": 6.0, "adapters": 6.0, "edge": 6.0, "load": 5.0},
    least_s={"hub": 1.0, "adapters": 1.0, "edge": 1.0, "load": 1.0},
)


def options() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    made.add_argument("--store", choices=(SQLITE, POSTGRESQL, "both"), default="both")
    made.add_argument("--kills", type=int, default=200, help="at least so many, over all stores")
    made.add_argument("--acknowledged", type=int, default=200_000, help="at least so many, over all stores")
    made.add_argument(
        "--minutes", type=float, default=30.0, help="no new faults after so many, over all stores"
    )
    made.add_argument("--seed", type=int, default=1, help="the same seed plans the same run")
    made.add_argument("--short", action="store_true", help="a handful of each kind: what `make test` runs")
    made.add_argument("--keep", action="store_true", help="leave the folder, logs and ledgers in it")
    return made


def orders(given: argparse.Namespace) -> list[Order]:
    """One for each store."""
    stores = (SQLITE, POSTGRESQL) if given.store == "both" else (given.store,)
    each = len(stores)
    short = given.short
    return [
        Order(
            store=store,
            seed=given.seed,
            scale=SHORT_SCALE if short else LONG_SCALE,
            extent=SHORT if short else LONG,
            kills=0 if short else -(-given.kills // each),
            acknowledged=1000 if short else -(-given.acknowledged // each),
            limit_s=26.0 if short else given.minutes * 60 / each,
            dry_s=60.0 if short else 240.0,
            # Between them, two stores meet every line: half of them each, and those of their own.
            share=(n, each) if not short else (0, 1),
        )
        for n, store in enumerate(stores)
    ]


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """The last line."""
    by_store = {result.store: figures(result) for result in results}
    total: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for one in by_store.values():
        for name in ("kills", "acknowledged", "lost", "doubled", "gaps_unannounced"):
            total[name] += one[name]
        kinds.update(one["kills_by"])
        kinds.update(one["weather"])
    names = ("kills", "acknowledged", "lost", "doubled", "gaps_unannounced")
    return {
        **{name: total[name] for name in names},
        "holds": all(result.holds for result in results),
        "faults": dict(sorted(kinds.items())),
        "stores": by_store,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where everything that is promised held; 1 where not; 2 where the list of lines is out of date."""
    given = options().parse_args(arguments)
    screen = Console(stderr=True)
    begun = time.monotonic()

    def say(text: str) -> None:
        screen.print(f"[dim]{time.monotonic() - begun:6.0f} s[/dim]  {text}", highlight=False, soft_wrap=True)

    results = []
    try:
        for order in orders(given):
            results.append(torture(order, say, keep=given.keep))
            screen.print(_table(results[-1]))
    except Renamed as error:
        screen.print(f"[red]{error}[/red]")
        return 2
    told = summary(results)
    print(json.dumps(told, ensure_ascii=False))
    return 0 if told["holds"] else 1


def _table(result: Result) -> Table:
    table = Table(title=f"torture on {result.store}: {'held' if result.holds else 'NOT HELD'}")
    table.add_column("what")
    table.add_column("", justify="left", overflow="fold")
    for name, value in figures(result).items():
        if value not in ([], {}, ""):
            table.add_row(name, json.dumps(value, ensure_ascii=False))
    return table


if __name__ == "__main__":
    sys.exit(main())
