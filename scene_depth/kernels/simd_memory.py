"""Moving 16-lane vectors between registers and arrays: plain, strided, transposed, and as 4x4 blocks of an image's pixels.

Offsets count elements from the start of a C-contiguous array of any number of dimensions. Nothing is checked: a kernel
owns its bounds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
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


def _access(result: types.Type, *operands: types.Type | None) -> Callable[[Callable[..., Any]], Any]:
    """Makes a numba intrinsic of an array, an offset and more from the function that builds its instructions.

    The function gets the address of the element; a list that it returns becomes a tuple, None the value of a statement.

    Args:
        result: Type of the value.
        operands: Types of what follows the offset; None for any.
    """

    def decorate(build: Callable[..., Any]) -> Any:
        def define(typing_context: Any, array: Any, offset: Any, *values: Any) -> Any:
            def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
                value = build(builder, address_of(context, builder, sig.args[0], args[0], args[1]), *args[2:])
                if value is None:
                    return context.get_dummy_value()
                return context.make_tuple(builder, sig.return_type, value) if isinstance(value, list) else value

            kinds = [given if kind is None else kind for given, kind in zip(values, operands, strict=True)]
            return signature(result, array, types.int64, *kinds), generate

        names = ("typing_context", "array", "offset", *(f"value_{index}" for index in range(len(operands))))
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        vars(define)["__signature__"] = inspect.Signature(parameters)  # numba would take *values for one tuple
        define.__name__, define.__doc__ = build.__name__, build.__doc__
        return intrinsic(define)

    return decorate


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


@_access(types.CPointer(types.float32))
def pointer_to(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """The memory of an array of floats from an element on, as the type of scratch memory."""
    return address


@_access(vector)
def load(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """16 consecutive floats."""
    return load_at(builder, address)


@_access(vector)
def broadcast_load(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """One float in every lane."""
    return broadcast(builder, builder.load(address))


@_access(types.void, vector)
def store(builder: ir.IRBuilder, address: ir.Value, values: ir.Value) -> None:
    """16 consecutive floats."""
    store_at(builder, values, address)


@_access(types.void, vector)
def store_int32(builder: ir.IRBuilder, address: ir.Value, values: ir.Value) -> None:
    """16 consecutive int32 from floats that hold whole numbers."""
    store_at(builder, builder.fptosi(values, I32_LANES), address)


@_access(types.void, None, vector)
def store_bits(builder: ir.IRBuilder, address: ir.Value, condition: ir.Value, values: ir.Value) -> None:
    """The bits of 16 floats as uint32, all ones where the mask is not set; positive floats sort as their bits do."""
    bits = builder.select(condition, builder.bitcast(values, I32_LANES), int_constant(-1))
    store_at(builder, bits, address)


@_access(types.void, None)
def store_flags(builder: ir.IRBuilder, address: ir.Value, masks: ir.Value) -> None:
    """16 int32 of which bit k is set where mask k is."""
    flags: ir.Value = int_constant(0)
    for bit in range(masks.type.count):
        flag = builder.zext(builder.extract_value(masks, bit), I32_LANES)
        flags = builder.or_(flags, builder.shl(flag, int_constant(bit)))
    store_at(builder, flags, address)


@_access(mask, types.int64)
def load_flags(builder: ir.IRBuilder, address: ir.Value, bit: ir.Value) -> ir.Value:
    """The mask of 16 int32 in which a bit is set."""
    flags = load_at(builder, address, I32_LANES)
    single = builder.shl(ir.Constant(I32, 1), builder.trunc(bit, I32))
    lanes = builder.insert_element(ir.Constant(I32_LANES, ir.Undefined), single, ir.Constant(I32, 0))
    lanes = shuffle(builder, lanes, lanes, [0] * LANES)
    return builder.icmp_unsigned("!=", builder.and_(flags, lanes), int_constant(0))


@_access(types.void, vector)
def store_past_cache(builder: ir.IRBuilder, address: ir.Value, values: ir.Value) -> None:
    """16 consecutive floats at an address that is a multiple of 64, which nothing will read soon."""
    instruction = builder.store(values, builder.bitcast(address, F32_LANES.as_pointer()), align=64)
    instruction.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(I32, 1)]))


@intrinsic
def wait_for_stores(typing_context: Any) -> Any:
    """Returns when other threads will see all that this one has stored, past the cache too."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return signature(types.void), generate


@_access(types.void, vector, vector, vector, vector)
def store_int16_rows(builder: ir.IRBuilder, address: ir.Value, *columns: ir.Value) -> None:
    """16 rows (a, b, c, d) of int16 from floats that hold whole numbers."""
    a, b, c, d = (builder.trunc(builder.fptosi(column, I32_LANES), ir.VectorType(I16, LANES)) for column in columns)
    ab, cd = shuffle(builder, a, b, list(range(2 * LANES))), shuffle(builder, c, d, list(range(2 * LANES)))
    rows = shuffle(builder, ab, cd, [LANES * column + lane for lane in range(LANES) for column in range(4)])
    store_at(builder, rows, address, align=2)


def _define_load_columns(width: int) -> Any:
    @_access(types.UniTuple(vector, width))
    def load_columns(builder: ir.IRBuilder, address: ir.Value) -> list[ir.Value]:
        parts = [load_at(builder, builder.gep(address, [ir.Constant(I64, LANES * part)])) for part in range(width)]
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
        return columns

    return load_columns


load_columns3 = _define_load_columns(3)  # 16 rows of 3 floats as 3 vectors
load_columns4 = _define_load_columns(4)  # 16 rows of 4 floats as 4 vectors


def _define_store_columns(width: int) -> Any:
    @_access(types.void, types.UniTuple(vector, width))
    def store_columns(builder: ir.IRBuilder, address: ir.Value, values: ir.Value) -> None:
        columns = [builder.extract_value(values, column) for column in range(width)]
        for part in range(width):
            positions = [LANES * part + lane for lane in range(LANES)]
            joined = shuffle(builder, columns[0], columns[1], [p // width + LANES * min(p % width, 1) for p in positions])
            for column in range(2, width):
                lanes = [LANES + p // width if p % width == column else lane for lane, p in enumerate(positions)]
                joined = shuffle(builder, joined, columns[column], lanes)
            store_at(builder, joined, builder.gep(address, [ir.Constant(I64, LANES * part)]))

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


@_access(types.UniTuple(vector, LANES), types.int64)
def load_transposed(builder: ir.IRBuilder, address: ir.Value, stride: ir.Value) -> list[ir.Value]:
    """16 vectors, of which lane i of vector c is array[offset + i * stride + c]."""
    steps = [builder.mul(stride, ir.Constant(I64, lane)) for lane in range(LANES)]
    return transposed(builder, [load_at(builder, builder.gep(address, [step])) for step in steps])


@_access(types.void, types.int64, types.UniTuple(vector, LANES))
def store_transposed(builder: ir.IRBuilder, address: ir.Value, stride: ir.Value, columns: ir.Value) -> None:
    """The opposite of ``load_transposed``."""
    rows = transposed(builder, [builder.extract_value(columns, column) for column in range(LANES)])
    for lane, row in enumerate(rows):
        store_at(builder, row, builder.gep(address, [builder.mul(stride, ir.Constant(I64, lane))]))


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


@_access(types.void, None)
def store_sums_of_lanes(builder: ir.IRBuilder, address: ir.Value, vectors: ir.Value) -> None:
    """16 floats: the sum of the lanes of each of up to 16 vectors, then zeros.

    Each round adds the two halves of every group of lanes and packs the groups of two vectors into one.
    """
    packed = [builder.extract_value(vectors, index) for index in range(vectors.type.count)]
    packed += [constant(0.0)] * (LANES - len(packed))
    group = LANES
    while group > 1:
        starts = [base + first for base in (0, LANES) for first in range(0, LANES, group)]
        low = [first + lane for first in starts for lane in range(group // 2)]
        high = [lane + group // 2 for lane in low]
        pairs = zip(packed[::2], packed[1::2], strict=True)
        packed = [
            builder.fadd(shuffle(builder, x, y, low), shuffle(builder, x, y, high), flags=("nsz", "contract")) for x, y in pairs
        ]
        group //= 2
    store_at(builder, packed[0], address)


@_access(types.void)
def prefetch(builder: ir.IRBuilder, address: ir.Value) -> None:
    """A hint that the cache line of an element will be read soon."""
    pointer = I8.as_pointer()
    address = builder.bitcast(address, pointer)
    function_type = ir.FunctionType(ir.VoidType(), [pointer, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
    builder.call(function, [address, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)])


@_access(vector, types.int64)
def load_pixels(builder: ir.IRBuilder, address: ir.Value, width: ir.Value) -> ir.Value:
    """4x4 block of a one-channel image of ``width`` pixels a row, row by row in the lanes."""
    rows = [load_at(builder, builder.gep(address, [builder.mul(width, ir.Constant(I64, row))]), ROW) for row in range(4)]
    upper, lower = (shuffle(builder, rows[i], rows[i + 1], list(range(8))) for i in (0, 2))
    return shuffle(builder, upper, lower, list(range(LANES)))


@_access(types.void, types.int64, vector)
def store_pixels(builder: ir.IRBuilder, address: ir.Value, width: ir.Value, values: ir.Value) -> None:
    """The opposite of ``load_pixels``."""
    for row in range(4):
        pixels = shuffle(builder, values, values, [4 * row + column for column in range(4)])
        store_at(builder, pixels, builder.gep(address, [builder.mul(width, ir.Constant(I64, row))]))


@_access(types.UniTuple(vector, 3), types.int64)
def load_rgb(builder: ir.IRBuilder, address: ir.Value, width: ir.Value) -> list[ir.Value]:
    """Red, green and blue of a 4x4 block of an RGB image of ``width`` pixels a row."""
    step = builder.mul(width, ir.Constant(I64, 3))
    planes: list[list[ir.Value]] = [[], [], []]
    for row in range(4):
        place = builder.gep(address, [builder.mul(step, ir.Constant(I64, row))])
        parts = [load_at(builder, builder.gep(place, [ir.Constant(I64, 4 * part)]), ROW) for part in range(3)]
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
    return channels


@_access(types.void, types.int64, vector, vector, vector)
def store_rgb(builder: ir.IRBuilder, address: ir.Value, width: ir.Value, red: ir.Value, green: ir.Value, blue: ir.Value) -> None:
    """The opposite of ``load_rgb``."""
    step = builder.mul(width, ir.Constant(I64, 3))
    for row in range(4):
        place = builder.gep(address, [builder.mul(step, ir.Constant(I64, row))])
        for part in range(3):
            positions = range(4 * part, 4 * part + 4)
            red_green = shuffle(builder, red, green, [4 * row + p // 3 + LANES * min(p % 3, 1) for p in positions])
            wide = shuffle(builder, red_green, ir.Constant(ROW, ir.Undefined), [0, 1, 2, 3, *[4] * 12])
            lanes = [LANES + 4 * row + p // 3 if p % 3 == 2 else lane for lane, p in enumerate(positions)]
            pixels = shuffle(builder, wide, blue, lanes)
            store_at(builder, pixels, builder.gep(place, [ir.Constant(I64, 4 * part)]))


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
