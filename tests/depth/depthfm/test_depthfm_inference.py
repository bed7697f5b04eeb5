"""Schedule, resolution, ensembles, the fit to known pixels, conditions of the completion model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scene_depth.cameras import Cameras
from scene_depth.depth.depthfm.encoding import ConditionEncoding, condition_maps, depth_range, normalized_log_depth
from scene_depth.depth.depthfm.flow import euler, noised, signal_share, standard_normal
from scene_depth.depth.depthfm.inference import (
    LogDepth,
    metric_depth,
    network_image,
    predict_log_depth,
    processing_size,
    published_depth,
    sample,
)
from scene_depth.depth.depthfm.network import set_attention
from scene_depth.errors import InputError


def test_the_schedule_is_the_cosine_one():
    for step in (1, 100, 400, 800, 999):
        assert signal_share(step) == pytest.approx(math.cos(math.pi * step / 2000) ** 2, abs=2e-5)
    assert signal_share(400) == pytest.approx(0.6545, abs=1e-4)
    latent, noise = torch.full((1, 4, 2, 2), 2.0), torch.full((1, 4, 2, 2), 3.0)
    assert float(noised(latent, noise, 400)[0, 0, 0, 0]) == pytest.approx(2 * 0.8090 + 3 * 0.5878, abs=1e-3)
    assert noised(latent, noise, 0) is latent


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_euler_solves_what_it_can(steps):
    start = torch.tensor([1.0, -2.0])
    assert torch.allclose(euler(lambda x, t: torch.ones_like(x), start, steps), start + 1)
    assert torch.allclose(euler(lambda x, t: x, start, steps), start * (1 + 1 / steps) ** steps)
    assert torch.allclose(euler(lambda x, t: torch.full_like(x, t), start, steps), start + 0.5 - 0.5 / steps, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [
        ((150, 190), 160, (128, 128)),  # 1.97 and 2.5 times 64
        ((64, 96), 0, (64, 128)),
        ((480, 640), 512, (384, 512)),
        ((3, 1000), 0, (64, 1024)),  # the official code fails
        ((1, 1), 0, (64, 64)),
        ((4000, 20), 640, (640, 64)),
    ],
)
def test_sizes(size, resolution, expected):
    assert processing_size(*size, resolution) == expected


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 1500))
def test_every_picture_has_a_size(height, width, resolution):
    sides = processing_size(height, width, resolution)
    assert all(side >= 64 and side % 64 == 0 for side in sides)
    assert max(sides) <= max(64, (resolution or max(height, width)) + 32)


def test_bad_sizes_are_named():
    for arguments in ((0, 5, 0), (5, 5, -1)):
        with pytest.raises(InputError, match="size, processing_resolution"):
            processing_size(*arguments)


def test_the_picture_becomes_eight_bits():
    rgb = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    image = network_image(rgb, (64, 64))
    np.testing.assert_allclose(image.permute(1, 2, 0).numpy(), np.rint(rgb * 255) / 127.5 - 1, atol=1e-6)
    assert torch.equal(image, network_image(np.rint(rgb * 255).astype(np.uint8), (64, 64)))


def test_the_same_seed_gives_the_same_result(model, view):
    rgb = view[0]
    first, again, other = (predict_log_depth(model, rgb, num_inference_steps=1, ensemble_size=2, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.values, again.values)
    assert np.array_equal(first.uncertainty, again.uncertainty)
    assert not np.array_equal(first.values, other.values)
    assert first.values.shape == rgb.shape[:2]
    assert first.processed == (64, 64)


def test_an_ensemble_is_its_members(model):
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = standard_normal((6, 4, 8, 8), 7)
    together = sample(model, images, num_inference_steps=2, ensemble_size=3, noise=noise)
    in_parts = sample(model, images, num_inference_steps=2, ensemble_size=3, noise=noise, batch=2)
    torch.testing.assert_close(in_parts.log_depth, together.log_depth, rtol=0, atol=2e-5)
    alone = [sample(model, images[i // 3, None], num_inference_steps=2, noise=noise[i, None]).log_depth[0, 0] for i in range(6)]
    members = torch.stack(alone).unflatten(0, (2, 3))
    torch.testing.assert_close(together.log_depth, members, rtol=0, atol=2e-5)
    np.testing.assert_allclose(together.spread.numpy(), members.numpy().std(axis=1), atol=2e-5)  # numpy's is the population's
    np.testing.assert_allclose(together.mean.numpy(), members.numpy().mean(axis=1), atol=2e-5)
    drawn = sample(model, images, num_inference_steps=2, ensemble_size=3, seed=7)
    assert torch.equal(drawn.latents, together.latents)


def test_numbers_below_one_are_named(model):
    image = torch.zeros(1, 3, 64, 64)
    for options in (
        {"num_inference_steps": 0},
        {"num_inference_steps": 1, "ensemble_size": 0},
        {"num_inference_steps": 1, "batch": 0},
    ):
        with pytest.raises(InputError, match="num_inference_steps, ensemble_size, batch"):
            sample(model, image, **options)


def test_the_published_map_of_a_constant_prediction_is_finite():
    maps = torch.stack([torch.full((4, 5), 0.3), torch.linspace(0, 1, 20).reshape(4, 5)])
    found = published_depth(maps)
    assert torch.equal(found[0], torch.zeros(4, 5))
    assert float(found[1].min()) == 0.0
    assert float(found[1].max()) == 1.0
    assert float(found[1, 0, 1]) == pytest.approx((math.exp(1 / 19) - 1) / (math.e - 1), abs=1e-6)


def test_attention_variants_by_hand(model):
    """One self-attention layer against the formula, written out."""
    layer = next(module for name, module in model.unet.named_modules() if name.endswith("attn1"))
    tokens, heads = 6, layer.heads
    x = torch.randn(2, tokens, layer.to_q.in_features, generator=torch.Generator().manual_seed(1))
    query, key, value = (f(x).reshape(2, tokens, heads, -1).permute(0, 2, 1, 3) for f in (layer.to_q, layer.to_k, layer.to_v))
    width = query.shape[-1]
    scales = {"plain": width**-0.5, "official": math.sqrt(math.log(tokens) / math.log(4 * tokens) / width)}
    try:
        for variant, scale in scales.items():
            set_attention(model.unet, variant)
            weights = torch.softmax(query @ key.transpose(2, 3) * scale, dim=-1)
            expected = layer.to_out[0]((weights @ value).permute(0, 2, 1, 3).reshape(2, tokens, -1))
            torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)
    finally:
        set_attention(model.unet, "plain")


def test_metric_depth_withstands_wrong_pixels():
    rng = np.random.default_rng(0)
    depth = np.exp(rng.uniform(0, 2, (40, 50)))
    values = ((np.log(depth) - 0.7) / 1.3).astype(np.float32)
    known = rng.random(depth.shape) < 0.2
    measured = np.where(rng.random(depth.shape) < 0.25, depth * 2, depth)
    camera = Cameras(torch.eye(4)[None].double(), torch.tensor([[[50.0, 0, 25], [0, 50, 20], [0, 0, 1]]]).double(), 50, 40)
    found = metric_depth(LogDepth(values, np.full(depth.shape, 0.1, np.float32), (64, 64)), measured, known, camera)
    np.testing.assert_allclose(found.depth, depth, rtol=1e-3)
    assert found.fit.scale == pytest.approx(1.3, rel=1e-3)
    assert found.fit.shift == pytest.approx(0.7, abs=1e-3)
    np.testing.assert_allclose(found.uncertainty, 0.13, rtol=0.02)
    np.testing.assert_allclose(np.linalg.norm(found.normals, axis=-1), 1, atol=1e-5)


def test_known_depth_becomes_two_maps():
    depth, known = np.full((64, 64), 9.0), np.zeros((64, 64), dtype=bool)
    depth[10, 20], depth[40, 20] = 1.0, 4.0
    known[10, 20] = known[40, 20] = True
    encoding = ConditionEncoding((0.5, 8.0), distance_scale=10.0)
    maps = condition_maps(depth, known, (64, 64), encoding).numpy()
    assert maps.shape == (2, 1, 64, 64)
    y = np.arange(64)[:, None]
    nearer = np.where(y < 25, 1.0, 4.0) * np.ones((64, 64))
    expected = 2 * (np.log(nearer) - np.log(0.5)) / (np.log(8) - np.log(0.5)) - 1
    decided = np.broadcast_to(y != 25, expected.shape)  # there both are as near
    np.testing.assert_allclose(maps[0, 0][decided], expected[decided], atol=1e-6)
    x = np.arange(64)[None]
    distance = np.minimum(np.hypot(y - 10, x - 20), np.hypot(y - 40, x - 20))
    np.testing.assert_allclose(maps[1, 0], 2 * distance / (distance + 10) - 1, atol=1e-5)


@given(st.floats(1e-6, 1e6), st.integers(0, 100))
def test_the_condition_does_not_depend_on_the_unit(unit, seed):
    rng = np.random.default_rng(seed)
    depth, known = np.exp(rng.uniform(0, 3, (20, 30))), rng.random((20, 30)) < 0.1
    known[0, 0] = True
    first, second = (condition_maps(depth * scale, known, (64, 64), ConditionEncoding()) for scale in (1.0, unit))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-4)


def test_a_nearly_constant_depth_has_a_range():
    near, far = depth_range(np.full(5, 3.0), ConditionEncoding())
    assert near < 3 < far
    assert normalized_log_depth(np.array([3.0]), (near, far))[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("options", [{"depth_range": (2.0, 1.0)}, {"depth_range": (0.0, 1.0)}, {"distance_scale": 0.0}])
def test_bad_encodings_are_named(options):
    with pytest.raises(InputError, match=next(iter(options))):
        ConditionEncoding(**options)
