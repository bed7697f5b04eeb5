"""One camera's image of the splats and its gradients: the stages in their order, with the work space of one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scene_depth.kernels import run_tasks
from scene_depth.kernels.simd_functions import EXP2_TABLE
from scene_depth.rendering.cpu.binning import count_entries, fill_entries, place_entries
from scene_depth.rendering.cpu.blending import blend
from scene_depth.rendering.cpu.blending_adjoint import blend_adjoint
from scene_depth.rendering.cpu.layout import CAMERA_SUMS, CHUNK, RECORD, TILE
from scene_depth.rendering.cpu.projection import project
from scene_depth.rendering.cpu.projection_adjoint import project_adjoint
from scene_depth.rendering.cpu.sorting import sort_by_depth

_SPLATS_A_PART = 8192  # sorted splats of one binning task; the lists come out the same for any number
_MOST_PARTS = 64
_CACHE = 16 << 20  # bytes of SH gradients that will not stay in the cache until they are used


@dataclass(frozen=True)
class SplatArrays:
    """Parameters of N splats as flat float32 arrays; see ``GaussianSplats``."""

    means: np.ndarray
    quats: np.ndarray
    log_scales: np.ndarray
    logits: np.ndarray
    sh: np.ndarray

    @property
    def count(self) -> int:
        """Number of splats."""
        return len(self.logits)

    @property
    def bands(self) -> int:
        """SH coefficients a splat has."""
        return len(self.sh) // (3 * max(self.count, 1))


@dataclass(frozen=True)
class View:
    """How one image is drawn.

    Attributes:
        camera: See ``geometry.pack_camera``  # [24]
        width: In pixels.
        height: In pixels.
        degree: SH degree to use.
        antialiased: Whether opacities are lowered as the blur widens the footprint.
        background: RGB behind the splats, float32  # [3]
    """

    camera: np.ndarray
    width: int
    height: int
    degree: int
    antialiased: bool
    background: np.ndarray


@dataclass(frozen=True)
class Images:
    """What drawing writes, flat float32 arrays of height * width pixels; ``median`` may be None."""

    rgb: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray
    median: np.ndarray | None


@dataclass(frozen=True)
class Frame:
    """What the gradients need from the drawing of one image; see the kernels for the arrays."""

    records: np.ndarray
    flags: np.ndarray
    slots: np.ndarray
    tiles: np.ndarray
    starts: np.ndarray
    entry_splats: np.ndarray
    entry_slots: np.ndarray
    entry_blocks: np.ndarray
    transmittance: np.ndarray
    stops: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray


def draw(splats: SplatArrays, view: View, images: Images, radii: np.ndarray) -> Frame:
    """Draws one image.

    Args:
        splats: The splats.
        view: Camera and options.
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
        view.degree, view.camera, view.antialiased, records, flags, keys, rectangles, slots, chunk_slots,
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

    tiles_x, tiles_y = (view.width + TILE - 1) // TILE, (view.height + TILE - 1) // TILE
    parts = min(_MOST_PARTS, visible // _SPLATS_A_PART + 1)
    counts = np.empty((parts, tiles_x * tiles_y), np.int64)
    starts = np.empty(tiles_x * tiles_y + 1, np.int64)
    run_tasks(count_entries, parts, parts, order, rectangles, tiles_x, counts)
    place_entries(counts, starts)
    entry_splats, entry_slots = np.empty(entries, np.int32), np.empty(entries, np.int32)
    entry_blocks = np.empty(entries, np.uint64)
    run_tasks(
        fill_entries, parts, parts, order, rectangles, slots, records, tiles_x, counts,
        entry_splats, entry_slots, entry_blocks,
    )  # fmt: skip

    tiles = np.argsort(starts[:-1] - starts[1:], kind="stable")
    pixels = view.width * view.height
    transmittance, stops = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    run_tasks(
        blend, len(tiles), tiles, starts, entry_splats, entry_blocks, records, view.width, view.height, view.background,
        images.rgb, images.alpha, images.depth, transmittance, stops, images.median,
        EXP2_TABLE,
    )  # fmt: skip
    return Frame(
        records, flags, slots, tiles, starts, entry_splats, entry_slots, entry_blocks, transmittance, stops,
        images.alpha, images.depth,
    )  # fmt: skip


@dataclass(frozen=True)
class Gradients:
    """Gradients of one image, of the splats' parameters (added up over cameras) and of what belongs to the camera.

    Attributes:
        splats: By the parameters.
        means2d: By the projected means in 1/px, with room for a multiple of 16 splats, flat.
        absolute_means2d: Sum over pixels of its absolute value, likewise; or None.
    """

    splats: SplatArrays
    means2d: np.ndarray
    absolute_means2d: np.ndarray | None


def draw_adjoint(
    splats: SplatArrays, view: View, frame: Frame, grad_images: Images, gradients: Gradients, accumulate: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of a loss from its gradients by the images.

    Args:
        splats, view: As they were given to ``draw``.
        frame: What ``draw`` returned.
        grad_images: Gradients by the images.
        gradients: Written, or added to.
        accumulate: Whether to add to the gradients of the parameters.

    Returns:
        Gradient by the rotation from world to camera  # [3, 3]
        Gradient by the camera's position  # [3]
    """
    sums = np.empty(len(frame.entry_splats) * RECORD, np.float32)
    run_tasks(
        blend_adjoint, len(frame.tiles), frame.tiles, frame.starts, frame.entry_splats, frame.entry_slots, frame.entry_blocks,
        frame.records, view.width, view.height, view.background, frame.transmittance, frame.stops, frame.alpha, frame.depth,
        grad_images.rgb, grad_images.alpha, grad_images.depth, sums, gradients.absolute_means2d, EXP2_TABLE,
    )  # fmt: skip
    chunks = (splats.count + CHUNK - 1) // CHUNK
    streaming = not accumulate and splats.sh.nbytes > _CACHE and gradients.splats.sh.ctypes.data % 64 == 0
    camera_sums = np.empty((chunks, CAMERA_SUMS), np.float32)
    out = gradients.splats
    run_tasks(
        project_adjoint, chunks, splats.count, splats.means, splats.quats, splats.log_scales, splats.logits, splats.sh,
        splats.bands, view.degree, view.camera, view.antialiased, accumulate, streaming, frame.flags, frame.slots, sums,
        out.means, out.quats, out.log_scales, out.logits, out.sh,
        gradients.means2d, gradients.absolute_means2d, camera_sums,
    )  # fmt: skip
    totals = camera_sums.sum(axis=0, dtype=np.float64)
    return totals[:9].reshape(3, 3), -totals[9:]
