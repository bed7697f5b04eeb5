"""DepthLab as a depth inpainter: known depth exact, sizes kept, ensembles, batches, tiles."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from scene_depth.arrays import Array
from scene_depth.depth.checks import InpaintingInput, check_least
from scene_depth.depth.depthlab.networks import DepthLabModel
from scene_depth.depth.depthlab.prediction import draw_noise, predict, predict_tiled
from scene_depth.depth.depthlab.preparation import Preparation, PreparedView, prepare, processing_size, restore
from scene_depth.depth.depthlab.sampler import Sampling
from scene_depth.depth.depthlab.schedule import Spacing
from scene_depth.depth.depthlab.weights import found_parts
from scene_depth.depth.harmonize import border_offsets, harmonize, is_scattered
from scene_depth.depth.latent.model_input import PictureModel, check_model_input
from scene_depth.depth.model import ExactInpainter, make_exact
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError

KnownDepth = Literal["exact", "paste", "official"]
KNOWN_DEPTH = ("exact", "paste", "official")
LEAST_DEPTH = 0.01  # of the least known depth, at which predictions are cut off
LEAST_TILE = 256
SPARSE = 0.02  # known share below which the VAE carries little of the known depth
DEEP = 0.2  # radius of a hole in longer sides from which the start shines through a strength below 0.95
WIDE_RANGE = 30.0  # ratio of known depths from which a linear range leaves little for the near part
STRAY = 0.5  # share of the range that the outermost 0.5 % of known depth may take
THIN = 4.0  # ratio of sides from which CLIP sees less than a quarter of the picture


@dataclass(frozen=True)
class DepthLabInpainter(PictureModel):
    """Completes depth by DepthLab (Liu et al. 2024); itself a ``DepthInpainter``.

    Attributes:
        weights: Folder of converted or official weights, or a hub id, which is downloaded; by default what is in
            ``checkpoints`` or in the folder that SCENE_DEPTH_CHECKPOINTS names, or in the hub's local cache.
        marigold, clip: Folder or hub id in place of the official VAE and image encoder.
        num_inference_steps: Denoising steps; by default 20 on CUDA, 10 elsewhere.
        spacing: Which time steps; by default "leading" (official) from 20 steps on, "trailing" below.
        processing_resolution: Longest side at which the networks work, 0 for the picture's; by default 768 on CUDA, 512
            elsewhere.
        strength: How much of the starting depth may change; 1 begins from pure noise.
        guidance_scale: Weight of classifier-free guidance; 1 is none, costs half and needs no text encoder.
        normalize_scale: beta: below 1 leaves room for depth in holes beyond the known range.
        blend: After each step put known depth back in the latents.
        start: What holes are filled with before the model starts: "nearest", the name of another inpainter, a full
            depth map to be refined  # [H, W], or a file of one.
        known_depth: "exact" keeps known depth bit for bit and takes the seam out of the hole; "paste" keeps it alone;
            "official" gives it as the model changed it (``inpaint_depth`` pastes it all the same).
        ensemble_size: Number of predictions that are averaged; from 2 on there is an uncertainty.
        batch: Predictions that run together.
        tile: Side of tiles in pixels for pictures that are processed larger than that, which bounds the memory; 0 for none.
        tile_strength: Strength in tiles, which start from the whole picture completed at the size of a tile.
        official: Resize, fill and round as the released script, for comparison with it.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        dtype: "auto" (bf16 on CUDA, else fp32), "fp32", "bf16" or "fp16", of the UNets.
        attention_slice: Attention queries at once, to save memory; 0 for all.
        vae_slicing, vae_tiling: The VAE's own ways to save memory.
        model: A loaded model in place of all that says where weights are and how they run.
    """

    weights: str | Path | None = None
    marigold: str | Path | None = None
    clip: str | Path | None = None
    num_inference_steps: int | None = None
    spacing: Spacing | None = None
    processing_resolution: int | None = None
    strength: float = 0.8
    guidance_scale: float = 1.0
    normalize_scale: float = 1.0
    blend: bool = True
    start: str | Path | ArrayLike = "nearest"
    known_depth: KnownDepth = "exact"
    ensemble_size: int = 1
    batch: int = 1
    tile: int = 768
    tile_strength: float = 0.4
    official: bool = False
    device: str = "auto"
    dtype: str = "auto"
    attention_slice: int = 0
    vae_slicing: bool = False
    vae_tiling: bool = False
    model: DepthLabModel | None = field(default=None, repr=False)
    name: ClassVar[str] = "depthlab"
    find_weights = staticmethod(found_parts)

    def __post_init__(self) -> None:
        """Says what is wrong with the options before weights are loaded, and what is wrong with those before a call."""
        if self.known_depth not in KNOWN_DEPTH:
            raise InputError("known_depth", repr(self.known_depth), f"one of {', '.join(KNOWN_DEPTH)}")
        check_least(ensemble_size=(self.ensemble_size, 1), batch=(self.batch, 1))
        if self.tile and self.tile < LEAST_TILE:
            raise InputError("tile", self.tile, f"0, or at least {LEAST_TILE} pixels")
        self._settings_on(torch.device("cpu"))
        _ = self._start, self._settings

    @cached_property
    def loaded(self) -> DepthLabModel:
        """The networks that the options name."""
        model = self.model or DepthLabModel.from_pretrained(
            self.weights,
            marigold=self.marigold,
            clip=self.clip,
            device=self.device,
            dtype=self.dtype,
            query_slice=self.attention_slice,
            vae_slicing=self.vae_slicing,
            vae_tiling=self.vae_tiling,
        )
        return model if self.guidance_scale == 1 else model.with_empty_text()

    @cached_property
    def _settings(self) -> tuple[Sampling, Preparation]:
        return self._settings_on(self.loaded.device)

    @cached_property
    def _start(self) -> ExactInpainter | Array | None:
        return _start_of(self.start)

    @property
    def harmonize(self) -> bool | None:
        return self.known_depth == "exact"

    @property
    def exact(self) -> bool:
        return self.known_depth != "official"

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view; known depth comes as the model changed it.

        Raises:
            InputError: Without a picture, or if known depth is constant.
        """
        return self._predict_all([view], [seed])[0]

    def complete_batch(
        self, rgbs: Sequence[ArrayLike], depths: Sequence[ArrayLike], knowns: Sequence[ArrayLike | None], seed: int = 0
    ) -> list[DepthPrediction]:
        """Fills several views; those that are processed at one size run together, ``batch`` at a time.

        Args:
            rgbs: Pictures  # [H, W, 3] each
            depths: z-depth  # [H, W] each
            knowns: True = measured, or None for wherever depth is finite and positive  # [H, W] each
            seed: Of the first view; each further one takes the next.

        Raises:
            InputError: For bad input, before anything is predicted.
        """
        if not len(rgbs) == len(depths) == len(knowns):
            raise InputError("batch", f"{len(rgbs)} pictures, {len(depths)} depths, {len(knowns)} masks", "as many of each")
        views = [self.check(*view, None) for view in zip(rgbs, depths, knowns, strict=True)]
        seeds = [seed + index for index in range(len(views))]
        found = self._predict_all(views, seeds)
        if not self.exact:
            return found
        return [
            make_exact(self, view, prediction, seed=one, seconds=prediction.details["seconds"])
            for view, prediction, one in zip(views, found, seeds, strict=True)
        ]

    def _predict_all(self, views: Sequence[InpaintingInput], seeds: Sequence[int]) -> list[DepthPrediction]:
        for view in views:  # one known depth alone has no range to normalise by
            check_model_input(view, model="DepthLab", least_values=1)
        started = time.perf_counter()
        plan = self._settings[1]
        prepared = [self._prepared(view, seed, plan) for view, seed in zip(views, seeds, strict=True)]
        maps: dict[int, Array] = {}
        for group in _groups(prepared, max(1, self.batch // self.ensemble_size)):
            if self.tile and not self.official and max(prepared[group[0]].rgb.shape[-2:]) > self.tile:
                members = [self._in_tiles(views[index], prepared[index], seeds[index]) for index in group]
            else:
                members = self._whole([prepared[index] for index in group], [seeds[index] for index in group])
            maps.update(zip(group, members, strict=True))
        seconds = (time.perf_counter() - started) / max(1, len(views))
        return [self._finished(view, maps[index], prepared[index], seconds) for index, view in enumerate(views)]

    def _settings_on(self, device: torch.device) -> tuple[Sampling, Preparation]:
        """How views are sampled and prepared, with the defaults of a device."""
        fast = device.type == "cuda"
        steps = self.num_inference_steps if self.num_inference_steps is not None else 20 if fast else 10
        spacing = self.spacing or ("leading" if steps >= 20 or self.official else "trailing")
        resolution = self.processing_resolution
        if resolution is None:
            resolution = 768 if fast or self.official else 512
        sampling = Sampling(steps, spacing, self.strength, self.guidance_scale, self.blend, half_features=self.official)
        replace(sampling, strength=self.tile_strength)  # is checked as the other strength is
        return sampling, Preparation(resolution, self.normalize_scale, self.official)

    def _prepared(self, view: InpaintingInput, seed: int, preparation: Preparation, start: Array | None = None) -> PreparedView:
        assert view.rgb is not None
        if start is None:
            start = self._starting_depth(view, seed)
        return prepare(view.rgb, view.depth, view.known, start, preparation, self.loaded.pixels_per_latent)

    def _starting_depth(self, view: InpaintingInput, seed: int) -> Array | None:
        if isinstance(self._start, ExactInpainter):
            return self._start(view.rgb, view.depth, view.known, camera=view.camera, seed=seed).depth
        if self._start is not None and self._start.shape != view.known.shape:
            raise InputError("start", f"shape {self._start.shape}", f"{view.known.shape}, the shape of the depth")
        return self._start

    def _whole(self, views: list[PreparedView], seeds: list[int]) -> list[Array]:
        """z-depth of the members of each view, as the model gives it  # [E, H, W] each"""
        noise = [draw_noise(view, self.ensemble_size, seed) for view, seed in zip(views, seeds, strict=True)]
        maps = predict(self.loaded, views, noise, self._settings[0], rows=self.batch)
        return [restore(values, view, self.official).numpy() for values, view in zip(maps, views, strict=True)]

    def _in_tiles(self, view: InpaintingInput, large: PreparedView, seed: int) -> Array:
        """The whole at the size of a tile, then tiles that start from it and add what only they resolve."""
        sampling, preparation = self._settings
        coarse = self._prepared(view, seed, replace(preparation, processing_resolution=self.tile))
        whole = _usable(self._whole([coarse], [seed])[0].mean(axis=0), view)
        start = harmonize(whole, view.depth, view.known, border_offsets(whole, view.depth, view.known))
        fine = self._prepared(view, seed, preparation, np.where(view.known, view.depth, start))
        sampling = replace(sampling, strength=max(self.tile_strength, 1 / sampling.num_inference_steps))
        noise = draw_noise(fine, self.ensemble_size, seed)
        maps = predict_tiled(self.loaded, fine, noise, sampling, self.tile, rows=self.batch)
        return restore(maps, large, self.official).numpy()

    def _finished(self, view: InpaintingInput, members: Array, prepared: PreparedView, seconds: float) -> DepthPrediction:
        mean, (sampling, preparation) = members.mean(axis=0), self._settings
        details: dict[str, Any] = {
            "processed": list(prepared.rgb.shape[-2:]),
            "sampling": asdict(sampling),
            "device": str(self.loaded.device),
            "dtype": str(self.loaded.dtype).removeprefix("torch."),
            "known_depth": self.known_depth,
            "seconds": seconds,
            "notes": _warnings(view, sampling, preparation),
        }
        uncertainty = None
        if len(members) > 1:
            relative = members.std(axis=0, ddof=1) / np.maximum(mean, LEAST_DEPTH * prepared.depth_range.lowest)
            uncertainty = np.where(view.known, 0, relative).astype(np.float32)
        depth = _usable(mean, view) if self.exact else np.maximum(mean, 0).astype(view.depth.dtype)
        return DepthPrediction(depth, uncertainty, details=details)


def _warnings(view: InpaintingInput, sampling: Sampling, preparation: Preparation) -> list[str]:
    """Says in words when a view is one that DepthLab is known to do badly on."""
    said, known = [], view.known
    values = view.depth[known].astype(np.float64)
    lowest, highest = float(values.min()), float(values.max())
    share = float(known.mean())
    if share < SPARSE or is_scattered(known):
        said.append(
            f"known depth is sparse ({100 * share:.2g} % of the pixels): DepthLab's autoencoder carries points badly; "
            "the solver or marigold fit points better"
        )
    if highest > WIDE_RANGE * lowest:
        said.append(
            f"known depth spans a factor of {highest / lowest:.3g}: "
            "the model works on linear depth and resolves the near part badly"
        )
    inner = np.percentile(values, [0.5, 99.5])
    if inner[1] - inner[0] < STRAY * (highest - lowest):
        said.append("a few known pixels take most of the depth range; are they outliers or zeros inside the known area?")
    radius = float(ndimage.distance_transform_edt(~known).max()) / max(known.shape)
    if radius > DEEP and sampling.strength < 0.95 and not is_scattered(known):
        said.append(f"the hole is large: strength {sampling.strength:g} keeps much of the starting depth; try 0.95 to 1")
    height, width = known.shape
    if max(height, width) > THIN * min(height, width):
        said.append("the picture is very elongated: the image encoder sees only its middle")
    size = processing_size(height, width, preparation.processing_resolution)
    if size != (height, width):
        said.append(f"processed at {size[1]} x {size[0]} pixels; a larger processing_resolution keeps finer detail")
    return said


def _usable(depth: Array, view: InpaintingInput) -> Array:
    """Finite and positive: cut off below, the known depth where the network gave no number."""
    lowest = LEAST_DEPTH * float(view.depth[view.known].min())
    fallback = float(np.median(view.depth[view.known]))
    return np.maximum(np.where(np.isfinite(depth), depth, fallback).astype(np.float64), lowest)


def _groups(prepared: Sequence[PreparedView], largest: int) -> list[list[int]]:
    """Indices of views of one processed size, in portions."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, view in enumerate(prepared):
        by_size.setdefault(tuple(view.rgb.shape[-2:]), []).append(index)
    return [indices[first : first + largest] for indices in by_size.values() for first in range(0, len(indices), largest)]


def _start_of(start: str | Path | ArrayLike) -> ExactInpainter | Array | None:
    """An inpainter, a depth map, or None for the nearest known depth.

    Raises:
        InputError: If it is none of these.
    """
    if isinstance(start, str) and start == "nearest":
        return None
    if isinstance(start, str | Path):
        if Path(start).is_file():
            from scene_depth.io.depth_images import read_depth

            return _full_depth(read_depth(start))
        return load_depth_inpainter(str(start))
    return _full_depth(np.asarray(start))


def _full_depth(values: NDArray[Any]) -> Array:
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not np.isfinite(values).all() or not (values > 0).all():
        raise InputError("start", f"shape {values.shape} of {values.dtype}, or gaps", "finite positive depth everywhere, (H, W)")
    return values.astype(np.float32)
