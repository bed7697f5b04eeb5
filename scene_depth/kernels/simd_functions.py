"""Exponential and logarithm of a vector, by range reduction and minimax polynomials fitted for this file."""

from __future__ import annotations

import math
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba.core import types
from numba.core.typing.templates import signature

from scene_depth.kernels.compiling import BARE, inlined, intrinsic
from scene_depth.kernels.simd import ARITHMETIC, F32_LANES, I32_LANES, constant, define_unary, int_constant, vector
from scene_depth.kernels.simd_memory import broadcast_load

_ROUNDING_MAGIC = 1.5 * 2.0**23  # adding it leaves the nearest integer in the low bits of the sum
# 2**f for |f| <= 1/2, largest relative error 9.1e-8
_EXP2 = (1.0, 0.6931470036506653, 0.24022242426872253, 0.05550733581185341, 0.009671512991189957, 0.001326472731307149)
EXP2_TABLE = np.array((_ROUNDING_MAGIC, *_EXP2), np.float32)
# e**r for |r| <= ln(2)/2, largest relative error 1.9e-9
_EXP = (1.0, 1.0, 0.49999991059303284, 0.16666419804096222, 0.04166822507977486, 0.008374815806746483, 0.0013836845755577087)
# log2(1 + f) / f for 1 + f between sqrt(1/2) and sqrt(2), largest relative error 4.1e-9
_LOG2 = (
    1.4426950216293335, -0.7213473320007324, 0.4808982312679291, -0.3606966435909271, 0.2885673940181732,
    -0.23961740732192993, 0.20460063219070435, -0.1910627782344818, 0.1861748844385147, -0.10994941741228104,
)  # fmt: skip
_LN2_HIGH = 0.693145751953125  # exact in 15 bits, so that its product with an exponent is exact
_LN2_LOW = math.log(2) - _LN2_HIGH
_SQRT_HALF_BITS = 0x3F3504F3  # bits of float32 sqrt(1/2)


def _multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    return builder.fadd(builder.fmul(a, b, flags=ARITHMETIC), c, flags=ARITHMETIC)


def _horner(builder: ir.IRBuilder, x: ir.Value, coefficients: tuple[float, ...]) -> ir.Value:
    total: ir.Value = constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = _multiply_add(builder, total, x, constant(coefficient))
    return total


def _clamp_below(builder: ir.IRBuilder, x: ir.Value, lowest: float) -> ir.Value:
    return builder.select(builder.fcmp_ordered(">", x, constant(lowest)), x, constant(lowest))


def _clamp_above(builder: ir.IRBuilder, x: ir.Value, highest: float) -> ir.Value:
    return builder.select(builder.fcmp_ordered("<", x, constant(highest)), x, constant(highest))


def _times_power_of_two(builder: ir.IRBuilder, x: ir.Value, shifted_exponent: ir.Value) -> ir.Value:
    """``x`` times 2**k, where k was added to the rounding magic."""
    exponent = builder.shl(builder.bitcast(shifted_exponent, I32_LANES), int_constant(23))
    return builder.bitcast(builder.add(builder.bitcast(x, I32_LANES), exponent), F32_LANES)


@intrinsic
def exp2(typing_context: Any, x: Any, table: Any) -> Any:
    """2**x for -126 < x < 127, and anything elsewhere. The table holds EXP2_TABLE as vectors.

    The table comes from memory because LLVM would read a constant of the program from memory at every use, and so keeps
    it in registers.
    """

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        x = args[0]
        magic, c0, c1, c2, c3, c4, c5 = [builder.extract_value(args[1], index) for index in range(7)]
        shifted = builder.fadd(x, magic)
        f = builder.fsub(x, builder.fsub(shifted, magic))
        # Estrin's scheme: three independent products first, a shorter chain than Horner's
        f2 = builder.fmul(f, f)
        high = _multiply_add(builder, _multiply_add(builder, c5, f, c4), f2, _multiply_add(builder, c3, f, c2))
        return _times_power_of_two(builder, _multiply_add(builder, high, f2, _multiply_add(builder, c1, f, c0)), shifted)

    return signature(vector, vector, types.UniTuple(vector, 7)), generate


@inlined(BARE)
def load_exp2_table(table):
    """EXP2_TABLE as vectors."""
    return (
        broadcast_load(table, 0), broadcast_load(table, 1), broadcast_load(table, 2), broadcast_load(table, 3),
        broadcast_load(table, 4), broadcast_load(table, 5), broadcast_load(table, 6),
    )  # fmt: skip


def _build_exp(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    bounded = _clamp_above(builder, _clamp_below(builder, x, -80.0), 80.0)
    shifted = _multiply_add(builder, bounded, constant(1 / math.log(2)), constant(_ROUNDING_MAGIC))
    k = builder.fsub(shifted, constant(_ROUNDING_MAGIC))
    remainder = _multiply_add(builder, k, constant(-_LN2_HIGH), bounded)
    remainder = _multiply_add(builder, k, constant(-_LN2_LOW), remainder)
    result = _times_power_of_two(builder, _horner(builder, remainder, _EXP), shifted)
    return builder.select(builder.fcmp_unordered("uno", x, x), x, result)


def _build_log2(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    bounded = _clamp_below(builder, x, 1e-30)
    bits = builder.sub(builder.bitcast(bounded, I32_LANES), int_constant(_SQRT_HALF_BITS))
    exponent = builder.ashr(bits, int_constant(23))
    mantissa = builder.add(builder.and_(bits, int_constant(0x7FFFFF)), int_constant(_SQRT_HALF_BITS))
    f = builder.fsub(builder.bitcast(mantissa, F32_LANES), constant(1.0))
    whole = builder.sitofp(exponent, F32_LANES)
    result = _multiply_add(builder, f, _horner(builder, f, _LOG2), whole)
    return builder.select(builder.fcmp_unordered("uno", x, x), x, result)


exp: Any = define_unary(_build_exp)  # e**x, x clamped to [-80, 80]; NaN stays NaN
log2: Any = define_unary(_build_log2)  # of numbers from 1e-30 up; below as at 1e-30; NaN stays NaN
