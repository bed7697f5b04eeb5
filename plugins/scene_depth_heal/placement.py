"""Insert: other splats are put into a scene, by default standing on its surface, which is looked for in its renders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.arrays import MAD_TO_SIGMA
from scene_depth.cameras import Cameras, camera_from_fov, look_at
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_measures import SplatMeasures, up_axis
from scene_depth.io.splat_files import splat_origin
from scene_depth.rendering import render
from scene_depth.rotations import across, quaternions_to_matrices, rotation_about, rotation_between
from scene_depth.scene import View
from scene_depth.splat_transforms import similarity_matrix, transform_splats
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress
from scene_depth_heal.drawings import OPAQUE
from scene_depth_heal.edit import EditReport, EditResult, EditRun, PlacedPart, in_the_way
from scene_depth_heal.hole import as_array
from scene_depth_heal.inputs import view_named
from scene_depth_heal.place import Placement, Up

OUTSIDE = 3.0  # radii of the scene, from its middle, beyond which a point is not in it
STEEP_SURFACE = 0.7  # cosine of the slope from which nothing stands on a surface
NEAR_VERTICAL = math.cos(math.radians(25))  # a surface this level is a floor or a table: its normal is the vertical
PATCH_DEPTH = 0.1  # relative depth within which what surrounds a pixel may lie on the same surface, at a slant
STEEP = 0.02  # cosine between ray and normal below which a ray does not say where it meets the plane
SAME_SURFACE = 0.03  # relative depth by which the plane may correct the pixel's own
DOWNWARD_PIXELS = 65  # side of the picture that looks for the surface below a point
COHERENT = 0.3  # length of the cameras' mean upward axis from which they agree on one
SOLID = 0.5  # opacity from which a splat has a solid part
STRAYS = 0.001  # share of the solid splats that may lie beyond either end

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SurfacePoint:
    """Where something is to stand.

    Attributes:
        point: On the surface, in the world  # [3]
        normal: Of the plane through the surface around it, towards whoever looked  # [3]
    """

    point: Vector
    normal: Vector


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
    views: Sequence[View],
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
    report = EditReport(kind="ply", parameters=placement)
    run = EditRun(splats, splats, views, report, on_progress)
    with run.work.stage("place"):
        placed = place(run.kept, views, added.to(run.kept.device), placement)
        run.new = placed.splats
        report.edit = _described(placed, run.kept, added)
        run.announce("place", f"{len(added)} splats")
    if len(run.new):
        with run.work.stage("check"):
            _check(run, placed)
    return run.result()


def place(scene: GaussianSplats, views: Sequence[View], added: GaussianSplats, placement: Placement) -> Placed:
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
    scene: GaussianSplats, views: Sequence[View], placement: Placement, vertical: Vector | None, source: str
) -> tuple[SurfacePoint, Vector]:
    """The surface that says what up is, and the point asked for."""
    if placement.pixel is not None:
        name, column, row = placement.pixel
        camera = view_named(views, name).camera
        surface = surface_at(scene, camera, column, row)
        return surface, surface.point
    point = np.asarray(placement.at, dtype=np.float64) - splat_origin(scene)
    measures = SplatMeasures(scene.to("cpu"), np.zeros(len(scene), dtype=bool))
    distance = float(np.linalg.norm(point - measures.center))
    if distance > OUTSIDE * measures.radius:
        found = f"{placement.at}, {distance / measures.radius:.1f} radii of the scene from its middle"
        raise InputError("at", found, f"a point within {OUTSIDE:g} radii ({measures.radius:.3g}) of the scene's middle")
    up = axis_vector(placement.up) if placement.up[0] in "+-" else vertical
    if up is None:
        raise InputError("up", "nothing tells it in this scene", "--up with an axis such as +z, or --pixel in place of --at")
    if not placement.stands and placement.up != "normal":
        return SurfacePoint(point, up), point
    reach = 0.05 * measures.radius
    return _found(surface_below(scene, point, up, reach, 0.2 * reach), placement.at), point


def _found(surface: SurfacePoint | None, at: tuple[float, float, float] | None) -> SurfacePoint:
    if surface is None:
        raise InputError("at", f"no surface of the scene below {at}", "a point on or above a surface, or --stand no")
    return surface


def _turn(added: GaussianSplats, placement: Placement, up: Vector, vertical: Vector | None) -> Tensor:
    """Rotation from the file's axes to the scene's  # [3, 3]"""
    yaw = rotation_about(up, math.radians(placement.yaw))
    if placement.rotation is not None:
        return yaw @ quaternions_to_matrices(torch.tensor(placement.rotation, dtype=torch.float64))
    if placement.file_up != "auto":
        own = axis_vector(placement.file_up)
    else:
        axis, source = up_axis(SplatMeasures(added.to("cpu"), np.zeros(len(added), dtype=bool)))
        if axis is not None and source == "comment":
            own = axis_vector(axis)
        else:
            own = _nearest_axis(up if vertical is None else vertical)
    return yaw @ rotation_between(own, up)


def _nearest_axis(direction: Vector) -> Vector:
    index = int(np.abs(direction).argmax())
    axis: Vector = np.eye(3)[index] * np.sign(direction[index])
    return axis


def _transformed(
    scene: GaussianSplats, added: GaussianSplats, placement: Placement, vertical: Vector | None, source: str
) -> Placed:
    """By the user's own matrix; dropped or lifted onto the surface below if asked for."""
    matrix = torch.tensor(placement.transform, dtype=torch.float64)
    matrix[:3, 3] -= matrix.new_tensor(splat_origin(scene))
    moved = transform_splats(added, matrix)
    if not placement.stands:
        return Placed(moved, matrix, np.zeros(3) if vertical is None else vertical, source, None)
    up = axis_vector(placement.up) if placement.up[0] in "+-" else vertical
    if up is None:
        raise InputError("up", "nothing tells it in this scene", "--up with an axis such as +z")
    low, high = extent_along(moved, up)
    width = width_across(moved, up)
    foot = middle_seen_from(moved, up) + low * up
    surface = _found(surface_below(scene, foot, up, max(high - low, width), 0.5 * width), _point(foot + splat_origin(scene)))
    lift = similarity_matrix(None, torch.from_numpy(((surface.point @ up) - low) * up))
    return Placed(transform_splats(added, lift @ matrix), lift @ matrix, up, source, surface)


def _point(vector: Vector) -> tuple[float, float, float]:
    x, y, z = vector.tolist()
    return x, y, z


def _described(placed: Placed, scene: GaussianSplats, added: GaussianSplats) -> PlacedPart:
    """What is reported, in the coordinates of the scene's files."""
    origin = np.array(splat_origin(scene))
    height = float(origin @ placed.up)
    low, high = extent_along(placed.splats, placed.up) if placed.up.any() else (math.nan, math.nan)
    surface = placed.surface
    matrix = placed.matrix.clone()
    matrix[:3, 3] += torch.from_numpy(origin)
    return PlacedPart(
        matrix=matrix.tolist(),
        up=placed.up.tolist(),
        up_from=placed.up_from,
        lowest=low + height,
        highest=high + height,
        surface_height=None if surface is None else float(surface.point @ placed.up) + height,
        surface_point=None if surface is None else (surface.point + origin).tolist(),
        surface_normal=None if surface is None else surface.normal.tolist(),
        sh_degree_of_scene=scene.sh_degree,
        sh_degree_of_file=added.sh_degree,
    )


def _check(run: EditRun, placed: Placed) -> None:
    report = run.report
    report.near_camera_splats = int(in_the_way(placed.splats, [view.camera for view in run.views]).sum())
    run.check_views()
    if placed.surface is not None and placed.surface.normal @ placed.up < STEEP_SURFACE:
        degrees = math.degrees(math.acos(float(np.clip(placed.surface.normal @ placed.up, -1, 1))))
        report.notes.append(f"the surface there slopes by {degrees:.0f} degrees: it touches it, but does not stand on it")
    if not report.checks.views_that_show_it:
        report.notes.append("no view of the scene shows the inserted splats")
    if report.near_camera_splats:
        report.notes.append(f"{report.near_camera_splats} inserted splats lie at a camera and cover much of its picture")


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
    slope = 0.0 if level is None else float(level.normal @ ray) / float(np.linalg.norm(ray))
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
        raise InputError("up", "nothing tells it in this scene", "--up normal, or an axis such as +z")
    if up == "normal" or vertical is None:
        return surface.normal, "normal of the surface"
    if up == "auto" and source != "comment" and surface.normal @ vertical >= NEAR_VERTICAL:
        return surface.normal, f"normal of the surface, near the vertical that the {source} tell"
    return vertical, source


def axis_vector(axis: str) -> Vector:
    """Unit vector of an axis such as "-y"  # [3]"""
    vector: Vector = np.eye(3)["xyz".index(axis[1])] * (-1.0 if axis[0] == "-" else 1.0)
    return vector


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
        chosen = points[distance <= max(2.5 * MAD_TO_SIGMA * float(np.median(distance)), 1e-9 * z)]
    normal = -normal if normal @ ray > 0 else normal
    slope = float(normal @ ray)
    met = float((center - eye) @ normal) / slope if abs(slope) > 0.05 else z
    on_plane = eye + (met if abs(met / z - 1) <= SAME_SURFACE else z) * ray
    return SurfacePoint(on_plane, normal)


def _ray_through(camera: Cameras, column: float, row: float) -> Vector:
    """World direction of unit z-depth through continuous pixel coordinates  # [3]"""
    K = camera.K[0].double().cpu().numpy()
    local = np.array([(column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1], 1.0])
    direction: Vector = camera.camera_to_world[0, :3, :3].double().cpu().numpy() @ local
    return direction


def extent_along(splats: GaussianSplats, direction: Vector) -> tuple[float, float]:
    """Lowest and highest point of the solid part along a direction, from the origin, in scene units.

    A splat of opacity o is solid where o exp(-d^2 / 2) is at least one half, d in standard deviations: it reaches
    sqrt(2 ln(2 o)) of them. One splat in a thousand may lie beyond either end, so that no stray holds up the rest.

    Args:
        splats: One or more; if none has a solid part, their centres count.
        direction: Unit vector  # [3]
    """
    opacity = splats.opacities.detach().cpu().double().numpy()
    solid = opacity > SOLID if (opacity > SOLID).any() else np.ones(len(opacity), dtype=bool)
    reach = np.sqrt(2 * np.log(np.maximum(2 * opacity[solid], 1.0))) * _deviation(splats, direction)[solid]
    place = splats.means.detach().cpu().double().numpy()[solid] @ direction
    skip = int(STRAYS * solid.sum())
    return float(np.sort(place - reach)[skip]), float(np.sort(place + reach)[len(place) - 1 - skip])


def middle_seen_from(splats: GaussianSplats, up: Vector) -> Vector:
    """The middle of the outline seen from above, at height 0 along ``up``  # [3]"""
    return sum((0.5 * sum(extent_along(splats, axis)) * axis for axis in across(up)), start=np.zeros(3))


def width_across(splats: GaussianSplats, up: Vector) -> float:
    """The larger of the extents along two directions across ``up``, in scene units."""
    return max(high - low for low, high in (extent_along(splats, axis) for axis in across(up)))


def _deviation(splats: GaussianSplats, direction: Vector) -> NDArray[np.float64]:
    """Standard deviation of each splat along a direction  # [N]"""
    axes = quaternions_to_matrices(splats.quats.detach().cpu().double())
    along = torch.einsum("nij,i->nj", axes, torch.from_numpy(direction)) * splats.scales.detach().cpu().double()
    return as_array(torch.linalg.vector_norm(along, dim=1))
