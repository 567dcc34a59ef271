"""Who passes a rendered camera and when: seeded, pure, and the ground truth of what moves in the picture."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from simulator.scenes.geometry import Eye, box_corners
from simulator.scenes.programme import Programme

Box = tuple[tuple[float, float, float], tuple[float, float, float]]

EDGE_S = 0.01
REACH_M = 80.0
"""Nothing is seen farther along the road than this."""
SEEN_SHARE = 0.001
"""A mover counts as seen from the moment it fills a thousandth of the picture."""
QUIET_EDGE_S = 0.6
"""Nothing moves so close to either end of the traffic clip, so that its joints show no jump."""
LOOK_EVERY_M = 2.5
APART_S = 3.0
"""Stretches of movement either overlap or lie at least so far apart."""


@dataclass(frozen=True)
class Kind:
    """A sort of mover: size in metres, and how many of a hundred movers are of it, by scene."""

    name: str
    length_m: float
    width_m: float
    height_m: float
    plated: bool


CAR = Kind("car", 4.6, 1.8, 1.45, plated=True)
VAN = Kind("van", 5.0, 1.9, 2.0, plated=True)
TRUCK = Kind("truck", 7.5, 2.3, 3.0, plated=True)
BUS = Kind("bus", 10.5, 2.5, 3.1, plated=True)
EBIKE = Kind("ebike", 1.8, 0.7, 1.6, plated=False)
WALKER = Kind("walker", 0.5, 0.6, 1.7, plated=False)


@dataclass(frozen=True)
class Scene:
    """What a sort of place looks like: its camera, its lanes (y in metres, direction, speed range in m/s)."""

    name: str
    height_m: float
    pitch_deg: float
    hfov_deg: float
    yaws_deg: tuple[float, ...]
    lanes: tuple[tuple[float, int, float, float], ...]
    movers: tuple[tuple[Kind, int], ...]
    passages: int


SCENES = {
    scene.name: scene
    for scene in (
        Scene("street", 6.0, 20.0, 68.0, (52.0, 58.0, 122.0, 128.0),
              ((9.0, 1, 8.0, 12.0), (12.5, 1, 9.0, 14.0), (16.5, -1, 8.0, 13.0)),
              ((CAR, 60), (VAN, 15), (BUS, 12), (TRUCK, 13)), 9),
        Scene("checkpoint", 4.6, 17.0, 44.0, (33.0, 147.0),
              ((5.5, 1, 2.8, 4.2), (9.5, -1, 3.0, 4.5)),
              ((CAR, 66), (VAN, 20), (TRUCK, 14)), 4),
        Scene("market", 5.2, 24.0, 66.0, (55.0, 62.0, 118.0, 125.0),
              ((7.0, 1, 1.1, 1.6), (9.5, 1, 3.5, 6.0), (12.5, -1, 3.5, 6.5)),
              ((EBIKE, 40), (WALKER, 25), (VAN, 20), (CAR, 15)), 6),
    )
}  # fmt: skip


def scene_of(name: str) -> Scene:
    """The scene of that name; any other place is drawn as a street."""
    return SCENES.get(name, SCENES["street"])


def eye_of(scene: Scene, seed: int) -> Eye:
    """The camera's eye: each seed stands and looks a little differently."""
    dice = random.Random(f"eye:{scene.name}:{seed}")
    yaw = scene.yaws_deg[seed % len(scene.yaws_deg)] + dice.uniform(-3, 3)
    return Eye(
        scene.height_m + dice.uniform(-0.4, 0.4),
        yaw,
        scene.pitch_deg + dice.uniform(-1, 1),
        scene.hfov_deg + dice.uniform(-3, 3),
    )


@dataclass(frozen=True)
class Passage:
    """One mover crossing the view. Its middle is at x = 0 at `zero_s` of the traffic clip."""

    kind: Kind
    colour_bgr: tuple[int, int, int]
    plate: str
    lane_m: float
    velocity_mps: float
    zero_s: float
    begin_s: float
    end_s: float

    def box(self, at_s: float) -> Box:
        """Its outer box at that second, in metres."""
        middle = self.velocity_mps * (at_s - self.zero_s)
        half, side = self.kind.length_m / 2, self.kind.width_m / 2
        return (
            (middle - half, self.lane_m - side, 0.0),
            (middle + half, self.lane_m + side, self.kind.height_m),
        )


COLOURS_BGR = (
    (235, 235, 235), (200, 200, 205), (40, 40, 45), (30, 30, 150),
    (140, 70, 30), (60, 110, 60), (90, 150, 190),
)  # fmt: skip
PROVINCES = "苏苏苏苏皖鲁沪"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def _plate(dice: random.Random) -> str:
    province = dice.choice(PROVINCES)
    city = "C" if province == "苏" else dice.choice("ABDEF")
    return f"{province}{city}" + "".join(dice.choice(LETTERS + "0123456789" * 3) for _ in range(5))


def _share_seen(eye: Eye, box: Box) -> float:
    """The share of the picture that a box covers, 0 to 1."""
    corners = eye.see(box_corners(*box))
    if (corners[:, 2] < 1.0).all():
        return 0.0
    depth = np.maximum(corners[:, 2:3], 1.0)
    centre = np.array([eye.width_px / 2, eye.height_px / 2])
    hull = cv2.convexHull((centre + eye.focal_px * corners[:, :2] / depth).astype(np.float32))
    frame = np.array(
        [[0, 0], [eye.width_px, 0], [eye.width_px, eye.height_px], [0, eye.height_px]], np.float32
    ).reshape(-1, 1, 2)
    area, _ = cv2.intersectConvexConvex(hull, frame)
    return float(area) / (eye.width_px * eye.height_px)


def _seen(eye: Eye, passage: Passage) -> tuple[float, float] | None:
    """(first, last) second, relative to its crossing of x = 0, at which the mover is seen; None: never."""

    def visible(at_s: float) -> bool:
        return _share_seen(eye, passage.box(at_s)) >= SEEN_SHARE

    reach_s = REACH_M / abs(passage.velocity_mps)
    step_s = LOOK_EVERY_M / abs(passage.velocity_mps)
    coarse = [t for t in np.arange(-reach_s, reach_s, step_s).tolist() if visible(t)]
    if not coarse:
        return None
    return _edge(visible, coarse[0] - step_s, coarse[0]), _edge(visible, coarse[-1] + step_s, coarse[-1])


def _edge(visible: Callable[[float], bool], out_s: float, in_s: float) -> float:
    """The instant between one out of sight and one in sight, to a hundredth of a second."""
    while abs(in_s - out_s) > EDGE_S:
        middle = (in_s + out_s) / 2
        out_s, in_s = (out_s, middle) if visible(middle) else (middle, in_s)
    return in_s


def _draw(scene: Scene, eye: Eye, dice: random.Random, clip_s: float) -> Passage | None:
    """One passage at random, or None where it doesn't fit into the clip."""
    kind = dice.choices([k for k, _ in scene.movers], [n for _, n in scene.movers])[0]
    lanes = [lane for lane in scene.lanes if (lane[2] < 2) == (kind is WALKER)] or list(scene.lanes)
    lane_m, way, slow, fast = dice.choice(lanes)
    speed = way * (dice.uniform(1.2, 1.6) if kind is WALKER else dice.uniform(slow, fast))
    plate = _plate(dice) if kind.plated else ""
    passage = Passage(kind, dice.choice(COLOURS_BGR), plate, lane_m, speed, 0.0, 0.0, 0.0)
    span = _seen(eye, passage)
    if span is None or span[1] - span[0] > clip_s - 2 * QUIET_EDGE_S:
        return None
    begin = dice.uniform(QUIET_EDGE_S, clip_s - QUIET_EDGE_S - (span[1] - span[0]))
    return Passage(
        kind, passage.colour_bgr, plate, lane_m, speed, begin - span[0], begin, begin + span[1] - span[0]
    )


def _clash(one: Passage, other: Passage) -> bool:
    """Whether two movers would meet in one lane."""
    return abs(one.lane_m - other.lane_m) < 2.0 and (
        one.begin_s < other.end_s + 1.0 and other.begin_s < one.end_s + 1.0
    )


def passages(scene_name: str, seed: int, programme: Programme) -> list[Passage]:
    """Everything that passes during the traffic clip, by time; the same for the same arguments, always."""
    scene = scene_of(scene_name)
    eye, clip_s = eye_of(scene, seed), float(programme.traffic_s)
    dice = random.Random(f"traffic:{scene.name}:{seed}:{programme.traffic_s}")
    wanted = max(1, round(scene.passages * clip_s / 36))
    accepted: list[Passage] = []
    for _ in range(60):
        candidate = _draw(scene, eye, dice, clip_s)
        if candidate is None or any(_clash(candidate, other) for other in accepted):
            continue
        if _gaps_fair([*accepted, candidate]):
            accepted.append(candidate)
        if len(accepted) == wanted:
            break
    return sorted(accepted, key=lambda p: p.begin_s)


def _gaps_fair(chosen: list[Passage]) -> bool:
    spans = union([(p.begin_s, p.end_s) for p in chosen])
    return all(later[0] - earlier[1] >= APART_S for earlier, later in pairwise(spans))


def union(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Overlapping stretches joined, in order."""
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def movement(scene_name: str, seed: int, programme: Programme) -> list[tuple[float, float]]:
    """(begin, end) in seconds of the programme between which something moves in the picture."""
    return union([(p.begin_s, p.end_s) for p in passages(scene_name, seed, programme)])
