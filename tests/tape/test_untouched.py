"""A recording leaves everything as it found it: the same objects, the same bytes."""

import random
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dotbogi import recipe as recipes
from dotbogi.errors import DotbogiError
from dotbogi.optim.optimizer import SINGLE_TENSOR, build_optimizer
from dotbogi.registry import OPTIMIZERS
from dotbogi.tape.record import record
from dotbogi.training.step import StepRules

IMAGES, LABELS = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 1])


def content(part: Any) -> Any:
    """Returns everything that is inside of something, of tensors which ones they are and their bytes."""
    if isinstance(part, Tensor):
        held = part.detach().cpu().contiguous()
        return id(part), part.shape, part.stride(), part.requires_grad, held.view(-1).view(torch.uint8).tolist()
    if isinstance(part, dict):
        return type(part).__name__, [(id(key), content(value)) for key, value in part.items()]
    if isinstance(part, (list, tuple, deque)):
        return type(part).__name__, [content(one) for one in part]
    if isinstance(part, (torch.Generator, numpy.random.Generator)):
        state = part.get_state().tolist() if isinstance(part, torch.Generator) else part.bit_generator.state
        return id(part), content(state)
    if isinstance(part, random.Random):
        return id(part), part.getstate()
    if isinstance(part, numpy.ndarray):
        return id(part), part.tolist()
    if isinstance(part, (set, frozenset)):
        return type(part).__name__, sorted(map(repr, part))
    return part


def everything(model: nn.Module, optimizer: torch.optim.Optimizer | None = None, *others: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": numpy.random.get_state()[1].tolist(),
        "others": [content(one) for one in others],
        "gradient enabled": torch.is_grad_enabled(),
        "gradients": [(id(one.grad), one.grad is not None and content(one.grad)) for one in model.parameters()],
    }
    for name, module in model.named_modules():
        attributes = {key: value for key, value in vars(module).items() if not isinstance(value, nn.Module)}
        found[f"module {name}"] = [type(module), {key: content(value) for key, value in attributes.items()}]
    if optimizer is not None:
        attributes = {key: value for key, value in vars(optimizer).items() if not callable(value)}
        found["optimizer"] = content(attributes)
        found["identities"] = [(id(group), id(group["params"])) for group in optimizer.param_groups]
        found["states"] = [id(state) for state in optimizer.state.values()]
    return found


def assert_the_same(before: Any, after: Any) -> None:
    assert not (different := list(differences(before, after))), different[:5]


def differences(before: Any, after: Any, where: str = "") -> Iterator[tuple[str, str, str]]:
    """Yields where two contents differ, and what is there."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        for key, part in before.items():
            yield from differences(part, after[key], f"{where} {key}")
    elif isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)) and len(before) == len(after):
        for position, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{where} {position}")
    elif before is not after and before != after:
        yield where, repr(before)[:200], repr(after)[:200]


class Everything(nn.Module):
    """Batch norm, dropout, a buffer written in place, one put in anew, one that appears, and plain Python besides."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.utils.parametrizations.spectral_norm(nn.Linear(64, 4))
        self.head2 = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
        self.register_buffer("written", torch.zeros(4))
        self.register_buffer("reassigned", torch.ones(1))
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        self.calls, self.seen, self.table, self.generator = 0, [1], {"a": [0]}, torch.Generator().manual_seed(5)
        self.draws, self.mask, self.names = numpy.random.default_rng(2), numpy.zeros(2), {"x"}
        self.source, self.counts, self.recent = random.Random(3), Counter("ab"), deque([1], maxlen=2)

    def forward(self, images: Tensor) -> Tensor:
        features = self.drop(self.norm(self.conv(images)).relu())
        self.written.mul_(0.9).add_(features.mean((0, 2, 3)).detach())
        self.reassigned = self.reassigned + 1
        self.hidden = self.hidden * features.detach().mean()
        if not hasattr(self, "appeared"):
            self.register_buffer("appeared", features.detach().sum())
        self.calls += 1
        self.seen.append(self.calls)
        self.table["a"].append(len(self.seen))
        self.table["b"] = features
        self.counts.update("bc")
        self.mask += self.draws.random(2)
        self.names.add("y")
        self.recent.append(self.source.random())
        noise = torch.randn(len(images), 4, generator=self.generator) + torch.rand(1) + random.random()
        logits = self.head2(self.head(features.flatten(1)))
        return logits + noise * float(numpy.random.rand())


def optimizer_named(name: str, model: nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(recipes.Optimizer(name=name, form=SINGLE_TENSOR), model, torch.device("cpu"))


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(IMAGES), LABELS).backward()
    optimizer.step()


@pytest.mark.parametrize("begun", [False, True], ids=["new", "after a step"])
@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_recorded_step_leaves_everything_as_it_was(name, begun):
    model = Everything()
    optimizer = optimizer_named(name, model)
    if begun:
        plain_step(model, optimizer)
    before = everything(model, optimizer)
    tape = record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=optimizer, rules=StepRules(clip_norm=0.1))
    assert_the_same(before, everything(model, optimizer))
    assert not tape.names.given["update conv.weight"].tensor().equal(model.conv.weight)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_training_goes_on_as_if_nothing_had_been_recorded(name):
    weights = []
    for is_recorded in (False, True):
        torch.manual_seed(4), random.seed(4), numpy.random.seed(4)
        model = Everything()
        optimizer = optimizer_named(name, model)
        for _ in range(3):
            if is_recorded:
                record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=optimizer)
            plain_step(model, optimizer)
        weights.append({key: value.clone() for key, value in model.state_dict().items()})
    assert all(weights[0][key].equal(weights[1][key]) for key in weights[0])


def test_existing_gradients_are_kept():
    model = Everything()
    F.cross_entropy(model(IMAGES), LABELS).backward()
    before = everything(model)
    record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=torch.optim.SGD(model.parameters()))
    assert_the_same(before, everything(model))


@pytest.mark.parametrize("training", [False, True])
def test_a_forward_pass_leaves_everything_as_it_was(training):
    model = Everything().train(training)
    images = IMAGES.clone()
    before = everything(model, None, images)
    record(model, images)
    assert_the_same(before, everything(model, None, images))


class Raising(Everything):
    """Fails in the middle, after it has changed this and that."""

    def forward(self, images: Tensor) -> Tensor:
        super().forward(images)
        raise ValueError("no")


def test_a_model_that_raises_is_put_back_too():
    model = Raising()
    optimizer = optimizer_named("adam", model)
    before = everything(model, optimizer)
    with pytest.raises(DotbogiError, match="no"):
        record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=optimizer)
    assert_the_same(before, everything(model, optimizer))


class InPlace(nn.Module):
    """Writes into its input and into its own weight."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        images.mul_(2)
        with torch.no_grad():
            self.layer.weight.add_(0.1)
        return self.layer(images.mean((1, 2)))


def test_what_a_model_writes_in_place_is_put_back():
    model, images = InPlace(), IMAGES.clone()
    before = everything(model, None, images)
    record(model, (images, LABELS), loss=F.cross_entropy, optimizer=torch.optim.SGD(model.parameters()))
    assert_the_same(before, everything(model, None, images))


class Remembering(torch.optim.Optimizer):
    """A person's own optimizer that keeps lists and numbers of its own."""

    def __init__(self, parameters) -> None:
        super().__init__(parameters, {"lr": 0.1})
        self.history, self.total = [], {"steps": 0}

    @torch.no_grad()
    def step(self, closure=None) -> None:
        self.history.append(len(self.history))
        self.total["steps"] += 1
        for group in self.param_groups:
            group["lr"] *= 0.5
            group.setdefault("past", []).append(group["lr"])
            for parameter in group["params"]:
                self.state[parameter].setdefault("past", []).append(parameter.grad.clone())
                parameter.sub_(parameter.grad, alpha=group["lr"])


@pytest.mark.parametrize("begun", [False, True], ids=["new", "after a step"])
def test_ones_own_optimizer_is_put_back(begun):
    model = Everything()
    optimizer = Remembering(model.parameters())
    if begun:
        plain_step(model, optimizer)
    before = everything(model, optimizer)
    record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=optimizer)
    assert_the_same(before, everything(model, optimizer))


def test_the_scaler_of_the_loss_is_put_back():
    model = Everything()
    optimizer = optimizer_named("adam", model)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1)
    rules = StepRules(scaler=scaler, clip_norm=0.1)
    before, scales = everything(model, optimizer), scaler.state_dict()
    record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=optimizer, rules=rules)
    assert_the_same(before, everything(model, optimizer))
    assert scaler.state_dict() == scales


def test_with_keep_the_step_stays():
    model = Everything()
    optimizer = optimizer_named("adam", model)
    tape = record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=optimizer, keep=True)
    after = everything(model, optimizer)
    assert tape.names.given["update conv.weight"].tensor().equal(model.conv.weight)
    kept = {name: value.tensor() for name, value in tape.names.given.items()}
    plain_step(model, optimizer)
    assert everything(model, optimizer) != after
    assert all(kept[name].equal(value.tensor()) for name, value in tape.names.given.items())
