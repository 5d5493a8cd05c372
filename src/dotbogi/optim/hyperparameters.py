"""Hyperparameters that several optimizers have, with the ranges in which their update is defined."""

from dotbogi.language import mark
from dotbogi.registry import Hyperparameter


def learning_rate(default: float) -> Hyperparameter:
    """The size of a step, before the schedule's factor."""
    return Hyperparameter("lr", default, low=0, low_open=True, text=mark("learning rate: the size of a step"))


def momentum(default: float, *, zero: bool = False) -> Hyperparameter:
    """How much of the last step's direction is kept; ``zero`` says whether none may be."""
    text = mark("how much of the direction so far is kept")
    return Hyperparameter("momentum", default, low=0, low_open=not zero, high=1, high_open=True, text=text)


def added_decay(default: float = 0.0) -> Hyperparameter:
    """Weight decay that is added to the gradient, as an L2 penalty's gradient would be."""
    return Hyperparameter("weight_decay", default, low=0, text=mark("λ; λ·w is added to the gradient"))


def decoupled_decay(default: float) -> Hyperparameter:
    """Weight decay that shrinks the weights themselves and never meets the gradient's statistics."""
    return Hyperparameter("weight_decay", default, low=0, text=mark("λ; the weights shrink by the factor 1 − lr·λ"))


def beta1(default: float = 0.9) -> Hyperparameter:
    """How much of the average gradient is kept."""
    text = mark("how much of the average gradient is kept")
    return Hyperparameter("beta1", default, low=0, high=1, high_open=True, text=text)


def beta2(default: float = 0.999) -> Hyperparameter:
    """How much of the average squared gradient is kept."""
    text = mark("how much of the average squared gradient is kept")
    return Hyperparameter("beta2", default, low=0, high=1, high_open=True, text=text)


def epsilon(default: float) -> Hyperparameter:
    """What keeps a division by the gradient's size finite."""
    text = mark("added to the divisor, so that it is never zero")
    return Hyperparameter("epsilon", default, low=0, low_open=True, text=text)
