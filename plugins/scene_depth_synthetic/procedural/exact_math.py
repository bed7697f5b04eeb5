"""Elementary functions from IEEE operations only, and hashing; the same bits on every machine.

The C library's sine or power differ in the last bit between versions, which is enough to move a pixel across an edge.
Each function can be called from kernels, and from Python through ``.py_func``.

The whole ray tracer is compiled without any fast-math flag (``EXACT``): every operation is an IEEE 754 addition,
multiplication, division or square root in the order written, so that a picture has the same bits everywhere.
"""

from __future__ import annotations

import math

import numpy as np

from scene_depth.kernels import EXACT, subroutine

PI = math.pi
HALF_PI_HIGH = 1.57079632673412561417  # the first 33 bits of pi / 2, so that its multiples are exact
HALF_PI_LOW = 6.07710050650619224932e-11

_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0xD6E8FEB86659FD93)
_S29, _S32, _S40 = np.uint64(29), np.uint64(32), np.uint64(40)
_TO_UNIT = 1.0 / (1 << 24)


@subroutine(EXACT)
def sincos(x):
    """Sine and cosine of an angle in radians, to about 1e-15."""
    n = math.floor(x / HALF_PI_HIGH + 0.5)
    r = (x - n * HALF_PI_HIGH) - n * HALF_PI_LOW
    q = r * r
    s = r * (1.0 + q * (-1 / 6 + q * (1 / 120 + q * (-1 / 5040 + q * (1 / 362880 + q * (-1 / 39916800 + q / 6227020800))))))
    c = 1.0 + q * (
        -0.5 + q * (1 / 24 + q * (-1 / 720 + q * (1 / 40320 + q * (-1 / 3628800 + q * (1 / 479001600 - q / 87178291200)))))
    )
    turn = int(n) & 3
    if turn == 0:
        return s, c
    if turn == 1:
        return c, -s
    if turn == 2:
        return -s, -c
    return -c, s


@subroutine(EXACT)
def arctan(x):
    """Arc tangent of 0 <= x <= 1, to about 1e-11."""
    base = 0.0
    if x > 0.41421356237309503:
        base = 0.25 * PI
        x = (x - 1.0) / (x + 1.0)
    q = x * x
    tail = 1 / 9 - q * (1 / 11 - q * (1 / 13 - q * (1 / 15 - q * (1 / 17 - q * (1 / 19 - q * (1 / 21 - q / 23))))))
    return base + x * (1.0 - q * (1 / 3 - q * (1 / 5 - q * (1 / 7 - q * tail))))


@subroutine(EXACT)
def arctan2(y, x):
    """Angle of (x, y) in (-pi, pi]; 0 for (0, 0)."""
    ax, ay = abs(x), abs(y)
    if ax == 0.0 and ay == 0.0:
        return 0.0
    a = arctan(ay / ax) if ay <= ax else 0.5 * PI - arctan(ax / ay)
    if x < 0.0:
        a = PI - a
    return -a if y < 0.0 else a


@subroutine(EXACT)
def exp(x):
    """Exponential function, to about 1e-12 for |x| < 20."""
    x = x / 1024.0
    y = 1.0 + x * (1.0 + x * (0.5 + x * (1 / 6 + x * (1 / 24 + x / 120))))
    for _ in range(10):
        y = y * y
    return y


@subroutine(EXACT)
def srgb_from_linear(x):
    """sRGB transfer function (IEC 61966-2-1) of a linear value, clipped to [0, 1]."""
    if not x > 0.0:
        return 0.0
    if x <= 0.0031308:
        return 12.92 * x
    if x >= 1.0:
        return 1.0
    fourth = math.sqrt(math.sqrt(x))
    root = 0.35 + 0.65 * fourth
    for _ in range(5):  # Newton's method for the cube root, so that root = x ** (1 / 12)
        root = root - (root * root * root - fourth) / (3.0 * root * root)
    square = root * root
    return 1.055 * square * square * root - 0.055


@subroutine(EXACT)
def linear_from_srgb(y):
    """Inverse of :func:`srgb_from_linear` for values in [0, 1]."""
    if y <= 0.04045:
        return y / 12.92
    base = (y + 0.055) / 1.055
    fifth = 0.2 + 0.8 * base
    for _ in range(40):  # Newton's method for the fifth root
        fourth = fifth * fifth * fifth * fifth
        fifth = fifth - (fourth * fifth - base) / (5.0 * fourth)
    return base * base * fifth * fifth


@subroutine(EXACT)
def mix_bits(x):
    """A well-mixed 64-bit hash of a 64-bit number."""
    x = (x ^ (x >> _S32)) * _P4
    x = (x ^ (x >> _S29)) * _P2
    return x ^ (x >> _S32)


@subroutine(EXACT)
def hash_cell(ix, iy, iz, seed):
    """64-bit hash of a lattice cell; arguments are integers."""
    return mix_bits(np.uint64(ix) * _P1 ^ np.uint64(iy) * _P2 ^ np.uint64(iz) * _P3 ^ np.uint64(seed) * _P4)


@subroutine(EXACT)
def unit_from_bits(bits):
    """A number in [0, 1) from the upper bits of a hash."""
    return np.int64(bits >> _S40) * _TO_UNIT


@subroutine(EXACT)
def random_cell(ix, iy, iz, seed):
    """A number in [0, 1) for a lattice cell."""
    return unit_from_bits(hash_cell(ix, iy, iz, seed))


@subroutine(EXACT)
def quick_cell(ix, iy, iz, seed):
    """As ``random_cell``, for smooth noise: one round of mixing, of which the upper bits are good."""
    x = np.uint64(ix) * _P1 ^ np.uint64(iy) * _P2 ^ np.uint64(iz) * _P3 ^ np.uint64(seed) * _P4
    return unit_from_bits((x ^ (x >> _S32)) * _P4)


@subroutine(EXACT)
def smoothstep(low, high, x):
    """0 at low, 1 at high, a cubic between, constant beyond; low may be the larger."""
    t = (x - low) / (high - low)
    t = min(max(t, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@subroutine(EXACT)
def lerp(a, b, t):
    """a at t = 0, b at t = 1."""
    return a + (b - a) * t
