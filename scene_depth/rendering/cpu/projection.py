"""From splats to projected records, and which tiles each may touch."""

from __future__ import annotations

import math

import numpy as np

from scene_depth.kernels import BARE, inlined, kernel, subroutine, take_ticket
from scene_depth.kernels.simd import any_lane, ceil, floor, maximum, minimum, select, square_root, vector_of
from scene_depth.kernels.simd_functions import exp, log2
from scene_depth.kernels.simd_memory import (
    copy_transposed,
    load,
    load_columns3,
    load_columns4,
    pointer_to,
    prefetch,
    stack_floats,
    store_bits,
    store_flags,
    store_int16_rows,
    store_int32,
    store_transposed,
)
from scene_depth.rendering.cpu import layout
from scene_depth.rendering.cpu.geometry import (
    clamped_slopes,
    footprint,
    into_camera,
    projection_rows,
    rotation_matrix,
    rows_times_matrix,
    unit_direction,
    unit_quaternion,
)
from scene_depth.rendering.cpu.layout import CHUNK, GROUPS_A_CHUNK, HALF_LOG2_E, POSITION, RECORD, TILE
from scene_depth.rendering.cpu.spherical_harmonics import harmonics

_LOG2_255 = np.float32(math.log2(255))
_TWO_LN2 = np.float32(2 * math.log(2))
_LARGEST_DETERMINANT = np.float32(1e36)  # px^4; larger footprints (1e9 px) overflow and are not drawn
_BLACK = np.float32(-1e-6)  # 0 but for rounding: the gradient of a splat that begins black must pass the clamp at 0
_LARGEST_RADIUS = np.float32(1e9)
HIDDEN = np.uint32(0xFFFFFFFF)  # sort key of a splat out of view


@subroutine(BARE)
def prefetch_floats(array, start, count):
    """A hint that floats will be read soon; they may lie beyond the array's end."""
    for offset in range(0, count + 15, 16):
        prefetch(array, start + offset)


@subroutine(BARE)
def copy_last_group(source, target, first, count, width):
    """Rows from ``first`` to ``count`` into a padded scratch array; the rest is filled with the last row."""
    for row in range(16):
        from_row = min(first + row, count - 1)
        for column in range(width):
            target[row * width + column] = source[from_row * width + column]


@inlined(BARE)
def colors(sh, bands, degree, x, y, z, coefficients, basis):
    """Colours before the clamp at 0, of 16 splats seen along unit vectors (x, y, z).

    Leaves the coefficients in ``coefficients``, a row of 16 lanes for each of 3 * bands, and the harmonics in ``basis``.
    """
    for part in range((3 * bands + 15) // 16):
        copy_transposed(sh, 16 * part, 3 * bands, coefficients, 256 * part, 16)
    harmonics(x, y, z, degree, basis)
    red = green = blue = vector_of(np.float32(0.5))
    for k in range((degree + 1) * (degree + 1)):
        weight = load(basis, 16 * k)
        red = red + weight * load(coefficients, 48 * k)
        green = green + weight * load(coefficients, 48 * k + 16)
        blue = blue + weight * load(coefficients, 48 * k + 32)
    return red, green, blue


@inlined(BARE)
def _tile_range(low, high, first, tiles):
    """First and last tile of those drawn along one axis that pixels ``low`` to ``high`` touch, as whole floats."""
    last = np.float32(tiles - 1)
    return (
        minimum(maximum(floor(low * np.float32(1 / TILE)) - first, np.float32(0)), last),
        minimum(maximum(floor(high * np.float32(1 / TILE)) - first, np.float32(0)), last),
    )


@kernel(BARE)
def project(
    tickets, count, means, quats, log_scales, logits, sh, bands, degree, camera, antialiased,
    records, flags, keys, rectangles, slots, chunk_slots, chunk_visible, radii,
):  # fmt: skip
    """Projects all splats; a task is one chunk.

    Args:
        tickets: Counter of tasks.
        count: Number of splats N; output arrays have room for a multiple of 16.
        means, quats, log_scales, logits, sh: Parameters as the splats hold them, flat.
        bands: SH coefficients a splat has.
        degree: SH degree to use.
        camera: See ``layout``.
        antialiased: Whether opacities are lowered as the blur widens the footprint.
        records: Projected splats; written where they are visible  # [N, 16]
        flags: See ``layout``; written  # [N]
        keys: Bits of the depth, or HIDDEN; written  # [N]
        rectangles: First and last tile touched, x0, y0, x1, y1, of those drawn; written  # [N, 4]
        slots: Number of tiles touched by the splats before this one in its chunk; written  # [chunks * 1024]
        chunk_slots: Number of tiles touched by the splats of each chunk; written.
        chunk_visible: Number of visible splats of each chunk; written.
        radii: Largest reach in whole pixels, 0 for hidden splats; written  # [N]
    """
    groups = (count + 15) // 16
    chunks = (groups + GROUPS_A_CHUNK - 1) // GROUPS_A_CHUNK
    tiles_x = (int(camera[layout.RIGHT] - camera[layout.LEFT]) + TILE - 1) // TILE
    tiles_y = (int(camera[layout.BOTTOM] - camera[layout.TOP]) + TILE - 1) // TILE
    first_x, first_y = camera[layout.LEFT] * np.float32(1 / TILE), camera[layout.TOP] * np.float32(1 / TILE)
    coefficients, basis = stack_floats(768), stack_floats(256)
    last_means, last_quats = stack_floats(48), stack_floats(64)
    last_scales, last_logits = stack_floats(48), stack_floats(16)
    last_sh = stack_floats(784)
    zero = vector_of(np.float32(0))
    while True:
        chunk = take_ticket(tickets)
        if chunk >= chunks:
            break
        for group in range(chunk * GROUPS_A_CHUNK, min((chunk + 1) * GROUPS_A_CHUNK, groups)):
            first = 16 * group
            means_, quats_ = pointer_to(means, 3 * first), pointer_to(quats, 4 * first)
            scales_, logits_ = pointer_to(log_scales, 3 * first), pointer_to(logits, first)
            sh_ = pointer_to(sh, 3 * bands * first)
            if group == groups - 1:  # vectors would read beyond the arrays' ends
                copy_last_group(means, last_means, first, count, 3)
                copy_last_group(quats, last_quats, first, count, 4)
                copy_last_group(log_scales, last_scales, first, count, 3)
                copy_last_group(logits, last_logits, first, count, 1)
                copy_last_group(sh, last_sh, first, count, 3 * bands)
                means_, quats_, scales_, logits_, sh_ = last_means, last_quats, last_scales, last_logits, last_sh
            prefetch_floats(means_, 48, 48)
            prefetch_floats(quats_, 64, 64)
            prefetch_floats(scales_, 48, 48)
            prefetch_floats(sh_, 48 * bands, 48 * bands)
            x, y, z = load_columns3(means_, 0)
            x, y, z = x - camera[POSITION], y - camera[POSITION + 1], z - camera[POSITION + 2]
            camera_x, camera_y, depth = into_camera(x, y, z, camera)
            visible = (depth > camera[layout.NEAR]) & (depth < camera[layout.FAR])
            if not any_lane(visible):
                store_bits(keys, first, visible, zero)
                store_int32(radii, first, zero)
                store_flags(flags, first, (visible, visible, visible, visible))
                continue
            inverse_z = 1.0 / depth
            slope_x, slope_y = camera_x * inverse_z, camera_y * inverse_z
            mean_x = camera[layout.FOCAL_X] * slope_x + camera[layout.CENTER_X]
            mean_y = camera[layout.FOCAL_Y] * slope_y + camera[layout.CENTER_Y]
            slope_x, slope_y = clamped_slopes(slope_x, slope_y, camera)
            quat = load_columns4(quats_, 0)
            qw, qx, qy, qz, _ = unit_quaternion(quat[0], quat[1], quat[2], quat[3])
            p = rows_times_matrix(projection_rows(inverse_z, slope_x, slope_y, camera), rotation_matrix(qw, qx, qy, qz))
            log_s = load_columns3(scales_, 0)
            s = (exp(log_s[0]), exp(log_s[1]), exp(log_s[2]))
            xx, yy, xy, blurred, sharp = footprint((p[0] * s[0], p[1] * s[1], p[2] * s[2], p[3] * s[0], p[4] * s[1], p[5] * s[2]))

            log2_opacity = -log2(1.0 + exp(-load(logits_, 0)))
            if antialiased:
                log2_opacity = log2_opacity + 0.5 * log2(sharp / blurred)
            reach_squared = _TWO_LN2 * (log2_opacity + _LOG2_255)
            visible = visible & (reach_squared > np.float32(0)) & (blurred < _LARGEST_DETERMINANT)
            reach_x, reach_y = square_root(reach_squared * xx), square_root(reach_squared * yy)
            visible = visible & (mean_x + reach_x > camera[layout.LEFT]) & (mean_x - reach_x < camera[layout.RIGHT])
            visible = visible & (mean_y + reach_y > camera[layout.TOP]) & (mean_y - reach_y < camera[layout.BOTTOM])

            direction_x, direction_y, direction_z, _ = unit_direction(x, y, z)
            red, green, blue = colors(sh_, bands, degree, direction_x, direction_y, direction_z, coefficients, basis)
            energy = red * red + green * green + blue * blue
            visible = visible & (energy < _LARGEST_DETERMINANT)  # false for NaN
            reach_x = select(visible, reach_x, np.float32(0))
            black = np.float32(0)
            store_flags(flags, first, (visible, red >= _BLACK, green >= _BLACK, blue >= _BLACK))
            row = 1.0 / yy
            shear, across = xy * row, square_root(HALF_LOG2_E * (yy / blurred))
            store_transposed(
                records, RECORD * first, RECORD,
                (
                    mean_x, mean_y, across, across * shear, square_root(HALF_LOG2_E * row), log2_opacity,
                    maximum(red, black), maximum(green, black), maximum(blue, black), depth,
                    shear, reach_y, xy / xx * reach_x, blurred * row, reach_squared, row,
                ),
            )  # fmt: skip
            store_bits(keys, first, visible, depth)
            store_int32(radii, first, ceil(select(visible, minimum(maximum(reach_x, reach_y), _LARGEST_RADIUS), np.float32(0))))
            left, right = _tile_range(mean_x - reach_x, mean_x + reach_x, first_x, tiles_x)
            top, bottom = _tile_range(mean_y - reach_y, mean_y + reach_y, first_y, tiles_y)
            left, top = select(visible, left, np.float32(0)), select(visible, top, np.float32(0))
            right, bottom = select(visible, right, np.float32(0)), select(visible, bottom, np.float32(0))
            store_int16_rows(rectangles, 4 * first, left, top, right, bottom)
        slot, seen = 0, 0
        for splat in range(chunk * CHUNK, (chunk + 1) * CHUNK):
            slots[splat] = slot
            if splat < count and keys[splat] != HIDDEN:
                seen += 1
                slot += (rectangles[splat, 2] - rectangles[splat, 0] + 1) * (rectangles[splat, 3] - rectangles[splat, 1] + 1)
        chunk_slots[chunk], chunk_visible[chunk] = slot, seen
