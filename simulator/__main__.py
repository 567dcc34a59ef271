"""`python -m simulator`: a district of simulated field devices, on network protocols only."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from simulator.district import MAX_CAMERAS, MAX_CARS, MAX_PANELS, Camera, build_district
from simulator.ledger import Ledger
from simulator.line import Access
from simulator.run import Cameras, CamerasFailed, NoCameras, Options, Run
from simulator.story import MARKET_NIGHT, StoryError, read_story

_ABOUT = """\
模拟辖区：摄像机、报警主机、巡逻车，只通过网络协议与外界通信。
A simulated district: ONVIF cameras with RTSP, alarm panels over MQTT (Home Assistant and Paradox PAI),
patrol cars (OwnTracks over MQTT, JT/T 808 over TCP). Random life beside a scripted story, all from one seed.
It runs until SIGTERM, then waits for its last acknowledgements."""

_ENDING = """\
The broker's account is taken from the environment: FIELD_USER, FIELD_PASSWORD.
The description is a site file (docs/design/seams.md); the ledger has one JSON line for each thing that was
acknowledged to a device."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m simulator",
        description=_ABOUT,
        epilog=_ENDING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--describe", type=Path, required=True, metavar="FILE", help="site file to write when all listens"
    )
    made.add_argument(
        "--ledger", type=Path, required=True, metavar="FILE", help="what was acknowledged; appended to"
    )
    made.add_argument(
        "--broker", type=_address, default=("127.0.0.1", 18830), metavar="HOST:PORT", help="MQTT broker"
    )
    made.add_argument(
        "--jt808", type=_address, default=("127.0.0.1", 18808), metavar="HOST:PORT", help="JT/T 808 platform"
    )
    made.add_argument("--seed", type=int, default=1, help="same seed, same run (default 1)")
    made.add_argument(
        "--story",
        type=Path,
        default=MARKET_NIGHT,
        metavar="FILE",
        help="TOML story (default: a burglary at a market)",
    )
    made.add_argument(
        "--cameras", type=_count(MAX_CAMERAS), default=MAX_CAMERAS, metavar="N", help=f"0 to {MAX_CAMERAS}"
    )
    made.add_argument(
        "--panels", type=_count(MAX_PANELS), default=MAX_PANELS, metavar="N", help=f"0 to {MAX_PANELS}"
    )
    made.add_argument("--cars", type=_count(MAX_CARS), default=MAX_CARS, metavar="N", help=f"0 to {MAX_CARS}")
    made.add_argument(
        "--footage",
        type=_film,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="films, each served as one more camera",
    )
    made.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "jifang" / "simulator",
        metavar="DIR",
        help="rendered streams are kept here",
    )
    made.add_argument(
        "--rate", type=float, default=1.0, help="random life: 1 as usual, 0 none, 2 twice as much"
    )
    made.add_argument(
        "--settle",
        type=float,
        default=8.0,
        metavar="SECONDS",
        help="quiet after the description is written, to import it (default 8)",
    )
    made.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="clock of panels and cars: 10 is ten times as fast, for tests",
    )
    made.add_argument("--verbose", action="store_true", help="also what happens on each connection")
    return made


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _count(most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or int(text) > most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {most}")
        return int(text)

    return count


def _film(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no file")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT; 0 when it ended in order."""
    given = parser().parse_args(arguments)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if given.verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        options = _options(given)
    except StoryError as error:
        sys.stderr.write(f"python -m simulator: {given.story}: {error}\n")
        return 2
    try:
        asyncio.run(_live(options, given.cache))
    except CamerasFailed as error:
        sys.stderr.write(f"python -m simulator: cameras: {error}\n")
        return 1
    return 0


def _options(given: argparse.Namespace) -> Options:
    host, port = given.broker
    return Options(
        describe=given.describe,
        ledger=given.ledger,
        access=Access(host, port, os.environ.get("FIELD_USER", ""), os.environ.get("FIELD_PASSWORD", "")),
        jt808=given.jt808,
        seed=given.seed,
        story=read_story(given.story, build_district()),
        panels=given.panels,
        cameras=given.cameras,
        cars=given.cars,
        footage=given.footage,
        rate=given.rate,
        settle_s=given.settle,
        speed=given.speed,
    )


async def _live(options: Options, cache: Path) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)

    def make_cameras(cameras: Sequence[Camera], ledger: Ledger) -> Cameras:
        if not cameras:
            return NoCameras()
        from simulator.fleet import StreetCameras  # not before it is needed: it brings OpenCV and PyAV

        return StreetCameras(cameras, ledger, cache, options.seed)

    await Run(options, make_cameras).live(end)


if __name__ == "__main__":
    sys.exit(main())
