"""The shape story: its arithmetic, computed again from its own text."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dotbogi.tape.analyses.shape_story import shape_story
from dotbogi.tape.record import record


def lines(model: nn.Module, *shape: int) -> dict[str, str]:
    return {line.layer or line.operation: line.why for line in shape_story(record(model, torch.randn(shape))).lines}


def evaluated(equation: str) -> bool:
    """Whether both sides of a printed equation are the same, by Python's own arithmetic."""
    left, right = equation.split(" = ")
    right = right.replace("·", "*").replace("−", "-")
    right = re.sub("⌊(.*)⌋", r"math.floor(\1)", right)
    right = re.sub("⌈(.*)⌉", r"math.ceil(\1)", right)
    return {int(side) for side in left.split("×")} == {eval(right, {"math": math})}


def test_the_lectures_network_as_the_lecture_computes_it():
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 10)),
    )
    told = lines(model, 1, 1, 28, 28)
    assert told["2"] == "each channel by itself; 14×14 = ⌊(28 + 2·0 − 2)/2⌋ + 1"
    assert told["0"].startswith("32 kernels give 32 channels; each looks at 1 of 1 channels; 28×28 = ⌊(28 + 2·1 − 3)/1")
    assert told["1"] == "works number by number: the shape stays"
    assert told["6"] == "flattened: 1568 = 32·7·7"
    assert told["7"] == ("1568 numbers in, for the weight is (10, 1568); 10 numbers out; 1568 = 32·7·7")


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(6, 12), st.integers(6, 12)),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 1),
    layer=st.sampled_from(["conv", "max", "average", "transposed"]),
    ceil_mode=st.booleans(),
)
def test_the_printed_arithmetic_gives_the_printed_size(size, kernel, stride, dilation, padding, layer, ceil_mode):
    padding = min(padding, kernel // 2)
    made = {
        "conv": lambda: nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups=2),
        "max": lambda: nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode),
        "average": lambda: nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil_mode),
        "transposed": lambda: nn.ConvTranspose2d(2, 2, kernel, stride, padding, dilation=dilation),
    }[layer]()
    (line,) = shape_story(record(nn.Sequential(made), torch.randn(1, 2, *size))).lines
    equations = re.findall(r"[\d×]+ = [^,:;]+", line.why)
    assert equations and all(map(evaluated, equations)), line.why
    sides = {int(side) for equation in equations for side in equation.split(" = ")[0].split("×")}
    assert sides == set(line.after[2:])


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.pool = nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d((3, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, x.sin()], 1)
        x = self.pool(self.norm(nn.functional.pad(x, (1, 1, 0, 0))))
        return x.permute(0, 2, 3, 1).mean((1, 2)) + x.sum()


def test_what_else_changes_a_shape_is_told():
    story = shape_story(record(Mixed(), torch.randn(2, 2, 5, 5)))
    told = [line.why for line in story.lines]
    assert "joined along axis 1: 4 = 2 + 2" in told
    assert "padded: 7 = 5 + 2" in told
    assert "each channel is normalised by itself: the shape stays" in told
    assert "3×2 was asked for, whatever comes in" in told
    assert "the axes in another order: 2×4×3×2 becomes 2×3×2×4" in told
    assert "averaged over 2 axes: 2×3×2×4 becomes 2×4" in told
    assert "2×4×3×2 becomes a single number in sum" in told
    assert "norm: (2, 4, 5, 7) → (2, 4, 5, 7): " in str(story)


@pytest.mark.parametrize("shape", [(2, 3), (4, 2, 3)])
def test_a_linear_layer_that_nothing_was_flattened_for_says_no_product(shape):
    told = lines(nn.Sequential(nn.Linear(3, 5)), *shape)
    assert told["0"] if len(shape) == 2 else told
    assert "·" not in told["0"].partition(";")[2] or len(shape) == 3
