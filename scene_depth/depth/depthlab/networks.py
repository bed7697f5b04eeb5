"""DepthLab's networks on stock diffusers classes: the two UNets and what they work with, loaded, saved, converted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scene_depth.depth.depthlab.conditioning import MappingLayer, load_empty_text, load_image_encoder
from scene_depth.depth.depthlab.features import FeatureBank, connect
from scene_depth.depth.depthlab.schedule import NoiseSchedule, noise_schedule
from scene_depth.depth.depthlab.weights import EMPTY_TEXT, ESTIMATION, MAPPING, MARKER, REFERENCE, DepthLabFiles, find_depthlab
from scene_depth.depth.latent.devices import DTYPES, check_conversion, choose_device, choose_dtype
from scene_depth.depth.latent.packages import diffusers_class
from scene_depth.depth.latent.sources import locate
from scene_depth.depth.latent.state_dicts import load_strictly, read_state_dict, write_state_dict
from scene_depth.depth.latent.vae import load_vae, pixels_per_latent, read_config, save_memory, write_vae
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder

LATENT_CHANNELS = 4
ESTIMATION_CHANNELS = 3 * LATENT_CHANNELS  # noisy depth, mask, masked depth
REFERENCE_STEP = 0  # time step at which the reference UNet runs, once


@dataclass(frozen=True)
class DualBranch:
    """The two networks.

    Attributes:
        estimation: UNet that predicts v from 12 channels and the stored features.
        reference: UNet that reads the picture's latent; it has neither output norm nor output convolution.
    """

    estimation: Any
    reference: Any


def build_unets(config: Mapping[str, Any], device: torch.device | str = "meta", query_slice: int = 0) -> DualBranch:
    """Two UNets of a Marigold or Stable Diffusion configuration, with their attention connected.

    Args:
        config: Configuration of a ``UNet2DConditionModel``; its number of input channels is overridden.
        device: Where parameters are made; the meta device makes none, for loading.
        query_slice: As in ``connect``.

    Raises:
        InputError: If the configuration is that of another architecture.
    """
    unet_class = diffusers_class("UNet2DConditionModel")
    name = config.get("_class_name", "UNet2DConditionModel")
    if name != "UNet2DConditionModel" or config.get("out_channels", LATENT_CHANNELS) != LATENT_CHANNELS:
        found = f"{name} with {config.get('out_channels')} output channels"
        raise InputError("UNet configuration", found, f"UNet2DConditionModel with {LATENT_CHANNELS} output channels")
    try:
        with torch.device(device):
            estimation = unet_class.from_config(dict(config), in_channels=ESTIMATION_CHANNELS)
            reference = unet_class.from_config(dict(config), in_channels=LATENT_CHANNELS)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError("UNet configuration", f"refused ({error})", "that of a Stable Diffusion 2 UNet") from error
    reference.conv_norm_out = None
    reference.conv_out = nn.Identity()
    connect(estimation, reference, query_slice)
    return DualBranch(estimation, reference)


def reference_features(reference: Any, rgb_latents: Tensor, context: Tensor, half: bool = False) -> FeatureBank:
    """Runs the reference UNet once and keeps what its self-attention layers saw.

    Args:
        reference: The reference UNet.
        rgb_latents: Scaled latents of the pictures  # [B, 4, h, w]
        context: Embeddings for cross-attention  # [B, 1, D]
        half: Round to fp16 as the official code does.
    """
    bank = FeatureBank(half)
    reference(rgb_latents, REFERENCE_STEP, encoder_hidden_states=context, cross_attention_kwargs={"bank": bank})
    return bank


def predict_v(estimation: Any, inputs: Tensor, step: int | Tensor, context: Tensor, bank: FeatureBank) -> Tensor:
    """One evaluation of the estimation UNet.

    Args:
        estimation: The estimation UNet.
        inputs: Noisy depth latent, mask latent, masked depth latent, in that order  # [B, 12, h, w]
        step: Time step, one or one a row.
        context: Embeddings for cross-attention  # [B, 1, D]
        bank: From ``reference_features``; its ``plain_rows`` leading rows read nothing.

    Returns:
        Prediction of v = sqrt(abar) noise - sqrt(1 - abar) x0  # [B, 4, h, w]
    """
    called = estimation(inputs, step, encoder_hidden_states=context, cross_attention_kwargs={"bank": bank})
    predicted: Tensor = called.sample
    return predicted


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
        empty_text: Embedding of the empty text in fp32, which only guidance needs  # [1, 1, D]
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
    empty_text: Tensor | None = None

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
        vae_slicing: bool = False,
        vae_tiling: bool = False,
    ) -> DepthLabModel:
        """Loads official or converted weights, strictly.

        Args:
            weights, marigold, clip: As in ``find_depthlab``.
            device, dtype: As in ``choose_device`` and ``choose_dtype``.
            query_slice: Attention queries at once, to save memory; 0 for all.
            vae_slicing, vae_tiling: As in ``save_memory``.

        Raises:
            InputError: If something is missing, or does not fit the architecture.
        """
        where = choose_device(device)
        model = load_files(find_depthlab(weights, marigold, clip), where, choose_dtype(dtype, where), query_slice)
        save_memory(model.vae, slicing=vae_slicing, tiling=vae_tiling)
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes a new or empty folder of safetensors that ``from_pretrained`` reads.

        Raises:
            InputError: If the folder has something in it, or cannot be written.
        """
        with atomic_folder(folder) as target:
            parts = {ESTIMATION: self.networks.estimation, REFERENCE: self.networks.reference, MAPPING: self.mapping}
            for stem, module in parts.items():
                write_state_dict(target / f"{stem}.safetensors", module.state_dict())
            if self.empty_text is not None:
                write_state_dict(target / EMPTY_TEXT, {"empty_text": self.empty_text})
            write_vae(self.vae, target / "vae")
            write_state_dict(target / "image_encoder" / "model.safetensors", self.image_encoder.state_dict())
            _write_json(target / "image_encoder" / "config.json", self.image_encoder.config.to_dict())
            _write_json(target / "unet" / "config.json", self.unet_config)
            _write_json(target / "scheduler" / "scheduler_config.json", self.schedule.config)
            _write_json(target / MARKER, {"model": "depthlab", "layout": 1, "dtype": str(self.dtype).removeprefix("torch.")})

    @property
    def pixels_per_latent(self) -> int:
        """Side of the square of pixels of one latent cell."""
        return pixels_per_latent(self.vae)

    def with_empty_text(self) -> DepthLabModel:
        """This model with the embedding of the empty text, which guidance needs.

        Raises:
            InputError: If neither it nor a text encoder is there.
        """
        if self.empty_text is not None:
            return self
        if self.files is None or self.files.text is None:
            raise InputError(
                "guidance_scale", "above 1, and no embedding of the empty text", "guidance_scale 1 with these weights"
            )
        return replace(self, empty_text=load_empty_text(locate([self.files.text])[0]))

    def unconditional(self) -> Tensor:
        """The embedding of the empty text, as the UNets take it  # [1, 1, D]

        Raises:
            InputError: Without one; see ``with_empty_text``.
        """
        if self.empty_text is None:
            raise InputError("empty_text", None, "a model from with_empty_text(), which guidance needs")
        return self.empty_text.to(self.device, self.dtype)


def load_files(files: DepthLabFiles, device: torch.device, dtype: torch.dtype, query_slice: int = 0) -> DepthLabModel:
    """Loads the parts of a model from the files of ``find_depthlab``; the rest as in ``DepthLabModel.from_pretrained``."""
    config = read_config(files.unet)
    schedule = noise_schedule(read_config(files.scheduler, "scheduler_config.json"))
    networks = build_unets(config, query_slice=query_slice)
    for module, path, name in (
        (networks.estimation, files.estimation, "estimation UNet"),
        (networks.reference, files.reference, "reference UNet"),
    ):
        load_strictly(module, read_state_dict(path), name=name, file=path, dtype=dtype, device=device)
        module.eval().requires_grad_(False)
    empty = None if files.empty_text is None else read_state_dict(files.empty_text)["empty_text"].float()
    image_encoder = load_image_encoder(files.image_encoder, dtype=dtype, device=device)
    mapping = MappingLayer(image_encoder.config.projection_dim, networks.estimation.config.cross_attention_dim)
    state = read_state_dict(files.mapping)
    load_strictly(mapping, state, name="mapping layer", file=files.mapping, dtype=dtype, device=device)
    mapping.eval().requires_grad_(False)
    vae = load_vae(files.vae, device=device)
    return DepthLabModel(networks, vae, image_encoder, mapping, schedule, config, device, dtype, files, empty)


def convert(source: str | Path | None, output: str | Path, dtype: str = "fp32") -> list[str]:
    """Loads official weights strictly and saves them as one folder of safetensors; the text encoder becomes one embedding.

    Args:
        source: As ``weights`` of ``find_depthlab``.
        output: New or empty folder.
        dtype: "fp32", "fp16" or "bf16", of the UNets and the image encoder; halves the files.

    Returns:
        Notes for the user.

    Raises:
        InputError: If something is missing, does not fit, or the folder has something in it.
    """
    check_conversion(output, dtype)
    model, notes = load_files(find_depthlab(source), choose_device("cpu"), DTYPES[dtype]), []
    try:
        model = model.with_empty_text()
    except InputError as error:
        notes.append(f"without guidance above 1, no text encoder was found ({error.found})")
    model.save_pretrained(output)
    return notes


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(value), indent=1, default=str), encoding="utf-8")
