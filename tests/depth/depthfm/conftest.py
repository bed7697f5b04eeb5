"""Tiny random weights of DepthFM in the layout of the official file, and what they are made of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

HPARAMS = {
    "image_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 32,
    "attention_resolutions": [2, 1],
    "num_res_blocks": 1,
    "channel_mult": [1, 1, 2],
    "num_head_channels": 16,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "transformer_depth": 1,
    "context_dim": 12,
    "legacy": False,
}


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path_factory):
    """No hub, and no checkpoints that happen to lie in the working directory."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SCENE_DEPTH_CHECKPOINTS", str(tmp_path_factory.mktemp("none")))


def official_content(seed: int = 0) -> dict:
    """What the official file holds, with random tensors under latent diffusion names."""
    from diffusers import UNet2DConditionModel

    from scene_depth.depth.depthfm.ldm import ldm_names, unet_config

    torch.manual_seed(seed)
    unet = UNet2DConditionModel.from_config(unet_config(HPARAMS))
    state = unet.state_dict()
    names = ldm_names(state)
    return {
        "noising_step": 400,
        "empty_text_embedding": torch.randn(1, 7, HPARAMS["context_dim"]),
        "ldm_hparams": dict(HPARAMS),
        "state_dict": {names[name]: value.clone() for name, value in state.items()},
    }


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> SimpleNamespace:
    """``checkpoint`` (file), ``vae`` (folder beside it) and ``content`` (what the file holds)."""
    diffusers = pytest.importorskip("diffusers")
    pytest.importorskip("safetensors")
    folder = tmp_path_factory.mktemp("depthfm")
    content = official_content()
    torch.save(content, folder / "depthfm-v1.ckpt")
    torch.manual_seed(1)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
    )
    vae.save_pretrained(folder / "vae")
    return SimpleNamespace(checkpoint=folder / "depthfm-v1.ckpt", vae=folder / "vae", content=content)


@pytest.fixture(scope="session")
def model(tiny):
    from scene_depth.depth.depthfm import load_depthfm

    return load_depthfm(tiny.checkpoint, device="cpu")


@pytest.fixture
def view():
    """A wavy scene with a hole: picture, depth, known  # [48, 70]"""
    y, x = np.mgrid[:48, :70]
    depth = (3 + np.sin(x / 11) + 0.02 * y).astype(np.float32)
    rgb = np.stack([depth / 6, x / 70, y / 48], axis=-1).astype(np.float32)
    known = np.ones(depth.shape, dtype=bool)
    known[12:34, 20:50] = False
    return rgb, np.where(known, depth, 0).astype(np.float32), known


def write_files(view, folder: Path) -> tuple[Path, Path]:
    """The view as files that the command line takes: picture and depth."""
    from PIL import Image

    rgb, depth, _ = view
    Image.fromarray(np.rint(255 * rgb).astype(np.uint8)).save(folder / "rgb.png")
    np.save(folder / "depth.npy", depth)
    return folder / "rgb.png", folder / "depth.npy"
