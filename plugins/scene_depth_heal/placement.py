"""Insert: other splats are put into a scene, by default standing on its surface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_measures import SplatMeasures, up_axis
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splat_transforms import similarity_matrix, transform_splats
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress
from scene_depth_heal.edit_run import EditReport, EditResult, EditRun, PosedView
from scene_depth_heal.insert_painted import shown_in
from scene_depth_heal.raising import in_the_way
from scene_depth_heal.solid_extent import Vector, across, extent_along, middle_seen_from, width_across
from scene_depth_heal.surface_point import (
    SurfacePoint,
    Up,
    axis_vector,
    scene_up,
    seen_from_above,
    surface_at,
    surface_below,
    up_at,
)

OUTSIDE = 3.0  # radii of the scene, from its middle, beyond which a point is not in it
STEEP_SURFACE = 0.7  # cosine of the slope from which nothing stands on a surface
Axis = Literal["auto", "+x", "-x", "+y", "-y", "+z", "-z"]


@dataclass(frozen=True)
class Placement:
    """Where a file of splats goes: exactly one of ``at``, ``pixel`` and ``transform``."""

    at: tuple[float, float, float] | None = None
    """Point of the scene; the splats stand on the surface below it."""
    pixel: tuple[str, float, float] | None = None
    """View and pixel (column, row) of its photo; the splats stand on the surface that it shows."""
    transform: tuple[tuple[float, ...], ...] | None = None
    """4x4 similarity from the file's to the scene's coordinates."""
    scale: float = 1.0
    """Factor of the size."""
    height: float | None = None
    """Height that the splats are to have, in scene units, in place of a factor."""
    yaw: float = 0.0
    """Turn about the vertical, in degrees, counter-clockwise seen from above."""
    rotation: tuple[float, float, float, float] | None = None
    """Quaternion, w first, from the file's axes to the scene's, in place of turning up to up; yaw comes after."""
    up: Up = "auto"
    """Direction in which it stands: auto, the scene's vertical, the surface's normal, or an axis of the scene."""
    file_up: Axis = "auto"
    """Axis of the file that is to point up; by default what a comment of it says, else the scene's own."""
    stand: Literal["auto", "yes", "no"] = "auto"
    """Whether the lowest point is put on the surface; by default not for a transform. "no" puts the file's origin at the
    point."""

    def __post_init__(self) -> None:
        given = [name for name in ("at", "pixel", "transform") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError("placement", " and ".join(given) or "none", "one of --at, --pixel, --transform")
        if self.transform is not None:
            extra = [name for name in ("height", "rotation") if getattr(self, name) is not None]
            extra += [name for name, usual in (("scale", 1.0), ("yaw", 0.0)) if getattr(self, name) != usual]
            if extra:
                raise InputError("transform", f"also {', '.join(extra)}", "the transform alone, which has its own")
        numbers = [self.scale, self.yaw, *(self.at or ()), *(self.pixel[1:] if self.pixel else ()), *(self.rotation or ())]
        if not all(math.isfinite(value) for value in numbers) or self.scale <= 0:
            raise InputError("placement", numbers, "finite numbers and a scale above 0")
        if self.height is not None and not (0 < self.height < math.inf):
            raise InputError("height", self.height, "a finite number above 0")
        if self.height is not None and self.scale != 1.0:
            raise InputError("height, scale", f"{self.height}, {self.scale}", "one of them")
        if self.rotation is not None and not any(self.rotation):
            raise InputError("rotation", self.rotation, "a quaternion that is not all zero")

    @property
    def stands(self) -> bool:
        """Whether the lowest point is put on the surface."""
        return self.stand == "yes" or (self.stand == "auto" and self.transform is None)


@dataclass(frozen=True)
class Placed:
    """Splats in their place.

    Attributes:
        splats: Turned, scaled and moved.
        matrix: The similarity that did it  # [4, 4] float64
        up: The vertical there  # [3]
        up_from: What it was taken from.
        surface: What they stand on; None if they do not.
    """

    splats: GaussianSplats
    matrix: Tensor
    up: Vector
    up_from: str
    surface: SurfacePoint | None


def insert_splats(
    splats: GaussianSplats,
    views: Sequence[PosedView],
    added: GaussianSplats,
    placement: Placement,
    *,
    on_progress: OnProgress | None = None,
) -> EditResult:
    """Adds splats of another file to a scene, which stays bit for bit.

    Args:
        splats: The scene.
        views: Its views.
        added: What is to be inserted, in coordinates of its own.
        placement: Where to; a pixel counts in the working size of its view.
        on_progress: Called after each stage; False stops.

    Raises:
        InputError: If the point or pixel shows no surface or lies outside the scene, the view is not there, the
            transform is no similarity, or only one of both is antialiased.
    """
    if splats.antialiased != added.antialiased:
        kinds = ["antialiased" if part.antialiased else "ordinary" for part in (splats, added)]
        raise InputError("splats", f"{kinds[1]} ones for a scene of {kinds[0]} ones", "splats of one kind, for one renderer")
    report = EditReport("ply", parameters=asdict(placement))
    run = EditRun(splats, report, on_progress)
    with run.work.stage("place"):
        placed = place(run.kept, views, added.to(run.kept.device), placement)
        run.new = placed.splats
        report.edit = _described(placed, run.kept.sh_degree, added.sh_degree)
        run.announce("place", f"{len(added)} splats")
    if run.new is not None:
        with run.work.stage("check"):
            _check(run, views, placed)
    return run.result()


def place(scene: GaussianSplats, views: Sequence[PosedView], added: GaussianSplats, placement: Placement) -> Placed:
    """Turns, scales and moves splats to where they are wanted; see ``insert_splats``."""
    vertical, source = scene_up(scene, [view.camera for view in views])
    if placement.transform is not None:
        return _transformed(scene, added, placement, vertical, source)
    surface, origin = _destination(scene, views, placement, vertical, source)
    up, up_from = up_at(surface, vertical, source, placement.up)
    turn = _turn(added, placement, up, vertical)
    turned = transform_splats(added, similarity_matrix(turn))
    low, high = extent_along(turned, up)
    scale = placement.scale if placement.height is None else placement.height / max(high - low, 1e-12)
    size = scale * max(high - low, width_across(turned, up))
    radius = 0.5 * scale * width_across(turned, up)
    if placement.at is not None and placement.stands:
        surface = _found(surface_below(scene, origin, up, size, radius), placement.at)
    elif placement.pixel is not None and placement.stands:
        eye = view_named(views, placement.pixel[0]).camera.centers[0].double().cpu().numpy()
        surface = seen_from_above(scene, surface, eye, up, size, radius)
    target = surface.point if placement.stands else origin
    anchor = scale * (middle_seen_from(turned, up) + low * up) if placement.stands else np.zeros(3)
    matrix = similarity_matrix(turn, torch.from_numpy(target - anchor), scale)
    return Placed(transform_splats(added, matrix), matrix, up, up_from, surface if placement.stands else None)


def _destination(
    scene: GaussianSplats, views: Sequence[PosedView], placement: Placement, vertical: Vector | None, source: str
) -> tuple[SurfacePoint, Vector]:
    """The surface that says what up is, and the point asked for."""
    if placement.pixel is not None:
        name, column, row = placement.pixel
        camera = view_named(views, name).camera
        surface = surface_at(scene, camera, column, row)
        return surface, surface.point
    point = np.asarray(placement.at, dtype=np.float64)
    measures = SplatMeasures(scene.to("cpu"), np.zeros(len(scene), dtype=bool))
    distance = float(np.linalg.norm(point - measures.center))
    if distance > OUTSIDE * measures.radius:
        found = f"{tuple(point.tolist())}, {distance / measures.radius:.1f} radii of the scene from its middle"
        raise InputError("at", found, f"a point within {OUTSIDE:g} radii ({measures.radius:.3g}) of the scene's middle")
    up = axis_vector(placement.up) if placement.up[0] in "+-" else vertical
    if up is None:
        raise InputError(
            "up", "a scene whose vertical nothing tells", "--up with an axis such as +z, or --pixel in place of --at"
        )
    if not placement.stands and placement.up != "normal":
        return SurfacePoint(point, up), point
    reach = 0.05 * measures.radius
    return _found(surface_below(scene, point, up, reach, 0.2 * reach), tuple(point.tolist())), point


def _found(surface: SurfacePoint | None, at: tuple[float, float, float] | None) -> SurfacePoint:
    if surface is None:
        raise InputError("at", f"no surface of the scene below {at}", "a point on or above a surface, or --stand no")
    return surface


def _turn(added: GaussianSplats, placement: Placement, up: Vector, vertical: Vector | None) -> Tensor:
    """Rotation from the file's axes to the scene's  # [3, 3]"""
    yaw = _rotation_about(up, math.radians(placement.yaw))
    if placement.rotation is not None:
        return yaw @ quaternions_to_matrices(torch.tensor(placement.rotation, dtype=torch.float64))
    if placement.file_up != "auto":
        own = axis_vector(placement.file_up)
    else:
        axis, source = up_axis(SplatMeasures(added.to("cpu"), np.zeros(len(added), dtype=bool)))
        own = (
            axis_vector(axis) if axis is not None and source == "comment" else _nearest_axis(up if vertical is None else vertical)
        )
    return yaw @ _rotation_between(own, up)


def _nearest_axis(direction: Vector) -> Vector:
    index = int(np.abs(direction).argmax())
    return np.eye(3)[index] * np.sign(direction[index])


def _rotation_about(axis: Vector, angle: float) -> Tensor:
    half = torch.tensor([math.cos(angle / 2), *(math.sin(angle / 2) * axis)], dtype=torch.float64)
    return quaternions_to_matrices(half)


def _rotation_between(start: Vector, end: Vector) -> Tensor:
    """The smallest rotation that takes one unit vector to another  # [3, 3]"""
    quaternion = np.array([1.0 + start @ end, *np.cross(start, end)])
    if quaternion[0] < 1e-9:  # opposite: half a turn about any axis across
        quaternion = np.array([0.0, *across(start)[0]])
    return quaternions_to_matrices(torch.from_numpy(quaternion))


def _transformed(
    scene: GaussianSplats, added: GaussianSplats, placement: Placement, vertical: Vector | None, source: str
) -> Placed:
    """By the user's own matrix; dropped or lifted onto the surface below if asked for."""
    matrix = torch.tensor(placement.transform, dtype=torch.float64)
    moved = transform_splats(added, matrix)
    if not placement.stands:
        return Placed(moved, matrix, np.zeros(3) if vertical is None else vertical, source, None)
    up = axis_vector(placement.up) if placement.up[0] in "+-" else vertical
    if up is None:
        raise InputError("up", "a scene whose vertical nothing tells", "--up with an axis such as +z")
    low, high = extent_along(moved, up)
    width = width_across(moved, up)
    foot = middle_seen_from(moved, up) + low * up
    surface = _found(surface_below(scene, foot, up, max(high - low, width), 0.5 * width), tuple(foot.tolist()))
    lift = similarity_matrix(None, torch.from_numpy(((surface.point @ up) - low) * up))
    return Placed(transform_splats(added, lift @ matrix), lift @ matrix, up, source, surface)


def view_named(views: Sequence[PosedView], name: str) -> PosedView:
    """The view of that name, or of that file name without folder and extension if only one has it.

    Raises:
        InputError: If there is none.
    """
    exact = [view for view in views if view.name == name]
    close = exact or [view for view in views if name in (view.name.rsplit("/", 1)[-1], _stem(view.name))]
    if len(close) != 1:
        some = ", ".join(sorted(view.name for view in views)[:5])
        raise InputError("view", repr(name), f"the name of a view: {some}{', …' if len(views) > 5 else ''}")
    return close[0]


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _described(placed: Placed, scene_degree: int, added_degree: int) -> dict[str, Any]:
    low, high = extent_along(placed.splats, placed.up) if placed.up.any() else (math.nan, math.nan)
    surface = placed.surface
    return {
        "matrix": placed.matrix.tolist(),
        "up": placed.up.tolist(),
        "up_from": placed.up_from,
        "lowest": low,
        "highest": high,
        "surface_height": None if surface is None else float(surface.point @ placed.up),
        "surface_point": None if surface is None else surface.point.tolist(),
        "surface_normal": None if surface is None else surface.normal.tolist(),
        "sh_degree_of_scene": scene_degree,
        "sh_degree_of_file": added_degree,
    }


def _check(run: EditRun, views: Sequence[PosedView], placed: Placed) -> None:
    cameras: list[Cameras] = [view.camera for view in views]
    run.report.near_camera_splats = int(in_the_way(placed.splats, cameras).sum())
    run.report.shows_in, outside = shown_in(run, views)
    count = sum(share > 0 for share in run.report.shows_in.values())
    run.report.checks = {"views_that_show_it": count, "changed_beside_it": outside}
    if placed.surface is not None and placed.surface.normal @ placed.up < STEEP_SURFACE:
        degrees = math.degrees(math.acos(float(np.clip(placed.surface.normal @ placed.up, -1, 1))))
        run.report.notes.append(f"the surface there slopes by {degrees:.0f} degrees: it touches it, but does not stand on it")
    if count == 0:
        run.report.notes.append("no view of the scene shows the inserted splats")
    if run.report.near_camera_splats:
        run.report.notes.append(f"{run.report.near_camera_splats} inserted splats lie at a camera and cover much of its picture")
