"""The feature bank, the sampler and the fills by their equations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from depthlab_samples import SCHEDULER
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import griddata

from scene_depth.depth.depthlab.features import FeatureBank, attend
from scene_depth.depth.depthlab.networks import build_unets, predict_v, reference_features
from scene_depth.depth.depthlab.prediction import tile_weights, windows
from scene_depth.depth.depthlab.preparation import fill_linear
from scene_depth.depth.depthlab.sampler import Conditions, Sampling, sample
from scene_depth.depth.depthlab.schedule import add_noise, ddim_step, noise_schedule, time_steps
from scene_depth.errors import InputError


def random_conditions(model, seed: int, views: int = 1) -> Conditions:
    generator = torch.Generator().manual_seed(seed)
    latents = [torch.randn(views, 4, 8, 12, generator=generator) for _ in range(4)]
    holes = (torch.rand(views, 1, 8, 12, generator=generator) > 0.5).float()
    return Conditions(*latents, holes, torch.randn(views, 1, 12, generator=generator), model.unconditional())


def draws(seed: int, rows: int = 1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, rows, 4, 8, 12, generator=generator)


def run(model, conditions, noise, **options):
    with torch.no_grad():
        return sample(
            model.networks, model.schedule, conditions, noise[0], noise[1], Sampling(**{"num_inference_steps": 3, **options})
        )


def test_reading_attends_to_its_own_and_to_the_stored_tokens(model):
    """n + Attn(Q(n), K([n; n_ref]), V([n; n_ref])), written out."""
    name = "mid_block.attentions.0.transformer_blocks.0"
    attn = model.networks.estimation.get_submodule(f"{name}.attn1")
    torch.manual_seed(1)
    n, stored = torch.randn(2, 5, 16), torch.randn(1, 7, 16)
    bank = FeatureBank(plain_rows=1, features={name: stored})
    with torch.no_grad():
        found = attn.processor(attn, n, bank=bank)
        both = torch.cat([n[1:], stored], dim=1)
        q, k, v = attn.to_q(n[1:]), attn.to_k(both), attn.to_v(both)
        width = 16 // attn.heads
        heads = []
        for head in range(attn.heads):
            part = slice(head * width, (head + 1) * width)
            weights = torch.softmax(q[..., part] @ k[..., part].transpose(1, 2) / width**0.5, dim=-1)
            heads.append(weights @ v[..., part])
        expected = attn.to_out[0](torch.cat(heads, dim=-1))
        plain = attend(attn, n[:1], n[:1])
    assert torch.allclose(found[1:], expected, atol=1e-5)
    assert torch.allclose(found[:1], plain, atol=1e-6)


def test_features_pair_by_name_and_change_the_prediction(model):
    conditions = random_conditions(model, 0)
    with torch.no_grad():
        bank = reference_features(model.networks.reference, conditions.rgb, conditions.context)
        assert len(bank.features) == 10  # 3 down, 1 mid, 6 up
        inputs = torch.cat([conditions.start, conditions.mask, conditions.masked_depth], dim=1)
        blind = model.networks.estimation(inputs, 500, encoder_hidden_states=conditions.context).sample
        seeing = predict_v(model.networks.estimation, inputs, 500, conditions.context, bank)
    assert float((blind - seeing).abs().max()) > 1e-3


def test_calls_in_two_threads_do_not_mix(model):
    conditions = [random_conditions(model, seed) for seed in range(4)]
    noise = [draws(seed) for seed in range(4)]
    alone = [run(model, one, draw) for one, draw in zip(conditions, noise, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            together = list(pool.map(lambda index: run(model, conditions[index], noise[index]), range(4)))
            for found, expected in zip(together, alone, strict=True):
                assert torch.allclose(found, expected, atol=1e-5)
    assert float((alone[0] - alone[1]).abs().max()) > 0.1


def test_a_single_row_is_guidance_of_one(model):
    conditions, noise = random_conditions(model, 2), draws(2)
    single = run(model, conditions, noise)
    double = run(model, conditions, noise, guidance_scale=1 + 1e-9)
    assert torch.allclose(single, double, atol=1e-5)
    assert not torch.allclose(single, run(model, conditions, noise, guidance_scale=3.0), atol=1e-3)
    run(model, replace(conditions, unconditional=None), noise)
    with pytest.raises(InputError, match="guidance_scale"):
        run(model, replace(conditions, unconditional=None), noise, guidance_scale=2.0)


def test_views_and_members_in_a_batch_are_those_alone(model):
    conditions = random_conditions(model, 3, views=2)
    noise = draws(3, rows=4)  # two members of each
    together = run(model, conditions, noise, guidance_scale=2.0)
    for row in range(4):
        view = slice(row // 2, row // 2 + 1)
        names = ("rgb", "mask", "masked_depth", "start", "holes", "context")
        own = replace(conditions, **{name: getattr(conditions, name)[view] for name in names})
        alone = run(model, own, noise[:, row : row + 1], guidance_scale=2.0)
        assert torch.allclose(together[row : row + 1], alone, atol=2e-5)


def test_slices_of_queries_change_nothing(model, official):
    from scene_depth.depth.depthlab import DepthLabModel

    sliced = DepthLabModel.from_pretrained(official, device="cpu", query_slice=5)
    conditions, noise = random_conditions(model, 4), draws(4)
    assert torch.allclose(run(model, conditions, noise), run(sliced, conditions, noise), atol=1e-5)


def test_gradients_reach_the_reference_unet():
    from depthlab_samples import UNET

    torch.manual_seed(0)
    networks = build_unets(UNET, "cpu")
    context = torch.randn(1, 1, 12)
    bank = reference_features(networks.reference, torch.randn(1, 4, 8, 8), context)
    predict_v(networks.estimation, torch.randn(1, 12, 8, 8), 10, context, bank).square().mean().backward()
    reached = networks.reference.get_submodule("mid_block.attentions.0.transformer_blocks.0.norm1").weight.grad
    assert reached is not None
    assert float(reached.abs().max()) > 0


@pytest.mark.parametrize("change", [{"beta_schedule": "cubic"}, {"beta_start": "small"}, {"prediction_type": "epsilon"}])
def test_a_schedule_that_cannot_be_is_refused(change):
    with pytest.raises(InputError, match="scheduler"):
        noise_schedule(SCHEDULER | change)


def test_steps_agree_with_the_scheduler_of_diffusers(model):
    from diffusers import DDIMScheduler

    for spacing, count in (("leading", 7), ("leading", 50), ("trailing", 10), ("trailing", 4)):
        scheduler = DDIMScheduler.from_config(dict(model.schedule.config), timestep_spacing=spacing)
        scheduler.set_timesteps(count)
        pairs = time_steps(model.schedule, count, spacing)
        assert [step for step, _ in pairs] == scheduler.timesteps.tolist()
        latents, v = draws(5)
        for step, following in pairs:
            expected = scheduler.step(v, step, latents).prev_sample
            assert torch.allclose(ddim_step(model.schedule, latents, v, step, following), expected, atol=1e-5)
        assert torch.allclose(
            add_noise(model.schedule, latents, v, pairs[0][0]),
            scheduler.add_noise(latents, v, torch.tensor(pairs[0][0])),
            atol=1e-6,
        )


def test_a_perfect_network_recovers_the_latent_at_any_number_of_steps(model):
    clean, noise = draws(6)
    for count, spacing in ((1, "trailing"), (3, "trailing"), (50, "leading")):
        pairs = time_steps(model.schedule, count, spacing, 0.9 if count > 1 else 1.0)
        latents = add_noise(model.schedule, clean, noise, pairs[0][0])
        for step, following in pairs:
            level = model.schedule.level(step)
            estimated = (latents - level**0.5 * clean) / (1 - level) ** 0.5
            latents = ddim_step(model.schedule, latents, level**0.5 * estimated - (1 - level) ** 0.5 * clean, step, following)
        assert torch.allclose(latents, clean, atol=0.2)  # the last level of this schedule keeps 3 % of noise


def test_strength_leaves_out_the_first_steps(model):
    assert time_steps(model.schedule, 50, "leading", 0.8)[0][0] == 781
    assert len(time_steps(model.schedule, 50, "leading", 0.8)) == 40
    with pytest.raises(InputError, match="strength"):
        time_steps(model.schedule, 4, "trailing", 0.2)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_linear_fills_agree_inside_the_hull(seed, share):
    """On a plane every triangulation gives the plane, so that ties of the triangulation do not matter."""
    rng = np.random.default_rng(seed)
    known = rng.random((14, 17)) < share
    known[rng.integers(14), rng.integers(17)] = True
    y, x = np.mgrid[:14, :17]
    values = 0.3 + 0.02 * x - 0.03 * y
    fast, slow = fill_linear(values, known), fill_linear(values, known, official=True)
    assert np.array_equal(fast[known], values[known])
    assert np.allclose(fast, slow, atol=1e-6)


def test_the_fast_fill_differs_from_the_slow_one_at_ties_alone():
    y, x = np.mgrid[:60, :80]
    values = np.sin(x / 9) + 0.3 * np.cos(y / 7)
    known = ~((np.hypot(x - 40.3, 1.3 * (y - 29.6) + 0.2 * x - 8) < 17.2) | (x - 7.1 * y < -250))
    expected = griddata(np.argwhere(known), values[known], (y, x), method="linear", fill_value=0)
    assert np.abs(fill_linear(values, known) - expected).mean() < 2e-3


@pytest.mark.parametrize(("height", "width"), [(512, 512), (512, 520), (1200, 2000), (64, 3000)])
def test_tiles_cover_everything_with_overlap(height, width):
    places = windows(height, width, 512, 8)
    covered, weight = np.zeros((height, width), int), torch.zeros(height, width)
    for place in places:
        assert place.top % 8 == place.left % 8 == 0
        assert max(place.height, place.width) <= 512
        covered[place.slices] += 1
        weight[place.slices] += tile_weights(place, height, width)
    assert covered.min() >= 1
    assert float(weight.min()) > 0
    ends = sorted({(place.left, place.left + place.width) for place in places})
    assert all(before[1] - after[0] >= 100 for before, after in pairwise(ends))
