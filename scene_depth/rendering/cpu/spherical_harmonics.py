"""Real spherical harmonics of degree 0 to 3 and their derivatives, 16 directions at a time.

Signs and order are those of 3D Gaussian splatting (Kerbl et al. 2023). Values go to scratch arrays of 16 rows, one a
harmonic, of 16 lanes.
"""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import BARE, inlined
from scene_depth.kernels.simd import vector_of
from scene_depth.kernels.simd_memory import store

_0 = np.float32(0.28209479177387814)  # sqrt(1 / (4 pi))
_1 = np.float32(0.4886025119029199)  # sqrt(3 / (4 pi))
_2_XY = np.float32(1.0925484305920792)  # sqrt(15 / (4 pi))
_2_ZZ = np.float32(0.31539156525252005)  # sqrt(5 / (16 pi))
_2_XX = np.float32(0.5462742152960396)  # sqrt(15 / (16 pi))
_3_3 = np.float32(0.5900435899266435)  # sqrt(35 / (32 pi))
_3_XYZ = np.float32(2.890611442640554)  # sqrt(105 / (4 pi))
_3_1 = np.float32(0.4570457994644658)  # sqrt(21 / (32 pi))
_3_0 = np.float32(0.3731763325901154)  # sqrt(7 / (16 pi))
_3_2 = np.float32(1.445305721320277)  # sqrt(105 / (16 pi))


@inlined(BARE)
def harmonics(x, y, z, degree, out):
    """Values of the harmonics up to ``degree`` in unit directions (x, y, z); rows above are not written."""
    store(out, 0, vector_of(_0))
    if degree >= 1:
        store(out, 16, -_1 * y)
        store(out, 32, _1 * z)
        store(out, 48, -_1 * x)
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        store(out, 64, _2_XY * x * y)
        store(out, 80, -_2_XY * y * z)
        store(out, 96, _2_ZZ * (2.0 * zz - xx - yy))
        store(out, 112, -_2_XY * x * z)
        store(out, 128, _2_XX * (xx - yy))
        if degree >= 3:
            store(out, 144, -_3_3 * y * (3.0 * xx - yy))
            store(out, 160, _3_XYZ * x * y * z)
            store(out, 176, -_3_1 * y * (4.0 * zz - xx - yy))
            store(out, 192, _3_0 * z * (2.0 * zz - 3.0 * xx - 3.0 * yy))
            store(out, 208, -_3_1 * x * (4.0 * zz - xx - yy))
            store(out, 224, _3_2 * z * (xx - yy))
            store(out, 240, -_3_3 * x * (xx - 3.0 * yy))


@inlined(BARE)
def harmonics_gradient(x, y, z, degree, out_x, out_y, out_z):
    """Derivatives by x, y and z of the polynomials in ``harmonics``, for harmonics 1 and up."""
    zero = vector_of(np.float32(0))
    if degree >= 1:
        _store_row(1, zero, vector_of(-_1), zero, out_x, out_y, out_z)
        _store_row(2, zero, zero, vector_of(_1), out_x, out_y, out_z)
        _store_row(3, vector_of(-_1), zero, zero, out_x, out_y, out_z)
    if degree >= 2:
        _store_row(4, _2_XY * y, _2_XY * x, zero, out_x, out_y, out_z)
        _store_row(5, zero, -_2_XY * z, -_2_XY * y, out_x, out_y, out_z)
        _store_row(6, -2.0 * _2_ZZ * x, -2.0 * _2_ZZ * y, 4.0 * _2_ZZ * z, out_x, out_y, out_z)
        _store_row(7, -_2_XY * z, zero, -_2_XY * x, out_x, out_y, out_z)
        _store_row(8, 2.0 * _2_XX * x, -2.0 * _2_XX * y, zero, out_x, out_y, out_z)
    if degree >= 3:
        xx, yy, zz = x * x, y * y, z * z
        xy, xz, yz = x * y, x * z, y * z
        _store_row(9, -6.0 * _3_3 * xy, -3.0 * _3_3 * (xx - yy), zero, out_x, out_y, out_z)
        _store_row(10, _3_XYZ * yz, _3_XYZ * xz, _3_XYZ * xy, out_x, out_y, out_z)
        _store_row(11, 2.0 * _3_1 * xy, -_3_1 * (4.0 * zz - xx - 3.0 * yy), -8.0 * _3_1 * yz, out_x, out_y, out_z)
        _store_row(12, -6.0 * _3_0 * xz, -6.0 * _3_0 * yz, 3.0 * _3_0 * (2.0 * zz - xx - yy), out_x, out_y, out_z)
        _store_row(13, -_3_1 * (4.0 * zz - 3.0 * xx - yy), 2.0 * _3_1 * xy, -8.0 * _3_1 * xz, out_x, out_y, out_z)
        _store_row(14, 2.0 * _3_2 * xz, -2.0 * _3_2 * yz, _3_2 * (xx - yy), out_x, out_y, out_z)
        _store_row(15, -3.0 * _3_3 * (xx - yy), 6.0 * _3_3 * xy, zero, out_x, out_y, out_z)


@inlined(BARE)
def _store_row(row, by_x, by_y, by_z, out_x, out_y, out_z):
    store(out_x, 16 * row, by_x)
    store(out_y, 16 * row, by_y)
    store(out_z, 16 * row, by_z)
