"""Values that were not kept are computed again, to the bit, and let go again."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dotbogi.errors import TapeError
from dotbogi.tape.recomputed import RECENT
from dotbogi.tape.record import record
from dotbogi.tape.recorder import EMPTY
from dotbogi.tape.tape import Tape


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
        self.middle = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Dropout(0.4), nn.GELU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.middle(x)
        y += x
        y[:, 0].mul_(2)
        return self.head(y)


def tapes(modules: list[str]) -> tuple[Tape, Tape]:
    """The same step, kept whole and kept in part."""
    model = Net()
    images, labels = torch.randn(2, 1, 4, 4), torch.tensor([0, 2])
    found: list[Tape] = []
    for kept in (None, modules):
        torch.manual_seed(3)
        optimizer = torch.optim.AdamW(model.parameters())
        found.append(record(model, (images, labels), loss=F.cross_entropy, optimizer=optimizer, modules=kept))
    return found[0], found[1]


@pytest.mark.parametrize("modules", [["head"], ["middle.0"], []])
def test_what_was_not_kept_is_computed_again_to_the_bit(modules):
    whole, part = tapes(modules)
    absent = 0
    for operation, its in zip(whole.operations, part.operations, strict=True):
        for value, theirs in zip(operation.outputs, its.outputs, strict=True):
            absent += not theirs.is_kept
            if operation.packet not in EMPTY:
                assert torch.equal(value.view(), theirs.view()), its
    assert absent > 20


def test_what_was_computed_again_is_not_held():
    _whole, part = tapes(["head"])
    kept = sum(value.is_kept for value in part.values.values())
    for operation in part.operations:
        for value in operation.outputs:
            if operation.packet not in EMPTY:
                value.view()
    assert sum(value.is_kept for value in part.values.values()) == kept
    recompute = next(
        value.memory.recompute for value in part.values.values() if value.memory is not None and not value.is_kept
    )
    assert len(recompute._recent) <= RECENT


def test_a_number_that_was_not_kept_is_explained():
    whole, part = tapes(["head"])
    for address in ("stem.0[0,1,2,3]", "stem.2[0,0,0,0]"):
        assert part.value(address) == whole.value(address)
    assert part.explain("stem.0[0,1,2,3]").agrees
    assert part.explain("stem.0[0,1,2,3]").result == whole.explain("stem.0[0,1,2,3]").result


def test_a_what_if_reaches_what_was_not_kept():
    whole, part = tapes(["head"])
    changes = {"stem.0.weight[0,0,1,1]": 2.0, "middle.0[0,1,1,1]": 0.5}
    expected, found = whole.what_if(changes), part.what_if(changes)
    for (name, value), (_name, theirs) in zip(expected.names.named_values(), found.names.named_values(), strict=True):
        assert torch.equal(value.view(), theirs.view()), name
    before = {one.address: one.after for one in whole.difference(expected)}
    assert before == {one.address: one.after for one in part.difference(found)}


def test_memory_that_nothing_was_written_to_has_no_numbers():
    class Filled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.empty_like(x).copy_(x)

    tape = record(Filled(), torch.ones(2), modules=[])
    empty = tape.operations[0].outputs[0]
    with pytest.raises(TapeError, match="nothing had been written to yet"):
        empty.view()
    assert tape.names.given["logits"].view().tolist() == [1, 1]


def test_a_recording_in_part_leaves_the_model_as_it_was():
    model = Net()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    data = torch.randn(2, 1, 4, 4), torch.tensor([0, 2])
    tape = record(model, data, loss=F.cross_entropy, optimizer="adam", modules=["head"])
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert tape.value("update stem.0.bias[0]") != tape.value("stem.0.bias[0]")
