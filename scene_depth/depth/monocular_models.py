"""Monocular depth models of diffusers and transformers, imported when they are used.

Weights come from a local folder or from the hub's local cache; what is missing is fetched unless ``download`` is off.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.depth.alignment import Fit, Space
from scene_depth.depth.checkpoints import DEPTH_ANYTHING, MARIGOLD, fetch_weights, find_cached
from scene_depth.depth.checks import check_least
from scene_depth.depth.latent.devices import choose_device
from scene_depth.depth.latent.packages import package_class
from scene_depth.depth.monocular import BackEnd, MonocularInpainter
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.scattered import nearest_fill
from scene_depth.errors import InputError
from scene_depth.geometry.depth_resampling import resize_sparse_depth

SPACE_OF: dict[str, Space] = {  # by the configuration's model_type
    "dpt": "inverse",
    "glpn": "depth",
    "zoedepth": "depth",
    "depth_pro": "depth",
    "prompt_depth_anything": "depth",
}
PROMPTED, PROMPT_SIZE = "prompt_depth_anything", 256  # a phone's LiDAR gives 256 x 192


@dataclass(frozen=True)
class MarigoldModel:
    """Marigold depth (Ke et al. 2024) as diffusers ships it: affine-invariant depth by diffusion.

    Attributes:
        checkpoint: Hub id or local folder.
        num_inference_steps: Denoising steps; the checkpoint's own by default.
        ensemble_size: Number of predictions that are averaged; from 3 on there is an uncertainty.
        processing_resolution: Longer side at which the network works; the checkpoint's own by default, 0 for the picture's.
        device: "auto" takes CUDA or MPS if there is any.
        download: Whether missing weights may be fetched.
    """

    checkpoint: str = MARIGOLD
    num_inference_steps: int | None = None
    ensemble_size: int = 1
    processing_resolution: int | None = None
    device: str = "auto"
    download: bool = True
    name: ClassVar[str] = "marigold"
    takes_seed: ClassVar[bool] = True
    find_weights = staticmethod(partial(find_cached, MARIGOLD, "model_index.json"))

    def __post_init__(self) -> None:
        check_least(
            num_inference_steps=(self.num_inference_steps, 1),
            ensemble_size=(self.ensemble_size, 1),
            processing_resolution=(self.processing_resolution, 0),
        )
        _ = self._pipeline  # what is wrong with the weights is said at once

    @cached_property
    def _pipeline(self) -> Any:
        device = choose_device(self.device)
        pipeline_class = package_class("diffusers", "MarigoldDepthPipeline")
        extra = {} if Path(self.checkpoint).is_dir() else {"variant": "fp16"}  # half the download, also for CPU

        def load(local: bool) -> Any:
            return pipeline_class.from_pretrained(self.checkpoint, local_files_only=local, **extra)

        pipeline = fetch_weights(self.checkpoint, load, self.download).to(device)
        if device.type == "cuda":
            pipeline = pipeline.to(torch.float16)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def __call__(self, rgb: NDArray[np.float32], *, seed: int = 0) -> MonocularMap:
        result = self._pipeline(
            rgb,
            num_inference_steps=self.num_inference_steps,
            ensemble_size=self.ensemble_size,
            processing_resolution=self.processing_resolution,
            output_uncertainty=self.ensemble_size >= 3,
            generator=torch.Generator("cpu").manual_seed(seed),
        )
        space: Space = "inverse" if self._pipeline.config.prediction_type == "disparity" else "depth"
        uncertainty = None if result.uncertainty is None else np.asarray(result.uncertainty)[0, ..., 0]
        return MonocularMap(np.asarray(result.prediction)[0, ..., 0], space, uncertainty, metric=False)


@dataclass(frozen=True)
class TransformersModel:
    """Any ``AutoModelForDepthEstimation`` of transformers: Depth Anything, DPT (MiDaS), ZoeDepth, Depth Pro, ...

    Prompt Depth Anything (Lin et al. 2024) is prompted with the known depth, as the sensor of a phone gives it: at most 256
    pixels wide or high, holes closed by the nearest value, in any unit, which the prediction then has.

    Attributes:
        checkpoint: Hub id or local folder.
        device: "auto" takes CUDA or MPS if there is any.
        download: Whether missing weights may be fetched.
    """

    checkpoint: str = DEPTH_ANYTHING
    device: str = "auto"
    download: bool = True
    name: ClassVar[str] = "transformers"
    takes_seed: ClassVar[bool] = False
    find_weights = staticmethod(partial(find_cached, DEPTH_ANYTHING, "config.json"))

    def __post_init__(self) -> None:
        _ = self._parts  # what is wrong with the weights is said at once

    @property
    def takes_prompt(self) -> bool:
        """Whether the model is prompted with known depth."""
        return bool(self._parts[1].config.model_type == PROMPTED)

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        processor_class = package_class("transformers", "AutoImageProcessor")
        model_class = package_class("transformers", "AutoModelForDepthEstimation")

        def load(local: bool) -> Any:
            processor = processor_class.from_pretrained(self.checkpoint, local_files_only=local)
            return processor, model_class.from_pretrained(self.checkpoint, local_files_only=local)

        processor, model = fetch_weights(self.checkpoint, load, self.download)
        return processor, model.to(choose_device(self.device)).eval()

    @torch.no_grad()
    def __call__(self, rgb: NDArray[np.float32], prompt: NDArray[Any] | None = None) -> MonocularMap:
        processor, model = self._parts
        picture = np.rint(rgb * 255).astype(np.uint8)  # processors rescale by 1 / 255 by default
        inputs = processor(images=picture, return_tensors="pt").to(model.device)
        if self.takes_prompt:
            inputs["prompt_depth"] = _as_prompt(prompt, self.checkpoint).to(model.device)
        outputs = model(**inputs)
        size = [rgb.shape[:2]]
        if hasattr(processor, "post_process_depth_estimation"):
            values = processor.post_process_depth_estimation(outputs, size)[0]["predicted_depth"]
        else:
            maps = outputs.predicted_depth[:, None].float()
            values = torch.nn.functional.interpolate(maps, size=size[0], mode="bicubic", align_corners=False)[0, 0]
        space = _space_of(model.config)
        # all of transformers' models of depth are metric, those of inverse depth relative
        return MonocularMap(values.float().cpu().numpy(), space, metric=None if space == "auto" else space == "depth")


def _as_prompt(depth: NDArray[Any] | None, checkpoint: str) -> torch.Tensor:
    """Known depth, 0 = unknown, as the low-resolution depth of a sensor, without holes  # [1, 1, h, w]

    Raises:
        InputError: If there is none.
    """
    if depth is None or not (depth > 0).any():
        accepted = f"known depth, with which {checkpoint} is prompted; other models work from the picture alone"
        raise InputError("prompt", "no depth", accepted)
    shrink = min(1.0, PROMPT_SIZE / max(depth.shape))
    height, width = (max(1, round(shrink * side)) for side in depth.shape)
    small = depth if shrink == 1 else resize_sparse_depth(depth, width, height)
    prompt = nearest_fill(small, small > 0).astype(np.float32)
    if prompt.min() == prompt.max():  # the network divides by the range
        prompt[0, 0] *= 1 + 1e-4
    return torch.from_numpy(prompt)[None, None]


def make_inpainter_factory(model: type[Any], about: str) -> Callable[..., MonocularInpainter]:
    """A factory of inpainters that bring the prediction of a model onto known depth; its options are those of the model too.

    Args:
        model: Class of the monocular model.
        about: What the factory makes, its docstring.
    """

    def make(back_end: BackEnd = "solver", fit: Fit | None = None, **options: Any) -> MonocularInpainter:
        return MonocularInpainter(model(**options), back_end, fit=fit)

    own = list(inspect.signature(make).parameters.values())[:2]
    make.__signature__ = inspect.Signature([*own, *inspect.signature(model).parameters.values()])  # type: ignore[attr-defined]
    make.__doc__ = about
    make.find_weights = model.find_weights  # type: ignore[attr-defined]
    return make


def small_model(device: str = "auto", download: bool = True) -> TransformersModel:
    """The smallest model whose licence allows every use: Depth Anything V2 small (Yang et al. 2024), 25 M parameters."""
    return TransformersModel(DEPTH_ANYTHING, device, download)


small_model.find_weights = TransformersModel.find_weights  # type: ignore[attr-defined]

marigold_inpainter = make_inpainter_factory(
    MarigoldModel, "Marigold (Ke et al. 2024) through diffusers, fitted to known depth; see ``MarigoldModel``."
)
transformers_inpainter = make_inpainter_factory(
    TransformersModel, "Any depth-estimation model of transformers, fitted to known depth; see ``TransformersModel``."
)


def _space_of(config: Any) -> Any:
    if config.model_type == "depth_anything":
        return "depth" if getattr(config, "depth_estimation_type", "relative") == "metric" else "inverse"
    return SPACE_OF.get(config.model_type, "auto")
