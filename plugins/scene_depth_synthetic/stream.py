"""Procedural frames kept on disk once they are rendered, since rendering is slower than training on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path, check_writable
from scene_depth.io.numpy_files import read_arrays
from scene_depth.io.user_cache import user_cache
from scene_depth_synthetic.procedural import KINDS, ProceduralDataset, generate_frame
from scene_depth_synthetic.procedural.world import CLASSES

GENERATION = 1
"""Part of the names of kept frames; counts up when the generator draws other pictures for the same seed."""


@dataclass(frozen=True)
class ProceduralFrame:
    """One random frame, rendered when it is first loaded."""

    kind: str  # "room", "table_top" or "street"
    seed: int  # of the world and the view
    size: tuple[int, int]  # width and height
    samples: int = 4  # rays a pixel for colour
    cache: Path | None = None  # folder of kept frames
    role: str = "train"

    @property
    def name(self) -> str:
        """Kind, seed, size and samples."""
        return f"{self.kind}_{self.seed}_{self.size[0]}x{self.size[1]}_{self.samples}"

    def load(self) -> DepthFrame:
        """The frame, from disk or rendered. Colours have 8 bits either way."""
        path = None if self.cache is None else self.cache / f"v{GENERATION}" / self.kind / f"{self.name}.npz"
        kept = None if path is None else _read(path)
        arrays = kept or self._render()
        if path is not None and kept is None:
            with atomic_path(path) as temporary:
                np.savez_compressed(temporary, allow_pickle=False, **arrays)
        K = torch.from_numpy(arrays["K"])[None]
        return DepthFrame(
            name=self.name,
            truth=arrays["depth"],
            rgb=arrays["rgb"].astype(np.float32) / np.float32(255),
            camera=Cameras(torch.eye(4, dtype=torch.float64)[None], K, *self.size),
            instances=arrays["instances"],
            classes=arrays["classes"].astype(np.int32) if "classes" in arrays else None,
            class_names=CLASSES,
            dataset="procedural",
            role=self.role,
        )

    def _render(self) -> dict[str, np.ndarray]:
        frame = generate_frame(self.kind, self.seed, *self.size, samples=self.samples)
        return {
            "rgb": np.rint(frame.rgb * 255).astype(np.uint8),
            "depth": frame.depth,
            "instances": frame.instances,
            "classes": frame.classes.astype(np.uint8),
            "K": frame.camera.K[0].double().numpy(),
        }


def procedural_frames(
    kinds: str | Sequence[str] = KINDS,
    count: int = 2000,
    seed: int = 1,
    width: int = 320,
    height: int = 240,
    samples: int = 4,
    cache: str | PathLike[str] = "",
) -> list[ProceduralFrame]:
    """The frame stream ``procedural``: frames of a ``ProceduralDataset``, each rendered when it is first loaded.

    Args:
        kinds: One or several of "room", "table_top" and "street", which then take turns.
        count: Number of frames.
        seed: Seed of the worlds; another seed gives other worlds.
        width, height: Size in pixels.
        samples: Rays a pixel for colour, a power of two.
        cache: Folder in which frames are kept; "" for ``frames`` in the user's cache folder, "none" to keep none.

    Raises:
        InputError: As ``ProceduralDataset``; or if the cache cannot be written.
    """
    size = (width, height)
    data = ProceduralDataset(kinds if isinstance(kinds, str) else tuple(kinds), count, size, seed, samples=samples)
    if samples < 1 or samples & (samples - 1):
        raise InputError("samples", samples, "a power of two")
    folder = None if cache == "none" else Path(cache) if cache else user_cache() / "frames"
    if folder is not None:
        check_writable(folder)
    chosen = data.kinds
    return [ProceduralFrame(chosen[i % len(chosen)], data.frame_seed(i), size, samples, folder) for i in range(count)]


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """A kept frame; None if it is not there or damaged, then it is rendered again. Frames kept early on have no classes."""
    try:
        kept = read_arrays(path)
        return {name: kept[name] for name in ("rgb", "depth", "instances", "K", *(["classes"] if "classes" in kept else []))}
    except (InputError, KeyError):
        return None
