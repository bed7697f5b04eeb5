"""Against outputs of the official code: every case of the parity data, whatever is there, in both attention variants."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scene_depth.depth.depthfm.flow import euler, noised
from scene_depth.depth.depthfm.inference import network_image, processing_size, published_depth, sample
from scene_depth.depth.latent.vae import encode

ROOT = Path(os.environ.get("SCENE_DEPTH_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "parity" / "depthfm"
CASES = sorted(path.parent for path in ROOT.rglob("case.json")) if ROOT.is_dir() else []
ATTENTION = {"fallback": "official", "xformers": "plain"}
TOLERANCE = 1e-4  # of the data's description, for latents, velocities and depth
GREY_LEVEL = 2 / 255  # versions of Pillow differ by one in a resize

pytestmark = pytest.mark.skipif(not CASES, reason=f"no parity data in {ROOT}; set SCENE_DEPTH_SHARED to a folder that has it")
each_case = pytest.mark.parametrize("folder", CASES, ids=lambda path: path.relative_to(ROOT).as_posix())
each_variant = pytest.mark.parametrize("variant", ATTENTION)


@cache
def loaded(root: Path, attention: str):
    from scene_depth.depth.depthfm import load_depthfm

    return load_depthfm(root / "checkpoints" / "depthfm-v1.ckpt", root / "vae", attention=attention, device="cpu", dtype="fp32")


class Case:
    def __init__(self, folder: Path, variant: str):
        from safetensors.torch import load_file

        self.options = json.loads((folder / "case.json").read_text())
        self.tensors = load_file(folder / "expected.safetensors")
        self.variant = variant
        root = next(parent for parent in folder.parents if (parent / "checkpoints").is_dir())
        model = loaded(root, ATTENTION[variant])
        self.model = replace(model, noising_step=self.options["noising_step"])
        pictures = sorted(folder.glob("rgb*.png"), key=lambda path: (len(path.stem), path.stem))
        self.pictures = [np.asarray(Image.open(path).convert("RGB")) for path in pictures]
        self.noise = self.tensors.get("noise")

    def images(self):
        """From the pictures, or the stored network input where a resize could differ."""
        resolution = max(self.options["processing_res"], 0)
        sizes = [processing_size(*picture.shape[:2], resolution) for picture in self.pictures]
        assert all(list(size) == self.options["processed_hw"] for size in sizes)
        made = torch.stack([network_image(picture, size) for picture, size in zip(self.pictures, sizes, strict=True)])
        return made, self.tensors.get("image_input", made)

    def expected(self, name):
        return self.tensors.get(f"{self.variant}.{name}", self.tensors.get(name))

    def run(self, images):
        options = self.options
        return sample(
            self.model,
            images,
            num_inference_steps=options["num_steps"],
            ensemble_size=options["ensemble_size"],
            noise=self.noise,
            batch=3,
        )

    def assert_close(self, found, name):
        expected = self.expected(name)
        if expected is not None:
            torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
        return expected is not None


@each_case
@each_variant
def test_from_the_picture(folder, variant):
    case = Case(folder, variant)
    made, images = case.images()
    torch.testing.assert_close(made, images, rtol=0, atol=GREY_LEVEL + 1e-5)
    found = case.run(images)
    assert case.assert_close(found.latents.flatten(0, 1), "final_latent")
    assert case.assert_close(published_depth(found.mean)[:, None], "depth")
    case.assert_close(found.log_depth.flatten(0, 1)[:, None], "decoded_mean")
    if case.options["ensemble_size"] > 1:
        assert case.assert_close(found.spread[:, None], "ensemble_std_log")


@each_case
@each_variant
@torch.no_grad()
def test_from_the_intermediates(folder, variant):
    case = Case(folder, variant)
    image_latent = encode(case.model.vae, case.images()[1])
    assert case.assert_close(image_latent, "image_latent")
    condition = case.expected("image_latent").repeat_interleave(case.options["ensemble_size"], 0)
    assert case.assert_close(noised(condition, case.noise, case.model.noising_step), "source_latent")
    source, times, states = case.expected("source_latent"), [], []

    def velocity(x, t):
        times.append(t)
        states.append(x)
        return case.model.velocity(x, t, condition)

    final = euler(velocity, source, case.options["num_steps"])
    assert case.assert_close(case.model.velocity(source, 0.0, condition), "velocity_first")
    assert case.assert_close([*states, final][1], "latent_after_first_step")
    assert case.assert_close(final, "final_latent")
    assert case.assert_close(torch.tensor(times), "nfe_t")


@each_case
def test_the_variants_are_not_the_same(folder):
    plain, official = (Case(folder, variant) for variant in ("xformers", "fallback"))
    found = published_depth(plain.run(plain.images()[1]).mean)[:, None]
    assert float((found - official.expected("depth")).abs().max()) > 100 * TOLERANCE
