"""How many multiply-accumulates an operation takes, from the shapes of its operands."""

from __future__ import annotations

from math import prod
from typing import Any

from dotbogi.tape.operation import Operation
from dotbogi.tape.value import Value

PRODUCTS = {
    "mm": ("self", "mat2"),
    "bmm": ("self", "mat2"),
    "addmm": ("mat1", "mat2"),
    "baddbmm": ("batch1", "batch2"),
    "addbmm": ("batch1", "batch2"),
    "mv": ("self", "vec"),
    "addmv": ("mat", "vec"),
    "dot": ("self", "tensor"),
    "vdot": ("self", "other"),
    "matmul": ("self", "other"),
    "linear": ("input", "weight"),
}


def multiply_accumulates(operation: Operation) -> int:
    """Returns the products that are summed up by convolutions and matrix products; 0 for every other operation.

    A convolution takes one product per output, input channel of the group and pixel of the kernel (He & Sun 2015,
    arXiv:1412.1710, §3.1); each of its gradients takes as many, of which those are counted that were asked for.
    Products with the padding's zeros count, as in every such table.
    """
    packet = operation.packet
    if packet in ("convolution", "_convolution", "conv2d"):
        return _convolution(operation.argument("input"), operation.argument("weight"), operation)
    if packet == "convolution_backward":
        gradients = sum(bool(wanted) for wanted in operation.argument("output_mask")[:2])
        return gradients * _convolution(operation.argument("input"), operation.argument("weight"), operation)
    if packet in PRODUCTS:
        first, second = (operation.argument(name) for name in PRODUCTS[packet])
        return _matrix_product(operation, first, second)
    return _attention(operation) if packet.startswith("_scaled_dot_product") else 0


def _convolution(x: Value, weight: Value, operation: Operation) -> int:
    per_output = prod(weight.shape[1:])
    if _is_transposed(operation):
        return x.numel() * per_output
    backward = operation.packet == "convolution_backward"
    output = operation.argument("grad_output") if backward else operation.output(0)
    return output.numel() * per_output if output is not None else 0


def _is_transposed(operation: Operation) -> bool:
    names = [argument.name for argument in operation.overload._schema.arguments]
    return "transposed" in names and bool(operation.argument("transposed"))


def _matrix_product(operation: Operation, first: Any, second: Any) -> int:
    output = operation.output(0)
    if operation.packet == "addbmm":
        return first.numel() * second.shape[-1]
    return (output.numel() if output is not None else 0) * first.shape[-1] if len(second.shape) else 0


def _attention(operation: Operation) -> int:
    """Returns those of q · kᵀ and of the weights · v, in the backward pass those of their five products."""
    query, key, value = (operation.argument(name) for name in ("query", "key", "value"))
    heads, length, sources = prod(query.shape[:-2]), query.shape[-2], key.shape[-2]
    scores, mixing = heads * length * sources * query.shape[-1], heads * length * sources * value.shape[-1]
    # Backward: the scores again, ∂v and ∂weights (each as large as the mixing), ∂q and ∂k (each as the scores).
    return 3 * scores + 2 * mixing if "backward" in operation.packet else scores + mixing
