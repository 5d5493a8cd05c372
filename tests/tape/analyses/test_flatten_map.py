"""The flatten map against torch.flatten itself."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dotbogi.errors import TapeError
from dotbogi.tape.analyses.flatten_map import flatten_map
from dotbogi.tape.record import record


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 2)
        self.flatten = nn.Flatten()
        self.drop = nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(60, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(self.drop(self.flatten(self.conv(x))))))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_every_place_has_the_index_that_torch_gives_it(memory_format):
    tape = record(Net(), torch.randn(2, 1, 5, 6).to(memory_format=memory_format))
    found = flatten_map(tape, "flatten")
    assert found.shape == (3, 4, 5) and found.size == 60
    before, after = (dict(tape.names.named_values())[name].view() for name in ("conv", "flatten"))
    for flat in range(60):
        place = found.place(flat)
        assert found.index(*place) == flat
        assert before[(1, *place)] == after[1, flat]
    assert str(found) == "flatten: 3·4·5 = 60; the last axis runs fastest"


def test_the_linear_layer_behind_it_leads_to_the_same_map():
    tape = record(Net(), torch.randn(2, 1, 5, 6))
    assert flatten_map(tape, "fc1").shape == (3, 4, 5)
    view = next(operation for operation in tape.operations if operation.packet == "view")
    assert flatten_map(tape, f"op {view.index}").shape == (3, 4, 5)


def test_where_nothing_is_flattened_that_is_said():
    tape = record(Net(), torch.randn(2, 1, 5, 6))
    for name in ("conv", "fc2", "input"):
        with pytest.raises(TapeError, match=f"Nothing is flattened in {name}"):
            flatten_map(tape, name)


def test_a_place_outside_is_refused():
    found = flatten_map(record(Net(), torch.randn(2, 1, 5, 6)), "flatten")
    with pytest.raises(TapeError, match=r"\(3, 0, 0\) is outside: \(3, 4, 5\) is flattened into 60 numbers"):
        found.index(3, 0, 0)
    with pytest.raises(TapeError, match=r"\(60,\) is outside"):
        found.place(60)
    with pytest.raises(TapeError, match="is outside"):
        found.index(1, 2)
