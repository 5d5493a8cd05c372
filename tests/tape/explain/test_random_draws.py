"""Random draws are given, with their distribution; dropout is explained by the mask that was drawn."""

import pytest
import torch
import torch.nn.functional as F

from ..conftest import assert_explained, operations_called, record_function
from .elementwise_tensors import assert_bites

DRAWS = {
    "bernoulli": (lambda x: torch.bernoulli(x), "a random draw: 1 with the probability 0.25, else 0"),
    "bernoulli.p": (lambda x: torch.ops.aten.bernoulli.p(x, 0.5), "a random draw: 1 with the probability 0.5, else 0"),
    "bernoulli_": (lambda x: x.clone().bernoulli_(0.9), "a random draw: 1 with the probability 0.9, else 0"),
    "bernoulli_.Tensor": (lambda x: x.clone().bernoulli_(x), "a random draw: 1 with the probability 0.25, else 0"),
    "rand": (lambda x: torch.rand(2), "a random draw, even between 0 and 1"),
    "rand_like": (torch.rand_like, "a random draw, even between 0 and 1"),
    "uniform_": (lambda x: x.clone().uniform_(-1, 3), "a random draw, even between -1 and 3"),
    "randn": (
        lambda x: torch.randn(2),
        "a random draw from the normal distribution, mean 0, standard deviation 1",
    ),
    "randn_like": (torch.randn_like, "a random draw from the normal distribution, mean 0, standard deviation 1"),
    "normal_": (
        lambda x: x.clone().normal_(2, 0.5),
        "a random draw from the normal distribution, mean 2, standard deviation 0.5",
    ),
    "normal": (
        lambda x: torch.normal(x, 3.0),
        "a random draw from the normal distribution, mean 0.25, standard deviation 3",
    ),
    "log_normal_": (
        lambda x: x.clone().log_normal_(0, 1),
        "a random draw: exp of the normal distribution, mean 0, standard deviation 1",
    ),
    "randint": (lambda x: torch.randint(2, 9, (3,)), "a random draw: an integer from 2 to 8"),
    "randint_like": (lambda x: torch.randint_like(x, 9), "a random draw: an integer from 0 to 8"),
    "random_": (lambda x: x.clone().random_(5), "a random draw: an integer from 0 to 4"),
    "random_.any": (lambda x: x.clone().random_(), "a random draw: an integer from 0 on"),
    "randperm": (lambda x: torch.randperm(4), "a random draw: the numbers 0 to 3 in a random order"),
    "multinomial": (
        lambda x: torch.multinomial(x, 1),
        "a random draw: an index, with a probability in proportion to its weight",
    ),
    "exponential_": (
        lambda x: x.clone().exponential_(2),
        "a random draw from the exponential distribution, rate 2",
    ),
    "geometric_": (
        lambda x: x.clone().geometric_(0.5),
        "a random draw from the geometric distribution, probability 0.5",
    ),
    "cauchy_": (
        lambda x: x.clone().cauchy_(1, 2),
        "a random draw from the Cauchy distribution, median 1, width 2",
    ),
    "poisson": (torch.poisson, "a random draw from the Poisson distribution, rate 0.25"),
    "binomial": (
        lambda x: torch.binomial(torch.full_like(x, 8), x),
        "a random draw from the binomial distribution, 8 trials, probability 0.25",
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_given_with_its_distribution(name):
    function, told = DRAWS[name]
    tape = record_function(function, torch.full((2, 2), 0.25))
    for explanation in assert_explained(tape, name.split(".")[0]):
        assert (explanation.kind, explanation.arithmetic.note) == ("given", told)


def test_the_probability_is_that_of_the_element():
    tape = record_function(torch.bernoulli, torch.tensor([0.125, 0.5]))
    notes = [tape.explain(f"logits[{place}]").arithmetic.note for place in (0, 1)]
    assert notes == [f"a random draw: 1 with the probability {p}, else 0" for p in (0.125, 0.5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_dropout_is_explained_by_its_mask(dtype, p):
    x = torch.randn(4, 5).to(dtype)

    def function(x):
        return torch.cat([torch.native_dropout(x, p, True)[0], torch.native_dropout(x, p, False)[0], F.dropout(x, p)])

    tape = record_function(function, parameters=(x,), backward=True)
    called = {one.packet for one in tape.operations} & {"bernoulli_", "div_", "mul"}
    explanations = assert_explained(tape, "native_dropout", "native_dropout_backward", *called)
    assert {"function", "given"} <= {one.kind for one in explanations}
    assert operations_called(tape, "native_dropout_backward")


@pytest.mark.parametrize("training, kind", [(True, "unexplained"), (False, "copy")])
def test_dropout_that_is_not_taken_apart_is_explained_at_evaluation(training, kind):
    def function(x):
        with torch.inference_mode():
            return F.dropout(x, 0.5, training)

    tape = record_function(function, torch.randn(3))
    (operation,) = operations_called(tape, "dropout")
    explanation = tape.explain(operation.outputs[0], (1,))
    assert explanation.kind == kind
    assert explanation.arithmetic.note == ("what was drawn here was not recorded" if training else "")
    assert explanation.result == explanation.recorded


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_wrong_explanation_is_caught(dtype):
    x = torch.full((40,), 0.01).to(dtype)
    tape = record_function(lambda x: torch.native_dropout(x, 0.3, True)[0], parameters=(x,), backward=True)
    for packet in ("native_dropout", "native_dropout_backward"):
        explanations = assert_explained(tape, packet, samples=40)
        assert_bites(next(one for one in explanations if one.kind == "function" and one.result))
