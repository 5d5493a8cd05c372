"""The losses of one element, and their derivatives, step by step as torch takes them.

Source of the formulas: https://pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

Round = Callable[[Any], Any]


def exactly(number: Any) -> Any:
    """Rounds nothing."""
    return number


@dataclass(frozen=True)
class ElementwiseLoss:
    """A loss of each element, and its derivative.

    Args:
        symbol: formula of one element's loss.
        loss: of how a number is rounded after each step, the prediction x, the target t, and what else there is.
        derivative_symbol: formula of ∂loss/∂x.
        derivative: of the rounding, the loss's gradient g, each element's share of it, and the same arrays; ``None``
            where torch has no operation of its own for it.
        others: names of further tensors that may be missing, by symbol.
        constants: names of the numbers that the loss takes, by symbol.
        rounds_constants: whether those elements whose gradients are computed in a vector have rounded constants.
        whole: types of low precision in which torch rounds only the result.
    """

    symbol: str
    loss: Callable[..., Any]
    derivative_symbol: str = ""
    derivative: Callable[..., Any] | None = None
    others: dict[str, str] = field(default_factory=dict[str, str])
    constants: dict[str, str] = field(default_factory=dict[str, str])
    rounds_constants: bool = False
    whole: tuple[torch.dtype, ...] = ()


def _squared(step: Round, x: Any, t: Any) -> Any:
    return step(x - t) ** 2


def _squared_derivative(step: Round, g: Any, share: Any, x: Any, t: Any) -> Any:
    return step(step(2 * share) * step(x - t)) * g


def _smooth(step: Round, x: Any, t: Any, β: float) -> Any:
    distance = step(np.abs(x - t))
    square = step(step(step(0.5 * distance) * distance) / step(β))
    return np.where(distance < step(β), square, distance - step(0.5 * step(β)))


def _smooth_derivative(step: Round, g: Any, share: Any, x: Any, t: Any, β: float) -> Any:
    return np.clip((x - t) / β, -1, 1) * share * g


def _huber(step: Round, x: Any, t: Any, δ: float) -> Any:
    distance, δ = step(np.abs(x - t)), step(δ)
    line = δ * step(distance - step(0.5 * δ))
    return np.where(distance <= δ, step(0.5 * distance) * distance, line)


def _huber_derivative(step: Round, g: Any, share: Any, x: Any, t: Any, δ: float) -> Any:
    distance = step(x - t)
    if np.abs(distance) >= δ:
        return step(step(np.sign(distance) * step(share)) * g) * δ
    return step(step(share) * distance) * g


def _cross_entropy(step: Round, x: Any, t: Any, w: Any) -> Any:
    with np.errstate(divide="ignore"):
        negative = np.maximum(step(np.log1p(-x)), -100)
        positive = np.maximum(step(np.log(x)), -100)
    loss = step(step(t - 1) * negative) - step(t * positive)
    return loss if w is None else step(loss) * w


def _cross_entropy_derivative(step: Round, g: Any, share: Any, x: Any, t: Any, w: Any) -> Any:
    gradient = step(step(g * step(x - t)) / np.maximum(step(step(1 - x) * x), 1e-12))
    return (gradient if w is None else step(gradient * w)) * share


def _logistic(step: Round, x: Any, t: Any, w: Any, pos: Any) -> Any:
    # log σ(x) = −(max(−x, 0) + log(1 + e^−|x|)), which no large |x| overflows.
    log_probability = step(-(np.maximum(-x, 0) + np.log1p(np.exp(-np.abs(x)))))
    if pos is not None:
        log_probability = step(log_probability * step(step(step(pos - 1) * t) + 1))
    loss = step(step(1 - t) * x) - log_probability
    return loss if w is None else step(loss) * w


def _soft_margin(step: Round, x: Any, t: Any) -> Any:
    return np.log1p(step(np.exp(step(-x * t))))


def _soft_margin_derivative(step: Round, g: Any, share: Any, x: Any, t: Any) -> Any:
    power = step(np.exp(step(-t * x)))
    return step(step(step(t * power) * step(-share)) / step(power + 1)) * g


LOSSES = {
    "mse_loss": ElementwiseLoss("(x − t)²", _squared, "2·(x − t)", _squared_derivative),
    "smooth_l1_loss": ElementwiseLoss(
        "{(x − t)²/2β where |x − t| < β, else |x − t| − β/2}",
        _smooth,
        "clip((x − t)/β, −1, 1)",
        _smooth_derivative,
        constants={"β": "beta"},
        whole=(torch.bfloat16,),
    ),
    "huber_loss": ElementwiseLoss(
        "{(x − t)²/2 where |x − t| ≤ δ, else δ·(|x − t| − δ/2)}",
        _huber,
        "clip(x − t, −δ, δ)",
        _huber_derivative,
        constants={"δ": "delta"},
        rounds_constants=True,
        whole=(torch.float16,),
    ),
    "binary_cross_entropy": ElementwiseLoss(
        "w·(−t·log x − (1 − t)·log(1 − x)), each log ≥ −100",
        _cross_entropy,
        "w·(x − t)/max(x·(1 − x), 10⁻¹²)",
        _cross_entropy_derivative,
        others={"w": "weight"},
    ),
    "binary_cross_entropy_with_logits": ElementwiseLoss(
        "w·((1 − t)·x + (1 + (pos − 1)·t)·log(1 + e^(−x)))",
        _logistic,
        others={"w": "weight", "pos": "pos_weight"},
    ),
    "soft_margin_loss": ElementwiseLoss(
        "log(1 + e^(−t·x))", _soft_margin, "(−t)·e^(−t·x)/(1 + e^(−t·x))", _soft_margin_derivative
    ),
}
"""By the name of the operation. Huber: Huber 1964, Annals of Mathematical Statistics 35, 73."""
