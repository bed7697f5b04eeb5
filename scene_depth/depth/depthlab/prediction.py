"""Predicts depth of prepared views: encode, sample, decode; several views and members at once, or tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scene_depth.depth.depthlab.conditioning import image_context
from scene_depth.depth.depthlab.networks import LATENT_CHANNELS, DepthLabModel
from scene_depth.depth.depthlab.preparation import PreparedView
from scene_depth.depth.depthlab.sampler import Conditions, Sampling, StepTrace, sample
from scene_depth.depth.latent.vae import decode, encode

OVERLAP = 0.25  # of the side of a tile, at least
MEMBER_STRIDE = 1_000_003  # between the seeds of members, so that those of neighbouring seeds do not meet


def draw_noise(view: PreparedView, members: int, seed: int) -> tuple[Tensor, Tensor]:
    """The two draws of each member, on the CPU, so that every device gets the same.

    Returns:
        Noise for the start and for blending, and noise for the start at strength 1  # [E, 4, h, w] each
    """
    size = (LATENT_CHANNELS, *view.holes.shape[-2:])
    draws = []
    for member in range(members):
        generator = torch.Generator("cpu").manual_seed((seed + member * MEMBER_STRIDE) % 2**63)
        draws.append(torch.randn((2, *size), generator=generator))
    stacked = torch.stack(draws)
    return stacked[:, 0], stacked[:, 1]


def conditions_of(model: DepthLabModel, views: Sequence[PreparedView], context: Tensor, guided: bool) -> Conditions:
    """Encodes views of one size.

    Args:
        model: The networks.
        views: Prepared views of one size.
        context: Embeddings of their pictures  # [B, 1, D]
        guided: Whether the embedding of the empty text is needed.
    """

    def latents(name: str) -> Tensor:
        return torch.cat([encode(model.vae, getattr(view, name)) for view in views])

    return Conditions(
        rgb=latents("rgb"),
        mask=torch.cat([encode(model.vae, 2 * view.mask - 1) for view in views]),
        masked_depth=latents("masked_depth"),
        start=latents("start"),
        holes=torch.cat([view.holes for view in views]).to(model.device),
        context=context,
        unconditional=model.unconditional() if guided else None,
    )


@torch.inference_mode()
def predict(
    model: DepthLabModel,
    views: Sequence[PreparedView],
    noise: Sequence[tuple[Tensor, Tensor]],
    sampling: Sampling,
    *,
    rows: int = 1,
    context: Tensor | None = None,
    on_step: Callable[[StepTrace], None] | None = None,
) -> list[Tensor]:
    """Decoded, normalised depth of views of one size.

    Args:
        model: The networks.
        views: Prepared views of one size.
        noise: For each view its draws, as ``draw_noise`` gives them.
        sampling: How.
        rows: Predictions that run together at most, each member of each view counted; at least the views.
        context: Embeddings in place of those of the views' pictures  # [B, 1, D]
        on_step: Called after every step.

    Returns:
        For each view  # [E, 1, H', W']
    """
    if context is None:
        context = image_context(model.image_encoder, model.mapping, [view.picture for view in views])
    conditions = conditions_of(model, views, context, sampling.guidance_scale != 1)
    members = len(noise[0][0])
    together = max(1, rows // len(views))
    found: list[list[Tensor]] = [[] for _ in views]
    for first in range(0, members, together):
        some = slice(first, min(first + together, members))
        draws = [torch.cat([draw[kind][some] for draw in noise]).to(model.device) for kind in (0, 1)]
        latents = sample(model.networks, model.schedule, conditions, draws[0], draws[1], sampling, on_step)
        for index, part in enumerate(latents.chunk(len(views))):
            found[index] += [decode(model.vae, latent[None]).float().cpu() for latent in part]
    return [torch.cat(maps) for maps in found]


@torch.inference_mode()
def predict_tiled(
    model: DepthLabModel, view: PreparedView, noise: tuple[Tensor, Tensor], sampling: Sampling, side: int, *, rows: int = 1
) -> Tensor:
    """Decoded, normalised depth of one large view from overlapping tiles, blended where they meet.

    Tiles share the normalisation, the noise and the embedding of the whole picture. Each sees only its part, so the view
    must start from depth that is right at large, with a strength that leaves it so.

    Args:
        model: The networks.
        view: Prepared at the size that is wanted.
        noise: As ``draw_noise`` gives it for the whole view.
        sampling: How; its strength should be small.
        side: Side of the tiles in pixels; what bounds the memory.
        rows: As in ``predict``.

    Returns:
        # [E, 1, H', W']
    """
    cell = view.rgb.shape[-1] // view.holes.shape[-1]
    height, width = view.rgb.shape[-2:]
    places = windows(height, width, side, cell)
    context = image_context(model.image_encoder, model.mapping, [view.picture])
    total = torch.zeros(len(noise[0]), 1, height, width)
    weight = torch.zeros(height, width)
    for place in places:
        rows_of, columns_of = place.divided(cell).slices
        draws = noise[0][..., rows_of, columns_of], noise[1][..., rows_of, columns_of]
        part = predict(model, [crop(view, place, cell)], [draws], sampling, rows=rows, context=context)[0]
        share = tile_weights(place, height, width)
        down, right = place.slices
        total[..., down, right] += share * part
        weight[down, right] += share
    return total / weight


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels or cells."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def divided(self, cell: int) -> Window:
        """The same rectangle in latent cells."""
        return Window(self.top // cell, self.left // cell, self.height // cell, self.width // cell)


def windows(height: int, width: int, side: int, cell: int) -> list[Window]:
    """Tiles that cover an area, evenly spread, with corners on latent cells.

    Args:
        height, width: Of the area, multiples of ``cell``.
        side: Largest side of a tile.
        cell: Pixels of the side of a latent cell.
    """
    rows, columns = _starts(height, side, cell), _starts(width, side, cell)
    tall, wide = (min(size, side // cell * cell) for size in (height, width))
    return [Window(top, left, tall, wide) for top in rows for left in columns]


def _starts(length: int, side: int, cell: int) -> list[int]:
    side = side // cell * cell
    if length <= side:
        return [0]
    count = 1 + -(-(length - side) // max(cell, int(side * (1 - OVERLAP))))
    return [round(index * (length - side) / (count - 1) / cell) * cell for index in range(count)]


def crop(view: PreparedView, place: Window, cell: int) -> PreparedView:
    """The part of a prepared view in a window; the normalisation and the picture stay those of the whole."""
    rows, columns = place.slices
    down, right = place.divided(cell).slices
    parts = {name: getattr(view, name)[..., rows, columns] for name in ("rgb", "mask", "masked_depth", "start")}
    return replace(view, **parts, holes=view.holes[..., down, right], size=(place.height, place.width))


def tile_weights(place: Window, height: int, width: int) -> Tensor:
    """Weights that fall off linearly towards sides at which other tiles join, never to 0  # [h, w]"""
    down = _ramp(place.height, place.top > 0, place.top + place.height < height)
    right = _ramp(place.width, place.left > 0, place.left + place.width < width)
    return down[:, None] * right


def _ramp(length: int, before: bool, after: bool) -> Tensor:
    width = max(1, int(length * OVERLAP))
    position = torch.arange(length, dtype=torch.float32) + 0.5
    weights = torch.ones(length)
    if before:
        weights = torch.minimum(weights, position / width)
    if after:
        weights = torch.minimum(weights, (length - position) / width)
    return weights
