"""What comes out of rendering, against what geometry says, and at the edges of what can go in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering_scenes import images_of, render_densely
from torch import Tensor

from benchmarks.rasterizer_accuracy import with_gradients
from benchmarks.rasterizer_scenes import pinhole, random_splats
from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.rendering import blending_weights, render
from scene_depth.splats import SH_C0, GaussianSplats


def splat_at(
    mean: tuple[float, float, float], scale: float, color: tuple[float, float, float], opacity: float = 0.99
) -> GaussianSplats:
    """One round splat of a colour."""
    return GaussianSplats(
        torch.tensor([mean], dtype=torch.float32),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.full((1, 3), scale).log(),
        torch.logit(torch.tensor([opacity])),
        ((torch.tensor(color, dtype=torch.float32) - 0.5) / SH_C0).reshape(1, 1, 3),
    )


def plane(slope_x: float, slope_y: float, distance: float, spacing: float, extent: float) -> GaussianSplats:
    """Flat opaque splats on the plane z = distance + slope_x x + slope_y y."""
    steps = torch.arange(-extent, extent, spacing)
    x, y = (values.flatten() for values in torch.meshgrid(steps, steps, indexing="xy"))
    means = torch.stack([x, y, distance + slope_x * x + slope_y * y], dim=1)
    normal = torch.nn.functional.normalize(torch.tensor([slope_x, slope_y, -1.0]), dim=0)
    axis = torch.linalg.cross(torch.tensor([0.0, 0.0, -1.0]), normal)
    angle = torch.atan2(axis.norm(), -normal[2])
    axis = torch.nn.functional.normalize(axis, dim=0) * torch.sin(angle / 2)
    quats = torch.cat([torch.cos(angle / 2)[None], axis]).expand(len(means), 4)
    log_scales = torch.tensor([spacing, spacing, spacing / 100]).log().expand(len(means), 3)
    return GaussianSplats(means, quats, log_scales, torch.full((len(means),), 3.0), torch.zeros(len(means), 1, 3))


def test_depth_of_a_tilted_plane() -> None:
    slope_x, slope_y, distance = 0.35, -0.25, 4.0
    cameras = pinhole(160, 120, fx=1250, fy=1150, cx=71.5, cy=66.2)  # the nearer of overlapping splats hide the farther:
    drawn = render(plane(slope_x, slope_y, distance, spacing=0.003, extent=0.38), cameras, median_depth=True)  # a bias
    rays = cameras.ray_directions()[0]
    true = distance / (1 - slope_x * rays[..., 0] - slope_y * rays[..., 1])
    assert drawn.depth_valid.all()
    assert drawn.median_valid.all()
    assert ((drawn.depth[0] - true).abs() / true).max() < 1e-3
    assert ((drawn.median_depth[0] - true).abs() / true).max() < 2e-3


def test_a_splat_lands_where_the_camera_projects_it() -> None:
    cameras = pinhole(101, 77, fx=90, fy=130, cx=33.4, cy=51.7)
    splat = splat_at((0.21, -0.13, 2.5), 0.02, (1.0, 0.5, 0.0))
    (pixel,), (depth,) = (values[0] for values in cameras.project(splat.means))
    drawn = render(splat, cameras)
    weights = drawn.alpha[0].double()
    center = (weights[..., None] * cameras.pixel_centers()).sum((0, 1)) / weights.sum()
    assert torch.allclose(center, pixel, atol=0.02)
    best = weights.argmax()
    assert float(drawn.depth.flatten()[best]) == pytest.approx(float(depth), rel=1e-5)
    color = drawn.rgb[0].flatten(0, 1)[best] / drawn.alpha.flatten()[best]
    assert torch.allclose(color, torch.tensor([1.0, 0.5, 0.0]), atol=1e-5)


def test_the_nearer_splat_hides_the_farther() -> None:
    near, far = splat_at((0, 0, 2), 2.0, (1, 0, 0), 0.9), splat_at((0, 0, 5), 9.0, (0, 1, 0), 0.6)
    both = GaussianSplats(*(torch.cat([getattr(far, name), getattr(near, name)]) for name in PARAMETERS_OF_A_SPLAT))
    drawn = render(both, pinhole(3, 3, fx=300, fy=300), background=torch.tensor([0.0, 0.0, 1.0]), median_depth=True)
    expected = torch.tensor([0.9, 0.1 * 0.6, 0.1 * 0.4])
    assert torch.allclose(drawn.rgb[0, 1, 1], expected, atol=1e-4)
    assert float(drawn.depth[0, 1, 1]) == pytest.approx((0.9 * 2 + 0.06 * 5) / 0.96, rel=1e-4)
    assert float(drawn.median_depth[0, 1, 1]) == 2.0


PARAMETERS_OF_A_SPLAT = ("means", "quats", "log_scales", "logit_opacities", "sh")


def test_antialiasing_keeps_the_light_of_a_small_splat() -> None:
    """The blur makes a footprint of s^2 + 0.3 px^2 out of one of s^2; compensated, its integral stays that of s^2."""
    cameras = pinhole(40, 40, fx=100, fy=100)
    pixels = 0.4
    splat = splat_at((0, 0, 2), pixels * 2 / 100, (1, 1, 1), 0.5)
    plain, compensated = (render(splat, cameras, antialiased=flag).alpha.sum().item() for flag in (False, True))
    assert plain == pytest.approx(0.5 * 2 * torch.pi * (pixels**2 + 0.3), rel=0.03)
    assert compensated == pytest.approx(0.5 * 2 * torch.pi * pixels**2, rel=0.03)
    flagged = replace(splat, antialiased=True)
    assert torch.equal(render(flagged, cameras).alpha, render(splat, cameras, antialiased=True).alpha)


@settings(max_examples=60, derandomize=True)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 60), st.integers(0, 3), st.booleans())
def test_any_image_size_and_number_of_splats(width: int, height: int, count: int, degree: int, antialiased: bool) -> None:
    """Against the formulas, written densely: every pixel that no threshold decides, and every gradient through those."""
    cameras = pinhole(width, height, fx=0.8 * width + 5, fy=0.9 * height + 5, cx=0.4 * width, cy=0.6 * height)
    splats = random_splats(count, seed=count, degree=degree)
    ours, ours_views = with_gradients(splats, cameras, torch.float32)
    true, true_views = with_gradients(splats, cameras, torch.float64)
    drawn = render(ours, ours_views, antialiased=antialiased, median_depth=True)
    dense = render_densely(true, true_views, antialiased=antialiased)
    assert (~dense.sure).sum() <= 3 + 0.01 * width * height
    assert drawn.rgb.shape == (1, height, width, 3)
    for name, tolerance in {"rgb": 1e-5, "alpha": 1e-5, "depth": 5e-5, "median_depth": 5e-6}.items():
        image, truth = getattr(drawn, name)[0], getattr(dense, name)
        sure = dense.median_sure if name == "median_depth" else dense.sure
        assert image.shape == truth.shape
        assert ((image - truth).abs()[sure] <= tolerance).all(), name
    for images in (drawn, dense):
        rgb, depth = images.rgb.reshape(height, width, 3), images.depth.reshape(height, width)
        (rgb[dense.sure].sum() + depth[dense.sure].sum()).backward()
    for name in PARAMETERS_OF_A_SPLAT:
        found, truth = (getattr(values, name).grad.double().reshape(count, -1 if count else 1) for values in (ours, true))
        length, error = truth.norm(dim=1), (found - truth).norm(dim=1)
        assert not error[length == 0].any(), name
        if count:
            assert (error <= 5e-4 * (length + 1e-2 * length.max()))[dense.smooth].all(), name


def test_one_pixel_sees_a_huge_splat() -> None:
    """A splat that covers all of every tile, and one so large that numbers nearly overflow."""
    for scale in (50.0, 1e4):
        drawn = render(splat_at((0, 0, 3), scale, (1, 0.25, 0), 0.8), pinhole(67, 35, fx=60, fy=60), median_depth=True)
        assert torch.allclose(drawn.alpha, torch.tensor(0.8), atol=2e-3)
        assert torch.allclose(drawn.median_depth, torch.tensor(3.0))
    single = render(splat_at((0, 0, 3), 50, (1, 0.25, 0), 0.8), pinhole(1, 1, fx=60, fy=60))
    assert torch.allclose(single.rgb, torch.tensor([0.8, 0.2, 0.0]), atol=1e-4)


def test_no_splats_and_splats_behind_give_the_background() -> None:
    background = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    one = pinhole(37, 21, fx=30, fy=30)
    cameras = Cameras(one.camera_to_world.expand(2, 4, 4), one.K.expand(2, 3, 3), 37, 21)
    splats = random_splats(40)
    behind = replace(splats, means=splats.means * torch.tensor([1.0, 1.0, -1.0]))
    for hidden in (splats.select([]), behind):
        leaf = hidden.map(lambda values: values.clone().requires_grad_())
        drawn = render(leaf, cameras, background=background, median_depth=True)
        assert torch.equal(drawn.rgb, background[:, None, None].expand(2, 21, 37, 3))
        assert not any(image.any() for image in (drawn.alpha, drawn.depth, drawn.median_depth, drawn.radii))
        assert not drawn.depth_valid.any()
        drawn.rgb.sum().backward()
        assert not leaf.means.grad.any()
        assert not leaf.sh.grad.any()


def test_near_and_far_cut_whole_splats() -> None:
    splats, cameras = random_splats(200), pinhole(64, 48, fx=50, fy=50)
    chosen = (splats.means[:, 2] > 3) & (splats.means[:, 2] < 5)
    cut, kept = render(splats, cameras, near=3.0, far=5.0), render(splats.select(chosen), cameras)
    assert torch.equal(cut.rgb, kept.rgb)
    assert torch.equal(cut.radii[0] > 0, chosen & (render(splats, cameras).radii[0] > 0))


@pytest.mark.parametrize("name", PARAMETERS_OF_A_SPLAT)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_broken_splats_are_left_out(name: str, value: float) -> None:
    """A splat that is not a number harms neither the others' image nor their gradients."""
    splats, cameras = random_splats(120, seed=2), pinhole(64, 48, fx=50, fy=50)
    broken = splats.map(lambda values: values.clone())
    getattr(broken, name)[5] = value
    leaf = broken.map(lambda values: values.clone().requires_grad_())
    drawn = render(leaf, cameras, median_depth=True)
    assert all(torch.isfinite(image).all() for image in images_of(drawn))
    (drawn.rgb.sum() + drawn.depth.sum()).backward()
    for parameter in PARAMETERS_OF_A_SPLAT:
        assert torch.isfinite(getattr(leaf, parameter).grad).all()
    if value != value:
        assert drawn.radii[0, 5] == 0
        others = splats.select(torch.arange(120) != 5)
        assert torch.equal(drawn.rgb, render(others, cameras).rgb)


def test_a_quaternion_of_zero_length_is_left_out() -> None:
    splats, cameras = random_splats(30), pinhole(32, 32, fx=30, fy=30)
    quats = splats.quats.clone()
    quats[3] = 0
    drawn = render(replace(splats, quats=quats), cameras)
    assert drawn.radii[0, 3] == 0
    assert torch.equal(drawn.rgb, render(splats.select(torch.arange(30) != 3), cameras).rgb)


def test_black_splats_learn() -> None:
    """A colour of 0 but for rounding stands on the clamp, and its gradient must pass; a negative one is beyond it."""
    dark = splat_at((0, 0, 2), 0.3, (0, 0, 0), 0.9)
    exact = torch.tensor(-0.5 / SH_C0)
    shades = {exact: True, torch.nextafter(exact, exact + 1): True, torch.nextafter(exact, exact - 1): True, exact * 1.2: False}
    for shade, learns in shades.items():
        sh = shade.expand(1, 1, 3).clone().requires_grad_()
        render(replace(dark, sh=sh), pinhole(16, 16, fx=20, fy=20)).rgb.sum().backward()
        assert bool((sh.grad > 0).all()) == learns


def test_other_precisions_and_strides() -> None:
    splats, cameras = random_splats(50), pinhole(40, 30, fx=30, fy=30)
    expected = render(splats, cameras).rgb
    leaf = splats.map(lambda values: values.double().requires_grad_())
    drawn = render(leaf, cameras.to(dtype=torch.float32))
    assert torch.allclose(drawn.rgb, expected, atol=1e-5)
    drawn.rgb.sum().backward()
    assert leaf.means.grad.dtype == torch.float64
    strided = splats.map(lambda values: torch.stack([values, values], dim=-1)[..., 0])
    assert not strided.sh.is_contiguous()
    assert torch.equal(render(strided, cameras).rgb, expected)


def test_blending_weights_share_out_the_alpha() -> None:
    splats, one = random_splats(300, seed=4), pinhole(70, 50, fx=50, fy=55)
    cameras = Cameras(one.camera_to_world.expand(2, 4, 4), one.K.expand(2, 3, 3), 70, 50)
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(2, 50, 70, generator=generator) < 0.3
    weights = blending_weights(splats, cameras, masks)
    drawn = render(splats, cameras)
    assert weights.shape == (2, 300)
    assert torch.allclose(weights.sum(1), (drawn.alpha * masks).sum((1, 2)), rtol=1e-4)
    assert not weights[drawn.radii == 0].any()
    assert torch.allclose(weights[0], weight_by_removal_of_color(splats, one, masks[0]), atol=1e-2)
    with pytest.raises(InputError, match="masks"):
        blending_weights(splats, cameras, masks[:1])


def weight_by_removal_of_color(splats: GaussianSplats, camera: Cameras, mask: Tensor) -> Tensor:
    """Blending weights of the first twenty splats from renders with one splat white and all others black; 0 elsewhere."""
    found = torch.zeros(len(splats))
    black = replace(splats, sh=torch.full((len(splats), 1, 3), -0.5 / SH_C0))
    for index in range(20):
        sh = black.sh.clone()
        sh[index] = 0.5 / SH_C0
        found[index] = render(replace(black, sh=sh), camera).rgb[0, ..., 0][mask].sum()
    rest = blending_weights(splats, camera, mask[None])[0, 20:]
    found[20:] = rest
    return found


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"sh_degree": 4}, "sh_degree"),
        ({"sh_degree": -1}, "sh_degree"),
        ({"near": 0.0}, "near"),
        ({"near": 2.0, "far": 1.0}, "near"),
        ({"far": float("nan")}, "near"),
        ({"background": torch.zeros(4)}, "background"),
        ({"background": torch.zeros(3, dtype=torch.int64)}, "background"),
        ({"absgrad": True}, "absgrad"),
        ({"means2d": torch.zeros(1, 9, 2, requires_grad=True)}, "means2d"),
        ({"means2d": torch.zeros(1, 10, 2)}, "means2d"),
        ({"depth_alpha_threshold": 1.5}, "depth_alpha_threshold"),
        ({"backend": "gpu"}, "backend"),
    ],
)
def test_bad_options_are_named(options: dict, field: str) -> None:
    with pytest.raises(InputError, match=field):
        render(random_splats(10), pinhole(8, 8, fx=8, fy=8), **options)
