"""Activation functions, elementwise.

Source of the formulas: https://pytorch.org/docs/stable/nn.html#non-linear-activations-weighted-sum-nonlinearity
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.elementwise import Formula, elementwise, explains_formulas

GELU_CUBIC = 0.044715  # Hendrycks & Gimpel 2016, arXiv:1606.08415
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, arXiv:1706.02515


def cases(first: str, condition: str, otherwise: str) -> str:
    """Returns a function of two branches in LaTeX."""
    return rf"y = \begin{{cases}} {first} & {condition} \\ {otherwise} & \text{{else}} \end{{cases}}"


def logistic(x: Any) -> Any:
    """Returns σ(x) = 1 / (1 + exp(−x))."""
    return 1 / (1 + np.exp(-x))


def elu_of(x: Any, alpha: Any, scale: Any, input_scale: Any) -> Any:
    """Returns s·x for positive x, else s·α·(exp(k·x) − 1)."""
    return scale * x if x > 0 else scale * alpha * np.expm1(input_scale * x)


def leaky(x: Any, slope: Any) -> Any:
    """Returns x for positive x, else a multiple of it."""
    return x if x > 0 else slope * x


def gelu_of(x: Any) -> Any:
    """Returns x·Φ(x), Φ the normal distribution's."""
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: Any) -> Any:
    """Returns the approximation of x·Φ(x) by a hyperbolic tangent."""
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + GELU_CUBIC * x**3)))


def softplus_of(x: Any, beta: Any, threshold: Any) -> Any:
    """Returns log(1 + exp(β·x)) / β, and x itself above the threshold."""
    return x if beta * x > threshold else np.log1p(np.exp(beta * x)) / beta


HARDTANH = Formula(
    "y = min(max(x, low), high)",
    r"y = \min(\max(x, \mathrm{low}), \mathrm{high})",
    lambda x, low, high: np.minimum(np.maximum(x, low), high),
    {"self": "x", "min_val": "low", "max_val": "high"},
    {"min_val": 0, "max_val": 6},
)
ELU_SYMBOLS = {"self": "x", "alpha": "α", "scale": "s", "input_scale": "k"}
ELU = Formula("y = x if x > 0 else α·(exp(x) − 1)", cases("x", "x > 0", r"\alpha (e^{x} - 1)"), elu_of, ELU_SYMBOLS)
SCALED_ELU = Formula(
    "y = s·x if x > 0 else s·α·(exp(k·x) − 1)",
    cases("s x", "x > 0", r"s \alpha (e^{k x} - 1)"),
    elu_of,
    ELU_SYMBOLS,
    {"alpha": SELU_ALPHA, "scale": SELU_SCALE, "input_scale": 1},
)
PRELU = Formula("y = x if x > 0 else w·x", cases("x", "x > 0", "w x"), leaky, {"self": "x", "weight": "w"})
GELU = Formula(
    "y = x·(1 + erf(x / √2)) / 2", r"y = \frac{x}{2}\left(1 + \operatorname{erf}\frac{x}{\sqrt 2}\right)", gelu_of
)
GELU_TANH = Formula(
    "y = x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2",
    r"y = \frac{x}{2}\left(1 + \tanh\left(\sqrt{2/\pi}\,(x + 0.044715\,x^3)\right)\right)",
    gelu_tanh,
)

explains_formulas(
    {
        "relu": Formula("y = max(x, 0)", r"y = \max(x, 0)", lambda x: np.maximum(x, 0)),
        "relu6": HARDTANH,
        "hardtanh": HARDTANH,
        "leaky_relu": Formula(
            "y = x if x > 0 else s·x", cases("x", "x > 0", "s x"), leaky, {"self": "x", "negative_slope": "s"}
        ),
        "_prelu_kernel": PRELU,
        "selu": SCALED_ELU,
        "celu": Formula(
            "y = x if x > 0 else α·(exp(x / α) − 1)",
            cases("x", "x > 0", r"\alpha (e^{x / \alpha} - 1)"),
            lambda x, alpha: elu_of(x, alpha, 1.0, 1 / alpha),
            {"self": "x", "alpha": "α"},
        ),
        "silu": Formula("y = x / (1 + exp(−x))", r"y = \frac{x}{1 + e^{-x}}", lambda x: x * logistic(x)),
        "mish": Formula(
            "y = x·tanh(log(1 + exp(x)))",
            r"y = x \tanh(\ln(1 + e^{x}))",
            lambda x: x * np.tanh(np.log1p(np.exp(x))),
        ),
        "softplus": Formula(
            "y = x if β·x > t else log(1 + exp(β·x)) / β",
            cases("x", r"\beta x > t", r"\ln(1 + e^{\beta x}) / \beta"),
            softplus_of,
            {"self": "x", "beta": "β", "threshold": "t"},
        ),
        "hardsigmoid": Formula(
            "y = min(max(x + 3, 0), 6) / 6",
            r"y = \min(\max(x + 3, 0), 6) / 6",
            lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6,
        ),
        "hardswish": Formula(
            "y = x·min(max(x + 3, 0), 6) / 6",
            r"y = x \min(\max(x + 3, 0), 6) / 6",
            lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
        ),
        "threshold": Formula(
            "y = x if x > t else v",
            cases("x", "x > t", "v"),
            lambda x, t, v: v if x <= t else x,
            {"self": "x", "threshold": "t", "value": "v"},
        ),
        "hardshrink": Formula(
            "y = x if |x| > λ else 0",
            cases("x", r"|x| > \lambda", "0"),
            lambda x, bound: 0.0 if abs(x) <= bound else x,
            {"self": "x", "lambd": "λ"},
            rounds=frozenset({"lambd"}),
        ),
        "softshrink": Formula(
            "y = sign(x)·max(|x| − λ, 0)",
            r"y = \operatorname{sign}(x) \max(|x| - \lambda, 0)",
            lambda x, bound: np.sign(x) * np.maximum(abs(x) - bound, 0),
            {"self": "x", "lambd": "λ"},
            rounds=frozenset({"lambd"}),
        ),
    }
)


@explains("elu")
def elu(question: Question) -> Arithmetic:
    """x for positive x, else α·(exp(x) − 1) (Clevert et al. 2015, arXiv:1511.07289); SELU scales it."""
    is_plain = question.argument("scale") == question.argument("input_scale") == 1
    return elementwise(question, ELU if is_plain else SCALED_ELU)


@explains("prelu")
def prelu(question: Question) -> Arithmetic:
    """x for positive x, else w·x, w one number or one for each channel (He et al. 2015, arXiv:1502.01852)."""
    weight = question.argument("weight")
    channel = 0 if weight.numel() == 1 else question.index[1]
    place = (channel,) if weight.shape else ()
    return elementwise(question, PRELU, {"weight": (weight, place)})


@explains("gelu")
def gelu(question: Question) -> Arithmetic:
    """x·Φ(x), or its approximation (Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    return elementwise(question, GELU_TANH if question.argument("approximate") == "tanh" else GELU)


@explains("log_sigmoid_forward", "log_sigmoid")
def log_sigmoid(question: Question) -> Arithmetic:
    """log(σ(x)); the second result is what its gradient needs."""
    if question.output == 1:
        return elementwise(question, Formula("z = exp(−|x|)", "z = e^{-|x|}", lambda x: np.exp(-abs(x)), relative=True))
    formula = Formula(
        "y = min(x, 0) − log(1 + exp(−|x|))",
        r"y = \min(x, 0) - \ln(1 + e^{-|x|})",
        lambda x: np.minimum(x, 0) - np.log1p(np.exp(-abs(x))),
    )
    return elementwise(question, formula)
