"""The first root of a quartic polynomial in an interval, for tori and superellipsoids."""

from __future__ import annotations

import math

from scene_depth.kernels import EXACT, subroutine

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
def first_root(c4, c3, c2, c1, c0, low, high):
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
