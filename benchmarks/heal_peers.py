"""Other ways to fill the hole that a deletion leaves, as their makers describe them, on our renderer and inpainters.

``fill_locally`` is what repair brushes do: no photo is asked; a surface through the rim gets the nearest splats of the rim copied
onto it. ``fill_from_one_reference`` is InFusion's recipe (Liu et al. 2024, section 3): one view is inpainted, its depth completed
and unprojected, and all splats of the scene are fitted to that one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scene_depth_heal.hole import HealView, as_array
from scene_depth_heal.workflow import HealConfig, heal_views
from scipy.spatial import cKDTree
from torch import Tensor

from scene_depth.arrays import MAD_TO_SIGMA, Array
from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.fitting.config import FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats, concatenate_splats

LOCAL, ONE_REFERENCE = "photo-free fill", "one reference, not frozen"
NEAR = 6.0  # rim spacings around the deleted splats in which the rim lies
ROUNDS, TUKEY = 12, 4.7
REACH = 2.5  # spacings from the deleted splats' footprint to which the surface is filled
STEPS = 150  # of InFusion's last fit


def fill_locally(splats: GaussianSplats, removed: Tensor) -> GaussianSplats:
    """Fits a robust quadric to the kept splats around the deleted ones, and copies the nearest rim splats onto it.

    Args:
        splats: The scene with the object.
        removed: The object  # [N] bool
    """
    kept, gone = splats.select(~removed), as_array(splats.means[removed]).astype(np.float64)
    means = as_array(kept.means).astype(np.float64)
    low, high = np.percentile(gone, [2, 98], axis=0)
    near = np.flatnonzero(((means > low - 0.25 * (high - low)) & (means < high + 0.25 * (high - low))).all(axis=1))
    spacing = float(np.median(cKDTree(means[near]).query(means[near], k=4)[0][:, -1])) if len(near) > 8 else 0.0
    distance = cKDTree(gone).query(means)[0]
    rim = np.flatnonzero(distance < NEAR * spacing)
    if len(rim) < 20:
        return kept
    center = means[rim].mean(0)
    axes = np.linalg.svd(means[rim] - center, full_matrices=False)[2]
    local, inside = (means[rim] - center) @ axes.T, (gone - center) @ axes.T
    coefficients = _robust_quadric(local)
    cells = _footprint(inside[:, :2], spacing)
    tree = cKDTree(local[:, :2])
    cells = cells[tree.query(cells)[0] > spacing]
    if not len(cells):
        return kept
    places = np.concatenate([cells, (_terms(cells) @ coefficients)[:, None]], axis=1) @ axes + center
    source = torch.from_numpy(rim[tree.query(cells)[1]]).to(kept.device)
    copied = replace(kept.select(source), means=torch.from_numpy(places).to(kept.means))
    return concatenate_splats([kept, copied])


def _robust_quadric(local: NDArray[np.float64]) -> Array:
    """Coefficients of the height over the rim's own plane, by iteratively reweighted least squares  # [6]"""
    trust = np.ones(len(local))
    design, height = _terms(local[:, :2]), local[:, 2]
    coefficients: Array = np.zeros(6)
    for _ in range(ROUNDS):
        weighted = design * trust[:, None]
        coefficients = np.linalg.lstsq(weighted.T @ design, weighted.T @ height, rcond=None)[0]
        off = np.abs(height - design @ coefficients)
        trust = np.clip(1 - (off / (TUKEY * MAD_TO_SIGMA * np.median(off) + 1e-12)) ** 2, 0, 1) ** 2
    return coefficients


def _terms(places: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = places.T
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _footprint(places: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Cells of a grid in the plane that lie under the deleted splats  # [C, 2]"""
    low, high = places.min(0) - REACH * spacing, places.max(0) + REACH * spacing
    step = max(spacing, float((high - low).max()) / 300)
    grid = np.stack(np.meshgrid(*(np.arange(a, b, step) for a, b in zip(low, high, strict=True)), indexing="ij"), -1).reshape(
        -1, 2
    )
    return np.asarray(grid[cKDTree(places).query(grid)[0] < REACH * step])


def fill_from_one_reference(splats: GaussianSplats, removed: Tensor, views: Sequence[HealView], seed: int = 0) -> GaussianSplats:
    """Inpaints the view with the largest hole, unprojects it, and fits the whole scene to that picture.

    Args:
        splats: The scene with the object.
        removed: The object  # [N] bool
        views: Photos.
        seed: Of everything random.
    """
    config = HealConfig(most_references=1, steps=0, shadow=False, seed=seed)
    found = heal_views(splats, removed, views, load_depth_inpainter("solver"), load_image_inpainter("exemplar"), config)
    if not found.fills:
        return found.splats
    filled = found.fills[0]
    whole = next(state.view for state in found.states if state.name == filled.view.name)
    left, top = (round(float(a - b)) for a, b in zip(whole.camera.K[0, :2, 2], filled.view.camera.K[0, :2, 2], strict=True))
    picture = whole.rgb.clone()
    picture[top : top + filled.rgb.shape[0], left : left + filled.rgb.shape[1]] = filled.rgb
    view = View(whole.name, whole.camera, load_image=partial(as_array, picture))
    size = max(view.camera.width, view.camera.height)
    fitting = FitConfig(steps=STEPS, max_size=size, low_resolution_steps=0.0, sh_degree=found.splats.sh_degree, density=None)
    fitting = replace(fitting, antialiased=found.splats.antialiased)
    return fit(Scene((view,)), initial=found.splats, config=fitting, seed=seed, device=splats.device).splats
