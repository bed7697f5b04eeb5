"""Which splats a rectangle, a stroke, a polygon or a click on the screen means, or a colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.rendering import render
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splats import GaussianSplats

Mode = Literal["set", "add", "remove", "intersect"]
FRONT_TOLERANCE = 0.03  # relative depth behind the front surface that still belongs to it
FAINT = 0.1  # opacity below which a splat neither stops a click nor is flooded
LINKS = 16  # neighbours that a flood may pass to
MOST_POINTS = 5000  # of a stroke

Place = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A stroke of a round brush over a picture.

    Attributes:
        camera: The camera of the picture, in the frame and unit of the scene's files.
        pixels: Columns and rows that the brush passed, in order, continuous; the middle of the first pixel is (0.5, 0.5).
        radius: Of the brush, in pixels.

    Example:
        >>> import scene_depth as sd
        >>> scene, splats = sd.read_scene("scenes/table"), sd.read_splats("scenes/table/splats.spz")
        >>> stroke = sd.Stroke(scene.views[0].camera, [(150, 100), (150, 140)], radius=8)
        >>> 0 < int(sd.select(splats, stroke).sum()) < 2000
        True
    """

    camera: Cameras
    pixels: Sequence[Place]
    radius: float

    def __post_init__(self) -> None:
        places = np.asarray(self.pixels, dtype=np.float64)
        if places.ndim != 2 or places.shape[1] != 2 or len(places) > MOST_POINTS or not np.isfinite(places).all():
            raise InputError("stroke.pixels", f"shape {places.shape}", f"1 to {MOST_POINTS} places of two finite numbers")
        if not 0 < self.radius <= max(self.camera.width, self.camera.height):
            raise InputError("stroke.radius", self.radius, "a number of pixels above 0, not beyond the picture")

    def mask(self) -> Tensor:
        """The pixels under it  # [H, W] bool"""
        image = Image.new("1", (self.camera.width, self.camera.height))
        draw, radius = ImageDraw.Draw(image), self.radius
        places = np.asarray(self.pixels, dtype=np.float64).clip(-2 * image.width, 3 * image.width) - 0.5
        draw.line([(x, y) for x, y in places], fill=1, width=max(1, round(2 * radius)), joint="curve")
        for x, y in places:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
        return torch.from_numpy(np.array(image))


def combine(old: Tensor, new: Tensor, mode: Mode) -> Tensor:
    """The selection after a tool has chosen ``new``  # [N] bool"""
    if mode == "add":
        return old | new
    if mode == "remove":
        return old & ~new
    if mode == "intersect":
        return old & new
    return new


def in_rectangle(
    splats: GaussianSplats, camera: Cameras, corners: tuple[tuple[float, float], tuple[float, float]], *, front_only: bool
) -> Tensor:
    """Splats whose centre falls into a rectangle of the screen  # [N] bool

    Args:
        corners: Two opposite corners as fractions of the screen, (0, 0) at the top left.
        front_only: Only those on the first surface that the pixel shows.
    """
    pixels, z = camera.project(splats.means.detach().cpu().double())
    place = pixels[0] / torch.tensor([camera.width, camera.height], dtype=pixels.dtype)
    both = place.new_tensor(corners)
    inside = (z[0] > 0) & (place >= both.amin(0)).all(1) & (place <= both.amax(0)).all(1)
    return inside & on_front(splats, camera) if front_only else inside


def in_mask(splats: GaussianSplats, camera: Cameras, mask: Tensor, *, front_only: bool = True) -> Tensor:
    """Splats whose centre falls on a pixel of a mask  # [N] bool

    Args:
        mask: Of the camera's size  # [H, W] bool
        front_only: Only those on the first surface that the pixel shows.
    """
    column, row, inside = _pixels(splats, camera)
    inside = inside & mask.cpu()[row, column]
    return inside & on_front(splats, camera) if front_only and bool(inside.any()) else inside


def in_polygon(splats: GaussianSplats, camera: Cameras, corners: Sequence[Place], *, front_only: bool = True) -> Tensor:
    """Splats whose centre falls into a polygon of the screen, as a lasso draws one too  # [N] bool

    Args:
        corners: Three or more, as fractions of the screen, (0, 0) at the top left; the last is joined to the first.
        front_only: Only those on the first surface that the pixel shows.
    """
    if not 3 <= len(corners) <= MOST_POINTS:
        raise InputError("polygon", f"{len(corners)} corners", f"3 to {MOST_POINTS}")
    image = Image.new("1", (camera.width, camera.height))
    ImageDraw.Draw(image).polygon([(x * camera.width - 0.5, y * camera.height - 0.5) for x, y in corners], fill=1)
    return in_mask(splats, camera, torch.from_numpy(np.array(image)), front_only=front_only)


def of_color(splats: GaussianSplats, color: Tensor, tolerance: float = 0.15) -> Tensor:
    """Splats of about a colour  # [N] bool

    Args:
        color: sRGB in [0, 1]  # [3]
        tolerance: Largest difference per channel.
    """
    difference = (splats.base_colors.detach().cpu().clamp(0, 1) - color.cpu()).abs()
    return difference.amax(dim=1) <= tolerance


def _pixels(splats: GaussianSplats, camera: Cameras) -> tuple[Tensor, Tensor, Tensor]:
    """Column and row of each splat's pixel, and whether it lies in the picture; (0, 0) for those that do not."""
    pixels, z = camera.project(splats.means.detach().cpu().double())
    pixels, z = pixels[0], z[0]
    inside = (z > 0) & (pixels >= 0).all(1) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    column, row = torch.where(inside[:, None], pixels, 0.0).long().unbind(1)
    return column, row, inside


def on_front(splats: GaussianSplats, camera: Cameras) -> Tensor:
    """Splats on the first surface of their pixel, by median depth, or before it; none outside the picture  # [N] bool"""
    with torch.no_grad():
        image = render(splats.detach(), camera, median_depth=True)
    assert image.median_depth is not None
    surface = image.median_depth[0].cpu().double()
    column, row, inside = _pixels(splats, camera)
    z = camera.project(splats.means.detach().cpu().double())[1][0]
    front = surface[row, column]
    return inside & (front > 0) & (z <= front * (1 + FRONT_TOLERANCE))


def screen_ray(camera: Cameras, place: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Ray through a place on the screen.

    Args:
        camera: The camera of the screen.
        place: Fractions of the screen's width and height, (0, 0) at the top left.

    Returns:
        Origin and unit direction in the world, float64  # [3] each
    """
    K, pose = camera.K[0].double(), camera.camera_to_world[0].double()
    x = (place[0] * camera.width - K[0, 2]) / K[0, 0]
    y = (place[1] * camera.height - K[1, 2]) / K[1, 1]
    direction = pose[:3, :3] @ torch.stack([x, y, torch.ones_like(x)])
    return pose[:3, 3], torch.nn.functional.normalize(direction, dim=0)


def flood(
    splats: GaussianSplats, origin: Tensor, direction: Tensor, *, color_tolerance: float = 0.15, reach: float = 3.0
) -> Tensor:
    """The connected patch of similar colour around the splat that a click hits.

    Args:
        color_tolerance: Largest difference of base colour from the splat that was hit, per channel.
        reach: Distance to the next splat, in local spacings, that still connects.

    Returns:
        Mask; all False if the ray, in the world, hits nothing  # [N] bool
    """
    selected = torch.zeros(len(splats), dtype=torch.bool)
    seed = hit(splats, origin, direction)
    if seed is None:
        return selected
    colors = splats.base_colors.detach().cpu()
    similar = (colors - colors[seed]).abs().amax(1) <= color_tolerance
    similar &= splats.opacities.detach().cpu() > FAINT
    similar[seed] = True
    candidates = similar.nonzero()[:, 0]
    patch = _patches(splats.means.detach().cpu().double()[candidates].numpy(), reach)
    selected[candidates] = torch.from_numpy(patch == patch[int((candidates == seed).nonzero()[0, 0])])
    return selected


def _patches(points: np.ndarray, reach: float) -> np.ndarray:
    """Number of the connected patch of each point  # [P, 3] -> [P]"""
    count = len(points)
    neighbours = min(LINKS + 1, count)
    if neighbours < 2:
        return np.zeros(count, dtype=np.int64)
    distance, index = cKDTree(points).query(points, k=neighbours)
    spacing = distance[:, 1:4].mean(axis=1)
    near = distance[:, 1:] <= reach * spacing[:, None]
    start = np.repeat(np.arange(count), near.sum(axis=1))
    links = coo_matrix((np.ones(len(start), dtype=bool), (start, index[:, 1:][near])), shape=(count, count))
    labels: NDArray[np.int32] = connected_components(links, directed=False)[1]
    return labels


def hit(splats: GaussianSplats, origin: Tensor, direction: Tensor) -> int | None:
    """The splat at which a ray has lost half of its light; the one that stops most if it never does.

    Each splat is met at the point of the ray where it is densest; there it stops its opacity times its Gaussian. None if nothing
    stops a tenth of the light.
    """
    plain = splats.detach().to("cpu")
    turn = quaternions_to_matrices(plain.quats.double()).transpose(1, 2)
    inverse = 1 / plain.scales.double().clamp_min(1e-12)
    start = torch.einsum("nij,nj->ni", turn, origin.double() - plain.means.double()) * inverse
    along = (turn @ direction.double()) * inverse
    length = along.square().sum(1)
    distance = -(start * along).sum(1) / length  # along the ray, in lengths of ``direction``
    nearest = (start + distance[:, None] * along).square().sum(1)
    stopped = plain.opacities.double() * torch.exp(-0.5 * nearest)
    met = ((distance > 0) & (stopped > 1 / 255)).nonzero()[:, 0]
    order = met[distance[met].argsort()]
    left = torch.cumprod(1 - stopped[order], dim=0)
    if not len(order) or left[-1] > 1 - FAINT:
        return None
    below = (left < 0.5).nonzero()
    if len(below):
        return int(order[below[0, 0]])
    weight = torch.cat([left.new_ones(1), left[:-1]]) * stopped[order]
    return int(order[weight.argmax()])
