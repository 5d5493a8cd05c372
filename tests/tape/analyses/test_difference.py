"""Which numbers differ between two tapes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dotbogi.errors import TapeError
from dotbogi.tape.record import record


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def test_a_tape_does_not_differ_from_itself():
    tape = record(net(), torch.randn(1, 1, 4, 4))
    assert tape.difference(tape) == []
    assert tape.difference(tape.what_if({"0[0,0,0,0]": tape.value("0[0,0,0,0]")})) == []


def test_the_largest_change_comes_first_with_what_it_was_and_is():
    tape = record(net(), (torch.randn(2, 1, 4, 4), torch.tensor([0, 2])), loss=F.cross_entropy, optimizer="sgd")
    changed = tape.what_if({"0.weight[1,0,2,2]": 5.0})
    found = tape.difference(changed, top=12)
    assert len(found) == 12
    sizes = [abs(one.change) for one in found]
    assert sizes == sorted(sizes, reverse=True)
    for one in found:
        assert one.before == tape.value(one.address)
        assert one.after == changed.value(one.address)
        assert one.change == one.after - one.before


def test_every_difference_is_found_and_listed_once():
    tape = record(net(), torch.randn(1, 1, 4, 4))
    changed = tape.what_if({"input[0,0,0,0]": 9.0})
    found = tape.difference(changed, top=1000)
    names = [one.address for one in found]
    assert len(set(names)) == len(names)
    expected = 0
    theirs = dict(changed.names.named_values())
    for name, value in dict(tape.names.named_values()).items():
        if name in ("input", "0", "1", "3"):  # 2 is a view of 1, logits are the output of 3
            expected += int((value.view() != theirs[name].view()).sum())
    assert len(found) == expected


def test_a_number_that_became_nan_differs_most():
    tape = record(nn.Sequential(nn.Identity(), nn.ReLU()), torch.ones(3))
    first, *others = tape.difference(tape.what_if({"input[1]": float("nan"), "input[2]": 1e9}))
    assert first.address == "input[1]" and math.isnan(first.after)
    assert others[0].address in ("1[1]", "input[2]", "1[2]")


def test_tapes_of_other_shapes_are_not_compared():
    tape = record(nn.ReLU(), torch.ones(3))
    with pytest.raises(TapeError, match="cannot be compared: input is not on both, or has another shape"):
        tape.difference(record(nn.ReLU(), torch.ones(4)))
