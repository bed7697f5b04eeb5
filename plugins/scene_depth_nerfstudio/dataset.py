"""Pictures with depth: nerfstudio's data manager of whole pictures over a dataset that knows depth."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanager
from nerfstudio.data.datasets.base_dataset import InputDataset

from scene_depth.errors import InputError
from scene_depth.geometry.depth_resampling import resize_sparse_depth
from scene_depth.io.depth_images import read_depth
from scene_depth_nerfstudio.scene_data import DEPTHS


class SceneDataset(InputDataset):
    """Adds ``depth`` to what nerfstudio's dataset gives: z-depth in units of the run, 0 = unknown  # [H, W, 1]

    Works with every data parser that names ``depth_filenames``. Depth is moved, not interpolated, to another size.
    """

    exclude_batch_keys_from_device: ClassVar[list[str]] = ["image", "mask"]

    def get_metadata(self, data: dict[str, Any]) -> dict[str, Any]:
        """Depth of a picture, if there is any."""
        files = self.metadata.get(DEPTHS)
        if not files:
            return {}
        index = data["image_idx"]
        camera, file = self.cameras[index], files[index]
        if file.suffix == ".npy":
            depth = read_depth(file)
        else:
            depth = read_depth(file, unit=self.metadata.get("depth_unit_scale_factor", 0.001))
        if self.cameras.distortion_params is not None and bool(self.cameras.distortion_params[index].any()):
            hint = "the data parser scene-data, which undistorts pictures and depth alike"
            raise InputError(
                "depth", "of a camera with distortion, which nerfstudio undoes in pictures alone", "", file=file, hint=hint
            )
        height, width = int(camera.height), int(camera.width)
        depth = depth if depth.shape == (height, width) else resize_sparse_depth(depth, width, height)
        scaled = depth * np.float32(self._dataparser_outputs.dataparser_scale)
        return {"depth": torch.from_numpy(scaled.astype(np.float32))[..., None]}


class SceneDataManager(FullImageDatamanager[SceneDataset]):
    """nerfstudio's data manager of whole pictures, with depth."""
