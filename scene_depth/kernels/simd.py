"""A 16-lane float32 vector type for numba kernels, as LLVM vectors.

LLVM does not vectorise loops over branches by itself, so the kernels say what a vector is. LLVM lowers the type to what
the machine has: one AVX-512 register, two AVX2 registers, four of SSE or NEON. Arithmetic may be contracted to fused
multiply-add where the machine has it, and is otherwise IEEE: infinities and NaN keep their meaning, because the kernels
test for them.

Operators (+ - * / and comparisons) take vectors and floats in any mix; masks combine with & and |.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, models, register_model, type_callable

from scene_depth.kernels.compiling import intrinsic

LANES = 16
F32, I8, I16, I32, I64 = ir.FloatType(), ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
F32_LANES = ir.VectorType(F32, LANES)
I32_LANES = ir.VectorType(I32, LANES)
BIT_LANES = ir.VectorType(ir.IntType(1), LANES)
ARITHMETIC = ("contract",)  # no `reassoc`: it would delete the rounding by a magic number in exp2


class VectorType(types.Type):
    """16 float32 lanes."""

    def __init__(self) -> None:
        super().__init__(name="scene_depth_vector16")


class MaskType(types.Type):
    """16 truth values."""

    def __init__(self) -> None:
        super().__init__(name="scene_depth_mask16")


vector, mask = VectorType(), MaskType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, data_model_manager: Any, frontend_type: Any) -> None:
        super().__init__(data_model_manager, frontend_type, F32_LANES)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, data_model_manager: Any, frontend_type: Any) -> None:
        super().__init__(data_model_manager, frontend_type, BIT_LANES)


def constant(value: float) -> ir.Constant:
    """LLVM constant with ``value`` in every lane."""
    return ir.Constant(F32_LANES, [float(value)] * LANES)


def int_constant(value: int) -> ir.Constant:
    """LLVM constant with the integer ``value`` in every lane."""
    return ir.Constant(I32_LANES, [int(value)] * LANES)


def call(builder: ir.IRBuilder, name: str, result: ir.Type, arguments: list[ir.Value], **options: Any) -> ir.Value:
    """Call of an LLVM intrinsic function."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments, **options)


def shuffle(builder: ir.IRBuilder, first: ir.Value, second: ir.Value, lanes: list[int]) -> ir.Value:
    """Lanes of two vectors by number; the second vector's numbers follow the first's."""
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(I32, len(lanes)), lanes))


def broadcast(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A scalar in every lane."""
    if value.type != F32:
        value = builder.fptrunc(value, F32)
    single = builder.insert_element(ir.Constant(F32_LANES, ir.Undefined), value, ir.Constant(I32, 0))
    return shuffle(builder, single, ir.Constant(F32_LANES, ir.Undefined), [0] * LANES)


def _as_vector(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return value if value.type == F32_LANES else broadcast(builder, value)


def _mixes_vector(*operands: types.Type) -> bool:
    return any(isinstance(operand, VectorType) for operand in operands) and all(
        isinstance(operand, (VectorType, types.Float)) for operand in operands
    )


def _define_binary(python_operator: Callable[..., Any], result: types.Type, build: Callable[..., ir.Value]) -> None:
    @type_callable(python_operator)
    def type_operator(context: Any) -> Callable[..., Any]:
        def typer(a: types.Type, b: types.Type) -> types.Type | None:
            return result if _mixes_vector(a, b) else None

        return typer

    for operands in ((VectorType, VectorType), (VectorType, types.Float), (types.Float, VectorType)):

        @lower_builtin(python_operator, *operands)
        def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
            return build(builder, _as_vector(builder, args[0]), _as_vector(builder, args[1]))


for _operator, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define_binary(_operator, vector, lambda b, x, y, name=_instruction: getattr(b, name)(x, y, flags=ARITHMETIC))
for _operator, _relation in (
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.eq, "=="),
):
    _define_binary(_operator, mask, lambda b, x, y, relation=_relation: b.fcmp_ordered(relation, x, y))
for _operator, _instruction in ((operator.and_, "and_"), (operator.or_, "or_")):

    @type_callable(_operator)
    def _type_mask_operator(context: Any) -> Callable[..., Any]:
        def typer(a: types.Type, b: types.Type) -> types.Type | None:
            return mask if isinstance(a, MaskType) and isinstance(b, MaskType) else None

        return typer

    @lower_builtin(_operator, MaskType, MaskType)
    def _lower_mask_operator(context: Any, builder: ir.IRBuilder, sig: Any, args: Any, name: str = _instruction) -> ir.Value:
        return getattr(builder, name)(args[0], args[1])


@type_callable(operator.neg)
def _type_negation(context: Any) -> Callable[..., Any]:
    return lambda a: vector if isinstance(a, VectorType) else None


@lower_builtin(operator.neg, VectorType)
def _lower_negation(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
    return builder.fneg(args[0])


def define_unary(build: Callable[..., ir.Value], argument: types.Type = vector, result: types.Type = vector) -> Any:
    """A numba intrinsic of one vector from the function that builds its LLVM instructions."""

    @intrinsic
    def operation(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
            return build(builder, args[0])

        return signature(result, argument), generate

    return operation


def _define_minmax(relation: str) -> Any:
    @intrinsic
    def operation(typing_context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
            a, b = _as_vector(builder, args[0]), _as_vector(builder, args[1])
            return builder.select(builder.fcmp_ordered(relation, a, b), a, b)

        return signature(vector, x, y), generate

    return operation


minimum = _define_minmax("<")  # the second operand where one is NaN
maximum = _define_minmax(">")


@intrinsic
def select(typing_context: Any, condition: Any, yes: Any, no: Any) -> Any:
    """Lanes of ``yes`` where the mask is set, else of ``no``."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return builder.select(args[0], _as_vector(builder, args[1]), _as_vector(builder, args[2]))

    return signature(vector, mask, yes, no), generate


@intrinsic
def multiply_add(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c in one instruction where there is one; needed where the product is also used by itself."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return call(builder, "llvm.fmuladd.v16f32", F32_LANES, [_as_vector(builder, value) for value in args])

    return signature(vector, a, b, c), generate


def _build_bits(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return builder.zext(builder.bitcast(x, I16), I64)


def _call_unary(name: str) -> Callable[..., ir.Value]:
    return lambda builder, x: call(builder, f"llvm.{name}.v16f32", F32_LANES, [x])


def _build_sum(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return call(builder, "llvm.vector.reduce.fadd.v16f32", F32, [ir.Constant(F32, -0.0), x], fastmath=("contract", "reassoc"))


def _build_highest(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return call(builder, "llvm.vector.reduce.fmax.v16f32", F32, [x], fastmath=("nnan", "nsz"))


vector_of = define_unary(broadcast, types.float32)  # a float32 in every lane
mask_bits = define_unary(_build_bits, mask, types.uint64)  # one bit a lane
square_root = define_unary(_call_unary("sqrt"))
absolute = define_unary(_call_unary("fabs"))
floor = define_unary(_call_unary("floor"))
ceil = define_unary(_call_unary("ceil"))
sum_of_lanes = define_unary(_build_sum, vector, types.float32)
highest_lane = define_unary(_build_highest, vector, types.float32)


def _build_any(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return builder.icmp_unsigned("!=", builder.bitcast(x, I16), ir.Constant(I16, 0))


def _build_sign(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return builder.icmp_signed("<", builder.bitcast(x, I32_LANES), int_constant(0))


def _build_all(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return builder.icmp_unsigned("==", builder.bitcast(x, I16), ir.Constant(I16, 2**LANES - 1))


all_lanes = define_unary(_build_all, mask, types.boolean)
any_lane = define_unary(_build_any, mask, types.boolean)
has_sign = define_unary(_build_sign, vector, mask)  # of -0.0 too


@intrinsic
def lane_numbers(typing_context: Any) -> Any:
    """0, 1, ... 15 as floats."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return ir.Constant(F32_LANES, [float(lane) for lane in range(LANES)])

    return signature(vector), generate


def _define_bit_count(name: str, *extra: ir.Value) -> Any:
    def build(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return call(builder, f"llvm.{name}.i64", I64, [x, *extra])

    return define_unary(build, types.uint64, types.uint64)


trailing_zeros = _define_bit_count("cttz", ir.Constant(ir.IntType(1), 1))  # undefined for 0
