"""What has to be rendered before a camera can be served, as values that travel to a worker process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from simulator.scenes import covered, film, reel
from simulator.scenes.programme import Programme
from simulator.scenes.reel import Encoding, ReelWriter
from simulator.scenes.street import FPS, Planes, Street

EDITION = 1
"""Raised whenever the drawing or the encoding changes, so that an old cache isn't taken for a new one."""

MAIN = Encoding(1280, 720, FPS, FPS * 2, kbit_s=3000, quality=25)
SUB = Encoding(640, 360, 5, 10, kbit_s=160, quality=26, preset="veryfast")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class StreetJob:
    """A rendered street: both its streams show the same instants."""

    scene: str
    seed: int
    caption: str
    programme: Programme

    @property
    def key(self) -> str:
        return f"street-{_digest(asdict(self))}"

    def run(self, folder: Path, progress: Progress) -> None:
        """Renders and encodes; `progress(done, of)` in frames."""
        street = Street(self.scene, self.seed, self.programme, self.caption)
        main, sub = stems(folder, self.key)
        with ReelWriter(main, MAIN) as main_writer, ReelWriter(sub, SUB) as sub_writer:
            self._encode(street, main_writer, sub_writer, progress)
            for writer in (main_writer, sub_writer):
                writer.close(self.programme.clips(), self.programme.length_s)
        for encoding in (MAIN, SUB):
            covered.render_covered(folder, encoding)

    def _encode(self, street: Street, main: ReelWriter, sub: ReelWriter, progress: Progress) -> None:
        half = Planes(SUB.width_px, SUB.height_px)
        total = self.programme.rendered_s * FPS
        for index, frame in enumerate(street.frames()):
            main.add(frame.buffer)
            if index % (FPS // SUB.fps) == 0:
                frame.halved(half)
                sub.add(half.buffer)
            progress(index + 1, total)


@dataclass(frozen=True)
class FilmJob:
    """A film, with the marks by which a changed file is told from the one in the cache."""

    film: str
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> FilmJob:
        """Raises FileNotFoundError where there is no such file."""
        facts = path.stat()
        return cls(str(path.resolve()), facts.st_size, facts.st_mtime_ns)

    @property
    def key(self) -> str:
        return f"film-{_digest(asdict(self))}"

    def run(self, folder: Path, progress: Progress) -> None:
        """Transcodes; `progress(done, of)` in frames of the film."""
        main, sub = stems(folder, self.key)
        shape = film.transcode(Path(self.film), main, sub, progress)
        for encoding in (shape.main, shape.sub):
            covered.render_covered(folder, encoding)


Job = StreetJob | FilmJob


def stems(folder: Path, key: str) -> tuple[Path, Path]:
    """Where a job's main and sub reel lie in the cache."""
    return folder / f"{key}-main", folder / f"{key}-sub"


def finished(folder: Path, job: Job) -> bool:
    """Whether the cache holds everything of the job."""
    return all(reel.exists(stem) and reel.exists(covered_stem(stem)) for stem in stems(folder, job.key))


def covered_stem(stem: Path) -> Path:
    """The covered reel that goes with a finished reel."""
    own = reel.Reel.load(stem)
    return covered.stem_for(stem.parent, Encoding(own.width_px, own.height_px, own.fps, own.fps))


def to_text(job: Job) -> str:
    """The job as one argument of a command line."""
    return json.dumps({"sort": type(job).__name__, **asdict(job)})


def from_text(text: str) -> Job:
    """Raises ValueError for a job of a sort that is not known."""
    fields = json.loads(text)
    sort = fields.pop("sort")
    if sort == StreetJob.__name__:
        return StreetJob(**{**fields, "programme": Programme(**fields["programme"])})
    if sort == FilmJob.__name__:
        return FilmJob(**fields)
    raise ValueError(f"sort: {sort!r} is not a rendering job")


def _digest(fields: dict[str, object]) -> str:
    text = json.dumps([EDITION, fields], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
