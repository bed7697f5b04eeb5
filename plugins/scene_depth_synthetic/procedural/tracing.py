"""Rays through a packed scene: the nearest surface, whether anything lies between two points, and what is there.

A primitive is the affine image of a unit shape (``unit_shapes``), so the parameter t of a ray is the same in both frames. A hit
outside (tmin, tmax) gives NO_HIT.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, subroutine
from scene_depth_synthetic.procedural.exact_math import arctan2
from scene_depth_synthetic.procedural.unit_shapes import (
    NO_HIT,
    hit_box,
    hit_frustum,
    hit_lathe,
    hit_quad,
    hit_sphere,
    hit_superellipsoid,
    hit_torus,
    hit_triangle,
)

QUAD, BOX, SPHERE, FRUSTUM, LATHE, TORUS, SUPERELLIPSOID, TRIANGLE = range(8)
# columns of a primitive's row
KIND, TO_LOCAL, TOP, CAPS, RADIUS, FRAME, MATERIAL, OBJECT, CATEGORY, SHADOW = 0, 1, 13, 14, 15, 16, 17, 18, 19, 20
FIRST_ROW, ROW_COUNT, TUBE, CORNERS = TOP, CAPS, TOP, TOP  # the same columns under the names that fit other shapes
TEXTURE_NUMBER = 12  # column of a frame's row


class Geometry(NamedTuple):
    """A scene as tables of float64, ordered for its tree of boxes; lengths in metres.

    Few wide tables, and rows read by index: a table is seven words in each call, and a view of a row costs a reference
    count that all threads share.

    Attributes:
        primitives: Kind; world to unit shape, rows of a 3 x 4 matrix; two parameters (frustum: top radius, caps; lathe:
            first row and number of rows of ``profiles``; torus: tube radius; triangle: row of ``corner_normals`` or -1);
            metric radius of round shapes; row of ``frames``; material; object; class; 1 if it casts a shadow  # [N, 21]
        nodes: The tree: box (low, high), then two children, or first primitive and -count in a leaf  # [M, 8]
        profiles: Segments (r0, z0, r1, z1) and the normals (r, z) at both ends  # [R, 8]
        frames: World to a texture's metric frame, rows of a 3 x 4 matrix, then the texture's number  # [F, 13]
        corner_normals: World normals at the corners of smooth triangles  # [T, 9]
    """

    primitives: NDArray[np.float64]
    nodes: NDArray[np.float64]
    profiles: NDArray[np.float64]
    frames: NDArray[np.float64]
    corner_normals: NDArray[np.float64]


@subroutine(EXACT)
def transform_vector(m, i, k, x, y, z):
    """A direction through the 3 x 4 matrix that starts in column k of row i."""
    return (
        m[i, k] * x + m[i, k + 1] * y + m[i, k + 2] * z,
        m[i, k + 4] * x + m[i, k + 5] * y + m[i, k + 6] * z,
        m[i, k + 8] * x + m[i, k + 9] * y + m[i, k + 10] * z,
    )


@subroutine(EXACT)
def transform_point(m, i, k, x, y, z):
    """A point through the 3 x 4 matrix that starts in column k of row i."""
    u, v, w = transform_vector(m, i, k, x, y, z)
    return u + m[i, k + 3], v + m[i, k + 7], w + m[i, k + 11]


@subroutine(EXACT)
def hit_primitive(primitives, profiles, i, ox, oy, oz, dx, dy, dz, tmin, tmax):
    """Parameter t of the first hit of a world ray with primitive i in (tmin, tmax), or NO_HIT."""
    x, y, z = transform_point(primitives, i, TO_LOCAL, ox, oy, oz)
    u, v, w = transform_vector(primitives, i, TO_LOCAL, dx, dy, dz)
    kind = int(primitives[i, KIND])
    if kind == QUAD:
        return hit_quad(x, y, z, u, v, w, tmin, tmax)
    if kind == BOX:
        return hit_box(x, y, z, u, v, w, tmin, tmax)
    if kind == TRIANGLE:
        return hit_triangle(x, y, z, u, v, w, tmin, tmax)
    if kind == SPHERE:
        return hit_sphere(x, y, z, u, v, w, tmin, tmax)
    if kind == FRUSTUM:
        return hit_frustum(x, y, z, u, v, w, primitives[i, TOP], int(primitives[i, CAPS]), tmin, tmax)
    if kind == LATHE:
        first, count = int(primitives[i, FIRST_ROW]), int(primitives[i, ROW_COUNT])
        return hit_lathe(profiles, first, count, x, y, z, u, v, w, tmin, tmax)
    if kind == TORUS:
        return hit_torus(x, y, z, u, v, w, primitives[i, TUBE], tmin, tmax)
    return hit_superellipsoid(x, y, z, u, v, w, tmin, tmax)


@subroutine(EXACT)
def _inverse(d):
    return 1e300 if d == 0.0 else 1.0 / d


@subroutine(EXACT)
def _enters(nodes, i, ox, oy, oz, ix, iy, iz, tmin, tmax):
    """Where the ray enters the box of node i, or NO_HIT if it misses it in (tmin, tmax)."""
    a0, a1 = (nodes[i, 0] - ox) * ix, (nodes[i, 3] - ox) * ix
    b0, b1 = (nodes[i, 1] - oy) * iy, (nodes[i, 4] - oy) * iy
    c0, c1 = (nodes[i, 2] - oz) * iz, (nodes[i, 5] - oz) * iz
    near = max(max(min(a0, a1), min(b0, b1)), max(min(c0, c1), tmin))
    far = min(min(max(a0, a1), max(b0, b1)), min(max(c0, c1), tmax))
    return near if near <= far else NO_HIT


@subroutine(EXACT)
def nearest_hit(primitives, nodes, profiles, stack, ox, oy, oz, dx, dy, dz, tmin):
    """The first surface beyond tmin: its t (NO_HIT if none) and primitive (-1 if none). ``stack`` is scratch [64]."""
    ix, iy, iz = _inverse(dx), _inverse(dy), _inverse(dz)
    best, found, depth, node = NO_HIT, -1, 0, 0
    if _enters(nodes, 0, ox, oy, oz, ix, iy, iz, tmin, best) >= NO_HIT:
        return best, found
    while True:
        first, second = int(nodes[node, 6]), int(nodes[node, 7])
        if second < 0:
            for i in range(first, first - second):
                t = hit_primitive(primitives, profiles, i, ox, oy, oz, dx, dy, dz, tmin, best)
                if t < best:
                    best, found = t, i
        else:
            near = _enters(nodes, first, ox, oy, oz, ix, iy, iz, tmin, best)
            far = _enters(nodes, second, ox, oy, oz, ix, iy, iz, tmin, best)
            if far < near:
                near, far, first, second = far, near, second, first
            if near < NO_HIT:
                if far < NO_HIT:
                    stack[depth] = second
                    depth += 1
                node = first
                continue
        if depth == 0:
            return best, found
        depth -= 1
        node = stack[depth]


@subroutine(EXACT)
def is_blocked(primitives, nodes, profiles, stack, ox, oy, oz, dx, dy, dz, tmin, tmax):
    """Whether anything that casts a shadow lies on the ray in (tmin, tmax)."""
    ix, iy, iz = _inverse(dx), _inverse(dy), _inverse(dz)
    depth, node = 0, 0
    while True:
        if _enters(nodes, node, ox, oy, oz, ix, iy, iz, tmin, tmax) < NO_HIT:
            first, second = int(nodes[node, 6]), int(nodes[node, 7])
            if second >= 0:
                stack[depth] = second
                depth += 1
                node = first
                continue
            for i in range(first, first - second):
                if (
                    primitives[i, SHADOW] != 0.0
                    and hit_primitive(primitives, profiles, i, ox, oy, oz, dx, dy, dz, tmin, tmax) < NO_HIT
                ):
                    return True
        if depth == 0:
            return False
        depth -= 1
        node = stack[depth]


@subroutine(EXACT)
def _local_normals(primitives, profiles, i, x, y, z):
    """Normal of the surface and the normal for shading, at a point of the unit shape."""
    kind = int(primitives[i, KIND])
    if kind in (QUAD, TRIANGLE):
        return 0.0, 0.0, 1.0, 0.0, 0.0, 1.0
    if kind == BOX:
        ax, ay, az = abs(x), abs(y), abs(z)
        if ax >= ay and ax >= az:
            return x, 0.0, 0.0, x, 0.0, 0.0
        if ay >= az:
            return 0.0, y, 0.0, 0.0, y, 0.0
        return 0.0, 0.0, z, 0.0, 0.0, z
    if kind == SPHERE:
        return x, y, z, x, y, z
    if kind == SUPERELLIPSOID:
        a, b, c = x * x * x, y * y * y, z * z * z
        return a, b, c, a, b, c
    rho = math.sqrt(x * x + y * y)
    if kind == TORUS:
        a, b = x - x / rho, y - y / rho
        return a, b, z, a, b, z
    nr, nz, sr, sz = 0.0, 1.0, 0.0, 1.0
    if kind == FRUSTUM:
        slope = 0.5 * (primitives[i, TOP] - 1.0)
        if abs(rho - (1.0 + slope * (z + 1.0))) < 1e-7:  # else on a cap
            nr, nz = 1.0, -slope
        sr, sz = nr, nz
    else:
        row = _profile_row(profiles, int(primitives[i, FIRST_ROW]), int(primitives[i, ROW_COUNT]), rho, z)
        r0, z0, r1, z1 = profiles[row, 0], profiles[row, 1], profiles[row, 2], profiles[row, 3]
        nr, nz = z1 - z0, r0 - r1
        along = ((rho - r0) * (r1 - r0) + (z - z0) * (z1 - z0)) / ((r1 - r0) ** 2 + (z1 - z0) ** 2)
        sr = profiles[row, 4] + along * (profiles[row, 6] - profiles[row, 4])
        sz = profiles[row, 5] + along * (profiles[row, 7] - profiles[row, 5])
    if rho < 1e-12:
        return 0.0, 0.0, nz, 0.0, 0.0, sz
    return nr * x / rho, nr * y / rho, nz, sr * x / rho, sr * y / rho, sz


@subroutine(EXACT)
def _profile_row(profiles, first, count, rho, z):
    """The profile segment nearest to a point of a lathe shape."""
    best, row = NO_HIT, first
    for k in range(first, first + count):
        r0, z0, r1, z1 = profiles[k, 0], profiles[k, 1], profiles[k, 2], profiles[k, 3]
        dr, dz = r1 - r0, z1 - z0
        along = min(max(((rho - r0) * dr + (z - z0) * dz) / (dr * dr + dz * dz), 0.0), 1.0)
        a, b = rho - r0 - along * dr, z - z0 - along * dz
        if a * a + b * b < best:
            best, row = a * a + b * b, k
    return row


@subroutine(EXACT)
def _normal_to_world(m, i, x, y, z):
    k = TO_LOCAL
    a = m[i, k] * x + m[i, k + 4] * y + m[i, k + 8] * z
    b = m[i, k + 1] * x + m[i, k + 5] * y + m[i, k + 9] * z
    c = m[i, k + 2] * x + m[i, k + 6] * y + m[i, k + 10] * z
    length = math.sqrt(a * a + b * b + c * c)
    return a / length, b / length, c / length


@subroutine(EXACT)
def surface_normals(primitives, profiles, corner_normals, i, px, py, pz, dx, dy, dz):
    """Unit normal of primitive i at a world point, and the smoothed one for shading; both towards where the ray came from."""
    x, y, z = transform_point(primitives, i, TO_LOCAL, px, py, pz)
    ax, ay, az, bx, by, bz = _local_normals(primitives, profiles, i, x, y, z)
    nx, ny, nz = _normal_to_world(primitives, i, ax, ay, az)
    row = int(primitives[i, CORNERS]) if primitives[i, KIND] == TRIANGLE else -1
    if row >= 0:
        c, k = corner_normals, 1.0 - x - y
        sx = k * c[row, 0] + x * c[row, 3] + y * c[row, 6]
        sy = k * c[row, 1] + x * c[row, 4] + y * c[row, 7]
        sz = k * c[row, 2] + x * c[row, 5] + y * c[row, 8]
        length = math.sqrt(sx * sx + sy * sy + sz * sz)
        sx, sy, sz = sx / length, sy / length, sz / length
    else:
        sx, sy, sz = _normal_to_world(primitives, i, bx, by, bz)
    if nx * dx + ny * dy + nz * dz > 0.0:
        nx, ny, nz = -nx, -ny, -nz
    if sx * nx + sy * ny + sz * nz < 0.0:
        sx, sy, sz = -sx, -sy, -sz
    return nx, ny, nz, sx, sy, sz


@subroutine(EXACT)
def texture_coordinates(primitives, frames, i, px, py, pz, nx, ny, nz):
    """Metric coordinates of a world point in its texture's frame (x, y, z), and on the unrolled surface (u, v)."""
    f = int(primitives[i, FRAME])
    x, y, z = transform_point(frames, f, 0, px, py, pz)
    a, b, c = transform_vector(frames, f, 0, nx, ny, nz)
    a, b, c = abs(a), abs(b), abs(c)
    kind, radius = int(primitives[i, KIND]), primitives[i, RADIUS]
    if kind in (SPHERE, TORUS):
        return x, y, z, arctan2(y, x) * radius, arctan2(z, math.sqrt(x * x + y * y)) * radius
    if (kind in (FRUSTUM, LATHE)) and c < 0.9:
        return x, y, z, arctan2(y, x) * radius, z
    if c >= a and c >= b:
        return x, y, z, x, y
    if a >= b:
        return x, y, z, y, z
    return x, y, z, x, z
