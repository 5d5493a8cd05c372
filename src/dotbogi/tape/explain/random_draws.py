"""Random draws: given numbers, with the distribution that they were drawn from; and dropout, which applies them."""

from __future__ import annotations

from typing import Any

import torch

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, copy_of, given, unexplained
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.elementwise import Formula, argument, broadcast_index, elementwise
from dotbogi.tape.explain.number_types import low_precision_rounding
from dotbogi.tape.value import Value


def parameter(question: Question, name: str, default: Any = None) -> Any:
    """Returns a parameter of the distribution, the one of this element where there is a tensor of them."""
    found = argument(question, name, default)
    if isinstance(found, Value):
        return found.item(broadcast_index(question.index, found.shape))
    return found


@explains("bernoulli", "bernoulli_")
def bernoulli(question: Question) -> Arithmetic:
    """1 with a probability, else 0."""
    p = parameter(question, "p")
    p = parameter(question, "self") if p is None else p
    return given(_("a random draw: 1 with the probability {p:g}, else 0").format(p=p))


@explains("rand", "rand_like", "uniform", "uniform_")
def uniform(question: Question) -> Arithmetic:
    """Evenly between two numbers."""
    low, high = parameter(question, "from", 0.0), parameter(question, "to", 1.0)
    return given(_("a random draw, even between {low:g} and {high:g}").format(low=low, high=high))


@explains("randn", "randn_like", "normal", "normal_", "normal_functional")
def normal(question: Question) -> Arithmetic:
    """The normal distribution."""
    mean, std = parameter(question, "mean", 0.0), parameter(question, "std", 1.0)
    return given(
        _("a random draw from the normal distribution, mean {mean:g}, standard deviation {std:g}").format(
            mean=mean, std=std
        )
    )


@explains("log_normal", "log_normal_")
def log_normal(question: Question) -> Arithmetic:
    """exp of a draw from the normal distribution."""
    mean, std = parameter(question, "mean"), parameter(question, "std")
    return given(
        _("a random draw: exp of the normal distribution, mean {mean:g}, standard deviation {std:g}").format(
            mean=mean, std=std
        )
    )


@explains("randint", "randint_like", "random", "random_")
def integer(question: Question) -> Arithmetic:
    """An integer, evenly from a range."""
    low = parameter(question, "low", parameter(question, "from", 0))
    high = parameter(question, "high", parameter(question, "to"))
    if high is None:
        return given(_("a random draw: an integer from {low} on").format(low=low))
    return given(_("a random draw: an integer from {low} to {high}").format(low=low, high=high - 1))


@explains("randperm")
def permutation(question: Question) -> Arithmetic:
    """A random order."""
    count = question.argument("n")
    return given(_("a random draw: the numbers 0 to {last} in a random order").format(last=count - 1))


@explains("multinomial")
def multinomial(question: Question) -> Arithmetic:
    """An index, with probabilities in proportion to weights."""
    return given(_("a random draw: an index, with a probability in proportion to its weight"))


@explains("exponential", "exponential_")
def exponential(question: Question) -> Arithmetic:
    """The exponential distribution."""
    rate = parameter(question, "lambd")
    return given(_("a random draw from the exponential distribution, rate {rate:g}").format(rate=rate))


@explains("geometric", "geometric_")
def geometric(question: Question) -> Arithmetic:
    """The geometric distribution."""
    p = parameter(question, "p")
    return given(_("a random draw from the geometric distribution, probability {p:g}").format(p=p))


@explains("cauchy", "cauchy_")
def cauchy(question: Question) -> Arithmetic:
    """The Cauchy distribution."""
    median, sigma = parameter(question, "median"), parameter(question, "sigma")
    return given(
        _("a random draw from the Cauchy distribution, median {median:g}, width {sigma:g}").format(
            median=median, sigma=sigma
        )
    )


@explains("poisson")
def poisson(question: Question) -> Arithmetic:
    """The Poisson distribution."""
    rate = parameter(question, "self")
    return given(_("a random draw from the Poisson distribution, rate {rate:g}").format(rate=rate))


@explains("binomial")
def binomial(question: Question) -> Arithmetic:
    """The binomial distribution."""
    count, p = parameter(question, "count"), parameter(question, "prob")
    return given(
        _("a random draw from the binomial distribution, {count:g} trials, probability {p:g}").format(count=count, p=p)
    )


@explains("native_dropout")
def dropout(question: Question) -> Arithmetic:
    """x·m / (1 − p), m drawn as 1 with the probability 1 − p, else 0 (Srivastava et al. 2014, JMLR 15:1929)."""
    p = question.argument("p")
    in_training = question.argument("train") is not False
    if question.output == 1:
        return given(_("a random draw: 1 with the probability {p:g}, else 0").format(p=1 - p if in_training else 1.0))
    mask = question.operation.output(1)
    if not in_training or mask is None:
        return elementwise(question, Formula("y = x", "y = x", lambda x: x, {"input": "x"}, relative=True))
    write = low_precision_rounding(question, torch.bfloat16, torch.float16)
    formula = Formula(
        "y = x·(m / (1 − p))",
        r"y = x\,\frac{m}{1 - p}",
        lambda x, m, p: x * write(m * (0.0 if p == 1 else 1 / (1 - p))),
        {"input": "x", "mask": "m", "p": "p"},
        relative=True,
    )
    return elementwise(question, formula, {"mask": (mask, question.index)})


@explains("dropout")
def whole_dropout(question: Question) -> Arithmetic:
    """Dropout that was not taken apart (``torch.inference_mode``): at evaluation it passes on what comes."""
    if question.argument("train"):
        return unexplained(_("what was drawn here was not recorded"))
    return copy_of(question.argument("input"), question.index)


@explains("native_dropout_backward")
def dropout_gradient(question: Question) -> Arithmetic:
    """g·m·s, s = 1 / (1 − p): what was dropped gets no gradient."""
    formula = Formula(
        "∂L/∂x = g·m·s",
        r"\frac{\partial L}{\partial x} = g\,m\,s",
        lambda g, m, s: g * (m * s),
        {"grad_output": "g", "mask": "m", "scale": "s"},
        relative=True,
    )
    return elementwise(question, formula)
