"""Pictures of a packed scene: radiance, exact z-depth, normals, object and class of every pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.kernels import EXACT, kernel, run_rows, subroutine
from scene_depth_synthetic.procedural.exact_math import hash_cell, mix_bits, unit_from_bits
from scene_depth_synthetic.procedural.lighting import cosine_direction, sample_light, sky_radiance
from scene_depth_synthetic.procedural.materials import COLOR_A, EMISSION, GLOSS, MEAN, MIRROR, SPECULAR, surface_color

from scene_depth_synthetic.procedural.tracing import (  # isort: skip
    CATEGORY, FRAME, MATERIAL, OBJECT, TEXTURE_NUMBER, Geometry, is_blocked, nearest_hit, surface_normals, texture_coordinates,
)  # fmt: skip


SHIFT = np.uint64(0x9E3779B97F4A7C15)  # from one use of a pixel's bits to the next


@subroutine(EXACT)
def pixel_code(x, y, seed):
    """Bits that give each pixel its shift of the sample points, such that neighbours complement each other.

    The two coordinates of the shift are lattices of the plane with irrational steps (Roberts' sequence in four
    dimensions), so the pixels of any small window hold well-spread samples together, which smoothing then averages.
    """
    noise = hash_cell(seed, 1, 2, 3)
    column, row, low = np.uint64(x), np.uint64(y), np.uint64(0xFFFFFF)
    s = (column * np.uint64(14372632) + row * np.uint64(12312662) + (noise >> np.uint64(40))) & low
    t = (column * np.uint64(10547950) + row * np.uint64(9036165) + (noise >> np.uint64(16))) & low
    return (s << np.uint64(40)) | (t << np.uint64(16))


@subroutine(EXACT)
def sample_pair(points, i, bits):
    """The i-th of a pixel's well-spread pairs in [0, 1)^2; ``bits`` hold the shift of both coordinates.

    Args:
        points: A (0, 2)-sequence; the number of rows is a power of two  # [N, 2]
    """
    mask = points.shape[0] - 1
    a, b = int(bits >> np.uint64(40)), int((bits >> np.uint64(16)) & np.uint64(0xFFFFFF))
    j = (i * (2 * (a & 0x7FF) + 1) + b) & mask  # products with odd numbers and xors of shifts permute 0 .. mask
    j ^= j >> 2
    j = (j * (2 * (b & 0x7FF) + 1) + a) & mask
    s, t = points[j, 0] + a / 16777216.0, points[j, 1] + b / 16777216.0
    return s - math.floor(s), t - math.floor(t)


@subroutine(EXACT)
def _offset(px, py, pz, nx, ny, nz, t):
    """A point just above the surface, so that a ray from it does not meet the surface again."""
    lift = 1e-6 * max(1.0, t)
    return px + lift * nx, py + lift * ny, pz + lift * nz


@subroutine(EXACT)
def _color_at(primitives, frames, materials, i, px, py, pz, nx, ny, nz, width):
    x, y, z, u, v = texture_coordinates(primitives, frames, i, px, py, pz, nx, ny, nz)
    number = int(frames[int(primitives[i, FRAME]), TEXTURE_NUMBER])
    return surface_color(materials, int(primitives[i, MATERIAL]), number, x, y, z, u, v, width)


@subroutine(EXACT)
def _one_light(primitives, nodes, profiles, lights, stack, points, i, bits, px, py, pz, nx, ny, nz):
    """Direct light at a point, estimated from one light chosen at random."""
    number = lights.shape[0]
    if number == 0:
        return 0.0, 0.0, 0.0
    k = min(int(unit_from_bits(mix_bits(bits + np.uint64(i))) * number), number - 1)
    s, t = sample_pair(points, i, mix_bits(bits + SHIFT))
    x, y, z, distance, r, gr, b = sample_light(lights, k, px, py, pz, s, t)
    cosine = x * nx + y * ny + z * nz
    if cosine <= 0.0 or r + gr + b <= 0.0:
        return 0.0, 0.0, 0.0
    if is_blocked(primitives, nodes, profiles, stack, px, py, pz, x, y, z, 0.0, distance * 0.9999):
        return 0.0, 0.0, 0.0
    cosine *= number
    return r * cosine, gr * cosine, b * cosine


@subroutine(EXACT)
def arriving_radiance(g, materials, lights, sky, ambient, stack, points, i, bits, px, py, pz, dx, dy, dz, width, limit, sharp):
    """Radiance along a secondary ray: the surface it meets in direct light and the mean light of the place, or the sky.

    What exceeds the ambient light ``limit`` times is cut: less noise for a little energy. A ray that is ``sharp`` sees
    patterns and the sky itself; others see mean colours, and the sky only if it is a light.
    """
    primitives, nodes, profiles, frames, corner_normals = g
    t, hit = nearest_hit(primitives, nodes, profiles, stack, px, py, pz, dx, dy, dz, 0.0)
    if hit < 0:
        if not sharp and sky[11] == 0.0:
            return 0.0, 0.0, 0.0
        return sky_radiance(sky, dx, dy, dz, False)
    qx, qy, qz = px + t * dx, py + t * dy, pz + t * dz
    nx, ny, nz, sx, sy, sz = surface_normals(primitives, profiles, corner_normals, hit, qx, qy, qz, dx, dy, dz)
    m = int(primitives[hit, MATERIAL])
    if sharp:
        r, gr, b = _color_at(primitives, frames, materials, hit, qx, qy, qz, nx, ny, nz, width + 0.02 * t)
    else:
        r, gr, b = materials[m, MEAN], materials[m, MEAN + 1], materials[m, MEAN + 2]
    qx, qy, qz = _offset(qx, qy, qz, nx, ny, nz, t)
    lr, lg, lb = _one_light(primitives, nodes, profiles, lights, stack, points, i, bits, qx, qy, qz, sx, sy, sz)
    lr, lg, lb = lr + ambient[0], lg + ambient[1], lb + ambient[2]
    glow = materials[m, EMISSION]
    limit = limit * max(ambient[0], max(ambient[1], ambient[2])) + 1e-3
    er, eg = r * lr + glow * materials[m, COLOR_A], gr * lg + glow * materials[m, COLOR_A + 1]
    return min(er, limit), min(eg, limit), min(b * lb + glow * materials[m, COLOR_A + 2], limit)


@subroutine(EXACT)
def _highlight(materials, m, nx, ny, nz, dx, dy, dz, lx, ly, lz):
    """Normalised Blinn-Phong lobe over the diffuse one; (dx, dy, dz) is the unit direction of view, from the eye."""
    hx, hy, hz = lx - dx, ly - dy, lz - dz
    length = math.sqrt(hx * hx + hy * hy + hz * hz)
    cosine = (hx * nx + hy * ny + hz * nz) / max(length, 1e-9)
    if cosine <= 0.0:
        return 0.0
    exponent = 1.0
    for _ in range(int(materials[m, GLOSS])):
        cosine *= cosine
        exponent *= 2.0
    return materials[m, SPECULAR] * cosine * (exponent + 8.0) / 8.0


@subroutine(EXACT)
def _direct(primitives, nodes, profiles, materials, m, lights, stack, points, i, bits, px, py, pz, nx, ny, nz, dx, dy, dz):
    """Irradiance over pi from all lights, and the highlights' radiance."""
    er, eg, eb, hr, hg, hb = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(lights.shape[0]):
        s, t = sample_pair(points, i, bits + SHIFT * np.uint64(k + 1))
        x, y, z, distance, r, gr, b = sample_light(lights, k, px, py, pz, s, t)
        cosine = x * nx + y * ny + z * nz
        if cosine <= 0.0 or r + gr + b <= 0.0:
            continue
        if is_blocked(primitives, nodes, profiles, stack, px, py, pz, x, y, z, 0.0, distance * 0.9999):
            continue
        r, gr, b = r * cosine, gr * cosine, b * cosine
        er, eg, eb = er + r, eg + gr, eb + b
        if materials[m, SPECULAR] > 0.0:
            lobe = _highlight(materials, m, nx, ny, nz, dx, dy, dz, x, y, z)
            hr, hg, hb = hr + lobe * r, hg + lobe * gr, hb + lobe * b
    return er, eg, eb, hr, hg, hb


@subroutine(EXACT)
def surface_at(g, materials, hit, px, py, pz, dx, dy, dz, width):
    """Normal, normal for shading, and reflectance of primitive ``hit`` at a world point seen along a unit direction."""
    primitives, _, profiles, frames, corner_normals = g
    nx, ny, nz, sx, sy, sz = surface_normals(primitives, profiles, corner_normals, hit, px, py, pz, dx, dy, dz)
    facing = max(-(nx * dx + ny * dy + nz * dz), 0.05)
    r, gr, b = _color_at(primitives, frames, materials, hit, px, py, pz, nx, ny, nz, width / math.sqrt(facing))
    return nx, ny, nz, sx, sy, sz, r, gr, b


@subroutine(EXACT)
def illuminate(
    g, materials, lights, sky, ambient, stack, points, i, bits, hit, t, px, py, pz, dx, dy, dz, width,
    nx, ny, nz, sx, sy, sz, limit,
):  # fmt: skip
    """Light on a surface point from everywhere.

    Returns:
        Irradiance over pi (3), radiance of highlights and mirrored surroundings (3), and the share that is mirrored, which
        does not reach the diffuse layer.
    """
    primitives, nodes, profiles, _, _ = g
    m = int(primitives[hit, MATERIAL])
    qx, qy, qz = _offset(px, py, pz, nx, ny, nz, t)
    er, eg, eb, hr, hg, hb = _direct(
        primitives, nodes, profiles, materials, m, lights, stack, points, i, bits, qx, qy, qz, sx, sy, sz, dx, dy, dz
    )
    u, v = sample_pair(points, i, bits + SHIFT * np.uint64(101))
    bx, by, bz = cosine_direction(nx, ny, nz, u, v)
    more = bits + SHIFT * np.uint64(211)
    ar, ag, ab = arriving_radiance(
        g, materials, lights, sky, ambient, stack, points, i, more, qx, qy, qz, bx, by, bz, width, limit, False
    )
    er, eg, eb, fresnel = er + ar, eg + ag, eb + ab, 0.0
    if materials[m, MIRROR] > 0.0:
        cosine = sx * dx + sy * dy + sz * dz
        grazing = 1.0 - max(-cosine, 0.0)
        square = grazing * grazing
        fresnel = min(materials[m, MIRROR] * (1.0 + 8.0 * square * square * grazing), 0.8)
        rx, ry, rz = dx - 2.0 * cosine * sx, dy - 2.0 * cosine * sy, dz - 2.0 * cosine * sz
        more = bits + SHIFT * np.uint64(307)
        ar, ag, ab = arriving_radiance(
            g, materials, lights, sky, ambient, stack, points, i, more, qx, qy, qz, rx, ry, rz, width, 4.0 * limit, True
        )
        hr, hg, hb = hr + fresnel * ar, hg + fresnel * ag, hb + fresnel * ab
    return er, eg, eb, hr, hg, hb, fresnel


ROWS_A_TASK = 8
NEAREST = 1e-4  # metres before the eye that are not drawn


class PackedScene(NamedTuple):
    """A scene for the kernels."""

    geometry: Geometry  # primitives and their tree
    materials: NDArray[np.float64]  # one row a material, [M, materials.ROW]
    lights: NDArray[np.float64]  # one row a light, [L, LIGHT_ROW]
    sky: NDArray[np.float64]  # row of the sky, [12]
    ambient: NDArray[np.float64]  # light of the second and later bounces, irradiance over pi, [3]


@dataclass(frozen=True)
class Rendering:
    """A picture of a scene.

    Attributes:
        radiance: Linear, before exposure, float32  # [H, W, 3]
        albedo: Diffuse reflectance averaged over the pixel, float32  # [H, W, 3]
        irradiance: Over pi, averaged over the pixel, float32  # [H, W, 3]
        gloss: Radiance of highlights and mirrored surroundings, part of the radiance, float32  # [H, W, 3]
        depth: z-depth at the pixel centre in metres, 0 where there is sky, float32  # [H, W]
        normals: Unit normals at the pixel centre in the camera's frame, towards the camera, 0 for sky, float32  # [H, W, 3]
        objects: Object at the pixel centre, 0 for sky and what belongs to no object, int32  # [H, W]
        classes: Index into ``CLASSES``, 0 for sky, int32  # [H, W]
    """

    radiance: NDArray[np.float32]
    albedo: NDArray[np.float32]
    irradiance: NDArray[np.float32]
    gloss: NDArray[np.float32]
    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    objects: NDArray[np.int32]
    classes: NDArray[np.int32]


@kernel(EXACT)
def _render_rows(top, bottom, scene, camera, points, lit, seed, radiance, albedo, irradiance, gloss, depth, normals, ids):
    g, materials, lights, sky, ambient = scene
    primitives, nodes, profiles = g.primitives, g.nodes, g.profiles
    stack = np.empty(64, np.int32)
    samples, width = points.shape[0], depth.shape[1]
    ox, oy, oz = camera[3], camera[7], camera[11]
    fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
    pixel, limit = 1.0 / math.sqrt(fx * fy), min(1.5 + 0.25 * lit, 6.0)
    for y in range(top, bottom):
        for x in range(width):
            bits = pixel_code(x, y, seed)
            total, last = np.zeros(12), -1
            er, eg, eb, hr, hg, hb, fresnel = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for i in range(samples):
                u, v = 0.5, 0.5  # the first sample is the pixel's centre, where depth, normal and ids are taken
                if i > 0:
                    u, v = sample_pair(points, i, bits)
                a, b = (x + u - cx) / fx, (y + v - cy) / fy
                dx = camera[0] * a + camera[1] * b + camera[2]
                dy = camera[4] * a + camera[5] * b + camera[6]
                dz = camera[8] * a + camera[9] * b + camera[10]
                # in the camera's frame the direction has z = 1, so t is z-depth
                t, hit = nearest_hit(primitives, nodes, profiles, stack, ox, oy, oz, dx, dy, dz, NEAREST)
                length = math.sqrt(dx * dx + dy * dy + dz * dz)
                ux, uy, uz = dx / length, dy / length, dz / length
                if hit < 0:
                    for k, light in enumerate(sky_radiance(sky, ux, uy, uz, True)):
                        total[k] += light
                    continue
                px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
                nx, ny, nz, sx, sy, sz, ar, ag, ab = surface_at(g, materials, hit, px, py, pz, ux, uy, uz, t * pixel)
                if i < lit or hit != last:
                    er, eg, eb, hr, hg, hb, fresnel = illuminate(
                        g, materials, lights, sky, ambient, stack, points, i, bits, hit, t, px, py, pz, ux, uy, uz,
                        t * pixel, nx, ny, nz, sx, sy, sz, limit,
                    )  # fmt: skip
                    last = hit
                glow = materials[int(primitives[hit, MATERIAL]), EMISSION]
                keep = 1.0 - fresnel
                for k, (a, e, h) in enumerate(((ar, er, hr), (ag, eg, hg), (ab, eb, hb))):
                    total[k] += a * (keep * e + glow) + h
                    total[3 + k] += keep * a
                    total[6 + k] += e
                    total[9 + k] += h
                if i == 0:
                    depth[y, x] = t
                    ids[y, x, 0], ids[y, x, 1] = int(primitives[hit, OBJECT]), int(primitives[hit, CATEGORY])
                    for k in range(3):
                        normals[y, x, k] = camera[k] * nx + camera[4 + k] * ny + camera[8 + k] * nz
            for k in range(3):
                radiance[y, x, k] = total[k] / samples
                albedo[y, x, k] = total[3 + k] / samples
                irradiance[y, x, k] = total[6 + k] / samples
                gloss[y, x, k] = total[9 + k] / samples


def spread_points(count: int) -> NDArray[np.float64]:
    """The first points of Sobol's two-dimensional sequence; any 2^k of them lie evenly.

    Raises:
        InputError: If the count is not a power of two from 1 to 4096.
    """
    if count not in {1 << k for k in range(13)}:
        raise InputError("samples", count, "a power of two from 1 to 4096")
    index = np.arange(count)
    points, direction = np.zeros((count, 2), np.int64), 1 << 31
    for bit in range(12):
        chosen = (index >> bit & 1).astype(bool)
        points[chosen, 0] ^= 1 << (31 - bit)
        points[chosen, 1] ^= direction
        direction ^= direction >> 1  # the direction numbers of the polynomial x + 1
    return points / 2.0**32


def render(
    scene: PackedScene,
    camera: Cameras,
    *,
    samples: int = 64,
    lit_samples: int | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Rendering:
    """Draws a scene. The result has the same bits for any number of threads and on every machine.

    Args:
        scene: A packed scene (``World.pack``).
        camera: One camera, metres.
        samples: Rays a pixel for colour, a power of two; the first goes through the centre and gives depth, normal, ids.
        lit_samples: How many of them look for light; the others take the light of the last that met the same primitive.
            None lets all do so. Few are fast and leave noise, for ``exposure.smoothed_radiance`` to remove.
        seed: Of the noise.
        threads: Worker threads; None takes as many as ``kernels.thread_count()`` says.

    Raises:
        InputError: If there is not exactly one camera, or for numbers out of range.
    """
    if len(camera) != 1:
        raise InputError("camera", f"{len(camera)} cameras", "one camera")
    if threads is not None and threads < 1:
        raise InputError("threads", threads, "1 or more, or None")
    points, lit = spread_points(samples), samples if lit_samples is None else lit_samples
    if not 1 <= lit <= samples:
        raise InputError("lit_samples", lit, f"1 to {samples}, the number of samples")
    numbers = _camera_numbers(camera)
    shape = (camera.height, camera.width)
    radiance, albedo, irradiance, gloss, normals = (np.zeros((*shape, 3), np.float32) for _ in range(5))
    depth, ids = np.zeros(shape, np.float32), np.zeros((*shape, 2), np.int32)

    run_rows(
        _render_rows, 0, camera.height, camera.width, scene, numbers, points, lit, seed, radiance, albedo, irradiance, gloss,
        depth, normals, ids, threads=threads, band=ROWS_A_TASK,
    )  # fmt: skip
    return Rendering(radiance, albedo, irradiance, gloss, depth, normals, ids[..., 0].copy(), ids[..., 1].copy())


def _camera_numbers(camera: Cameras) -> NDArray[np.float64]:
    """Pose, row by row, then fx, fy, cx, cy  # [16]"""
    K = camera.K[0].double().cpu().numpy()
    pose = camera.camera_to_world[0, :3].double().cpu().numpy().ravel()
    return np.concatenate([pose, [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]])
