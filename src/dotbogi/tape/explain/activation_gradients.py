"""Gradients of activation functions, elementwise: the gradient that comes back, times the slope at the input.

Source of the slopes: the derivatives of the formulas at
https://pytorch.org/docs/stable/nn.html#non-linear-activations-weighted-sum-nonlinearity
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.activations import GELU_CUBIC, cases, logistic
from dotbogi.tape.explain.elementwise import Formula, elementwise, explains_formulas
from dotbogi.tape.explain.number_types import low_precision_rounding

GX = {"grad_output": "g", "self": "x"}
GY = {"grad_output": "g", "output": "y"}


def slope_cases(first: str, condition: str, otherwise: str, of: str = "x") -> str:
    """Returns a gradient of two branches in LaTeX."""
    return rf"\frac{{\partial L}}{{\partial {of}}}{cases(first, condition, otherwise).removeprefix('y')}"


def at_input(text: str, latex: str, slope: Callable[[Any], Any]) -> Formula:
    """Returns the formula of a gradient: g times the slope of the activation at its input x."""
    return Formula(
        f"∂L/∂x = {text}",
        rf"\frac{{\partial L}}{{\partial x}} = {latex}",
        lambda g, x: g * slope(x),
        GX,
        scale=lambda g, x: abs(g) * (1 + abs(x)),
    )


def passed(condition: str, latex: str, passes: Callable[..., bool], symbols: dict[str, str], **more: Any) -> Formula:
    """Returns the formula of a gradient that either goes through or is lost: a selection."""
    return Formula(
        f"∂L/∂x = g if {condition} else 0",
        slope_cases("g", latex, "0"),
        lambda g, *rest: g if passes(*rest) else 0.0,
        symbols,
        scale=lambda g, *rest: abs(g),
        chosen=lambda _g, *rest: 0 if passes(*rest) else None,
        **more,
    )


def silu_slope(x: Any) -> Any:
    """Returns σ(x)·(1 + x·(1 − σ(x)))."""
    return logistic(x) * (1 + x * (1 - logistic(x)))


def mish_slope(x: Any) -> Any:
    """Returns tanh(s) + x·σ(x)·(1 − tanh²(s)), s the softplus of x."""
    t = np.tanh(np.log1p(np.exp(x)))
    return t + x * logistic(x) * (1 - t * t)


def gelu_slope(x: Any) -> Any:
    """Returns Φ(x) + x·φ(x), Φ and φ the normal distribution's."""
    return (1 + math.erf(x / math.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def gelu_tanh_slope(x: Any) -> Any:
    """Returns (1 + t) / 2 + x·(1 − t²)·u′ / 2, t the hyperbolic tangent of u = √(2/π)·(x + 0.044715·x³)."""
    root = math.sqrt(2 / math.pi)
    t = np.tanh(root * (x + GELU_CUBIC * x**3))
    return (1 + t) / 2 + x / 2 * (1 - t * t) * root * (1 + 3 * GELU_CUBIC * x * x)


def hardswish_slope(x: Any) -> Any:
    """Returns 0 below −3, 1 above 3, and x/3 + ½ between."""
    return 0.0 if x <= -3 else x / 3 + 0.5 if x < 3 else 1.0


def softplus_slope(x: Any, beta: Any, threshold: Any) -> Any:
    """Returns σ(β·x), and 1 above the threshold."""
    return 1.0 if beta * x > threshold else logistic(beta * x)


def log_sigmoid_slope(x: Any, z: Any) -> Any:
    """Returns 1 − σ(x), by z = exp(−|x|) of the forward pass, so that nothing overflows."""
    part = z / (1 + z)
    return 1 - part if x < 0 else part


GELU = at_input("g·(Φ(x) + x·φ(x))", r"g\,(\Phi(x) + x\,\varphi(x))", gelu_slope)
GELU_TANH = at_input(
    "g·((1 + t) / 2 + x·(1 − t²)·√(2/π)·(1 + 0.134145·x²) / 2), t = tanh(√(2/π)·(x + 0.044715·x³))",
    r"g\left(\frac{1 + t}{2} + \frac{x}{2}(1 - t^2)\sqrt{2/\pi}\,(1 + 0.134145\,x^2)\right),\;"
    r" t = \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3))",
    gelu_tanh_slope,
)
_ELU = {"grad_output": "g", "alpha": "α", "scale": "s", "input_scale": "k"}
_SIXTH = float(np.float32(1 / 6))  # of this precision in every type: cpu/Activation.cpp
_SHRINK = {"grad_output": "g", "self": "x", "lambd": "λ"}
_SOFTPLUS = {**GX, "beta": "β", "threshold": "t"}

explains_formulas(
    {
        "threshold_backward": passed("x > t", "x > t", lambda x, t: not x <= t, {**GX, "threshold": "t"}),
        "hardtanh_backward": passed(
            "low < x < high",
            r"\mathrm{low} < x < \mathrm{high}",
            lambda x, low, high: not (x <= low or x >= high),
            {**GX, "min_val": "low", "max_val": "high"},
            rounds=frozenset({"min_val", "max_val"}),
        ),
        "softshrink_backward": passed(
            "|x| > λ", r"|x| > \lambda", lambda x, bound: not abs(x) <= bound, _SHRINK, rounds=frozenset({"lambd"})
        ),
        "hardshrink_backward": passed(
            "|x| > λ",
            r"|x| > \lambda",
            lambda x, bound: not abs(x) <= bound,
            {"grad_out": "g", "self": "x", "lambd": "λ"},
            rounds=frozenset({"lambd"}),
        ),
        "silu_backward": at_input("g·σ(x)·(1 + x·(1 − σ(x)))", r"g\,\sigma(x)\,(1 + x\,(1 - \sigma(x)))", silu_slope),
        "mish_backward": at_input(
            "g·(t + x·σ(x)·(1 − t²)), t = tanh(log(1 + exp(x)))",
            r"g\,(t + x\,\sigma(x)\,(1 - t^2)),\; t = \tanh(\ln(1 + e^{x}))",
            mish_slope,
        ),
        "hardsigmoid_backward": Formula(
            "∂L/∂x = g / 6 if −3 < x < 3 else 0",
            slope_cases("g / 6", "-3 < x < 3", "0"),
            lambda g, x: g * _SIXTH if -3 < x < 3 else 0.0,
            GX,
            relative=True,
        ),
        "hardswish_backward": at_input(
            "0 if x ≤ −3, g if x ≥ 3, else g·(x / 3 + 1/2)",
            r"\begin{cases} 0 & x \leq -3 \\ g & x \geq 3 \\ g\,(x / 3 + \frac{1}{2}) & \text{else} \end{cases}",
            hardswish_slope,
        ),
        "tanh_backward": Formula(
            "∂L/∂x = g·(1 − y²)",
            r"\frac{\partial L}{\partial x} = g\,(1 - y^2)",
            lambda g, y: g * (1 - y * y),
            GY,
            scale=lambda g, y: abs(g),
        ),
        "leaky_relu_backward": Formula(
            "∂L/∂x = g if x > 0 else s·g",
            slope_cases("g", "x > 0", "s g"),
            lambda g, x, slope: g if x > 0 else slope * g,
            {**GX, "negative_slope": "s"},
            relative=True,
        ),
        "softplus_backward": Formula(
            "∂L/∂x = g if β·x > t else g·σ(β·x)",
            slope_cases("g", r"\beta x > t", r"g\,\sigma(\beta x)"),
            lambda g, x, beta, threshold: g * softplus_slope(x, beta, threshold),
            _SOFTPLUS,
            relative=True,
        ),
    }
)


@explains("elu_backward")
def elu(question: Question) -> Arithmetic:
    """g·s for positive x, else g·k·s·α·exp(k·x), which of the result y = s·α·(exp(k·x) − 1) is g·k·(y + s·α)."""
    if question.argument("is_result"):
        text, otherwise, symbol = "∂L/∂x = g·s if y > 0 else g·k·(y + s·α)", r"g k (y + s \alpha)", "y"
        slope: Callable[..., Any] = lambda y, alpha, scale, k: k * (y + scale * alpha)  # noqa: E731
    else:
        text, otherwise, symbol = "∂L/∂x = g·s if x > 0 else g·k·s·α·exp(k·x)", r"g k s \alpha e^{k x}", "x"
        slope = lambda x, alpha, scale, k: k * scale * alpha * np.exp(k * x)  # noqa: E731
    formula = Formula(
        text,
        slope_cases("g s", f"{symbol} > 0", otherwise),
        lambda g, alpha, scale, k, at: g * (slope(at, alpha, scale, k) if at <= 0 else scale),
        {**_ELU, "self_or_result": symbol},
        scale=lambda g, alpha, scale, k, at: abs(g * scale) * max(1, abs(alpha * k)),
    )
    return elementwise(question, formula)


@explains("gelu_backward")
def gelu(question: Question) -> Arithmetic:
    """g·(Φ(x) + x·φ(x)), or the slope of the approximation (Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    return elementwise(question, GELU_TANH if question.argument("approximate") == "tanh" else GELU)


@explains("sigmoid_backward")
def sigmoid(question: Question) -> Arithmetic:
    """g·(1 − y)·y; the CPU rounds every step to float16."""
    write = low_precision_rounding(question, torch.float16)
    formula = Formula(
        "∂L/∂x = g·(1 − y)·y",
        r"\frac{\partial L}{\partial x} = g\,(1 - y)\,y",
        lambda g, y: write(g * write(1 - y)) * y,
        GY,
        relative=True,
    )
    return elementwise(question, formula)


@explains("logit_backward")
def logit(question: Question) -> Arithmetic:
    """g / (x·(1 − x)), 0 outside [ε, 1 − ε]; the CPU rounds every step to bfloat16 and float16."""
    write = low_precision_rounding(question, torch.bfloat16, torch.float16)

    def function(g: Any, x: Any, eps: Any) -> Any:
        low = 0.0 if eps is None else write(eps)
        if x < low or x > write(1 - low):
            return math.nan if eps is None else 0.0
        return g / write(x * write(1 - x))

    formula = Formula(
        "∂L/∂x = g / (x·(1 − x))",
        r"\frac{\partial L}{\partial x} = \frac{g}{x\,(1 - x)}",
        function,
        {**GX, "eps": "ε"},
        relative=True,
    )
    return elementwise(question, formula)


@explains("log_sigmoid_backward")
def log_sigmoid(question: Question) -> Arithmetic:
    """g·(1 − σ(x)); on the CPU by exp(−|x|) as the forward pass wrote it down."""
    text, latex = "∂L/∂x = g·(1 − σ(x))", r"\frac{\partial L}{\partial x} = g\,(1 - \sigma(x))"
    if not question.argument("buffer").numel():
        slope = lambda g, x: g * log_sigmoid_slope(x, np.exp(-abs(x)))  # noqa: E731
        return elementwise(question, Formula(text, latex, slope, GX, relative=True))
    formula = Formula(
        f"{text}, 1 − σ(x) = z / (1 + z) if x ≥ 0 else 1 − z / (1 + z)",
        latex,
        lambda g, x, z: g * log_sigmoid_slope(x, z),
        {**GX, "buffer": "z"},
        relative=True,
    )
    return elementwise(question, formula)


@explains("_prelu_kernel_backward")
def prelu(question: Question) -> Arithmetic:
    """g for positive x, else w·g; and with respect to the weight x·g for negative x, before it is summed."""
    if question.output == 1:
        formula = Formula(
            "∂L/∂w = 0 if x > 0 else g·x",
            slope_cases("0", "x > 0", "g x", "w"),
            lambda g, x: 0.0 if x > 0 else g * x,
            GX,
            relative=True,
        )
        return elementwise(question, formula)
    formula = Formula(
        "∂L/∂x = g if x > 0 else w·g",
        slope_cases("g", "x > 0", "w g"),
        lambda g, x, w: g if x > 0 else w * g,
        {**GX, "weight": "w"},
        relative=True,
    )
    return elementwise(question, formula)
