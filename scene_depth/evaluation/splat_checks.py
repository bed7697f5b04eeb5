"""The single checks of the splat linter: what each looks for, how bad it is, what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.evaluation.splat_measures import VISIBLE_OPACITY, SplatMeasures, rows_with
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import PARAMETERS, GaussianSplats

Severity = Literal["error", "warning", "note"]
Mask = NDArray[np.bool_]

ENOUGH = 100  # splats from which a range of values says how they were stored
LINEAR_SPREAD = 0.7  # of the logarithms of what is stored: sizes have about 1, logarithms of a scene in large units 0.3
OPACITY_LIMIT = 9.21  # logit of 0.9999
SMALLEST_SHARE = 1e-6  # of the scene's radius: the size of what has none
UNIT_TOLERANCE = 1e-3
FAR_SHARE = 20.0  # of the scene's radius
FOG_OPACITY, FOG_SHARE = 0.05, 0.1
NEAR_SHARE, NEAR_IMAGE_SHARE = 0.1, 0.05
FOG_CAMERAS = 64


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes:
        name: Stable key, for reports and for ``keep``.
        severity: "error" breaks renderers or training, "warning" harms the picture, "note" is good to know.
        message: What is wrong with the splats found.
        advice: What to do about it.
        find: The splats that it concerns  # [N]
        edit: Repair that changes values of those splats.
        remove: Whether the repair is to remove them. Without either there is none.
        action: What the repair does, for the report.
    """

    name: str
    severity: Severity
    message: str
    advice: str
    find: Callable[[SplatMeasures], Mask]
    edit: Callable[[SplatMeasures, Mask], GaussianSplats] | None = None
    remove: bool = False
    action: str = ""


def _nan(m: SplatMeasures) -> Mask:
    result: Mask = np.logical_or.reduce([rows_with(torch.isnan(getattr(m.splats, name))) for name in PARAMETERS])
    return result


def _infinite(m: SplatMeasures) -> Mask:
    found = [rows_with(torch.isinf(getattr(m.splats, name))) for name in ("means", "quats", "sh")]
    result: Mask = np.logical_or.reduce([*found, rows_with(m.splats.log_scales == torch.inf)])
    return result


def _clamp_opacity(m: SplatMeasures, mask: Mask) -> GaussianSplats:
    logits = m.splats.logit_opacities
    bounded = logits.clamp(-OPACITY_LIMIT, OPACITY_LIMIT)
    return replace(m.splats, logit_opacities=torch.where(torch.from_numpy(mask), bounded, logits))


def _give_size(m: SplatMeasures, mask: Mask) -> GaussianSplats:
    scale = m.radius if m.radius > 0 else 1.0
    smallest = float(np.log(scale * SMALLEST_SHARE))
    log_scales = m.splats.log_scales
    return replace(m.splats, log_scales=torch.where(log_scales == -torch.inf, torch.full_like(log_scales, smallest), log_scales))


def _identity_quats(m: SplatMeasures, mask: Mask) -> GaussianSplats:
    quats = m.splats.quats.clone()
    quats[torch.from_numpy(mask)] = quats.new_tensor([1.0, 0.0, 0.0, 0.0])
    return replace(m.splats, quats=quats)


def _unnormalised_quats(m: SplatMeasures) -> Mask:
    length = m.splats.quats.double().norm(dim=1).numpy()
    result: Mask = m.usable & (length > 0) & (np.abs(length - 1) > UNIT_TOLERANCE)
    return result


def _normalise_quats(m: SplatMeasures, mask: Mask) -> GaussianSplats:
    unit = torch.nn.functional.normalize(m.splats.quats.double(), dim=1, eps=1e-30).to(m.splats.quats)
    return replace(m.splats, quats=torch.where(torch.from_numpy(mask)[:, None], unit, m.splats.quats))


def _all_if(condition: bool, m: SplatMeasures) -> Mask:
    """All splats or none: for what is said by the range of all values."""
    return m.usable & condition


def _all_within(values: NDArray[np.float32], low: float, high: float) -> bool:
    """Whether enough values, not all the same, lie in a range."""
    return len(values) >= ENOUGH and bool(low <= values.min() < values.max() <= high)


def _linear_scales(m: SplatMeasures) -> Mask:
    """Sizes spread over orders of magnitude, which their logarithms, if all are positive, do not."""
    chosen = m.splats.log_scales.numpy()[m.usable].astype(np.float64)
    if len(chosen) < ENOUGH or not chosen.min() > 0 or not m.radius > np.median(chosen):
        return _all_if(False, m)
    return _all_if(bool(np.log(chosen).std() > LINEAR_SPREAD), m)


def _byte_colors(m: SplatMeasures) -> Mask:
    chosen = m.splats.sh[:, 0].numpy()[m.usable]
    return _all_if(_all_within(chosen, 0, 255) and bool(chosen.max() > 30), m)


def _from_bytes(m: SplatMeasures, mask: Mask) -> GaussianSplats:
    return replace(m.splats, sh=torch.cat([(m.splats.sh[:, :1] / 255 - 0.5) / SH_C0, m.splats.sh[:, 1:]], dim=1))


def _far_away(m: SplatMeasures) -> Mask:
    return _all_if(m.radius > 0, m) & (m.distances > FAR_SHARE * m.radius)


def _coarse_coordinates(m: SplatMeasures) -> Mask:
    spacing = np.spacing(np.abs(m.means).max(axis=1, initial=0).astype(np.float32))
    result: Mask = m.usable & (spacing > 0.25 * m.sizes) & ~_far_away(m)  # moving the scene does not help a stray
    return result


def _fog(m: SplatMeasures) -> Mask:
    """Large faint splats: what fog in front of cameras consists of, as far as one can say without them."""
    if m.cameras is not None or not m.radius > 0:
        return _all_if(False, m)
    faint = (m.opacities < FOG_OPACITY) & (m.opacities >= VISIBLE_OPACITY)
    return m.usable & faint & (m.sizes > FOG_SHARE * m.radius)


def _near_camera_fog(m: SplatMeasures) -> Mask:
    """Splats close before a camera that cover a large part of its picture."""
    found = np.zeros(len(m.splats), bool)
    if m.cameras is None or not m.usable.any():
        return found
    chosen = np.flatnonzero(m.usable & (m.opacities >= VISIBLE_OPACITY))
    means, sizes = m.splats.means[torch.from_numpy(chosen)].double(), m.sizes[chosen].astype(np.float64)
    for i in np.unique(np.linspace(0, len(m.cameras) - 1, FOG_CAMERAS).astype(int)):
        camera = m.cameras[int(i)].to(dtype=torch.float64)
        pixels, depth = (values[0].numpy() for values in camera.project(means))
        width, height, focal = camera.width, camera.height, float(camera.K[0, 0, 0])
        with np.errstate(divide="ignore", over="ignore"):
            radius = np.where(depth > 0, focal * sizes / depth, 0.0)
        inside = (depth > 0) & (pixels > -radius[:, None]).all(axis=1) & (pixels < [width, height] + radius[:, None]).all(axis=1)
        if inside.any():
            near = inside & (depth < NEAR_SHARE * np.median(depth[inside]))
            found[chosen[near & (radius > NEAR_IMAGE_SHARE * max(width, height))]] = True
    return found


def _duplicates(m: SplatMeasures) -> Mask:
    """All but the first of splats whose parameters are equal to the bit."""
    rows = torch.cat([getattr(m.splats, name).reshape(len(m.splats), -1).float() for name in PARAMETERS], dim=1)
    words = rows.numpy().view(np.uint32)
    halves: NDArray[np.uint64] = np.random.default_rng(0).integers(1 << 63, size=(words.shape[1],), dtype=np.uint64)
    odd = halves * np.uint64(2) + np.uint64(1)
    keys = np.zeros(len(words), np.uint64)
    for column, factor in enumerate(odd):
        keys = (keys ^ words[:, column]) * factor
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    original = first[inverse.reshape(-1)]
    repeated = np.flatnonzero(original != np.arange(len(words)))
    found = np.zeros(len(words), bool)
    found[repeated] = (words[repeated] == words[original[repeated]]).all(axis=1)
    return found & m.usable


# In the order in which they run: each sees the splats as the repairs before it leave them.
CHECKS = (
    Check("nan", "error", "have NaN among their values", "remove them: they turn whole pictures to NaN",
          _nan, remove=True, action="removed"),
    Check("infinite", "error", "have an infinite centre, rotation, colour or size", "remove them: no renderer can place them",
          _infinite, remove=True, action="removed"),
    Check("zero_quats", "error", "have a rotation quaternion of zero", "make it the identity: it cannot be normalised",
          lambda m: (m.splats.quats.abs().amax(dim=1) < 1e-12).numpy(), _identity_quats,
          action="given the identity rotation"),
    Check("infinite_opacity", "warning", "have an opacity of exactly 0 or 1, infinite before the sigmoid",
          "bound it to 0.0001 and 0.9999, so that optimisation does not end in NaN",
          lambda m: torch.isinf(m.splats.logit_opacities).numpy(), _clamp_opacity,
          action="bounded to opacities of 0.0001 to 0.9999"),
    Check("no_size", "warning", "have a size of zero along an axis (a log scale of minus infinity)",
          "give them a tiny one: several viewers drop or explode them",
          lambda m: rows_with(m.splats.log_scales == -torch.inf), _give_size,
          action="given a millionth of the scene's radius"),
    Check("linear_scales", "error", "have sizes that look as if stored without the logarithm",
          "take the logarithm of scale_0 to scale_2",
          _linear_scales,
          lambda m, _: replace(m.splats, log_scales=m.splats.log_scales.clamp(min=1e-30).log()),
          action="log scales taken"),
    Check("activated_opacity", "error", "have opacities that look as if stored after the sigmoid, all within 0 to 1",
          "take the logit of opacity",
          lambda m: _all_if(_all_within(m.splats.logit_opacities.numpy()[m.usable], 0, 1), m),
          lambda m, _: replace(m.splats, logit_opacities=m.splats.logit_opacities.logit(eps=1e-4)),
          action="logits taken"),
    Check("byte_colors", "error", "have base colours of 0 to 255 in place of coefficients",
          "convert f_dc to (c / 255 - 0.5) / 0.2821",
          _byte_colors, _from_bytes, action="colours turned to coefficients"),
    Check("plain_colors", "warning", "have base coefficients all within 0 to 1, as if they were colours; pictures will look pale",
          "if they are colours, convert f_dc to (c - 0.5) / 0.2821",
          lambda m: _all_if(_all_within(m.splats.sh[:, 0].numpy()[m.usable], 0, 1), m)),
    Check("wild_colors", "warning", "have a base colour below -1 or above 2",
          "expect clipped spots; .spz and .splat cut such colours off",
          lambda m: m.usable & ((m.splats.base_colors < -1) | (m.splats.base_colors > 2)).any(dim=1).numpy()),
    Check("giants", "warning", "are larger than the scene itself (its robust radius)",
          "remove them: they cover everything with haze",
          lambda m: _all_if(m.radius > 0, m) & (m.sizes > m.radius), remove=True, action="removed"),
    Check("near_camera_fog", "warning", "hang close before a camera and cover much of its picture",
          "remove them: floaters of the training", _near_camera_fog, remove=True, action="removed"),
    Check("fog", "note", "are faint and larger than a tenth of the scene: perhaps fog before the cameras",
          "pass --cameras to tell fog from sky, and to remove what hangs before them", _fog),
    Check("duplicates", "warning", "are exact copies of others, which counts their opacity twice",
          "remove the copies", _duplicates, remove=True, action="removed"),
    Check("far_away", "note", "lie farther than 20 scene radii from its centre",
          "drop them (convert --drop-far) where viewers frame the scene badly, or .spz gets coarse: one is enough for that",
          _far_away),
    Check("coarse_coordinates", "warning", "lie so far out that float32 misplaces them by a quarter of their size or more",
          "move the scene to the origin (convert --translate)", _coarse_coordinates),
    Check("unnormalised_quats", "note", "have rotation quaternions that are not of unit length",
          "normalise them for viewers that do not", _unnormalised_quats, _normalise_quats, action="normalised"),
    Check("empty_sh", "note", "carry view-dependent colour that is zero everywhere",
          "drop it: convert --sh-degree 0 leaves a quarter of the size",
          lambda m: _all_if(m.splats.sh_degree > 0 and not bool(m.splats.sh[:, 1:].any()), m)),
    Check("invisible", "note", "are fainter than 1/255, which renderers skip",
          "remove them at no change of the picture",
          lambda m: m.usable & (m.opacities < VISIBLE_OPACITY)),
)  # fmt: skip
