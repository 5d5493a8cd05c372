"""Every operation run again from what came from outside gives the recorded numbers, bit for bit.

That is the test that a record is complete: whatever a result depends on and is not on the tape would show here.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dotbogi.errors import TapeError
from dotbogi.tape.analyses.marks import Written
from dotbogi.tape.analyses.what_if import run_again
from dotbogi.tape.execution import is_unwritten
from dotbogi.tape.record import record
from dotbogi.tape.recorder import draws_at_random
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value
from dotbogi.training.step import StepRules


def bits(value: Value) -> bytes:
    return value.view().to_dense().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def written_values(tape: Tape) -> list[Value]:
    return [value for value in tape.values.values() if value.memory is None or not is_unwritten(value)]


def different(tape: Tape, other: Tape) -> list[Value]:
    return [value for value in written_values(tape) if bits(value) != bits(other.values[value.id])]


def assert_complete(tape: Tape) -> None:
    again = run_again(tape)
    assert different(tape, again) == []
    storages = {value.view().untyped_storage().data_ptr() for value in tape.values.values() if value.numel()}
    for operation in again.operations:
        if not operation.plumbing and not draws_at_random(operation.overload):
            for value in Written(operation).made:
                fresh = not value.numel() or value.view().untyped_storage().data_ptr() not in storages
                assert fresh, f"{operation} was not run again"


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.bn = nn.BatchNorm2d(2)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        y += x
        return self.head(self.relu(y).mean((2, 3)))


class Slices(nn.Module):
    """Views, slice writes, control flow."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros(x.shape[0], 6)
        y[:, :3] = x.flatten(1)[:, :3].sin()
        y[:, 3:].copy_(x.flatten(1)[:, 3:6])
        z = y.clone()
        z.t()[2].mul_(3.0)
        z[0, 1:4] += z[0, 0:3].clone()
        if z.sum() > 0:
            z = z.as_strided((x.shape[0], 3), (6, 2))
        return torch.cat([z[:, :3], z[:, :3].cumsum(1)], 1).unsqueeze(0).expand(2, -1, -1)[0]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.0, batch_first=True)
        self.out = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Dropout(0.3))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2).repeat(1, 1, 4)  # (B, T, 8)
        tokens = tokens + self.attention(*[self.norm(tokens)] * 3, need_weights=False)[0]
        return self.out(tokens)[:, 0]


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        shifted = x + torch.rand_like(x) + torch.randn(x.shape) * torch.randint(0, 3, x.shape)
        shifted[:, torch.randperm(x.shape[1])[:5]] = torch.zeros(5).uniform_(-1, 1)
        return shifted[:, :32].index_select(0, torch.arange(x.shape[0]))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        state = (x.new_zeros(x.shape[0], 5), x.new_zeros(x.shape[0], 5))
        for row in x.flatten(2).flatten(1)[:, :12].reshape(x.shape[0], 3, 4).unbind(1):
            state = self.cell(row, state)
        return state[0]


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(32, 8), nn.Dropout(0.5), nn.ReLU(inplace=True), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.inner, x.flatten(1), use_reentrant=False)


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.4),
        nn.Flatten(),
        nn.Linear(3, 3),
    )


def small_convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))


MODULES: dict[str, Callable[[], nn.Module]] = {
    "convolutional": convolutional,
    "residual": Residual,
    "slices": Slices,
    "attention": Attention,
    "recurrent": Recurrent,
    "checkpointed": Checkpointed,
    "channels last": lambda: convolutional().to(memory_format=torch.channels_last),
    "group norm": lambda: nn.Sequential(nn.GroupNorm(1, 2), nn.SiLU(inplace=True), nn.Flatten(), nn.Linear(32, 3)),
    "random draws": lambda: nn.Sequential(nn.Flatten(), nn.AlphaDropout(0.2), Noise(), nn.Linear(32, 3)),
}


@pytest.mark.parametrize("name", [name for name in MODULES if name != "checkpointed"])
@pytest.mark.parametrize("trains", [False, True])
def test_a_forward_pass_run_again_is_the_recorded_one(name, trains):
    model = MODULES[name]()
    model.train(trains)
    assert_complete(record(model, torch.randn(3, 2, 4, 4)))


@pytest.mark.parametrize("name", [name for name in MODULES if name != "slices"])
def test_a_training_step_run_again_is_the_recorded_one(name):
    model = MODULES[name]()
    data = torch.randn(3, 2, 4, 4), torch.tensor([0, 2, 1])
    assert_complete(record(model, data, loss=F.cross_entropy, optimizer=torch.optim.Adam(model.parameters())))


@pytest.mark.parametrize("name", ["sgd", "momentum", "nag", "adagrad", "rmsprop", "adam", "adamw", "adadelta", "nadam"])
def test_the_update_of_every_optimizer_run_again_is_the_recorded_one(name):
    data = torch.randn(3, 2, 4, 4), torch.tensor([0, 2, 1])
    assert_complete(record(small_convolutional(), data, loss="cross-entropy", optimizer=name))


@pytest.mark.parametrize("name", ["lion", "lamb", "adafactor", "radam", "muon"])
@pytest.mark.slow
def test_the_update_of_every_rarer_optimizer_run_again_is_the_recorded_one(name):
    data = torch.randn(3, 2, 4, 4), torch.tensor([0, 2, 1])
    assert_complete(record(small_convolutional(), data, loss="cross-entropy", optimizer=name))


@pytest.mark.parametrize(
    "rules",
    [StepRules(accumulation=3), StepRules(clip_norm=0.01), StepRules(autocast=torch.bfloat16)],
    ids=["accumulation", "clipping", "autocast"],
)
def test_the_rules_of_a_step_run_again_give_the_recorded_one(rules):
    data = torch.randn(3, 2, 4, 4), torch.tensor([0, 2, 1])
    model = small_convolutional()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    assert_complete(record(model, data, loss=F.cross_entropy, optimizer=optimizer, rules=rules))


def test_pixels_prepared_on_the_tape_are_prepared_again():
    pixels = torch.randint(0, 256, (2, 2, 4, 4), dtype=torch.uint8)
    tape = record(small_convolutional(), pixels, prepare=lambda images: images.float() / 255)
    assert_complete(tape)


def test_an_empty_tensor_that_is_filled_in_parts_is_filled_again():
    class Filled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.empty(4)
            y[:2], y[2:] = x[:2].exp(), x[2:].sin()
            return y + 1

    tape = record(Filled(), torch.randn(4))
    logits = tape.names.given["logits"]
    assert bits(logits) == bits(run_again(tape).values[logits.id])


def test_a_number_that_is_not_what_was_computed_is_found():
    tape = record(small_convolutional(), torch.randn(1, 2, 4, 4))
    value, index = tape.locate("1[0,1,0,1]")
    value.view()[index] += 1  # as if something had been written past the record
    assert value.id in {one.id for one in different(tape, run_again(tape))}


def test_an_autocast_block_around_a_rerun_changes_nothing():
    tape = record(small_convolutional(), torch.randn(1, 2, 4, 4))
    with torch.autocast("cpu", torch.bfloat16):
        again = run_again(tape)
    assert different(tape, again) == []


def test_the_threads_of_the_recording_are_used_and_put_back():
    before = torch.get_num_threads()
    tape = record(small_convolutional(), torch.randn(1, 2, 4, 4))
    assert tape.facts["threads"] == before
    torch.set_num_threads(before + 1)
    try:
        assert different(tape, run_again(tape)) == []
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_an_operation_that_draws_unseen_random_numbers_is_not_run_again():
    tape = record(nn.RReLU(), torch.randn(5))
    with pytest.raises(TapeError, match="draws random numbers that cannot be seen"):
        run_again(tape)
