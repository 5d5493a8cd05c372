"""Products of three tensors."""

import pytest
import torch
import torch.nn.functional as F

from ..conftest import assert_explained, record_function


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("before", [(5,), (2, 3)])
def test_a_bilinear_layer_and_its_gradients_are_explained(dtype, before):
    parameters = (*(torch.randn(*before, size, dtype=dtype) for size in (3, 4)), torch.randn(2, 3, 4, dtype=dtype))
    tape = record_function(F.bilinear, parameters=parameters, backward=True)
    assert len(assert_explained(tape, "_trilinear")) > 12


def test_a_wrong_explanation_of_a_bilinear_layer_does_not_agree():
    parameters = torch.rand(5, 3) + 1, torch.rand(5, 4) + 1, torch.rand(2, 3, 4) + 1
    for explanation in assert_explained(record_function(F.bilinear, parameters=parameters), "_trilinear"):
        right = explanation.terms.values
        for wrong in ([*right[:-1], 0.0], 0.9 * right, 0 * right):
            assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance
