"""Schedules against torch's own, with warmup, and stopped and continued."""

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from dotbogi.errors import RecipeError
from dotbogi.optim.schedule import RunningSchedule, apply_schedule, build_schedule
from dotbogi.recipe import Recipe, Schedule
from dotbogi.registry import SCHEDULES

LR = 0.3
STEPS, STEPS_PER_EPOCH = 120, 12

MakeScheduler = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def one_weight() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)


def torch_lrs(make: MakeScheduler, steps: int) -> list[float]:
    optimizer = one_weight()
    scheduler = make(optimizer)
    lrs = []
    for _ in range(steps):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return lrs


def our_lrs(schedule: RunningSchedule, steps: int) -> list[float]:
    return [LR * schedule.factor(step) for step in range(steps)]


CASES: list[tuple[dict[str, Any], MakeScheduler]] = [
    ({"name": "constant"}, lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0)),
    ({"name": "step"}, lambda optimizer: lr_scheduler.StepLR(optimizer, 30)),
    ({"name": "step", "step_size": 0.07, "gamma": 0.5}, lambda optimizer: lr_scheduler.StepLR(optimizer, 8, 0.5)),
    ({"name": "multistep"}, lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [60, 90])),
    (
        {"name": "multistep", "milestones": [0.1, 0.3, 0.9], "gamma": 0.5},
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [12, 36, 108], 0.5),
    ),
    ({"name": "cosine"}, lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS)),
    (
        {"name": "cosine", "final_factor": 0.1},
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.1 * LR),
    ),
]


@pytest.mark.parametrize(("given_keys", "make"), CASES, ids=[str(keys) for keys, _make in CASES])
def test_factors_are_torchs(given_keys: dict[str, Any], make: MakeScheduler) -> None:
    schedule = build_schedule(Schedule(**given_keys), steps=STEPS, steps_per_epoch=STEPS_PER_EPOCH)
    assert our_lrs(schedule, STEPS) == pytest.approx(torch_lrs(make, STEPS), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("anneal", ["linear", "cosine"])
@pytest.mark.parametrize(("rise", "start", "final"), [(0.3, 0.04, 4e-6), (0.2, 0.1, 0.01), (0.5, 1.0, 0.5)])
def test_one_cycle_is_torchs(anneal: str, rise: float, start: float, final: float) -> None:
    keys = {"rise": rise, "anneal": anneal, "start_factor": start, "final_factor": final}
    schedule = build_schedule(Schedule(name="one-cycle", **keys), steps=STEPS, steps_per_epoch=STEPS_PER_EPOCH)
    torchs = lr_scheduler.OneCycleLR(
        one_weight(),
        max_lr=LR,
        total_steps=STEPS,
        pct_start=rise,
        anneal_strategy="cos" if anneal == "cosine" else "linear",
        cycle_momentum=False,
        div_factor=1 / start,
        final_div_factor=start / final,
    )
    expected = []
    for step in range(STEPS):
        expected.append(torchs.get_last_lr()[0])
        torchs.optimizer.step()
        if step < STEPS - 1:
            torchs.step()
    assert our_lrs(schedule, STEPS) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_one_cycle_rises_linearly_to_a_fifth_and_falls_to_zero() -> None:
    keys = {"rise": 0.2, "anneal": "linear", "start_factor": 0.0, "final_factor": 0.0}
    factors = [
        build_schedule(Schedule(name="one-cycle", **keys), steps=100, steps_per_epoch=10).factor(step)
        for step in range(100)
    ]
    assert factors[19] == 1.0
    assert factors[:20] == pytest.approx([step / 19 for step in range(20)])
    assert factors[19:] == pytest.approx([(99 - step) / 80 for step in range(19, 100)])


LOSSES = [1.0, 0.8, 0.8, 0.79999, 0.9, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, math.nan, math.nan, math.nan, 0.1, 0.2, 0.2, 0.2]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"factor": 0.5, "patience": 0},
        {"factor": 0.5, "patience": 1, "cooldown": 2},
        {"factor": 0.1, "patience": 1, "minimum_factor": 0.05},
        {"threshold": 0.2},
    ],
    ids=str,
)
def test_plateau_is_torchs(keys: dict[str, Any]) -> None:
    optimizer = one_weight()
    torchs = lr_scheduler.ReduceLROnPlateau(
        optimizer,
        factor=keys.get("factor", 0.1),
        patience=keys.get("patience", 2),
        threshold=keys.get("threshold", 1e-4),
        cooldown=keys.get("cooldown", 0),
        min_lr=LR * keys.get("minimum_factor", 0.0),
        eps=0.0,
    )
    schedule = build_schedule(Schedule(name="plateau", **keys), steps=STEPS, steps_per_epoch=STEPS_PER_EPOCH)
    for loss in LOSSES:
        torchs.step(loss)
        schedule.observe(loss)
        assert LR * schedule.factor(0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert schedule.factor(0) < 1


def test_plateau_does_not_count_epochs_within_the_warmup() -> None:
    keys = {"name": "plateau", "patience": 0, "warmup": 0.2}
    schedule = build_schedule(Schedule(**keys), steps=100, steps_per_epoch=10)
    for loss in (1.0, 2.0):  # they end at updates 10 and 20, and the warmup has 20
        schedule.observe(loss)
    schedule.observe(3.0)
    assert schedule.factor(30) == 1.0
    schedule.observe(3.0)
    assert schedule.factor(40) == pytest.approx(0.1)


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_warmup_rises_in_equal_steps_and_the_schedule_runs_over_the_rest(name: str) -> None:
    warm = build_schedule(Schedule(name=name, warmup=0.25), steps=80, steps_per_epoch=10)
    plain = build_schedule(Schedule(name=name), steps=60, steps_per_epoch=10)
    first = plain.factor(0)
    assert [warm.factor(step) for step in range(20)] == pytest.approx([first * (step + 1) / 21 for step in range(20)])
    assert [warm.factor(step) for step in range(20, 80)] == [plain.factor(step) for step in range(60)]


@pytest.mark.parametrize("name", SCHEDULES.names())
@given(
    steps=st.integers(1, 400),
    steps_per_epoch=st.integers(1, 50),
    warmup=st.floats(0, 0.99),
    losses=st.lists(st.floats(0, 10), max_size=20),
)
def test_factors_stay_between_0_and_1(
    name: str, steps: int, steps_per_epoch: int, warmup: float, losses: list[float]
) -> None:
    schedule = build_schedule(Schedule(name=name, warmup=warmup), steps=steps, steps_per_epoch=steps_per_epoch)
    for loss in losses:
        schedule.observe(loss)
    # One update more than there are: the curve may be drawn to its end.
    factors = [schedule.factor(step) for step in range(steps + 1)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert all(factor > 0 for factor in factors[:steps])


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("stop", [0, 3, 5, 7])
def test_a_continued_schedule_has_the_very_same_factors(name: str, stop: int) -> None:
    losses = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5]
    recipe = Schedule(name=name, warmup=0.1)

    def factors(schedule: RunningSchedule, epochs: range) -> list[float]:
        seen = []
        for epoch in epochs:
            seen += [schedule.factor(step) for step in range(epoch * 10, epoch * 10 + 10)]
            schedule.observe(losses[epoch])
        return seen

    undisturbed = factors(build_schedule(recipe, steps=100, steps_per_epoch=10), range(10))
    before = build_schedule(recipe, steps=100, steps_per_epoch=10)
    begun = factors(before, range(stop))
    saved = io.BytesIO()
    torch.save(before.state_dict(), saved)
    saved.seek(0)
    after = build_schedule(recipe, steps=100, steps_per_epoch=10)
    after.load_state_dict(torch.load(saved, weights_only=True))
    assert begun + factors(after, range(stop, 10)) == undisturbed


def test_apply_schedule_sets_every_group_from_its_initial_lr() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD(
        [
            {"params": [weights[0]], "lr": 0.5, "initial_lr": 0.5},
            {"params": [weights[1]], "lr": 0.2, "initial_lr": 0.2},
        ]
    )
    for factor in (0.5, 0.1):
        assert apply_schedule(optimizer, factor) == 0.5 * factor
        assert [group["lr"] for group in optimizer.param_groups] == [0.5 * factor, 0.2 * factor]


@pytest.mark.parametrize(
    "milestones",
    [[], [0.0, 0.5], [0.5, 1.0], [0.75, 0.5], [0.5, 0.5], [30, 60], ["0.5"], [True], [math.nan], 0.5, "half"],
)
def test_milestones_must_be_ascending_fractions(milestones: Any) -> None:
    with pytest.raises(RecipeError, match=r"schedule\.milestones = .* is not possible\.\nGive fractions"):
        Recipe(schedule={"name": "multistep", "milestones": milestones})


def test_epochs_as_a_step_size_are_refused_with_the_range() -> None:
    with pytest.raises(RecipeError, match=r"schedule\.step_size = 30\.0 is not possible(.|\n)*\(0, 1\]"):
        Recipe(schedule={"name": "step", "step_size": 30})


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_an_entry_says_everything_about_itself(name: str) -> None:
    entry = SCHEDULES.load(name)
    assert all((entry.title, entry.text, entry.formula, entry.source))
    assert all(hyperparameter.text for hyperparameter in entry.hyperparameters)
    for hyperparameter in entry.hyperparameters:
        assert hyperparameter.check(hyperparameter.default, hyperparameter.name) == hyperparameter.default
