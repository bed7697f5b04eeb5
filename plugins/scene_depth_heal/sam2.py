"""SAM 2 as transformers ships it: what clicks show in a picture.

Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from scene_depth.depth.checkpoints import SAM2, fetch_weights
from scene_depth.depth.latent.devices import choose_device
from scene_depth.depth.latent.packages import package_class

MODEL_TYPES = ("sam2", "sam2_video")  # published checkpoints name the model for videos, whose parts for pictures are used here
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as SAM 2 was trained
MOST_KEPT = 32  # pictures whose features are kept; those of 1024 x 1024 take 13 MB each


class Sam2:
    """Masks of what clicks show, by SAM 2; ``sd.select(splats, clicks, scene, segment=Sam2())`` takes them into the scene.

    A picture is scaled to the square of the training (1024 x 1024), whatever its shape, and its features are kept,
    so that further clicks on it cost little. A single click may mean a part or a whole: of the three masks for it, the one that
    the network holds to be the best is taken.

    Args:
        checkpoint: Hub id or local folder, in the layout of transformers.
        device: "auto" takes CUDA or MPS if there is any.
        download: Whether missing weights may be fetched.

    Raises:
        InputError: If transformers is not installed or older than 4.56, or weights are missing or not those of SAM 2.

    Example:
        >>> from scene_depth_heal import Sam2
        >>> Sam2("no/such_model", download=False)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        scene_depth.errors.InputError: weights no/such_model: ...
    """

    def __init__(self, checkpoint: str = SAM2, device: str = "auto", download: bool = True):
        config_class = package_class("transformers", "AutoConfig")
        model_class = package_class("transformers", "Sam2Model", "pip install 'transformers>=4.56'")

        def load(local: bool) -> Any:
            kind = config_class.from_pretrained(checkpoint, local_files_only=local).model_type
            if kind not in MODEL_TYPES:
                raise ValueError(f"a model of type {kind!r}, not SAM 2")
            model, found = model_class.from_pretrained(checkpoint, local_files_only=local, output_loading_info=True)
            if found["missing_keys"]:
                raise ValueError(
                    f"{len(found['missing_keys'])} weights are missing, {sorted(found['missing_keys'])[0]} among them"
                )
            return model

        self._model = fetch_weights(checkpoint, load, download).to(choose_device(device)).eval()
        self._size = int(self._model.config.prompt_encoder_config.image_size)
        self._features: OrderedDict[bytes, list[torch.Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    @torch.no_grad()
    def __call__(self, rgb: NDArray[np.float32], pixels: NDArray[np.float64], belongs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """What the clicks show.

        Args:
            rgb: The picture, sRGB in [0, 1]  # [H, W, 3]
            pixels: Columns and rows of clicks, continuous  # [P, 2]
            belongs: Whether each is on the object or on what it is not  # [P]

        Returns:
            The pixels of the object  # [H, W] bool
        """
        height, width = rgb.shape[:2]
        places = np.asarray(pixels, dtype=np.float64) * (self._size / width, self._size / height)
        device = self._model.device
        with self._lock:
            found = self._model(
                image_embeddings=self._features_of(rgb),
                input_points=torch.tensor(places, dtype=torch.float32, device=device)[None, None],
                input_labels=torch.tensor(np.asarray(belongs), dtype=torch.long, device=device)[None, None],
                multimask_output=len(places) == 1,
            )
        best = int(found.iou_scores[0, 0].argmax())
        logits = interpolate(
            found.pred_masks[0, :, best : best + 1].float(), (height, width), mode="bilinear", align_corners=False
        )
        mask: NDArray[np.bool_] = (logits[0, 0] > 0).cpu().numpy()
        return mask

    def _features_of(self, rgb: NDArray[np.float32]) -> list[torch.Tensor]:
        """Features of a picture, kept from before or made now."""
        key = hashlib.sha256(np.ascontiguousarray(rgb).tobytes()).digest()
        if key not in self._features:
            picture = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
            square = interpolate(picture, (self._size, self._size), mode="bilinear", align_corners=False, antialias=True)
            mean, spread = (torch.tensor(values)[None, :, None, None] for values in (MEAN, SPREAD))
            self._features[key] = self._model.get_image_embeddings(((square.clamp(0, 1) - mean) / spread).to(self._model.device))
            while len(self._features) > MOST_KEPT:
                self._features.popitem(last=False)
        self._features.move_to_end(key)
        return self._features[key]
