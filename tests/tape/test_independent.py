"""Explanations judged by arithmetic and by a plain PyTorch run that share no code with the package."""

import math
import random
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import dotbogi


class Residual(nn.Module):
    """A small residual network with batch norm, in-place ReLU, pooling, dropout and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(8 * 5 * 5, 12)
        self.fc2 = nn.Linear(12, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(images)))  # (B, 8, 10, 10)
        x = self.pool(x + F.silu(self.conv2(x)))  # (B, 8, 5, 5)
        return self.fc2(F.gelu(self.fc1(x.flatten(1))))  # (B, 4)


class Attending(nn.Module):
    """Patches, one attention block with layer norm, and a mean over the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 5, stride=5)
        self.norm = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2)  # (B, 4, 16)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.head(x.mean(1))  # (B, 4)


IMAGES = torch.randn(2, 3, 10, 10, generator=torch.Generator().manual_seed(3))
LABELS = torch.tensor([0, 2])
NAMED = re.compile(r"(gradient )?([\w.]+)\[([\d,]+)\]")


class PlainRun:
    """What modules return, and all gradients, of one step without a tape."""

    def __init__(self, model: nn.Module) -> None:
        self.numbers: dict[str, torch.Tensor] = {"input": IMAGES}
        handles = [
            module.register_forward_hook(lambda _m, _i, output, name=name: self._keep(name, output))
            for name, module in model.named_modules()
            if name
        ]
        loss = F.cross_entropy(model(IMAGES), LABELS)
        self.numbers |= {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        names = [name for name, _parameter in model.named_parameters()]
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        self.numbers |= {f"gradient {name}": gradient for name, gradient in zip(names, gradients, strict=True)}
        self.loss = float(loss.detach())
        for handle in handles:
            handle.remove()

    def _keep(self, name: str, output: object) -> None:
        if isinstance(output, torch.Tensor):
            self.numbers[name] = output.detach().clone()

    def number(self, address: str) -> float | None:
        match = NAMED.fullmatch(address)
        tensor = self.numbers.get((match[1] or "") + match[2]) if match else None
        return None if tensor is None or match is None else float(tensor[tuple(map(int, match[3].split(",")))])


@pytest.mark.parametrize("build", [Residual, Attending])
@pytest.mark.parametrize("training", [False, True])
def test_terms_add_up_and_are_the_numbers_of_a_plain_run(build: type[nn.Module], training: bool) -> None:
    torch.manual_seed(1)
    model = build().train(training)
    tape = dotbogi.record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=torch.optim.SGD(model.parameters()))
    plain = PlainRun(model)
    assert tape.value("loss") == plain.loss
    draw = random.Random(5)
    values = [value for one in tape.operations if not one.plumbing for value in one.outputs if value.numel()]
    looked_up = summed = 0
    for value in (draw.choice(values) for _ in range(400)):
        explanation = tape.explain(value, tuple(draw.randrange(size) for size in value.shape))
        terms = list(explanation.terms)
        assert explanation.agrees, explanation.to_dict(top=5)
        own = plain.number(explanation.address)
        assert own is None or own == explanation.recorded, explanation.address
        for term in draw.sample(terms, min(5, len(terms))):
            held = plain.number(term.address)
            looked_up += held is not None
            assert held is None or held == term.value, (explanation.address, term)
        if explanation.kind == "sum_of_products":
            summed += 1
            total = math.fsum(term.coefficient * term.value for term in terms)
            magnitude = math.fsum(abs(term.coefficient * term.value) for term in terms)
            assert abs(total - explanation.recorded) <= 2**-24 * abs(total) + 32 * 2**-23 * magnitude
    assert looked_up > 100 and summed > 50


@pytest.mark.parametrize("build", [Residual, Attending])
def test_every_term_of_a_sum_matters_by_its_coefficient(build: type[nn.Module]) -> None:
    torch.manual_seed(2)
    tape = dotbogi.record(build().eval(), (IMAGES, LABELS), loss=F.cross_entropy)
    draw = random.Random(6)
    values = [value for one in tape.operations if not one.plumbing for value in one.outputs if value.numel()]
    checked = 0
    for value in (draw.choice(values) for _ in range(200)):
        explanation = tape.explain(value, tuple(draw.randrange(size) for size in value.shape))
        if explanation.kind != "sum_of_products" or not len(explanation.terms):
            continue
        numbers = [term.value for term in explanation.terms]
        position = draw.randrange(len(numbers))
        changed = explanation.evaluate([*numbers[:position], numbers[position] + 0.5, *numbers[position + 1 :]])
        coefficient = explanation.terms[position].coefficient
        assert math.isclose(changed - explanation.result, 0.5 * coefficient, rel_tol=1e-6, abs_tol=1e-9)
        checked += 1
    assert checked > 25


def test_a_wrong_explanation_is_caught() -> None:
    torch.manual_seed(3)
    tape = dotbogi.record(Residual().eval(), IMAGES)
    for address in ("conv2[1,3,4,5]", "fc1[1,7]", "logits[1,3]"):
        explanation = tape.explain(address)
        numbers = [term.value for term in explanation.terms]
        dropped = explanation.evaluate([*numbers[:-1], 0.0])
        for wrong in (dropped, 0.0, -explanation.result):
            assert abs(wrong - explanation.recorded) > explanation.tolerance, address
