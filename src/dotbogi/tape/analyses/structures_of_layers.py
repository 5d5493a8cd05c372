"""The structure of layers: convolutions, pools, linear layers, normalisations, softmax, attention, losses."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dotbogi.tape.analyses.structure import MaskOf, along, joined, operand, shapes, structure
from dotbogi.tape.operation import Operation
from dotbogi.tape.value import Value


def convolved(operation: Operation, x: Tensor, w: Tensor) -> Tensor:
    """Returns the convolution of two masks, with an operation's stride, padding, dilation and groups."""
    names = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
    stride, padding, dilation, transposed, output_padding, groups = (operation.argument(name) for name in names)
    return torch.ops.aten.convolution(x, w, None, stride, padding, dilation, transposed, output_padding, groups)


@structure("convolution")
def convolution(operation: Operation, of: MaskOf) -> list[Tensor]:
    """Every pixel and weight of the window, and the bias of the channel."""
    x, w = (operation.argument(name) for name in ("input", "weight"))
    total = convolved(operation, of(x), torch.ones(w.shape)) + convolved(operation, torch.ones(x.shape), of(w))
    bias = operand(operation, "bias", of)
    return [total if bias is None else total + bias.reshape(-1, *[1] * (len(x.shape) - 2))]


@structure("mm", "bmm", "mv", "dot", "addmm", "baddbmm", "addmv", "linear", "matmul")
def product(operation: Operation, of: MaskOf) -> list[Tensor]:
    """A row of the first matrix and a column of the second, and the bias."""
    names = [parameter.name for parameter in operation.overload._schema.arguments if "Tensor" in str(parameter.type)]
    first, second, *_rest = [operation.argument(name) for name in names if name != "self" or len(names) == 2]
    bias = operand(operation, "self", of) if len(names) == 3 else None
    total = torch.matmul(of(first), torch.ones(second.shape)) + torch.matmul(torch.ones(first.shape), of(second))
    return [joined(total, bias, shape=tuple(total.shape))]


@structure("max_pool2d_with_indices", "max_pool3d_with_indices")
def max_pool(operation: Operation, of: MaskOf) -> list[Tensor]:
    """Every pixel of the window: the losers decide too."""
    total = windows(operation, of(operation.inputs[0]), operation.outputs[0].shape)
    return [total, total]


def windows(operation: Operation, x: Tensor, output_shape: tuple[int, ...]) -> Tensor:
    """Returns the sums over a pool's windows.

    Args:
        operation: with kernel_size, stride, padding and dilation.
        x: mask of the input (…, *size).
        output_shape: (…, *output size).
    """
    axes = 2 if "2d" in operation.packet else 3
    kernel, stride, dilation, sides = _pooling(operation, x.shape[-axes:], output_shape[-axes:])
    padded = F.pad(x, sides)
    planes = padded.reshape(-1, 1, *padded.shape[-axes:])
    convolve: Any = F.conv2d if axes == 2 else F.conv3d
    return convolve(planes, torch.ones(1, 1, *kernel), stride=stride, dilation=dilation).reshape(output_shape)


def spread_over_windows(operation: Operation, y: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Returns for each pixel the sum over the two-dimensional windows that it is in.

    Args:
        operation: as for :func:`windows`.
        y: mask of the pool's output (…, *output size).
        shape: of the pool's input (…, *size).
    """
    kernel, stride, dilation, sides = _pooling(operation, shape[-2:], tuple(y.shape[-2:]))
    planes = y.reshape(-1, 1, *y.shape[-2:])
    padded = F.conv_transpose2d(planes, torch.ones(1, 1, *kernel), stride=stride, dilation=dilation)
    return F.pad(padded, [-side for side in sides]).reshape(shape)


def _pooling(
    operation: Operation, sizes: tuple[int, ...], outs: tuple[int, ...]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Returns kernel, stride, dilation, and how far the windows reach beyond the image, as ``F.pad`` takes it."""
    names = ("kernel_size", "stride", "padding", "dilation")
    kernel, stride, padding, dilation = (per_axis(operation.argument(name), len(sizes)) for name in names)
    stride = stride or kernel
    sides: list[int] = []
    # With ceil_mode the last windows reach beyond the padding.
    for size, out, k, s, p, d in zip(sizes, outs, kernel, stride, padding, dilation, strict=True):
        sides = [p, (out - 1) * s + d * (k - 1) + 1 - size - p, *sides]
    return kernel, stride, dilation, sides


def per_axis(numbers: Any, axes: int) -> list[int]:
    """Returns one number per axis, where one may stand for all; none where there is none."""
    numbers = [numbers] if isinstance(numbers, int) else list(numbers)
    return numbers if len(numbers) in (0, axes) else numbers * axes


@structure("_adaptive_max_pool2d", "adaptive_max_pool2d")
def adaptive_max_pool(operation: Operation, of: MaskOf) -> list[Tensor]:
    """As the adaptive average pool's windows."""
    rows, columns = operation.outputs[0].shape[-2:]
    total = F.adaptive_avg_pool2d(of(operation.inputs[0]), (rows, columns))
    return [total, total]


@structure("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit_no_training")
@structure("_native_batch_norm_legit")
def batch_norm(operation: Operation, of: MaskOf) -> list[Tensor]:
    """In training all of the channel, at evaluation the pixel and the running statistics."""
    x = of(operation.inputs[0])
    names = operation.argument_names
    trains = "training" in names and operation.argument("training")
    per_channel = [operand(operation, name, of) for name in ("weight", "bias")]
    running = [operand(operation, name, of) for name in ("running_mean", "running_var") if name in names]
    channel = x.sum([axis for axis in range(x.dim()) if axis != 1])  # (C,)
    at = (1, -1, *[1] * (x.dim() - 2))
    sources = [*per_channel, channel] if trains else [*per_channel, *running]
    total = x + sum(part.reshape(at) for part in sources if part is not None)
    statistics = channel if trains else torch.zeros_like(channel)
    updated = [channel + part for part in running if part is not None]
    results = [total, statistics, statistics, *updated]
    # On the CPU the batch's statistics are empty at evaluation.
    return [part[:0] if shape == (0,) else part for part, shape in zip(results, shapes(operation), strict=False)]


@structure("native_layer_norm")
def layer_norm(operation: Operation, of: MaskOf) -> list[Tensor]:
    """All along the normalised axes."""
    x = of(operation.inputs[0])
    axes = [axis - 1 for axis in range(0, -len(operation.argument("normalized_shape")), -1)]
    per_element = [operand(operation, name, of) for name in ("weight", "bias")]
    statistics = x.sum(axes, keepdim=True)
    return [joined(along(x, axes), *per_element, shape=tuple(x.shape)), statistics, statistics]


@structure("native_group_norm")
def group_norm(operation: Operation, of: MaskOf) -> list[Tensor]:
    """All of the sample's group of channels."""
    x = of(operation.inputs[0])
    grouped = x.reshape(x.shape[0], operation.argument("group"), -1)
    total = along(grouped, [2]).reshape(x.shape)
    at = (1, -1, *[1] * (x.dim() - 2))
    for name in ("weight", "bias"):
        part = operand(operation, name, of)
        total = total if part is None else total + part.reshape(at)
    return [total, grouped.sum(2), grouped.sum(2)]


@structure("_softmax", "_log_softmax", "_softmax_backward_data", "_log_softmax_backward_data")
def softmax(operation: Operation, of: MaskOf) -> list[Tensor]:
    """All along the axis."""
    total = joined(*map(of, operation.inputs), shape=operation.inputs[0].shape)
    return [along(total, [operation.argument("dim")])]


@structure("nll_loss_forward", "nll_loss2d_forward", "nll_loss_backward", "nll_loss2d_backward")
def nll_loss(operation: Operation, of: MaskOf) -> list[Tensor]:
    """The log-probability of each sample's own class; backward, each sample's gradient where its class is."""
    x, target = operation.argument("self"), operation.argument("target").view().cpu()
    weight = operand(operation, "weight", of)
    own = F.one_hot(target.clamp(0), x.shape[1]).movedim(-1, 1) if x.shape[1:] else torch.ones(x.shape)
    own = own * (target != operation.argument("ignore_index")).unsqueeze(1)  # (B, K, …)
    per_class = (
        torch.zeros(x.shape) if weight is None else weight.reshape(-1, *[1] * (len(x.shape) - 2)).expand(x.shape)
    )
    if "backward" in operation.packet:
        gradient = of(operation.argument("grad_output"))
        spread = gradient if gradient.dim() == 0 else gradient.unsqueeze(1)
        whole = of(operation.argument("total_weight"))
        label = of(operation.argument("target")).unsqueeze(1)
        return [own * (spread + per_class + whole) + label.expand(x.shape)]
    chosen = (own * (of(x) + per_class)).sum(1)
    per_sample = (own * torch.ones(x.shape)).sum(1) * of(operation.argument("target"))
    total_weight = (own * per_class).sum()
    reduction = operation.argument("reduction")
    return [(chosen + per_sample).sum() if reduction else chosen + per_sample, total_weight]


@structure("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "soft_margin_loss")
def elementwise_loss(operation: Operation, of: MaskOf) -> list[Tensor]:
    """The elements at their places, added up where the loss is reduced."""
    total = joined(*map(of, operation.inputs), shape=operation.inputs[0].shape)
    return [total.sum() if operation.argument("reduction") else total]


@structure("mse_loss_backward", "smooth_l1_loss_backward", "huber_loss_backward", "binary_cross_entropy_backward")
def elementwise_loss_backward(operation: Operation, of: MaskOf) -> list[Tensor]:
    """The elements at their places, and the loss's gradient."""
    return [joined(*map(of, operation.inputs), shape=shape) for shape in shapes(operation)]


@structure("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention")
@structure("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention")
def attention(operation: Operation, of: MaskOf) -> list[Tensor]:
    """Its own query, all keys, and every value's same channel; under a causal mask those not later."""
    query, key, values = (of(operation.argument(name)) for name in ("query", "key", "value"))  # (B, heads, S, D)
    seen = torch.ones(query.shape[-2], key.shape[-2])
    seen = seen.tril() if operation.argument("is_causal") else seen
    own = query.sum(-1, keepdim=True) + torch.matmul(seen, key.sum(-1, keepdim=True))  # (B, heads, S, 1)
    for name in ("attn_mask", "attn_bias"):
        if name in operation.argument_names:
            bias = operation.argument(name)
            own = own + (of(bias).sum(-1, keepdim=True) if isinstance(bias, Value) else 0)
    result = own + torch.matmul(seen, values)
    return [result, own.squeeze(-1), *[torch.zeros(shape) for shape in shapes(operation)[2:]]]
