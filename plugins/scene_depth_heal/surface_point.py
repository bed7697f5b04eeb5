"""A point on the scene's surface: where a pixel looks, or what lies below a place; and which way is up there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras, camera_from_fov, look_at
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_measures import SplatMeasures, up_axis
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats
from scene_depth_heal.fill import as_array
from scene_depth_heal.hole import OPAQUE

Vector = NDArray[np.float64]
Up = Literal["auto", "scene", "normal", "+x", "-x", "+y", "-y", "+z", "-z"]
NEAR_VERTICAL = math.cos(math.radians(25))  # a surface this level is a floor or a table: its normal is the vertical
PATCH_DEPTH = 0.1  # relative depth within which what surrounds a pixel may lie on the same surface, at a slant
STEEP = 0.02  # cosine between ray and normal below which a ray does not say where it meets the plane
SAME_SURFACE = 0.03  # relative depth by which the plane may correct the pixel's own
DOWNWARD_PIXELS = 65  # side of the picture that looks for the surface below a point
COHERENT = 0.3  # length of the cameras' mean upward axis from which they agree on one


@dataclass(frozen=True)
class SurfacePoint:
    """Where something is to stand.

    Attributes:
        point: On the surface, in the world  # [3]
        normal: Of the plane through the surface around it, towards whoever looked  # [3]
    """

    point: Vector
    normal: Vector


def surface_at(splats: GaussianSplats, camera: Cameras, column: float, row: float, radius: float = 8.0) -> SurfacePoint:
    """The surface that a pixel shows, by the median depth of its ray and the plane through its surroundings.

    Args:
        splats: The scene.
        camera: The view.
        column, row: Continuous pixel coordinates, the first pixel's centre at (0.5, 0.5).
        radius: Of the surroundings, in pixels.

    Raises:
        InputError: If the pixel lies outside the picture or shows no opaque surface.
    """
    if not (0 <= column < camera.width and 0 <= row < camera.height):
        raise InputError("pixel", f"({column:g}, {row:g})", f"a pixel of the picture, {camera.width} x {camera.height}")
    found = _surface(splats, camera, column, row, radius, near=0.01)
    if found is None:
        raise InputError("pixel", f"no opaque surface at ({column:g}, {row:g})", "a pixel that shows a surface of the scene")
    return found


def surface_below(splats: GaussianSplats, point: Vector, up: Vector, above: float, radius: float) -> SurfacePoint | None:
    """The first surface that is met on the way down to and beyond a point; None if there is none.

    Args:
        splats: The scene.
        point: Where to look down at  # [3]
        up: Unit vertical  # [3]
        above: Height over the point from which to look: what hangs higher is not in the way.
        radius: Of the surroundings that the plane is laid through, in scene units.
    """
    eye = point + above * up
    sideways = np.eye(3)[int(np.abs(up).argmin())]
    pose = look_at(torch.from_numpy(eye), torch.from_numpy(eye - up), torch.from_numpy(np.cross(up, sideways)))
    fov = 2 * math.atan(min(max(radius / above, 0.05), 0.6))
    camera = camera_from_fov(pose, fov, DOWNWARD_PIXELS, DOWNWARD_PIXELS)
    middle = DOWNWARD_PIXELS / 2
    return _surface(splats, camera, middle, middle, DOWNWARD_PIXELS / 4, near=1e-3 * above)


def seen_from_above(
    splats: GaussianSplats, surface: SurfacePoint, eye: Vector, up: Vector, above: float, radius: float
) -> SurfacePoint:
    """The point of a pixel, with the surface's height read across it.

    At a slant the median depth of a pixel comes out too near, by about the pixel's length on the surface. Looking along the
    vertical tells the height well; the pixel's ray then meets that plane. Where no surface is found near the pixel's own
    (a wall, an overhang) the pixel's own stays.

    Args:
        splats: The scene.
        surface: From ``surface_at``.
        eye: Centre of the camera whose pixel it is  # [3]
        up, above, radius: As for ``surface_below``.
    """
    level = surface_below(splats, surface.point, up, above, radius)
    ray = surface.point - eye
    slope = 0.0 if level is None else float(level.normal @ ray) / np.linalg.norm(ray)
    if level is None or abs(slope) < STEEP:
        return surface
    part = float((level.point - eye) @ level.normal) / float(level.normal @ ray)
    same = abs(float((level.point - surface.point) @ up)) <= SAME_SURFACE * np.linalg.norm(ray)
    return SurfacePoint(eye + part * ray, level.normal) if same and abs(part - 1) <= PATCH_DEPTH else surface


def scene_up(splats: GaussianSplats, cameras: Sequence[Cameras]) -> tuple[Vector | None, str]:
    """The vertical of the scene, and what says so: a comment of the file, the cameras, or the geometry (a guess)."""
    measures = SplatMeasures(splats.to("cpu"), np.zeros(len(splats), dtype=bool))
    axis, source = up_axis(measures)
    if axis is not None and source == "comment":
        return axis_vector(axis), source
    mean = -np.mean([camera.camera_to_world[0, :3, 1].double().cpu().numpy() for camera in cameras], axis=0)
    if np.linalg.norm(mean) > COHERENT:
        return mean / np.linalg.norm(mean), "cameras"
    return (None, "unknown") if axis is None else (axis_vector(axis), source)


def up_at(surface: SurfacePoint, vertical: Vector | None, source: str, up: Up) -> tuple[Vector, str]:
    """The direction in which something stands on a surface.

    Args:
        surface: The surface.
        vertical, source: From ``scene_up``.
        up: "normal" of the surface; the "scene"'s vertical; an axis of the world; or "auto": the vertical if a comment
            of the file gives it, else the normal where it is within 25 degrees of the vertical (cameras and geometry
            tell the vertical roughly, a level surface tells it well), else the vertical; the normal if nothing else.

    Returns:
        Unit vector
        What it was taken from

    Raises:
        InputError: If the scene's vertical is asked for and nothing tells it.
    """
    if up not in ("auto", "scene", "normal"):
        return axis_vector(up), f"axis {up}"
    if up == "scene" and vertical is None:
        raise InputError("up", "a scene whose vertical nothing tells", "--up normal, or an axis such as +z")
    if up == "normal" or vertical is None:
        return surface.normal, "normal of the surface"
    if up == "auto" and source != "comment" and surface.normal @ vertical >= NEAR_VERTICAL:
        return surface.normal, f"normal of the surface, near the vertical that the {source} tell"
    return vertical, source


def axis_vector(axis: str) -> Vector:
    """Unit vector of an axis such as "-y"  # [3]"""
    return np.eye(3)["xyz".index(axis[1])] * (-1.0 if axis[0] == "-" else 1.0)


def _surface(
    splats: GaussianSplats, camera: Cameras, column: float, row: float, radius: float, near: float
) -> SurfacePoint | None:
    image = render(splats, camera, median_depth=True, near=near)
    assert image.median_depth is not None
    depth = np.where(as_array(image.alpha[0]) >= OPAQUE, as_array(image.median_depth[0]), 0.0).astype(np.float64)
    z = depth[int(row), int(column)]
    if z <= 0:
        return None
    points = camera.unproject(torch.from_numpy(depth)[None])[0].double().cpu().numpy()
    rows, columns = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    around = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    around &= (depth > 0) & (np.abs(depth - z) <= PATCH_DEPTH * z)
    eye = camera.centers[0].double().cpu().numpy()
    return _on_plane(points[around], eye, _ray_through(camera, column, row), z)


def _on_plane(points: Vector, eye: Vector, ray: Vector, z: float) -> SurfacePoint:
    """Plane through the points by least squares, thrice, each time without what lies far off; met by the ray."""
    normal, center, chosen = -ray / np.linalg.norm(ray), eye + z * ray, points
    for _ in range(3):
        if len(chosen) < 3:
            return SurfacePoint(eye + z * ray, normal)
        center = chosen.mean(axis=0)
        normal = np.linalg.svd(chosen - center, full_matrices=False)[2][2]
        distance = np.abs((points - center) @ normal)
        chosen = points[distance <= max(2.5 * 1.4826 * float(np.median(distance)), 1e-9 * z)]
    normal = -normal if normal @ ray > 0 else normal
    slope = float(normal @ ray)
    met = float((center - eye) @ normal) / slope if abs(slope) > 0.05 else z
    on_plane = eye + (met if abs(met / z - 1) <= SAME_SURFACE else z) * ray
    return SurfacePoint(on_plane, normal)


def _ray_through(camera: Cameras, column: float, row: float) -> Vector:
    """World direction of unit z-depth through continuous pixel coordinates  # [3]"""
    K = camera.K[0].double().cpu().numpy()
    local = np.array([(column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1], 1.0])
    return camera.camera_to_world[0, :3, :3].double().cpu().numpy() @ local
