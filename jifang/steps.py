"""Long work on a terminal: a bar for each step, with counts, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Beat: TypeAlias = Callable[[int], None]
"""Told how many more are done."""


class Steps(Protocol):
    """Who is told how far long work is."""

    def step(self, what: str, total: int | None) -> Beat:
        """A new step begins; tell the returned function how many more are done. `total` None: not known."""
        ...


class Silent:
    """Nobody is told."""

    def step(self, what: str, total: int | None) -> Beat:  # noqa: ARG002 - as in `Steps`
        """Tells nobody."""
        return lambda _more: None


class Bars:
    """One bar under the other."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def step(self, what: str, total: int | None) -> Beat:
        """A bar."""
        task = self._progress.add_task(what, total=total)
        return lambda more: self._progress.advance(task, more)


@contextmanager
def bars(screen: Console) -> Iterator[Bars]:
    """Bars for as long as the work lasts."""
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=screen) as progress:
        yield Bars(progress)
