"""DepthLab's networks, loaded: ``from_pretrained`` and ``save_pretrained``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene_depth.depth.depthlab.conditioning import MappingLayer, load_empty_text, load_image_encoder
from scene_depth.depth.depthlab.networks import DualBranch, build_unets
from scene_depth.depth.depthlab.schedule import NoiseSchedule, noise_schedule
from scene_depth.depth.depthlab.weights import (
    EMPTY_TEXT,
    ESTIMATION,
    MAPPING,
    MARKER,
    REFERENCE,
    DepthLabFiles,
    find_depthlab,
)
from scene_depth.depth.latent.devices import choose_device, choose_dtype
from scene_depth.depth.latent.sources import locate
from scene_depth.depth.latent.state_dicts import load_strictly, read_state_dict, write_state_dict
from scene_depth.depth.latent.vae import load_vae, pixels_per_latent, read_config
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder


@dataclass(frozen=True)
class DepthLabModel:
    """Everything that a prediction needs, on one device and in one precision.

    Attributes:
        networks: The two UNets.
        vae: ``AutoencoderKL``, always in fp32: depth decoded in bf16 would come in steps of 0.4 % of its range.
        image_encoder: ``CLIPVisionModelWithProjection``.
        mapping: From CLIP's embedding to the width of cross-attention.
        schedule: Noise levels.
        unet_config: Configuration that both UNets were built from.
        device, dtype: Where and in which precision the UNets and the image encoder run.
        files: Where it came from; None if it was not loaded.
        empty_text: Embedding of the empty text, fp32; absent until guidance asks for it  # [1, 1, D]
    """

    networks: DualBranch
    vae: Any
    image_encoder: Any
    mapping: MappingLayer
    schedule: NoiseSchedule
    unet_config: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    files: DepthLabFiles | None = None
    empty_text: list[Tensor] = field(default_factory=list, repr=False)

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path | None = None,
        *,
        marigold: str | Path | None = None,
        clip: str | Path | None = None,
        device: str = "auto",
        dtype: str = "auto",
        query_slice: int = 0,
    ) -> DepthLabModel:
        """Loads official or converted weights, strictly.

        Args:
            weights, marigold, clip: As in ``find_depthlab``.
            device: As in ``choose_device``.
            dtype: As in ``choose_dtype``.
            query_slice: Attention queries at once, to save memory; 0 for all.

        Raises:
            InputError: If something is missing, or does not fit the architecture.
        """
        where = choose_device(device)
        return load_files(find_depthlab(weights, marigold, clip), where, choose_dtype(dtype, where), query_slice)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes one folder of safetensors that ``from_pretrained`` reads.

        Args:
            folder: New or empty folder.

        Raises:
            InputError: If the folder has something in it, or cannot be written.
        """
        with atomic_folder(folder) as target:
            for stem, module in (
                (ESTIMATION, self.networks.estimation),
                (REFERENCE, self.networks.reference),
                (MAPPING, self.mapping),
            ):
                write_state_dict(target / f"{stem}.safetensors", module.state_dict())
            if self.empty_text:
                write_state_dict(target / EMPTY_TEXT, {"empty_text": self.empty_text[0]})
            self.vae.save_pretrained(target / "vae")
            self.image_encoder.save_pretrained(target / "image_encoder")
            _write_json(target / "unet" / "config.json", self.unet_config)
            _write_json(target / "scheduler" / "scheduler_config.json", self.schedule.config)
            _write_json(target / MARKER, {"model": "depthlab", "layout": 1, "dtype": str(self.dtype).removeprefix("torch.")})

    @property
    def pixels_per_latent(self) -> int:
        """Side of the square of pixels of one latent cell."""
        return pixels_per_latent(self.vae)

    def unconditional(self) -> Tensor:
        """The embedding of the empty text, loaded when first asked for  # [1, 1, D]

        Raises:
            InputError: If neither it nor a text encoder is there.
        """
        if not self.empty_text:
            if self.files is None or self.files.text is None:
                raise InputError(
                    "guidance_scale", "above 1, and no embedding of the empty text", "guidance_scale 1 with these weights"
                )
            self.empty_text.append(load_empty_text(locate([self.files.text])[0]))
        return self.empty_text[0].to(self.device, self.dtype)


def load_files(files: DepthLabFiles, device: torch.device, dtype: torch.dtype, query_slice: int = 0) -> DepthLabModel:
    """Loads the parts of a model.

    Args:
        files: From ``find_depthlab``.
        device, dtype: Of all parameters.
        query_slice: As in ``DepthLabModel.from_pretrained``.

    Raises:
        InputError: If a file cannot be read or does not fit.
    """
    config = read_config(files.unet)
    schedule = noise_schedule(read_config(files.scheduler, "scheduler_config.json"))
    networks = build_unets(config, query_slice=query_slice)
    for module, path, name in (
        (networks.estimation, files.estimation, "estimation UNet"),
        (networks.reference, files.reference, "reference UNet"),
    ):
        load_strictly(module, read_state_dict(path), name=name, file=path, dtype=dtype, device=device)
        module.eval().requires_grad_(False)
    empty = [] if files.empty_text is None else [read_state_dict(files.empty_text)["empty_text"].float()]
    image_encoder = load_image_encoder(files.image_encoder, dtype=dtype, device=device)
    return DepthLabModel(
        networks=networks,
        vae=load_vae(files.vae, device=device),
        image_encoder=image_encoder,
        mapping=_load_mapping(files.mapping, networks, image_encoder, dtype, device),
        schedule=schedule,
        unet_config=config,
        device=device,
        dtype=dtype,
        files=files,
        empty_text=empty,
    )


def _load_mapping(path: Path, networks: DualBranch, image_encoder: Any, dtype: torch.dtype, device: torch.device) -> MappingLayer:
    """The mapping layer between this image encoder and these UNets."""
    mapping = MappingLayer(image_encoder.config.projection_dim, networks.estimation.config.cross_attention_dim)
    load_strictly(mapping, read_state_dict(path), name="mapping layer", file=path, dtype=dtype, device=device)
    return mapping.eval().requires_grad_(False)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(value), indent=1, default=str), encoding="utf-8")
