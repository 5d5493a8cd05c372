"""Operations as affine functions of what depends on the input, with the recorded signs and winners.

Each function returns an operation's results in float64, or ``None`` where it is not affine: a product of two numbers
that both depend on the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dotbogi.tape.analyses.structure import MOVED
from dotbogi.tape.operation import Operation, with_tensors
from dotbogi.tape.value import Value

Operand = Callable[[Value], Tensor]
Affine = Callable[[Operation, Operand], list[Tensor] | None]


def _itself(operation: Operation, of: Operand) -> list[Tensor] | None:
    """The operation itself, in float64."""
    keywords = with_tensors(operation.keywords, of)
    keywords = {name: given for name, given in keywords.items() if name not in ("dtype", "device", "layout")}
    # A write in place would destroy the leaf that it is a function of.
    overload: Any = operation.overload
    if operation.packet.endswith("_"):
        overload = getattr(getattr(torch.ops.aten, operation.packet[:-1]), overload._overloadname)
    result = overload(*with_tensors(operation.arguments, of), **keywords)
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _times_constant(*names: str) -> Affine:
    """The operation itself, where at most one of some factors depends on the input."""

    def function(operation: Operation, of: Operand) -> list[Tensor] | None:
        factors = [operation.argument(name) for name in names]
        active = [of(factor).requires_grad for factor in factors if isinstance(factor, Value)]
        return _itself(operation, of) if sum(active) <= 1 else None

    return function


def _with_constant(*names: str) -> Affine:
    """The operation itself, where none of some operands depends on the input."""

    def function(operation: Operation, of: Operand) -> list[Tensor] | None:
        given = [operation.argument(name) for name in names]
        active = any(of(one).requires_grad for one in given if isinstance(one, Value))
        return None if active else _itself(operation, of)

    return function


def _relu(operation: Operation, of: Operand) -> list[Tensor]:
    passes = operation.outputs[0].view().cpu() > 0
    return [of(operation.argument("self")) * passes]


def _leaky_relu(operation: Operation, of: Operand) -> list[Tensor]:
    x = operation.argument("self")
    passes = x.view().cpu() > 0
    return [of(x) * passes + of(x) * ~passes * float(operation.argument("negative_slope"))]


def _clamped(operation: Operation, of: Operand) -> list[Tensor] | None:
    """hardtanh (ReLU6), clamp, clamp_min, clamp_max."""
    names = operation.argument_names
    low, high = (
        next((operation.argument(name) for name in given if name in names), None)
        for given in (("min_val", "min"), ("max_val", "max"))
    )
    if isinstance(low, Value) or isinstance(high, Value):
        return None
    x = operation.argument("self")
    recorded, result = x.view().cpu(), of(x)
    if low is not None:
        result = torch.where(recorded <= low, float(low), result)
    return [result if high is None else torch.where(recorded >= high, float(high), result)]


def _max_pool(operation: Operation, of: Operand) -> list[Tensor]:
    winners = operation.outputs[1].view().cpu()
    chosen = of(operation.argument("self")).flatten(-2).gather(-1, winners.flatten(-2))
    return [chosen.reshape(winners.shape), torch.zeros(winners.shape, dtype=torch.float64)]


def _batch_norm(operation: Operation, of: Operand) -> list[Tensor] | None:
    names = operation.argument_names
    weight, bias = (operation.argument(name) for name in ("weight", "bias"))
    if ("training" in names and operation.argument("training")) or (weight is not None and of(weight).requires_grad):
        return None
    x = of(operation.argument("input"))
    at = (1, -1, *[1] * (x.dim() - 2))
    mean, variance = (of(operation.argument(f"running_{name}")).reshape(at) for name in ("mean", "var"))
    result = (x - mean) / (variance + float(operation.argument("eps"))).sqrt()
    result = result if weight is None else result * of(weight).reshape(at)
    return [result if bias is None else result + of(bias).reshape(at), torch.zeros(0), torch.zeros(0)]


def _copied(operation: Operation, of: Operand) -> list[Tensor]:
    source = operation.argument("src" if operation.packet == "copy_" else "self")
    return [of(source).double().expand(operation.outputs[0].shape)]


def _filled(operation: Operation, of: Operand) -> list[Tensor]:
    value = operation.argument("value") if operation.packet == "fill_" else 0.0
    filling = of(value) if isinstance(value, Value) else torch.tensor(float(value), dtype=torch.float64)
    return [filling.expand(operation.outputs[0].shape)]


AFFINE: dict[str, Affine] = {
    **dict.fromkeys(MOVED, _itself),
    **dict.fromkeys(("add", "sub", "rsub", "neg"), _itself),
    **dict.fromkeys(("clone", "_to_copy", "copy"), _copied),
    **dict.fromkeys(("fill", "zero"), _filled),
    **dict.fromkeys(("hardtanh", "clamp", "clamp_min", "clamp_max"), _clamped),
    **dict.fromkeys(("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"), _batch_norm),
    "_native_batch_norm_legit_no_training": _batch_norm,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "max_pool2d_with_indices": _max_pool,
    "convolution": _times_constant("input", "weight"),
    "mul": _times_constant("self", "other"),
    "mm": _times_constant("self", "mat2"),
    "bmm": _times_constant("self", "mat2"),
    "addmm": _times_constant("mat1", "mat2"),
    "baddbmm": _times_constant("batch1", "batch2"),
    "div": _with_constant("other"),
    **{name: _with_constant("index") for name in ("gather", "index_select")},
}
