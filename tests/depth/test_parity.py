"""The official models against references that share no code with them; see ``tests/data/make_parity.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from scene_depth.depth.auxiliary.network import load_network
from scene_depth.depth.depthfm import load_depthfm
from scene_depth.depth.depthfm.inference import network_image, sample
from scene_depth.depth.depthlab import DepthLabInpainter

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="module")
def reference():
    """The module that made the file."""
    spec = importlib.util.spec_from_file_location("make_parity", DATA / "make_parity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored():
    with np.load(DATA / "parity.npz") as content:
        return dict(content)


def test_depthlab(reference, stored, tmp_path, monkeypatch):
    """From the input to the end through the public class, with guidance, blending and fp16 features."""
    reference.write_depthlab(tmp_path)
    noise = torch.from_numpy(stored["noise"][:1])
    monkeypatch.setattr("scene_depth.depth.depthlab.inpainter.draw_noise", lambda view, members, seed: (noise, noise))
    inpainter = DepthLabInpainter(
        tmp_path,
        spacing="leading",
        processing_resolution=reference.SIZE,
        known_depth="official",
        official=True,
        device="cpu",
        **reference.DEPTHLAB,
    )
    found = inpainter(stored["rgb"], stored["depth"], stored["known"]).depth
    np.testing.assert_allclose(found, stored["depthlab"], rtol=0, atol=2e-4)


@pytest.mark.parametrize("attention", ["plain", "official"])
def test_depthfm(reference, stored, tmp_path, attention):
    reference.write_depthfm(tmp_path)
    model = load_depthfm(tmp_path / "depthfm-v1.ckpt", attention=attention, device="cpu")
    image, noise = network_image(stored["rgb"], (reference.SIZE, reference.SIZE))[None], torch.from_numpy(stored["noise"])
    found = sample(model, image, noise=noise, **reference.DEPTHFM).log_depth[0]
    np.testing.assert_allclose(found, stored[f"depthfm_{attention}"], rtol=0, atol=1e-4)
    other = stored["depthfm_plain" if attention == "official" else "depthfm_official"]
    assert np.abs(found.numpy() - other).max() > 1e-2


def test_auxiliary(reference, stored, tmp_path):
    reference.write_auxiliary(tmp_path)
    with torch.no_grad():
        found = load_network(tmp_path)(torch.from_numpy(stored["sparse"])[None, None])
    np.testing.assert_allclose(found.depth[0, 0], stored["auxiliary"], rtol=1e-4)
    np.testing.assert_allclose(found.error[0, 0], stored["auxiliary_error"], rtol=1e-4)


def test_the_stored_outputs_are_those_of_the_references(reference, stored):
    """So that file and script cannot part; the cheapest two."""
    depth, error = reference.auxiliary_reference(stored["sparse"])
    np.testing.assert_allclose(depth, stored["auxiliary"], rtol=1e-5)
    np.testing.assert_allclose(error, stored["auxiliary_error"], rtol=1e-5)
    found = reference.depthfm_reference(stored["rgb"], torch.from_numpy(stored["noise"]), official=False)
    np.testing.assert_allclose(found, stored["depthfm_plain"], rtol=0, atol=1e-4)
