"""What a class of optimizers can be told to do beside its formula, and optimizers that nobody knows."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dotbogi.tape.explanation import Explanation
from dotbogi.tape.record import record
from dotbogi.tape.tape import Tape
from dotbogi.training.step import StepRules

MATRIX, VECTOR = "2.weight[1,4]", "0.bias[2]"
IMAGES, LABELS = torch.randn(6, 12, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 1, 2, 2, 1, 0])


def model_of(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 4)).to(dtype)


def step(model: nn.Module, optimizer, rules: StepRules = StepRules()) -> Tape:  # noqa: B008
    images = IMAGES.to(next(model.parameters()).dtype)
    return record(model, (images, LABELS), loss=F.cross_entropy, optimizer=optimizer, rules=rules, keep=True)


def assert_adds_up(tape: Tape, *addresses: str) -> list[Explanation]:
    found = [tape.explain(address) for address in addresses]
    for name, value in tape.names.given.items():
        if name.startswith(("update", "state")) and not name.endswith(".step"):
            found.append(tape.explain(value, (0,) * len(value.shape)))
    for explanation in found:
        assert explanation.kind != "unexplained", explanation
        assert explanation.agrees, explanation
    return found


def optimizers():
    from timm.optim.lamb import Lamb
    from timm.optim.lion import Lion
    from timm.optim.muon import Muon
    from torch import optim

    yield optim.SGD, {"lr": 0.1, "weight_decay": 0.1, "maximize": True}, "g ← −g"
    yield optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}, "v ← μ·v + (1 − τ)·g"
    yield optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, "w ← w − lr·(g + μ·v)"
    yield optim.SGD, {"lr": torch.tensor(0.1), "momentum": 0.5}, "w ← w − lr·v"
    yield optim.Adam, {"amsgrad": True, "weight_decay": 0.1}, "v_max ← max(v_max, v)"
    yield optim.Adam, {"maximize": True, "weight_decay": 0.1}, "g ← g + λ·w"
    yield optim.Adam, {"weight_decay": 0.1, "decoupled_weight_decay": True}, "w ← (1 − lr·λ)·w"
    yield optim.AdamW, {"amsgrad": True}, "v̂ = v_max/(1 − β₂ᵗ)"
    yield optim.Adam, {"betas": (0.0, 0.0), "eps": 0.0}, "m ← β₁·m + (1 − β₁)·g"
    yield optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}, "w ← (1 − lr·λ)·w"
    yield optim.NAdam, {"weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}, "g ← g + λ·w"
    yield optim.RAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}, "w ← (1 − lr·λ)·w"
    yield optim.RAdam, {"weight_decay": 0.1, "betas": (0.9, 0.9999)}, "w ← w − m̂·lr"
    yield optim.RMSprop, {"centered": True, "momentum": 0.5, "weight_decay": 0.1}, "b ← μ·b + g/(√s + ε)"
    yield optim.RMSprop, {"centered": True, "maximize": True}, "s = E − ḡ²"
    yield (
        optim.Adagrad,
        {"lr_decay": 0.2, "initial_accumulator_value": 0.3, "weight_decay": 0.1},
        "lr ← lr/(1 + (t − 1)·η)",
    )
    yield optim.Adadelta, {"weight_decay": 0.1, "maximize": True, "rho": 0.5}, "Δ = √(D + ε)/√(E + ε)·g"
    yield optim.Adafactor, {"weight_decay": 0.1, "maximize": True, "eps": (1e-20, 0.01), "d": 2.0}, "w ← (1 − lr·λ)·w"
    yield Lion, {"weight_decay": 0.1, "maximize": True}, "u = sign(β₁·m + (1 − β₁)·g)"
    yield Lamb, {"max_grad_norm": 0.01}, "g ← g/c"
    yield Lamb, {"weight_decay": 0.0}, "w ← w − lr·r"
    yield Lamb, {"trust_clip": True, "max_grad_norm": None}, "η = min(‖w‖/‖r‖, 1)"
    yield Lamb, {"decoupled_decay": True, "weight_decay": 0.1, "max_grad_norm": None}, "w ← w − lr·λ·w"
    yield Lamb, {"bias_correction": False, "max_grad_norm": None}, "m̂ = m"
    yield Muon, {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "original"}, "w ← w − lr·s·X₅"
    # What a formula does not cover is left to the operations:
    yield Lamb, {"grad_averaging": False}, None
    yield Lamb, {"decoupled_decay": True, "corrected_weight_decay": True}, None
    yield Lion, {"caution": True}, None
    yield Lion, {"corrected_weight_decay": True, "weight_decay": 0.1}, None
    yield Muon, {"nesterov": True}, None
    yield Muon, {"algo": "adamuon"}, None
    yield optim.Adamax, {}, None
    yield optim.ASGD, {}, None
    yield optim.Rprop, {}, None


@pytest.mark.parametrize(("kind", "options", "line"), list(optimizers()), ids=str)
def test_options_are_honoured_or_left_to_the_operations(kind, options, line):
    model = model_of()
    optimizer = kind(model.parameters(), **options)
    for _ in range(3):
        tape = step(model, optimizer)
        update, *_others = assert_adds_up(tape, f"update {MATRIX}", f"update {VECTOR}")
        if line is not None and "dampening" not in options:
            assert line in update.formula.splitlines()
    if line is None:
        assert update.formula == tape.explain(f"op {update.operation.index}[1,4]").formula
    else:
        assert line in update.formula.splitlines()


def test_radam_is_rectified_as_soon_as_enough_gradients_were_seen():
    model = model_of()
    optimizer = torch.optim.RAdam(model.parameters())
    formulas = []
    for _ in range(6):
        formulas.append(assert_adds_up(step(model, optimizer), f"update {MATRIX}")[0].formula)
    assert ["√v" in formula for formula in formulas] == [False] * 5 + [True]


def test_where_a_norm_is_zero_lamb_does_not_scale():
    from timm.optim.lamb import Lamb

    model = model_of()
    nn.init.zeros_(model[0].bias)
    tape = step(model, Lamb(model.parameters()))
    explanation, *_others = assert_adds_up(tape, "update 0.bias[1]")
    assert "η = 1" in explanation.formula.splitlines()


class SignedDescent(torch.optim.Optimizer):
    """A person's own optimizer: the sign of the gradient, and a count of the steps."""

    def __init__(self, parameters, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    state["steps"] = state.get("steps", 0) + 1
                    parameter.sub_(parameter.grad.sign().mul_(group["lr"] / state["steps"]))


class MyAdam(torch.optim.Adam):
    """Changes what Adam does, so that Adam's formula would be wrong."""

    @torch.no_grad()
    def step(self, closure=None) -> None:
        super().step()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(0.99)


@pytest.mark.parametrize("kind", [SignedDescent, MyAdam])
def test_ones_own_optimizer_is_plain_arithmetic(kind):
    model = model_of()
    optimizer = kind(model.parameters(), lr=0.01)
    for _ in range(2):
        update, *_others = assert_adds_up(step(model, optimizer), f"update {MATRIX}")
    assert update.operation.packet in ("sub_", "mul_")
    assert update.kind in ("sum_of_products", "function")


def test_a_group_has_its_own_options():
    model = model_of()
    groups = [{"params": [model[0].weight, model[2].bias], "lr": 0.5}, {"params": [model[2].weight], "momentum": 0.0}]
    tape = step(model, torch.optim.SGD(groups, lr=0.25, momentum=0.9))
    first, second = assert_adds_up(tape, "update 0.weight[0,0]", "update 2.weight[0,0]")[:2]
    assert (first.arithmetic.constants["lr"], second.arithmetic.constants["lr"]) == (0.5, 0.25)
    assert [one.formula.count("v") for one in (first, second)] == [2, 0]
    untouched = tape.explain("update 0.bias[1]")
    assert untouched.kind == "given"
    assert untouched.recorded == tape.value("0.bias[1]")


def test_a_parameter_without_a_gradient_stays():
    model = model_of()
    model[0].requires_grad_(False)
    unused = nn.Parameter(torch.ones(2))
    model.register_parameter("unused", unused)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=0.5)
    tape = step(model, optimizer)
    for address in ("update 0.weight[1,1]", "update unused[0]"):
        explanation = tape.explain(address)
        assert explanation.kind == "given"
        assert explanation.recorded == tape.value(address.removeprefix("update "))
    assert tape.explain("update 2.weight[1,1]").kind == "function"


class Tied(nn.Module):
    """An autoencoder whose two layers share their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(12, 12), nn.Linear(12, 12)
        self.decode.weight = self.encode.weight

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images).tanh())[:, :4]


def test_tied_parameters_are_updated_once():
    torch.manual_seed(1)
    model = Tied()
    tape = step(model, torch.optim.Adam(model.parameters()))
    one, other = assert_adds_up(tape, "update encode.weight[3,4]", "update decode.weight[3,4]")[:2]
    assert one.recorded == other.recorded != tape.value("encode.weight[3,4]")
    assert one.formula == other.formula
    assert next(term for term in one.terms if term.label.startswith("g")).value == tape.value(
        "gradient encode.weight[3,4]"
    )


@pytest.mark.parametrize("clip_norm", [0.01, 1000.0])
def test_a_clipped_gradient_is_what_is_read(clip_norm):
    model = model_of()
    tape = step(model, torch.optim.SGD(model.parameters(), lr=0.1), StepRules(clip_norm=clip_norm))
    update, *_others = assert_adds_up(tape, f"update {MATRIX}")
    gradient = next(term for term in update.terms if term.label.startswith("g"))
    clipped = tape.explain_at(gradient.value_id, gradient.index)
    assert clipped.agrees
    assert clipped.formula == "g ← g·c"
    assert next(term.address for term in clipped.terms) == f"gradient {MATRIX}"
    norm = torch.cat([tape.names.given[f"gradient {name}"].tensor().flatten() for name, _ in model.named_parameters()])
    factor = min(1.0, clip_norm / (float(norm.norm()) + 1e-6))
    assert clipped.terms[1].value == pytest.approx(factor, rel=1e-5)
    assert gradient.value == pytest.approx(tape.value(f"gradient {MATRIX}") * factor, rel=1e-5)
    assert tape.explain_at(clipped.terms[1].value_id, ()).agrees


def test_accumulated_gradients_are_read_together():
    model, whole = model_of(), model_of()
    tape = step(model, torch.optim.SGD(model.parameters(), lr=0.1), StepRules(accumulation=3, clip_norm=0.05))
    plain = step(whole, torch.optim.SGD(whole.parameters(), lr=0.1), StepRules(clip_norm=0.05))
    update, *_others = assert_adds_up(tape, f"update {MATRIX}")
    assert update.recorded == pytest.approx(plain.value(f"update {MATRIX}"), rel=1e-5)
    assert tape.value(f"gradient {MATRIX}") == pytest.approx(plain.value(f"gradient {MATRIX}"), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("count", [5, 37, 256])
def test_low_precision_is_rounded_as_torch_does(dtype, count):
    model = nn.Linear(12, count).to(dtype)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):
        tape = record(model, (IMAGES.to(dtype), LABELS % count), loss=F.cross_entropy, optimizer=optimizer, keep=True)
    for position in range(count):
        explanation = tape.explain(f"update bias[{position}]")
        assert explanation.agrees, explanation
        assert str(dtype).removeprefix("torch.") in explanation.formula


def test_facts_tell_the_options_as_they_were():
    model = model_of()
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.25))
    tape = step(model, optimizer)
    assert tape.facts["implementation"] == "torch.optim.adam:Adam"
    assert tape.facts["groups"][0]["lr"] == 0.25
    assert tape.facts["parameters"]["0.bias"].group == 0
    assert record(model, IMAGES).facts["implementation"] == ""


@pytest.mark.parametrize("name", ["adam", "lamb", "adafactor", "muon"])
def test_a_changed_weight_is_updated_by_the_same_formula(name):
    """In a what-if Python's own numbers stay as recorded, such as a norm that Adafactor read."""
    tape = record(model_of(), (IMAGES, LABELS), loss=F.cross_entropy, optimizer=name)
    changed = tape.what_if({"0.weight[0,1]": 0.5})
    for address in ("update 0.weight[0,1]", f"update {MATRIX}"):
        explanation = changed.explain(address)
        assert explanation.agrees, explanation
        assert explanation.kind == "function"
    assert abs(changed.value("update 0.weight[0,1]") - 0.5) < 0.02


@pytest.mark.parametrize("name", ["adam", "lamb", "adafactor"])
def test_an_update_of_what_was_not_kept_is_computed_again(name):
    model = model_of()
    tape = record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=name, modules=["2"])
    whole = record(model, (IMAGES, LABELS), loss=F.cross_entropy, optimizer=name)
    for address in ("update 0.weight[0,1]", f"update {MATRIX}"):
        explanation = tape.explain(address)
        assert explanation.agrees, explanation
        assert explanation.recorded == whole.value(address)


def test_a_single_number_is_updated_like_any_other():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.factor = nn.Linear(12, 4), nn.Parameter(torch.tensor(2.0))

        def forward(self, images: Tensor) -> Tensor:
            return self.layer(images) * self.factor

    for name in ("adam", "adafactor", "muon", "lamb", "nadam"):
        tape = record(Scaled(), (IMAGES, LABELS), loss=F.cross_entropy, optimizer=name)
        explanation = tape.explain("update factor")
        assert (explanation.kind, explanation.agrees) == ("function", True)
