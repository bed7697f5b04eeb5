"""The semantic condition: one token from CLIP's view of the picture, or from an empty text."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from scene_depth.depth.latent.packages import package_class
from scene_depth.errors import InputError, first_line

SIDE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training pictures
STD = (0.26862954, 0.26130258, 0.27577711)
MOST_ELONGATED = 16  # sides beyond this ratio are cut before resizing; the centre crop drops them anyway
NOT_VISION = ("text_model.", "text_projection.", "logit_scale")  # in files that hold all of CLIP


class MappingLayer(nn.Module):
    """One linear layer from CLIP's image embedding to the width of the UNets' cross-attention."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.mapping_layer = nn.Linear(inputs, outputs)

    def forward(self, embedding: Tensor) -> Tensor:
        mapped: Tensor = self.mapping_layer(embedding)
        return mapped


def clip_crop(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """CLIP's view: shorter side to 224 (bicubic of PIL), the centre cut out. Wide pictures lose their sides.

    Args:
        picture: sRGB  # [H, W, 3]

    Returns:
        # [224, 224, 3]
    """
    height, width = picture.shape[:2]
    most = MOST_ELONGATED * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    picture = np.ascontiguousarray(picture[top : top + most, left : left + most])
    height, width = picture.shape[:2]
    short = min(height, width)
    size = (SIDE if width == short else int(SIDE * width / short), SIDE if height == short else int(SIDE * height / short))
    resized = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    top, left = (size[1] - SIDE) // 2, (size[0] - SIDE) // 2
    return resized[top : top + SIDE, left : left + SIDE]


def clip_input(crop: NDArray[np.uint8]) -> Tensor:
    """The crop with CLIP's mean and standard deviation taken out  # [1, 3, 224, 224]"""
    values = (crop.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)[None]


def image_context(image_encoder: Any, mapping: nn.Module, pictures: list[NDArray[np.uint8]]) -> Tensor:
    """One token for each picture.

    Args:
        image_encoder: ``CLIPVisionModelWithProjection``.
        mapping: The mapping layer.
        pictures: sRGB at full size  # [H, W, 3] each

    Returns:
        # [B, 1, D]
    """
    parameter = next(image_encoder.parameters())
    inputs = torch.cat([clip_input(clip_crop(picture)) for picture in pictures]).to(parameter.device, parameter.dtype)
    tokens: Tensor = mapping(image_encoder(inputs).image_embeds)[:, None]
    return tokens


def load_image_encoder(folder: Path, *, dtype: torch.dtype, device: torch.device) -> Any:
    """Loads the vision tower of CLIP with its projection, from a folder of it alone or of all of CLIP."""
    return _load_transformers("CLIPVisionModelWithProjection", folder, dtype, device)


def load_empty_text(folder: Path) -> Tensor:
    """The token of no picture, the first one of the empty text, by the text encoder of a Stable Diffusion or Marigold folder.

    Returns:
        In fp32  # [1, 1, D]
    """
    encoder = _load_transformers("CLIPTextModel", folder / "text_encoder", torch.float32, torch.device("cpu"))
    tokenizer = package_class("transformers", "CLIPTokenizer").from_pretrained(folder / "tokenizer")
    tokens = tokenizer("", padding="do_not_pad", truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        embedding: Tensor = encoder(tokens.to(encoder.device))[0][:, :1]
        return embedding


def _load_transformers(name: str, folder: Path, dtype: torch.dtype, device: torch.device) -> Any:
    """Loads strictly: a tensor that the file lacks or that the model does not know is an error."""
    model_class = package_class("transformers", name)
    logging: Any = importlib.import_module("transformers.utils.logging")  # half of it has no types
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, info = model_class.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except Exception as error:  # file, JSON, safetensors and shape errors share no base
        raise InputError(name, f"not loadable ({first_line(error)})", "a saved model of this class", file=folder) from error
    finally:
        if shown:
            logging.enable_progress_bar()
    strange = [key for key in info["unexpected_keys"] if not key.startswith(NOT_VISION) and not key.endswith("position_ids")]
    wrong = {
        "missing": list(info["missing_keys"]),
        "not known to it": strange,
        "of another shape": [str(key) for key in info["mismatched_keys"]],
    }
    if any(wrong.values()):
        found = "; ".join(f"{len(keys)} tensors {what}: {', '.join(sorted(keys)[:4])}" for what, keys in wrong.items() if keys)
        raise InputError(name, found, "the tensors of this architecture, by name and shape", file=folder)
    return model.to(device, dtype).eval().requires_grad_(False)
