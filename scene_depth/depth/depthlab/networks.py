"""The two UNets of DepthLab on stock diffusers classes, and one evaluation of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scene_depth.depth.depthlab.features import FeatureBank, connect
from scene_depth.depth.latent.vae import diffusers_class
from scene_depth.errors import InputError

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
    return estimation(inputs, step, encoder_hidden_states=context, cross_attention_kwargs={"bank": bank}).sample
