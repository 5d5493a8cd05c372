import copy

import pytest
import torch
from torch import nn

from dotbogi.stages import GRADIENT, LOSS, MODEL, UPDATE
from dotbogi.training.step import StepRules, training_step


@pytest.fixture
def line() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """The lecture's four points of y = 2x and its linear model, at w = 0.5, b = -0.25."""
    model = nn.Linear(1, 1).double()
    with torch.no_grad():
        model.weight.fill_(0.5)
        model.bias.fill_(-0.25)
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64)
    return model, x, 2 * x


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


def test_the_step_of_a_line_is_what_the_derivatives_by_hand_say(line) -> None:
    model, x, y = line
    # loss = mean (wx + b - 2x)²; ∂/∂w = mean 2x(wx + b - 2x), ∂/∂b = mean 2(wx + b - 2x)
    residuals = [0.5 * v - 0.25 - 2 * v for v in (1, 2, 3, 4)]
    slope = sum(2 * v * r for v, r in zip((1, 2, 3, 4), residuals, strict=True)) / 4
    offset = sum(2 * r for r in residuals) / 4
    logits, loss = training_step(model, nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=0.01), x, y)
    assert float(loss) == pytest.approx(sum(r * r for r in residuals) / 4, rel=1e-15)
    assert model.weight.item() == pytest.approx(0.5 - 0.01 * slope, rel=1e-15)
    assert model.bias.item() == pytest.approx(-0.25 - 0.01 * offset, rel=1e-15)
    assert not logits.requires_grad and not loss.requires_grad


def test_gradients_of_the_step_before_do_not_add_up(line) -> None:
    model, x, y = line
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    training_step(model, nn.MSELoss(), optimizer, x, y)
    first = model.weight.grad.clone()
    training_step(model, nn.MSELoss(), optimizer, x, y)
    assert torch.equal(model.weight.grad, first)


def test_stages_are_entered_in_the_order_of_the_lecture(line) -> None:
    model, x, y = line
    entered: list[str] = []
    training_step(model, nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=0.01), x, y, enter=entered.append)
    assert entered == [MODEL, LOSS, GRADIENT, UPDATE]


@pytest.mark.parametrize("images", [6, 7])  # 7 does not divide into 3 equal parts
def test_accumulated_parts_give_the_gradient_of_the_whole_batch(images: int) -> None:
    torch.manual_seed(1)
    x, y = torch.randn(images, 1, 8, 8, dtype=torch.float64), torch.randint(3, (images,))
    whole, parts = small_net().double(), small_net().double()
    _, loss = training_step(whole, nn.CrossEntropyLoss(), torch.optim.SGD(whole.parameters(), lr=0.1), x, y)
    logits, accumulated = training_step(
        parts,
        nn.CrossEntropyLoss(),
        torch.optim.SGD(parts.parameters(), lr=0.1),
        x,
        y,
        rules=StepRules(accumulation=3),
    )
    assert logits.shape == (images, 3)
    assert float(accumulated) == pytest.approx(float(loss), rel=1e-12)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_clipping_scales_all_gradients_to_the_norm() -> None:
    torch.manual_seed(1)
    x, y = 100 * torch.randn(6, 1, 8, 8), torch.randint(3, (6,))
    model = small_net()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    training_step(model, nn.CrossEntropyLoss(), optimizer, x, y, rules=StepRules(clip_norm=0.5))
    moved = torch.cat([(before[name] - value).flatten() for name, value in model.state_dict().items()])
    assert float(moved.norm()) == pytest.approx(0.5, rel=1e-4)


def test_autocast_computes_in_bf16_and_keeps_the_weights_in_fp32() -> None:
    torch.manual_seed(1)
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rules = StepRules(autocast=torch.bfloat16)
    logits, _ = training_step(
        model, nn.CrossEntropyLoss(), optimizer, torch.randn(6, 1, 8, 8), torch.randint(3, (6,)), rules=rules
    )
    assert logits.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
