"""Pictures of a packed scene: radiance, exact z-depth, normals, object and class of every pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.kernels import EXACT, kernel, run_rows
from scene_depth_synthetic.procedural.lighting import sky_radiance
from scene_depth_synthetic.procedural.materials import EMISSION
from scene_depth_synthetic.procedural.shading import illuminate, pixel_code, sample_pair, surface_at
from scene_depth_synthetic.procedural.tracing import CATEGORY, MATERIAL, OBJECT, Geometry, nearest_hit

ROWS_A_TASK = 8
NEAREST = 1e-4  # metres before the eye that are not drawn


class PackedScene(NamedTuple):
    """A scene for the kernels.

    Attributes:
        geometry: Primitives and their tree.
        materials: One row a material  # [M, materials.ROW]
        lights: One row a light  # [L, LIGHT_ROW]
        sky: Row of the sky  # [12]
        ambient: Light of the second and later bounces, irradiance over pi  # [3]
    """

    geometry: Geometry
    materials: NDArray[np.float64]
    lights: NDArray[np.float64]
    sky: NDArray[np.float64]
    ambient: NDArray[np.float64]


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
                    r, gr, bl = sky_radiance(sky, ux, uy, uz, True)
                    total[0] += r
                    total[1] += gr
                    total[2] += bl
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
                total[0] += ar * (keep * er + glow) + hr
                total[1] += ag * (keep * eg + glow) + hg
                total[2] += ab * (keep * eb + glow) + hb
                total[3] += keep * ar
                total[4] += keep * ag
                total[5] += keep * ab
                total[6] += er
                total[7] += eg
                total[8] += eb
                total[9] += hr
                total[10] += hg
                total[11] += hb
                if i == 0:
                    depth[y, x] = t
                    ids[y, x, 0], ids[y, x, 1] = int(primitives[hit, OBJECT]), int(primitives[hit, CATEGORY])
                    normals[y, x, 0] = camera[0] * nx + camera[4] * ny + camera[8] * nz
                    normals[y, x, 1] = camera[1] * nx + camera[5] * ny + camera[9] * nz
                    normals[y, x, 2] = camera[2] * nx + camera[6] * ny + camera[10] * nz
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
