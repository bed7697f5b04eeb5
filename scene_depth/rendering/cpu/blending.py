"""Blending: colour, alpha and depth of every pixel, front to back.

A task is one tile. Entries are taken 256 at a time; for each block of 16 pixels the kernel runs through those of them that
touch the block, so that the block's state stays in registers. Which they are is found by transposing the entries' block
bits: a word of 64 bits a block, one bit an entry.

The rules are those of 3D Gaussian splatting: alpha is capped at 0.999, splats below 1/255 are skipped, and a pixel is
finished before the splat that would bring its transmittance to 1e-4 or less.
"""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import BARE, inlined, kernel, take_ticket
from scene_depth.kernels.simd import (
    all_lanes,
    floor,
    lane_numbers,
    maximum,
    minimum,
    multiply_add,
    select,
    trailing_zeros,
    vector_of,
)
from scene_depth.kernels.simd_functions import exp2, load_exp2_table
from scene_depth.kernels.simd_memory import (
    broadcast_load,
    load,
    prefetch,
    stack_floats,
    stack_words,
    store,
    store_pixels,
    store_rgb,
)
from scene_depth.rendering.cpu import layout
from scene_depth.rendering.cpu.layout import ALPHA_MAX, BLOCK, BLOCKS, LOG2_ALPHA_MIN, RECORD, TILE, TRANSMITTANCE_MIN

WORDS = 4  # entries are taken 64 * WORDS at a time
ENTRIES = 64 * WORDS
_NEAR = ENTRIES * RECORD
_T, _LAST, _COVERED, _RED, _GREEN, _BLUE, _DEPTH, _STOP, _MEDIAN = (16 * field for field in range(9))
_FIELDS = 16 * 9
_STATE = BLOCKS * _FIELDS
_HALF = np.float32(0.5)
_LEAST = np.float32(1e-30)  # keeps products of transmittances from becoming denormal, which is slow


@inlined(BARE)
def lane_offsets():
    """Column and row of each lane's pixel in its block."""
    lanes = lane_numbers()
    rows = floor(lanes * np.float32(1 / BLOCK))
    return lanes - rows * np.float32(BLOCK), rows


@inlined(BARE)
def tile_start(records, record, left, top):
    """v and w of a splat, see ``layout``, at the centre of a tile's first pixel."""
    dx = np.float32(left) + _HALF - records[record + layout.MEAN_X]
    dy = np.float32(top) + _HALF - records[record + layout.MEAN_Y]
    return records[record + layout.ACROSS] * dx - records[record + layout.SLANT] * dy, records[record + layout.DOWN] * dy


@inlined(BARE)
def blocks_across(pixels):
    """Blocks that a tile has along an axis on which ``pixels`` are left."""
    return (min(TILE, pixels) + BLOCK - 1) // BLOCK


@inlined(BARE)
def _transpose_bits(rows, start):
    """Transposes 64 words of 64 bits: swaps halves, quarters, ... of the bits between rows as far apart."""
    distance = 32
    kept = np.uint64(0x00000000FFFFFFFF)
    while distance:
        for pair in range(0, 64, 2 * distance):
            for row in range(start + pair, start + pair + distance):
                swap = ((rows[row] >> np.uint64(distance)) ^ rows[row + distance]) & kept
                rows[row + distance] ^= swap
                rows[row] ^= swap << np.uint64(distance)
        distance >>= 1
        kept ^= kept << np.uint64(distance)


@inlined(BARE)
def _open_blocks(state, left, top, width, height):
    """Sets all pixels of the tile to empty, those outside the image to finished; returns a bit for each block."""
    zero = vector_of(np.float32(0))
    columns, rows = lane_offsets()
    opened = np.uint64(0)
    for block_y in range(blocks_across(height - top)):
        for block_x in range(blocks_across(width - left)):
            block = 8 * block_y + block_x
            opened |= np.uint64(1) << np.uint64(block)
            x, y = left + BLOCK * block_x, top + BLOCK * block_y
            inside = (columns < np.float32(width - x)) & (rows < np.float32(height - y))
            base = _FIELDS * block
            store(state, base + _T, select(inside, vector_of(np.float32(1)), zero))
            store(state, base + _LAST, vector_of(np.float32(1)))
            for field in range(_COVERED, _STOP, 16):
                store(state, base + field, zero)
            store(state, base + _STOP, zero)
            store(state, base + _MEDIAN, zero)
    return opened


@inlined(BARE)
def _blend_block(state, block, words, word_count, records, median, exp2_table):
    """Adds the entries that touch one block to its pixels; returns whether all its pixels are finished.

    The transmittance of a finished pixel goes on falling, which tells that it is finished without a dependence of each
    entry on the test of the one before; ``last`` keeps the value that counts.
    """
    base = _FIELDS * block
    transmittance, last, stop = load(state, base + _T), load(state, base + _LAST), load(state, base + _STOP)
    red, green, blue = load(state, base + _RED), load(state, base + _GREEN), load(state, base + _BLUE)
    covered, depth, middle = load(state, base + _COVERED), load(state, base + _DEPTH), load(state, base + _MEDIAN)
    columns, rows = lane_offsets()
    pixel_x, pixel_y = columns + np.float32(BLOCK * (block & 7)), rows + np.float32(BLOCK * (block >> 3))
    table = load_exp2_table(exp2_table)
    finished = False
    for word in range(word_count):
        bits = words[64 * word + block]
        transmittance = maximum(transmittance, _LEAST)
        while bits:
            entry = 64 * word + np.int64(trailing_zeros(bits))
            bits &= bits - np.uint64(1)
            record = RECORD * entry
            w = pixel_y * broadcast_load(records, record + layout.DOWN) + broadcast_load(records, record + layout.START_W)
            v = pixel_x * broadcast_load(records, record + layout.ACROSS) + broadcast_load(records, record + layout.START_V)
            v = v - pixel_y * broadcast_load(records, record + layout.SLANT)
            exponent = broadcast_load(records, record + layout.LOG2_OPACITY) - w * w - v * v
            alpha = minimum(exp2(exponent, table), ALPHA_MAX)
            alpha = select(exponent >= LOG2_ALPHA_MIN, alpha, np.float32(0))
            rest = multiply_add(-alpha, transmittance, transmittance)
            spent = rest <= TRANSMITTANCE_MIN
            last = select(spent, last, rest)
            stop = select(spent, stop, broadcast_load(records, record + layout.NUMBER))
            weight = select(spent, np.float32(0), alpha * transmittance)
            covered = covered + weight
            red = red + weight * broadcast_load(records, record + layout.RED)
            green = green + weight * broadcast_load(records, record + layout.GREEN)
            blue = blue + weight * broadcast_load(records, record + layout.BLUE)
            depth = depth + weight * broadcast_load(records, record + layout.DEPTH)
            if median is not None:
                crossing = (transmittance > _HALF) & (rest <= _HALF) & (weight > np.float32(0))
                middle = select(crossing, broadcast_load(records, record + layout.DEPTH), middle)
            transmittance = rest
            if all_lanes(spent):
                finished = True
                break
        if finished:
            break
    store(state, base + _T, transmittance)
    store(state, base + _LAST, last)
    store(state, base + _STOP, stop)
    store(state, base + _COVERED, covered)
    store(state, base + _RED, red)
    store(state, base + _GREEN, green)
    store(state, base + _BLUE, blue)
    store(state, base + _DEPTH, depth)
    if median is not None:
        store(state, base + _MEDIAN, middle)
    return finished


@inlined(BARE)
def _write_block(state, block, x, y, width, height, background, rgb, alpha, depth, transmittance, stops, median):
    """The finished pixels of a block into the images; the depth is divided by alpha.

    Of the two sums that give alpha, that of the weights is exact to rounding where alpha is small, 1 - transmittance where
    it is large.
    """
    base = _FIELDS * block
    rest = load(state, base + _LAST)
    red = load(state, base + _RED) + rest * background[0]
    green = load(state, base + _GREEN) + rest * background[1]
    blue = load(state, base + _BLUE) + rest * background[2]
    covered = load(state, base + _COVERED)
    covered = select(covered < _HALF, covered, 1.0 - rest)
    mean_depth = select(covered > np.float32(0), load(state, base + _DEPTH) / covered, np.float32(0))
    pixel = y * width + x
    if x + BLOCK <= width and y + BLOCK <= height:
        store_rgb(rgb, 3 * pixel, width, red, green, blue)
        store_pixels(alpha, pixel, width, covered)
        store_pixels(depth, pixel, width, mean_depth)
        store_pixels(transmittance, pixel, width, rest)
        store_pixels(stops, pixel, width, load(state, base + _STOP))
        if median is not None:
            store_pixels(median, pixel, width, load(state, base + _MEDIAN))
        return
    store(state, base + _RED, red)
    store(state, base + _GREEN, green)
    store(state, base + _BLUE, blue)
    store(state, base + _DEPTH, mean_depth)
    store(state, base + _COVERED, covered)
    for lane in range(BLOCK * BLOCK):
        column, row = lane % BLOCK, lane // BLOCK
        if x + column < width and y + row < height:
            place = pixel + row * width + column
            rgb[3 * place] = state[base + _RED + lane]
            rgb[3 * place + 1] = state[base + _GREEN + lane]
            rgb[3 * place + 2] = state[base + _BLUE + lane]
            alpha[place] = state[base + _COVERED + lane]
            depth[place] = state[base + _DEPTH + lane]
            transmittance[place] = state[base + _LAST + lane]
            stops[place] = state[base + _STOP + lane]
            if median is not None:
                median[place] = state[base + _MEDIAN + lane]


@kernel(BARE)
def blend(
    tickets, tiles, starts, entry_splats, entry_blocks, records, start_x, start_y, width, height, background,
    rgb, alpha, depth, transmittance, stops, median, exp2_table,
):  # fmt: skip
    """Blends all tiles.

    Args:
        tickets: Counter of tasks.
        tiles: Tiles in the order of work, those with most entries first  # [tiles]
        starts: Where the list of each tile starts and the last ends  # [tiles + 1]
        entry_splats, entry_blocks: The lists, see ``binning``  # [E]
        records: Projected splats, flat, see ``layout``.
        start_x, start_y: Column and row of the first pixel drawn.
        width, height: Of what is drawn, in pixels.
        background: Red, green and blue behind the splats  # [3]
        rgb, alpha, depth: Images, flat; written. The depth is the mean z-depth, 0 where alpha is 0.
        transmittance: 1 - alpha, exact to rounding where it is small, flat; written.
        stops: Number in its tile's list, from 1, of the last entry that the pixel has seen, flat; written.
        median: Depth of the splat at which the transmittance falls to 1/2, 0 if it does not, flat; written. Or None.
        exp2_table: ``EXP2_TABLE``.
    """
    tiles_x = (width + TILE - 1) // TILE
    state = stack_floats(_STATE)
    words = stack_words(ENTRIES)
    near = stack_floats(_NEAR)  # records of the entries at hand, means relative to the tile
    while True:
        ticket = take_ticket(tickets)
        if ticket >= tiles.shape[0]:
            break
        tile = tiles[ticket]
        left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        opened = _open_blocks(state, left, top, width, height)
        remaining = opened
        start, end = starts[tile], starts[tile + 1]
        for first in range(start, end, ENTRIES):
            if remaining == np.uint64(0):
                break
            amount = min(ENTRIES, end - first)
            word_count = (amount + 63) // 64
            for entry in range(64 * word_count):
                words[entry] = entry_blocks[first + entry] if entry < amount else np.uint64(0)
            for entry in range(amount):
                if entry + 8 < amount:
                    prefetch(records, RECORD * np.int64(entry_splats[first + entry + 8]))
                record = RECORD * np.int64(entry_splats[first + entry])
                place = RECORD * entry
                store(near, place, load(records, record))
                start_v, start_w = tile_start(records, record, start_x + left, start_y + top)
                near[place + layout.START_V], near[place + layout.START_W] = start_v, start_w
                near[place + layout.NUMBER] = np.float32(first - start + entry + 1)
            for word in range(word_count):
                _transpose_bits(words, 64 * word)
            blocks = remaining
            while blocks:
                block = np.int64(trailing_zeros(blocks))
                blocks &= blocks - np.uint64(1)
                if _blend_block(state, block, words, word_count, near, median, exp2_table):
                    remaining &= ~(np.uint64(1) << np.uint64(block))
        for block_y in range(blocks_across(height - top)):
            for block_x in range(blocks_across(width - left)):
                x, y = left + BLOCK * block_x, top + BLOCK * block_y
                place = 8 * block_y + block_x
                _write_block(state, place, x, y, width, height, background, rgb, alpha, depth, transmittance, stops, median)
