"""Splats that never change beside splats that do: one set for rendering, gradients for the changing ones alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.rendering.bounds import footprint_bounds, touching_splats
from scene_depth.spherical_harmonics import C0, sh_basis
from scene_depth.splats import PARAMETERS, GaussianSplats, concatenate_splats


def join_frozen(frozen: GaussianSplats | None, changing: GaussianSplats) -> GaussianSplats:
    """A new set of the frozen splats, if there are any, and after them the changing ones."""
    return changing if frozen is None else concatenate_splats([frozen, changing])


@dataclass
class FrozenNeighbours:
    """Joins frozen with changing splats once a step, in memory that is kept from step to step.

    A scene of some 100,000 frozen splats would else be copied at every step, which costs as much as rendering it. The
    frozen splats themselves are only read.

    Attributes:
        frozen: Splats that never change.
    """

    frozen: GaussianSplats
    _joined: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    def join(self, changing: GaussianSplats) -> GaussianSplats:
        """Frozen splats, then changing ones; gradients flow into the changing ones.

        The result is valid until the next call, which writes into the same memory.
        """
        if not self._fits(changing):
            joined = concatenate_splats([self.frozen, changing.detach()])
            self._joined = {name: getattr(joined, name) for name in PARAMETERS}
        first = len(self.frozen)
        rows = {name: _PutRows.apply([self._joined[name]], first, getattr(changing, name)) for name in PARAMETERS}
        return GaussianSplats(**rows, antialiased=self.frozen.antialiased)

    def _fits(self, changing: GaussianSplats) -> bool:
        if not self._joined:
            return False
        sh = self._joined["sh"]
        return len(sh) == len(self.frozen) + len(changing) and sh.shape[1] >= changing.sh.shape[1]


@dataclass
class FrozenByView:
    """Joins changing splats with those frozen ones that may show in a view: the same picture and gradients as with all.

    Which these are is found once a view, and so are their colours as the view sees them, which spares their spherical harmonics
    at every step and is the same but for rounding; bit for bit for splats of SH degree 0. Copies are kept while ``cache_bytes``
    allow.

    Attributes:
        frozen: Splats that never change.
        cache_bytes: Limit of the memory for copies.
    """

    frozen: GaussianSplats
    cache_bytes: int
    _kept: dict[object, FrozenNeighbours] = field(default_factory=dict, init=False, repr=False)
    _used_bytes: int = field(default=0, init=False, repr=False)

    def join(self, changing: GaussianSplats, view: object, camera: Cameras) -> GaussianSplats:
        """Frozen splats that may show, then changing ones; see ``FrozenNeighbours.join``.

        Args:
            changing: The splats that change.
            view: Key of the view; one key has one camera.
            camera: One camera.
        """
        found = self._kept.get(view)
        if found is None:
            bounds = footprint_bounds(self.frozen, camera)
            shown = self.frozen.select(touching_splats(bounds, (0, 0, camera.width, camera.height)))
            found = FrozenNeighbours(_as_seen(shown, camera))
            size = 2 * sum(getattr(found.frozen, name).nbytes for name in PARAMETERS)  # the splats, and the joined set
            if self._used_bytes + size <= self.cache_bytes:
                self._kept[view], self._used_bytes = found, self._used_bytes + size
        return found.join(changing)


def _as_seen(splats: GaussianSplats, camera: Cameras) -> GaussianSplats:
    """The splats with SH degree 0 and, to rounding, the colours that they have from a camera."""
    if splats.sh_degree == 0:
        return splats
    directions = torch.nn.functional.normalize(splats.means - camera.centers[0].to(splats.means), dim=-1)
    colors = torch.einsum("nk,nkc->nc", sh_basis(splats.sh_degree, directions), splats.sh)
    return replace(splats, sh=(colors / C0)[:, None])


class _PutRows(torch.autograd.Function):
    """Writes values over the last rows of a buffer and gives the whole; only the values have a gradient."""

    @staticmethod
    def forward(ctx: Any, holder: list[Tensor], first: int, values: Tensor) -> Tensor:
        (buffer,) = holder  # in a list, so that autograd does not take it for an input
        ctx.first, ctx.bands = first, values.shape[1] if values.ndim == 3 else None  # spherical harmonics may have fewer
        if ctx.bands is None:
            buffer[first:] = values
        else:
            buffer[first:, : ctx.bands] = values
            buffer[first:, ctx.bands :] = 0
        return buffer.detach()

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[None, None, Tensor]:
        rows = outer[0][ctx.first :]
        return None, None, rows if ctx.bands is None else rows[:, : ctx.bands]
