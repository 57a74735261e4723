"""Vectors of neighbouring items, so that one instruction serves several: what the compiler would not do by itself.

A kernel that keeps a running sum in a local *array* reads and writes it at every step, and each short inner loop is
guarded by tests for overlapping arrays. A `Vector` is a value like a number: it stays in registers. In plain Python
(``py_func``) its place is taken by a short numpy array, so that a kernel reads, and can be tested, as the same formula.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, overload, register_model

from astronmf._typing import FloatArray

__all__ = ["VECTOR_BYTES", "lanes", "load", "positive", "store", "total", "zeros"]

# Two of the widest registers there are today, or four of the next size: enough sums in flight to hide their latency.
VECTOR_BYTES = 128

# As `_jit.FAST_MATH` says, and never "nnan" or "ninf".
FLAGS = ("nsz", "contract", "reassoc")


class Vector(types.Type):
    """The compiler's type of a vector of floats."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    """How a vector is passed around: as one."""

    def __init__(self, manager: Any, kind: Vector) -> None:
        element = ir.DoubleType() if kind.dtype == types.float64 else ir.FloatType()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def lanes(array: FloatArray) -> int:
    """Return how many items of an array's type a vector holds."""
    return VECTOR_BYTES // array.itemsize


def load(array: FloatArray, start: int) -> FloatArray:
    """Return the vector that stands at ``array[start:]`` of a one-dimensional array."""
    return array[start : start + lanes(array)].copy()


def store(array: FloatArray, start: int, vector: FloatArray) -> None:
    """Write a vector to ``array[start:]`` of a one-dimensional array."""
    array[start : start + lanes(array)] = vector


def zeros(array: FloatArray) -> FloatArray:
    """Return a vector of zeros, of an array's type."""
    return np.zeros(lanes(array), array.dtype)


def positive(vector: FloatArray) -> FloatArray:
    """Return x where it is above 0, and 0 elsewhere, of each item."""
    return np.where(vector > 0, vector, vector.dtype.type(0))


def total(vector: FloatArray) -> Any:
    """Return the sum of the items."""
    return vector.sum()


def _pointer(context: Any, builder: Any, kind: Any, array: Any, start: Any, vector: Any) -> Any:
    """Return the address of a vector within an array."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [start]), vector.as_pointer())


@intrinsic
def _load(_: Any, array: Any, start: Any) -> Any:
    kind = Vector(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(kind)
        address = _pointer(context, builder, signature.args[0], *arguments, vector)
        return builder.load(address, align=kind.dtype.bitwidth // 8)

    return kind(array, types.intp), generate


@intrinsic
def _store(_: Any, array: Any, start: Any, vector: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _pointer(context, builder, signature.args[0], *arguments[:2], arguments[2].type)
        builder.store(arguments[2], address, align=vector.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def _zeros(_: Any, array: Any) -> Any:
    kind = Vector(array.dtype)

    def generate(context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(kind), None)

    return kind(array), generate


@intrinsic
def _positive(_: Any, vector: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(arguments[0].type, None)
        return builder.select(builder.fcmp_ordered(">", arguments[0], zero), arguments[0], zero)

    return vector(vector), generate


@intrinsic
def _total(_: Any, vector: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        items = [builder.extract_element(arguments[0], ir.Constant(ir.IntType(32), i)) for i in range(vector.lanes)]
        while len(items) > 1:
            items = [builder.fadd(one, other) for one, other in zip(items[::2], items[1::2], strict=True)]
        return items[0]

    return vector.dtype(vector), generate


def _arithmetic(instruction: str) -> Any:
    """Return an intrinsic that combines two vectors item by item."""

    @intrinsic
    def combine(_: Any, one: Any, other: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments, flags=FLAGS)

        return one(one, other), generate

    return combine


_add, _subtract, _multiply = (_arithmetic(instruction) for instruction in ("fadd", "fsub", "fmul"))


@overload(lanes, strict=False)
def _lanes_compiled(array: Any) -> Any:
    count = Vector(array.dtype).lanes
    return lambda array: count


@overload(load, strict=False)
def _load_compiled(array: Any, start: Any) -> Any:
    return lambda array, start: _load(array, start)


@overload(store, strict=False)
def _store_compiled(array: Any, start: Any, vector: Any) -> Any:
    return lambda array, start, vector: _store(array, start, vector)


@overload(zeros, strict=False)
def _zeros_compiled(array: Any) -> Any:
    return lambda array: _zeros(array)


@overload(positive, strict=False)
def _positive_compiled(vector: Any) -> Any:
    return lambda vector: _positive(vector)


@overload(total, strict=False)
def _total_compiled(vector: Any) -> Any:
    return lambda vector: _total(vector)


@overload(operator.add, strict=False)
def _add_compiled(one: Any, other: Any) -> Any:
    return (lambda one, other: _add(one, other)) if isinstance(one, Vector) and one == other else None


@overload(operator.sub, strict=False)
def _subtract_compiled(one: Any, other: Any) -> Any:
    return (lambda one, other: _subtract(one, other)) if isinstance(one, Vector) and one == other else None


@overload(operator.mul, strict=False)
def _multiply_compiled(one: Any, other: Any) -> Any:
    return (lambda one, other: _multiply(one, other)) if isinstance(one, Vector) and one == other else None
