"""The CUDA path: what it hands to gsplat and makes of the answer, with gsplat's torch reference in gsplat's place.

On a CUDA device, the same call against the CPU path.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.rasterizer_scenes import pinhole, random_splats
from scene_depth.cameras import Cameras, look_at
from scene_depth.rendering import blending_weights, render
from scene_depth.rendering.cuda import draw_splats
from scene_depth.rendering.rasterization import RenderOptions, _intrinsics_in_poses
from scene_depth.splats import PARAMETERS, GaussianSplats

BACKGROUND = torch.tensor([0.2, 0.5, 0.7])


def two_cameras() -> Cameras:
    one = pinhole(90, 70, fx=80, fy=95, cx=40, cy=39)
    up, target = torch.tensor([0.0, -1.0, 0.0]).double(), torch.tensor([0.0, 0.0, 4.0]).double()
    pose = look_at(torch.tensor([0.7, 0.2, -0.3]).double(), target, up)
    return Cameras(torch.stack([one.camera_to_world[0], pose]), one.K.expand(2, 3, 3), 90, 70)


@pytest.fixture(params=["1.4", "1.5"])
def gsplat_on_cpu(request, monkeypatch) -> list[dict[str, Any]]:
    """Puts gsplat's torch reference where its CUDA functions are; gives the keyword arguments of the calls."""
    reference = pytest.importorskip("benchmarks.gsplat_reference")
    try:
        with reference._reference_modules():
            pass
    except reference.ReferenceMissing as missing:
        pytest.skip(str(missing))
    calls: list[dict[str, Any]] = []

    def rasterization(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **options):
        calls.append(options)
        assert options["packed"] is False
        assert options["render_mode"] == "RGB+ED"
        rgb, alpha, depth, info = reference.rasterize_reference(
            means, quats, scales, opacities, colors, viewmats, Ks, width, height,
            sh_degree=options["sh_degree"], background=options["backgrounds"],
            near=options["near_plane"], far=options["far_plane"],
            antialiased=options["rasterize_mode"] == "antialiased",
        )  # fmt: skip
        if options["absgrad"]:  # gsplat sets the attribute in the backward pass; any value shows that it is passed on
            info["means2d"].absgrad = torch.full_like(info["means2d"], 7.0)
        if request.param == "1.4":
            info["radii"] = info["radii"].amax(-1)
        return torch.cat([rgb, depth[..., None]], dim=-1), alpha[..., None], info

    import gsplat
    import gsplat.rendering

    monkeypatch.setattr(gsplat.rendering, "rasterization", rasterization)
    monkeypatch.setattr(gsplat, "rasterize_to_indices_in_range", reference._pixel_lists)
    return calls


def options_of(degree: int, antialiased: bool, absgrad: bool) -> RenderOptions:
    return RenderOptions(
        sh_degree=degree,
        background=BACKGROUND.expand(2, 3),
        near=0.3,
        far=5.5,
        antialiased=antialiased,
        median_depth=True,
        absgrad=absgrad,
    )


@pytest.mark.parametrize("antialiased", [False, True])
def test_same_images_and_gradients_as_the_cpu_path(gsplat_on_cpu, antialiased: bool) -> None:
    cameras, splats = two_cameras(), random_splats(400)
    generator = torch.Generator().manual_seed(3)
    weights = [torch.randn(2, 70, 90, *more, generator=generator) for more in ((3,), (), ())]
    found = []
    for path in ("cuda", "cpu"):
        copied = splats.map(lambda values: values.clone().requires_grad_())
        probe = torch.zeros(2, 400, 2, requires_grad=True)
        if path == "cuda":
            rgb, alpha, depth, median, radii = draw_splats(copied, cameras, options_of(2, antialiased, path == "cuda"), probe)
        else:
            drawn = render(
                copied, cameras, sh_degree=2, background=BACKGROUND, near=0.3, far=5.5, antialiased=antialiased,
                median_depth=True, means2d=probe,
            )  # fmt: skip
            rgb, alpha, depth, median, radii = drawn.rgb, drawn.alpha, drawn.depth, drawn.median_depth, drawn.radii
        torch.autograd.backward((rgb, alpha, depth), weights)
        found.append((rgb, alpha, depth, median, radii, probe, copied))
    (rgb, alpha, depth, median, radii, probe, copied), expected = found
    assert gsplat_on_cpu[0]["near_plane"] == 0.3
    for image, true in zip((rgb, alpha, depth), expected[:3], strict=True):
        assert ((image - true).abs() < 1e-4).double().mean() > 0.999
    assert (median - expected[3]).abs().gt(1e-4).double().mean() < 0.002
    assert ((expected[3] > 0) == (expected[1] >= 0.5)).double().mean() > 0.999
    assert radii.shape == (2, 400)
    assert radii.dtype == torch.int32
    assert (radii[expected[4] > 0] > 0).all()
    assert_close_by_splat(probe.grad.flatten(0, 1), expected[5].grad.flatten(0, 1))
    assert (probe.absgrad == 7).all()  # type: ignore[attr-defined]
    for name in PARAMETERS:
        assert_close_by_splat(getattr(copied, name).grad, getattr(expected[6], name).grad)


def test_same_gradients_of_cameras_as_the_cpu_path(gsplat_on_cpu) -> None:
    splats, given = random_splats(200), two_cameras()
    weights = torch.randn(2, 70, 90, 3, generator=torch.Generator().manual_seed(4))
    gradients = []
    for path in ("cuda", "cpu"):
        poses, K = given.camera_to_world.clone().requires_grad_(), given.K.clone().requires_grad_()
        cameras = replace(given, camera_to_world=poses, K=K)
        if path == "cuda":
            rgb = draw_splats(splats, _intrinsics_in_poses(cameras), options_of(2, False, False), None)[0]
        else:
            rgb = render(splats, cameras, sh_degree=2, background=BACKGROUND, near=0.3, far=5.5).rgb
        (rgb * weights).sum().backward()
        assert K.grad is not None
        gradients.append((K.grad[:, :2], rigid_part(poses)))
    for found, true in zip(*gradients, strict=True):
        assert (found - true).norm() < 1e-3 * true.norm()


def rigid_part(poses: Tensor) -> Tensor:
    """Gradient by turning and moving the cameras, which is the same for each way to write it as one by the matrix  # [C, 6]"""
    assert poses.grad is not None
    turned = poses.detach()[:, :3, :3].transpose(1, 2) @ poses.grad[:, :3, :3]
    turned = turned - turned.transpose(1, 2)
    return torch.cat([turned[:, (0, 0, 1), (1, 2, 2)], poses.grad[:, :3, 3]], dim=1)


def assert_close_by_splat(found: Tensor, true: Tensor) -> None:
    found, true = found.reshape(len(found), -1), true.reshape(len(true), -1)
    error = (found - true).norm(dim=1)[true.norm(dim=1) > 0] / true.norm(dim=1)[true.norm(dim=1) > 0]
    assert error.quantile(0.5) < 1e-4
    assert error.quantile(0.9) < 1e-3


def test_gradients_of_the_projected_means_add_up_over_calls(gsplat_on_cpu) -> None:
    cameras, splats = two_cameras(), random_splats(60).map(lambda values: values.requires_grad_())
    probe = torch.zeros(2, 60, 2, requires_grad=True)
    sums = []
    for _ in range(2):
        rgb = draw_splats(splats, cameras, options_of(1, False, False), probe)[0]
        rgb.sum().backward()
        sums.append(probe.grad.clone())
    torch.testing.assert_close(sums[1], 2 * sums[0])


def test_no_splats(gsplat_on_cpu) -> None:
    splats = random_splats(3).select([])
    rgb, alpha, depth, median, radii = draw_splats(splats, two_cameras(), options_of(0, False, False), None)
    assert torch.equal(rgb, BACKGROUND.expand(2, 70, 90, 3))
    assert not alpha.any()
    assert not depth.any()
    assert median is not None
    assert radii.shape == (2, 0)
    assert not gsplat_on_cpu


@pytest.mark.cuda
@pytest.mark.parametrize("antialiased", [False, True])
def test_cuda_and_cpu_agree(antialiased: bool) -> None:
    cameras, splats = two_cameras(), random_splats(3000)
    generator = torch.Generator().manual_seed(3)
    weights = [torch.randn(2, 70, 90, *more, generator=generator) for more in ((3,), (), ())]
    results = []
    for device in ("cpu", "cuda"):
        poses = cameras.camera_to_world.clone().requires_grad_()
        views = Cameras(poses, cameras.K, cameras.width, cameras.height)
        moved = splats.to(device).map(lambda values: values.clone().requires_grad_())
        probe = torch.zeros(2, 3000, 2, device=device, requires_grad=True)
        drawn = render(
            moved, views, background=BACKGROUND, antialiased=antialiased, median_depth=True, means2d=probe, absgrad=True
        )
        torch.autograd.backward((drawn.rgb, drawn.alpha, drawn.depth), [weight.to(device) for weight in weights])
        results.append((drawn, moved, probe, poses.grad))
    (drawn, moved, probe, pose), (on_cuda, moved_cuda, probe_cuda, pose_cuda) = results
    tolerance = 4 / 255  # gsplat 1.4 cuts splats off at 3 standard deviations
    for name in ("rgb", "alpha"):
        error = (getattr(on_cuda, name).cpu() - getattr(drawn, name)).abs()
        assert error.mean() < 1e-4
        assert error.max() < tolerance
    assert ((on_cuda.depth.cpu() - drawn.depth).abs() / drawn.depth.clamp(min=1)).mean() < 1e-3
    assert ((on_cuda.median_depth.cpu() - drawn.median_depth).abs() > 1e-3).double().mean() < 0.01
    for name in PARAMETERS:
        assert_close_on_devices(getattr(moved_cuda, name).grad.cpu(), getattr(moved, name).grad)
    assert_close_on_devices(probe_cuda.grad.cpu().flatten(0, 1), probe.grad.flatten(0, 1))
    assert_close_on_devices(probe_cuda.absgrad.cpu().flatten(0, 1), probe.absgrad.flatten(0, 1))  # type: ignore[attr-defined]
    assert (pose_cuda - pose).norm() < 0.02 * pose.norm()


def assert_close_on_devices(found: Tensor, true: Tensor) -> None:
    found, true = found.reshape(len(found), -1), true.reshape(len(true), -1)
    seen = true.norm(dim=1) > 0
    assert ((found - true).norm(dim=1)[seen] / true.norm(dim=1)[seen]).quantile(0.5) < 0.01


@pytest.mark.cuda
def test_blending_weights_on_cuda() -> None:
    cameras, splats = two_cameras(), random_splats(500)
    masks = torch.zeros(2, 70, 90, dtype=torch.bool)
    masks[:, 20:50, 30:60] = True
    on_cuda = blending_weights(splats.to("cuda"), cameras, masks.to("cuda")).cpu()
    on_cpu = blending_weights(splats, cameras, masks)
    assert (on_cuda - on_cpu).abs().max() < 0.02 * on_cpu.max()


def test_splats_elsewhere_are_refused() -> None:
    from scene_depth.errors import InputError

    splats: GaussianSplats = random_splats(3)
    with pytest.raises(InputError, match="backend"):
        render(splats, two_cameras(), backend="cuda")
    with pytest.raises(InputError, match="splats"):
        render(splats.to("meta"), two_cameras())
