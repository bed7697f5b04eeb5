"""gsplat's own torch reference, made to run on a CPU: truth for tests in float64, and the peer of the benchmark in float32.

gsplat 1.5.3 has a rasteriser written in torch, for which autograd finds the gradients, but five of its pieces call CUDA:
tile intersection, tile offsets, spherical harmonics, the lists of the pixels that each splat touches, and nerfacc's two
sums along rays. They are replaced here by functions of the same result (numba for the lists, torch for the rest) that are
faster than the reference's own Python loops. Everything else is gsplat's code as it is installed.

Where the environment holds another version (such as the one that nerfstudio pins), gsplat is looked for in the folder named
by SCENE_DEPTH_PEERS.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

VERSION = "1.5.3"
_loaded: dict[str, types.ModuleType] = {}


class ReferenceMissing(ImportError):
    """gsplat 1.5.3 is neither installed nor in the folder of SCENE_DEPTH_PEERS."""


def peers_folder() -> Path:
    """Folder that gsplat 1.5.3 is imported from."""
    if "SCENE_DEPTH_PEERS" in os.environ:
        return Path(os.environ["SCENE_DEPTH_PEERS"])
    own = importlib.util.find_spec("gsplat")
    return Path(own.origin).parents[1] if own is not None and own.origin is not None else Path("no gsplat")


def rasterize_reference(
    means: Tensor,  # [N, 3]
    quats: Tensor,  # [N, 4]
    scales: Tensor,  # [N, 3]
    opacities: Tensor,  # [N]
    sh: Tensor,  # [N, K, 3]
    viewmats: Tensor,  # [C, 4, 4]
    Ks: Tensor,  # [C, 3, 3]
    width: int,
    height: int,
    *,
    sh_degree: int,
    background: Tensor | None = None,  # [C, 3]
    near: float = 0.01,
    far: float = 1e10,
    antialiased: bool = False,
) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
    """Renders with gsplat's torch reference, in the precision of ``means``.

    Returns:
        rgb  # [C, H, W, 3]
        alpha  # [C, H, W]
        expected depth  # [C, H, W]
        gsplat's dictionary of intermediate results

    Raises:
        ReferenceMissing: If gsplat 1.5.3 is not there.
    """
    with _reference_modules() as rendering, _default_dtype(means.dtype):
        images, alpha, info = rendering._rasterization(
            means,
            quats,
            scales,
            opacities,
            sh,
            viewmats,
            Ks,
            width,
            height,
            near_plane=near,
            far_plane=far,
            sh_degree=sh_degree,
            backgrounds=background,
            render_mode="RGB+ED",
            rasterize_mode="antialiased" if antialiased else "classic",
        )
    return images[..., :3], alpha[..., 0], images[..., 3], info


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()  # the reference creates its images in the default precision
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _reference_modules() -> Iterator[types.ModuleType]:
    """gsplat 1.5.3 in ``sys.modules`` in place of any other gsplat, which comes back afterwards."""
    others = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in ("gsplat", "nerfacc")}
    sys.modules.update(_loaded)
    try:
        if not _loaded:
            _load()
        yield sys.modules["gsplat.rendering"]
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] in ("gsplat", "nerfacc")]:
            del sys.modules[name]
        sys.modules.update(others)


def _load() -> None:
    folder = peers_folder()
    if not (folder / "gsplat").is_dir():
        raise ReferenceMissing(f"gsplat {VERSION} is not in {folder}; set SCENE_DEPTH_PEERS to a folder that holds it")
    backend = types.ModuleType("gsplat.cuda._backend")  # its own would look for a CUDA compiler
    backend._C = None  # type: ignore[attr-defined]
    sys.modules["gsplat.cuda._backend"] = backend
    nerfacc = types.ModuleType("nerfacc")
    nerfacc.accumulate_along_rays = _accumulate_along_rays  # type: ignore[attr-defined]
    nerfacc.render_weight_from_alpha = _render_weight_from_alpha  # type: ignore[attr-defined]
    sys.modules["nerfacc"] = nerfacc
    sys.path.insert(0, str(folder))
    try:
        importlib.invalidate_caches()
        rendering = importlib.import_module("gsplat.rendering")
        found = importlib.import_module("gsplat.version").__version__
    finally:
        sys.path.remove(str(folder))
    if found != VERSION:
        raise ReferenceMissing(f"gsplat {found} is in {folder}; {VERSION} is needed")
    reference = sys.modules["gsplat.cuda._torch_impl"]
    rendering.isect_tiles = _tile_intersections  # type: ignore[attr-defined]
    rendering.isect_offset_encode = reference._isect_offset_encode  # type: ignore[attr-defined]
    sys.modules["gsplat.cuda._wrapper"].rasterize_to_indices_in_range = _pixel_lists  # type: ignore[attr-defined]

    def spherical_harmonics(degree: int, directions: Tensor, coefficients: Tensor, masks: Tensor | None = None) -> Tensor:
        colors: Tensor = reference._spherical_harmonics(degree, directions, coefficients)
        return colors

    rendering.spherical_harmonics = spherical_harmonics  # type: ignore[attr-defined]
    _loaded.update({name: module for name, module in sys.modules.items() if name.split(".")[0] in ("gsplat", "nerfacc")})


def _accumulate_along_rays(weights: Tensor, values: Tensor | None, ray_indices: Tensor, n_rays: int) -> Tensor:
    source = weights[:, None] if values is None else weights[:, None] * values
    return torch.zeros(n_rays, source.shape[1], dtype=source.dtype).index_add_(0, ray_indices, source)


def _render_weight_from_alpha(alphas: Tensor, ray_indices: Tensor, n_rays: int) -> tuple[Tensor, Tensor]:
    """Weights and transmittances along each ray: an exclusive product within each run of equal ray indices."""
    logs = torch.log1p(-alphas).double()
    before = torch.cumsum(logs, 0) - logs
    starts = torch.ones_like(ray_indices, dtype=torch.bool)
    starts[1:] = ray_indices[1:] != ray_indices[:-1]
    first = torch.cummax(torch.where(starts, torch.arange(len(starts)), 0), 0).values
    transmittance = torch.exp(before - before[first]).to(alphas.dtype)
    return alphas * transmittance, transmittance


@torch.no_grad()
def _tile_intersections(
    means2d: Tensor, radii: Tensor, depths: Tensor, tile_size: int, tile_width: int, tile_height: int, **_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Splats of each tile by depth, as gsplat's ``isect_tiles`` finds them."""
    images, splats = means2d.shape[0], means2d.shape[1]
    centers = means2d.reshape(-1, 2) / tile_size
    reach = radii.reshape(-1, 2).to(centers.dtype) / tile_size
    limit = torch.tensor([tile_width, tile_height])
    low = torch.minimum(torch.floor(centers - reach).long().clamp(min=0), limit)
    high = torch.minimum(torch.ceil(centers + reach).long().clamp(min=0), limit)
    amounts = (high - low).clamp(min=0).prod(-1) * (radii.reshape(-1, 2) > 0).all(-1)
    keys = depths.reshape(-1).float().contiguous().numpy().view(np.int32).astype(np.int64)
    ids, order = np.empty(int(amounts.sum()), np.int64), np.empty(int(amounts.sum()), np.int32)
    tile_bits = (tile_width * tile_height).bit_length()
    _list_intersections(low.numpy(), high.numpy(), amounts.numpy(), keys, splats, tile_width, tile_bits, ids, order)
    sorted_ids, by_depth = torch.sort(torch.from_numpy(ids), stable=True)
    return amounts.reshape(images, splats).int(), sorted_ids, torch.from_numpy(order)[by_depth]


@numba.njit(cache=True)
def _list_intersections(low, high, amounts, keys, splats, tile_width, tile_bits, ids, order):
    place = 0
    for index in range(len(amounts)):
        if amounts[index]:
            image = (index // splats) << tile_bits
            for y in range(low[index, 1], high[index, 1]):
                for x in range(low[index, 0], high[index, 0]):
                    ids[place] = ((image | (y * tile_width + x)) << 32) | keys[index]
                    order[place] = index
                    place += 1


def _pixel_lists(
    range_start: int,
    range_end: int,
    transmittances: Tensor,
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    image_width: int,
    image_height: int,
    tile_size: int,
    isect_offsets: Tensor,
    flatten_ids: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Splats that each pixel blends, as gsplat's ``rasterize_to_indices_in_range`` finds them."""
    splats = means2d.shape[1]
    offsets = np.append(isect_offsets.numpy().reshape(-1), len(flatten_ids)).astype(np.int64)
    arrays = [values.detach().contiguous().numpy() for values in (transmittances, means2d, conics, opacities)]
    flat = (arrays[0].reshape(-1), arrays[1].reshape(-1, 2), arrays[2].reshape(-1, 3), arrays[3].reshape(-1))
    shape = (image_width, image_height, tile_size, range_start, range_end)
    counts, none = np.zeros(len(flat[0]), np.int64), np.zeros(0, np.int64)
    _list_pixels(*flat, offsets, flatten_ids.numpy(), *shape, counts, none, none, none)
    starts = np.cumsum(counts) - counts
    entries, pixels = np.empty(int(counts.sum()), np.int64), np.empty(int(counts.sum()), np.int64)
    _list_pixels(*flat, offsets, flatten_ids.numpy(), *shape, counts, starts, entries, pixels)
    indices, places = torch.from_numpy(entries), torch.from_numpy(pixels)
    area = image_width * image_height
    return indices % splats, places % area, places // area


@numba.njit(parallel=True, cache=True)
def _list_pixels(
    transmittances, means2d, conics, opacities, offsets, order, width, height, tile, first, last, counts, starts, entries, pixels
):
    across, down = (width + tile - 1) // tile, (height + tile - 1) // tile
    batch = tile * tile
    for place in numba.prange(len(counts)):
        image, pixel = place // (width * height), place % (width * height)
        y, x = pixel // width, pixel % width
        cell = (image * down + y // tile) * across + x // tile
        transmittance, count = transmittances[place], 0
        for index in range(offsets[cell] + first * batch, min(offsets[cell + 1], offsets[cell] + last * batch)):
            splat = order[index]
            dx, dy = x + 0.5 - means2d[splat, 0], y + 0.5 - means2d[splat, 1]
            sigma = 0.5 * (conics[splat, 0] * dx * dx + conics[splat, 2] * dy * dy) + conics[splat, 1] * dx * dy
            alpha = min(0.999, opacities[splat] * np.exp(-sigma))
            if sigma < 0 or alpha < 1 / 255:
                continue
            rest = transmittance * (1 - alpha)
            if rest <= 1e-4:
                break
            if len(starts):
                entries[starts[place] + count], pixels[starts[place] + count] = splat, place
            count += 1
            transmittance = rest
        counts[place] = count
