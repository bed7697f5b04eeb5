"""Splats as values: select, concatenate, transform with spherical harmonics, duplicate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import splat_samples
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.spherical_harmonics import rotate_sh, sh_basis, sh_rotation
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats
from scene_depth.splats import GaussianSplats, changed_splats, concatenate_splats


def random_splats(count: int, degree: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64) -> GaussianSplats:
    splats = splat_samples.random_splats(count, degree, seed, dtype)
    return replace(splats, extra={"label": torch.arange(count, dtype=torch.int32)})


def covariances(splats: GaussianSplats) -> Tensor:
    axes = quaternions_to_matrices(splats.quats) * splats.scales[:, None]
    return axes @ axes.transpose(1, 2)


def unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)


seeds = st.integers(0, 2**32 - 1)
degrees = st.integers(0, 3)


@st.composite
def similarities(draw: st.DrawFn) -> Tensor:
    quat = torch.tensor(draw(st.lists(st.floats(-1, 1), min_size=4, max_size=4)), dtype=torch.float64)
    rotation = quaternions_to_matrices(quat) if float(quat.norm()) > 0.1 else torch.eye(3, dtype=torch.float64)
    if draw(st.booleans()):
        rotation = rotation @ torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))  # a mirror
    translation = draw(st.tuples(*[st.floats(-50, 50)] * 3))
    return similarity_matrix(rotation, translation, draw(st.floats(0.01, 100)))


def sh_colors(sh: Tensor, directions: Tensor) -> Tensor:
    """Colours seen along directions, as the renderers define them."""
    return 0.5 + torch.einsum("nk,nkc->nc", sh_basis(round(sh.shape[1] ** 0.5) - 1, directions), sh)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_the_basis_is_that_of_gsplat(degree: int) -> None:
    reference = pytest.importorskip("gsplat.cuda._torch_impl")
    directions = unit(torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    splats = random_splats(200, degree)
    expected = reference._spherical_harmonics(degree, directions, splats.sh) + 0.5
    torch.testing.assert_close(sh_colors(splats.sh, directions), expected, rtol=0, atol=1e-12)


def test_the_basis_is_orthonormal_on_the_sphere() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(8)  # exact for products of two functions of degree 3
    angles = torch.arange(16, dtype=torch.float64) * (2 * math.pi / 16)
    z = torch.from_numpy(nodes)[:, None].expand(-1, 16)
    radius = (1 - z * z).sqrt()
    directions = torch.stack([radius * angles.cos(), radius * angles.sin(), z], dim=-1)
    basis = sh_basis(3, directions)
    weight = torch.from_numpy(weights)[:, None] * (2 * math.pi / 16)
    gram = torch.einsum("ab,abk,abl->kl", weight.expand(-1, 16), basis, basis)
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-13)


@given(seeds, degrees, similarities())
@settings(max_examples=40)
def test_colours_turn_with_the_splats(seed: int, degree: int, matrix: Tensor) -> None:
    splats = random_splats(20, degree, seed)
    turned = transform_splats(splats, matrix)
    directions = unit(torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))
    turned_directions = unit(directions @ matrix[:3, :3].T)
    torch.testing.assert_close(sh_colors(turned.sh, turned_directions), sh_colors(splats.sh, directions), rtol=0, atol=1e-11)


@given(seeds, similarities())
@settings(max_examples=40)
def test_gaussians_follow_the_transform(seed: int, matrix: Tensor) -> None:
    splats = random_splats(20, 0, seed)
    moved = transform_splats(splats, matrix)
    linear = matrix[:3, :3]
    torch.testing.assert_close(moved.means, splats.means @ linear.T + matrix[:3, 3], rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(covariances(moved), linear @ covariances(splats) @ linear.T, rtol=1e-9, atol=1e-12)


@given(seeds, degrees, similarities())
@settings(max_examples=40)
def test_the_inverse_transform_brings_them_back(seed: int, degree: int, matrix: Tensor) -> None:
    splats = random_splats(20, degree, seed)
    back = transform_splats(transform_splats(splats, matrix), torch.linalg.inv(matrix))
    torch.testing.assert_close(back.means, splats.means, rtol=0, atol=1e-9)
    torch.testing.assert_close(covariances(back), covariances(splats), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(back.sh, splats.sh, rtol=0, atol=1e-11)
    torch.testing.assert_close(back.logit_opacities, splats.logit_opacities, rtol=0, atol=0)


@given(seeds, similarities(), similarities())
@settings(max_examples=20)
def test_two_transforms_are_their_product(seed: int, first: Tensor, second: Tensor) -> None:
    splats = random_splats(10, 3, seed)
    one_by_one, at_once = transform_splats(transform_splats(splats, first), second), transform_splats(splats, second @ first)
    torch.testing.assert_close(one_by_one.means, at_once.means, rtol=1e-9, atol=1e-7)
    torch.testing.assert_close(covariances(one_by_one), covariances(at_once), rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(one_by_one.sh, at_once.sh, rtol=0, atol=1e-10)


def test_bands_rotate_by_orthogonal_blocks() -> None:
    rotation = euler_rotation(10, 20, 30)
    matrix = sh_rotation(3, rotation)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-13)
    blocks = torch.block_diag(*[torch.ones(2 * band + 1, 2 * band + 1) for band in range(4)]).bool()
    assert not matrix[~blocks].any()
    # in the basis (-y, z, -x) the block of degree 1 is the rotation itself
    order, sign = [1, 2, 0], torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64)
    expected = rotation[order][:, order] * sign[:, None] * sign
    torch.testing.assert_close(matrix[1:4, 1:4], expected, rtol=0, atol=1e-13)


def test_the_identity_changes_no_bit() -> None:
    splats = random_splats(10, dtype=torch.float32)
    assert transform_splats(splats, torch.eye(4)).sha256() == splats.sha256()
    moved = transform_splats(splats, similarity_matrix(translation=(1, 2, 3)))
    assert torch.equal(moved.sh, splats.sh)
    assert torch.equal(moved.quats, splats.quats)


def test_base_colours_do_not_change_when_splats_turn() -> None:
    splats = random_splats(10, dtype=torch.float32)
    assert torch.equal(rotate_sh(splats.sh, euler_rotation(40, 50, 60))[:, 0], splats.sh[:, 0])


def test_precision_and_extra_values_are_kept() -> None:
    splats = random_splats(5, dtype=torch.float32)
    moved = transform_splats(splats, similarity_matrix(euler_rotation(0, 90, 0), (1, 0, 0), 2))
    assert {moved.means.dtype, moved.quats.dtype, moved.sh.dtype, moved.log_scales.dtype} == {torch.float32}
    assert torch.equal(moved.extra["label"], splats.extra["label"])


def test_normals_turn_and_a_remark_on_the_vertical_axis_goes() -> None:
    normals = {name: torch.tensor([value]) for name, value in zip(("nx", "ny", "nz"), (1.0, 0.0, 0.0), strict=True)}
    splats = replace(random_splats(1, dtype=torch.float32), extra=normals, comments=("Vertical Axis: z", "by me"))
    turned = transform_splats(splats, similarity_matrix(euler_rotation(0, 0, 90)))
    found = [float(turned.extra[name]) for name in ("nx", "ny", "nz")]
    assert found == pytest.approx([0, 1, 0], abs=1e-7)
    assert turned.comments == ("by me",)
    assert transform_splats(splats, similarity_matrix(translation=(1, 0, 0))).comments == splats.comments


def test_euler_angles_turn_about_the_axes_of_the_world() -> None:
    x_then_z = euler_rotation(90, 0, 90)  # y goes to z and stays; x goes to y
    torch.testing.assert_close(x_then_z @ torch.tensor([0.0, 1.0, 0.0]).double(), torch.tensor([0.0, 0.0, 1.0]).double())
    torch.testing.assert_close(x_then_z @ torch.tensor([1.0, 0.0, 0.0]).double(), torch.tensor([0.0, 1.0, 0.0]).double())


@pytest.mark.parametrize(
    "matrix",
    [
        torch.diag(torch.tensor([1.0, 2.0, 1.0, 1.0])),
        torch.zeros(4, 4),
        torch.full((4, 4), math.nan),
        torch.tensor([[1.0, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        torch.diag(torch.tensor([1.0, 1.0, 1.0, 2.0])),
        torch.eye(3),
    ],
    ids=["stretch", "zero", "nan", "shear", "projective", "shape"],
)
def test_what_is_no_similarity_is_refused(matrix: Tensor) -> None:
    with pytest.raises(InputError, match="similarity"):
        transform_splats(random_splats(2), matrix)


def test_a_matrix_with_six_digits_is_taken_as_the_rotation_that_it_means() -> None:
    rounded = (similarity_matrix(euler_rotation(12, 34, 56), (1, 2, 3), 1.5) * 1e5).round() / 1e5
    splats = random_splats(5)
    moved = transform_splats(splats, rounded)
    torch.testing.assert_close(moved.sh.norm(), splats.sh.norm(), rtol=1e-12, atol=0)


@given(seeds, st.integers(0, 30), degrees)
@settings(max_examples=30)
def test_select_and_concatenate_undo_each_other(seed: int, count: int, degree: int) -> None:
    splats = random_splats(count, degree, seed, torch.float32)
    mask = torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.5
    order = torch.cat([mask.nonzero()[:, 0], (~mask).nonzero()[:, 0]])
    joined = concatenate_splats([splats.select(mask), splats.select(~mask)])
    back = joined.select(torch.argsort(order))
    assert back.sha256() == splats.sha256()
    assert torch.equal(back.extra["label"], splats.extra["label"])


@pytest.mark.parametrize("which", [[], slice(0, 0), torch.zeros(7, dtype=torch.bool)], ids=["list", "slice", "mask"])
def test_nothing_can_be_selected(which: object) -> None:
    nothing = random_splats(7).select(which)
    assert len(nothing) == 0
    assert nothing.sh.shape == (0, 16, 3)
    assert len(transform_splats(nothing, similarity_matrix(euler_rotation(1, 2, 3)))) == 0
    assert len(concatenate_splats([nothing, random_splats(3)])) == 3


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match=r"which is a mask of shape \(3,\)"):
        random_splats(7).select(torch.ones(3, dtype=torch.bool))


def test_concatenating_raises_the_degree_and_fills_extra_values() -> None:
    low, high = random_splats(2, 1, 1), random_splats(3, 3, 2)
    joined = concatenate_splats([replace(low, extra={}), high])
    assert joined.sh_degree == 3
    assert torch.equal(joined.sh[:2, :4], low.sh)
    assert not joined.sh[:2, 4:].any()
    assert joined.extra["label"].tolist() == [0, 0, 0, 1, 2]


def test_changed_splats_are_those_that_one_scene_has_alone() -> None:
    scene, other = (random_splats(30, seed=seed, dtype=torch.float32) for seed in (0, 1))
    removed = torch.arange(30) % 7 == 3
    edited = concatenate_splats([scene.select(~removed), other.select(slice(0, 4))])
    for old, new, first, second in ((scene, edited, removed, slice(26, 30)), (edited, scene, slice(26, 30), removed)):
        changed = changed_splats(old, new)
        assert changed is not None
        assert changed.sha256() == concatenate_splats([old.select(first), new.select(second)]).sha256()
    same = changed_splats(scene, scene.map(lambda values: values.clone()))
    assert same is not None
    assert len(same) == 0
    moved = replace(scene, means=torch.where(removed[:, None], scene.means + 1e-6, scene.means))
    changed = changed_splats(scene, moved)
    assert changed is not None
    assert len(changed) == 2 * int(removed.sum())
    assert changed_splats(scene, scene.select(torch.arange(30).flip(0))) is None  # blending of equal depth goes by order
    assert changed_splats(scene, scene.with_sh_degree(1)) is None
    assert changed_splats(scene, replace(scene, antialiased=True)) is None
