"""Image inpainting by any diffusers pipeline, from a local folder or by hub id; depth guides it by a ControlNet."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask
from scene_depth.color.controlnet import load_controlnet, not_loaded
from scene_depth.errors import InputError
from scene_depth.geometry.control_image import control_image

STABLE_DIFFUSION = "stabilityai/stable-diffusion-2-inpainting"
ACCEPTED = "a local folder, or the id of a pipeline in the hub's cache (about 5 GB; its card says the licence)"
FETCHES = "--color-options model=ID local_files_only=False, which fetches it"
MULTIPLE = 8  # latent diffusion works on eighths of the picture


@dataclass(frozen=True)
class DiffusionInpainter:
    """Fills holes with a diffusers inpainting pipeline (``AutoPipelineForInpainting``).

    The weights are loaded when it is made, so that whatever is wrong with them is said before long work.

    Attributes:
        model: Local folder or hub id of the pipeline. Nothing is downloaded unless ``local_files_only`` is False.
        prompt: What should be in the hole.
        negative_prompt: What should not.
        num_inference_steps: Denoising steps.
        guidance_scale: Classifier-free guidance scale.
        device: "cpu" or "cuda".
        local_files_only: Take the weights from disk or from the hub's cache only.
        controlnet: Local folder or hub id of a depth ControlNet made for that pipeline; the depth that a call gets then guides
            the picture, as ``control_image`` of it. Without one, depth does nothing.
        conditioning_scale: Weight of the ControlNet, 0 or more.

    Raises:
        InputError: If diffusers or the device is not there, the weights are not there, or the ControlNet does not fit them.
    """

    model: str = STABLE_DIFFUSION
    prompt: str = ""
    negative_prompt: str = ""
    num_inference_steps: int = 30
    guidance_scale: float = 7.5
    device: str = "cpu"
    local_files_only: bool = True
    controlnet: str | None = None
    conditioning_scale: float = 1.0

    def __post_init__(self) -> None:
        scale = self.conditioning_scale
        if not isinstance(scale, int | float) or not 0 <= scale < math.inf:
            raise InputError("conditioning_scale", repr(scale), "a finite number, 0 or more")
        _ = self.pipeline

    @staticmethod
    def find_weights() -> str:
        """The file by which the default pipeline is known to be on this machine.

        Raises:
            InputError: If it is not.
        """
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(STABLE_DIFFUSION, "model_index.json")
        if not isinstance(found, str):
            raise InputError("diffusion model", f"{STABLE_DIFFUSION!r}, which is not in the hub's cache", ACCEPTED, hint=FETCHES)
        return found

    @cached_property
    def pipeline(self) -> Any:
        """The loaded pipeline."""
        try:
            from diffusers import AutoPipelineForInpainting
        except ImportError as error:
            raise InputError("package diffusers", "not installed", "", hint="pip install 'scene-depth[diffusion]'") from error
        model, parts = os.path.expanduser(self.model), {}
        if self.controlnet is not None:
            controlnet = os.path.expanduser(self.controlnet)
            parts["controlnet"] = load_controlnet(controlnet, model, local_files_only=self.local_files_only)
        try:
            loader: Any = AutoPipelineForInpainting  # diffusers does not annotate its loading
            pipeline = loader.from_pretrained(model, local_files_only=self.local_files_only, **parts)
        except (OSError, ValueError) as error:
            raise InputError("diffusion model", not_loaded(model, error), ACCEPTED, hint=FETCHES) from error
        pipeline.set_progress_bar_config(disable=True)
        try:
            return pipeline.to(self.device)
        except (AssertionError, RuntimeError) as error:  # what torch raises depends on how it was built
            raise InputError("device", f"{self.device!r}: {str(error).splitlines()[0]}", "a device of this machine") from error

    def __call__(
        self,
        rgb: NDArray[np.float32],
        hole: Mask,
        *,
        depth: Array | None = None,
        seed: int = 0,
        prompt: str | None = None,
        **_: object,
    ) -> NDArray[np.float32]:
        """Fills one picture; depth guides it through the ControlNet if there is one, nothing else does.

        A ``prompt`` of this picture takes the place of that of all.

        Raises:
            InputError: With a ControlNet, if depth is missing, of another size, or nowhere positive.
        """
        import torch
        from PIL import Image

        height, width = hole.shape
        padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE))
        picture = np.pad(rgb, (*padding, (0, 0)), mode="edge")
        mask = np.pad(hole, padding)
        guide: dict[str, Any] = {}
        if self.controlnet is not None:
            control = np.pad(_control(depth, hole.shape), (*padding, (0, 0)), mode="edge")
            guide = {
                "control_image": Image.fromarray(control),
                "controlnet_conditioning_scale": float(self.conditioning_scale),  # the pipelines refuse whole numbers
            }
        result = self.pipeline(
            prompt=self.prompt if prompt is None else prompt,
            negative_prompt=self.negative_prompt or None,
            image=Image.fromarray(np.rint(255 * picture).astype(np.uint8)),
            mask_image=Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))),
            height=picture.shape[0],
            width=picture.shape[1],
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            generator=torch.Generator(self.device).manual_seed(seed),
            output_type="np",
            **guide,
        ).images[0]
        return np.asarray(result, dtype=np.float32)[:height, :width]


def _control(depth: Array | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The picture that the ControlNet takes  # [H, W, 3]"""
    if depth is None:
        raise InputError("depth", "none", "the completed depth of the picture, which the ControlNet follows")
    if depth.shape != shape:
        raise InputError("depth", f"shape {depth.shape}", f"{shape}, as the hole")
    return control_image(depth)
