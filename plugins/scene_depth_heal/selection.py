"""Which splats are the object: boxes and spheres, masks in the views, indices; grown, shrunk and cleaned."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.json_files import read_json_object
from scene_depth.io.numpy_files import read_array
from scene_depth.io.splat_files import splat_origin
from scene_depth.rendering import blending_weights_by_mask
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splats import GaussianSplats
from scene_depth_heal.clicks import Click, select_by_clicks
from scene_depth_heal.hole import HealView
from scene_depth_heal.picking import Stroke, in_mask

NEIGHBOURS = 8
FAINT = 0.1  # pixels of blending weight over all views below which a splat counts as never seen


@dataclass(frozen=True)
class Box:
    """An oriented box in the frame and unit of the scene's files.

    Attributes:
        center: Its middle.
        size: Full lengths of its edges.
        rotation: Quaternion, w first, from the box's axes to the world's.

    Example:
        >>> import torch
        >>> import scene_depth as sd
        >>> sd.Box((0, 0, 1), (2, 2, 0.5)).contains(torch.tensor([[0.9, 0, 1.2], [0, 0, 1.3]]).double()).tolist()
        [True, False]
    """

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    rotation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        _check_numbers("box.center", self.center, 3)
        _check_numbers("box.size", self.size, 3)
        _check_numbers("box.rotation", self.rotation, 4)
        if min(self.size) <= 0 or not any(self.rotation):
            raise InputError("box", asdict(self), "edges longer than 0 and a rotation that is not all zero")

    def contains(self, points: Tensor) -> Tensor:
        """Which points lie inside.

        Args:
            points: World points  # [N, 3]

        Returns:
            Mask  # [N] bool
        """
        rotation = quaternions_to_matrices(points.new_tensor(self.rotation))
        local = (points - points.new_tensor(self.center)) @ rotation
        return (local.abs() <= 0.5 * points.new_tensor(self.size)).all(dim=1)


@dataclass(frozen=True)
class Sphere:
    """A ball in the frame and unit of the scene's files.

    Attributes:
        center: Its middle.
        radius: Its radius.

    Example:
        >>> import torch
        >>> import scene_depth as sd
        >>> sd.Sphere((0, 0, 1), 0.5).contains(torch.tensor([[0, 0, 1.4], [0, 0, 0.4]]).double()).tolist()
        [True, False]
    """

    center: tuple[float, float, float]
    radius: float

    def __post_init__(self) -> None:
        _check_numbers("sphere.center", self.center, 3)
        if not (isinstance(self.radius, int | float) and 0 < self.radius < math.inf):
            raise InputError("sphere.radius", repr(self.radius), "a positive number")

    def contains(self, points: Tensor) -> Tensor:
        """Which points lie inside; see ``Box.contains``."""
        distance: Tensor = (points - points.new_tensor(self.center)).norm(dim=1)
        return distance <= self.radius


Region = Box | Sphere


@dataclass(frozen=True)
class SelectionSource:
    """What to remove, exactly one of these; by default the scene's own masks.

    Attributes:
        masks: Folder of masks named like the images, white on the object.
        box: "CX CY CZ SX SY SZ [QW QX QY QZ]" or a JSON file.
        sphere: "CX CY CZ R" or a JSON file.
        indices: ``.npy`` or text file of splat indices.
        mask_white: What white in masks is: the "object", or what to "keep", as in masks of nerfstudio and COLMAP. By default
            the object, unless white is most of nearly every picture.
        mask_id: Labels of the object in masks of several: numbers, or colours such as #ff0000.
        masks_in_order: Pair the files of ``masks`` with the views in order, whatever their names.
        grow: Steps by which the selection grows, or shrinks if negative.
    """

    masks: Path | None = None
    box: str | None = None
    sphere: str | None = None
    indices: Path | None = None
    mask_white: Literal["object", "keep"] | None = None
    mask_id: tuple[str, ...] = ()
    masks_in_order: bool = False
    grow: int = 0

    def __post_init__(self) -> None:
        given = [name for name in ("masks", "box", "sphere", "indices") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError("selection", " and ".join(given), "one of masks, box, sphere, indices")

    @property
    def by_masks(self) -> bool:
        """Whether 2D masks choose the splats."""
        return self.box is None and self.sphere is None and self.indices is None

    def chosen(self, splats: GaussianSplats, views: Sequence[HealView]) -> Tensor:
        """The splats that it names, before they grow  # [N] bool"""
        if self.indices is not None:
            return _from_indices(self.indices, len(splats))
        if self.box is not None:
            return _inside(splats, parse_region(self.box, Box))
        if self.sphere is not None:
            return _inside(splats, parse_region(self.sphere, Sphere))
        masks = [(view.camera, view.mask.to(splats.device)) for view in views if view.mask is not None]
        chosen = select_by_masks(splats, [camera for camera, _ in masks], [mask for _, mask in masks])
        return without_leftovers(splats, chosen)


Drawn = Stroke | tuple[Click, ...]
"""What was drawn on the screen: a stroke, or clicks."""


def select(
    splats: GaussianSplats, views: Sequence[HealView], what: SelectionSource | Region | Drawn | Tensor, growth: int | None = None
) -> Tensor:
    """The splats of an object  # [N] bool

    Args:
        splats: The scene.
        views: Its views, with masks if masks select.
        what: What selects: a source, a region, a stroke, clicks, indices, or one boolean a splat.
        growth: Steps to grow the selection by, or to shrink it if negative; by default those of the source.

    Raises:
        InputError: If the selection is empty or everything, or cannot be read.
    """
    if isinstance(what, SelectionSource):
        chosen, growth = what.chosen(splats, views), what.grow if growth is None else growth
    elif isinstance(what, Stroke | tuple):
        chosen = drawn(splats, what)
    else:
        chosen = _from_values(what, len(splats)) if isinstance(what, Tensor) else _inside(splats, what)
    growth = growth or 0
    chosen = grow(splats, chosen, growth) if growth > 0 else shrink(splats, chosen, -growth)
    return check_selection(chosen, "selection")


def drawn(splats: GaussianSplats, what: Drawn) -> Tensor:
    """The splats on the first surface under a stroke, or the object that clicks show  # [N] bool

    Raises:
        InputError: If they are none or all, or a click shows no surface.
    """
    if isinstance(what, Stroke):
        camera = camera_about_origin(what.camera, splats)
        return check_selection(in_mask(splats, camera, what.mask()), "stroke")
    return check_selection(select_by_clicks(splats, about_origin(what, splats)), "clicks")


def about_origin(clicks: Sequence[Click], splats: GaussianSplats) -> tuple[Click, ...]:
    """Clicks in coordinates of the scene's files in the frame of splats about another origin."""
    return tuple(replace(click, camera=camera_about_origin(click.camera, splats)) for click in clicks)


def camera_about_origin(camera: Cameras, splats: GaussianSplats) -> Cameras:
    """A camera of the scene's files in the frame of splats about another origin."""
    return camera.translated(-torch.tensor(splat_origin(splats), dtype=torch.float64))


def read_region(path: str | PathLike[str]) -> Region:
    """Reads ``{"box": {"center": [..], "size": [..], "rotation": [..]}}`` or ``{"sphere": {"center": [..], "radius": r}}``.

    Raises:
        InputError: If the file cannot be read as such.
    """
    content = read_json_object(path)
    kinds: dict[str, Callable[..., Region]] = {"box": Box, "sphere": Sphere}
    names = [name for name in kinds if name in content]
    if len(names) != 1 or not isinstance(content[names[0]], dict):
        raise InputError("region", json.dumps(content)[:80], "one object named box or sphere", file=path)
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in content[names[0]].items()}
    try:
        return kinds[names[0]](**fields)
    except TypeError as error:
        accepted = "center and size (and rotation), or center and radius"
        raise InputError(names[0], f"fields {sorted(fields)}", accepted, file=path) from error
    except InputError as error:
        raise InputError(error.field, error.found, error.accepted, file=path) from error


def write_region(path: str | PathLike[str], region: Region) -> None:
    """Writes what ``read_region`` reads."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({type(region).__name__.lower(): asdict(region)}, indent=2) + "\n", encoding="utf-8")


def parse_region(text: str, kind: type[Box] | type[Sphere] | None = None) -> Region:
    """A region as it is typed: box CX CY CZ SX SY SZ [QW QX QY QZ]; sphere CX CY CZ R; or the path of a JSON file of one."""
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        return read_region(text)
    kind = kind or (Sphere if len(numbers) == 4 else Box)
    if kind is Sphere and len(numbers) == 4:
        x, y, z, radius = numbers
        return Sphere((x, y, z), radius)
    if kind is Box and len(numbers) in (6, 10):
        x, y, z, width, height, depth, *rest = numbers
        qw, qx, qy, qz = rest or Box.rotation
        return Box((x, y, z), (width, height, depth), (qw, qx, qy, qz))
    raise InputError(kind.__name__.lower(), f"{len(numbers)} numbers", "6 or 10 numbers for a box, 4 for a sphere")


def select_by_masks(
    splats: GaussianSplats,
    cameras: Sequence[Cameras],
    masks: Sequence[Tensor],
    *,
    share: float = 0.5,
    halo_share: float = 0.15,
) -> Tensor:
    """Splats whose contribution to the views lies mostly inside the masks.

    A splat's share is its blending weight inside the masks over its blending weight in all views. Splats of at least
    ``share`` are the object. Splats of at least ``halo_share`` that touch it are its halo: they blend object and
    background and would stay as dark specks. Splats that no view sees belong to it if every view that has them in its
    picture has them inside its mask.

    Args:
        splats: A trained scene.
        cameras: One camera a view.
        masks: True on the object, of the camera's size  # [H, W] each

    Returns:
        Mask of the splats  # [N] bool

    Raises:
        InputError: If a mask is not of its camera's size, or the masks select nothing or everything.
    """
    inside = torch.zeros(len(splats))
    total = torch.zeros(len(splats))
    in_mask = torch.zeros(len(splats), dtype=torch.int64)
    in_picture = torch.zeros(len(splats), dtype=torch.int64)
    for number, (camera, mask) in enumerate(zip(cameras, masks, strict=True)):
        if mask.shape != (camera.height, camera.width):
            accepted = f"({camera.height}, {camera.width}), the size of its view"
            raise InputError(f"masks[{number}]", f"size {tuple(mask.shape)}", accepted)
        weights, beside = blending_weights_by_mask(splats, camera, torch.stack([mask, ~mask])).cpu()
        inside += weights
        total += weights + beside
        column, row, visible = _pixels_of(splats, camera)
        in_picture += visible
        in_mask += visible & mask.cpu()[row, column]
    ratio = inside / total.clamp_min(1e-12)
    seen = total > FAINT
    selected = seen & (ratio >= share)
    hidden = ~seen & (in_picture > 0) & (in_mask == in_picture)
    halo = seen & (ratio >= halo_share) & touching(splats, selected)
    return check_selection(selected | hidden | halo, "masks")


def check_selection(selected: Tensor, what: str) -> Tensor:
    """The selection itself.

    Raises:
        InputError: If it is empty or holds everything.
    """
    count = int(selected.sum())
    if count == 0:
        raise InputError(what, "no splat", "masks, a region or indices that contain some of the splats")
    if count == len(selected):
        raise InputError(what, f"all {count} splats", "a selection that leaves some splats")
    return selected


def touching(splats: GaussianSplats, selected: Tensor, reach: float = 2.0) -> Tensor:
    """Splats whose centre lies within ``reach`` of their local spacing from a selected one  # [N] bool"""
    if not selected.any():
        return torch.zeros_like(selected)
    means = splats.means.detach().cpu().double().numpy()
    chosen = selected.cpu().numpy()
    distance, _ = cKDTree(means[chosen]).query(means)
    return torch.from_numpy(distance <= reach * local_spacing(splats))


def grow(splats: GaussianSplats, selected: Tensor, steps: int = 1) -> Tensor:
    """The selection and, ``steps`` times, the splats that touch it  # [N] bool"""
    for _ in range(steps):
        selected = selected | touching(splats, selected)
    return selected


def shrink(splats: GaussianSplats, selected: Tensor, steps: int = 1) -> Tensor:
    """The selection less, ``steps`` times, the splats that touch the rest  # [N] bool"""
    return ~grow(splats, ~selected, steps)


def without_leftovers(splats: GaussianSplats, selected: Tensor, majority: float = 0.75) -> Tensor:
    """Adds unselected splats whose neighbours are nearly all selected, and drops selected ones that stand alone.

    Args:
        splats: The scene.
        selected: A selection  # [N] bool
        majority: Share of the nearest neighbours that decides.
    """
    if len(splats) <= NEIGHBOURS:
        return selected
    means = splats.means.detach().cpu().double().numpy()
    _, index = cKDTree(means).query(means, k=NEIGHBOURS + 1)
    around = selected.cpu()[torch.from_numpy(index[:, 1:])].float().mean(dim=1)
    return (selected.cpu() & (around > 1 - majority)) | (around >= majority)


def local_spacing(splats: GaussianSplats) -> NDArray[np.float64]:
    """Mean distance of each splat to its nearest neighbours, in scene units  # [N] float64"""
    means = splats.means.detach().cpu().double().numpy()
    neighbours = min(4, len(means))
    if neighbours < 2:
        return np.zeros(len(means))
    distance, _ = cKDTree(means).query(means, k=neighbours)
    spacing: NDArray[np.float64] = distance[:, 1:].mean(axis=1)
    return spacing


def inside_region(splats: GaussianSplats, region: Region) -> Tensor:
    """Which splats have their centres in a region; it is in coordinates of the scene's files, as their origin is  # [N] bool"""
    means = splats.means.detach().double()
    return region.contains(means + means.new_tensor(splat_origin(splats))).cpu()


def _inside(splats: GaussianSplats, region: Region) -> Tensor:
    return check_selection(inside_region(splats, region), type(region).__name__.lower())


def _from_indices(path: Path, count: int) -> Tensor:
    accepted = "a .npy or text file of splat indices, or a mask of all splats"
    try:
        values = read_array(path, "indices") if path.suffix == ".npy" else np.loadtxt(path, dtype=np.int64, ndmin=1)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError("indices", str(error), accepted, file=path) from error
    if values.dtype != np.bool_ and not np.issubdtype(values.dtype, np.integer):
        raise InputError("indices", f"values of {values.dtype}", accepted, file=path)
    whole = values.dtype == np.bool_ or values.size == 0
    return _from_values(torch.from_numpy(values if whole else values.ravel().astype(np.int64)), count, path)


def _from_values(values: Tensor, count: int, file: Path | None = None) -> Tensor:
    """Booleans or indices as booleans  # [N]"""
    name, values = "selection" if file is None else "indices", values.detach().cpu()
    if values.dtype == torch.bool:
        if values.shape != (count,):
            raise InputError(name, f"shape {tuple(values.shape)}", f"({count},), one boolean a splat", file=file)
        return check_selection(values, name)
    if values.is_floating_point() or values.is_complex() or values.ndim != 1:
        raise InputError(name, f"{values.dtype} of shape {tuple(values.shape)}", "indices of splats, or booleans", file=file)
    if len(values) and not (int(values.min()) >= 0 and int(values.max()) < count):
        raise InputError(name, f"indices {int(values.min())} to {int(values.max())}", f"0 to {count - 1}", file=file)
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[values.long()] = True
    return check_selection(chosen, name)


def _pixels_of(splats: GaussianSplats, camera: Cameras) -> tuple[Tensor, Tensor, Tensor]:
    pixels, z = camera.project(splats.means.detach().cpu().double())
    pixels, z = pixels[0], z[0]
    visible = (z > 0) & (pixels >= 0).all(1) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    safe = torch.where(visible[:, None], pixels, 0.0).long()
    return safe[:, 0], safe[:, 1], visible


def _check_numbers(name: str, values: Sequence[float], length: int) -> None:
    good = isinstance(values, tuple) and len(values) == length
    if not good or not all(isinstance(value, int | float) and abs(value) < math.inf for value in values):
        raise InputError(name, repr(values), f"{length} finite numbers")
