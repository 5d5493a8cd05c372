"""How far a receptive field reaches by its kernels and strides alone.

Going back through a layer of kernel k, stride s and dilation d, r pixels become (r − 1)·s + d·(k − 1) + 1
(Araujo, Norris & Sim 2019, doi:10.23915/distill.00021, "Computing Receptive Fields of Convolutional Neural Networks").
"""

from __future__ import annotations

from typing import Any

import torch

from dotbogi.tape.analyses.marks import Written
from dotbogi.tape.analyses.structures_of_layers import per_axis
from dotbogi.tape.execution import Place, place_of
from dotbogi.tape.operation import Operation
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value

Extent = tuple[int, int]
BY_PIXEL = frozenset(
    {"native_batch_norm", "cudnn_batch_norm", "cat", "native_dropout", "clone", "_to_copy", "constant"}
)


def theoretical_extent(tape: Tape, value: Value, images: Value) -> Extent | None:
    """Returns how many rows and columns of the images a number could see, or ``None`` where that is not defined.

    Args:
        tape: recorded.
        value: (B, C, H, W), whose elements are asked for.
        images: (B, C, H, W).
    """
    if value.memory is None or images.memory is None or len(value.shape) != 4 or len(images.shape) != 4:
        return None
    reached: dict[Place, Extent] = {place_of(value): (1, 1)}
    for operation in reversed(tape.operations):
        made = next((one for one in Written(operation).made if place_of(one) in reached), None)
        if made is None:
            continue
        extent = _before(operation, reached[place_of(made)])
        if extent is None:
            return None
        for source in _sources(operation, made):
            known = reached.get(place_of(source), (0, 0))
            reached[place_of(source)] = (max(known[0], extent[0]), max(known[1], extent[1]))
    return reached.get(place_of(images))


def _sources(operation: Operation, made: Value) -> list[Value]:
    """Returns the operands that are images."""
    first = (
        operation.inputs[:1] if "norm" in operation.packet or operation.packet == "convolution" else operation.inputs
    )
    return [one for one in first if one.memory is not None and len(one.shape) == len(made.shape)]


def _before(operation: Operation, extent: Extent) -> Extent | None:
    window = _window(operation)
    if window is None:
        return None
    kernel, stride, dilation = window
    rows, columns = ((r - 1) * s + d * (k - 1) + 1 for r, k, s, d in zip(extent, kernel, stride, dilation, strict=True))
    return rows, columns


def _window(operation: Operation) -> tuple[Any, Any, Any] | None:
    """Returns kernel, stride and dilation, each for rows and columns; all 1 where an operation works pixel by pixel."""
    ones = [1, 1]
    name = operation.packet
    if name == "convolution" and not operation.argument("transposed") and len(operation.inputs[0].shape) == 4:
        stride, dilation = (per_axis(operation.argument(one), 2) for one in ("stride", "dilation"))
        return operation.argument("weight").shape[2:], stride, dilation
    if name in ("max_pool2d_with_indices", "avg_pool2d"):
        kernel, stride = (per_axis(operation.argument(one), 2) for one in ("kernel_size", "stride"))
        dilation = per_axis(operation.argument("dilation"), 2) if name.startswith("max") else ones
        return kernel, stride or kernel, dilation
    if name == "native_batch_norm" and operation.argument("training"):
        return None  # the statistics see everything
    by_pixel = name in BY_PIXEL or torch.Tag.pointwise in operation.overload.tags
    return (ones, ones, ones) if by_pixel else None
