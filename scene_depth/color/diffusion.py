"""Image inpainting by any diffusers pipeline, from a local folder or by hub id."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError

MULTIPLE = 8  # latent diffusion works on eighths of the picture


@dataclass(frozen=True)
class DiffusionInpainter:
    """Fills holes with a diffusers inpainting pipeline (``AutoPipelineForInpainting``).

    Attributes:
        model: Local folder or hub id of the pipeline. Nothing is downloaded unless ``local_files_only`` is False.
        prompt: What should be in the hole.
        negative_prompt: What should not.
        steps: Denoising steps.
        guidance: Classifier-free guidance scale.
        device: "cpu" or "cuda".
        local_files_only: Take the weights from disk or from the hub's cache only.
    """

    model: str = "stabilityai/stable-diffusion-2-inpainting"
    prompt: str = ""
    negative_prompt: str = ""
    steps: int = 30
    guidance: float = 7.5
    device: str = "cpu"
    local_files_only: bool = True

    @cached_property
    def pipeline(self) -> Any:
        """The loaded pipeline.

        Raises:
            InputError: If diffusers is not installed or the weights are not there.
        """
        try:
            from diffusers import AutoPipelineForInpainting
        except ImportError as error:
            raise InputError("diffusion", "no diffusers", "pip install 'scene-depth[diffusion]'") from error
        try:
            pipeline = AutoPipelineForInpainting.from_pretrained(self.model, local_files_only=self.local_files_only)
        except (OSError, ValueError) as error:
            accepted = (
                "a local folder, or the id of a pipeline in the hub's cache (about 5 GB; local_files_only=False fetches it)"
            )
            raise InputError("diffusion model", f"{self.model!r}: {str(error).splitlines()[0]}", accepted) from error
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(self.device)

    def __call__(
        self,
        rgb: NDArray[np.float32],
        hole: NDArray[np.bool_],
        *,
        depth: NDArray[np.floating] | None = None,
        camera: Cameras | None = None,
        source: NDArray[np.bool_] | None = None,
        seed: int = 0,
    ) -> NDArray[np.float32]:
        """Fills one picture; depth, camera and source do not guide it."""
        import torch
        from PIL import Image

        height, width = hole.shape
        padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE))
        picture = np.pad(rgb, (*padding, (0, 0)), mode="edge")
        mask = np.pad(hole, padding)
        result = self.pipeline(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt or None,
            image=Image.fromarray(np.rint(255 * picture).astype(np.uint8)),
            mask_image=Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))),
            height=picture.shape[0],
            width=picture.shape[1],
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            generator=torch.Generator(self.device).manual_seed(seed),
            output_type="np",
        ).images[0]
        return np.asarray(result, dtype=np.float32)[:height, :width]
