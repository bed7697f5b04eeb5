"""The adjoint of blending: sums over pixels from which the gradients of the projected splats follow.

A task is one tile. Entries are taken back to front, so that the transmittance before each is found by division and what
lies behind it is already summed up. With alpha = opacity * 2**-(v^2 + w^2), see ``layout``, and g = alpha * dL/dalpha,
every gradient of a splat's shape is a linear combination of the six sums of g times powers of v and w.
"""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import BARE, inlined, kernel, take_ticket
from scene_depth.kernels.simd import absolute, highest_lane, minimum, select, trailing_zeros, vector_of
from scene_depth.kernels.simd_functions import exp2, load_exp2_table
from scene_depth.kernels.simd_memory import (
    broadcast_load,
    load,
    load_pixels,
    load_rgb,
    prefetch,
    stack_floats,
    stack_integers,
    store,
    store_sums_of_lanes,
)
from scene_depth.rendering.cpu import layout
from scene_depth.rendering.cpu.blending import blocks_across, lane_offsets, tile_start
from scene_depth.rendering.cpu.layout import ALPHA_MAX, BLOCK, BLOCKS, LOG2_ALPHA_MIN, RECORD, TILE

_T, _BEHIND, _STOP, _RED, _GREEN, _BLUE, _DEPTH, _X, _Y = (16 * field for field in range(9))
_FIELDS = 16 * 9
_ENTRY = BLOCKS * _FIELDS  # the record of the entry at hand; beside the state, so that it is read from memory at each use
_STATE = _ENTRY + RECORD


@inlined(BARE)
def _open_block(
    state, block, x, y, width, height, background, transmittance, stops, alpha, depth, grad_rgb, grad_alpha, grad_depth
):  # fmt: skip
    """Reads the pixels of a block and their gradients; returns the number of entries that reach the block."""
    base = _FIELDS * block
    pixel = y * width + x
    if x + BLOCK <= width and y + BLOCK <= height:
        rest, stop = load_pixels(transmittance, pixel, width), load_pixels(stops, pixel, width)
        mean_depth, by_depth = load_pixels(depth, pixel, width), load_pixels(grad_depth, pixel, width)
        red, green, blue = load_rgb(grad_rgb, 3 * pixel, width)
        covered, by_alpha = load_pixels(alpha, pixel, width), load_pixels(grad_alpha, pixel, width)
    else:
        for field in range(0, _FIELDS, 16):
            store(state, base + field, vector_of(np.float32(0)))
        for lane in range(BLOCK * BLOCK):
            column, row = lane % BLOCK, lane // BLOCK
            if x + column < width and y + row < height:
                place = pixel + row * width + column
                state[base + _T + lane], state[base + _STOP + lane] = transmittance[place], stops[place]
                state[base + _RED + lane] = grad_rgb[3 * place]
                state[base + _GREEN + lane] = grad_rgb[3 * place + 1]
                state[base + _BLUE + lane] = grad_rgb[3 * place + 2]
                state[base + _DEPTH + lane] = grad_depth[place]
                state[base + _X + lane], state[base + _Y + lane] = depth[place], grad_alpha[place]
                state[base + _BEHIND + lane] = alpha[place]
        rest, stop, by_depth = load(state, base + _T), load(state, base + _STOP), load(state, base + _DEPTH)
        red, green, blue = load(state, base + _RED), load(state, base + _GREEN), load(state, base + _BLUE)
        mean_depth, by_alpha, covered = load(state, base + _X), load(state, base + _Y), load(state, base + _BEHIND)
    by_depth_sum = select(covered > np.float32(0), by_depth / covered, np.float32(0))  # depth = sum / alpha
    by_alpha = by_alpha - mean_depth * by_depth_sum
    store(state, base + _T, rest)
    store(state, base + _BEHIND, rest * (red * background[0] + green * background[1] + blue * background[2] - by_alpha))
    store(state, base + _STOP, stop)
    store(state, base + _RED, red)
    store(state, base + _GREEN, green)
    store(state, base + _BLUE, blue)
    store(state, base + _DEPTH, by_depth_sum)
    columns, rows = lane_offsets()
    store(state, base + _X, columns + np.float32(BLOCK * (block & 7)))
    store(state, base + _Y, rows + np.float32(BLOCK * (block >> 3)))
    return np.int64(highest_lane(stop))


@inlined(BARE)
def _add_entry(state, reach, entry, bits, records, record, left, top, sums, slot, absolute_sums, exp2_table):
    """Sums of one entry over the blocks in ``bits``, written to its slot."""
    start_v, start_w = tile_start(records, record, left, top)
    store(state, _ENTRY, load(records, record))
    state[_ENTRY + layout.START_V], state[_ENTRY + layout.START_W] = start_v, start_w
    state[_ENTRY + layout.NUMBER] = np.float32(entry + 1)
    table = load_exp2_table(exp2_table)
    zero = vector_of(np.float32(0))
    sum_g = sum_v = sum_w = sum_vv = sum_vw = sum_ww = zero
    sum_red = sum_green = sum_blue = sum_depth = zero
    sum_x = sum_y = zero
    while bits:
        block = np.int64(trailing_zeros(bits))
        bits &= bits - np.uint64(1)
        if entry >= reach[block]:
            continue
        base = _FIELDS * block
        pixel_x, pixel_y = load(state, base + _X), load(state, base + _Y)
        w = pixel_y * broadcast_load(state, _ENTRY + layout.DOWN) + broadcast_load(state, _ENTRY + layout.START_W)
        v = pixel_x * broadcast_load(state, _ENTRY + layout.ACROSS) + broadcast_load(state, _ENTRY + layout.START_V)
        v = v - pixel_y * broadcast_load(state, _ENTRY + layout.SLANT)
        exponent = broadcast_load(state, _ENTRY + layout.LOG2_OPACITY) - w * w - v * v
        density = exp2(exponent, table)
        alpha = minimum(density, ALPHA_MAX)
        seen = load(state, base + _STOP) >= broadcast_load(state, _ENTRY + layout.NUMBER)
        alpha = select((exponent >= LOG2_ALPHA_MIN) & seen, alpha, np.float32(0))
        ratio = alpha / (1.0 - alpha)
        by_red, by_green, by_blue = load(state, base + _RED), load(state, base + _GREEN), load(state, base + _BLUE)
        by_depth = load(state, base + _DEPTH)
        color = by_red * broadcast_load(state, _ENTRY + layout.RED)
        color = color + by_green * broadcast_load(state, _ENTRY + layout.GREEN)
        color = color + by_blue * broadcast_load(state, _ENTRY + layout.BLUE)
        color = color + by_depth * broadcast_load(state, _ENTRY + layout.DEPTH)
        after, behind = load(state, base + _T), load(state, base + _BEHIND)
        weight = ratio * after  # alpha times the transmittance before, which is after / (1 - alpha)
        store(state, base + _T, after + weight)
        store(state, base + _BEHIND, weight * color + behind)
        sum_red = sum_red + weight * by_red
        sum_green = sum_green + weight * by_green
        sum_blue = sum_blue + weight * by_blue
        sum_depth = sum_depth + weight * by_depth
        g = select(density <= ALPHA_MAX, ratio * (after * color - behind), np.float32(0))
        gv, gw = g * v, g * w
        sum_g = sum_g + g
        sum_v = sum_v + gv
        sum_w = sum_w + gw
        sum_vv = sum_vv + gv * v
        sum_vw = sum_vw + gv * w
        sum_ww = sum_ww + gw * w
        if absolute_sums is not None:
            sum_x = sum_x + absolute(gv * broadcast_load(state, _ENTRY + layout.ACROSS))
            by_y = gw * broadcast_load(state, _ENTRY + layout.DOWN) - gv * broadcast_load(state, _ENTRY + layout.SLANT)
            sum_y = sum_y + absolute(by_y)
    if absolute_sums is not None:
        totals = (
            sum_g, sum_v, sum_w, sum_vv, sum_vw, sum_ww, sum_red, sum_green, sum_blue, sum_depth, sum_x, sum_y,
        )  # fmt: skip
        store_sums_of_lanes(sums, RECORD * slot, totals)
    else:
        most = (sum_g, sum_v, sum_w, sum_vv, sum_vw, sum_ww, sum_red, sum_green, sum_blue, sum_depth)
        store_sums_of_lanes(sums, RECORD * slot, most)


@kernel(BARE)
def blend_adjoint(
    tickets, tiles, starts, entry_splats, entry_slots, entry_blocks, records, start_x, start_y, width, height, background,
    transmittance, stops, alpha, depth, grad_rgb, grad_alpha, grad_depth, sums, absolute_sums, exp2_table,
):  # fmt: skip
    """Sums of all entries, see ``layout``.

    Args:
        tickets, tiles, starts, entry_splats, entry_blocks, records, start_x, start_y, width, height: As for ``blend``.
        background: Likewise.
        entry_slots: Place of each entry's sums  # [E]
        transmittance, stops, alpha, depth: What ``blend`` wrote.
        grad_rgb, grad_alpha, grad_depth: Gradients of the loss by the images, flat.
        sums: Written  # [E, 16]
        absolute_sums: Anything but None to sum the absolute values of the means' gradients too.
        exp2_table: ``EXP2_TABLE``.
    """
    tiles_x = (width + TILE - 1) // TILE
    state = stack_floats(_STATE)
    reach = stack_integers(BLOCKS)
    zero = vector_of(np.float32(0))
    while True:
        ticket = take_ticket(tickets)
        if ticket >= tiles.shape[0]:
            break
        tile = tiles[ticket]
        start, end = starts[tile], starts[tile + 1]
        if start == end:
            continue
        left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        last, opened = start, np.uint64(0)
        for block_y in range(blocks_across(height - top)):
            for block_x in range(blocks_across(width - left)):
                block = 8 * block_y + block_x
                opened |= np.uint64(1) << np.uint64(block)
                reach[block] = _open_block(
                    state, block, left + BLOCK * block_x, top + BLOCK * block_y, width, height, background,
                    transmittance, stops, alpha, depth, grad_rgb, grad_alpha, grad_depth,
                )  # fmt: skip
                last = max(last, min(end, start + reach[block]))
        for entry in range(last, end):
            store(sums, RECORD * np.int64(entry_slots[entry]), zero)
        for entry in range(last - 1, start - 1, -1):
            if entry - 4 >= start:
                prefetch(records, RECORD * np.int64(entry_splats[entry - 4]))
            bits = entry_blocks[entry] & opened
            slot = np.int64(entry_slots[entry])
            if bits == np.uint64(0):
                store(sums, RECORD * slot, zero)
                continue
            record = RECORD * np.int64(entry_splats[entry])
            _add_entry(
                state, reach, entry - start, bits, records, record, start_x + left, start_y + top, sums, slot, absolute_sums,
                exp2_table,
            )  # fmt: skip
