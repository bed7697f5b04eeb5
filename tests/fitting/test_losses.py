"""The fused loss against a plain dense-window formula in float64, its gradient against autograd, and its borders."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.fitting.losses import depth_loss, l1_ssim_in_torch, opacity_and_scale_penalty, photometric_loss, ssim_map


def pictures(shape: tuple[int, int, int], seed: int = 0, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(*shape, 3, generator=generator)
    return (target + noise * torch.randn(*shape, 3, generator=generator)).requires_grad_(), target


def dense_ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM by one 11 x 11 window a channel, written without any code of the package  # [C, H, W, 3]"""
    offsets = torch.arange(-5, 6, dtype=x.dtype)
    line = torch.exp(-(offsets**2) / 4.5)
    window = (line[:, None] * line / line.sum() ** 2).expand(3, 1, 11, 11)

    def blur(values: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(values.permute(0, 3, 1, 2), window, padding=5, groups=3).permute(0, 2, 3, 1)

    u, v = blur(x), blur(y)
    variance_x, variance_y, covariance = blur(x * x) - u**2, blur(y * y) - v**2, blur(x * y) - u * v
    return (2 * u * v + 1e-4) * (2 * covariance + 9e-4) / ((u**2 + v**2 + 1e-4) * (variance_x + variance_y + 9e-4))


def loss_and_gradient(rendered: Tensor, target: Tensor, **options: object) -> tuple[float, Tensor]:
    leaf = rendered.detach().clone().requires_grad_()
    loss = photometric_loss(leaf, target, **options)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.item(), gradient


@settings(max_examples=12)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    ssim_weight=st.sampled_from([0.0, 0.2, 1.0]),
    noise=st.sampled_from([0.02, 0.3]),
)
def test_fused_loss_matches_dense_float64(height: int, width: int, ssim_weight: float, noise: float) -> None:
    rendered, target = pictures((2, height, width), seed=height * 41 + width, noise=noise)
    x, y = rendered.detach().double().requires_grad_(), target.double()
    expected = (1 - ssim_weight) * (x - y).abs().mean() + ssim_weight * (1 - dense_ssim(x, y).mean())
    (expected_gradient,) = torch.autograd.grad(expected, x)
    loss, gradient = loss_and_gradient(rendered, target, ssim_weight=ssim_weight)
    assert loss == pytest.approx(expected.item(), rel=2e-5, abs=1e-6)
    assert (gradient - expected_gradient).abs().max() <= 2e-4 * expected_gradient.abs().max()


def test_torch_path_matches_dense_window_and_finite_differences() -> None:
    rendered, target = (values.detach().double() for values in pictures((1, 9, 8)))
    assert torch.allclose(ssim_map(rendered, target), dense_ssim(rendered, target), atol=1e-12)
    weight = (torch.arange(72).reshape(1, 9, 8) % 3 > 0).double()
    rendered.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: l1_ssim_in_torch(x, target, weight=weight, ssim_weight=0.3), rendered)


def test_masked_kernel_matches_torch_and_ignores_what_is_masked() -> None:
    rendered, target = pictures((2, 30, 25))
    weight = torch.rand(2, 30, 25, generator=torch.Generator().manual_seed(1)) > 0.4
    x = rendered.detach().double().requires_grad_()
    expected = l1_ssim_in_torch(x, target.double(), weight=weight.double(), ssim_weight=0.2)
    (expected_gradient,) = torch.autograd.grad(expected, x)
    loss, gradient = loss_and_gradient(rendered, target, weight=weight, ssim_weight=0.2)
    assert loss == pytest.approx(expected.item(), rel=2e-5)
    assert (gradient - expected_gradient).abs().max() <= 2e-4 * expected_gradient.abs().max()
    assert bool((gradient[~weight] == 0).all())
    vandalised = [torch.where(weight[..., None], values.detach(), torch.full_like(values, 7.0)) for values in (rendered, target)]
    again, gradient_again = loss_and_gradient(*vandalised, weight=weight)
    assert again == loss
    assert torch.equal(gradient_again, gradient)


def test_nothing_counts_gives_zero() -> None:
    rendered, target = pictures((1, 6, 6))
    for leaf in (rendered, rendered.double()):
        loss, gradient = loss_and_gradient(leaf, target.to(leaf.dtype), weight=torch.zeros(1, 6, 6))
        assert loss == 0
        assert bool((gradient == 0).all())


def test_same_bits_for_any_number_of_threads() -> None:
    rendered, target = pictures((2, 123, 77))
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            results.append(loss_and_gradient(rendered, target))
    finally:
        torch.set_num_threads(threads)
    assert all(loss == results[0][0] and torch.equal(gradient, results[0][1]) for loss, gradient in results)


def test_outer_gradient_and_strided_input() -> None:
    rendered, target = pictures((1, 12, 20))
    _, gradient = loss_and_gradient(rendered, target)
    leaf = rendered.detach().transpose(1, 2).contiguous().requires_grad_()
    (3 * photometric_loss(leaf.transpose(1, 2), target)).backward()
    assert leaf.grad is not None
    assert torch.allclose(leaf.grad.transpose(1, 2), 3 * gradient)


def test_equal_pictures_cost_nothing() -> None:
    _, target = pictures((1, 20, 20))
    loss, gradient = loss_and_gradient(target, target)
    assert abs(loss) < 1e-6
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("rendered", "target", "weight", "field"),
    [
        (torch.zeros(1, 4, 4, 3), torch.zeros(1, 4, 5, 3), None, "target"),
        (torch.zeros(4, 4, 3), torch.zeros(4, 4, 3), None, "target"),
        (torch.zeros(1, 4, 4, 3), torch.zeros(1, 4, 4, 3), torch.zeros(1, 4, 3), "weight"),
    ],
)
def test_shapes_are_checked(rendered: Tensor, target: Tensor, weight: Tensor | None, field: str) -> None:
    with pytest.raises(InputError, match=field):
        photometric_loss(rendered, target, weight=weight)


def test_depth_loss_counts_known_pixels_only_and_is_unit_free() -> None:
    depth = torch.tensor([[[1.0, 2.0, 5.0]]], requires_grad=True)
    target, known = torch.tensor([[[2.0, 2.5, float("nan")]]]), torch.tensor([[[True, True, False]]])
    loss = depth_loss(depth, target, known, unit=2.0)
    loss.backward()
    assert loss.item() == pytest.approx((1.0 + 0.5) / 2 / 2)
    assert depth.grad is not None
    assert depth.grad.tolist() == [[[-0.25, -0.25, 0.0]]]
    assert depth_loss(depth, target, torch.zeros_like(known)).item() == 0
    assert depth_loss(1000 * depth, 1000 * target, known, unit=2000.0).item() == pytest.approx(loss.item())


def test_penalties_are_means_of_activations() -> None:
    logits, log_scales = torch.tensor([0.0, 100.0]), torch.log(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]))
    penalty = opacity_and_scale_penalty(logits, log_scales, opacity_weight=2.0, scale_weight=0.5, unit=2.0)
    assert penalty.item() == pytest.approx(2.0 * 0.75 + 0.25 * 4.0)


def test_depth_loss_weighs_pixels() -> None:
    depth, target = torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[1.5, 4.0, 1.0]]])
    known = torch.tensor([[[True, True, False]]])
    loss = depth_loss(depth, target, known, weight=torch.tensor([[[1.0, 3.0, 5.0]]]))
    assert loss.item() == pytest.approx((0.5 + 3 * 2.0) / 4)
    assert depth_loss(depth, target, known, weight=torch.tensor([[[1.0, 0.0, 5.0]]])).item() == pytest.approx(0.5)
    assert depth_loss(depth, target, known, weight=torch.zeros(1, 1, 3)).item() == 0
