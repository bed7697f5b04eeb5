"""Gradients against finite differences, sums over pixels and autograd, without gsplat."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.rasterizer_accuracy import with_gradients
from benchmarks.rasterizer_scenes import pinhole, random_splats
from scene_depth.cameras import Cameras
from scene_depth.rendering import render
from scene_depth.splats import PARAMETERS, GaussianSplats


def broad_splats(count: int) -> GaussianSplats:
    """Faint splats that all cover the whole image well above 1/255, so that the image is a smooth function of them."""
    splats = random_splats(count, seed=9)
    generator = torch.Generator().manual_seed(10)
    log_scales = torch.log(splats.means[:, 2:] * 0.5) + 0.2 * torch.randn(count, 3, generator=generator)
    means = splats.means * torch.tensor([0.3, 0.3, 1.0])
    return GaussianSplats(means, splats.quats, log_scales, 0.1 * splats.logit_opacities - 1.5, 0.5 * splats.sh)


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("name", [*PARAMETERS, "poses"])
def test_finite_differences(name: str, antialiased: bool) -> None:
    splats, cameras = with_gradients(broad_splats(20), pinhole(40, 31, fx=45, fy=38, cx=17, cy=18), torch.float32)
    generator = torch.Generator().manual_seed(11)
    weights = torch.randn(1, 31, 40, 5, generator=generator, dtype=torch.float64)

    def loss(splats: GaussianSplats, cameras: Cameras) -> Tensor:
        drawn = render(splats, cameras, antialiased=antialiased)
        stacked = torch.cat([drawn.rgb, drawn.alpha[..., None], drawn.depth[..., None]], dim=-1)
        return (stacked.double() * weights).sum()

    loss(splats, cameras).backward()
    leaf = cameras.camera_to_world if name == "poses" else getattr(splats, name)
    direction = leaf.grad.clone() / leaf.grad.norm()
    if name == "poses":  # along a motion, as other changes of the matrix do not leave it rigid
        turn = torch.tensor([[0.0, -0.3, 0.5], [0.3, 0.0, -0.4], [-0.5, 0.4, 0.0]], dtype=torch.float64)
        direction = torch.zeros_like(leaf)
        direction[0, :3, :3], direction[0, :3, 3] = turn, torch.tensor([0.5, -0.6, 0.7], dtype=torch.float64)
    step = 1e-3 if name == "poses" else 1e-2
    values = []
    with torch.no_grad():
        for sign in (1, -1):
            moved = leaf + sign * step * direction
            if name == "poses":
                moved = leaf.clone()
                moved[0, :3, :3] = leaf[0, :3, :3] @ torch.linalg.matrix_exp(sign * step * direction[0, :3, :3])
                moved[0, :3, 3] += sign * step * direction[0, :3, 3]
                values.append(loss(splats, Cameras(moved, cameras.K, cameras.width, cameras.height)))
            else:
                changed = {other: getattr(splats, other) for other in PARAMETERS} | {name: moved}
                values.append(loss(GaussianSplats(**changed), cameras))
    measured = (values[0] - values[1]) / (2 * step)
    if name == "poses":
        direction[0, :3, :3] = leaf.detach()[0, :3, :3] @ direction[0, :3, :3]
    torch.testing.assert_close(measured, (leaf.grad.double() * direction.double()).sum(), rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize("antialiased", [False, True])
def test_gradients_of_the_intrinsics(antialiased: bool) -> None:
    """Focal lengths against finite differences, the principal point against the sums over the projected means."""
    pose = torch.eye(4, dtype=torch.float64)[None]
    turn = torch.tensor([[0.0, -0.1, 0.05], [0.1, 0, 0.08], [-0.05, -0.08, 0]], dtype=torch.float64)
    pose[0, :3, :3] = torch.linalg.matrix_exp(turn)
    splats, cameras = broad_splats(20), replace(pinhole(40, 31, fx=45, fy=38, cx=17, cy=18), camera_to_world=pose)
    weights = torch.randn(1, 31, 40, 5, generator=torch.Generator().manual_seed(11), dtype=torch.float64)
    probe = torch.zeros(1, 20, 2, requires_grad=True)

    def loss(K: Tensor) -> Tensor:
        drawn = render(splats, replace(cameras, K=K), antialiased=antialiased, means2d=probe)
        stacked = torch.cat([drawn.rgb, drawn.alpha[..., None], drawn.depth[..., None]], dim=-1)
        return (stacked.double() * weights).sum()

    K = cameras.K.double().clone().requires_grad_()
    value = loss(K)
    value.backward()
    assert K.grad is not None
    assert probe.grad is not None
    torch.testing.assert_close(K.grad[0, :2, 2], probe.grad[0].sum(0).double(), rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        assert value.item() == loss(K.detach()).item()  # a gradient that is asked for changes no bit of the image
        for axis in (0, 1):
            change = torch.zeros_like(K)
            change[0, axis, axis] = 0.05
            measured = (loss(K + change) - loss(K - change)) / 0.1
            torch.testing.assert_close(measured, K.grad[0, axis, axis], rtol=5e-3, atol=1e-3)


def test_gradient_of_the_projected_means() -> None:
    """Moving the principal point moves all projected means of a depth-independent image by the same amount."""
    splats, cameras = broad_splats(15), pinhole(36, 28, fx=40, fy=40)
    probe = torch.zeros(1, 15, 2, requires_grad=True)
    weights = torch.randn(1, 28, 36, 3, generator=torch.Generator().manual_seed(1))
    drawn = render(splats, cameras, means2d=probe)
    (drawn.rgb * weights).sum().backward()
    assert drawn.means2d is probe
    step = 0.05
    for axis in range(2):
        values = []
        for sign in (1, -1):
            K = cameras.K.clone()
            K[0, axis, 2] += sign * step
            shifted = render(splats, Cameras(cameras.camera_to_world, K, 36, 28))
            values.append((shifted.rgb.double() * weights).sum())
        measured = (values[0] - values[1]) / (2 * step)
        torch.testing.assert_close(measured, probe.grad[0, :, axis].double().sum(), rtol=1e-2, atol=1e-3)


def test_absolute_gradients_are_sums_over_pixels() -> None:
    """absgrad against the gradient of every pixel by itself."""
    splats, one = random_splats(12, seed=3), pinhole(14, 11, fx=14, fy=12)
    weights = torch.randn(11, 14, 3, generator=torch.Generator().manual_seed(2))
    probe = torch.zeros(1, 12, 2, requires_grad=True)
    (render(splats, one, means2d=probe, absgrad=True).rgb[0] * weights).sum().backward()
    expected, signed = torch.zeros(12, 2), torch.zeros(12, 2)
    for row in range(11):
        for column in range(14):
            single = torch.zeros(1, 12, 2, requires_grad=True)
            (render(splats, one, means2d=single).rgb[0, row, column] * weights[row, column]).sum().backward()
            expected += single.grad[0].abs()
            signed += single.grad[0]
    torch.testing.assert_close(probe.absgrad[0], expected, rtol=1e-3, atol=1e-4)  # type: ignore[attr-defined]
    torch.testing.assert_close(probe.grad[0], signed, rtol=1e-3, atol=1e-4)


def test_gradients_of_the_projected_means_add_up_over_calls() -> None:
    splats, cameras = random_splats(30), pinhole(20, 20, fx=20, fy=20)
    probe = torch.zeros(1, 30, 2, requires_grad=True)
    for _ in range(2):
        render(splats, cameras, means2d=probe).rgb.sum().backward()
    once = torch.zeros(1, 30, 2, requires_grad=True)
    render(splats, cameras, means2d=once).rgb.sum().backward()
    torch.testing.assert_close(probe.grad, 2 * once.grad)


def test_several_cameras_are_the_sum_of_single_ones() -> None:
    splats = random_splats(203, seed=8)
    poses = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, 0.5, -0.7])
    K = pinhole(50, 40, fx=40, fy=45).K.expand(3, 3, 3)
    together = splats.map(lambda values: values.clone().requires_grad_())
    render(together, Cameras(poses, K, 50, 40)).rgb.square().sum().backward()
    apart = splats.map(lambda values: values.clone().requires_grad_())
    for index in range(3):
        render(apart, Cameras(poses[index : index + 1], K[:1], 50, 40)).rgb.square().sum().backward()
    for name in PARAMETERS:
        torch.testing.assert_close(getattr(together, name).grad, getattr(apart, name).grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("image", ["rgb", "alpha", "depth"])
def test_a_loss_on_one_image_only(image: str) -> None:
    splats, cameras = with_gradients(random_splats(90), pinhole(33, 33, fx=30, fy=30), torch.float32)
    drawn = render(splats, cameras)
    getattr(drawn, image).sum().backward()
    whole, views = with_gradients(splats, cameras, torch.float32)
    again = render(whole, views)
    weights = {name: float(name == image) for name in ("rgb", "alpha", "depth")}
    sum(weights[name] * getattr(again, name).sum() for name in weights).backward()  # type: ignore[union-attr]
    for name in PARAMETERS:
        torch.testing.assert_close(getattr(splats, name).grad, getattr(whole, name).grad)


def test_a_saturated_pixel_gives_no_gradient_to_its_opacity() -> None:
    """Beyond an alpha of 0.999 the clamp holds."""
    splats = random_splats(1, degree=0)
    opaque = GaussianSplats(
        torch.tensor([[0.0, 0.0, 2.0]]), splats.quats, torch.full((1, 3), 5.0), torch.tensor([12.0]), splats.sh
    ).map(lambda values: values.requires_grad_())
    drawn = render(opaque, pinhole(16, 16, fx=20, fy=20))
    assert torch.allclose(drawn.alpha, torch.tensor(0.999))
    drawn.rgb.sum().backward()
    assert opaque.logit_opacities.grad.item() == 0
    assert opaque.sh.grad.abs().sum() > 0


def test_parameters_changed_before_the_backward_pass_are_noticed() -> None:
    splats, cameras = with_gradients(random_splats(20), pinhole(16, 16, fx=16, fy=16), torch.float32)
    drawn = render(splats, cameras)
    with torch.no_grad():
        splats.means.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        drawn.rgb.sum().backward()


def test_without_gradients_nothing_is_kept() -> None:
    splats, cameras = with_gradients(random_splats(20), pinhole(16, 16, fx=16, fy=16), torch.float32)
    with torch.no_grad():
        assert not render(splats, cameras).rgb.requires_grad
    assert not render(splats.detach(), pinhole(16, 16, fx=16, fy=16)).rgb.requires_grad


@pytest.mark.parametrize("name", ["alpha", "depth"])
def test_a_change_in_place_of_what_the_backward_pass_reads_is_noticed(name: str) -> None:
    splats, cameras = with_gradients(random_splats(20), pinhole(16, 16, fx=16, fy=16), torch.float32)
    drawn = render(splats, cameras)
    getattr(drawn, name).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        drawn.rgb.sum().backward()


def test_depth_gradients_of_a_faint_pixel() -> None:
    """A pixel that one splat covers has its depth whatever the alpha, so that only the depth's own gradient is left."""
    splats, cameras = with_gradients(random_splats(1).map(lambda values: 0 * values), pinhole(1, 1, fx=1, fy=1), torch.float32)
    with torch.no_grad():
        splats.means[0, 2], splats.quats[0, 0], splats.logit_opacities[0] = 3.7, 1.0, -4.6
    render(splats, cameras).depth.sum().backward()
    assert torch.allclose(splats.means.grad, torch.tensor([[0.0, 0.0, 1.0]]), atol=1e-5)
    for name in ("log_scales", "logit_opacities"):
        assert getattr(splats, name).grad.abs().max() < 1e-6
