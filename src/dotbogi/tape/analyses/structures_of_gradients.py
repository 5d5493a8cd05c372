"""The structure of backward operations."""

from __future__ import annotations

import torch
from torch import Tensor

from dotbogi.tape.analyses.structure import MaskOf, along, joined, operand, shapes, structure
from dotbogi.tape.analyses.structures_of_layers import spread_over_windows
from dotbogi.tape.operation import Operation


def _derivatives(operation: Operation, gradient: Tensor, x: Tensor, w: Tensor) -> list[Tensor]:
    names = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
    geometry = [operation.argument(name) for name in names]
    wanted = [True, True, False]
    return list(torch.ops.aten.convolution_backward(gradient, x, w, None, *geometry, wanted))[:2]


@structure("convolution_backward")
def convolution_backward(operation: Operation, of: MaskOf) -> list[Tensor]:
    """The gradients of the outputs that an element took part in, and what it was multiplied with there."""
    names = ("grad_output", "input", "weight")
    gradient, x, w = (operation.argument(name) for name in names)
    ones = {name: torch.ones(value.shape) for name, value in zip(names, (gradient, x, w), strict=True)}
    by_gradient = _derivatives(operation, of(gradient), ones["input"], ones["weight"])
    of_input = _derivatives(operation, ones["grad_output"], ones["input"], of(w))[0]
    of_weight = _derivatives(operation, ones["grad_output"], of(x), ones["weight"])[1]
    of_bias = of(gradient).sum([axis for axis in range(len(gradient.shape)) if axis != 1])
    return [by_gradient[0] + of_input, by_gradient[1] + of_weight, of_bias]


@structure("native_batch_norm_backward", "cudnn_batch_norm_backward", "miopen_batch_norm_backward")
def batch_norm_backward(operation: Operation, of: MaskOf) -> list[Tensor]:
    """In training all of the channel; at evaluation the gradient at the place."""
    gradient = of(operation.argument("grad_out" if operation.packet.startswith("native") else "grad_output"))
    x = of(operation.argument("input"))
    names = operation.argument_names
    trains = "train" not in names or operation.argument("train")
    others = ("weight", "save_mean", "save_invstd") if trains else ("weight", "running_mean", "running_var")
    channel = torch.zeros(x.shape[1])
    for name in others:
        part = operand(operation, name, of) if name in names else None
        channel = channel if part is None or not part.numel() else channel + part
    axes = [axis for axis in range(x.dim()) if axis != 1]
    at = (1, -1, *[1] * (x.dim() - 2))
    of_input = (along(gradient + x, axes) if trains else gradient) + channel.reshape(at)
    return [of_input, (gradient + x).sum(axes) + channel, gradient.sum(axes)]


@structure("native_layer_norm_backward")
def layer_norm_backward(operation: Operation, of: MaskOf) -> list[Tensor]:
    """All along the normalised axes; for weight and bias all samples."""
    names = ("grad_out", "input", "mean", "rstd", "weight")
    gradient, x, mean, rstd, weight = (operand(operation, name, of) for name in names)
    assert gradient is not None and x is not None
    count = len(operation.argument("normalized_shape"))
    last = list(range(x.dim() - count, x.dim()))
    first = list(range(x.dim() - count))
    everything = joined(gradient, x, mean, rstd, weight, shape=tuple(x.shape))
    of_weight = joined(gradient, x, mean, rstd, shape=tuple(x.shape)).sum(first)
    return [along(everything, last), of_weight, gradient.sum(first)]


@structure("native_group_norm_backward")
def group_norm_backward(operation: Operation, of: MaskOf) -> list[Tensor]:
    """All of the sample's group of channels; for weight and bias all samples and places of the channel."""
    gradient, x = (of(operation.argument(name)) for name in ("grad_out", "input"))
    statistics = sum(of(operation.argument(name)) for name in ("mean", "rstd"))  # (B, groups)
    weight = operand(operation, "weight", of)
    at = (1, -1, *[1] * (x.dim() - 2))
    scaled = gradient + x if weight is None else gradient + x + weight.reshape(at)
    grouped = scaled.reshape(x.shape[0], operation.argument("group"), -1)
    of_input = (along(grouped, [2]) + torch.as_tensor(statistics).unsqueeze(2)).reshape(x.shape)
    axes = [axis for axis in range(x.dim()) if axis != 1]
    spread = torch.as_tensor(statistics).unsqueeze(2).expand(grouped.shape).reshape(x.shape)
    return [of_input, (gradient + x + spread).sum(axes), gradient.sum(axes)]


@structure("max_pool2d_with_indices_backward")
def max_pool_backward(operation: Operation, of: MaskOf) -> list[Tensor]:
    """The gradients of the windows that a pixel won, and who won in all windows that it is in."""
    gradient = of(operation.argument("grad_output"))
    winners = operation.argument("indices").view().cpu()
    size = operation.argument("self").shape
    flat = torch.zeros(*size[:-2], size[-2] * size[-1])
    won = flat.scatter_add(-1, winners.flatten(-2), gradient.flatten(-2)).reshape(size)
    return [won + spread_over_windows(operation, of(operation.argument("indices")), size)]


@structure("_scaled_dot_product_flash_attention_for_cpu_backward", "_scaled_dot_product_efficient_attention_backward")
def attention_backward(operation: Operation, of: MaskOf) -> list[Tensor]:
    """All of the head: a gradient meets every query, key and value of it."""
    names = ("grad_out", "query", "key", "value", "out")
    given = [operation.argument(name if name != "grad_out" else _gradient_name(operation)) for name in names]
    head = sum(of(value).sum((-1, -2), keepdim=True) for value in given)
    return [
        torch.as_tensor(head).expand(shape) if len(shape) == 4 else torch.zeros(shape) for shape in shapes(operation)
    ]


def _gradient_name(operation: Operation) -> str:
    return next(one.name for one in operation.overload._schema.arguments if one.name.startswith("grad_out"))


@structure("index_put", "_index_put_impl", "masked_scatter")
def index_put(operation: Operation, of: MaskOf) -> list[Tensor]:
    """What is written, where it is written, and what lay there where it is added to."""
    indices = [None if one is None else one.view().cpu() for one in operation.argument("indices")]
    before, values = of(operation.argument("self")), of(operation.argument("values"))
    return [torch.ops.aten.index_put(before, indices, values, bool(operation.argument("accumulate")))]
