"""One camera's image of the splats and its gradients: the stages in their order, with the work space of one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import run_tasks
from scene_depth.kernels.simd_functions import EXP2_TABLE
from scene_depth.rendering.cpu.binning import count_entries, fill_entries, place_entries
from scene_depth.rendering.cpu.blending import blend
from scene_depth.rendering.cpu.blending_adjoint import blend_adjoint
from scene_depth.rendering.cpu.layout import BOTTOM, CAMERA_SUMS, CHUNK, LEFT, RECORD, RIGHT, TILE, TOP
from scene_depth.rendering.cpu.projection import project
from scene_depth.rendering.cpu.projection_adjoint import project_adjoint
from scene_depth.rendering.cpu.sorting import sort_by_depth
from scene_depth.rendering.rasterization import RenderOptions

Floats = NDArray[np.float32]
_SPLATS_A_PART = 8192  # sorted splats of one binning task; the lists come out the same for any number
_MOST_PARTS = 64
_CACHE = 16 << 20  # bytes of SH gradients that will not stay in the cache until they are used


@dataclass(frozen=True)
class SplatArrays:
    """Parameters of N splats as flat float32 arrays; see ``GaussianSplats``."""

    means: Floats
    quats: Floats
    log_scales: Floats
    logits: Floats
    sh: Floats

    @property
    def count(self) -> int:
        """Number of splats."""
        return len(self.logits)

    @property
    def bands(self) -> int:
        """SH coefficients a splat has."""
        return len(self.sh) // (3 * max(self.count, 1))


@dataclass(frozen=True)
class Images:
    """What drawing writes, flat arrays of height * width pixels; its gradient has no median."""

    rgb: Floats
    alpha: Floats
    depth: Floats
    median: Floats | None = None


@dataclass(frozen=True)
class Frame:
    """What the gradients need from the drawing of one image; see the kernels for the arrays."""

    records: Floats
    flags: NDArray[np.int32]
    slots: NDArray[np.int32]
    tiles: NDArray[np.int64]
    starts: NDArray[np.int64]
    entry_splats: NDArray[np.int32]
    entry_slots: NDArray[np.int32]
    entry_blocks: NDArray[np.uint64]
    transmittance: Floats
    stops: Floats
    alpha: Floats
    depth: Floats


def draw(
    splats: SplatArrays, camera: Floats, options: RenderOptions, index: int, images: Images, radii: NDArray[np.int32]
) -> Frame:
    """Draws one image.

    Args:
        splats: The splats.
        camera: See ``geometry.pack_camera``  # [26]
        options: Of the rendering.
        index: Number of the camera, whose background is taken.
        images: Written.
        radii: Largest reach of each splat in whole pixels, 0 for hidden ones, int32; written  # [N]

    Returns:
        What ``draw_adjoint`` needs.
    """
    count = splats.count
    padded = (count + 15) // 16 * 16
    chunks = (count + CHUNK - 1) // CHUNK
    records = np.empty(padded * RECORD, np.float32)
    keys = np.empty(padded, np.uint32)
    flags = np.empty(padded, np.int32)
    rectangles = np.empty((padded, 4), np.int16)
    slots = np.empty(chunks * CHUNK + 1, np.int32)
    chunk_slots, chunk_visible = np.empty(chunks, np.int64), np.empty(chunks, np.int64)
    padded_radii = np.empty(padded, np.int32)
    run_tasks(
        project, chunks, count, splats.means, splats.quats, splats.log_scales, splats.logits, splats.sh, splats.bands,
        options.sh_degree, camera, options.antialiased, records, flags, keys, rectangles, slots, chunk_slots,
        chunk_visible, padded_radii,
    )  # fmt: skip
    radii[:] = padded_radii[:count]
    visible = int(chunk_visible.sum())
    entries = int(chunk_slots.sum())
    slots[:-1].reshape(chunks, CHUNK)[:] += (np.cumsum(chunk_slots) - chunk_slots).astype(np.int32)[:, None]
    slots[-1] = entries
    work = np.empty((4, visible), np.uint32)
    sort_by_depth(keys, count, work[0], work[1], work[2], work[3])
    order = work[3].view(np.int32)

    left, top, width, height = _drawn_part(camera)
    tiles_x, tiles_y = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    parts = min(_MOST_PARTS, visible // _SPLATS_A_PART + 1)
    counts = np.empty((parts, tiles_x * tiles_y), np.int64)
    starts = np.empty(tiles_x * tiles_y + 1, np.int64)
    run_tasks(count_entries, parts, parts, order, rectangles, tiles_x, counts)
    place_entries(counts, starts)
    entry_splats, entry_slots = np.empty(entries, np.int32), np.empty(entries, np.int32)
    entry_blocks = np.empty(entries, np.uint64)
    run_tasks(
        fill_entries, parts, parts, order, rectangles, slots, records, left, top, tiles_x, counts,
        entry_splats, entry_slots, entry_blocks,
    )  # fmt: skip

    tiles = np.argsort(starts[:-1] - starts[1:], kind="stable")
    pixels = width * height
    transmittance, stops = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    run_tasks(
        blend, len(tiles), tiles, starts, entry_splats, entry_blocks, records, left, top, width, height,
        options.background[index].numpy(), images.rgb, images.alpha, images.depth, transmittance, stops, images.median,
        EXP2_TABLE,
    )  # fmt: skip
    return Frame(
        records, flags, slots, tiles, starts, entry_splats, entry_slots, entry_blocks, transmittance, stops,
        images.alpha, images.depth,
    )  # fmt: skip


def _drawn_part(camera: Floats) -> tuple[int, int, int, int]:
    """Column and row of the first pixel drawn, width and height of what is drawn."""
    left, top = int(camera[LEFT]), int(camera[TOP])
    return left, top, int(camera[RIGHT]) - left, int(camera[BOTTOM]) - top


@dataclass(frozen=True)
class Gradients:
    """Gradients of one image, of the splats' parameters (added up over cameras) and of what belongs to the camera.

    Attributes:
        splats: By the parameters.
        means2d: By the projected means in 1/px, with room for a multiple of 16 splats, flat.
        absolute_means2d: Sum over pixels of its absolute value, likewise; or None.
    """

    splats: SplatArrays
    means2d: Floats
    absolute_means2d: Floats | None


def draw_adjoint(
    splats: SplatArrays,
    camera: Floats,
    options: RenderOptions,
    index: int,
    frame: Frame,
    grad_images: Images,
    gradients: Gradients,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradients of a loss from its gradients by the images.

    Args:
        splats, camera, options, index: As they were given to ``draw``.
        frame: What ``draw`` returned.
        grad_images: Gradients by the images.
        gradients: Written; those by the parameters are added to from the second camera on.

    Returns:
        Gradient by the rotation from world to camera  # [3, 3]
        Gradient by the camera's position  # [3]
    """
    sums = np.empty(len(frame.entry_splats) * RECORD, np.float32)
    run_tasks(
        blend_adjoint, len(frame.tiles), frame.tiles, frame.starts, frame.entry_splats, frame.entry_slots, frame.entry_blocks,
        frame.records, *_drawn_part(camera), options.background[index].numpy(), frame.transmittance,
        frame.stops, frame.alpha, frame.depth, grad_images.rgb, grad_images.alpha, grad_images.depth, sums,
        gradients.absolute_means2d, EXP2_TABLE,
    )  # fmt: skip
    chunks, accumulate = (splats.count + CHUNK - 1) // CHUNK, index > 0
    streaming = not accumulate and splats.sh.nbytes > _CACHE and gradients.splats.sh.ctypes.data % 64 == 0
    camera_sums = np.empty((chunks, CAMERA_SUMS), np.float32)
    out = gradients.splats
    absolute = gradients.absolute_means2d
    run_tasks(
        project_adjoint, chunks, splats.count, splats.means, splats.quats, splats.log_scales, splats.logits, splats.sh,
        splats.bands, options.sh_degree, camera, options.antialiased, accumulate, streaming, frame.flags, frame.slots, sums,
        out.means, out.quats, out.log_scales, out.logits, out.sh,
        gradients.means2d, np.empty(0, np.float32) if absolute is None else absolute, camera_sums,
    )  # fmt: skip
    totals = camera_sums.sum(axis=0, dtype=np.float64)
    return totals[:9].reshape(3, 3), -totals[9:]
