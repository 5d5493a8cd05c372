"""Receptive field, dependents and expansion against derivatives and perturbations, which share no code with them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dotbogi.errors import TapeError
from dotbogi.tape.analyses.dependents import dependents
from dotbogi.tape.analyses.expansion import expand_to_pixels
from dotbogi.tape.analyses.receptive_field import receptive_field
from dotbogi.tape.record import record
from dotbogi.tape.tape import Tape


def depends_by_derivative(model: nn.Module, images: Tensor, index: tuple[int, ...]) -> Tensor:
    """Where the derivative is not 0: exact for smooth functions with general weights."""
    images = images.clone().requires_grad_()
    model(images)[index].backward()
    assert images.grad is not None
    return images.grad != 0


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    transposed=st.booleans(),
    where=st.integers(0, 10**6),
)
def test_a_convolutions_receptive_field_is_where_its_derivative_is_not_0(
    kernel, stride, padding, dilation, groups, transposed, where
):
    layer = nn.ConvTranspose2d if transposed else nn.Conv2d
    model = nn.Sequential(
        layer(2, 4, kernel, stride, padding, dilation=dilation, groups=groups), nn.Sigmoid(), nn.Conv2d(4, 2, 2)
    ).double()
    images = torch.randn(2, 2, 9, 8, dtype=torch.float64)
    if min(model[0](images).shape[2:]) < 2:
        return
    shape = model(images).shape
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(where % shape.numel()), shape))
    field = receptive_field(record(model, images), f"logits[{','.join(map(str, index))}]")
    assert torch.equal(field.mask, depends_by_derivative(model, images, index))


class Attention(nn.Module):
    def __init__(self, causal: bool = False) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, 2, 2)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(query, key, value, is_causal=self.causal).transpose(1, 2).flatten(2)


class Attention36(nn.Module):
    """Attention of two tokens of 36 channels."""

    def forward(self, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (4, 9)).transpose(1, 2)
        return F.scaled_dot_product_attention(heads, heads.sin(), heads.cos()).transpose(1, 2)


class Moved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = F.pad(x.roll(1, -1).flip(1), (1, 0))[..., ::2]
        z = torch.zeros_like(x)
        z[:, 1:] = x[:, :-1].cos()
        z.add_(torch.stack([x[:, 0], x[:, 1], x[:, 0], x[:, 1]], 1)[:, : x.shape[1]])
        return torch.cat([z.permute(0, 2, 1).flatten(1), y.flatten(1)], 1)


SMOOTH = {
    "group norm": (lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.Conv1d(4, 2, 2)), (2, 4, 4)),
    "layer norm": (lambda: nn.Sequential(nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 3)), (2, 4, 4)),
    "batch norm": (lambda: nn.Sequential(nn.BatchNorm1d(4), nn.SiLU(), nn.AvgPool1d(2)), (2, 4, 4)),
    "batch norm evaluated": (lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Tanh()).eval(), (2, 4, 4)),
    "softmax": (lambda: nn.Sequential(nn.Softmax(1), nn.LogSoftmax(2)), (2, 3, 4)),
    "softmax alone": (lambda: nn.Softmax(-1), (2, 3, 4)),
    "attention": (Attention, (2, 3, 4)),
    "causal attention": (lambda: Attention(causal=True), (2, 3, 4)),
    "moved": (Moved, (2, 2, 4)),
    "adaptive": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(12, 2)), (2, 2, 5, 5)),
    "upsampled": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
    "lstm": (lambda: Cell(), (2, 4)),
}


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x, self.cell(x.flip(1)))[0]


@pytest.mark.parametrize("name", SMOOTH)
def test_what_a_number_depends_on_is_where_its_derivative_is_not_0(name):
    make, shape = SMOOTH[name]
    model = make().double()
    images = torch.randn(shape, dtype=torch.float64)
    tape = record(model, images)
    output = tape.names.given["logits"]
    generator = torch.Generator().manual_seed(1)
    for flat in torch.randperm(output.numel(), generator=generator)[:6]:
        index = tuple(int(i) for i in torch.unravel_index(flat, output.shape))
        field = receptive_field(tape, f"logits[{','.join(map(str, index))}]")
        assert torch.equal(field.mask, depends_by_derivative(model, images, index)), index


@pytest.mark.parametrize("name", SMOOTH)
def test_what_depends_on_a_number_is_what_depends_on_it_seen_from_the_other_side(name):
    make, shape = SMOOTH[name]
    tape = record(make(), torch.randn(shape))
    source = tape.names.given["input"]
    index = (0, *[size - 1 for size in source.shape[1:]])
    found = dependents(tape, f"input[{','.join(map(str, index))}]")
    name = tape.address(tape.names.given["logits"], ())
    mask = next((one.mask for one in found.values if one.name == name), None)
    for place in torch.ones(tape.names.given["logits"].shape).nonzero().tolist():
        field = receptive_field(tape, f"logits[{','.join(map(str, place))}]")
        assert bool(field.mask[index]) == (mask is not None and bool(mask[tuple(place)])), place


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_all_of_a_pools_window_counts_and_the_borders_are_cut(ceil_mode):
    model = nn.MaxPool2d(3, stride=2, padding=1, dilation=1, ceil_mode=ceil_mode)
    tape = record(model, torch.randn(1, 1, 6, 6))
    assert receptive_field(tape, "logits[0,0,0,0]").rows == (0, 1)
    middle = receptive_field(tape, "logits[0,0,1,1]")
    assert (middle.rows, middle.columns, middle.count) == ((1, 3), (1, 3), 9)
    if ceil_mode:
        assert receptive_field(tape, "logits[0,0,3,3]").rows == (5, 5)


def lecture() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(36, 3)),
    )


def training_tape(model: nn.Module) -> Tape:
    images = torch.randn(2, 1, 14, 14, generator=torch.Generator().manual_seed(2))
    return record(model, (images, torch.tensor([0, 2])), loss=F.cross_entropy, optimizer="adam")


def test_the_extent_is_that_of_the_kernels_and_strides_where_no_border_is_near():
    tape = training_tape(lecture())
    # Forward: r + (k − 1)·jump, the jump doubled by each pool: 3, 3 + 1, 4 + 2·2, 8 + 2 (doi:10.23915/distill.00021).
    for address, extent in {"0[0,1,5,5]": 3, "2[0,1,2,2]": 4, "3[0,1,2,2]": 8, "5[0,1,1,1]": 10}.items():
        field = receptive_field(tape, address)
        assert field.theoretical == (extent, extent)
        assert field.rows is not None
        assert field.rows[1] - field.rows[0] + 1 == extent
        assert f"{extent}×{extent}" in str(field)


def test_behind_a_flatten_no_extent_follows_from_kernels():
    field = receptive_field(training_tape(lecture()), "logits[1,2]")
    assert field.theoretical is None
    assert field.mask[0].sum() == 0
    assert field.count == 14 * 14


def test_branches_reach_as_far_as_the_widest():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(1, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu_(self.wide(x) + self.narrow(x))

    field = receptive_field(record(Branches(), torch.randn(1, 1, 9, 9)), "logits[0,0,4,4]")
    assert field.theoretical == (5, 5) and field.rows == (2, 6)


def assert_what_changes_depends(tape: Tape, address: str) -> None:
    """What a what-if changes is among the dependents; it is run by torch's kernels, not by masks."""
    found = {one.name: one.mask for one in dependents(tape, address).values}
    changed = tape.what_if({address: tape.value(address) + 0.7})
    theirs = dict(changed.names.named_values())
    moved = 0
    for name, value in tape.names.named_values():
        differs = value.view() != theirs[name].view()
        moved += int(differs.sum())
        known = found.get(tape.address(value, ()))
        assert not differs.any() or (known is not None and bool(known[differs].all())), name
    assert moved > 1


@pytest.mark.parametrize(
    "address",
    ["0.weight[1,0,0,2]", "3.bias[1]", "7.weight[2,5]", "input[0,0,3,4]", "gradient 3[1,0,2,2]", "gradient 7.bias[0]"],
)
def test_whatever_changes_in_a_what_if_depends_on_the_changed_number(address):
    assert_what_changes_depends(training_tape(lecture()), address)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.BatchNorm2d(2),
        lambda: nn.BatchNorm2d(2).eval(),
        lambda: nn.GroupNorm(2, 2),
        lambda: nn.LayerNorm([2, 6, 6]),
        lambda: nn.Softmax(1),
        lambda: nn.Hardswish(inplace=True),
        lambda: nn.PReLU(2),
        lambda: nn.AvgPool2d(2, padding=1, ceil_mode=True),
        lambda: nn.AdaptiveMaxPool2d(2),
        lambda: nn.ConvTranspose2d(2, 2, 2, stride=2, groups=2),
        lambda: nn.Sequential(nn.Flatten(2), Attention36()),
        lambda: nn.Dropout(0.3),
    ],
)
def test_a_training_step_depends_on_what_it_depends_on_layer_by_layer(layer):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), layer(), nn.Flatten(), nn.LazyLinear(3))
    images = torch.randn(2, 1, 8, 8)
    model(images)
    tape = record(model, (images, torch.tensor([0, 2])), loss=F.cross_entropy, optimizer="momentum")
    for address in ("input[1,0,3,4]", "0.weight[1,0,0,2]", "0[0,1,2,3]", "gradient 2[1,3]"):
        assert_what_changes_depends(tape, address)


def test_an_expansion_counts_every_distinct_value_once():
    tape = record(lecture(), torch.randn(2, 1, 14, 14))
    expansion = expand_to_pixels(tape, "logits[0,1]")
    counts = {share.name: len(share.index) for share in expansion.shares}
    assert counts == {
        **{"input": 144 + 52, "0.weight": 36, "0.bias": 4, "3.weight": 144, "3.bias": 4, "7.weight": 36, "7.bias": 1},
        **{"0": 4 * 144, "1": 4 * 144, "2": 4 * 36, "3": 4 * 36, "4": 4 * 36, "5": 36, "7": 1},
    }
    assert expansion.total == sum(counts.values())
    assert "logits[0,1] depends on" in str(expansion)
    pixels = next(share for share in expansion.shares if share.name == "input")
    assert torch.equal(pixels.numbers, tape.names.given["input"].view()[0].reshape(-1).double())


def test_an_expansion_holds_what_the_explanations_name():
    tape = training_tape(lecture())
    expansion = expand_to_pixels(tape, "gradient 3.weight[1,2,0,0]")
    held = {(share.value.id, tuple(place)) for share in expansion.shares for place in share.index.tolist()}
    explanation = tape.explain("gradient 3.weight[1,2,0,0]")
    assert all((term.value_id, term.index) in held for term in explanation.terms)
    assert len(explanation.terms) > 20


def test_an_operation_without_a_structure_is_asked_for_its_terms(monkeypatch):
    from dotbogi.tape.analyses import structure

    tape = record(nn.Conv2d(1, 1, 3), torch.randn(1, 1, 5, 5))
    expected = receptive_field(tape, "logits[0,0,1,2]").mask
    forward = dependents(tape, "input[0,0,1,1]").values
    structure.structure_of(tape.operations[0])
    monkeypatch.delitem(structure._STRUCTURES, "convolution")
    assert torch.equal(receptive_field(tape, "logits[0,0,1,2]").mask, expected)
    again = dependents(tape, "input[0,0,1,1]").values
    assert [(one.name, one.mask.tolist()) for one in again] == [(one.name, one.mask.tolist()) for one in forward]


def test_an_operation_that_nothing_is_known_of_is_named():
    class Inverse(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.inv(x)

    tape = record(Inverse(), torch.eye(3))
    with pytest.raises(TapeError, match=r"linalg_inv_ex.* is not explained"):
        receptive_field(tape, "logits[0,0]")


def test_an_input_that_is_not_there_is_named():
    with pytest.raises(TapeError, match="This tape has no pixel"):
        receptive_field(record(nn.ReLU(), torch.ones(3)), "logits[0]", of="pixel")
