"""Views of splats without photos: cameras in the free space around an object, and what the splats show from there.

Candidates stand all around the object, at a distance from which it and a rim of its surroundings fill the picture, and nearer
where something is in the way. What the splats show from each, drawn small, decides: a camera must not stand in or close to a
surface, must see the object and a rim of surfaces around it, and see these from the side on which the object is. Of those left,
the ones that differ most in direction become the views, and what the splats show from there their photos.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scene_depth.cameras import Cameras, camera_from_fov, look_at
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_measures import SplatMeasures, up_axis
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress, Work
from scene_depth_heal.drawings import opaque_depth
from scene_depth_heal.hole import HealView, Vicinity, as_array, dilate, render_weight

MOST_VIEWS = 12
DIRECTIONS = 80  # candidates all around, 23 degrees apart
STEEPEST = 0.98  # cosine between a view and the vertical from which another direction is upward in its picture
LEAST_ANGLE = 12.0  # degrees between two views
FOV = 50.0  # degrees of the height of the picture, at the usual distance
LEAST_ALPHA = 0.5  # of a pixel whose colour is that of a surface
KNOWN_BEYOND = 1.5  # radii of the object
FILLS = 0.4  # of the picture's height that the object takes
NEARER = (1.0, 0.7, 0.5)  # of the usual distance, with a wider angle
PROBE = 96  # longer side at which candidates are judged, in pixels
CLEARANCE = 0.1  # of the distance to the object: no splat stands nearer to the camera
CLOSE, CLOSE_SHARE = 0.15, 0.03  # of that distance, before which surfaces may cover that much of the picture
VISIBLE = 0.5  # share of the object's outline that must show it
RIM = 0.15  # width of the rim, of the outline's size
RIM_SHOWN = 0.3  # share of the rim that must be surfaces
RIM_FRONT = 0.6  # share of those that must be seen from the side on which the object is
SAME_PLANE, MOST_OF_RIM = 0.97, 0.4  # cosine between normals of one surface; share of the rims that makes it a floor
NORMALS = 200  # of a rim, that say where it faces
SOLID = 0.3  # opacity of a splat that is in the way of a camera
SMALLEST, LARGEST = 1e-6, 0.25  # median size of splats, of the scene's
IN_THE_WAY, HIDDEN, BARE, BEHIND = "in or close to splats", "object hidden", "nothing around the object", "behind surfaces"


@dataclass(frozen=True)
class VirtualViews:
    """What stood in for photos.

    Attributes:
        count: How many views.
        refused: Candidate places that were refused, by reason.
        up: Direction that is upward in them  # [3]
        up_from: What it was taken from: a comment of the file, the surface around the object, the geometry, or nothing.
        center, radius: Ball around the object, in the frame and unit of the splats.
        size: Width and height in pixels.
    """

    count: int
    refused: dict[str, int]
    up: tuple[float, float, float]
    up_from: str
    center: tuple[float, float, float]
    radius: float
    size: tuple[int, int]

    def sentence(self) -> str:
        """What a person should know."""
        others = ", ".join(f"{count} {reason}" for reason, count in self.refused.items()) or "none"
        return (
            f"There are no photos: {self.count} virtual views of the splats stand in for them (other places refused: {others}; "
            f"up: {self.up_from}). Nothing is known of what the splats do not show: all of that is invented."
        )


@dataclass(frozen=True)
class _Place:
    """A small camera that may become a view: how good it is, from 0 to 1, and where the surfaces beside the object face."""

    camera: Cameras
    score: float
    normals: NDArray[np.float64]

    @property
    def forward(self) -> NDArray[np.float64]:
        """Direction of view  # [3]"""
        return _vector(self.camera.camera_to_world[0, :3, 2])


def find_virtual_views(
    splats: GaussianSplats, removed: torch.Tensor, max_size: int = 640, work: Work | None = None
) -> tuple[list[HealView], VirtualViews]:
    """Chooses views around an object and draws them.

    Args:
        splats: The scene with the object.
        removed: The object  # [N] bool
        max_size: Longer side of the views, in pixels.
        work: Is told how far the search is, and may stop it; there are then fewer views, or none.

    Returns:
        The views, with what the splats show as their photos
        What was found

    Raises:
        InputError: If the splats have no usable scale, nothing is around the object, or no camera has free space to see it from.
    """
    work = work or Work()
    splats, removed = splats.detach(), removed.to(splats.device)
    measures = SplatMeasures(splats.to("cpu"), np.zeros(len(splats), dtype=bool))
    check_scale(measures)
    center, radius = ball_around(splats.select(removed))
    size = (max_size, max(1, round(0.75 * max_size)))
    found, refused = list[_Place](), Counter[str]()
    for done, cameras in enumerate(_candidates(splats.select(~removed), center, radius, refused)):
        for camera in cameras:
            judged = _judge(splats, removed, camera, center, radius)
            if isinstance(judged, _Place):
                found.append(judged)
                break
            refused[judged] += 1
        if not work.report(Progress("views", done + 1, DIRECTIONS, f"{len(found)} places to look from")):
            break
    if not found and not work.stopped:
        raise _nowhere(refused)
    up, up_from = _vertical(measures, found)
    vicinity, views = Vicinity(_triple(center), KNOWN_BEYOND * radius), []
    for number, place in enumerate(_spread(found)):
        pose = _pose(_vector(place.camera.centers[0]), place.forward, up)
        camera = replace(place.camera.resized(*size), camera_to_world=pose[None])
        image = render(splats, camera)
        alpha = image.alpha[0].cpu()
        rgb = (image.rgb[0].cpu() / alpha.clamp(LEAST_ALPHA, 1)[..., None]).clamp(0, 1)  # a thin surface is not a dark one
        views.append(HealView(f"virtual_{number:02d}", camera, rgb, alpha=alpha, vicinity=vicinity))
    return views, VirtualViews(len(views), dict(refused.most_common()), _triple(up), up_from, vicinity.center, radius, size)


def check_scale(measures: SplatMeasures) -> None:
    """Raises an InputError if splats have no size that a distance could be taken from."""
    radius, median = measures.radius, float(np.median(measures.sizes))
    if not 0 < radius < 1e15:
        raise InputError("means", f"splats within a radius of {radius:g}", "splats that are spread in space, of a usable scale")
    if not SMALLEST * radius <= median <= LARGEST * radius:
        found = f"a median size of {median:.3g} in a scene of radius {radius:.3g}"
        accepted = f"logarithms of sizes from {SMALLEST:g} to {LARGEST:g} of the scene's"
        hint = "scene-depth inspect FILE --fix OUT repairs sizes that are no logarithms"
        raise InputError("scales", found, accepted, hint=hint)


def ball_around(splats: GaussianSplats) -> tuple[NDArray[np.float64], float]:
    """Middle and radius of an object without strays, in scene units."""
    means = splats.means.cpu().double().numpy()
    sizes = splats.log_scales.amax(dim=1).clamp(max=80).exp().cpu().double().numpy()
    low, high = np.quantile(means, [0.02, 0.98], axis=0)
    center = 0.5 * (low + high)
    return center, float(np.quantile(np.linalg.norm(means - center, axis=1), 0.98) + np.median(sizes))


def _vertical(measures: SplatMeasures, found: list[_Place]) -> tuple[NDArray[np.float64], str]:
    """The direction that is upward in the views, and what says so."""
    axis, source = up_axis(measures)
    if source != "comment" and found:
        normals = np.concatenate([place.normals for place in found])
        agree = normals @ normals[:: max(1, len(normals) // NORMALS)].T > SAME_PLANE
        best = int(agree.sum(axis=0).argmax())
        if agree[:, best].mean() >= MOST_OF_RIM:
            normal = normals[agree[:, best]].mean(axis=0)
            return normal / np.linalg.norm(normal), "the surface around the object"
    named = axis or "-y"
    words = {"comment": "a comment of the file", "geometry": f"a guess by the floor, {axis}"}.get(source, "not clear, -y taken")
    return np.eye(3)["xyz".index(named[1])] * (-1.0 if named[0] == "-" else 1.0), words


def _candidates(
    kept: GaussianSplats, center: NDArray[np.float64], radius: float, refused: Counter[str]
) -> Iterator[list[Cameras]]:
    """For each direction from the object, small cameras that look at it and touch no splat, the farthest first."""
    solid = kept.means[kept.opacities > SOLID].cpu().double().numpy()
    tree = cKDTree(solid if len(solid) else kept.means.cpu().double().numpy())
    step = np.arange(DIRECTIONS) + 0.5
    height, turn = 1 - 2 * step / DIRECTIONS, math.pi * (1 + math.sqrt(5)) * step  # Fibonacci's lattice on the sphere
    across = np.sqrt(1 - height**2)
    usual = radius / (FILLS * math.tan(math.radians(FOV) / 2))
    for direction in np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1):
        cameras = []
        for nearer in NEARER:
            distance = nearer * usual
            position = center + distance * direction
            if tree.query(position)[0] < CLEARANCE * distance:
                refused[IN_THE_WAY] += 1
                continue
            fov = 2 * math.atan(radius / (FILLS * distance))
            cameras.append(camera_from_fov(_pose(position, -direction), fov, PROBE, round(0.75 * PROBE)))
        yield cameras


def _pose(position: NDArray[np.float64], forward: NDArray[np.float64], up: NDArray[np.float64] | None = None) -> torch.Tensor:
    """Pose of a camera, upright where it does not look along the vertical  # [4, 4]"""
    if up is None or abs(up @ forward) > STEEPEST:
        up = np.eye(3)[int(np.abs(forward).argmin())]
    return look_at(*(torch.from_numpy(vector) for vector in (position, position + forward, up)))


def _judge(
    splats: GaussianSplats, removed: torch.Tensor, camera: Cameras, center: NDArray[np.float64], radius: float
) -> _Place | str:
    """The camera as a place to look from, or why it is none."""
    image = render_weight(splats, removed, camera)
    depth = as_array(opaque_depth(image)).astype(np.float64)
    distance = float(np.linalg.norm(as_array(camera.centers[0]) - center))
    if ((depth > 0) & (depth < CLOSE * distance)).mean() > CLOSE_SHARE:
        return IN_THE_WAY
    outline = render(splats.select(removed), camera).alpha[0] > 0.5
    visible = float((outline & (image.rgb[0, ..., 0] > 0.5)).sum()) / max(1, int(outline.sum()))
    if visible < VISIBLE:
        return HIDDEN
    width = max(2, round(RIM * math.sqrt(int(outline.sum()))))
    rim = as_array(dilate(outline, width + 1) & ~dilate(outline, 1))
    surface = rim & (depth > 0)
    shown = float(surface.sum()) / max(1, int(rim.sum()))
    if shown < RIM_SHOWN:
        return BARE
    normals = normals_from_depth(depth, camera).astype(np.float64) @ as_array(camera.camera_to_world[0, :3, :3]).T
    points, normals = as_array(camera.unproject(torch.from_numpy(depth)[None])[0])[surface], normals[surface]
    front = float((((center - points) * normals).sum(axis=-1) > -0.1 * radius).mean())
    few = normals[:: len(normals) // NORMALS + 1]
    return _Place(camera, visible * shown * front, few) if front >= RIM_FRONT else BEHIND


def _spread(found: list[_Place]) -> list[_Place]:
    """The places that differ most in direction, good ones before others."""
    chosen: list[_Place] = []
    angles = np.full(len(found), 180.0)
    scores = np.array([place.score for place in found])
    while len(chosen) < min(MOST_VIEWS, len(found)):
        best = int((angles * scores).argmax())
        if angles[best] < LEAST_ANGLE:
            break
        chosen.append(found[best])
        cosines = [float(place.forward @ found[best].forward) for place in found]
        angles = np.minimum(angles, np.degrees(np.arccos(np.clip(cosines, -1, 1))))
    return chosen


def _nowhere(refused: Counter[str]) -> InputError:
    counts = ", ".join(f"{count} {reason}" for reason, count in refused.most_common())
    if refused[BARE]:
        hint = "a smaller selection, or the scene of posed photos that the splats were fitted to"
        return InputError("selection", f"an object with nothing around it ({counts})", "surfaces to continue", hint=hint)
    found = f"no free space for a virtual view ({counts} of the places around it)"
    hint = "the scene of posed photos that the splats were fitted to"
    return InputError("selection", found, "an object that can be seen from around it", hint=hint)


def _vector(values: torch.Tensor) -> NDArray[np.float64]:
    return values.detach().cpu().double().numpy()


def _triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = vector.tolist()
    return x, y, z
