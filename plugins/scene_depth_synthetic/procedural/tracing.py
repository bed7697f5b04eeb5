"""Rays through a packed scene: the nearest surface, whether anything lies between two points, and what is there.

A primitive is the affine image of a unit shape, so the parameter t of a ray is the same in both frames. A hit outside
(tmin, tmax) gives NO_HIT. All surfaces are seen from both sides.

Unit shapes: quad z = 0, |x|, |y| <= 1. Box |x|, |y|, |z| <= 1. Sphere of radius 1. Frustum |z| <= 1 with radius 1 at
z = -1 and ``top`` at z = 1. Torus of radius 1 around z with a tube of radius ``tube``. Superellipsoid
x^4 + y^4 + z^4 = 1. Triangle (0, 0), (1, 0), (0, 1) in z = 0. Lathe: a profile turned around z.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, subroutine
from scene_depth_synthetic.procedural.exact_math import arctan2

QUAD, BOX, SPHERE, FRUSTUM, LATHE, TORUS, SUPERELLIPSOID, TRIANGLE = range(8)
OPEN, CLOSED_BOTTOM, CLOSED_TOP, CLOSED = 0, 1, 2, 3  # caps of a frustum
NO_HIT = 1e30
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
def _value(c4, c3, c2, c1, c0, t):
    return (((c4 * t + c3) * t + c2) * t + c1) * t + c0


@subroutine(EXACT)
def _monotone_root(c4, c3, c2, c1, c0, low, high):
    """The root in [low, high], where the polynomial is monotone and changes sign: Newton's method kept in a bracket."""
    rising = _value(c4, c3, c2, c1, c0, high) > 0.0
    t = 0.5 * (low + high)
    for _ in range(80):
        f = _value(c4, c3, c2, c1, c0, t)
        if f == 0.0:
            return t
        if (f > 0.0) == rising:
            high = t
        else:
            low = t
        slope = ((4.0 * c4 * t + 3.0 * c3) * t + 2.0 * c2) * t + c1
        step = t - f / slope if slope != 0.0 else low
        if not (low < step < high):
            step = 0.5 * (low + high)
        if abs(step - t) <= 1e-15 * (abs(t) + 1e-3):
            return step
        t = step
    return t


@subroutine(EXACT)
def _crosses(c4, c3, c2, c1, c0, low, high):
    return (_value(c4, c3, c2, c1, c0, low) > 0.0) != (_value(c4, c3, c2, c1, c0, high) > 0.0)


@subroutine(EXACT)
def _next_stationary(c4, c3, c2, c1, low, high):
    """The first point in (low, high) where the derivative of the quartic changes sign, or ``high``."""
    d3, d2, d1, d0 = 4.0 * c4, 3.0 * c3, 2.0 * c2, c1
    inflection_a, inflection_b = high, high
    discriminant = d2 * d2 - 3.0 * d3 * d1
    if d3 != 0.0 and discriminant > 0.0:
        q = math.sqrt(discriminant)
        inflection_a, inflection_b = (-d2 - q) / (3.0 * d3), (-d2 + q) / (3.0 * d3)
        if inflection_a > inflection_b:
            inflection_a, inflection_b = inflection_b, inflection_a
    a = low
    for piece in range(3):
        b = inflection_a if piece == 0 else (inflection_b if piece == 1 else high)
        b = min(b, high)
        if b <= a:
            continue
        if _crosses(0.0, d3, d2, d1, d0, a, b):
            return _monotone_root(0.0, d3, d2, d1, d0, a, b)
        a = b
    return high


@subroutine(EXACT)
def _first_root(c4, c3, c2, c1, c0, low, high):
    """The smallest t in [low, high] where c4 t^4 + c3 t^3 + c2 t^2 + c1 t + c0 changes sign, or NO_HIT."""
    a = low
    for _ in range(5):
        b = _next_stationary(c4, c3, c2, c1, a, high)
        if _crosses(c4, c3, c2, c1, c0, a, b):
            return _monotone_root(c4, c3, c2, c1, c0, a, b)
        if b >= high:
            return NO_HIT
        a = b + 1e-14 * (abs(b) + 1e-3)
    return NO_HIT


@subroutine(EXACT)
def _hit_plane(oz, dz, z, tmin, tmax):
    """Where a ray meets the plane of height z."""
    if dz == 0.0:
        return NO_HIT
    t = (z - oz) / dz
    return t if tmin < t < tmax else NO_HIT


@subroutine(EXACT)
def _hit_quad(ox, oy, oz, dx, dy, dz, tmin, tmax):
    t = _hit_plane(oz, dz, 0.0, tmin, tmax)
    return t if t < NO_HIT and abs(ox + t * dx) <= 1.0 and abs(oy + t * dy) <= 1.0 else NO_HIT


@subroutine(EXACT)
def _hit_triangle(ox, oy, oz, dx, dy, dz, tmin, tmax):
    t = _hit_plane(oz, dz, 0.0, tmin, tmax)
    x, y = ox + t * dx, oy + t * dy
    return t if t < NO_HIT and x >= 0.0 and y >= 0.0 and x + y <= 1.0 else NO_HIT


@subroutine(EXACT)
def _slab(o, d, half, near, far):
    """Cuts [near, far] down to where |o + t d| <= half; an empty interval has near > far."""
    if d == 0.0:
        return (near, far) if abs(o) <= half else (1.0, -1.0)
    inverse = 1.0 / d
    middle, reach = -o * inverse, abs(half * inverse)
    return max(near, middle - reach), min(far, middle + reach)


@subroutine(EXACT)
def _cross_box(ox, oy, oz, dx, dy, dz, half, height, near, far):
    """Cuts [near, far] down to the box |x|, |y| <= half, |z| <= height; an empty interval has near > far."""
    near, far = _slab(oz, dz, height, near, far)
    if near <= far:
        near, far = _slab(ox, dx, half, near, far)
    if near <= far:
        near, far = _slab(oy, dy, half, near, far)
    return near, far


@subroutine(EXACT)
def _hit_box(ox, oy, oz, dx, dy, dz, tmin, tmax):
    near, far = _cross_box(ox, oy, oz, dx, dy, dz, 1.0, 1.0, -NO_HIT, NO_HIT)
    if near > far:
        return NO_HIT
    if tmin < near < tmax:
        return near
    return far if near <= tmin < far < tmax else NO_HIT


@subroutine(EXACT)
def _hit_sphere(ox, oy, oz, dx, dy, dz, tmin, tmax):
    a = dx * dx + dy * dy + dz * dz
    middle = -(ox * dx + oy * dy + oz * dz) / a
    # the distance of the ray from the centre, not B^2 - 4AC: that loses half the digits far away
    mx, my, mz = ox + middle * dx, oy + middle * dy, oz + middle * dz
    rest = 1.0 - (mx * mx + my * my + mz * mz)
    if rest < 0.0:
        return NO_HIT
    half = math.sqrt(rest / a)
    if tmin < middle - half < tmax:
        return middle - half
    return middle + half if tmin < middle + half < tmax else NO_HIT


@subroutine(EXACT)
def _cone_root(ox, oy, oz, dx, dy, dz, r0, slope, z0, z1, tmin, tmax):
    """First t on the side of a cone with radius r0 + slope (z - z0) for z0 <= z <= z1."""
    o_r, d_r = r0 + slope * (oz - z0), slope * dz
    a = dx * dx + dy * dy - d_r * d_r
    b = ox * dx + oy * dy - o_r * d_r
    c = ox * ox + oy * oy - o_r * o_r
    if a == 0.0:
        if b == 0.0:
            return NO_HIT
        first = second = -0.5 * c / b
    else:
        rest = b * b - a * c
        if rest < 0.0:
            return NO_HIT
        q = -(b + math.sqrt(rest)) if b > 0.0 else -b + math.sqrt(rest)
        first = q / a
        second = c / q if q != 0.0 else first
        if first > second:
            first, second = second, first
    for t in (first, second):
        z = oz + t * dz
        if tmin < t < tmax and z0 <= z <= z1 and r0 + slope * (z - z0) >= 0.0:
            return t
    return NO_HIT


@subroutine(EXACT)
def _hit_disc(ox, oy, oz, dx, dy, dz, z, inner, outer, tmin, tmax):
    """A flat ring at height z between two radii."""
    t = _hit_plane(oz, dz, z, tmin, tmax)
    x, y = ox + t * dx, oy + t * dy
    square = x * x + y * y
    return t if t < NO_HIT and inner * inner <= square <= outer * outer else NO_HIT


@subroutine(EXACT)
def _hit_frustum(ox, oy, oz, dx, dy, dz, top, caps, tmin, tmax):
    t = _cone_root(ox, oy, oz, dx, dy, dz, 1.0, 0.5 * (top - 1.0), -1.0, 1.0, tmin, tmax)
    if caps & CLOSED_BOTTOM:
        t = min(t, _hit_disc(ox, oy, oz, dx, dy, dz, -1.0, 0.0, 1.0, tmin, tmax))
    if caps & CLOSED_TOP:
        t = min(t, _hit_disc(ox, oy, oz, dx, dy, dz, 1.0, 0.0, top, tmin, tmax))
    return t


@subroutine(EXACT)
def _hit_profile_segment(profiles, row, ox, oy, oz, dx, dy, dz, tmin, tmax):
    """One segment (r0, z0)-(r1, z1) of a profile, turned around z."""
    r0, z0, r1, z1 = profiles[row, 0], profiles[row, 1], profiles[row, 2], profiles[row, 3]
    if z1 == z0:
        return _hit_disc(ox, oy, oz, dx, dy, dz, z0, min(r0, r1), max(r0, r1), tmin, tmax)
    if z1 < z0:
        r0, z0, r1, z1 = r1, z1, r0, z0
    return _cone_root(ox, oy, oz, dx, dy, dz, r0, (r1 - r0) / (z1 - z0), z0, z1, tmin, tmax)


@subroutine(EXACT)
def _hit_lathe(profiles, first, count, ox, oy, oz, dx, dy, dz, tmin, tmax):
    """A profile turned around z."""
    best = NO_HIT
    for i in range(first, first + count):
        best = min(best, _hit_profile_segment(profiles, i, ox, oy, oz, dx, dy, dz, tmin, min(tmax, best)))
    return best


@subroutine(EXACT)
def _hit_torus(ox, oy, oz, dx, dy, dz, tube, tmin, tmax):
    near, far = _cross_box(ox, oy, oz, dx, dy, dz, 1.0 + tube, tube, tmin, tmax)
    if near >= far:
        return NO_HIT
    dd = dx * dx + dy * dy + dz * dz
    shift = -(ox * dx + oy * dy + oz * dz) / dd  # from the nearest point to the centre the coefficients stay small
    x, y, z = ox + shift * dx, oy + shift * dy, oz + shift * dz
    od = x * dx + y * dy + z * dz
    k = x * x + y * y + z * z + 1.0 - tube * tube
    c2 = 2.0 * dd * k + 4.0 * od * od - 4.0 * (dx * dx + dy * dy)
    c1 = 4.0 * od * k - 8.0 * (x * dx + y * dy)
    c0 = k * k - 4.0 * (x * x + y * y)
    t = _first_root(dd * dd, 4.0 * dd * od, c2, c1, c0, near - shift, far - shift)
    return t + shift if t < NO_HIT else NO_HIT


@subroutine(EXACT)
def _hit_superellipsoid(ox, oy, oz, dx, dy, dz, tmin, tmax):
    near, far = _cross_box(ox, oy, oz, dx, dy, dz, 1.0, 1.0, tmin, tmax)
    if near >= far:
        return NO_HIT
    shift = -(ox * dx + oy * dy + oz * dz) / (dx * dx + dy * dy + dz * dz)
    x, y, z = ox + shift * dx, oy + shift * dy, oz + shift * dz
    x2, y2, z2, p2, q2, r2 = x * x, y * y, z * z, dx * dx, dy * dy, dz * dz
    c4 = p2 * p2 + q2 * q2 + r2 * r2
    c3 = 4.0 * (x * dx * p2 + y * dy * q2 + z * dz * r2)
    c2 = 6.0 * (x2 * p2 + y2 * q2 + z2 * r2)
    c1 = 4.0 * (x2 * x * dx + y2 * y * dy + z2 * z * dz)
    c0 = x2 * x2 + y2 * y2 + z2 * z2 - 1.0
    t = _first_root(c4, c3, c2, c1, c0, near - shift, far - shift)
    return t + shift if t < NO_HIT else NO_HIT


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
        return _hit_quad(x, y, z, u, v, w, tmin, tmax)
    if kind == BOX:
        return _hit_box(x, y, z, u, v, w, tmin, tmax)
    if kind == TRIANGLE:
        return _hit_triangle(x, y, z, u, v, w, tmin, tmax)
    if kind == SPHERE:
        return _hit_sphere(x, y, z, u, v, w, tmin, tmax)
    if kind == FRUSTUM:
        return _hit_frustum(x, y, z, u, v, w, primitives[i, TOP], int(primitives[i, CAPS]), tmin, tmax)
    if kind == LATHE:
        first, count = int(primitives[i, FIRST_ROW]), int(primitives[i, ROW_COUNT])
        return _hit_lathe(profiles, first, count, x, y, z, u, v, w, tmin, tmax)
    if kind == TORUS:
        return _hit_torus(x, y, z, u, v, w, primitives[i, TUBE], tmin, tmax)
    return _hit_superellipsoid(x, y, z, u, v, w, tmin, tmax)


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
