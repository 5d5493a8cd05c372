"""Views: the same memory seen in another shape, so that an element is found by where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, copy_of, given, unexplained
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.rearrangements import geometry, rearranged
from dotbogi.tape.value import Value

IN_ORDER = "y.flatten()[n] = x.flatten()[n]"
PARTS = "y_k[…,i,…] = x[…,i + Σ_{m<k} n_m,…]"
VIEWS = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten"), IN_ORDER),
    **dict.fromkeys(("view_as", "reshape_as", "ravel", "atleast_1d", "atleast_2d", "atleast_3d"), IN_ORDER),
    **dict.fromkeys(("t", "numpy_T", "mT"), "y[i,j] = x[j,i]"),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), "y[…,i,…,j,…] = x[…,j,…,i,…]"),
    **dict.fromkeys(("permute", "movedim", "moveaxis"), "y[i_{d₀},i_{d₁},…] = x[i₀,i₁,…]"),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), "y[…,i,…] = x[…,0,…]"),
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes"), PARTS),
    **dict.fromkeys(("chunk", "unsafe_chunk", "tensor_split", "hsplit", "vsplit"), PARTS),
    "squeeze": "y[…] = x[…,0,…]",
    "unsqueeze": "y[…,0,…] = x[…]",
    "select": "y[…] = x[…,k,…]",
    "slice": "y[…,i,…] = x[…,start + i·step,…]",
    "narrow": "y[…,i,…] = x[…,start + i,…]",
    "unbind": "y_k[…] = x[…,k,…]",
    "as_strided": "y[i₀,i₁,…] = memory[offset + i₀·s₀ + i₁·s₁ + …]",
    "diagonal": "y[…,i] = x[…,i,…,i + offset,…]",
    "unfold": "y[…,i,…,u] = x[…,i·step + u,…]",
}


@explains(*VIEWS)
def view(question: Question) -> Arithmetic:
    """The element of the input that lies at the same place in memory (torch.Tensor's views, PyTorch notes)."""
    value, source = question.value, question.operation.inputs[0]
    if value.memory is not source.memory:
        return rearranged(question)  # what could not be seen without moving it was copied
    if value.dtype != source.dtype:
        return unexplained(_("the same bytes, read as numbers of another type"))
    offset = value.offset_of(question.index)
    found = next(((one, place) for one in _windows(question) if (place := one.index_at(offset)) is not None), None)
    if found is None:
        return given(_("a constant from outside the recording"))
    formula = VIEWS[question.operation.packet.removesuffix("_")]
    return replace(copy_of(*found, formula), constants=geometry(question.operation))


def _windows(question: Question) -> Iterator[Value]:
    """Yields what may hold the element: the input, and for a view that reaches beyond it what is around."""
    value, memory = question.value, question.value.memory
    yield question.operation.inputs[0]
    if memory is not None:
        around = [*reversed(memory.writes), *memory.values.values()]
        yield from (one for one in around if one.id < value.id and one.dtype == value.dtype)
