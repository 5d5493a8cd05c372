"""A what-if against the same model run with the number changed, and what it must leave as recorded."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dotbogi.errors import AddressError, TapeError
from dotbogi.tape.execution import is_unwritten
from dotbogi.tape.record import record
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.drop(self.pool(x + self.conv2(x)))
        return self.fc(x.flatten(1))


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 2, 4, 4, generator=generator), torch.tensor([2, 0])


def step(model: nn.Module, images: Tensor | None = None) -> Tape:
    torch.manual_seed(5)  # the same dropout
    found, labels = data()
    return record(model, (found if images is None else images, labels), loss=F.cross_entropy, optimizer="adam")


def same(value: Value, other: Value) -> bool:
    if value.memory is not None and is_unwritten(value):
        return True
    a, b = value.view(), other.view()
    return torch.equal(a.nan_to_num(9e9), b.nan_to_num(9e9))


def assert_same(tape: Tape, other: Tape) -> None:
    assert len(tape.operations) == len(other.operations)
    for operation, its in zip(tape.operations, other.operations, strict=True):
        for value, theirs in zip(operation.outputs, its.outputs, strict=True):
            assert same(value, theirs), operation
    theirs = dict(other.names.named_values())
    assert all(same(value, theirs[name]) for name, value in tape.names.named_values())


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(["conv1.weight", "bn1.weight", "bn1.running_mean", "conv2.bias", "fc.weight"]),
    where=st.integers(0, 10**6),
    number=st.floats(-3, 3, width=32),
)
def test_another_weight_gives_what_the_model_with_that_weight_gives(name, where, number):
    torch.manual_seed(0)
    model = Net()
    tape = step(model)
    index = (
        tuple(int(i) for i in torch.unravel_index(torch.tensor(where), tape.names.given[name].shape))
        if (where < tape.names.given[name].numel())
        else (0,) * len(tape.names.given[name].shape)
    )
    changed = copy.deepcopy(model)
    changed.state_dict()[name][index] = number
    address = f"{name}[{','.join(map(str, index))}]"
    assert_same(tape.what_if({address: number}), step(changed))
    assert tape.value(address) != number or model.state_dict()[name][index] == number


def test_another_input_gives_what_that_input_gives():
    model = Net()
    images = data()[0].clone()
    images[1, 0, 2, 3] = 0.25
    assert_same(step(model).what_if({"input[1,0,2,3]": 0.25}), step(model, images))


def test_several_numbers_change_together():
    model = Net()
    changed = copy.deepcopy(model)
    changed.state_dict()["conv1.bias"][1] = 1.0
    changed.state_dict()["fc.weight"][0, 3] = -1.0
    assert_same(step(model).what_if({"conv1.bias[1]": 1, "fc.weight[0,3]": -1}), step(changed))


def test_a_change_taken_back_leaves_the_recorded_numbers():
    tape = step(Net())
    for address in ("conv1[0,1,2,2]", "relu[1,2,0,0]", "gradient conv2[0,0,1,1]", "op 3[0,0,0,0]", "loss"):
        before = tape.value(address)
        changed = tape.what_if({address: before + 1.5})
        assert changed.value(address) == pytest.approx(before + 1.5)
        assert_same(changed.what_if({address: before}), tape)
        assert tape.value(address) == before


def test_an_activation_is_changed_for_what_follows_alone():
    model = Net().eval()
    images = data()[0]
    tape = record(model, images)
    changed = tape.what_if({"conv1[0,1,2,2]": 4.0})
    handle = model.conv1.register_forward_hook(
        lambda _m, _i, y: y.index_put([torch.tensor(i) for i in (0, 1, 2, 2)], torch.tensor(4.0))
    )
    with torch.no_grad():
        expected = model(images)
    handle.remove()
    assert torch.equal(changed.names.given["logits"].view(), expected)
    assert changed.value("input[0,0,0,0]") == tape.value("input[0,0,0,0]")


def test_a_gradient_changed_moves_its_weight_alone():
    tape = step(Net())
    # The other sign: Adam's first step depends on nothing else of it.
    changed = tape.what_if({"gradient fc.bias[1]": -3 * tape.value("gradient fc.bias[1]")})
    moved = {difference.address for difference in tape.difference(changed)}
    assert moved == {
        *("gradient fc.bias[1]", "update fc.bias[1]", "state fc.bias.exp_avg[1]", "state fc.bias.exp_avg_sq[1]"),
    }


def test_what_does_not_follow_is_shared():
    tape = step(Net())
    changed = tape.what_if({"fc.bias[1]": 7.0})
    for name in ("conv1", "pool", "drop", "conv1.weight"):
        value, theirs = (dict(one.names.named_values())[name] for one in (tape, changed))
        assert value.view().data_ptr() == theirs.view().data_ptr()
    assert dict(changed.names.named_values())["fc"].view().data_ptr() != tape.names.given["logits"].view().data_ptr()


def test_what_is_cut_off_by_a_rectifier_goes_no_further():
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    tape = record(model, torch.ones(1, 1))
    low, lower = (tape.what_if({"0[0,0]": number}) for number in (-1.0, -2.0))
    after_low = low.what_if({"0[0,0]": -2.0})
    assert after_low.value("2[0,0]") == lower.value("2[0,0]") == low.value("2[0,0]")
    assert after_low.names.given["logits"].view().data_ptr() == low.names.given["logits"].view().data_ptr()


def test_numbers_read_by_python_and_control_flow_stay_as_recorded():
    class Scaled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            largest = x.max().item()
            return x * largest if largest > 2 else x - largest

    tape = record(Scaled(), torch.tensor([1.0, 3.0]))
    changed = tape.what_if({"input[1]": -1.0})
    assert changed.names.given["logits"].view().tolist() == [3.0, -3.0]


def test_a_random_draw_in_a_changed_memory_stays_as_drawn():
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.clone()
            y[:2].uniform_()
            return y * 2

    tape = record(Noisy(), torch.tensor([1.0, 2.0, 3.0]))
    before = tape.names.given["logits"].view().tolist()
    changed = tape.what_if({"input[2]": 5.0, "input[0]": 9.0})
    assert changed.names.given["logits"].view().tolist() == [*before[:2], 10.0]


def test_native_dropout_keeps_its_mask():
    class Dropped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.native_dropout(x, 0.5, True)[0]

    tape = record(Dropped(), torch.arange(1.0, 9.0))
    kept = tape.names.given["logits"].view() != 0
    position = int(kept.nonzero()[0])
    changed = tape.what_if({f"input[{position}]": 100.0})
    logits = changed.names.given["logits"].view()
    assert logits[position] == 200.0
    assert torch.equal(logits != 0, kept)


def test_what_shares_a_storage_changes_with_it():
    class Shared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.exp()
            rows = y.view(2, 2)
            rows[1] += 1
            return y.flip(0) + rows.t().reshape(-1)

    tape = record(Shared(), torch.zeros(4))
    changed = tape.what_if({"input[3]": 1.0})
    y = torch.tensor([0.0, 0.0, 0.0, 1.0]).exp() + torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert torch.equal(changed.names.given["logits"].view(), y.flip(0) + y.view(2, 2).t().reshape(-1))


def test_integers_and_truth_values_are_changed_too():
    class Chosen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("index", torch.tensor([0, 2]))
            self.register_buffer("on", torch.tensor([True, False]))

        def forward(self, x: Tensor) -> Tensor:
            return torch.where(self.on, x[self.index], -1.0)

    tape = record(Chosen(), torch.tensor([5.0, 6.0, 7.0]))
    assert tape.what_if({"index[0]": 1, "on[1]": True}).names.given["logits"].view().tolist() == [6.0, 7.0]


def test_the_explanations_of_a_changed_tape_add_up():
    changed = step(Net()).what_if({"conv1.weight[0,0,1,1]": 3.0, "relu[0,1,1,1]": 2.0})
    first = changed.explain("conv1[0,0,2,2]")
    assert first.agrees
    assert any(term.coefficient == 3.0 for term in first.terms)
    given = changed.explain("conv1.weight[0,0,1,1]")
    assert given.kind == "given" and given.arithmetic.note == "changed in the what-if"
    assert changed.explain("relu[0,1,1,1]").kind == "given"
    assert changed.explain("conv2[0,1,1,1]").agrees


@pytest.mark.parametrize(
    ("address", "number", "dtype"),
    [
        ("index[0]", 0.5, "int64"),
        ("index[0]", float("nan"), "int64"),
        ("small[0]", 300, "uint8"),
        ("on[0]", 2, "bool"),
        ("low[0]", 1e6, "float16"),
    ],
)
def test_a_number_that_its_type_cannot_hold_is_refused(address, number, dtype):
    class Typed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("index", torch.tensor([0]))
            self.register_buffer("small", torch.tensor([0], dtype=torch.uint8))
            self.register_buffer("on", torch.tensor([True]))
            self.register_buffer("low", torch.tensor([0.0], dtype=torch.float16))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.low

    tape = record(Typed(), torch.zeros(1))
    with pytest.raises(TapeError, match=f"is of the type {dtype}, which cannot hold"):
        tape.what_if({address: number})


def test_infinity_and_nan_are_numbers_of_a_floating_type():
    tape = record(nn.ReLU(), torch.zeros(2))
    assert tape.what_if({"input[0]": float("inf")}).value("logits[0]") == float("inf")


def test_an_address_without_an_element_is_refused():
    tape = record(nn.ReLU(), torch.zeros(2))
    with pytest.raises(AddressError, match="say which of its numbers"):
        tape.what_if({"input": 1.0})
    with pytest.raises(AddressError, match="Nothing on this tape is called 'conv9'"):
        tape.what_if({"conv9[0]": 1.0})


def test_an_element_of_a_sparse_tensor_is_refused():
    class Sparse(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.to_sparse()

    tape = record(Sparse(), torch.tensor([0.0, 2.0]))
    with pytest.raises(TapeError, match="sparse or quantised"):
        tape.what_if({"logits[1]": 1.0})
    assert tape.what_if({"input[0]": 1.0}).names.given["logits"].view().to_dense().tolist() == [1.0, 2.0]


def test_another_number_of_chosen_elements_is_refused():
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[x > 0]

    tape = record(Positive(), torch.tensor([1.0, -1.0]))
    with pytest.raises(TapeError, match="would now return the shape"):
        tape.what_if({"input[1]": 1.0})
