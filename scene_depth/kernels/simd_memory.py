"""Moving 16-lane vectors between registers and arrays: plain, strided, transposed, and as 4x4 blocks of an image's pixels.

Offsets count elements from the start of a C-contiguous array of any number of dimensions. Nothing is checked: a kernel
owns its bounds.
"""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
import numba
from numba.core import cgutils, types
from numba.core.typing.templates import signature

from scene_depth.kernels.compiling import intrinsic
from scene_depth.kernels.simd import (
    F32,
    F32_LANES,
    I8,
    I16,
    I32,
    I32_LANES,
    I64,
    LANES,
    broadcast,
    call,
    constant,
    int_constant,
    mask,
    shuffle,
    vector,
)

ROW = ir.VectorType(F32, 4)
UNDEFINED = ir.Constant(F32_LANES, ir.Undefined)


def address_of(context: Any, builder: ir.IRBuilder, array_type: types.Type, array: ir.Value, offset: ir.Value) -> ir.Value:
    """Address of an element of an array, or of scratch memory."""
    if isinstance(array_type, types.CPointer):
        return builder.gep(array, [offset])
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def load_at(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type = F32_LANES) -> ir.Value:
    """A vector from an address that need not be aligned."""
    return builder.load(builder.bitcast(address, kind.as_pointer()), align=4)


def store_at(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int = 4) -> None:
    """A vector to an address that need not be aligned beyond its elements."""
    builder.store(value, builder.bitcast(address, value.type.as_pointer()), align=align)


def _define_stack(element: types.Type, kind: ir.Type) -> Any:
    @intrinsic(prefer_literal=True)
    def on_stack(typing_context: Any, count: Any) -> Any:
        if not isinstance(count, types.IntegerLiteral):
            raise numba.errors.TypingError("the amount of scratch memory must be a constant")
        amount = count.literal_value

        def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
            with builder.goto_entry_block():
                memory = builder.alloca(ir.ArrayType(kind, amount))
            memory.align = 64
            return builder.bitcast(memory, kind.as_pointer())

        return signature(types.CPointer(element), count), generate

    return on_stack


stack_floats: Any = _define_stack(types.float32, F32)  # uninitialised scratch memory of a kernel call
stack_words: Any = _define_stack(types.uint64, I64)
stack_integers: Any = _define_stack(types.int64, I64)


@intrinsic
def pointer_to(typing_context: Any, array: Any, offset: Any) -> Any:
    """The memory of an array of floats from an element on, as the type of scratch memory."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return address_of(context, builder, sig.args[0], args[0], args[1])

    return signature(types.CPointer(types.float32), array, types.int64), generate


@intrinsic
def load(typing_context: Any, array: Any, offset: Any) -> Any:
    """16 consecutive floats."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return load_at(builder, address_of(context, builder, sig.args[0], args[0], args[1]))

    return signature(vector, array, types.int64), generate


@intrinsic
def broadcast_load(typing_context: Any, array: Any, offset: Any) -> Any:
    """One float in every lane."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        value = builder.load(address_of(context, builder, sig.args[0], args[0], args[1]))
        return broadcast(builder, value)

    return signature(vector, array, types.int64), generate


@intrinsic
def store(typing_context: Any, array: Any, offset: Any, values: Any) -> Any:
    """16 consecutive floats."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        store_at(builder, args[2], address_of(context, builder, sig.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, vector), generate


@intrinsic
def store_int32(typing_context: Any, array: Any, offset: Any, values: Any) -> Any:
    """16 consecutive int32 from floats that hold whole numbers."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        store_at(builder, builder.fptosi(args[2], I32_LANES), address_of(context, builder, sig.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, vector), generate


@intrinsic
def store_bits(typing_context: Any, array: Any, offset: Any, condition: Any, values: Any) -> Any:
    """The bits of 16 floats as uint32, all ones where the mask is not set; positive floats sort as their bits do."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        bits = builder.select(args[2], builder.bitcast(args[3], I32_LANES), int_constant(-1))
        store_at(builder, bits, address_of(context, builder, sig.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, condition, vector), generate


@intrinsic
def store_flags(typing_context: Any, array: Any, offset: Any, masks: Any) -> Any:
    """16 int32 of which bit k is set where mask k is."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        flags: ir.Value = int_constant(0)
        for bit in range(len(masks)):
            flag = builder.zext(builder.extract_value(args[2], bit), I32_LANES)
            flags = builder.or_(flags, builder.shl(flag, int_constant(bit)))
        store_at(builder, flags, address_of(context, builder, sig.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, masks), generate


@intrinsic
def load_flags(typing_context: Any, array: Any, offset: Any, bit: Any) -> Any:
    """The mask of 16 int32 in which a bit is set."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        flags = load_at(builder, address_of(context, builder, sig.args[0], args[0], args[1]), I32_LANES)
        single = builder.shl(ir.Constant(I32, 1), builder.trunc(args[2], I32))
        lanes = builder.insert_element(ir.Constant(I32_LANES, ir.Undefined), single, ir.Constant(I32, 0))
        lanes = shuffle(builder, lanes, lanes, [0] * LANES)
        return builder.icmp_unsigned("!=", builder.and_(flags, lanes), int_constant(0))

    return signature(mask, array, types.int64, types.int64), generate


@intrinsic
def store_past_cache(typing_context: Any, array: Any, offset: Any, values: Any) -> Any:
    """16 consecutive floats at an address that is a multiple of 64, which nothing will read soon."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        address = address_of(context, builder, sig.args[0], args[0], args[1])
        instruction = builder.store(args[2], builder.bitcast(address, F32_LANES.as_pointer()), align=64)
        instruction.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(I32, 1)]))
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, vector), generate


@intrinsic
def wait_for_stores(typing_context: Any) -> Any:
    """Returns when other threads will see all that this one has stored, past the cache too."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return signature(types.void), generate


@intrinsic
def store_int16_rows(typing_context: Any, array: Any, offset: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """16 rows (a, b, c, d) of int16 from floats that hold whole numbers."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        columns = [builder.trunc(builder.fptosi(column, I32_LANES), ir.VectorType(I16, LANES)) for column in args[2:]]
        ab = shuffle(builder, columns[0], columns[1], list(range(2 * LANES)))
        cd = shuffle(builder, columns[2], columns[3], list(range(2 * LANES)))
        rows = shuffle(builder, ab, cd, [LANES * column + lane for lane in range(LANES) for column in range(4)])
        store_at(builder, rows, address_of(context, builder, sig.args[0], args[0], args[1]), align=2)
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, vector, vector, vector, vector), generate


def _define_load_columns(width: int) -> Any:
    @intrinsic
    def load_columns(typing_context: Any, array: Any, offset: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
            start = address_of(context, builder, sig.args[0], args[0], args[1])
            parts = [load_at(builder, builder.gep(start, [ir.Constant(I64, LANES * part)])) for part in range(width)]
            columns = []
            for column in range(width):
                where = [width * lane + column for lane in range(LANES)]  # flat positions of this column's lanes
                gathered = parts[0]
                for part in range(1, width):
                    lanes = [
                        LANES + position - LANES * part if position // LANES == part else (lane if part > 1 else position % LANES)
                        for lane, position in enumerate(where)
                    ]
                    gathered = shuffle(builder, gathered, parts[part], lanes)
                columns.append(gathered)
            return context.make_tuple(builder, sig.return_type, columns)

        return signature(types.UniTuple(vector, width), array, types.int64), generate

    return load_columns


load_columns3 = _define_load_columns(3)  # 16 rows of 3 floats as 3 vectors
load_columns4 = _define_load_columns(4)  # 16 rows of 4 floats as 4 vectors


def _define_store_columns(width: int) -> Any:
    @intrinsic
    def store_columns(typing_context: Any, array: Any, offset: Any, columns: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
            start = address_of(context, builder, sig.args[0], args[0], args[1])
            columns = [builder.extract_value(args[2], column) for column in range(width)]
            for part in range(width):
                positions = [LANES * part + lane for lane in range(LANES)]
                joined = shuffle(builder, columns[0], columns[1], [p // width + LANES * min(p % width, 1) for p in positions])
                for column in range(2, width):
                    lanes = [LANES + p // width if p % width == column else lane for lane, p in enumerate(positions)]
                    joined = shuffle(builder, joined, columns[column], lanes)
                store_at(builder, joined, builder.gep(start, [ir.Constant(I64, LANES * part)]))
            return context.get_dummy_value()

        return signature(types.void, array, types.int64, types.UniTuple(vector, width)), generate

    return store_columns


store_columns2 = _define_store_columns(2)  # 2 vectors as 16 rows of 2 floats
store_columns3 = _define_store_columns(3)
store_columns4 = _define_store_columns(4)


def transposed(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Columns of 16 rows of 16 floats: four rounds in which rows swap halves, quarters, pairs, single lanes."""
    distance = LANES // 2
    while distance:
        low = [lane if not lane & distance else LANES + (lane ^ distance) for lane in range(LANES)]
        high = [lane ^ distance if not lane & distance else LANES + lane for lane in range(LANES)]
        swapped = list(rows)
        for index in range(LANES):
            if not index & distance:
                swapped[index] = shuffle(builder, rows[index], rows[index | distance], low)
                swapped[index | distance] = shuffle(builder, rows[index], rows[index | distance], high)
        rows = swapped
        distance //= 2
    return rows


@intrinsic
def load_transposed(typing_context: Any, array: Any, offset: Any, stride: Any) -> Any:
    """16 vectors, of which lane i of vector c is array[offset + i * stride + c]."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        start = address_of(context, builder, sig.args[0], args[0], args[1])
        steps = [builder.mul(args[2], ir.Constant(I64, lane)) for lane in range(LANES)]
        columns = transposed(builder, [load_at(builder, builder.gep(start, [step])) for step in steps])
        return context.make_tuple(builder, sig.return_type, columns)

    return signature(types.UniTuple(vector, LANES), array, types.int64, types.int64), generate


@intrinsic
def store_transposed(typing_context: Any, array: Any, offset: Any, stride: Any, columns: Any) -> Any:
    """The opposite of ``load_transposed``."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        start = address_of(context, builder, sig.args[0], args[0], args[1])
        rows = transposed(builder, [builder.extract_value(args[3], column) for column in range(LANES)])
        for lane, row in enumerate(rows):
            store_at(builder, row, builder.gep(start, [builder.mul(args[2], ir.Constant(I64, lane))]))
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, types.int64, types.UniTuple(vector, LANES)), generate


@intrinsic
def copy_transposed(
    typing_context: Any, source: Any, start: Any, stride: Any, target: Any, target_start: Any, target_stride: Any
) -> Any:
    """target[target_start + c * target_stride + i] = source[start + i * stride + c] for 16 x 16 floats."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        first = address_of(context, builder, sig.args[0], args[0], args[1])
        steps = [builder.mul(args[2], ir.Constant(I64, lane)) for lane in range(LANES)]
        columns = transposed(builder, [load_at(builder, builder.gep(first, [step])) for step in steps])
        first = address_of(context, builder, sig.args[3], args[3], args[4])
        for index, column in enumerate(columns):
            store_at(builder, column, builder.gep(first, [builder.mul(args[5], ir.Constant(I64, index))]))
        return context.get_dummy_value()

    integers = types.int64
    return signature(types.void, source, integers, integers, target, integers, integers), generate


@intrinsic
def store_sums_of_lanes(typing_context: Any, array: Any, offset: Any, vectors: Any) -> Any:
    """16 floats: the sum of the lanes of each of up to 16 vectors, then zeros.

    Each round adds the two halves of every group of lanes and packs the groups of two vectors into one.
    """

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        packed = [builder.extract_value(args[2], index) for index in range(len(vectors))]
        packed += [constant(0.0)] * (LANES - len(packed))
        group = LANES
        while group > 1:
            starts = [base + start for base in (0, LANES) for start in range(0, LANES, group)]
            low = [start + lane for start in starts for lane in range(group // 2)]
            high = [lane + group // 2 for lane in low]
            pairs = zip(packed[::2], packed[1::2], strict=True)
            packed = [
                builder.fadd(shuffle(builder, x, y, low), shuffle(builder, x, y, high), flags=("nsz", "contract"))
                for x, y in pairs
            ]
            group //= 2
        store_at(builder, packed[0], address_of(context, builder, sig.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, vectors), generate


@intrinsic
def prefetch(typing_context: Any, array: Any, offset: Any) -> Any:
    """A hint that the cache line of an element will be read soon."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        pointer = I8.as_pointer()
        address = builder.bitcast(address_of(context, builder, sig.args[0], args[0], args[1]), pointer)
        function_type = ir.FunctionType(ir.VoidType(), [pointer, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
        builder.call(function, [address, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)])
        return context.get_dummy_value()

    return signature(types.void, array, types.int64), generate


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
