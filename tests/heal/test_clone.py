"""The clone stamp against a plane that is turned exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scene_depth_heal import SurfacePoint

import scene_depth as sd
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.spherical_harmonics import sh_basis
from scene_depth.splats import SH_C0, GaussianSplats, concatenate_splats

STEP = 0.1
FROM = SurfacePoint(np.array([0.0, 0, 0]), np.array([0.0, 0, 2.0]))
TO = SurfacePoint(np.array([5.0, 1, 2]), np.array([1.0, 0, 0]))
NOWHERE = SurfacePoint(np.full(3, 9.0), np.array([1.0, 0, 0]))


def plane(seed: int = 0) -> GaussianSplats:
    """A textured, shiny plane z = 0, SH of degree 2."""
    rng = torch.Generator().manual_seed(seed)
    xs = torch.arange(-1, 1 + STEP / 2, STEP)
    grid = torch.stack([*torch.meshgrid(xs, xs, indexing="ij"), torch.zeros(len(xs), len(xs))], dim=-1).reshape(-1, 3)
    return GaussianSplats(
        means=grid,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(len(grid), 1),
        log_scales=torch.tensor([0.06, 0.04, 0.001]).log().repeat(len(grid), 1),
        logit_opacities=torch.full((len(grid),), 2.0),
        sh=0.5 * torch.randn(len(grid), 9, 3, generator=rng),
    )


def colors(sh: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    return torch.einsum("dk,nkc->dnc", sh_basis(2, directions), sh)


@pytest.mark.parametrize(("turn", "scale"), [(0.0, 1.0), (30.0, 2.0)])
def test_a_plane_on_a_turned_plane(turn: float, scale: float) -> None:
    splats = plane()
    stamped = sd.clone(splats, FROM, TO, 0.55, turn=turn, scale=scale, feather=0)
    assert stamped.select(slice(0, len(splats))).sha256() == splats.sha256()
    copies, taken = stamped.select(slice(len(splats), None)), splats.select(splats.means.norm(dim=1) <= 0.55)
    assert len(copies) == len(taken)
    # z goes to x by a quarter turn about y: (x, y, z) to (z, y, -x); then it turns about x.
    angle = math.radians(turn)
    about = torch.tensor([[1.0, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])
    rotation = about @ torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    assert torch.allclose(copies.means, scale * taken.means @ rotation.T + torch.tensor([5.0, 1, 2]), atol=1e-5)
    axes = quaternions_to_matrices(copies.quats)
    assert torch.allclose(axes.abs(), (rotation @ quaternions_to_matrices(taken.quats)).abs(), atol=1e-5)
    assert torch.allclose(axes[:, :, 2].abs(), torch.tensor([1.0, 0, 0]).expand(len(copies), 3), atol=1e-5)  # flat on the plane
    assert torch.allclose(copies.scales, scale * taken.scales)
    seen = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    assert torch.allclose(colors(copies.sh, seen @ rotation.T), colors(taken.sh, seen), atol=1e-5)


def test_the_border_fades_over_what_was_there_and_the_rest_stays() -> None:
    there = plane(1)
    splats = concatenate_splats([plane(), GaussianSplats(there.means + torch.tensor([10.0, 0, 0]), *parameters(there))])
    target = SurfacePoint(np.array([10.0, 0, 0]), np.array([0.0, 0, 1]))
    stamped = sd.clone(splats, FROM, target, 0.5, feather=0.5, match_color=False)
    opacity = float(splats.opacities[0])

    def at(distance: float) -> tuple[float, float]:
        """Opacity of the old splat and of the copy at a distance along x; 0 where there is none."""
        place = torch.tensor([10 + distance, 0, 0])
        found = ((stamped.means - place).norm(dim=1) < 1e-4).nonzero()[:, 0]
        is_old = [bool((stamped.sh[i] == splats.sh).all(dim=(1, 2))[len(there) :].any()) for i in found]
        values = {old: float(stamped.opacities[i]) for i, old in zip(found, is_old, strict=True)}
        return values.get(True, 0.0), values.get(False, 0.0)

    assert at(0.0) == (0.0, pytest.approx(opacity))
    assert at(0.6) == (pytest.approx(opacity), 0.0)
    for distance in (0.3, 0.4):
        inward = (0.5 - distance) / 0.25
        share = inward**2 * (3 - 2 * inward)
        assert at(distance) == (pytest.approx(opacity * (1 - share), rel=1e-3), pytest.approx(opacity * share, rel=1e-3))
    far = ((splats.means - torch.tensor([10.0, 0, 0])).norm(dim=1) > 0.5).nonzero()[:, 0]
    assert splats.select(far).sha256() == stamped.select(slice(0, None)).select(rows_of(stamped, splats.select(far))).sha256()


def parameters(splats: GaussianSplats) -> tuple[torch.Tensor, ...]:
    return splats.quats, splats.log_scales, splats.logit_opacities, splats.sh


def rows_of(stamped: GaussianSplats, wanted: GaussianSplats) -> torch.Tensor:
    """Rows of ``stamped`` at the places of ``wanted``, in its order, with the same colours."""
    near = torch.cdist(wanted.means, stamped.means) + (wanted.sh.flatten(1)[:, None] != stamped.sh.flatten(1)[None]).any(2)
    return near.argmin(dim=1)


def test_colours_are_those_of_the_surroundings() -> None:
    dark, light = plane(), plane()
    dark.sh[:] = light.sh[:] = 0
    dark.sh[:, 0], light.sh[:, 0] = -0.2 / SH_C0, 0.1 / SH_C0
    light = GaussianSplats(light.means + torch.tensor([10.0, 0, 0]), *parameters(light))
    splats = concatenate_splats([dark, light])
    target = SurfacePoint(np.array([10.0, 0, 0]), np.array([0.0, 0, 1]))
    copies = sd.clone(splats, FROM, target, 0.4, feather=0).select(slice(-20, None))
    assert torch.allclose(copies.base_colors, torch.full((20, 3), 0.6), atol=1e-6)
    plain = sd.clone(splats, FROM, target, 0.4, feather=0, match_color=False).select(slice(-20, None))
    assert torch.allclose(plain.base_colors, torch.full((20, 3), 0.3), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"radius": 0}, "radius"), ({"feather": 2}, "feather"), ({"source": NOWHERE}, "no splat"),
     ({"target": SurfacePoint(np.zeros(3), np.zeros(3))}, "normal"), ({"scale": math.inf}, "scale")],
)  # fmt: skip
def test_what_cannot_be_stamped_is_said(changes: dict, message: str) -> None:
    with pytest.raises(sd.InputError, match=message):
        sd.clone(**{"splats": plane(), "source": FROM, "target": TO, "radius": 0.5, **changes})
