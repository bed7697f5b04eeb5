"""Frozen beside changing splats: the same as a copy of both, in rows, gradients and renders, at every step."""

from __future__ import annotations

from dataclasses import replace

import torch
from fit_scenes import blobs, ring_cameras

from scene_depth.fitting.frozen import FrozenByView, FrozenNeighbours, join_frozen
from scene_depth.rendering import render
from scene_depth.splats import PARAMETERS, GaussianSplats


def leaves(splats: GaussianSplats) -> GaussianSplats:
    return splats.map(lambda values: values.clone().requires_grad_())


def test_join_is_a_copy_of_both_whatever_changes() -> None:
    frozen = blobs(30, seed=1).with_sh_degree(2)
    before = frozen.sha256()
    neighbours = FrozenNeighbours(frozen)
    counts_and_degrees = [(5, 0), (5, 0), (5, 1), (8, 1), (3, 3), (3, 3), (3, 1)]
    for step, (count, degree) in enumerate(counts_and_degrees):
        changing = blobs(count, seed=10 + step).with_sh_degree(degree)
        joined, expected = neighbours.join(leaves(changing)), join_frozen(frozen, changing)
        assert joined.sh_degree >= expected.sh_degree
        assert joined.with_sh_degree(expected.sh_degree).detach().sha256() == expected.sha256()
    assert frozen.sha256() == before


def test_gradients_are_those_of_a_copy() -> None:
    frozen, changing, camera = blobs(30, seed=1), blobs(6, seed=2), ring_cameras(3, 40, 30)[1]
    neighbours = FrozenNeighbours(frozen)
    neighbours.join(leaves(changing))
    one, two = leaves(changing), leaves(changing)
    render(neighbours.join(one), camera).rgb.square().sum().backward()
    render(join_frozen(frozen, two), camera).rgb.square().sum().backward()
    for name in PARAMETERS:
        gradient = getattr(one, name).grad
        assert gradient is not None
        assert bool(gradient.abs().sum() > 0)
        assert torch.equal(gradient, getattr(two, name).grad)
    assert all(getattr(frozen, name).grad is None for name in PARAMETERS)


def test_memory_is_kept_while_sizes_stay() -> None:
    neighbours = FrozenNeighbours(blobs(30))
    first = neighbours.join(leaves(blobs(4, seed=3)))
    second = neighbours.join(leaves(blobs(4, seed=4)))
    assert first.sh.data_ptr() == second.sh.data_ptr()
    assert neighbours.join(leaves(blobs(5, seed=4))).sh.data_ptr() != second.sh.data_ptr()


def test_frozen_splats_out_of_sight_change_neither_picture_nor_gradients() -> None:
    frozen, changing = blobs(400, seed=1), blobs(6, seed=2)
    frozen = replace(frozen, log_scales=frozen.log_scales - 2)
    cameras = [camera.cropped(14, 10, 12, 10) for camera in ring_cameras(3, 40, 30)]
    for cache_bytes in (0, 1 << 20):
        by_view = FrozenByView(frozen, cache_bytes)
        for view, camera in [*enumerate(cameras), *enumerate(cameras)]:
            one, two = leaves(changing), leaves(changing)
            joined = by_view.join(one, view, camera)
            assert len(changing) < len(joined) < len(frozen)
            image, whole = render(joined, camera), render(join_frozen(frozen, two), camera)
            assert torch.equal(image.rgb, whole.rgb)
            assert torch.equal(image.depth, whole.depth)
            (image.rgb.square().sum() + image.depth.sum()).backward()
            (whole.rgb.square().sum() + whole.depth.sum()).backward()
            for name in PARAMETERS:
                assert torch.equal(getattr(one, name).grad, getattr(two, name).grad), name


def test_frozen_splats_have_the_colours_that_a_view_sees() -> None:
    camera, changing = ring_cameras(3, 40, 30)[1], blobs(6, seed=2)
    frozen = blobs(60, seed=1).with_sh_degree(3)
    frozen = replace(frozen, sh=frozen.sh + 0.1 * torch.randn(frozen.sh.shape, generator=torch.Generator().manual_seed(0)))
    one, two = leaves(changing), leaves(changing)
    joined = FrozenByView(frozen, 1 << 20).join(one, 0, camera)
    assert joined.sh_degree == 0
    image, whole = render(joined, camera), render(join_frozen(frozen, two), camera)
    assert torch.allclose(image.rgb, whole.rgb, atol=1e-6)
    assert torch.equal(image.depth, whole.depth)
    image.rgb.square().sum().backward()
    whole.rgb.square().sum().backward()
    for name in PARAMETERS:
        assert torch.allclose(getattr(one, name).grad, getattr(two, name).grad, rtol=1e-4, atol=1e-4), name
