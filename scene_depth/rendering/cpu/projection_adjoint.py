"""The adjoint of projection: gradients of the splats' parameters and of the camera from sums over pixels."""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import BARE, inlined, kernel, subroutine, take_ticket
from scene_depth.kernels.simd import any_lane, select, square_root, sum_of_lanes, vector_of
from scene_depth.kernels.simd_functions import exp
from scene_depth.kernels.simd_memory import (
    copy_transposed,
    load,
    load_columns3,
    load_columns4,
    load_flags,
    load_transposed,
    pointer_to,
    stack_floats,
    store,
    store_columns2,
    store_columns3,
    store_columns4,
    store_past_cache,
    wait_for_stores,
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
from scene_depth.rendering.cpu.layout import CAMERA_SUMS, GROUPS_A_CHUNK, HALF_LOG2_E, LOG2_E, POSITION, RECORD, ROTATION
from scene_depth.rendering.cpu.projection import copy_last_group, prefetch_floats
from scene_depth.rendering.cpu.spherical_harmonics import harmonics, harmonics_gradient

_TWO_LN2 = np.float32(2 / LOG2_E)
_0 = np.float32(0)


@inlined(BARE)
def _gather_sums(first, slots, sums, rows):
    """Adds up the sums of each splat's entries; returns them by field, zero for hidden splats."""
    for lane in range(16):
        total = vector_of(_0)
        for place in range(slots[first + lane], slots[first + lane + 1]):
            total = total + load(sums, RECORD * place)
        store(rows, 16 * lane, total)
    return load_transposed(rows, 0, 16)


@inlined(BARE)
def _shape_gradient(total, xx, yy, xy, blurred, sharp, antialiased):
    """Gradients by the mean (x, y) and the covariance (xx, yy, xy) in the image, in 1/px and 1/px^2.

    With conic = yy / det, shear = xy / yy and row = 1 / yy: -log(density) = (conic (dx - shear dy)^2 + row dy^2) / 2, and
    v, w are dx - shear dy, dy in the unit in which their squares are base 2 logarithms.
    """
    inverse = 1.0 / blurred
    row, conic = 1.0 / yy, yy * inverse
    shear = xy * row
    across, down = square_root(HALF_LOG2_E * conic), square_root(HALF_LOG2_E * row)
    by_x = _TWO_LN2 * across * total[layout.SUM_V]
    by_y = _TWO_LN2 * down * total[layout.SUM_W] - shear * by_x
    by_conic = -0.5 * _TWO_LN2 * total[layout.SUM_VV] / conic
    by_shear = _TWO_LN2 * across / down * total[layout.SUM_VW]
    by_row = -0.5 * _TWO_LN2 * total[layout.SUM_WW] * yy
    slope = xy * inverse
    by_xx = -by_conic * conic * conic
    by_yy = -by_conic * slope * slope - row * row * (by_shear * xy + by_row)
    by_xy = 2.0 * by_conic * slope * conic + by_shear * row
    if antialiased:  # opacity * sqrt(sharp / blurred)
        half = 0.5 * total[layout.SUM]
        inverse_sharp = 1.0 / sharp
        by_xx = by_xx + half * ((yy - layout.COVARIANCE_BLUR) * inverse_sharp - yy * inverse)
        by_yy = by_yy + half * ((xx - layout.COVARIANCE_BLUR) * inverse_sharp - xx * inverse)
        by_xy = by_xy - 2.0 * half * xy * (inverse_sharp - inverse)
    return by_x, by_y, by_xx, by_yy, by_xy


@inlined(BARE)
def _quaternion_gradient(d, w, x, y, z, inverse_length):
    """Gradient by the quaternion before it was normalised, from the one by its rotation matrix ``d``, row by row."""
    by_w = 2.0 * (x * (d[7] - d[5]) + y * (d[2] - d[6]) + z * (d[3] - d[1]))
    by_x = 2.0 * (w * (d[7] - d[5]) + y * (d[1] + d[3]) + z * (d[2] + d[6]) - 2.0 * x * (d[4] + d[8]))
    by_y = 2.0 * (w * (d[2] - d[6]) + x * (d[1] + d[3]) + z * (d[5] + d[7]) - 2.0 * y * (d[0] + d[8]))
    by_z = 2.0 * (w * (d[3] - d[1]) + x * (d[2] + d[6]) + y * (d[5] + d[7]) - 2.0 * z * (d[0] + d[4]))
    radial = by_w * w + by_x * x + by_y * y + by_z * z
    return (
        (by_w - radial * w) * inverse_length,
        (by_x - radial * x) * inverse_length,
        (by_y - radial * y) * inverse_length,
        (by_z - radial * z) * inverse_length,
    )


@inlined(BARE)
def _out_of_camera(x, y, z, camera):
    """A vector in the camera's axes, in the world's."""
    return (
        camera[ROTATION] * x + camera[ROTATION + 3] * y + camera[ROTATION + 6] * z,
        camera[ROTATION + 1] * x + camera[ROTATION + 4] * y + camera[ROTATION + 7] * z,
        camera[ROTATION + 2] * x + camera[ROTATION + 5] * y + camera[ROTATION + 8] * z,
    )


@inlined(BARE)
def _color_gradient(sh, bands, degree, x, y, z, red, green, blue, coefficients, basis, slopes_x, slopes_y, slopes_z, rows):
    """Gradient by SH coefficients, left in ``rows`` (a row a lane), and by the unit direction (x, y, z)."""
    for part in range((3 * bands + 15) // 16):
        copy_transposed(sh, 16 * part, 3 * bands, coefficients, 256 * part, 16)
    harmonics(x, y, z, degree, basis)
    harmonics_gradient(x, y, z, degree, slopes_x, slopes_y, slopes_z)
    by_x = by_y = by_z = vector_of(_0)
    used = (degree + 1) * (degree + 1)
    for k in range(bands):
        weight = load(basis, 16 * k) if k < used else vector_of(_0)
        if 1 <= k < used:
            through = load(coefficients, 48 * k) * red
            through = through + load(coefficients, 48 * k + 16) * green
            through = through + load(coefficients, 48 * k + 32) * blue
            by_x = by_x + through * load(slopes_x, 16 * k)
            by_y = by_y + through * load(slopes_y, 16 * k)
            by_z = by_z + through * load(slopes_z, 16 * k)
        store(coefficients, 48 * k, weight * red)
        store(coefficients, 48 * k + 16, weight * green)
        store(coefficients, 48 * k + 32, weight * blue)
    for part in range((3 * bands + 15) // 16 - 1, -1, -1):  # what a part writes beyond its columns, a later one repairs
        copy_transposed(coefficients, 256 * part, 16, rows, 16 * part, 3 * bands)
    return by_x, by_y, by_z


@subroutine(BARE)
def _write_sh(rows, first, amount, bands, accumulate, streaming, out):
    """SH gradients of ``amount`` splats from ``first`` on, to or onto ``out``."""
    start, size = 3 * bands * first, 3 * bands * amount
    if amount < 16:
        for index in range(size):
            out[start + index] = rows[index] + (out[start + index] if accumulate else _0)
    elif accumulate:
        for index in range(0, size, 16):
            store(out, start + index, load(rows, index) + load(out, start + index))
    elif streaming:
        for index in range(0, size, 16):
            store_past_cache(out, start + index, load(rows, index))
    else:
        for index in range(0, size, 16):
            store(out, start + index, load(rows, index))


@subroutine(BARE)
def _write(values, target, start, amount):
    for index in range(amount):
        target[start + index] = values[index]


@subroutine(BARE)
def _write_zeros(target, start, amount):
    for index in range(0, amount // 16 * 16, 16):
        store(target, start + index, vector_of(_0))
    for index in range(amount // 16 * 16, amount):
        target[start + index] = _0


@kernel(BARE)
def project_adjoint(
    tickets, count, means, quats, log_scales, logits, sh, bands, degree, camera, antialiased, accumulate,
    streaming, flags, slots, sums,
    grad_means, grad_quats, grad_scales, grad_logits, grad_sh, grad_means2d, absolute_means2d, camera_sums,
):  # fmt: skip
    """Gradients of all splats; a task is one chunk.

    Args:
        tickets, count, means, quats, log_scales, logits, sh, bands, degree, camera, antialiased: As for ``project``.
        accumulate: Whether to add to the parameters' gradients instead of writing them.
        streaming: Whether to write the SH gradient past the cache; only if it is not accumulated.
        flags: What ``project`` wrote.
        slots: Number of tiles touched by the splats before; with one element more than there are splats.
        sums: What ``blend_adjoint`` wrote.
        grad_means, grad_quats, grad_scales, grad_logits, grad_sh: Gradients of the parameters, flat; written or added to.
        grad_means2d: Gradient by the projected means in 1/px, flat, with room for a multiple of 16 splats; written.
        absolute_means2d: Sums over pixels of its absolute value, likewise; or empty.
        camera_sums: Gradient by the camera, a row a chunk; written  # [chunks, 12]
    """
    groups = (count + 15) // 16
    chunks = (groups + GROUPS_A_CHUNK - 1) // GROUPS_A_CHUNK
    coefficients, basis, rows = stack_floats(768), stack_floats(256), stack_floats(784)
    slopes_x, slopes_y, slopes_z = stack_floats(256), stack_floats(256), stack_floats(256)
    last_means, last_quats = stack_floats(48), stack_floats(64)
    last_scales, last_logits = stack_floats(48), stack_floats(16)
    last_sh = stack_floats(784)
    out_means, out_quats = stack_floats(48), stack_floats(64)
    out_scales, out_logits = stack_floats(48), stack_floats(16)
    zero = vector_of(_0)
    while True:
        chunk = take_ticket(tickets)
        if chunk >= chunks:
            break
        w0 = w1 = w2 = w3 = w4 = w5 = w6 = w7 = w8 = w9 = w10 = w11 = zero
        for group in range(chunk * GROUPS_A_CHUNK, min((chunk + 1) * GROUPS_A_CHUNK, groups)):
            first = 16 * group
            amount = min(16, count - first)
            visible = load_flags(flags, first, layout.VISIBLE)
            if not any_lane(visible):
                for lane in range(32):
                    grad_means2d[2 * first + lane] = _0
                    if len(absolute_means2d):
                        absolute_means2d[2 * first + lane] = _0
                if not accumulate:
                    _write_zeros(grad_means, 3 * first, 3 * amount)
                    _write_zeros(grad_quats, 4 * first, 4 * amount)
                    _write_zeros(grad_scales, 3 * first, 3 * amount)
                    _write_zeros(grad_logits, first, amount)
                    _write_zeros(grad_sh, 3 * bands * first, 3 * bands * amount)
                continue
            means_, quats_ = pointer_to(means, 3 * first), pointer_to(quats, 4 * first)
            scales_, logits_ = pointer_to(log_scales, 3 * first), pointer_to(logits, first)
            sh_ = pointer_to(sh, 3 * bands * first)
            to_means, to_quats = pointer_to(grad_means, 3 * first), pointer_to(grad_quats, 4 * first)
            to_scales, to_logits = pointer_to(grad_scales, 3 * first), pointer_to(grad_logits, first)
            if group == groups - 1:  # vectors would reach beyond the arrays' ends
                copy_last_group(means, last_means, first, count, 3)
                copy_last_group(quats, last_quats, first, count, 4)
                copy_last_group(log_scales, last_scales, first, count, 3)
                copy_last_group(logits, last_logits, first, count, 1)
                copy_last_group(sh, last_sh, first, count, 3 * bands)
                means_, quats_, scales_, logits_, sh_ = last_means, last_quats, last_scales, last_logits, last_sh
                to_means, to_quats, to_scales, to_logits = out_means, out_quats, out_scales, out_logits
                if accumulate:
                    copy_last_group(grad_means, to_means, first, count, 3)
                    copy_last_group(grad_quats, to_quats, first, count, 4)
                    copy_last_group(grad_scales, to_scales, first, count, 3)
                    copy_last_group(grad_logits, to_logits, first, count, 1)
            prefetch_floats(sh_, 48 * bands, 48 * bands)
            if group < groups - 1:
                prefetch_floats(sums, RECORD * slots[first + 16], RECORD * (slots[first + 32] - slots[first + 16]))
            total = _gather_sums(first, slots, sums, rows)

            # what the forward pass computed; hidden splats stand on the optical axis, so that nothing here is infinite
            x, y, z = load_columns3(means_, 0)
            x = select(visible, x - camera[POSITION], camera[ROTATION + 6])
            y = select(visible, y - camera[POSITION + 1], camera[ROTATION + 7])
            z = select(visible, z - camera[POSITION + 2], camera[ROTATION + 8])
            camera_x, camera_y, depth = into_camera(x, y, z, camera)
            inverse_z = 1.0 / depth
            raw_x, raw_y = camera_x * inverse_z, camera_y * inverse_z
            slope_x, slope_y = clamped_slopes(raw_x, raw_y, camera)
            t = projection_rows(inverse_z, slope_x, slope_y, camera)
            quat = load_columns4(quats_, 0)
            qw, qx, qy, qz, inverse_length = unit_quaternion(quat[0], quat[1], quat[2], quat[3])
            r = rotation_matrix(qw, qx, qy, qz)
            p = rows_times_matrix(t, r)
            log_s = load_columns3(scales_, 0)
            s = (exp(log_s[0]), exp(log_s[1]), exp(log_s[2]))
            u = (p[0] * s[0], p[1] * s[1], p[2] * s[2], p[3] * s[0], p[4] * s[1], p[5] * s[2])
            xx, yy, xy, blurred, sharp = footprint(u)
            by_x, by_y, by_xx, by_yy, by_xy = _shape_gradient(total, xx, yy, xy, blurred, sharp, antialiased)

            # covariance = U U^T
            u_grad = (
                2.0 * by_xx * u[0] + by_xy * u[3], 2.0 * by_xx * u[1] + by_xy * u[4], 2.0 * by_xx * u[2] + by_xy * u[5],
                2.0 * by_yy * u[3] + by_xy * u[0], 2.0 * by_yy * u[4] + by_xy * u[1], 2.0 * by_yy * u[5] + by_xy * u[2],
            )  # fmt: skip
            by_scale = (
                select(visible, u_grad[0] * u[0] + u_grad[3] * u[3], _0),
                select(visible, u_grad[1] * u[1] + u_grad[4] * u[4], _0),
                select(visible, u_grad[2] * u[2] + u_grad[5] * u[5], _0),
            )
            h = (
                u_grad[0] * s[0], u_grad[1] * s[1], u_grad[2] * s[2],
                u_grad[3] * s[0], u_grad[4] * s[1], u_grad[5] * s[2],
            )  # fmt: skip
            by_rotation = (
                t[0] * h[0] + t[3] * h[3], t[0] * h[1] + t[3] * h[4], t[0] * h[2] + t[3] * h[5],
                t[1] * h[0] + t[4] * h[3], t[1] * h[1] + t[4] * h[4], t[1] * h[2] + t[4] * h[5],
                t[2] * h[0] + t[5] * h[3], t[2] * h[1] + t[5] * h[4], t[2] * h[2] + t[5] * h[5],
            )  # fmt: skip
            by_quat = _quaternion_gradient(by_rotation, qw, qx, qy, qz, inverse_length)
            by_quat = (
                select(visible, by_quat[0], _0), select(visible, by_quat[1], _0),
                select(visible, by_quat[2], _0), select(visible, by_quat[3], _0),
            )  # fmt: skip
            k = rows_times_matrix(h, (r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]))  # by J W

            # J = [fx/z, 0, -fx slope_x/z; 0, fy/z, -fy slope_y/z]
            fx, fy = camera[layout.FOCAL_X] * inverse_z, camera[layout.FOCAL_Y] * inverse_z
            by_jxx = k[0] * camera[ROTATION] + k[1] * camera[ROTATION + 1] + k[2] * camera[ROTATION + 2]
            by_jxz = k[0] * camera[ROTATION + 6] + k[1] * camera[ROTATION + 7] + k[2] * camera[ROTATION + 8]
            by_jyy = k[3] * camera[ROTATION + 3] + k[4] * camera[ROTATION + 4] + k[5] * camera[ROTATION + 5]
            by_jyz = k[3] * camera[ROTATION + 6] + k[4] * camera[ROTATION + 7] + k[5] * camera[ROTATION + 8]
            by_log_z = fx * (slope_x * by_jxz - by_jxx) + fy * (slope_y * by_jyz - by_jyy)  # z * gradient by z
            by_slope_x, by_slope_y = fx * by_jxz, fy * by_jyz  # their negatives
            free_x = (raw_x >= camera[layout.LIMIT_LEFT]) & (raw_x <= camera[layout.LIMIT_RIGHT])
            free_y = (raw_y >= camera[layout.LIMIT_TOP]) & (raw_y <= camera[layout.LIMIT_BOTTOM])
            by_slope_x = camera[layout.FOCAL_X] * by_x - select(free_x, by_slope_x, _0)
            by_slope_y = camera[layout.FOCAL_Y] * by_y - select(free_y, by_slope_y, _0)
            by_log_z = by_log_z - raw_x * by_slope_x - raw_y * by_slope_y
            by_camera_x = select(visible, by_slope_x * inverse_z, _0)
            by_camera_y = select(visible, by_slope_y * inverse_z, _0)
            by_camera_z = select(visible, by_log_z * inverse_z + total[layout.SUM_DEPTH], _0)
            by_mean_x, by_mean_y, by_mean_z = _out_of_camera(by_camera_x, by_camera_y, by_camera_z, camera)

            # colour
            red = select(load_flags(flags, first, layout.RED_FREE), total[layout.SUM_RED], _0)
            green = select(load_flags(flags, first, layout.GREEN_FREE), total[layout.SUM_GREEN], _0)
            blue = select(load_flags(flags, first, layout.BLUE_FREE), total[layout.SUM_BLUE], _0)
            direction_x, direction_y, direction_z, inverse_distance = unit_direction(x, y, z)
            by_dx, by_dy, by_dz = _color_gradient(
                sh_, bands, degree, direction_x, direction_y, direction_z, red, green, blue,
                coefficients, basis, slopes_x, slopes_y, slopes_z, rows,
            )  # fmt: skip
            radial = by_dx * direction_x + by_dy * direction_y + by_dz * direction_z
            by_mean_x = by_mean_x + select(visible, (by_dx - radial * direction_x) * inverse_distance, _0)
            by_mean_y = by_mean_y + select(visible, (by_dy - radial * direction_y) * inverse_distance, _0)
            by_mean_z = by_mean_z + select(visible, (by_dz - radial * direction_z) * inverse_distance, _0)

            # the camera: J W from the covariance, W (mean - position) from the mean
            w0 = w0 + (by_camera_x * x + select(visible, fx * k[0], _0))
            w1 = w1 + (by_camera_x * y + select(visible, fx * k[1], _0))
            w2 = w2 + (by_camera_x * z + select(visible, fx * k[2], _0))
            w3 = w3 + (by_camera_y * x + select(visible, fy * k[3], _0))
            w4 = w4 + (by_camera_y * y + select(visible, fy * k[4], _0))
            w5 = w5 + (by_camera_y * z + select(visible, fy * k[5], _0))
            w6 = w6 + (by_camera_z * x - select(visible, fx * slope_x * k[0] + fy * slope_y * k[3], _0))
            w7 = w7 + (by_camera_z * y - select(visible, fx * slope_x * k[1] + fy * slope_y * k[4], _0))
            w8 = w8 + (by_camera_z * z - select(visible, fx * slope_x * k[2] + fy * slope_y * k[5], _0))
            w9, w10, w11 = w9 + by_mean_x, w10 + by_mean_y, w11 + by_mean_z

            by_logit = total[layout.SUM] / (1.0 + exp(load(logits_, 0)))
            by_logit = select(visible, by_logit, _0)
            store_columns2(grad_means2d, 2 * first, (select(visible, by_x, _0), select(visible, by_y, _0)))
            if len(absolute_means2d):
                absolutes = (_TWO_LN2 * total[layout.SUM_ABSOLUTE_X], _TWO_LN2 * total[layout.SUM_ABSOLUTE_Y])
                store_columns2(absolute_means2d, 2 * first, absolutes)
            if accumulate:
                old = load_columns3(to_means, 0)
                by_mean_x, by_mean_y, by_mean_z = by_mean_x + old[0], by_mean_y + old[1], by_mean_z + old[2]
                before = load_columns4(to_quats, 0)
                by_quat = (by_quat[0] + before[0], by_quat[1] + before[1], by_quat[2] + before[2], by_quat[3] + before[3])
                old = load_columns3(to_scales, 0)
                by_scale = (by_scale[0] + old[0], by_scale[1] + old[1], by_scale[2] + old[2])
                by_logit = by_logit + load(to_logits, 0)
            store_columns3(to_means, 0, (by_mean_x, by_mean_y, by_mean_z))
            store_columns4(to_quats, 0, by_quat)
            store_columns3(to_scales, 0, by_scale)
            store(to_logits, 0, by_logit)
            if group == groups - 1:
                _write(to_means, grad_means, 3 * first, 3 * amount)
                _write(to_quats, grad_quats, 4 * first, 4 * amount)
                _write(to_scales, grad_scales, 3 * first, 3 * amount)
                _write(to_logits, grad_logits, first, amount)
            _write_sh(rows, first, amount, bands, accumulate, streaming, grad_sh)
        totals = (w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11)
        for index in range(CAMERA_SUMS):
            camera_sums[chunk, index] = sum_of_lanes(totals[index])
    wait_for_stores()
