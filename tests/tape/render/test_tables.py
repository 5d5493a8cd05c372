"""MACs beside torch's own counter of floating point operations, and the totals beside what torchvision publishes."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from dotbogi.tape.record import record
from dotbogi.tape.tape import Tape

from ..conftest import record_function


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3)
        self.unused = nn.Linear(2, 2)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.again = self.twice
        self.fc = nn.Linear(4 * 36, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.again(F.relu(self.twice(self.conv1(images))))  # (B, 4, 6, 6)
        return self.fc(x.flatten(1))  # (B, 10)


@pytest.fixture(scope="module")
def tape() -> Tape:
    torch.manual_seed(0)
    return record(Net(), (torch.randn(2, 2, 8, 8), torch.tensor([1, 2])), loss="cross-entropy", optimizer="sgd")


def macs(tape: Tape) -> int:
    return sum(row["macs"] for row in tape.table().rows)


def test_a_whole_step_has_as_many_macs_as_torch_counts(tape: Tape) -> None:
    model = Net()
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(torch.randn(2, 2, 8, 8)), torch.tensor([1, 2])).backward()
    assert 2 * macs(tape) == counter.get_total_flops()


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_a_convolution_has_as_many_macs_as_torch_counts(
    batch: int, groups: int, per_group: int, kernel: int, stride: int, transposed: bool, backward: bool
) -> None:
    groups = 1 if backward else groups  # torch counts a grouped kernel's gradient as if all channels mixed
    x = torch.randn(batch, groups * per_group, 7, 6)
    w = torch.randn(groups * per_group, 2 if transposed else per_group, kernel, kernel)
    w = w.repeat(1 if transposed else 2, 1, 1, 1)
    convolution = F.conv_transpose2d if transposed else F.conv2d

    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return convolution(x, w, stride=stride, groups=groups)

    tape = record_function(function, parameters=(x, w), backward=backward)
    with FlopCounterMode(display=False) as counter:
        x.requires_grad_(), w.requires_grad_()
        output = function(x, w)
        if backward:
            output.sum().backward()
    assert 2 * macs(tape) == counter.get_total_flops()


def test_products_of_matrices_and_attention_have_as_many_macs_as_torch_counts() -> None:
    q, k, v = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 7, 4), torch.randn(2, 3, 7, 4)
    a, b, c = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(2, 3, 5)

    def function(*operands: torch.Tensor) -> torch.Tensor:
        q, k, v, a, b, c = operands
        return F.scaled_dot_product_attention(q, k, v).sum() + (torch.baddbmm(c, a, b) + torch.bmm(a, b)).sum()

    for backward in (False, True):
        operands = [one.clone().requires_grad_(backward) for one in (q, k, v, a, b, c)]
        tape = record_function(function, parameters=(q, k, v, a, b, c), backward=backward)
        with FlopCounterMode(display=False) as counter:
            total = function(*operands)
            if backward:
                total.backward()
        assert 2 * macs(tape) == counter.get_total_flops()


@pytest.mark.parametrize(("name", "weights"), [("resnet18", models.ResNet18_Weights.DEFAULT)])
def test_the_totals_are_those_that_torchvision_publishes(name: str, weights: models.WeightsEnum) -> None:
    tape = record(models.get_model(name).eval(), torch.zeros(1, 3, 224, 224), modules=[])
    summary = tape.summary()
    assert sum(row["parameters"] for row in summary.rows) == weights.meta["num_params"]
    assert sum(row["macs"] for row in summary.rows) / 1e9 == pytest.approx(weights.meta["_ops"], abs=1e-3)


def test_the_table_has_a_row_per_operation(tape: Tape) -> None:
    table = tape.table()
    assert [row["index"] for row in table.rows] == list(range(len(tape.operations)))
    (first, *_others) = [row for row in table.rows if row["operation"] == "aten.convolution.default"]
    assert first == {
        "index": first["index"],
        "operation": "aten.convolution.default",
        "module": "conv1",
        "call": 0,
        "shapes": [[2, 4, 6, 6]],
        "dtypes": ["float32"],
        "stage": "model",
        "line": first["line"],
        "parameters": 4 * 18 + 4,
        "macs": 2 * 4 * 36 * 18,
        "bytes": 2 * 4 * 36 * 4,
    }
    assert first["line"].startswith(__file__)
    views = [row for row in table.rows if row["operation"] in ("aten.view.default", "aten.t.default")]
    assert views and not any(row["bytes"] or row["parameters"] or row["macs"] for row in views)


def test_the_summary_has_a_row_per_module_and_counts_what_is_shared_once(tape: Tape) -> None:
    rows = {row["module"]: row for row in tape.summary().rows}
    assert list(rows) == ["", "conv1", "unused", "twice", "fc"]
    assert rows["twice"] | {"calls": 2, "parameters": 4 * 4 * 9 + 4, "macs": 2 * 2 * 4 * 36 * 36} == rows["twice"]
    assert rows["unused"]["calls"] == 0 and rows["unused"]["shapes"] == []
    assert sum(row["parameters"] for row in rows.values()) == sum(one.numel() for one in Net().parameters())


def test_both_can_be_printed_plainly_and_by_rich(tape: Tape) -> None:
    for table in (tape.table(), tape.summary()):
        stream = io.StringIO()
        Console(file=stream, width=200, color_system=None).print(table)
        assert stream.getvalue().split() == str(table).split()
        assert len(str(table).splitlines()) >= len(table) + 2
    summary = str(tape.summary())
    assert "twice ×2" in summary and "unused (never called)" in summary and "2×4×6×6" in summary
    assert "aten" not in str(tape.table()) and "convolution_backward" in str(tape.table())


def test_the_line_of_a_librarys_model_is_told() -> None:
    tape = record(models.squeezenet1_1().eval(), torch.zeros(1, 3, 32, 32))
    lines = {row["line"].rpartition(":")[0].replace("\\", "/").rpartition("/")[2] for row in tape.table().rows}
    assert "squeezenet.py" in lines
