"""Clicks that pick an object by pictures: masks of several views, from a model such as SAM 2, lifted by their vote.

The pictures that were clicked are segmented first. Points of the surface that their masks show are the clicks in other views that
see them. A view whose mask disagrees with theirs on what both see has no vote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.splat_transforms import euler_rotation
from scene_depth.splats import GaussianSplats
from scene_depth_heal.clicks import Click, struck
from scene_depth_heal.hole import HealView, picture_of
from scene_depth_heal.picking import in_mask, on_front
from scene_depth_heal.selection import check_selection, select_by_masks, without_leftovers

Segment = Callable[[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]], NDArray[np.bool_]]
"""Picture, pixels of clicks and whether each belongs to the object -> mask; see ``Sam2``."""

_Prompt = tuple[tuple[float, ...], bool]  # a pixel, and whether it belongs to the object

MOST_PICTURES, MOST_TRIED = 7, 14  # that are segmented, and photos that are drawn to see whether they show the object
LEAST_PHOTOS = 4  # beside those clicked; else what the splats show from around the object stands in
PROMPTS = 4  # clicks in each further view
INNER = 0.5  # quantile of the distance to a mask's border from which its pixels are surely the object's
SHOWN = 0.3  # share of the surface that was clicked that a further view must see
FOUND, SHARED = (
    0.8,
    0.6,
)  # shares of what both views see: of the clicked one's object in the mask, and of the mask in the clicked one's
LEAST_SHARED = 20  # splats from which the latter can be told
AROUND = ((-20, 0), (20, 0), (0, 20), (-40, 0), (40, 0), (0, -20))  # degrees aside and up, of views for want of photos
REACH = 1.5  # of the object that was seen, within which what no view shows may be a part of it


@dataclass(frozen=True)
class _Picture:
    """A view with what it shows.

    Attributes:
        camera: Its camera.
        rgb: The photo, or what the splats show  # [H, W, 3]
        pixels: Of the splats' centres  # [N, 2]
        front: Splats on its first surface  # [N] bool
    """

    camera: Cameras
    rgb: NDArray[np.float32]
    pixels: NDArray[np.float64]
    front: NDArray[np.bool_]

    def inside(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Splats of the first surface whose centre a mask holds  # [N] bool"""
        column, row = np.where(self.front[:, None], self.pixels, 0).astype(np.int64).T
        held: NDArray[np.bool_] = self.front & mask[row, column]
        return held


def select_by_segments(splats: GaussianSplats, clicks: Sequence[Click], views: Sequence[HealView], segment: Segment) -> Tensor:
    """The object that clicks show, as masks of several pictures have it  # [N] bool

    Args:
        splats: The scene, in the frame of the clicks' cameras.
        clicks: On the object, one at least, and on what it is not.
        views: Photos; where too few of them see the object, what the splats show from around it stands in.
        segment: Makes a mask from clicks on a picture.

    Raises:
        InputError: If no click belongs to the object, one of them shows no surface, or the mask of a clicked picture is empty
            or all of it.
    """
    shown = [*zip(clicks, struck(splats, clicks), strict=True)]
    clicked: list[_Picture] = []
    for click in clicks:
        if click.belongs and not any(_same(click.camera, picture.camera) for picture in clicked):
            clicked.append(_picture(splats, click.camera, next((v for v in views if _same(v.camera, click.camera)), None)))
    masks = [_segmented(segment, picture, _prompts(shown, picture)) for picture in clicked]
    core = np.any([_core(picture, mask) for picture, mask in zip(clicked, masks, strict=True)], axis=0)
    for number, picture in enumerate(clicked):  # what was clicked from another side may show here, too
        if not _holds(picture, masks[number], core):
            masks[number] = _segmented(segment, picture, _prompts(shown, picture, core))
    agreed = _Agreed.of(clicked, masks, core)
    pictures, others = list(clicked), [v for v in views if not any(_same(v.camera, picture.camera) for picture in clicked)]
    for picture in _further(splats, clicked[0].camera, others, core, MOST_PICTURES - len(clicked)):
        mask = _segmented(segment, picture, _prompts(shown, picture, core))
        if agreed.fits(picture, mask):
            pictures.append(picture)
            masks.append(mask)
    return _voted(splats, pictures, masks)


def _prompts(shown: Sequence[tuple[Click, int]], picture: _Picture, core: NDArray[np.bool_] | None = None) -> list[_Prompt]:
    """Clicks on a picture: those made on it, those of others that it sees, and some of the points of the object that it sees."""
    prompts: list[_Prompt] = []
    for click, number in shown:
        here = _same(click.camera, picture.camera)
        if here or picture.front[number]:
            prompts.append((click.pixel if here else tuple(picture.pixels[number]), click.belongs))
    if core is not None and (places := picture.pixels[core & picture.front]).size:
        middle = int(np.linalg.norm(places - np.median(places, axis=0), axis=1).argmin())
        prompts += [(tuple(places[number]), True) for number in _spread(places, middle, PROMPTS)]
    return prompts


def _segmented(segment: Segment, picture: _Picture, prompts: Sequence[_Prompt]) -> NDArray[np.bool_]:
    pixels = np.array([place for place, _ in prompts], dtype=np.float64)
    mask = np.asarray(segment(picture.rgb, pixels, np.array([belongs for _, belongs in prompts])))
    if mask.shape != picture.rgb.shape[:2] or mask.dtype != np.bool_:
        raise InputError("segment", f"a mask of {mask.dtype}, {mask.shape}", f"booleans, {picture.rgb.shape[:2]}, as the picture")
    return mask


def _core(picture: _Picture, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Splats on the first surface of the clicked picture that surely are the object's  # [N] bool"""
    if not mask.any() or mask.all():
        found = "nothing" if not mask.any() else "the whole picture"
        raise InputError(
            "clicks", f"{found} is segmented", "clicks that the model makes an object of; further ones make them plainer"
        )
    distance = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    core = picture.inside(mask & (distance >= np.quantile(distance[mask], INNER)))
    if not core.any():
        raise InputError("clicks", "no splat under the mask", "clicks on a surface")
    return core


def _further(
    splats: GaussianSplats, camera: Cameras, views: Sequence[HealView], core: NDArray[np.bool_], most: int
) -> Iterator[_Picture]:
    """Pictures that see the object from other sides than a camera: photos, or else what the splats show from around it."""
    middle = splats.means.detach().cpu().double()[torch.from_numpy(core)].mean(dim=0)
    places: list[tuple[Cameras, HealView | None]] = [(view.camera, view) for view in _other_sides(camera, views, middle)]
    places += [(_turned_about(camera, middle, aside, up), None) for aside, up in AROUND]
    found = 0
    for place, view in places:
        if found >= (min(LEAST_PHOTOS, most) if view is None else most):
            return
        picture = _picture(splats, place, view)
        if (picture.front & core).sum() >= SHOWN * core.sum():
            found += 1
            yield picture


def _other_sides(camera: Cameras, views: Sequence[HealView], middle: Tensor) -> list[HealView]:
    """Views with a point in their picture, at most thrice as far as a camera, each as far from the sides before as can be."""
    here = camera.centers[0].cpu().double() - middle
    sides, left = [here / here.norm()], []
    for view in views:
        pixel, z = view.camera.project(middle[None])
        place, there = pixel[0, 0], view.camera.centers[0].cpu().double() - middle
        inside = 0 < float(place[0]) < view.camera.width and 0 < float(place[1]) < view.camera.height
        if float(z[0, 0]) > 0 and inside and 1 / 3 < float(there.norm() / here.norm()) < 3:
            left.append(view)
            sides.append(there / there.norm())
    return [left[number - 1] for number in _spread(torch.stack(sides).numpy(), 0, MOST_TRIED + 1)[1:]]


def _turned_about(camera: Cameras, middle: Tensor, aside: float, up: float) -> Cameras:
    """The camera turned about a point, aside and up in its own axes, by degrees."""
    pose = camera.camera_to_world[0].double().cpu()
    axes = pose[:3, :3]
    turn = axes @ euler_rotation(up, aside, 0) @ axes.T
    turned = pose.clone()
    turned[:3, :3], turned[:3, 3] = turn @ axes, middle + turn @ (pose[:3, 3] - middle)
    return replace(camera, camera_to_world=turned[None].to(camera.camera_to_world))


def _picture(splats: GaussianSplats, camera: Cameras, view: HealView | None) -> _Picture:
    pixels = camera.project(splats.means.detach().cpu().double())[0][0].numpy()
    rgb = picture_of(splats, camera) if view is None else view.rgb.cpu().numpy()
    return _Picture(camera, rgb, pixels, on_front(splats, camera).numpy())


def _spread(points: NDArray[np.float64], first: int, most: int) -> list[int]:
    """Numbers of some of the points, one of them first, each as far from those before as can be."""
    chosen, apart = [first], np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < min(most, len(points)):
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def _holds(picture: _Picture, mask: NDArray[np.bool_], core: NDArray[np.bool_]) -> bool:
    """Whether a mask has nearly all of the object that its picture sees."""
    return bool((picture.inside(mask) & core).sum() >= FOUND * (picture.front & core).sum())


@dataclass(frozen=True)
class _Agreed:
    """What the clicked pictures say, with which others must agree.

    Attributes:
        seen: Splats that they see  # [N] bool
        held: Those of them in a mask  # [N] bool
        core: Those of them that surely are the object's  # [N] bool
    """

    seen: NDArray[np.bool_]
    held: NDArray[np.bool_]
    core: NDArray[np.bool_]

    @classmethod
    def of(cls, pictures: Sequence[_Picture], masks: Sequence[NDArray[np.bool_]], core: NDArray[np.bool_]) -> _Agreed:
        held = np.any([picture.inside(mask) for picture, mask in zip(pictures, masks, strict=True)], axis=0)
        return cls(np.any([picture.front for picture in pictures], axis=0), held, core)

    def fits(self, picture: _Picture, mask: NDArray[np.bool_]) -> bool:
        """Whether another mask has the same of what both see."""
        both = picture.inside(mask) & self.seen
        same = both.sum() < LEAST_SHARED or (both & self.held).sum() >= SHARED * both.sum()
        return bool(same) and _holds(picture, mask, self.core)


def _voted(splats: GaussianSplats, pictures: Sequence[_Picture], masks: Sequence[NDArray[np.bool_]]) -> Tensor:
    tensors = [torch.from_numpy(mask) for mask in masks]
    if len(pictures) == 1:  # what lies behind is in the mask as well
        return without_leftovers(splats, in_mask(splats, pictures[0].camera, tensors[0]))
    voted = select_by_masks(splats, [each.camera for each in pictures], [mask.to(splats.device) for mask in tensors])
    seen = np.any([picture.inside(mask) for picture, mask in zip(pictures, masks, strict=True)], axis=0)
    means = splats.means.detach().cpu().double()
    shown = means[voted.cpu() & torch.from_numpy(seen)]
    if not len(shown):
        raise InputError("clicks", "no splat that the masks agree on", "further clicks, on the object or on what it is not")
    middle = shown.median(dim=0).values
    reach = REACH * float((shown - middle).norm(dim=1).quantile(0.98))
    return check_selection(without_leftovers(splats, voted.cpu() & ((means - middle).norm(dim=1) <= reach)), "clicks")


def _same(one: Cameras, other: Cameras) -> bool:
    """Whether two cameras are the same up to rounding."""
    if (one.width, one.height) != (other.width, other.height):
        return False
    moved = (one.camera_to_world.cpu().double() - other.camera_to_world.cpu().double()).abs().max()
    zoomed = (one.K.cpu().double() - other.K.cpu().double()).abs().max()
    return float(moved) < 1e-6 and float(zoomed) < 1e-3
