"""Shared by the tests of elementwise operations: tensors of every shape, type and memory format."""

from dataclasses import replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from dotbogi.tape.explanation import Explanation

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
LAYOUTS = ["contiguous", "transposed", "channels_last", "every_other", "expanded"]


def laid_out(tensor: Tensor, layout: str) -> Tensor:
    """Returns a tensor of the same shape in another memory format."""
    axes = list(range(tensor.dim()))
    if layout == "transposed":
        return tensor.permute(axes[::-1]).contiguous().permute(axes[::-1])
    if layout == "channels_last" and tensor.dim() == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    if layout == "every_other":
        return torch.stack([tensor, tensor + 1], -1)[..., 0]
    if layout == "expanded" and tensor.dim():
        return tensor[:1].expand(tensor.shape)
    return tensor


@st.composite
def broadcast_operands(draw, count: int, dtypes=FLOATS, largest: int = 4) -> list[Tensor]:
    """Draws tensors that broadcast to the shape of the first."""
    shape = draw(st.lists(st.integers(1, largest), max_size=4))
    dtype = draw(st.sampled_from(dtypes))
    spread = draw(st.sampled_from([0.01, 1.0, 20.0]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    operands: list[Tensor] = []
    for position in range(count):
        kept = shape[draw(st.integers(0, len(shape))) if position else 0 :]
        own = [draw(st.sampled_from([size, 1])) if position else size for size in kept]
        values = (torch.randn(own, generator=generator) * spread).to(dtype)
        operands.append(laid_out(values, draw(st.sampled_from(LAYOUTS))))
    return operands


def wrongly(explanation: Explanation, **changes) -> Explanation:
    """Returns an explanation with other arithmetic."""
    wrong = replace(explanation.arithmetic, **changes)
    return Explanation(
        explanation.tape, explanation.address, explanation.value, explanation.index, wrong, explanation.operation
    )


def assert_bites(explanation: Explanation) -> None:
    """Checks that the explanation is no longer accepted with the answer 0, with half of it, or 1 % beside it."""
    assert explanation.agrees
    right = explanation.result
    assert right != 0
    for answer in (0.0, right / 2, right * 1.01):
        assert not wrongly(explanation, result=lambda _numbers, answer=answer: answer).agrees, explanation.to_dict()
