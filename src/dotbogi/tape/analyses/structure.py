"""Which operands' elements each element of a result depends on, one family of operations per function.

A structure is a function of masks that is linear, with coefficients ≥ 0: a result is > 0 exactly where it depends on
an operand's element that is. So it tells both directions: applied to masks, what depends on them; its derivative,
what is depended on. What is depended on through the recorded operations counts, whatever its coefficient is: a loser
of a max pool, a weight of 0. Where elements are chosen by an index, the choice is the recorded one, and the whole
result depends on an index that was itself computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dotbogi.tape.execution import is_drawn
from dotbogi.tape.operation import Operation, with_tensors
from dotbogi.tape.value import Value

MaskOf = Callable[[Value], Tensor]
Structure = Callable[[Operation, MaskOf], list[Tensor]]
_STRUCTURES: dict[str, Structure] = {}


def structure(*packets: str) -> Callable[[Structure], Structure]:
    """Marks a function as the structure of operations, by their names without namespace, overload and final ``_``."""

    def mark(function: Structure) -> Structure:
        _STRUCTURES.update(dict.fromkeys(packets, function))
        return function

    return mark


def structure_of(operation: Operation) -> Structure | None:
    """Returns the structure of an operation, or ``None`` where it is not known."""
    from dotbogi.tape.analyses import structures_of_gradients, structures_of_layers

    del structures_of_gradients, structures_of_layers  # their functions are marked now
    name = operation.packet
    known = _STRUCTURES.get(name) or _STRUCTURES.get(name.removesuffix("_"))
    if known is None and torch.Tag.pointwise in operation.overload.tags:
        return pointwise
    if known is None and name != "native_dropout" and _is_draw(operation):
        return nothing
    return known


def _is_draw(operation: Operation) -> bool:
    tags = operation.overload.tags
    return (torch.Tag.nondeterministic_seeded in tags or operation.packet == "random_") and is_drawn(operation)


def operand(operation: Operation, name: str, of: MaskOf) -> Tensor | None:
    """Returns the mask of an operand by its name in the schema, or ``None`` where it was not given."""
    value = operation.argument(name)
    return of(value) if isinstance(value, Value) else None


def shapes(operation: Operation) -> list[tuple[int, ...]]:
    """Returns the results' shapes, by position."""
    positions = {value.output: value.shape for value in operation.outputs}
    return [positions.get(position, ()) for position in range(max(positions, default=-1) + 1)]


def joined(*masks: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    """Returns masks broadcast to a shape and added."""
    total = torch.zeros(shape)
    for mask in masks:
        if mask is not None:
            total = total + mask.expand(shape)
    return total


@structure(*("copy", "_to_copy", "clone", "fill", "native_dropout", "native_dropout_backward", "hardtanh_backward"))
@structure(*("leaky_relu_backward", "hardswish_backward", "elu_backward", "hardsigmoid_backward", "softplus_backward"))
@structure(*("hardswish", "gelu", "masked_fill", "floor_divide", "mish_backward", "hardshrink_backward"))
@structure(*("softshrink_backward", "rrelu_with_noise_backward"))
@structure(*("prelu", "_prelu_kernel", "_prelu_kernel_backward", "log_sigmoid_forward", "log_sigmoid_backward"))
def pointwise(operation: Operation, of: MaskOf) -> list[Tensor]:
    """Each element depends on the elements at its place; a copy only on its source."""
    overwritten = operation.argument("self") if operation.packet in ("copy_", "fill_") else None
    masks = [of(value) for value in operation.inputs if value is not overwritten]
    return [joined(*masks, shape=shape) for shape in shapes(operation)]


@structure(*("zero", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "scalar_tensor"))
@structure(*("arange", "full", "ones", "zeros", "linspace", "eye", "empty", "empty_like", "empty_strided"))
@structure(*("new_empty", "new_empty_strided", "empty_permuted"))
def nothing(operation: Operation, of: MaskOf) -> list[Tensor]:
    """The result depends on no number: a constant, or drawn at random."""
    del of
    return [torch.zeros(shape) for shape in shapes(operation)]


MOVED = (
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "permute", "t", "transpose", "slice", "select"),
    *("unsqueeze", "squeeze", "cat", "stack", "split", "split_with_sizes", "unbind", "constant_pad_nd", "flip", "roll"),
    *("repeat", "index_select", "gather", "pixel_shuffle", "pixel_unshuffle", "reflection_pad1d", "reflection_pad2d"),
    *(
        "replication_pad1d",
        "replication_pad2d",
        "upsample_nearest2d",
        "_upsample_nearest_exact2d",
        "upsample_bilinear2d",
    ),
    *(
        "avg_pool2d",
        "avg_pool3d",
        "avg_pool1d",
        "_adaptive_avg_pool2d",
        "_adaptive_avg_pool3d",
        "sum",
        "mean",
        "cumsum",
    ),
    *("im2col", "col2im", "tril", "triu", "diagonal", "slice_backward", "select_backward", "slice_scatter"),
    *("select_scatter", "avg_pool2d_backward", "avg_pool3d_backward", "_adaptive_avg_pool2d_backward"),
    *("upsample_nearest2d_backward", "upsample_bilinear2d_backward", "index", "scatter_add", "embedding", "unfold"),
    *(
        "unfold_backward",
        "lift_fresh",
        "detach",
        "alias",
        "diagonal_backward",
        "trace",
        "channel_shuffle",
        "squeeze_copy",
    ),
    *("reflection_pad2d_backward", "replication_pad2d_backward", "embedding_dense_backward", "constant_pad"),
)


@structure(*MOVED)
def moved(operation: Operation, of: MaskOf) -> list[Tensor]:
    """Elements are copied, added up or averaged: the operation itself does to masks what it does to numbers."""

    chosen_by = _indices(operation)

    def tensor_of(value: Value) -> Tensor:
        return value.view().cpu() if value.id in chosen_by else of(value)

    arguments = list(with_tensors(operation.arguments, tensor_of))
    keywords = with_tensors(operation.keywords, tensor_of)
    keywords = {name: given for name, given in keywords.items() if name not in ("dtype", "device", "layout")}
    if operation.packet == "constant_pad_nd":
        arguments, keywords = arguments[:2], {}
    if operation.packet in ("upsample_bilinear2d_backward", "upsample_nearest2d_backward"):
        arguments = [*arguments[:2], list(arguments[2]), *arguments[3:]]
    result: Any = operation.overload(*arguments, **keywords)
    computed = sum(of(value).sum() for value in chosen_by.values() if not _is_given(value))
    return [one + computed for one in result] if isinstance(result, (list, tuple)) else [result + computed]


def _indices(operation: Operation) -> dict[int, Value]:
    names = operation.argument_names
    given = [operation.argument(name) for name in ("index", "indices") if name in names]
    parts = [part for one in given for part in (one if isinstance(one, (list, tuple)) else [one])]
    return {part.id: part for part in parts if isinstance(part, Value)}


def _is_given(value: Value) -> bool:
    return value.memory is not None and value.memory.outside


REDUCED = (
    *("var", "var_mean", "std", "std_mean", "linalg_vector_norm", "norm", "amax", "amin", "max", "min", "argmax"),
    *("argmin", "prod", "logsumexp", "any", "all", "topk", "sort", "cumprod", "nansum", "count_nonzero", "median"),
)


@structure(*REDUCED)
def reduced(operation: Operation, of: MaskOf) -> list[Tensor]:
    """Each element depends on all along the axes that are reduced, or sorted along."""
    x = operation.inputs[0]
    if len(operation.inputs) > 1:
        return pointwise(operation, of)  # max.other, min.other
    total = of(x).sum(reduced_axes(operation, len(x.shape)), keepdim=True)
    return [_as_shape(total, shape) for shape in shapes(operation)]


def reduced_axes(operation: Operation, axes: int) -> list[int]:
    """Returns along which axes an operation reduces: all where it names none."""
    names = operation.argument_names
    given = operation.argument("dim") if "dim" in names else None
    if given is None or given == []:
        return list(range(axes))
    chosen = given if isinstance(given, (list, tuple)) else [given]
    return [axis % axes for axis in chosen] if axes else []


def _as_shape(total: Tensor, shape: tuple[int, ...]) -> Tensor:
    count = 1
    for size in shape:
        count *= size
    return total.reshape(shape) if total.numel() == count else total.expand(shape)


def along(mask: Tensor, axes: list[int]) -> Tensor:
    """Returns a mask in which everything along some axes is joined."""
    return mask.sum(axes, keepdim=True).expand(mask.shape) if mask.dim() else mask
