"""A vector of float32 numbers for Numba: one for each of several samples or pixels, which are computed side by side.

    total = fma(load(a, i), load(b, i), total)      # each of the LANES samples on its own

LLVM's own vectoriser cannot keep several sums in registers over a loop. With a type for a whole vector, it need not
find any vectors, and local variables are registers.

Most functions compute each lane alone, with one rounding. So results do not depend on `LANES`, which is what the
processor has. Three look at all lanes: `any_differ`, `smallest`, `largest`. `inverse_root` is an estimate that is
another one on other processors. A processor without fused multiply-add calls the C library for each `fma`: the same
result, and many times slower.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.codegen import get_host_cpu_features
from numba.core.typing import signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

# Of the processor for which Numba compiles, which the environment can name
_FEATURES = (get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES).split(",")
_HAS_AVX = "+avx" in _FEATURES
LANES = 16 if "+avx512f" in _FEATURES else 8  # float32 numbers in a register; shorter registers are used in pairs
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_BYTES = 4  # of a number, which is also what the addresses are aligned to


class LanesType(types.Type):
    """The type of such a vector."""

    def __init__(self) -> None:
        super().__init__(name=f"lanes{LANES}")


lanes = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, of_type) -> None:
        super().__init__(manager, of_type, _VECTOR)


def _address(context, builder, array_type, array, index):
    """The address of number `index` of an array (one dimension, contiguous). Negative indices do not count back."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def _vector_address(context, builder, array_type, array, index):
    return builder.bitcast(_address(context, builder, array_type, array, index), _VECTOR.as_pointer())


def _broadcast(builder, number):
    """A vector with `number` in each lane."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


@intrinsic
def load(typing_context, array, index):
    """The numbers array[index], array[index + 1], ... one for each lane."""

    def generate(context, builder, signature, arguments):
        value = builder.load(_vector_address(context, builder, signature.args[0], *arguments))
        value.align = _BYTES
        return value

    return lanes(array, types.int64), generate


@intrinsic
def store(typing_context, array, index, value):
    """Write the lanes of `value` to array[index], array[index + 1], ..."""

    def generate(context, builder, signature, arguments):
        array, index, value = arguments
        instruction = builder.store(value, _vector_address(context, builder, signature.args[0], array, index))
        instruction.align = _BYTES
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes), generate


@intrinsic
def broadcast(typing_context, array, index):
    """The number array[index] in each lane."""

    def generate(context, builder, signature, arguments):
        return _broadcast(builder, builder.load(_address(context, builder, signature.args[0], *arguments)))

    return lanes(array, types.int64), generate


@intrinsic
def fill(typing_context, number):
    """A number, float32, in each lane."""

    def generate(context, builder, signature, arguments):
        return _broadcast(builder, arguments[0])

    return lanes(types.float32), generate


@intrinsic
def fma(typing_context, a, b, c):
    """a * b + c, rounded once."""

    def generate(context, builder, signature, arguments):
        return _call(builder, f"llvm.fma.v{LANES}f32", arguments)

    return lanes(lanes, lanes, lanes), generate


def _selection(comparison: str):
    """An intrinsic (a, b, yes, no) -> in each lane `yes` if a and b compare so, else `no`."""

    def select(typing_context, a, b, yes, no):
        def generate(context, builder, signature, arguments):
            a, b, yes, no = arguments
            return builder.select(builder.fcmp_ordered(comparison, a, b), yes, no)

        return lanes(lanes, lanes, lanes, lanes), generate

    return intrinsic(select)


where_greater = _selection(">")
where_equal = _selection("==")


@intrinsic
def any_differ(typing_context, a, b, c, d):
    """Whether a and b, or c and d, differ in any lane. NaN differs from everything."""

    def generate(context, builder, signature, arguments):
        a, b, c, d = arguments
        different = builder.or_(builder.fcmp_unordered("!=", a, b), builder.fcmp_unordered("!=", c, d))
        bits = builder.bitcast(different, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(lanes, lanes, lanes, lanes), generate


def _call(builder, name: str, arguments, result=_VECTOR, **options):
    """Call one of LLVM's functions, by default one whose result is a vector."""
    of = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, of, name), arguments, **options)


def _of_each_lane(name: str):
    """An intrinsic for one of LLVM's functions of one number."""

    def function(typing_context, a):
        def generate(context, builder, signature, arguments):
            return _call(builder, f"llvm.{name}.v{LANES}f32", arguments)

        return lanes(lanes), generate

    return intrinsic(function)


floor = _of_each_lane("floor")
rint = _of_each_lane("rint")  # the nearest whole number, and of two the even one


def _of_all_lanes(name: str):
    """An intrinsic for one of LLVM's functions from a vector to a number."""

    def function(typing_context, a):
        def generate(context, builder, signature, arguments):
            name_of_all = f"llvm.vector.reduce.{name}.v{LANES}f32"
            return _call(builder, name_of_all, arguments, ir.FloatType(), fastmath=("nnan",))

        return types.float32(lanes), generate

    return intrinsic(function)


smallest = _of_all_lanes("fmin")
largest = _of_all_lanes("fmax")


@intrinsic
def inverse_root(typing_context, a):
    """1 / sqrt(a), with a relative error below 2^-11. It is another number on other processors."""

    def generate(context, builder, signature, arguments):
        (a,) = arguments
        if LANES == 16:
            every = ir.Constant(ir.IntType(16), 0xFFFF)
            return _call(builder, "llvm.x86.avx512.rsqrt14.ps.512", [a, a, every])
        if _HAS_AVX:
            return _call(builder, "llvm.x86.avx.rsqrt.ps.256", [a])
        root = _call(builder, f"llvm.sqrt.v{LANES}f32", [a])
        return builder.fdiv(_broadcast(builder, ir.Constant(ir.FloatType(), 1.0)), root)

    return lanes(lanes), generate


def _give(operation, name: str, operands: int = 2) -> None:
    """Let a Python operator work on vectors, by the name of the operation in LLVM."""
    of_vectors = [lanes] * operands

    @infer_global(operation)
    class _Typing(ConcreteTemplate):
        cases = [signature(lanes, *of_vectors)]  # noqa: RUF012  Numba reads it as it is

    @lower_builtin(operation, *of_vectors)
    def generate(context, builder, of, arguments):
        return getattr(builder, name)(*arguments)


_give(operator.add, "fadd")
_give(operator.sub, "fsub")
_give(operator.mul, "fmul")
_give(operator.truediv, "fdiv")
_give(operator.neg, "fneg", 1)
