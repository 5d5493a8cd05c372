import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.figures.colours import STAGE_COLOURS
from dotbogi.figures.curves import epoch_curves, learning_rates, running_mean, step_losses, thinned
from dotbogi.stages import LOSS, UPDATE


def test_training_and_validation_differ_by_more_than_colour() -> None:
    training, validation = epoch_curves("Loss", [0.8, 0.5], [0.7, 0.6]).data
    assert (training.name, validation.name) == ("training", "validation")
    assert training.line.color != validation.line.color
    assert training.line.dash != validation.line.dash
    assert training.marker.symbol != validation.marker.symbol
    assert training.x == (1, 2)


def test_a_curve_that_does_not_exist_is_not_drawn() -> None:
    assert [curve.name for curve in epoch_curves("Loss", [0.8, 0.5], [None, None]).data] == ["training"]


def test_fractions_are_shown_as_per_cent() -> None:
    assert epoch_curves("Accuracy", [0.8], [0.7], fractions=True).layout.yaxis.tickformat == ".0%"


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_marked(broken: float) -> None:
    training, mark = epoch_curves("Loss", [0.5, broken, 0.75]).data
    assert training.y == (0.5, None, 0.75)
    assert (mark.x, mark.y, mark.text) == ((2,), (0.75,), (str(broken),))
    assert mark.name == "training: NaN or infinite"
    assert mark.marker.symbol == "x"


def test_only_nan_still_draws() -> None:
    assert epoch_curves("Loss", [math.nan]).data[1].y == (1.0,)


def test_steps_have_the_colours_of_their_stages() -> None:
    steps = list(range(1, 201))
    losses = step_losses(steps, [1 / step for step in steps])
    assert {curve.line.color for curve in losses.data} == {STAGE_COLOURS[LOSS]}
    assert [curve.name for curve in losses.data] == ["each step", "running mean of 4 steps"]
    rates = learning_rates(steps, [0.1] * 200)
    assert rates.data[0].line.color == STAGE_COLOURS[UPDATE]
    assert max(rates.data[0].y) == pytest.approx(0.1)


def test_long_trainings_are_thinned_and_say_so() -> None:
    steps = list(range(1, 10_001))
    each = step_losses(steps, [float(step) for step in steps]).data[0]
    assert each.name == "mean of 5 steps"
    assert len(each.x) == 2000
    assert each.x[0] == each.y[0] == 3


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50), st.integers(1, 60))
def test_thinning_keeps_the_mean_of_each_group(values: list[float], most: int) -> None:
    steps, means, group = thinned(range(len(values)), values, most)
    assert len(steps) == len(means) <= most
    for position, mean in enumerate(means):
        part = values[position * group : (position + 1) * group]
        assert mean == pytest.approx(sum(part) / len(part))


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50), st.integers(1, 9))
def test_a_running_mean_lies_between_the_values_around_it(values: list[float], window: int) -> None:
    for position, mean in enumerate(running_mean(values, window)):
        around = values[max(0, position - window // 2) : position + window - window // 2]
        assert mean is not None
        assert min(around) - 1e-9 <= mean <= max(around) + 1e-9


def test_a_running_mean_of_one_is_the_value() -> None:
    assert running_mean([3.0, 1.0, 2.0], 1) == [3.0, 1.0, 2.0]
    assert running_mean([3.0, math.nan, 1.0], 3) == [3.0, 2.0, 1.0]
