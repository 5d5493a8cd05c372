"""A piecewise-linear network's number as a sum over the input, against autograd and a run in float64."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dotbogi.errors import TapeError
from dotbogi.tape.analyses.linear_parts import linear_parts
from dotbogi.tape.record import record


class Residual(nn.Module):
    """In-place writes, views, a slice overwritten with a constant and one with part of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.shift = nn.Parameter(torch.randn(2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y += 2 * x - self.shift
        y = F.relu_(y)
        z = torch.ones_like(y)
        z[:, 0] = y[:, 1].flip(-1)
        z[:, 1, 0] = 0.5
        z[:, 1, 1:].sub_(y[:, 0, 1:] / 4, alpha=3)
        return torch.cat([z, -y.clamp(-0.5, 0.7)], 1).mean((2, 3))


def convolutional() -> nn.Module:
    norm = nn.BatchNorm2d(4)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(norm.weight)
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, groups=2), norm, nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.5)),
        *(nn.Conv2d(4, 4, 2, bias=False), nn.LeakyReLU(0.1), nn.AvgPool2d(2, 1), nn.ReLU6(), nn.Flatten()),
        nn.LazyLinear(3),
    )


MODELS = {
    "convolutional": convolutional,
    "residual": Residual,
    "perceptron": lambda: nn.Sequential(nn.Flatten(), nn.Linear(200, 5), nn.ReLU(), nn.Linear(5, 3)),
    "dropout in training": lambda: nn.Sequential(nn.Flatten(), nn.Linear(200, 50), nn.Dropout(0.5), nn.Linear(50, 3)),
    "adaptive": lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.Hardtanh(-0.2, 0.1), nn.AdaptiveAvgPool2d(2)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_sum_is_the_number_and_the_slopes_are_its_derivative(name):
    model = MODELS[name]()
    images = torch.randn(2, 2, 10, 10)
    model.eval()(images)
    model.train(name == "dropout in training")
    torch.manual_seed(1)
    tape = record(model, images)
    logits = tape.names.given["logits"]
    index = (1, 1, *[0] * (len(logits.shape) - 2))
    parts = linear_parts(tape, f"logits[{','.join(map(str, index))}]")
    exact, pixels = copy.deepcopy(model).double(), images.double().requires_grad_()
    if name == "dropout in training":
        torch.manual_seed(1)  # the draws of float32, as recorded
        mask = next(value for op in tape.operations if op.packet == "div_" for value in op.outputs).view().double()
        exact[2] = Times(mask)
    number = exact(pixels)[index]
    number.backward()
    assert parts.result == pytest.approx(float(number.detach()), rel=1e-12, abs=1e-12)
    assert torch.allclose(parts.slopes, pixels.grad, rtol=1e-10, atol=1e-12)
    assert parts.recorded == tape.value(f"logits[{','.join(map(str, index))}]")
    assert abs(parts.difference) <= 1e-5
    assert parts.result == float(parts.products.sum()) + parts.constant
    assert parts.slopes[0].abs().sum() == 0
    assert "= Σ slope·x + constant =" in str(parts)


class Times(nn.Module):
    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def test_a_network_worked_by_hand():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 1.0]]))
        model[0].bias.copy_(torch.tensor([1.0, 0.0]))
        model[2].weight.copy_(torch.tensor([[3.0, 5.0]]))
        model[2].bias.copy_(torch.tensor([-1.0]))
    # 3·relu(1·2 + 2·1 + 1) + 5·relu(−2 + 1) − 1: the second unit is off, so 3·x₀ + 6·x₁ + 2.
    parts = linear_parts(record(model, torch.tensor([[2.0, 1.0]])), "logits[0,0]")
    assert parts.slopes.tolist() == [[3.0, 6.0]]
    assert (parts.constant, parts.result, parts.difference) == (2.0, 14.0, 0.0)


def test_the_sum_goes_back_to_the_pixels_too():
    pixels = torch.randint(0, 256, (1, 2, 4, 4), dtype=torch.uint8)
    model = nn.Sequential(nn.Conv2d(2, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2))
    tape = record(model, pixels, prepare=lambda images: (images.float() / 255 - 0.5) / 0.25)
    of_input, of_pixels = linear_parts(tape, "logits[0,1]"), linear_parts(tape, "logits[0,1]", of="pixel")
    assert torch.allclose(of_pixels.slopes, of_input.slopes / 255 / 0.25)
    assert of_pixels.result == pytest.approx(of_input.result, abs=1e-6)
    assert torch.equal(of_pixels.inputs, pixels.double())


@pytest.mark.parametrize(
    ("layer", "operation"),
    [
        (nn.Sigmoid(), "aten.sigmoid.default"),
        (nn.BatchNorm1d(3), "aten.native_batch_norm.default"),
        (nn.LayerNorm(3), "aten.native_layer_norm.default"),
        (nn.Softmax(1), "aten._softmax.default"),
    ],
)
def test_what_is_not_piecewise_linear_is_named(layer, operation):
    tape = record(nn.Sequential(nn.Linear(3, 3), layer, nn.Linear(3, 2)), torch.randn(4, 3))
    with pytest.raises(TapeError, match=f"{operation}, in 1, is not piecewise linear"):
        linear_parts(tape, "logits[0,1]")
    assert abs(linear_parts(tape, "0[0,1]").difference) < 1e-6


def test_a_slope_of_0_hides_nothing():
    model = nn.Sequential(nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 2))
    nn.init.zeros_(model[2].weight)
    with pytest.raises(TapeError, match="sigmoid"):
        linear_parts(record(model, torch.randn(1, 3)), "logits[0,1]")


def test_a_product_of_two_activations_is_not_piecewise_linear():
    class Squared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.abs().clamp(max=2.0)

    with pytest.raises(TapeError, match=r"aten.mul.Tensor, in the model, is not piecewise linear"):
        linear_parts(record(Squared(), torch.randn(3)), "logits[0]")


def test_an_input_that_is_not_there_is_named():
    with pytest.raises(TapeError, match="This tape has no pixel"):
        linear_parts(record(nn.ReLU(), torch.ones(3)), "logits[0]", of="pixel")
