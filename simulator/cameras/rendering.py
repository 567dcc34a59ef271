"""Sees to it that the cache holds what the cameras show: worker processes, as many as there are cores."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from simulator.scenes import jobs
from simulator.scenes.jobs import Job

WORKER = "simulator.scenes.worker"
_ROOT = Path(__file__).parents[2]


class RenderError(Exception):
    """Material couldn't be made; the message says of what and why."""


class Progress:
    """One line on stderr that tells how far all jobs have come."""

    def __init__(self, names: Iterable[str]) -> None:
        self._share = dict.fromkeys(names, 0.0)
        self._shown = -1

    def report(self, name: str, share: float) -> None:
        """`share` of that job is done, 0 to 1."""
        self._share[name] = min(share, 1.0)
        percent = int(100 * sum(self._share.values()) / len(self._share))
        done = sum(part >= 1 for part in self._share.values())
        if percent == self._shown:
            return
        self._shown = percent
        end = "\r" if sys.stderr.isatty() and percent < 100 else "\n"
        if end == "\r" or percent % 10 == 0:
            sys.stderr.write(f"rendering cameras: {percent:3d} % ({done}/{len(self._share)} ready){end}")
            sys.stderr.flush()


async def render(
    wanted: dict[str, Job], cache: Path, ready: Callable[[str], None], parallel: int | None = None
) -> None:
    """Makes what is missing; calls `ready(name)` for each job as soon as its material lies in the cache.

    Raises RenderError after the others are done where one couldn't be made.
    """
    missing = await asyncio.to_thread(_missing, wanted, cache)
    for name in wanted.keys() - missing.keys():
        ready(name)
    if not missing:
        return
    progress = Progress(missing)
    turns = asyncio.Semaphore(parallel or os.cpu_count() or 1)
    failures = await asyncio.gather(
        *(_one(turns, name, job, cache, progress, ready) for name, job in missing.items())
    )
    if told := [failure for failure in failures if failure]:
        raise RenderError("; ".join(told))


def _missing(wanted: dict[str, Job], cache: Path) -> dict[str, Job]:
    cache.mkdir(parents=True, exist_ok=True)
    return {name: job for name, job in wanted.items() if not jobs.finished(cache, job)}


async def _one(
    turns: asyncio.Semaphore,
    name: str,
    job: Job,
    cache: Path,
    progress: Progress,
    ready: Callable[[str], None],
) -> str:
    """Runs one job in a process of its own; the reason where it fails."""
    async with turns:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            WORKER,
            str(cache),
            jobs.to_text(job),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        try:
            _, complaint = await asyncio.gather(_follow(process, name, progress), _rest(process.stderr))
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode or not jobs.finished(cache, job):
        return f"{name}: {complaint.strip().splitlines()[-1] if complaint.strip() else 'rendering failed'}"
    progress.report(name, 1.0)
    ready(name)
    return ""


async def _follow(process: asyncio.subprocess.Process, name: str, progress: Progress) -> None:
    if process.stdout is None:
        return
    async for line in process.stdout:
        done, _, total = line.decode().partition(" ")
        if done.isdecimal() and total.strip().isdecimal() and int(total) > 0:
            progress.report(name, min(int(done) / int(total), 0.99))


async def _rest(stream: asyncio.StreamReader | None) -> str:
    return "" if stream is None else (await stream.read()).decode(errors="replace")
