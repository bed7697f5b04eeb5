"""The network's structure against the equations of the paper (there is no other implementation to compare with)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from scene_depth.depth.auxiliary.losses import LossConfig, auxiliary_loss, gray_image
from scene_depth.depth.auxiliary.network import KERNELS, AuxiliaryNetwork, NetworkConfig
from scene_depth.errors import InputError

SMALL = NetworkConfig(width=2, norm="group", depth_scale=10.0)
UNIT = torch.ones(1, 1, 1, 1)


def network(**changes) -> AuxiliaryNetwork:
    torch.manual_seed(0)
    return AuxiliaryNetwork(replace(SMALL, **changes)).eval()


def sparse(height: int = 32, width: int = 48, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    depth = 1 + 9 * torch.rand(batch, 1, height, width, generator=generator)
    return torch.where(torch.rand(depth.shape, generator=generator) < 0.1, depth, 0)


def test_the_encoder_has_four_parallel_kernels_that_end_at_a_sixteenth() -> None:
    net = network()
    kernels = [{layer[0].kernel_size for layer in branch} for branch in net.encoder]
    assert kernels == [{(kernel, kernel)} for kernel in (3, 5, 7, 9)]
    assert all(branch(sparse()).shape == (1, 16, 2, 3) for branch in net.encoder)
    f0 = torch.cat([branch(sparse()) for branch in net.encoder], dim=1)
    assert f0.shape[1] == 32 * SMALL.width == len(KERNELS) * 16


def test_features_follow_equations_8_to_11() -> None:
    """Written out once more, without loops and with the modules' own layers as Φ."""
    net = network()
    d, r, s = net.depth_branch, net.image_branch, net.sharing_branch
    assert r is not None
    assert s is not None
    assert len(d) == len(r) == 4
    assert len(s) == 3
    f0 = torch.randn(2, 64, 2, 3)
    f_d1, f_r1 = d[0](f0), r[0](f0)
    f_s1 = f_r1 + f_d1
    f_d2, f_r2 = d[1](f_d1), r[1](f_r1)
    f_s2 = f_r2 + f_d2 + s[0](f_s1)
    f_d3, f_r3 = d[2](f_d2), r[2](f_r2)
    f_s3 = f_r3 + f_d3 + s[1](f_s2)
    f_d4, f_r4, f_s4 = d[3](f_d3), r[3](f_r3), s[2](f_s3)
    to_depth, to_image = net.features(f0)
    assert torch.equal(to_depth, torch.cat([f_d4, f_s4], dim=1))
    assert to_image is not None
    assert torch.equal(to_image, torch.cat([f_r4, f_s4], dim=1))
    sizes = [tuple(f.shape[-2:]) for f in (f_d1, f_d2, f_d3, f_d4)]
    assert sizes == [(4, 6), (8, 12), (16, 24), (16, 24)]  # 1/8, 1/4, 1/2, 1/2
    for branch in (d, r, s):
        kinds = [type(layer[0]).__name__ for layer in branch]
        assert kinds[:-1] == ["ConvTranspose2d"] * (len(branch) - 1)
        assert kinds[-1] == "Conv2d"


@pytest.mark.parametrize(("variant", "reaches"), [("B", None), ("B+I", False), ("B+I+S", True)])
def test_gradients_go_where_the_variant_says(variant: str, reaches: bool | None) -> None:
    """The image loss trains the shared encoder; it trains what the depth sees only where branches share."""
    net = network(variant=variant)
    output = net(sparse())
    if reaches is None:
        assert output.image is None
        assert net.image_branch is None
        return
    assert output.image is not None
    (output.image - 1).square().mean().backward()
    gradient = [parameter.grad for parameter in net.encoder.parameters()]
    assert all(value is not None and value.abs().sum() > 0 for value in gradient)
    on_depth = [parameter.grad is not None for parameter in net.depth_branch[0].parameters()]
    assert all(on_depth) if reaches else not any(on_depth)
    assert all(parameter.grad is None for parameter in net.depth_decoder.parameters())
    net.zero_grad()
    net(sparse()).depth.mean().backward()
    assert net.image_branch is not None
    on_image = [parameter.grad is not None for parameter in net.image_branch[0].parameters()]
    assert all(on_image) if reaches else not any(on_image)


@pytest.mark.parametrize("variant", ["B", "B+I", "B+I+S"])
def test_without_its_image_the_depth_stays_the_same(variant: str) -> None:
    net = network(variant=variant)
    lean = net.without_image()
    assert lean.image_decoder is None
    assert (lean.image_branch is None) == (variant != "B+I+S")
    assert torch.equal(net(sparse()).depth, lean(sparse()).depth)
    assert lean(sparse()).image is None
    if variant != "B":
        assert sum(p.numel() for p in lean.parameters()) < sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (5, 100), (1, 1)])
def test_sizes_are_padded_and_cropped(size: tuple[int, int]) -> None:
    net, depth = network(), sparse(*size)
    output = net(depth)
    assert output.depth.shape == depth.shape
    padded = F.pad(depth, (0, -size[1] % 16, 0, -size[0] % 16))
    assert torch.allclose(output.depth, net(padded).depth[..., : size[0], : size[1]], rtol=1e-6)
    assert (output.depth > 0).all()


def test_relative_depth_does_not_depend_on_the_unit() -> None:
    net, depth = network(relative=True, uncertainty=True), sparse(batch=2)
    factors = torch.tensor([1000.0, 0.01]).view(2, 1, 1, 1)
    metres, scaled = net(depth), net(depth * factors)
    assert torch.allclose(scaled.depth, metres.depth * factors, rtol=1e-4)
    assert torch.allclose(scaled.error, metres.error * factors, rtol=1e-4)
    assert not torch.allclose(network()(1000 * depth).depth, 1000 * network()(depth).depth, rtol=0.1)


def test_losses_count_pixels_with_truth_and_the_stated_range() -> None:
    with torch.no_grad():
        output = network(uncertainty=True)(sparse())
    truth = torch.where(torch.rand(output.depth.shape) < 0.5, torch.rand(output.depth.shape) * 5 + 1, 0)
    gray = torch.rand(output.depth.shape)
    assert output.image is not None
    assert output.error is not None
    valid = truth > 0
    error = (output.depth - truth)[valid]
    for kind, expected in (("l2", error.square().mean()), ("l1", error.abs().mean())):
        config = LossConfig(depth=kind, image_weight=1e-4, image_range=255.0)
        parts = auxiliary_loss(output, truth, gray, UNIT, config)
        assert float(parts["depth"]) == pytest.approx(float(expected), rel=1e-5)
        image = (255 * (output.image - gray)).square().mean()
        assert float(parts["image"]) == pytest.approx(float(image), rel=1e-5)
        likelihood = (error.abs() / output.error[valid] + output.error[valid].log()).mean()
        assert float(parts["error"]) == pytest.approx(float(likelihood), rel=1e-5)
        assert float(parts["loss"]) == pytest.approx(float(expected + 1e-4 * image + likelihood), rel=1e-5)


def test_the_learnt_uncertainty_leaves_the_depth_alone() -> None:
    output = network(uncertainty=True)(sparse())
    depth = output.depth.detach().requires_grad_()
    parts = auxiliary_loss(replace(output, depth=depth, image=None), torch.ones_like(depth), None, UNIT, LossConfig())
    parts["error"].backward()
    assert depth.grad is None or not depth.grad.any()


def test_the_loss_of_a_batch_without_truth_is_zero() -> None:
    output = network(variant="B")(sparse())
    loss = auxiliary_loss(output, torch.zeros_like(output.depth), None, UNIT, LossConfig())["loss"]
    loss.backward()
    assert float(loss) == 0


def test_grey_values_are_those_of_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    rgb = torch.rand(1, 3, 4, 5)
    expected = cv2.cvtColor(rgb[0].permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
    assert torch.allclose(gray_image(rgb)[0, 0], torch.from_numpy(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"), [("variant", "S"), ("norm", "layer"), ("width", 0), ("depth_scale", 0.0), ("depth_scale", float("nan"))]
)
def test_shapes_that_cannot_be_are_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        NetworkConfig(**{name: value})
