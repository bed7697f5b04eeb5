"""4x4 blocks of pixels as 16-lane vectors: reading and writing images, and bits for the blocks of a tile."""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
from numba.core import types
from numba.core.typing.templates import signature

from scene_depth.rendering.cpu.compiling import intrinsic
from scene_depth.rendering.cpu.simd import (
    F32_LANES,
    I8,
    I32_LANES,
    I64,
    LANES,
    call,
    int_constant,
    shuffle,
    vector,
)
from scene_depth.rendering.cpu.simd_memory import ROW, address_of, load_at, store_at


@intrinsic
def load_pixels(typing_context: Any, image: Any, offset: Any, width: Any) -> Any:
    """4x4 block of a one-channel image of ``width`` pixels a row, row by row in the lanes."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        start = address_of(context, builder, sig.args[0], args[0], args[1])
        rows = [load_at(builder, builder.gep(start, [builder.mul(args[2], ir.Constant(I64, row))]), ROW) for row in range(4)]
        upper, lower = (shuffle(builder, rows[i], rows[i + 1], list(range(8))) for i in (0, 2))
        return shuffle(builder, upper, lower, list(range(LANES)))

    return signature(vector, image, types.int64, types.int64), generate


@intrinsic
def store_pixels(typing_context: Any, image: Any, offset: Any, width: Any, values: Any) -> Any:
    """The opposite of ``load_pixels``."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        start = address_of(context, builder, sig.args[0], args[0], args[1])
        for row in range(4):
            pixels = shuffle(builder, args[3], args[3], [4 * row + column for column in range(4)])
            store_at(builder, pixels, builder.gep(start, [builder.mul(args[2], ir.Constant(I64, row))]))
        return context.get_dummy_value()

    return signature(types.void, image, types.int64, types.int64, vector), generate


@intrinsic
def load_rgb(typing_context: Any, image: Any, offset: Any, width: Any) -> Any:
    """Red, green and blue of a 4x4 block of an RGB image of ``width`` pixels a row."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        start = address_of(context, builder, sig.args[0], args[0], args[1])
        step = builder.mul(args[2], ir.Constant(I64, 3))
        planes: list[list[ir.Value]] = [[], [], []]
        for row in range(4):
            address = builder.gep(start, [builder.mul(step, ir.Constant(I64, row))])
            parts = [load_at(builder, builder.gep(address, [ir.Constant(I64, 4 * part)]), ROW) for part in range(3)]
            for channel in range(3):
                where = [3 * column + channel for column in range(4)]
                first = [position if position < 8 else 0 for position in where]
                joined = shuffle(builder, parts[0], parts[1], first)
                lanes = [column if position < 8 else 4 + position - 8 for column, position in enumerate(where)]
                planes[channel].append(shuffle(builder, joined, parts[2], lanes))
        channels = []
        for rows in planes:
            upper, lower = (shuffle(builder, rows[i], rows[i + 1], list(range(8))) for i in (0, 2))
            channels.append(shuffle(builder, upper, lower, list(range(LANES))))
        return context.make_tuple(builder, sig.return_type, channels)

    return signature(types.UniTuple(vector, 3), image, types.int64, types.int64), generate


@intrinsic
def store_rgb(typing_context: Any, image: Any, offset: Any, width: Any, red: Any, green: Any, blue: Any) -> Any:
    """The opposite of ``load_rgb``."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        start = address_of(context, builder, sig.args[0], args[0], args[1])
        step = builder.mul(args[2], ir.Constant(I64, 3))
        for row in range(4):
            address = builder.gep(start, [builder.mul(step, ir.Constant(I64, row))])
            for part in range(3):
                positions = range(4 * part, 4 * part + 4)
                red_green = shuffle(builder, args[3], args[4], [4 * row + p // 3 + LANES * min(p % 3, 1) for p in positions])
                wide = shuffle(builder, red_green, ir.Constant(ROW, ir.Undefined), [0, 1, 2, 3, *[4] * 12])
                lanes = [LANES + 4 * row + p // 3 if p % 3 == 2 else lane for lane, p in enumerate(positions)]
                pixels = shuffle(builder, wide, args[5], lanes)
                store_at(builder, pixels, builder.gep(address, [ir.Constant(I64, 4 * part)]))
        return context.get_dummy_value()

    return signature(types.void, image, types.int64, types.int64, vector, vector, vector), generate


@intrinsic
def block_bits(typing_context: Any, first: Any, last: Any, condition: Any) -> Any:
    """A bit for each 4x4 block of a 32x32 tile, from the pixel columns (first to last) that each band of 4 rows covers.

    Lane j < 8 is band j; columns lie in [0, 31]; a band is empty where the mask is not set or no column lies between.
    """

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        first = call(builder, "llvm.ceil.v16f32", F32_LANES, [args[0]])
        filled = builder.and_(args[2], builder.fcmp_ordered("<=", first, args[1]))
        left = builder.ashr(builder.fptosi(first, I32_LANES), int_constant(2))
        right = builder.ashr(builder.fptosi(args[1], I32_LANES), int_constant(2))
        bits = builder.sub(builder.shl(int_constant(2), right), builder.shl(int_constant(1), left))
        narrow = builder.trunc(builder.select(filled, bits, int_constant(0)), ir.VectorType(I8, LANES))
        return builder.bitcast(shuffle(builder, narrow, narrow, list(range(8))), I64)

    return signature(types.uint64, vector, vector, condition), generate
