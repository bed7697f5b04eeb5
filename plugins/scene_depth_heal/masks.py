"""Object masks that are too small, too large or missing in some views, put right by what the splats show.

A mask that is some pixels too small leaves streaks of the object, one that is too large takes floor and wall away. Deep inside
it, nearly everything is the object; well outside, and seen so from any side, nothing is. Between, the splats are parted where
they hang together least, in space and in colour: an object touches the rest of the scene in few places only. Where the border
of a mask lies beside the outline of what this gives, all along, the mask is moved there; others stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.spatial import cKDTree
from torch import Tensor

from scene_depth.errors import one_line
from scene_depth.fitting.training_views import fitted_camera
from scene_depth.rendering import blending_weights_by_mask
from scene_depth.splats import GaussianSplats
from scene_depth_heal.hole import HealView, weight_of

VOTERS = 24  # views, spread over all, whose masks say what lies deep inside and well outside
SIZE = 256  # longer side at which masks are compared, in pixels
CORE, BEYOND = 0.035, 0.025  # of the longer side: how far inside and outside a mask its word is beyond doubt
IN_CORE, SEEN_BEYOND = 0.5, 0.25  # share of a splat's weight there that decides
FAINT = 0.1  # pixels of blending weight over all views below which a splat counts as never seen
NEIGHBOURS = 16
REACH = 2.0  # local spacings over which splats hang together
LIKE = 0.1  # difference of colour up to which they do
UNLIKE = 0.2  # how much splats of different colours hang together all the same
MASK = 0.02  # pull of the masks' own word on a splat, where nothing else parts it from others
RIGHT = 0.006  # of the longer side: a mask whose border lies closer to the outline stays as it is
WRONG = 0.06  # and from here on the mask shows something else: the outline takes its place
MISSING = 0.25  # part of the usual area that an object must have in a view for an empty mask to be missing
SCALE = 1000  # of capacities, which are integers


def fit_masks(splats: GaussianSplats, views: Sequence[HealView]) -> tuple[list[HealView], list[str]]:
    """The views with masks that fit the object, and a line on each kind of mask that did not.

    Args:
        splats: A trained scene with the object.
        views: Its views; those without masks, and all if no mask shows anything, stay as they are.
    """
    small = [_reduced(view) for view in views]
    shown = [place for place, view in enumerate(small) if view.mask is not None and bool(view.mask.any())]
    if not shown:
        return list(views), []
    chosen = _part(splats, [small[place] for place in shown])
    outlines = {place: _outline(splats, chosen, small[place]) for place, view in enumerate(small) if view.mask is not None}
    empty = [place for place in outlines if place not in shown]
    usual = float(np.median([outlines[place].sum() for place in shown]))
    missing = [place for place in empty if outlines[place].sum() > MISSING * usual]
    if len(missing) < len(empty):  # the other empty masks are right: what those views show is not the object
        told = [place for place in outlines if place not in missing]
        chosen = _part(splats, [small[place] for place in told])
        outlines = {place: _outline(splats, chosen, small[place]) for place in outlines}
    fitted, moved, wrong = list(views), {}, []
    for place in [*shown, *missing]:
        view, outline = views[place], outlines[place]
        offset = _offset(outline, small[place])
        if offset is None or abs(offset) < RIGHT:
            continue
        sized = _enlarged(outline, view)
        if abs(offset) < WRONG and place in shown:
            moved[view.name], sized = offset, sized | _moved(view, offset)
        elif place in shown:
            wrong.append(view.name)
        fitted[place] = replace(view, mask=sized)
    return fitted, _notes(len(shown), moved, wrong, [views[place].name for place in missing])


def _notes(count: int, moved: dict[str, float], wrong: list[str], missing: list[str]) -> list[str]:
    notes = []
    for sign, words in ((1, "larger"), (-1, "smaller")):
        some = [abs(offset) for offset in moved.values() if offset * sign > 0]
        if some:
            by = f"{100 * float(np.median(some)):.1f} % of the picture"
            notes.append(f"fitted to the object, as they were {by} {words}: {len(some)} of {count} masks")
    if wrong:
        example = f"{len(wrong)} of {count} masks, such as that of {one_line(wrong[0])}"
        notes.append(f"not used, as they show something else than the others: {example}")
    if missing:
        example = f"{len(missing)} of {count + len(missing)} masks, such as that of {one_line(missing[0])}"
        notes.append(f"not used, as they are empty though their views show the object: {example}")
    return notes


def _reduced(view: HealView) -> HealView:
    """The view at the size of comparison."""
    camera = fitted_camera(view.camera, SIZE)
    size = (camera.height, camera.width)
    mask = None if view.mask is None else torch.nn.functional.adaptive_avg_pool2d(view.mask.float().cpu()[None], size)[0] >= 0.5
    return HealView(view.name, camera, torch.zeros(*size, 3, dtype=torch.uint8), mask)


def _part(splats: GaussianSplats, views: Sequence[HealView]) -> Tensor:
    """The splats of the object, parted from the rest by a minimal cut  # [N] bool"""
    core, inside, beyond, total = _votes(splats, views)
    seen = total > FAINT
    total = np.maximum(total, 1e-12)
    is_object = seen & (core >= IN_CORE * total)
    is_rest = seen & (beyond >= SEEN_BEYOND * total) & ~is_object
    chosen = torch.from_numpy(is_object)
    if not is_object.any() or not is_rest.any():
        return chosen
    means = splats.means.detach().cpu().double().numpy()
    low, high = means[is_object].min(axis=0), means[is_object].max(axis=0)
    margin = 0.3 * float((high - low).max())
    near = np.flatnonzero(((means > low - margin) & (means < high + margin)).all(axis=1))
    open_ = seen & ~is_object & ~is_rest
    pull = MASK * inside / total
    to_object = np.where(is_object, np.inf, np.where(open_, pull, 0.0))[near]
    to_rest = np.where(is_rest, np.inf, np.where(open_, MASK - pull, 0.0))[near]
    colors = splats.base_colors.detach().cpu().double().clamp(0, 1).numpy()
    chosen[torch.from_numpy(near)] = torch.from_numpy(_cut(means[near], colors[near], to_object, to_rest))
    return chosen


def _votes(splats: GaussianSplats, views: Sequence[HealView]) -> tuple[NDArray[np.float64], ...]:
    """Blending weight of each splat deep inside the masks, inside, well outside, and in all, over views all around  # [N] each"""
    core, inside, beyond, total = (torch.zeros(len(splats), dtype=torch.float64) for _ in range(4))
    for place in np.unique(np.linspace(0, len(views) - 1, min(len(views), VOTERS)).round().astype(int)):
        view = views[place]
        assert view.mask is not None
        mask, size = view.mask.numpy(), max(view.mask.shape)
        depth, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
        thickness = ndimage.maximum_filter(depth, size=2 * int(np.ceil(CORE * size)) + 1)
        deep = mask & (depth > np.minimum(CORE * size, 0.5 * thickness))  # thin parts have a core too
        far = outside > BEYOND * size if mask.any() else np.ones_like(mask)
        parts = torch.from_numpy(np.stack([deep, mask & ~deep, far, ~mask & ~far])).to(splats.device)
        weights = blending_weights_by_mask(splats, view.camera, parts).cpu()
        core += weights[0]
        inside += weights[0] + weights[1]
        beyond += weights[2]
        total += weights.sum(dim=0)
    return core.numpy(), inside.numpy(), beyond.numpy(), total.numpy()


def _cut(
    means: NDArray[np.float64], colors: NDArray[np.float64], to_object: NDArray[np.float64], to_rest: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which splats lie on the object's side of a minimal cut (max flow, min cut; Boykov and Jolly 2001)  # [N] bool

    Args:
        means: Places  # [N, 3]
        colors: Colours  # [N, 3]
        to_object, to_rest: How strongly each is tied to either side; infinite where that is known  # [N] each
    """
    count = len(means)
    neighbours = min(NEIGHBOURS, count - 1)
    distance, index = cKDTree(means).query(means, k=neighbours + 1)
    spacing = distance[:, 1:4].mean(axis=1) + 1e-12
    first, second, apart = np.repeat(np.arange(count), neighbours), index[:, 1:].ravel(), distance[:, 1:].ravel()
    near = np.exp(-(apart**2) / (REACH**2 * spacing[first] * spacing[second]))
    alike = np.exp(-((colors[first] - colors[second]) ** 2).sum(axis=1) / (2 * LIKE**2))
    links = coo_matrix((near * (UNLIKE + alike), (first, second)), shape=(count, count)).tocsr()
    links = links.maximum(links.T).tocoo()
    source, sink, every = np.full(count, count), np.full(count, count + 1), np.arange(count)
    rows, columns = np.concatenate([links.row, source, every]), np.concatenate([links.col, every, sink])
    values = np.concatenate([links.data, to_object, to_rest])
    capacity = np.rint(SCALE * np.minimum(values, 2 * NEIGHBOURS * count)).clip(0, 2**30).astype(np.int32)
    graph = csr_matrix((capacity, (rows, columns)), shape=(count + 2, count + 2))
    left = (graph - maximum_flow(graph, count, count + 1).flow).tocsr()
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    reached = breadth_first_order(left, count, return_predecessors=False)
    side = np.zeros(count + 2, dtype=bool)
    side[reached] = True
    return side[:count]


def _outline(splats: GaussianSplats, chosen: Tensor, view: HealView) -> NDArray[np.bool_]:
    """Where the chosen splats make up most of a view  # [H, W]"""
    shown: NDArray[np.bool_] = (weight_of(splats, chosen, view.camera) > 0.5).cpu().numpy()
    return shown


def _offset(outline: NDArray[np.bool_], view: HealView) -> float | None:
    """How far the mask reaches beyond the outline of the object, as the median along it, in longer sides; None without one."""
    border = outline & ~ndimage.binary_erosion(outline, border_value=1)
    if not border.any() or view.mask is None:
        return None
    mask = view.mask.numpy()
    if not mask.any():
        return -1.0
    signed = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    signed -= np.sign(signed) * 0.5  # to the border between two pixels
    return float((np.median(signed[border]) - 0.5) / max(mask.shape))


def _moved(view: HealView, offset: float) -> Tensor:
    """The mask with its border moved inwards by an offset, outwards if it is negative  # [H, W] bool"""
    assert view.mask is not None
    mask, by = view.mask.cpu().numpy(), abs(offset) * max(view.mask.shape)
    kept = ndimage.distance_transform_edt(mask) > by if offset > 0 else ndimage.distance_transform_edt(~mask) <= by
    return torch.from_numpy(kept)


def _enlarged(outline: NDArray[np.bool_], view: HealView) -> Tensor:
    size = (view.camera.height, view.camera.width)
    values = torch.from_numpy(outline)[None, None].float()
    return torch.nn.functional.interpolate(values, size=size, mode="bilinear", antialias=False)[0, 0] >= 0.5
