"""Random frames as a torch data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from scene_depth.errors import InputError
from scene_depth_synthetic.procedural.frames import KINDS, RGBDFrame, generate_frame

SensorModel = Callable[[RGBDFrame, int], NDArray[np.float32]]
LARGEST_SEED = 2**30


class ProceduralDataset(Dataset[dict[str, Tensor]]):
    """Endless random rooms, tables and streets, as many of them as one asks for.

    An item depends on its index and the seed alone, so workers, restarts and shuffling change nothing, and the object
    can be sent to other processes. Numbers of one data set are never those of another seed.

    Args:
        kind: "room", "table_top", "street", or several of them, which then take turns.
        count: Number of frames.
        size: Width and height in pixels.
        seed: Of the data set.
        samples: Rays a pixel for colour (``frames.generate_frame``).
        sensor: Model that turns a frame and a seed into sensor depth; None leaves it out.

    Raises:
        InputError: For an unknown kind, a count below 1, a size below 8 pixels or a seed out of range.
    """

    def __init__(
        self,
        kind: str | Sequence[str] = KINDS,
        count: int = 1000,
        size: tuple[int, int] = (320, 240),
        seed: int = 0,
        *,
        samples: int = 4,
        sensor: SensorModel | None = None,
    ):
        self.kinds = (kind,) if isinstance(kind, str) else tuple(kind)
        unknown = [k for k in self.kinds if k not in KINDS]
        if unknown or not self.kinds:
            raise InputError("kind", repr(unknown[0]) if unknown else "none", f"one or more of {', '.join(KINDS)}")
        if not 1 <= count < 2**32:
            raise InputError("count", count, "1 or more")
        if min(size) < 8:
            raise InputError("size", f"{size[0]} x {size[1]}", "at least 8 pixels each")
        if not 0 <= seed < LARGEST_SEED:
            raise InputError("seed", seed, f"0 to {LARGEST_SEED - 1}")
        self.count, self.size, self.seed, self.samples, self.sensor = count, size, seed, samples, sensor

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self[i] for i in range(self.count))

    def frame_seed(self, index: int) -> int:
        """Seed of a frame, for ``frames.generate_frame`` and ``generate_world``."""
        return (self.seed << 32) + index

    def frame(self, index: int) -> RGBDFrame:
        """A frame as arrays with its camera.

        Raises:
            IndexError: If the index is out of range.
        """
        if not -self.count <= index < self.count:
            raise IndexError(f"index {index} of a data set of {self.count} frames")
        index %= self.count
        kind = self.kinds[index % len(self.kinds)]
        return generate_frame(kind, self.frame_seed(index), *self.size, samples=self.samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """A frame as tensors that can be batched.

        Returns:
            rgb: sRGB in [0, 1], float32  # [3, H, W]
            depth: z-depth in metres, 0 = unknown, float32  # [1, H, W]
            known: Where there is a depth, bool  # [1, H, W]
            normals: Unit normals in the camera's frame (OpenCV axes), 0 = unknown, float32  # [3, H, W]
            instances, classes: int32  # [H, W]
            K: Intrinsics in pixels, float32  # [3, 3]
            sensor_depth: With a sensor model only, metres, 0 = unknown, float32  # [1, H, W]
        """
        frame = self.frame(index)
        item = {
            "rgb": torch.from_numpy(frame.rgb).permute(2, 0, 1).contiguous(),
            "depth": torch.from_numpy(frame.depth)[None],
            "known": torch.from_numpy(frame.known)[None],
            "normals": torch.from_numpy(frame.normals).permute(2, 0, 1).contiguous(),
            "instances": torch.from_numpy(frame.instances),
            "classes": torch.from_numpy(frame.classes),
            "K": frame.camera.K[0].float(),
        }
        if self.sensor is not None:
            item["sensor_depth"] = torch.from_numpy(self.sensor(frame, self.frame_seed(index % self.count)))[None]
        return item
