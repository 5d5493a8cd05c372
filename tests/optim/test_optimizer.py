"""Every registered optimizer: built, trained with, saved, continued, split and counted."""

import copy
import io
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dotbogi import recipe
from dotbogi.errors import ModelError, RecipeError
from dotbogi.optim.optimizer import (
    OptimizerEntry,
    build_optimizer,
    muon_split,
    resolved_form,
    state_floats_per_parameter,
)
from dotbogi.optim.schedule import apply_schedule, build_schedule
from dotbogi.registry import OPTIMIZERS

NAMES = OPTIMIZERS.names()
FORMS = [(name, form) for name in NAMES for form in OPTIMIZERS.load(name).forms("cpu")]
CPU = torch.device("cpu")
ENTRY: OptimizerEntry = OPTIMIZERS.load("sgd")


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 2),
    )


def bars() -> tuple[torch.Tensor, torch.Tensor]:
    """All horizontal (class 0) and vertical (class 1) bars of an 8×8 image, one pixel wide."""
    rows = torch.eye(8).reshape(8, 1, 8, 1).expand(8, 1, 8, 8)
    return torch.cat([rows, rows.transpose(2, 3)]), torch.arange(2).repeat_interleave(8)  # (16, 1, 8, 8), (16,)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> list[float]:
    images, labels = bars()
    schedule = build_schedule(recipe.Schedule(name="cosine", warmup=0.1), steps=40, steps_per_epoch=4)
    losses = []
    for step in steps:
        apply_schedule(optimizer, schedule.factor(step))
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def built(name: str, model: nn.Module, **keys: Any) -> torch.optim.Optimizer:
    return build_optimizer(recipe.Optimizer(name=name, **keys), model, CPU)


def saved_and_loaded(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_trains_with_its_default_values(name: str, form: str) -> None:
    model = small_net()
    losses = train(model, built(name, model, form=form), range(40))
    assert losses[-1] < losses[0]
    assert all(math.isfinite(loss) for loss in losses)


@pytest.mark.parametrize(("name", "form"), FORMS)
@pytest.mark.parametrize("stop", [0, 6])
def test_continues_bit_exactly_from_a_saved_state(name: str, form: str, stop: int) -> None:
    keys = {"form": form, "decay_one_dimensional": False, "weight_decay": 0.01}
    model = small_net()
    optimizer = built(name, model, **keys)
    train(model, optimizer, range(stop))
    weights, state = saved_and_loaded(model.state_dict()), saved_and_loaded(optimizer.state_dict())
    losses = train(model, optimizer, range(stop, 10))

    continued = small_net()
    continued.load_state_dict(weights)
    continued_optimizer = built(name, continued, **keys)
    continued_optimizer.load_state_dict(state)
    assert train(continued, continued_optimizer, range(stop, 10)) == losses
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, continued.state_dict()[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_single_tensor_is_what_deterministic_means_and_is_said_to_the_class(name: str) -> None:
    chosen = resolved_form(recipe.Optimizer(name=name), CPU, deterministic=True)
    assert chosen == "single-tensor"
    for group in built(name, small_net(), form=chosen).param_groups:
        assert group.get("foreach", False) is False
        assert group.get("fused", False) is False


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_form_reaches_the_class(name: str, form: str) -> None:
    (group,) = built(name, small_net(), form=form).param_groups
    assert bool(group.get("fused")) == (form == "fused")
    assert bool(group.get("foreach")) == (form == "foreach")


def test_auto_is_the_fastest_form_on_the_device() -> None:
    assert resolved_form(recipe.Optimizer(name="adam"), CPU) == "fused"
    assert resolved_form(recipe.Optimizer(name="radam"), torch.device("cuda")) == "foreach"
    assert resolved_form(recipe.Optimizer(name="adagrad"), torch.device("cuda")) == "foreach"
    assert resolved_form(recipe.Optimizer(name="radam"), torch.device("mps")) == "single-tensor"
    assert resolved_form(recipe.Optimizer(name="muon"), CPU) == "single-tensor"


def test_a_form_that_was_asked_for_wins_over_deterministic() -> None:
    assert resolved_form(recipe.Optimizer(name="adam", form="foreach"), CPU, deterministic=True) == "foreach"


def test_a_form_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"lion has no form fused on cpu\.\nPossible: auto, foreach, single-tensor\."):
        built("lion", small_net(), form="fused")


def test_a_model_without_weights_is_refused() -> None:
    frozen = nn.Linear(2, 2).requires_grad_(False)
    for model in (nn.ReLU(), frozen):
        with pytest.raises(ModelError, match=r"no parameter that requires a gradient\.\nGive a model with weights"):
            built("sgd", model)


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_spares_one_dimensional_parameters_if_asked(name: str) -> None:
    model = small_net()
    (everything,) = built(name, model, weight_decay=0.3).param_groups
    assert everything["weight_decay"] == 0.3
    matrices, vectors = built(name, model, weight_decay=0.3, decay_one_dimensional=False).param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.3, 0.0)
    assert [parameter.dim() for parameter in matrices["params"]] == [4, 4, 2]
    assert [parameter.dim() for parameter in vectors["params"]] == [1, 1, 1, 1, 1]


def test_no_group_is_empty_and_frozen_weights_are_in_none() -> None:
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2))
    model[1].requires_grad_(False)
    (group,) = built("adamw", model, decay_one_dimensional=False).param_groups
    assert [parameter.shape for parameter in group["params"]] == [(4, 3)]
    assert group["weight_decay"] == 0.01


@given(st.lists(st.lists(st.integers(1, 5), max_size=4), min_size=1, max_size=8), st.booleans())
def test_every_parameter_is_in_exactly_one_group(shapes: list[list[int]], decay_one_dimensional: bool) -> None:
    model = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
    optimizer = built("adamw", model, decay_one_dimensional=decay_one_dimensional)
    grouped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert len(grouped) == len(shapes)
    assert {id(parameter) for parameter in grouped} == {id(parameter) for parameter in model}
    assert all(group["initial_lr"] == group["lr"] == 0.001 for group in optimizer.param_groups)


@pytest.mark.parametrize(
    ("name", "numbers"),
    # Adafactor's on the lecture's net was measured for torch; the others follow from their formulas.
    [
        *[("sgd", 0), ("momentum", 1), ("nag", 1), ("adagrad", 1), ("rmsprop", 1), ("lion", 1), ("adam", 2)],
        *[("adamw", 2), ("adadelta", 2), ("nadam", 2), ("radam", 2), ("lamb", 2), ("adafactor", 0.235)],
    ],
)
def test_state_floats_are_measured(name: str, numbers: float) -> None:
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(16, 32, 3), nn.Flatten(), nn.Linear(1568, 10))
    optimizer = built(name, model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert state_floats_per_parameter(optimizer) == pytest.approx(numbers, abs=1e-3)


def test_muon_says_which_share_it_really_updates() -> None:
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(16, 32, 3), nn.Flatten(), nn.Linear(1568, 10))
    split = muon_split(built("muon", model))
    # Of a grey image's first layer, the second and a last layer 157 times as wide as high, only the second.
    assert split.muon == 32 * 16 * 9
    assert split.adamw == 16 * 9 + 16 + 32 + 1568 * 10 + 10
    assert split.share == pytest.approx(0.225, abs=1e-3)


@given(st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=4), min_size=1, max_size=4))
def test_muons_split_is_what_its_first_step_does(shapes: list[list[int]]) -> None:
    model = nn.ParameterList(nn.Parameter(torch.ones(shape)) for shape in shapes)
    optimizer = built("muon", model, decay_one_dimensional=False)
    split = muon_split(optimizer)
    assert not optimizer.state
    for parameter in model:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert split.muon == sum(weights.numel() for weights in model if optimizer.state[weights]["use_muon"])
    assert split.muon + split.adamw == sum(weights.numel() for weights in model)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_says_everything_about_itself(name: str) -> None:
    entry: OptimizerEntry = OPTIMIZERS.load(name)
    assert entry.hyperparameters[0].name == "lr"
    assert all((entry.title, entry.text, entry.formula, entry.source, entry.pros, entry.cons, entry.uses))
    assert all(hyperparameter.text and hyperparameter.range for hyperparameter in entry.hyperparameters)
    for hyperparameter in entry.hyperparameters:
        assert hyperparameter.check(hyperparameter.default, hyperparameter.name) == hyperparameter.default


@pytest.mark.parametrize("name", NAMES)
def test_latex_is_balanced(name: str) -> None:
    formula = OPTIMIZERS.load(name).formula
    brackets = formula.replace(r"\{", "").replace(r"\}", "")
    assert brackets.count("{") == brackets.count("}") > 0
    for opening, closing in ((r"\begin", r"\end"), (r"\left", r"\right"), (r"\bigl", r"\bigr")):
        assert formula.count(opening) == formula.count(closing)


@pytest.mark.parametrize("name", NAMES)
def test_every_end_of_a_range_can_be_built(name: str) -> None:
    entry: OptimizerEntry = OPTIMIZERS.load(name)
    for hyperparameter in entry.hyperparameters:
        for end, is_open in (
            (hyperparameter.low, hyperparameter.low_open),
            (hyperparameter.high, hyperparameter.high_open),
        ):
            if hyperparameter.kind is float and abs(end) < 10 and not is_open:
                built(name, small_net(), **{hyperparameter.name: float(end)})


@pytest.mark.parametrize("name", NAMES)
def test_lr_zero_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"optimizer\.lr = 0\.0 is not possible(.|\n)*\(0, ∞\)"):
        recipe.Recipe(optimizer={"name": name, "lr": 0})


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_entries_load_without_torch() -> None:
    code = """
import sys
from dotbogi.registry import OPTIMIZERS, SCHEDULES
for registry in (OPTIMIZERS, SCHEDULES):
    for name in registry.names():
        registry.load(name)
print("torch" in sys.modules, "timm" in sys.modules)
"""
    assert in_a_new_process(code) == "False False"


def test_a_training_does_not_load_torchs_compiler() -> None:
    code = """
import sys
import torch
from dotbogi import recipe
from dotbogi.optim.optimizer import build_optimizer
model = torch.nn.Linear(2, 2)
for name in ("sgd", "nag", "adam", "adamw", "rmsprop", "adafactor"):
    optimizer = build_optimizer(recipe.Optimizer(name=name), model, torch.device("cpu"))
    optimizer.zero_grad()
    model(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""
    assert in_a_new_process(code) == "False"


@pytest.mark.parametrize("name", NAMES)
def test_step_is_the_classs_own_with_hooks_and_closure(name: str) -> None:
    ours, theirs = small_net(), small_net()
    optimizer = built(name, ours, form="single-tensor")
    plain = copy.deepcopy(built(name, theirs, form="single-tensor"))  # a copy has the class's own methods
    assert "step" not in vars(plain)
    called: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    theirs_copied = [parameter for group in plain.param_groups for parameter in group["params"]]
    for mine, other in zip(ours.parameters(), theirs_copied, strict=True):
        mine.grad, other.grad = torch.ones_like(mine), torch.ones_like(other)
    assert optimizer.step(lambda: torch.is_grad_enabled()) is True
    plain.step()
    assert called == ["before", "after"]
    assert torch.is_grad_enabled()
    for mine, other in zip(ours.parameters(), theirs_copied, strict=True):
        assert torch.equal(mine, other)
        assert mine.is_leaf
