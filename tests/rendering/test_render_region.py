"""A part of the picture is drawn with the bits that the whole has there, forward and backward."""

from __future__ import annotations

import pytest
import torch

from benchmarks.rasterizer_scenes import pinhole, random_splats
from scene_depth.errors import InputError
from scene_depth.rendering import Region, blending_weights, blending_weights_by_mask, render
from scene_depth.rendering.bounds import bounding_region, footprint_bounds, touching_splats
from scene_depth.splats import PARAMETERS

SIZE = (150, 110)
REGIONS: list[Region] = [(0, 0, 150, 110), (32, 64, 96, 96), (40, 33, 71, 109), (149, 109, 150, 110), (1, 0, 2, 1)]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("antialiased", [False, True])
def test_a_region_has_the_bits_of_the_whole(region: Region, antialiased: bool) -> None:
    splats, camera = random_splats(1500, seed=3), pinhole(*SIZE, fx=90, fy=95)
    left, top, right, bottom = region
    background = torch.tensor([0.2, 0.4, 0.6])
    whole = render(splats, camera, antialiased=antialiased, median_depth=True, background=background)
    part = render(splats, camera, antialiased=antialiased, median_depth=True, background=background, region=region)
    for name in ("rgb", "alpha", "depth", "depth_valid", "median_depth", "median_valid"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[:, top:bottom, left:right]), name
    drawn = part.radii > 0
    assert torch.equal(part.radii[drawn], whole.radii[drawn])


@pytest.mark.parametrize("region", REGIONS[1:3])
def test_gradients_of_a_region_have_the_bits_of_those_of_the_whole(region: Region) -> None:
    camera = pinhole(*SIZE, fx=90, fy=95)
    left, top, right, bottom = region
    weights = torch.rand(1, bottom - top, right - left, 5, generator=torch.Generator().manual_seed(0))
    gradients = []
    for drawn in (None, region):
        splats = random_splats(1500, seed=3).map(lambda values: values.clone().requires_grad_())
        probe = torch.zeros(1, len(splats), 2, requires_grad=True)
        image = render(splats, camera, region=drawn, means2d=probe, absgrad=True)
        inside = (slice(None), slice(top, bottom), slice(left, right)) if drawn is None else ...
        maps = torch.cat([image.rgb[inside], image.alpha[inside][..., None], image.depth[inside][..., None]], dim=-1)
        (maps * weights).sum().backward()
        gradients.append([getattr(splats, name).grad for name in PARAMETERS] + [probe.grad, vars(probe)["absgrad"]])
    assert all(bool(values.any()) for values in gradients[0])
    for of_whole, of_part in zip(*gradients, strict=True):
        assert torch.equal(of_whole, of_part)


def test_splats_that_do_not_reach_a_region_can_be_left_out() -> None:
    splats, camera, region = random_splats(1500, seed=3), pinhole(*SIZE, fx=90, fy=95), REGIONS[1]
    part = render(splats, camera, region=region)
    reaching = part.radii[0] > 0
    assert 0 < int(reaching.sum()) < len(splats)
    some = render(splats.select(reaching), camera, region=region)
    for name in ("rgb", "alpha", "depth"):
        assert torch.equal(getattr(some, name), getattr(part, name)), name


@pytest.mark.parametrize("antialiased", [False, True])
def test_bounds_hold_all_that_is_drawn_and_not_much_more(antialiased: bool) -> None:
    camera = pinhole(*SIZE, fx=90, fy=95)
    for seed in range(3):
        splats = random_splats(1500, seed=seed)
        bounds = footprint_bounds(splats, camera)
        for region in REGIONS:
            part, held = render(splats, camera, antialiased=antialiased, region=region), touching_splats(bounds, region)
            some = render(splats.select(held), camera, antialiased=antialiased, region=region)
            for name in ("rgb", "alpha", "depth"):
                assert torch.equal(getattr(some, name), getattr(part, name)), name
            assert int(held.sum()) < int((part.radii > 0).sum()) + 0.2 * len(splats)
    one = splats.select(render(splats, camera).radii[0].topk(20).indices[10:11])
    region = bounding_region(footprint_bounds(one, camera), camera)
    assert region is not None
    left, top, right, bottom = region
    alpha = render(one, camera).alpha[0]
    inside = alpha[top:bottom, left:right].sum()
    assert float(inside) == pytest.approx(float(alpha.sum()))
    assert bounding_region(footprint_bounds(splats.select(slice(0, 0)), camera), camera) is None


def test_weights_in_several_masks_are_those_of_one_mask_at_a_time() -> None:
    splats, camera, region = random_splats(1500, seed=3), pinhole(*SIZE, fx=90, fy=95), REGIONS[2]
    masks = torch.rand(4, SIZE[1], SIZE[0], generator=torch.Generator().manual_seed(1)) < 0.4
    together = blending_weights_by_mask(splats, camera, masks)
    assert all(torch.equal(together[i], blending_weights(splats, camera, masks[i : i + 1])[0]) for i in range(4))
    left, top, right, bottom = region
    window = torch.zeros_like(masks)
    window[:, top:bottom, left:right] = masks[:, top:bottom, left:right]
    inside = blending_weights_by_mask(splats, camera, masks[:, top:bottom, left:right], region=region)
    assert torch.equal(inside, blending_weights_by_mask(splats, camera, window))


@pytest.mark.parametrize("region", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 151, 5), (5, 5, 4, 9)])
def test_a_region_outside_the_picture_is_named(region: Region) -> None:
    with pytest.raises(InputError, match="region"):
        render(random_splats(10, seed=0), pinhole(*SIZE, fx=90, fy=95), region=region)
