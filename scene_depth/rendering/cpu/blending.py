"""Blending: colour, alpha and depth of every pixel, front to back.

A task is one tile. Entries are taken 256 at a time; for each block of 16 pixels the kernel runs through those of them that
touch the block, so that the block's state stays in registers. Which they are is found by transposing the entries' block
bits: a word of 64 bits a block, one bit an entry.

The rules are those of 3D Gaussian splatting: alpha is capped at 0.999, splats below 1/255 are skipped, and a pixel is
finished before the splat that would bring its transmittance to 1e-4 or less.
"""

from __future__ import annotations

import numpy as np

from scene_depth.rendering.cpu import layout
from scene_depth.rendering.cpu.compiling import device_function, kernel
from scene_depth.rendering.cpu.layout import ALPHA_MAX, ALPHA_MIN, BLOCK, BLOCKS, RECORD, TILE, TRANSMITTANCE_MIN
from scene_depth.rendering.cpu.simd import (
    and_not,
    any_lane,
    floor,
    lane_numbers,
    minimum,
    select,
    trailing_zeros,
    vector_of,
)
from scene_depth.rendering.cpu.simd_functions import exp2
from scene_depth.rendering.cpu.simd_memory import broadcast_load, load, prefetch, store, take_ticket
from scene_depth.rendering.cpu.simd_pixels import store_pixels, store_rgb

WORDS = 4  # entries are taken 64 * WORDS at a time
ENTRIES = 64 * WORDS
_T, _RED, _GREEN, _BLUE, _DEPTH, _STOP, _MEDIAN = (16 * field for field in range(7))
_FIELDS = 16 * 7
NEVER = np.float32(1e9)  # the stop of a pixel that no entry has finished
_HALF = np.float32(0.5)


@device_function
def lane_offsets():
    """Column and row of each lane's pixel in its block."""
    lanes = lane_numbers()
    rows = floor(lanes * np.float32(1 / BLOCK))
    return lanes - rows * np.float32(BLOCK), rows


@device_function
def blocks_across(pixels):
    """Blocks that a tile has along an axis on which ``pixels`` are left."""
    return (min(TILE, pixels) + BLOCK - 1) // BLOCK


@device_function
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


@device_function
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
            store(state, base + _T, vector_of(np.float32(1)))
            for field in range(_RED, _STOP, 16):
                store(state, base + field, zero)
            store(state, base + _STOP, select(inside, vector_of(NEVER), zero))
            store(state, base + _MEDIAN, zero)
    return opened


@device_function
def _blend_block(state, block, words, word_count, records, first_entry, median):
    """Adds the entries that touch one block to its pixels; returns whether all its pixels are finished."""
    base = _FIELDS * block
    transmittance, stop = load(state, base + _T), load(state, base + _STOP)
    red, green, blue = load(state, base + _RED), load(state, base + _GREEN), load(state, base + _BLUE)
    depth, middle = load(state, base + _DEPTH), load(state, base + _MEDIAN)
    alive = stop >= NEVER
    columns, rows = lane_offsets()
    pixel_x, pixel_y = columns + np.float32(BLOCK * (block & 7)), rows + np.float32(BLOCK * (block >> 3))
    finished = False
    for word in range(word_count):
        bits = words[64 * word + block]
        while bits:
            entry = 64 * word + np.int64(trailing_zeros(bits))
            bits &= bits - np.uint64(1)
            record = RECORD * entry
            dy = pixel_y - broadcast_load(records, record + layout.MEAN_Y)
            u = pixel_x - broadcast_load(records, record + layout.MEAN_X) - dy * broadcast_load(records, record + layout.SHEAR)
            exponent = broadcast_load(records, record + layout.LOG2_OPACITY)
            exponent = exponent - dy * dy * broadcast_load(records, record + layout.HALF_ROW)
            exponent = exponent - u * u * broadcast_load(records, record + layout.HALF_CONIC)
            alpha = minimum(exp2(exponent), ALPHA_MAX)
            alpha = select((alpha >= ALPHA_MIN) & alive, alpha, np.float32(0))
            rest = transmittance - alpha * transmittance
            spent = rest <= TRANSMITTANCE_MIN
            if any_lane(spent):
                alive = and_not(alive, spent)
                stop = select(spent, np.float32(first_entry + entry), stop)
                alpha = select(spent, np.float32(0), alpha)
                rest = select(spent, transmittance, rest)
                if not any_lane(alive):
                    finished = True
            weight = alpha * transmittance
            red = red + weight * broadcast_load(records, record + layout.RED)
            green = green + weight * broadcast_load(records, record + layout.GREEN)
            blue = blue + weight * broadcast_load(records, record + layout.BLUE)
            depth = depth + weight * broadcast_load(records, record + layout.DEPTH)
            if median is not None:
                crossing = (transmittance > _HALF) & (rest <= _HALF)
                middle = select(crossing, broadcast_load(records, record + layout.DEPTH), middle)
            transmittance = rest
            if finished:
                break
        if finished:
            break
    store(state, base + _T, transmittance)
    store(state, base + _STOP, stop)
    store(state, base + _RED, red)
    store(state, base + _GREEN, green)
    store(state, base + _BLUE, blue)
    store(state, base + _DEPTH, depth)
    if median is not None:
        store(state, base + _MEDIAN, middle)
    return finished


@device_function
def _write_block(state, block, x, y, width, height, background, rgb, alpha, depth, transmittance, stops, median):
    """The finished pixels of a block into the images; the depth is divided by alpha."""
    base = _FIELDS * block
    rest = load(state, base + _T)
    red = load(state, base + _RED) + rest * background[0]
    green = load(state, base + _GREEN) + rest * background[1]
    blue = load(state, base + _BLUE) + rest * background[2]
    covered = 1.0 - rest
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
    for lane in range(BLOCK * BLOCK):
        column, row = lane % BLOCK, lane // BLOCK
        if x + column < width and y + row < height:
            place = pixel + row * width + column
            rgb[3 * place] = state[base + _RED + lane]
            rgb[3 * place + 1] = state[base + _GREEN + lane]
            rgb[3 * place + 2] = state[base + _BLUE + lane]
            alpha[place] = np.float32(1) - state[base + _T + lane]
            depth[place] = state[base + _DEPTH + lane]
            transmittance[place] = state[base + _T + lane]
            stops[place] = state[base + _STOP + lane]
            if median is not None:
                median[place] = state[base + _MEDIAN + lane]


@kernel
def blend(
    tickets, tiles, starts, entry_splats, entry_blocks, records, width, height, background,
    rgb, alpha, depth, transmittance, stops, median,
):  # fmt: skip
    """Blends all tiles.

    Args:
        tickets: Counter of tasks.
        tiles: Tiles in the order of work, those with most entries first  # [tiles]
        starts: Where the list of each tile starts and the last ends  # [tiles + 1]
        entry_splats, entry_blocks: The lists, see ``binning``  # [E]
        records: Projected splats, flat, see ``layout``.
        width, height: Of the image, in pixels.
        background: Red, green and blue behind the splats  # [3]
        rgb, alpha, depth: Images, flat; written. The depth is the mean z-depth, 0 where alpha is 0.
        transmittance: 1 - alpha before rounding, flat; written.
        stops: Number in its tile's list of the entry that finished the pixel, NEVER if none did, flat; written.
        median: Depth of the splat at which the transmittance falls to 1/2, 0 if it does not, flat; written. Or None.
    """
    tiles_x = (width + TILE - 1) // TILE
    state = np.empty(BLOCKS * _FIELDS, np.float32)
    words = np.empty(ENTRIES, np.uint64)
    near = np.empty(ENTRIES * RECORD, np.float32)  # records of the entries at hand, means relative to the tile
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
                store(near, RECORD * entry, load(records, RECORD * np.int64(entry_splats[first + entry])))
                near[RECORD * entry + layout.MEAN_X] -= np.float32(left) + _HALF
                near[RECORD * entry + layout.MEAN_Y] -= np.float32(top) + _HALF
            for word in range(word_count):
                _transpose_bits(words, 64 * word)
            blocks = remaining
            while blocks:
                block = np.int64(trailing_zeros(blocks))
                blocks &= blocks - np.uint64(1)
                if _blend_block(state, block, words, word_count, near, first - start, median):
                    remaining &= ~(np.uint64(1) << np.uint64(block))
        for block_y in range(blocks_across(height - top)):
            for block_x in range(blocks_across(width - left)):
                x, y = left + BLOCK * block_x, top + BLOCK * block_y
                block = 8 * block_y + block_x
                _write_block(state, block, x, y, width, height, background, rgb, alpha, depth, transmittance, stops, median)
