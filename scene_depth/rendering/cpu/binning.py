"""Lists of the splats that each tile draws, front to back, with a bit for each 4x4 block that a splat touches."""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import BARE, inlined, kernel, take_ticket
from scene_depth.kernels.simd import lane_numbers, maximum, minimum, square_root
from scene_depth.kernels.simd_memory import block_bits, prefetch
from scene_depth.rendering.cpu import layout
from scene_depth.rendering.cpu.layout import RECORD, TILE

_AHEAD = 16  # splats between a prefetch and the use
_MARGIN = np.float32(0.01)  # px; blocks are chosen generously, pixels are tested exactly when they are blended


@inlined(BARE)
def _touched_blocks(records, base, left, top):
    """Bits of the blocks of the tile at pixel (left, top) that the ellipse where the density is 1/255 overlaps."""
    mean_x, mean_y = records[base + layout.MEAN_X], records[base + layout.MEAN_Y]
    reach_y, reach_squared = records[base + layout.REACH_Y] + _MARGIN, records[base + layout.REACH_SQUARED]
    tip, shear = records[base + layout.TIP_Y], records[base + layout.SHEAR]
    row, inverse = records[base + layout.ROW], records[base + layout.CONIC_INVERSE]
    above = lane_numbers() * np.float32(4) + (np.float32(top) + np.float32(0.5) - mean_y)
    below = above + np.float32(3)
    # the rightmost point of the ellipse within rows above to below is at the tip, or at the row nearest to it
    right_row, left_row = minimum(maximum(above, tip), below), minimum(maximum(above, -tip), below)
    center = mean_x - np.float32(0.5) - np.float32(left)
    right_half = square_root(maximum(reach_squared - right_row * right_row * row, np.float32(0)) * inverse)
    left_half = square_root(maximum(reach_squared - left_row * left_row * row, np.float32(0)) * inverse)
    last = right_row * shear + right_half + (center + _MARGIN)
    first = left_row * shear - left_half + (center - _MARGIN)
    filled = (below >= -reach_y) & (above <= reach_y) & (last >= np.float32(0)) & (first <= np.float32(TILE - 1))
    return block_bits(maximum(first, np.float32(0)), minimum(last, np.float32(TILE - 1)), filled)


@kernel(BARE)
def count_entries(tickets, parts, splats, rectangles, tiles_x, counts):
    """How many entries each part of the sorted splats adds to each tile; a task is one part.

    Args:
        tickets: Counter of tasks.
        parts: Number of parts.
        splats: Visible splats in the order of depth  # [V]
        rectangles: First and last tile touched, x0, y0, x1, y1  # [N, 4]
        tiles_x: Tiles in a row.
        counts: Written  # [parts, tiles]
    """
    visible = splats.shape[0]
    while True:
        part = take_ticket(tickets)
        if part >= parts:
            break
        counts[part] = 0
        for index in range(visible * part // parts, visible * (part + 1) // parts):
            splat = np.int64(splats[index])
            if index + _AHEAD < visible:
                prefetch(rectangles, 4 * np.int64(splats[index + _AHEAD]))
            for tile_y in range(rectangles[splat, 1], rectangles[splat, 3] + 1):
                for tile_x in range(rectangles[splat, 0], rectangles[splat, 2] + 1):
                    counts[part, tile_y * tiles_x + tile_x] += 1


@kernel(BARE)
def place_entries(counts, starts):
    """Turns counts into the place of each part's first entry in each tile, and finds where each tile's list starts."""
    place = 0
    for tile in range(counts.shape[1]):
        starts[tile] = place
        for part in range(counts.shape[0]):
            amount = counts[part, tile]
            counts[part, tile] = place
            place += amount
    starts[counts.shape[1]] = place


@kernel(BARE)
def fill_entries(
    tickets, parts, splats, rectangles, slots, records, start_x, start_y, tiles_x, places,
    entry_splats, entry_slots, entry_blocks,
):  # fmt: skip
    """Writes the lists; a task is one part of the sorted splats.

    Args:
        tickets: Counter of tasks.
        parts: Number of parts.
        splats: Visible splats in the order of depth  # [V]
        rectangles: First and last tile touched  # [N, 4]
        slots: Number of tiles touched by the splats before  # [N]
        records: Projected splats, flat.
        start_x, start_y: Column and row of the first pixel drawn.
        tiles_x: Tiles in a row.
        places: Where each part's next entry goes, by tile; changed  # [parts, tiles]
        entry_splats: Splat of each entry; written  # [E]
        entry_slots: Place of the entry's gradient sums, those of one splat side by side; written  # [E]
        entry_blocks: Bits of the blocks touched; written  # [E]
    """
    visible = splats.shape[0]
    while True:
        part = take_ticket(tickets)
        if part >= parts:
            break
        for index in range(visible * part // parts, visible * (part + 1) // parts):
            splat = np.int64(splats[index])
            if index + _AHEAD < visible:
                ahead = np.int64(splats[index + _AHEAD])
                prefetch(records, RECORD * ahead)
                prefetch(rectangles, 4 * ahead)
                prefetch(slots, ahead)
            slot = slots[splat]
            for tile_y in range(rectangles[splat, 1], rectangles[splat, 3] + 1):
                for tile_x in range(rectangles[splat, 0], rectangles[splat, 2] + 1):
                    tile = tile_y * tiles_x + tile_x
                    place = places[part, tile]
                    places[part, tile] = place + 1
                    entry_splats[place], entry_slots[place] = splat, slot
                    left, top = start_x + tile_x * TILE, start_y + tile_y * TILE
                    entry_blocks[place] = _touched_blocks(records, RECORD * splat, left, top)
                    slot += 1
