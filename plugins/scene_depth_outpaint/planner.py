"""Which views an outpainting makes: a trajectory divided so that each shows enough of what is known and enough that is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.scattered import nearest_fill
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import sight
from scene_depth.geometry.warp import Surfaces
from scene_depth_outpaint.trajectory import Trajectory, apart, between

SIZE = 128  # longer side of the views that plans are made in, pixels
LEAST_KNOWN = 0.02  # share of a view that must be known for anything to be continued
DIVISIONS = (0.75, 0.5, 0.25, 0.125, 0.0625)
MOST_BETWEEN = 12  # views between two of the trajectory
NOTHING_NEW = 0.002


@dataclass(frozen=True)
class PlannedStep:
    """A view to make.

    Attributes:
        camera: Where from.
        new_share: Share of its picture that nothing known shows, as foreseen.
        waypoint: Number of the trajectory's camera that it is, or that it leads to.
        between: Whether it only leads there.
    """

    camera: Cameras
    new_share: float
    waypoint: int
    between: bool


@dataclass(frozen=True)
class Frame:
    """A posed picture with complete depth.

    Attributes:
        camera: One camera.
        depth: z-depth  # [H, W]
    """

    camera: Cameras
    depth: NDArray[np.float32]


def plan_steps(start: Sequence[Frame], trajectory: Trajectory, least_new: float, most_new: float) -> list[PlannedStep]:
    """Divides a trajectory, foreseeing at a small size what each view will show: what is new there is given the depth of the
    nearest known pixel.

    Args:
        start: What is known, with complete depth.
        trajectory: Where to go.
        least_new: Views with a smaller share of new pixels are passed over, but for the last one and where the trajectory
            wants all of its cameras.
        most_new: Views with a larger share are preceded by others that lead there.

    Raises:
        InputError: If the trajectory begins inside a surface, or a view would see nothing known however near it is to an
            earlier one.
    """
    _check_first(start, trajectory)
    scout = _Scout(max(float(np.median(frame.depth)) for frame in start))
    for frame in start:
        scout.add_start(frame)
    planned: list[PlannedStep] = []
    last = len(trajectory.cameras) - 1
    for index, camera in enumerate(trajectory.cameras):
        for _ in range(MOST_BETWEEN):
            share = scout.new_share(camera)
            if share <= most_new:
                break
            nearest = scout.nearest(camera)
            options = [between(nearest, camera, part) for part in DIVISIONS]
            shares = [scout.new_share(option) for option in options]
            fits = next((i for i, each in enumerate(shares) if each <= most_new), None)
            if fits is None or shares[fits] < NOTHING_NEW:
                break
            planned.append(PlannedStep(options[fits], shares[fits], index, True))
            scout.add(options[fits])
        if share > 1 - LEAST_KNOWN:
            found = f"camera {index} sees nothing known, {100 * (1 - share):.1f} % of its picture"
            raise InputError(
                "trajectory", found, "cameras that look at the start or at what earlier ones show", file=trajectory.name
            )
        wanted = trajectory.keep_all or share >= least_new or (index == last and share > NOTHING_NEW)
        if wanted:
            planned.append(PlannedStep(camera, share, index, False))
            scout.add(camera)
    return planned


def _check_first(start: Sequence[Frame], trajectory: Trajectory) -> None:
    """Refuses a first camera that stands behind what every start view sees there, which is inside of something."""
    center = trajectory.cameras[0].centers.double()
    seen = [sight(center, frame.camera, torch.from_numpy(frame.depth)) for frame in start]
    if any(bool(each.occluded[0]) for each in seen) and not any(bool(each.floating[0]) for each in seen):
        place = ", ".join(f"{value:.3g}" for value in center[0].tolist())
        accepted = "a first camera before the surfaces that the start shows"
        raise InputError("trajectory", f"camera 0 at ({place}) stands inside or behind a surface", accepted, file=trajectory.name)


class _Scout:
    """Goes ahead at a small size."""

    def __init__(self, unit: float):
        self.unit, self.surfaces, self.cameras = unit, Surfaces(), list[Cameras]()

    def add_start(self, frame: Frame) -> None:
        step = max(1, -(-max(frame.depth.shape) // SIZE))
        depth = frame.depth[step // 2 :: step, step // 2 :: step]
        height, width = depth.shape
        # pixel i of the small picture is pixel i * step + step // 2 of the large one
        K = frame.camera.K.double().clone()
        K[:, :2] /= step
        K[:, :2, 2] += 0.5 - (step // 2 + 0.5) / step
        self._keep(
            frame.camera, Cameras(frame.camera.camera_to_world.double(), K, width, height), depth, np.ones(depth.shape, bool)
        )

    def add(self, camera: Cameras) -> None:
        small = _small(camera)
        warp = self.surfaces.warp(small)
        if warp.known.any():
            depth = warp.depth if warp.known.all() else nearest_fill(warp.depth.astype(np.float64), warp.known)
            self._keep(camera, small, depth, ~warp.known)

    def _keep(self, camera: Cameras, small: Cameras, depth: NDArray[np.floating], where: NDArray[np.bool_]) -> None:
        self.surfaces.add(small, depth, np.zeros((*depth.shape, 3), np.uint8), where)
        self.cameras.append(camera)

    def new_share(self, camera: Cameras) -> float:
        return float(1 - self.surfaces.warp(_small(camera)).known.mean())

    def nearest(self, camera: Cameras) -> Cameras:
        return min(self.cameras, key=lambda other: apart(other, camera, self.unit))


def _small(camera: Cameras) -> Cameras:
    step = max(1, -(-max(camera.width, camera.height) // SIZE))
    return camera.resized(max(1, round(camera.width / step)), max(1, round(camera.height / step)))
