"""What batch, layer and group norm share: numbers less their mean, over their standard deviation, scaled and shifted.

y = γ·(x − μ)/√(σ² + ε) + β over a group of N numbers: those of a channel, of a sample, or of some of its channels.
Sources: Ioffe & Szegedy 2015, arXiv:1502.03167; Ba et al. 2016, arXiv:1607.06450; Wu & He 2018, arXiv:1803.08494.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Indices, Numbers, sum_of_products
from dotbogi.tape.explain.reducing import reduction_of

NORMALISED = "y = γ·(x − μ)/√(σ² + ε) + β,  μ = Σx_k/N,  σ² = Σ(x_k − μ)²/N"
NORMALISED_LATEX = (
    r"y = \gamma\,\frac{x-\mu}{\sqrt{\sigma^2+\varepsilon}} + \beta,\quad"
    r"\mu = \frac1N\sum_k x_k,\quad \sigma^2 = \frac1N\sum_k (x_k-\mu)^2"
)
INPUT_GRADIENT = "∂x = (γ·g − Σγg_k/N − x̂·Σγg_k·x̂_k/N)·r,  x̂ = (x − μ)·r"
INPUT_GRADIENT_LATEX = (
    r"\frac{\partial L}{\partial x_i} = r\Bigl(\gamma_i g_i - \frac1N\sum_k \gamma_k g_k"
    r" - \hat x_i\,\frac1N\sum_k \gamma_k g_k \hat x_k\Bigr),\quad \hat x = (x-\mu)\,r"
)
WEIGHT_GRADIENT = "∂γ = Σ g·(x − μ)·r"
BIAS_GRADIENT = "∂β = Σ g"


@dataclass(frozen=True)
class Normalised:
    """One element of a group that is normalised together.

    Args:
        x: the whole group (N,).
        place: of the element in it.
        gamma: its scale, or ``None`` where there is none.
        beta: its shift, or ``None``.
        eps: under the root.
        by_subtraction: whether the variance is Σx²/N − μ².
        rounding: what to add to the formula where some steps are rounded.
        statistics: of the group, μ and r = 1/√(σ² + ε); by default exactly.
        combine: of x, μ, r, γ and β, the result; by default exactly.
    """

    x: Elements
    place: int
    gamma: Elements | None
    beta: Elements | None
    eps: float
    rounding: str = ""
    by_subtraction: bool = False
    statistics: Callable[[Numbers], tuple[Any, Any]] | None = None
    combine: Callable[..., Any] | None = None

    def arithmetic(self) -> Arithmetic:
        """Returns how the normalised number came about."""
        operands = [("x", self.x), ("γ", self.gamma), ("β", self.beta)]
        formula = NORMALISED if self.gamma is not None or self.beta is not None else NORMALISED.replace("γ·", "", 1)
        return reduction_of(
            (formula if self.beta is not None else formula.replace(" + β", "")) + self.rounding,
            operands,
            self._result,
            latex=NORMALISED_LATEX,
            scale=self._scale,
            recomputed=self._statistics(self.x.numbers()),
            ε=self.eps,
            N=len(self.x),
        )

    def _result(self, x: Numbers, gamma: Numbers | None, beta: Numbers | None) -> Any:
        mean, deviation = (
            (np.mean(x), inverse_deviation(x, self.eps)) if self.statistics is None else self.statistics(x)
        )
        combine = self.combine or (lambda x, mean, deviation, gamma, beta: (x - mean) * deviation * gamma + beta)
        return combine(x[self.place], mean, deviation, one(gamma, 1.0), one(beta, 0.0))

    def _scale(self, x: Numbers, gamma: Numbers | None, beta: Numbers | None) -> Any:
        # torch multiplies x and μ with γ·r before it subtracts: a large common mean costs digits.
        deviation = inverse_deviation(x, self.eps)
        spread = (
            np.abs(x[self.place])
            + np.abs(np.mean(x))
            + np.abs(x[self.place] - np.mean(x)) * condition(x, self.by_subtraction)
        )
        return spread * deviation * abs(one(gamma, 1.0)) + abs(one(beta, 0.0))

    def _statistics(self, x: Numbers) -> dict[str, float]:
        return {"μ": float(np.mean(x)), "σ²": float(np.var(x))} if len(x) else {}


def one(numbers: Numbers | None, default: float) -> Any:
    """Returns the single number of an operand, or what stands for one that was not given."""
    return default if numbers is None else numbers[0]


def inverse_deviation(x: Numbers, eps: float) -> Any:
    """Returns r = 1/√(σ² + ε), σ² over N."""
    return 1 / np.sqrt(np.var(x) + eps)


def condition(x: Numbers, by_subtraction: bool = False) -> Any:
    """How much rounding grows in a variance (Chan, Golub & LeVeque 1983, table 1).

    Args:
        x: the numbers.
        by_subtraction: whether it is Σx²/N − μ², which loses the digits that both share.
    """
    variance = np.var(x)
    factor = 1 + np.mean(x) ** 2 / variance if variance > 0 else 1.0
    return factor if by_subtraction else np.sqrt(factor)


def mean_of(x: Elements) -> Arithmetic:
    """Returns how a group's mean came about: Σ x/N."""
    return sum_of_products("μ = Σ x/N", Group("x", x, 1 / max(len(x), 1)), N=len(x))


def inverse_deviation_of(x: Elements, eps: float, by_subtraction: bool = False) -> Arithmetic:
    """Returns how one over a group's standard deviation came about; see :class:`Normalised` for the arguments."""
    return reduction_of(
        "r = 1/√(σ² + ε),  σ² = Σ(x_k − μ)²/N,  μ = Σx_k/N",
        [("x", x)],
        lambda x: inverse_deviation(x, eps),
        scale=lambda x: inverse_deviation(x, eps) * condition(x, by_subtraction),
        ε=eps,
        N=len(x),
    )


@dataclass(frozen=True)
class InputGradient:
    """The gradient of one element of a group that was normalised together.

    Args:
        g: the gradients of the outputs (N,).
        x: the inputs (N,).
        place: of the element in the group.
        mean, deviation: μ and r = 1/√(σ² + ε), which the forward operation kept.
        gamma: the scales that occur in the group, or ``None``.
        gamma_of: (N,) which of them belongs to each element; ``None`` where all have the first.
    """

    g: Elements
    x: Elements
    place: int
    mean: Elements
    deviation: Elements
    gamma: Elements | None
    gamma_of: Indices | None = None

    def arithmetic(self) -> Arithmetic:
        """Returns ∂L/∂x through the group's mean and variance too (Ioffe & Szegedy 2015, section 3)."""
        return reduction_of(
            INPUT_GRADIENT if self.gamma is not None else INPUT_GRADIENT.replace("γ·", "").replace("γ", ""),
            [("g", self.g), ("x", self.x), ("μ", self.mean), ("r", self.deviation), ("γ", self.gamma)],
            self._result,
            latex=INPUT_GRADIENT_LATEX,
            scale=self._scale,
            N=len(self.x),
        )

    def _scaled(self, g: Numbers, gamma: Numbers | None) -> Any:
        if gamma is None:
            return g
        return g * (gamma[0] if self.gamma_of is None else gamma[self.gamma_of])

    def _result(self, g: Numbers, x: Numbers, mean: Numbers, deviation: Numbers, gamma: Numbers | None) -> Any:
        scaled = self._scaled(g, gamma)
        centred = (x - mean[0]) * deviation[0]
        part = np.mean(scaled) + centred[self.place] * np.mean(scaled * centred)
        return (scaled[self.place] - part) * deviation[0]

    def _scale(self, g: Numbers, x: Numbers, mean: Numbers, deviation: Numbers, gamma: Numbers | None) -> Any:
        scaled = np.abs(self._scaled(g, gamma))
        # Some kernels multiply x and μ apart: Σ g·x − μ·Σ g.
        centred = (np.abs(x) + np.abs(mean[0])) * np.abs(deviation[0])
        part = np.mean(scaled) + centred[self.place] * np.mean(scaled * centred)
        return (scaled[self.place] + part) * np.abs(deviation[0])


def weight_gradient(g: Elements, x: Elements, mean: Elements, deviation: Elements, group_of: Indices) -> Arithmetic:
    """Returns Σ g·x̂ over everything that a scale multiplies.

    Args:
        g: gradients of the outputs (K,).
        x: inputs (K,).
        mean, deviation: μ and r of each group that occurs.
        group_of: (K,) which of them belongs to each element.
    """
    return reduction_of(
        WEIGHT_GRADIENT,
        [("g", g), ("x", x), ("μ", mean), ("r", deviation)],
        lambda g, x, mean, r: np.sum(g * (x - mean[group_of]) * r[group_of]),
        latex=r"\frac{\partial L}{\partial \gamma} = \sum_k g_k\,(x_k-\mu)\,r",
        scale=lambda g, x, mean, r: np.sum(np.abs(g) * (np.abs(x) + np.abs(mean[group_of])) * np.abs(r[group_of])),
    )


def bias_gradient(g: Elements) -> Arithmetic:
    """Returns Σ g over everything that a shift was added to."""
    latex = r"\frac{\partial L}{\partial \beta} = \sum_k g_k"
    return sum_of_products(BIAS_GRADIENT, Group("g", g, 1.0), latex=latex)
