"""Tiny weights of DepthFM, loaded once, and a view with a hole."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from depthfm_samples import write_official_file, write_vae


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path_factory):
    """No hub, and no checkpoints that happen to lie in the working directory."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SCENE_DEPTH_CHECKPOINTS", str(tmp_path_factory.mktemp("none")))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> SimpleNamespace:
    """``checkpoint`` (file), ``vae`` (folder beside it) and ``content`` (what the file holds)."""
    pytest.importorskip("diffusers")
    pytest.importorskip("safetensors")
    folder = tmp_path_factory.mktemp("depthfm")
    content = write_official_file(folder / "depthfm-v1.ckpt")
    write_vae(folder / "vae")
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
