"""A scaled loss: its gradients divided by the scale, and the check that they are finite."""

import math

import pytest
import torch
from torch import nn

from dotbogi.tape.record import record
from dotbogi.training.step import StepRules

from ..conftest import assert_explained


@pytest.mark.parametrize("clip_norm", [0.0, 0.01])
@pytest.mark.parametrize(("scale", "found"), [(8.0, 0.0), (3e38, 1.0)])
def test_the_gradients_of_a_scaled_loss_are_explained(scale, found, clip_norm):
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rules = StepRules(scaler=torch.amp.GradScaler("cpu", init_scale=scale), clip_norm=clip_norm)
    data = (100 * torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))
    tape = record(model, data, loss=nn.functional.cross_entropy, optimizer=optimizer, rules=rules)
    explanations = assert_explained(tape, "_amp_foreach_non_finite_check_and_unscale_")
    assert {explanation.kind for explanation in explanations} == {"function", "reduction"}
    assert explanations[-1].result == found
    values = [term.value for term in explanations[-1].terms]
    assert explanations[-1].evaluate([0.0, *values[1:-1], math.nan]) == 1.0
    first = explanations[0]
    if found == 0:
        assert first.evaluate([first.terms[0].value, 1.0]) != first.result
        assert first.recorded == pytest.approx(first.terms[0].value / scale)
        assert tape.explain("update weight[0,0]").agrees
    else:  # the scaler leaves the update out
        assert tape.explain("update weight[0,0]").kind == "given"
