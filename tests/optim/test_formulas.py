"""Every formula, recomputed in float64 from what is written, against the class that is built."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dotbogi import recipe
from dotbogi.optim.optimizer import build_optimizer
from dotbogi.optim.schedule import apply_schedule
from dotbogi.registry import OPTIMIZERS, check_hyperparameters

# From the number of the update, the weights, the gradient and lr to the next weights; one per tensor.
Update = Callable[[int, Tensor, Tensor, float], Tensor]
Values = Mapping[str, Any]

STEPS = 12
ZERO = torch.zeros((), dtype=torch.float64)
SHAPES = {"kernel": (8, 4, 3, 3), "matrix": (6, 5), "vector": (5,)}


def sgd(h: Values) -> Update:
    return lambda t, w, g, lr: w - lr * (g + h["weight_decay"] * w)


def momentum(h: Values) -> Update:
    v = ZERO

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        nonlocal v
        g = g + h["weight_decay"] * w
        v = g if t == 1 else h["momentum"] * v + (1 - h["dampening"]) * g
        return w - lr * v

    return update


def nag(h: Values) -> Update:
    v = ZERO

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        nonlocal v
        g = g + h["weight_decay"] * w
        v = h["momentum"] * v + g
        return w - lr * (g + h["momentum"] * v)

    return update


def adagrad(h: Values) -> Update:
    total = ZERO

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        nonlocal total
        g = g + h["weight_decay"] * w
        total = total + g**2
        return w - lr * g / (total.sqrt() + h["epsilon"])

    return update


def rmsprop(h: Values) -> Update:
    square = mean = b = ZERO

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        nonlocal square, mean, b
        g = g + h["weight_decay"] * w
        square = h["alpha"] * square + (1 - h["alpha"]) * g**2
        mean = h["alpha"] * mean + (1 - h["alpha"]) * g
        s = square - mean**2 if h["centered"] else square
        b = h["momentum"] * b + g / (s.sqrt() + h["epsilon"])
        return w - lr * b

    return update


def moments(h: Values) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
    m = v = ZERO

    def both(t: int, g: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal m, v
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        v = h["beta2"] * v + (1 - h["beta2"]) * g**2
        return m, v

    return both


def adam_direction(h: Values) -> Callable[[int, Tensor], Tensor]:
    both = moments(h)

    def direction(t: int, g: Tensor) -> Tensor:
        m, v = both(t, g)
        m_hat, v_hat = m / (1 - h["beta1"] ** t), v / (1 - h["beta2"] ** t)
        return m_hat / (v_hat.sqrt() + h["epsilon"])

    return direction


def adam(h: Values) -> Update:
    direction = adam_direction(h)
    return lambda t, w, g, lr: w - lr * direction(t, g + h["weight_decay"] * w)


def adamw(h: Values) -> Update:
    direction = adam_direction(h)
    return lambda t, w, g, lr: (1 - lr * h["weight_decay"]) * w - lr * direction(t, g)


def adadelta(h: Values) -> Update:
    square = moved = ZERO

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        nonlocal square, moved
        g = g + h["weight_decay"] * w
        square = h["rho"] * square + (1 - h["rho"]) * g**2
        delta = (moved + h["epsilon"]).sqrt() / (square + h["epsilon"]).sqrt() * g
        moved = h["rho"] * moved + (1 - h["rho"]) * delta**2
        return w - lr * delta

    return update


def nadam(h: Values) -> Update:
    both = moments(h)
    # torch keeps the product of the μ in float32, which alone would differ from this by 1e-8.
    product = torch.ones((), dtype=torch.float32)

    def mu(t: int) -> float:
        return h["beta1"] * (1 - 0.5 * 0.96 ** (t * h["momentum_decay"]))

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        g = g + h["weight_decay"] * w
        m, v = both(t, g)
        product.mul_(mu(t))
        until_now = product.item()
        m_hat = mu(t + 1) * m / (1 - until_now * mu(t + 1)) + (1 - mu(t)) * g / (1 - until_now)
        return w - lr * m_hat / ((v / (1 - h["beta2"] ** t)).sqrt() + h["epsilon"])

    return update


def lion(h: Values) -> Update:
    m = ZERO

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        nonlocal m
        sign = torch.sign(h["beta1"] * m + (1 - h["beta1"]) * g)
        m = h["beta2"] * m + (1 - h["beta2"]) * g
        return (1 - lr * h["weight_decay"]) * w - lr * sign

    return update


def lamb(h: Values) -> Update:
    direction = adam_direction(h)

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        r = direction(t, g) + h["weight_decay"] * w
        return w - lr * (w.norm() / r.norm()) * r

    return update


def rms(values: Tensor) -> float:
    return values.pow(2).mean().sqrt().item()


def adafactor(h: Values) -> Update:
    row = column = whole = ZERO

    def average_square(t: int, g: Tensor, epsilon1: float) -> Tensor:
        nonlocal row, column, whole
        new = t ** h["beta2_decay"]
        if g.dim() == 1:
            whole = (1 - new) * whole + new * g**2
            return whole
        row = (1 - new) * row + new * (g**2).mean(-1, keepdim=True)
        column = (1 - new) * column + new * (g**2).mean(-2, keepdim=True)
        return row * column / row.mean(-2, keepdim=True).clamp(min=epsilon1)

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        epsilon1 = torch.finfo(w.dtype).eps if h["epsilon1"] is None else h["epsilon1"]
        alpha = max(h["epsilon2"], rms(w)) * min(lr, 1 / math.sqrt(t))
        u = g / average_square(t, g, epsilon1).clamp(min=epsilon1**2).sqrt()
        return (1 - lr * h["weight_decay"]) * w - alpha * u / max(1, rms(u) / h["clipping_threshold"])

    return update


def radam(h: Values) -> Update:
    both = moments(h)
    rho_end = 2 / (1 - h["beta2"]) - 1

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        m, v = both(t, g + h["weight_decay"] * w)
        m_hat, correction = m / (1 - h["beta1"] ** t), 1 - h["beta2"] ** t
        rho = rho_end - 2 * t * h["beta2"] ** t / correction
        if rho <= 5:
            return w - lr * m_hat
        r = math.sqrt((rho - 4) * (rho - 2) * rho_end / ((rho_end - 4) * (rho_end - 2) * rho))
        return w - lr * m_hat * r * math.sqrt(correction) / (v.sqrt() + h["epsilon"])

    return update


QUINTIC = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def newton_schulz(matrix: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
    x = matrix.to(dtype)
    x = x.T if x.shape[0] > x.shape[1] else x
    x = (x / x.norm().clamp(min=epsilon)).contiguous()
    for a, b, c in QUINTIC:
        gram = x @ x.T
        # One rounding per line, as where the three are written with addmm: bfloat16 tells the difference.
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    return (x.T if matrix.shape[0] > matrix.shape[1] else x).to(matrix.dtype)


def muon(h: Values, dtype: torch.dtype = torch.bfloat16) -> Update:
    fallback = adamw(h)
    m = ZERO

    def update(t: int, w: Tensor, g: Tensor, lr: float) -> Tensor:
        nonlocal m
        if w.dim() == 1:
            return fallback(t, w, g, lr)
        m = h["momentum"] * m + (1 - h["momentum"]) * g
        orthogonal = newton_schulz(m.flatten(1), h["epsilon"], dtype)
        step = 0.2 * math.sqrt(max(orthogonal.shape)) * lr * orthogonal
        return (1 - lr * h["weight_decay"]) * w - step.reshape(w.shape)

    return update


REFERENCES: dict[str, Callable[[Values], Update]] = {
    reference.__name__: reference
    for reference in (
        *(sgd, momentum, nag, adagrad, rmsprop, adam, adamw),
        *(adadelta, nadam, lion, lamb, adafactor, radam, muon),
    )
}
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in REFERENCES),
    *((name, {"weight_decay": 0.3, "lr": 0.05}) for name in REFERENCES),
    ("momentum", {"momentum": 0.7, "dampening": 0.4}),
    ("rmsprop", {"centered": True, "momentum": 0.5, "alpha": 0.8}),
    ("rmsprop", {"epsilon": 0.1}),
    ("adagrad", {"epsilon": 0.1}),
    ("adam", {"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1}),
    ("adadelta", {"rho": 0.5, "epsilon": 0.1}),
    ("nadam", {"momentum_decay": 1.0, "epsilon": 0.1}),
    ("lion", {"beta1": 0.5, "beta2": 0.8}),
    ("lamb", {"weight_decay": 0.0, "epsilon": 0.1}),
    ("adafactor", {"beta2_decay": -0.5, "epsilon1": 0.5, "epsilon2": 2.0, "clipping_threshold": 1.5}),
    ("radam", {"beta1": 0.5, "epsilon": 0.1}),
    ("muon", {"momentum": 0.5, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.01}),
]


def tensors(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, dtype=torch.float64, generator=generator) for name, shape in SHAPES.items()}


def gradients(weights: Mapping[str, Tensor], t: int) -> dict[str, Tensor]:
    """Those of ½·w² + noise·w, so that a mistake in the weights shows in the next gradient."""
    return {name: weights[name] + noise for name, noise in tensors(1000 + t).items()}


def lr_factor(t: int) -> float:
    # A momentum that held steps instead of gradients would go on at the old learning rate.
    return 1.0 if t <= 6 else 0.1


def trained(name: str, given: Values, form: str) -> dict[str, Tensor]:
    model = nn.ParameterDict({key: nn.Parameter(weights) for key, weights in tensors(0).items()})
    optimizer = build_optimizer(recipe.Optimizer(name=name, form=form, **given), model, torch.device("cpu"))
    for t in range(1, STEPS + 1):
        for key, gradient in gradients({key: weights.detach() for key, weights in model.items()}, t).items():
            model[key].grad = gradient
        apply_schedule(optimizer, lr_factor(t))
        optimizer.step()
    return {key: weights.detach() for key, weights in model.items()}


def recomputed(reference: Callable[[Values], Update], values: Values) -> dict[str, Tensor]:
    weights = tensors(0)
    updates = {key: reference(values) for key in weights}
    for t in range(1, STEPS + 1):
        slopes = gradients(weights, t)
        weights = {key: updates[key](t, weights[key], slopes[key], values["lr"] * lr_factor(t)) for key in weights}
    return weights


def values_of(name: str, given: Values) -> Values:
    return check_hyperparameters(OPTIMIZERS.load(name).hyperparameters, given, "optimizer")


def largest_difference(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> float:
    return max((left[key] - right[key]).abs().max().item() for key in left)


@pytest.mark.parametrize(("name", "given"), SETTINGS, ids=str)
def test_formula_is_what_the_class_does(name: str, given: dict[str, Any]) -> None:
    built = trained(name, given, "single-tensor")
    assert largest_difference(built, recomputed(REFERENCES[name], values_of(name, given))) <= 1e-12


@pytest.mark.parametrize("name", REFERENCES)
def test_every_form_follows_the_formula(name: str) -> None:
    reference = recomputed(REFERENCES[name], values_of(name, {}))
    for form in OPTIMIZERS.load(name).forms("cpu"):
        assert largest_difference(trained(name, {}, form), reference) <= 1e-12, form


def test_every_optimizer_of_the_contract_has_its_formula_recomputed() -> None:
    contract = "sgd momentum nag adagrad rmsprop adam adamw adadelta nadam lion lamb adafactor radam muon"
    assert set(REFERENCES) >= set(contract.split())
    assert set(REFERENCES) <= set(OPTIMIZERS.names())


def test_bfloat16_is_part_of_muons_formula() -> None:
    built = trained("muon", {}, "single-tensor")
    exact = recomputed(lambda values: muon(values, torch.float64), values_of("muon", {}))
    # Twelve steps of about 0.2·lr each: bfloat16 moves them by some percent, float64 would not.
    assert 1e-7 < largest_difference(built, exact) < 0.1 * STEPS * 0.2 * 0.002 * math.sqrt(36)


@pytest.mark.parametrize(
    ("name", "first_step"),
    # The lecture's √(G + ε) would give 0.00995 for Adagrad; RMSprop's first step is 10·lr for any gradient.
    [("adagrad", 0.1), ("rmsprop", 1.0)],
)
def test_epsilon_stands_outside_the_root(name: str, first_step: float) -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.zeros(1, dtype=torch.float64))})
    settings = {"lr": 0.1, "epsilon": 1e-10}
    optimizer = build_optimizer(recipe.Optimizer(name=name, **settings), model, torch.device("cpu"))
    model["w"].grad = torch.full((1,), 1e-6, dtype=torch.float64)
    optimizer.step()
    assert -model["w"].item() == pytest.approx(first_step, rel=2e-3)


def test_adadeltas_first_step_is_what_its_text_says() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.zeros(1, dtype=torch.float64))})
    optimizer = build_optimizer(recipe.Optimizer(name="adadelta"), model, torch.device("cpu"))
    model["w"].grad = torch.full((1,), 50.0, dtype=torch.float64)
    optimizer.step()
    assert -model["w"].item() == pytest.approx(0.003, rel=0.06)


def test_radam_is_plain_momentum_for_five_steps_only() -> None:
    values = values_of("radam", {})
    rho = [2 / (1 - values["beta2"]) - 1 - 2 * t * values["beta2"] ** t / (1 - values["beta2"] ** t) for t in (5, 6)]
    assert rho[0] == pytest.approx(4.996, abs=1e-3)
    assert rho[0] <= 5 < rho[1]
