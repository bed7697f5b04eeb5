"""Gaussian splats: a value that is selected from, concatenated and transformed, never edited in place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.spherical_harmonics import C0 as SH_C0

PARAMETERS = ("means", "quats", "log_scales", "logit_opacities", "sh")


@dataclass(frozen=True)
class GaussianSplats:
    """3D Gaussian splats as the reference trainer stores them (Kerbl et al. 2023), before their activations.

    Attributes:
        means: Centres in scene units  # [N, 3]
        quats: Rotations, w first, of any length but zero  # [N, 4]
        log_scales: Natural logarithms of the standard deviations along the rotated axes  # [N, 3]
        logit_opacities: Opacities before the sigmoid  # [N]
        sh: Spherical harmonics, K = 1, 4, 9 or 16 coefficients of RGB; base colour 0.5 + SH_C0 * sh[:, 0]  # [N, K, 3]
        extra: Further values a splat that a file carried and that nothing here reads, by property name  # [N] each
        antialiased: Trained for the antialiased renderer (Mip-Splatting's 2D filter with compensation).
        comments: Remarks that a file carried, such as the tool that wrote it or its vertical axis.

    Raises:
        InputError: If shapes, types or devices do not fit together.

    Example:
        >>> import scene_depth as sd
        >>> splats = sd.read_splats("scenes/table/splats.spz")
        >>> small = splats.select(splats.scales.amax(dim=1) < 0.1)
        >>> len(small) < len(splats), tuple(small.means.shape[1:])
        (True, (3,))
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    logit_opacities: Tensor
    sh: Tensor
    extra: dict[str, Tensor] = field(default_factory=dict)
    antialiased: bool = False
    comments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = self.means.shape[0] if self.means.ndim else 0
        bands = self.sh.shape[1] if self.sh.ndim == 3 else 0
        expected = dict(zip(PARAMETERS, [(count, 3), (count, 4), (count, 3), (count,), (count, bands, 3)], strict=True))
        for name, shape in expected.items():
            found = getattr(self, name)
            if tuple(found.shape) != shape or not found.is_floating_point() or found.device != self.means.device:
                raise InputError(
                    name,
                    f"{found.dtype} {tuple(found.shape)} on {found.device}",
                    f"floating point {shape} on {self.means.device}",
                )
        if bands not in (1, 4, 9, 16):
            raise InputError("sh", f"{bands} coefficients", "1, 4, 9 or 16 (degree 0 to 3)")
        for name, values in self.extra.items():
            if values.shape[:1] != (count,):
                raise InputError(f"extra[{name!r}]", f"shape {tuple(values.shape)}", f"one value a splat, ({count},)")

    def __len__(self) -> int:
        return self.means.shape[0]

    def __repr__(self) -> str:
        kind = ", antialiased" if self.antialiased else ""
        extra = f", extra {', '.join(self.extra)}" if self.extra else ""
        return f"GaussianSplats({len(self):,} splats, SH degree {self.sh_degree}{kind}, on {self.device}{extra})"

    @property
    def device(self) -> torch.device:
        return self.means.device

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 3."""
        result: int = round(self.sh.shape[1] ** 0.5) - 1
        return result

    @property
    def scales(self) -> Tensor:
        """Standard deviations in scene units  # [N, 3]"""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Tensor:
        """Opacities in (0, 1)  # [N]"""
        return self.logit_opacities.sigmoid()

    @property
    def base_colors(self) -> Tensor:
        """View-independent colour, sRGB, not clipped  # [N, 3]"""
        return 0.5 + SH_C0 * self.sh[:, 0]

    def map(self, function: Callable[[Tensor], Tensor]) -> GaussianSplats:
        """The splats with ``function`` applied to every tensor."""
        changed: dict[str, Any] = {name: function(getattr(self, name)) for name in PARAMETERS}
        return replace(self, **changed, extra={name: function(values) for name, values in self.extra.items()})

    def to(self, device: torch.device | str) -> GaussianSplats:
        """The same splats on another device."""
        return self.map(lambda values: values.to(device))

    def detach(self) -> GaussianSplats:
        """The same splats cut off from any gradient."""
        return self.map(lambda values: values.detach())

    def select(self, which: Tensor | Sequence[int] | slice) -> GaussianSplats:
        """The chosen splats, in the order of ``which``.

        Args:
            which: Boolean mask [N], indices [M] or a slice.
        """
        if not isinstance(which, slice):
            which = torch.as_tensor(which, device=self.device)
            if which.dtype == torch.bool and which.shape != (len(self),):
                raise InputError("which", f"a mask of shape {tuple(which.shape)}", f"({len(self)},)")
            if which.dtype == torch.bool:
                rows = which.nonzero()[:, 0]  # once for all parameters; much faster than by indexing, which takes negative ones
                return self.map(lambda values: values.index_select(0, rows))
            if which.numel() == 0:
                which = which.long()
        return self.map(lambda values: values[which])

    def with_sh_degree(self, degree: int) -> GaussianSplats:
        """The splats with another SH degree: higher bands are added as zeros or dropped."""
        if degree not in (0, 1, 2, 3):
            raise InputError("degree", degree, "0, 1, 2 or 3")
        bands = (degree + 1) ** 2
        kept = self.sh[:, :bands]
        padding = kept.new_zeros(len(self), bands - kept.shape[1], 3)
        return replace(self, sh=torch.cat([kept, padding], dim=1))

    def sha256(self) -> str:
        """Hash of the bits of all parameters: equal before and after a step that may not touch the splats."""
        digest = hashlib.sha256()
        for name in PARAMETERS:
            values = getattr(self, name).detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            digest.update(values.numpy().tobytes())
        return digest.hexdigest()


def concatenate_splats(parts: Iterable[GaussianSplats]) -> GaussianSplats:
    """All splats in order; the SH degree is the highest of the parts, extra values that a part lacks become 0.

    Raises:
        InputError: If there is no part, or if antialiased and ordinary splats are mixed.
    """
    parts = list(parts)
    if not parts:
        raise InputError("parts", "none", "one or more sets of splats")
    if len({part.antialiased for part in parts}) != 1:
        raise InputError("parts", "antialiased and ordinary splats", "splats of one kind, as they need different renderers")
    degree = max(part.sh_degree for part in parts)
    parts = [part.with_sh_degree(degree) for part in parts]
    extra = {}
    for name in dict.fromkeys(name for part in parts for name in part.extra):
        template = next(part.extra[name] for part in parts if name in part.extra)
        extra[name] = torch.cat([part.extra.get(name, template.new_zeros(len(part), *template.shape[1:])) for part in parts])
    joined = {
        f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(GaussianSplats) if f.name in PARAMETERS
    }
    comments = tuple(dict.fromkeys(line for part in parts for line in part.comments))
    return GaussianSplats(**joined, extra=extra, antialiased=parts[0].antialiased, comments=comments)


def changed_splats(old: GaussianSplats, new: GaussianSplats) -> GaussianSplats | None:
    """The splats of two scenes that only one of them has; None if those that both have are not in the same order in both.

    Equal are splats whose parameters have the same bits. Scenes of different kinds, as of another SH degree, have none in common.
    """
    if (old.antialiased, old.device, old.sh.shape[1]) != (new.antialiased, new.device, new.sh.shape[1]):
        return None
    if all(_is_same(getattr(old, name), getattr(new, name)) for name in PARAMETERS):
        return old.select(slice(0, 0))
    rows = [
        torch.cat([getattr(splats, name).float().reshape(len(splats), -1) for name in PARAMETERS], dim=1).cpu().numpy()
        for splats in (old.detach(), new.detach())
    ]
    bits = [np.ascontiguousarray(each).view(np.int32) for each in rows]
    factors = np.random.default_rng(0).integers(-(2**62), 2**62, bits[0].shape[1])
    keys = [(each * factors).sum(axis=1) for each in bits]  # two splats with one key are told apart below
    shared = np.isin(keys[0], keys[1]), np.isin(keys[1], keys[0])
    if not np.array_equal(bits[0][shared[0]], bits[1][shared[1]]):
        return None
    return concatenate_splats([old.select(torch.from_numpy(~shared[0])), new.select(torch.from_numpy(~shared[1]))])


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same memory, seen in the same way."""
    return (one.data_ptr(), one.shape, one.stride()) == (other.data_ptr(), other.shape, other.stride())
