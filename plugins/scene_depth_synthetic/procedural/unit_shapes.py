"""Where a ray meets a unit shape: the parameter t of the first hit in (tmin, tmax), or NO_HIT.

Unit shapes: quad z = 0, |x|, |y| <= 1. Box |x|, |y|, |z| <= 1. Sphere of radius 1. Frustum |z| <= 1 with radius 1 at
z = -1 and ``top`` at z = 1. Torus of radius 1 around z with a tube of radius ``tube``. Superellipsoid
x^4 + y^4 + z^4 = 1. Triangle (0, 0), (1, 0), (0, 1) in z = 0. Lathe: a profile turned around z.
All surfaces are seen from both sides.
"""

from __future__ import annotations

import math

from scene_depth.kernels import EXACT, subroutine

OPEN, CLOSED_BOTTOM, CLOSED_TOP, CLOSED = 0, 1, 2, 3  # caps of a frustum
NO_HIT = 1e30


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
def hit_quad(ox, oy, oz, dx, dy, dz, tmin, tmax):
    t = _hit_plane(oz, dz, 0.0, tmin, tmax)
    return t if t < NO_HIT and abs(ox + t * dx) <= 1.0 and abs(oy + t * dy) <= 1.0 else NO_HIT


@subroutine(EXACT)
def hit_triangle(ox, oy, oz, dx, dy, dz, tmin, tmax):
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
def hit_box(ox, oy, oz, dx, dy, dz, tmin, tmax):
    near, far = _cross_box(ox, oy, oz, dx, dy, dz, 1.0, 1.0, -NO_HIT, NO_HIT)
    if near > far:
        return NO_HIT
    if tmin < near < tmax:
        return near
    return far if near <= tmin < far < tmax else NO_HIT


@subroutine(EXACT)
def hit_sphere(ox, oy, oz, dx, dy, dz, tmin, tmax):
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
def hit_frustum(ox, oy, oz, dx, dy, dz, top, caps, tmin, tmax):
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
def hit_lathe(profiles, first, count, ox, oy, oz, dx, dy, dz, tmin, tmax):
    """A profile turned around z."""
    best = NO_HIT
    for i in range(first, first + count):
        best = min(best, _hit_profile_segment(profiles, i, ox, oy, oz, dx, dy, dz, tmin, min(tmax, best)))
    return best


@subroutine(EXACT)
def hit_torus(ox, oy, oz, dx, dy, dz, tube, tmin, tmax):
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
def hit_superellipsoid(ox, oy, oz, dx, dy, dz, tmin, tmax):
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
