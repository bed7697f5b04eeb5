"""DepthLab as a depth inpainter: known depth exact, sizes kept, ensembles, batches, tiles."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.depthlab.known_limits import warnings_for
from scene_depth.depth.depthlab.model import DepthLabModel
from scene_depth.depth.depthlab.prediction import draw_noise, predict, predict_tiled
from scene_depth.depth.depthlab.preparation import Preparation, PreparedView, prepare, restore
from scene_depth.depth.depthlab.sampler import Sampling
from scene_depth.depth.depthlab.schedule import Spacing
from scene_depth.depth.depthlab.weights import found_parts
from scene_depth.depth.harmonize import border_offsets, harmonize
from scene_depth.depth.latent.model_input import check_clear_input, check_model_input
from scene_depth.depth.latent.vae import save_memory
from scene_depth.depth.model import DepthModel, ExactInpainter, complete_view, make_exact
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError

KnownDepth = Literal["exact", "paste", "official"]
KNOWN_DEPTH = ("exact", "paste", "official")
LEAST_DEPTH = 0.01  # of the least known depth, at which predictions are cut off
LEAST_TILE = 256
Array = NDArray[np.floating]


@dataclass(frozen=True)
class DepthLabInpainter(DepthModel):
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
    model: DepthLabModel | None = None
    name: ClassVar[str] = "depthlab"
    find_weights = staticmethod(found_parts)
    _sampling: Sampling = field(init=False, repr=False, compare=False)
    _preparation: Preparation = field(init=False, repr=False, compare=False)
    _start: ExactInpainter | Array | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.known_depth not in KNOWN_DEPTH:
            raise InputError("known_depth", repr(self.known_depth), f"one of {', '.join(KNOWN_DEPTH)}")
        for option in ("ensemble_size", "batch"):
            if getattr(self, option) < 1:
                raise InputError(option, getattr(self, option), "at least 1")
        if self.tile and self.tile < LEAST_TILE:
            raise InputError("tile", self.tile, f"0, or at least {LEAST_TILE} pixels")
        self._resolve(torch.device("cpu"))  # what is wrong with the options is said before weights are loaded
        object.__setattr__(self, "_start", _start_of(self.start))
        if self.model is None:
            loaded = DepthLabModel.from_pretrained(
                self.weights,
                marigold=self.marigold,
                clip=self.clip,
                device=self.device,
                dtype=self.dtype,
                query_slice=self.attention_slice,
            )
            object.__setattr__(self, "model", loaded)
        save_memory(self._loaded.vae, slicing=self.vae_slicing, tiling=self.vae_tiling)
        self._resolve(self._loaded.device)
        if self.guidance_scale != 1:
            self._loaded.unconditional()

    def check(self, rgb: ArrayLike | None, depth: ArrayLike, known: ArrayLike | None, camera: Cameras | None) -> InpaintingInput:
        """Refuses what ``check_input`` would only note, such as unusable depth that is marked known."""
        return check_clear_input(rgb, depth, known, camera)

    def __call__(
        self,
        rgb: ArrayLike | None,
        depth: ArrayLike,
        known: ArrayLike | None = None,
        *,
        camera: Cameras | None = None,
        seed: int = 0,
    ) -> DepthPrediction:
        """Fills one view; with ``known_depth="official"`` as the official code does, known depth changed.

        Args and Raises: As in ``DepthModel``.
        """
        view = self.check(rgb, depth, known, camera)
        return self.predict(view, seed=seed) if self.known_depth == "official" else complete_view(self, view, seed=seed)

    @property
    def harmonize(self) -> bool | None:
        return self.known_depth == "exact"

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
        if self.known_depth == "official":
            return found
        return [
            make_exact(self, view, prediction, seed=one, seconds=prediction.details["seconds"])
            for view, prediction, one in zip(views, found, seeds, strict=True)
        ]

    def _predict_all(self, views: Sequence[InpaintingInput], seeds: Sequence[int]) -> list[DepthPrediction]:
        for view in views:  # one known depth alone has no range to normalise by
            check_model_input(view, model="DepthLab", least_values=1)
        started = time.perf_counter()
        prepared = {
            index: self._prepared(view, seed, self._preparation)
            for index, (view, seed) in enumerate(zip(views, seeds, strict=True))
        }
        maps: dict[int, Array] = {}
        for group in _groups(prepared, max(1, self.batch // self.ensemble_size)):
            if self.tile and not self.official and max(prepared[group[0]].rgb.shape[-2:]) > self.tile:
                for index in group:
                    maps[index] = self._in_tiles(views[index], prepared[index], seeds[index])
            else:
                for index, members in zip(
                    group, self._whole([prepared[i] for i in group], [seeds[i] for i in group]), strict=True
                ):
                    maps[index] = members
        seconds = (time.perf_counter() - started) / max(1, len(views))
        return [self._finished(view, maps[index], prepared[index], seconds) for index, view in enumerate(views)]

    @property
    def _loaded(self) -> DepthLabModel:
        assert self.model is not None
        return self.model

    def _resolve(self, device: torch.device) -> None:
        """Defaults that depend on the device."""
        fast = device.type == "cuda"
        steps = self.num_inference_steps if self.num_inference_steps is not None else 20 if fast else 10
        spacing = self.spacing or ("leading" if steps >= 20 or self.official else "trailing")
        resolution = (
            self.processing_resolution if self.processing_resolution is not None else 768 if fast or self.official else 512
        )
        sampling = Sampling(steps, spacing, self.strength, self.guidance_scale, self.blend, half_features=self.official)
        replace(sampling, strength=self.tile_strength)
        object.__setattr__(self, "_sampling", sampling)
        object.__setattr__(self, "_preparation", Preparation(resolution, self.normalize_scale, self.official))

    def _prepared(self, view: InpaintingInput, seed: int, preparation: Preparation, start: Array | None = None) -> PreparedView:
        assert view.rgb is not None
        if start is None:
            start = self._starting_depth(view, seed)
        return prepare(view.rgb, view.depth, view.known, start, preparation, self._loaded.pixels_per_latent)

    def _starting_depth(self, view: InpaintingInput, seed: int) -> Array | None:
        if isinstance(self._start, ExactInpainter):
            return self._start(view.rgb, view.depth, view.known, camera=view.camera, seed=seed).depth
        if self._start is not None and self._start.shape != view.known.shape:
            raise InputError("start", f"shape {self._start.shape}", f"{view.known.shape}, the shape of the depth")
        return self._start

    def _whole(self, views: list[PreparedView], seeds: list[int]) -> list[Array]:
        """z-depth of the members of each view, as the model gives it  # [E, H, W] each"""
        noise = [draw_noise(view, self.ensemble_size, seed) for view, seed in zip(views, seeds, strict=True)]
        maps = predict(self._loaded, views, noise, self._sampling, rows=self.batch)
        return [restore(values, view, self.official).numpy() for values, view in zip(maps, views, strict=True)]

    def _in_tiles(self, view: InpaintingInput, large: PreparedView, seed: int) -> Array:
        """The whole at the size of a tile, then tiles that start from it and add what only they resolve."""
        coarse = self._prepared(view, seed, replace(self._preparation, processing_resolution=self.tile))
        whole = _usable(self._whole([coarse], [seed])[0].mean(axis=0), view)
        start = harmonize(whole, view.depth, view.known, border_offsets(whole, view.depth, view.known))
        fine = self._prepared(view, seed, self._preparation, np.where(view.known, view.depth, start))
        sampling = replace(self._sampling, strength=max(self.tile_strength, 1 / self._sampling.num_inference_steps))
        noise = draw_noise(fine, self.ensemble_size, seed)
        maps = predict_tiled(self._loaded, fine, noise, sampling, self.tile, rows=self.batch)
        return restore(maps, large, self.official).numpy()

    def _finished(self, view: InpaintingInput, members: Array, prepared: PreparedView, seconds: float) -> DepthPrediction:
        mean = members.mean(axis=0)
        details: dict[str, Any] = {
            "processed": list(prepared.rgb.shape[-2:]),
            "sampling": asdict(self._sampling),
            "device": str(self._loaded.device),
            "dtype": str(self._loaded.dtype).removeprefix("torch."),
            "known_depth": self.known_depth,
            "seconds": seconds,
            "notes": warnings_for(view.depth, view.known, self._sampling, self._preparation),
        }
        uncertainty = None
        if len(members) > 1:
            relative = members.std(axis=0, ddof=1) / np.maximum(mean, LEAST_DEPTH * prepared.depth_range.lowest)
            uncertainty = np.where(view.known, 0, relative).astype(np.float32)
        official = self.known_depth == "official"
        depth = np.maximum(mean, 0).astype(view.depth.dtype) if official else _usable(mean, view)
        return DepthPrediction(depth, uncertainty, details=details)


def _usable(depth: Array, view: InpaintingInput) -> Array:
    """Finite and positive: cut off below, the known depth where the network gave no number."""
    lowest = LEAST_DEPTH * float(view.depth[view.known].min())
    fallback = float(np.median(view.depth[view.known]))
    return np.maximum(np.where(np.isfinite(depth), depth, fallback).astype(np.float64), lowest)


def _groups(prepared: dict[int, PreparedView], largest: int) -> list[list[int]]:
    """Indices of views of one processed size, in portions."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, view in prepared.items():
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
