"""What an optimizer wrote: its formula, with the field's names, for every optimizer that can be chosen."""

import math
import random
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dotbogi import recipe as recipes
from dotbogi.optim.optimizer import SINGLE_TENSOR, build_optimizer
from dotbogi.registry import OPTIMIZERS
from dotbogi.tape.explanation import Explanation
from dotbogi.tape.record import record
from dotbogi.tape.tape import Tape

STEPS = 3
NEW_STATES = {"exp_avg", "exp_avg_sq", "momentum_buffer", "square_avg", "acc_delta", "sum", "row_var", "col_var"}
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def small_model(dtype: torch.dtype = torch.float32) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(80, 4)).to(dtype)


def small_step(model: nn.Module, optimizer, **options) -> Tape:
    dtype = next(model.parameters()).dtype
    images = torch.randn(3, 2, 6, 6, dtype=dtype)
    options = {"keep": True, "loss": F.cross_entropy, **options}
    return record(model, (images, torch.tensor([0, 1, 2])), optimizer=optimizer, **options)


def optimizer_named(name: str, model: nn.Module, **hyperparameters) -> torch.optim.Optimizer:
    recipe = recipes.Optimizer(name=name, form=SINGLE_TENSOR, **hyperparameters)
    return build_optimizer(recipe, model, torch.device("cpu"))


def explanations(tape: Tape, samples: int = 4, seed: int = 0) -> dict[str, list[Explanation]]:
    """Explains elements of every updated weight and every state, by address without index."""
    draw = random.Random(seed)
    found: dict[str, list[Explanation]] = {}
    for name, value in tape.names.given.items():
        if name.startswith(("update", "state")) and not name.endswith(".step"):
            for _ in range(samples if value.shape else 1):
                index = ",".join(str(draw.randrange(size)) for size in value.shape)
                found.setdefault(name, []).append(tape.explain(f"{name}[{index}]" if index else name))
    return found


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_every_optimizer_adds_up_at_every_step(name, dtype):
    model = small_model(dtype)
    optimizer = optimizer_named(name, model)
    for step in range(STEPS):
        tape = small_step(model, optimizer)
        for address, several in explanations(tape, seed=step).items():
            for explanation in several:
                told = f"{address} step {step}\n{explanation.formula}\n{explanation.numbers}\n{explanation.to_dict()}"
                assert explanation.agrees, told
                assert explanation.kind in (("function", "reduction") if dtype.itemsize > 2 else KINDS), told


KINDS = ("function", "reduction", "sum_of_products")  # a row's mean in low precision is left to its last operation


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_recorded_step_is_the_step(name):
    torch.manual_seed(3)
    recorded, plain = small_model(), small_model()
    plain.load_state_dict(recorded.state_dict())
    images, labels = torch.randn(3, 2, 6, 6), torch.tensor([0, 1, 2])
    one, other = optimizer_named(name, recorded), optimizer_named(name, plain)
    for _ in range(2):
        tape = record(recorded, (images, labels), loss=F.cross_entropy, optimizer=one, keep=True)
        other.zero_grad()
        F.cross_entropy(plain(images), labels).backward()
        other.step()
    for key, parameter in plain.named_parameters():
        assert tape.names.given[f"update {key}"].tensor().equal(parameter.detach())


# Which symbols stand for numbers of the tape in the update of a matrix's element, and which are named on the way.
SYMBOLS = {
    "sgd": ({"w", "g"}, set()),
    "momentum": ({"w", "g", "v"}, {"v"}),
    "nag": ({"w", "g", "v"}, {"v"}),
    "adagrad": ({"w", "g", "G"}, {"G"}),
    "rmsprop": ({"w", "g", "E"}, {"E"}),
    "adam": ({"w", "g", "m", "v"}, {"m", "v", "m̂", "v̂"}),
    "adamw": ({"w", "g", "m", "v"}, {"m", "v", "m̂", "v̂"}),
    "adadelta": ({"w", "g", "E", "D"}, {"E", "Δ"}),
    "nadam": ({"w", "g", "m", "v", "Πμ"}, {"μ", "μₜ₊₁", "m", "v", "m̂", "v̂"}),
    "lion": ({"w", "g", "m"}, {"u"}),
    "lamb": ({"w", "g", "m", "v", "‖w‖", "‖r‖"}, {"m", "v", "m̂", "v̂", "r", "η"}),
    "adafactor": ({"w", "g", "‖w‖", "‖u‖", "R", "C", "R̄"}, {"v̂", "α", "u"}),
    "radam": ({"w", "g", "m"}, {"m", "m̂"}),  # the first steps do not divide
    "muon": ({"w", "X₅"}, {"s"}),
}


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_the_update_has_the_fields_names(name):
    model = small_model()
    optimizer = optimizer_named(name, model)
    small_step(model, optimizer)
    explanation = small_step(model, optimizer).explain("update 3.weight[2,7]")
    terms, named = SYMBOLS[name]
    assert {term.label.partition("[")[0] for term in explanation.terms} == terms
    assert set(explanation.arithmetic.recomputed) == named
    weight = next(term for term in explanation.terms if term.label.startswith("w"))
    assert weight.address == "3.weight[2,7]"
    gradients = [term.address for term in explanation.terms if term.label.startswith("g")]
    assert gradients == (["gradient 3.weight[2,7]"] if "g" in terms else [])
    assert explanation.arithmetic.latex == OPTIMIZERS.load(name).formula


def test_adam_by_hand():
    """Kingma & Ba 2015, algorithm 1, with lr 0.1, β₁ 0.9, β₂ 0.99, ε 0: w = 1, g = 2, then g = −1."""
    model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(model.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, betas=(0.9, 0.99), eps=0.0)
    images = torch.ones(1, 1, dtype=torch.float64)

    def step(slope: float) -> Explanation:
        tape = record(
            model, (images, torch.zeros(1)), loss=lambda y, _: slope * y.sum(), optimizer=optimizer, keep=True
        )
        return tape.explain("update weight[0,0]")

    first, second = step(2.0), step(-1.0)
    assert first.result == pytest.approx(0.9, abs=1e-15)
    assert first.arithmetic.recomputed == pytest.approx({"m": 0.2, "v": 0.04, "m̂": 2.0, "v̂": 4.0})
    m, v = 0.9 * 0.2 - 0.1, 0.99 * 0.04 + 0.01
    m_hat, v_hat = m / (1 - 0.9**2), v / (1 - 0.99**2)
    assert second.arithmetic.recomputed == pytest.approx({"m": m, "v": v, "m̂": m_hat, "v̂": v_hat})
    assert second.result == pytest.approx(0.9 - 0.1 * m_hat / math.sqrt(v_hat), abs=1e-15)
    assert second.arithmetic.constants == {"lr": 0.1, "β₁": 0.9, "β₂": 0.99, "ε": 0.0, "t": 2.0}
    assert second.formula.splitlines() == [
        "m ← β₁·m + (1 − β₁)·g",
        "v ← β₂·v + (1 − β₂)·g²",
        "m̂ = m/(1 − β₁ᵗ)",
        "v̂ = v/(1 − β₂ᵗ)",
        "w ← w − lr·m̂/(√v̂ + ε)",
    ]
    assert second.numbers.splitlines()[:2] == [
        "m ← 0.9·0.2 + (1 − 0.9)·(-1) ≈ 0.08",
        "v ← 0.99·0.04 + (1 − 0.99)·(-1)² ≈ 0.0496",
    ]


def as_python(text: str, numbers: dict[str, float]) -> float:
    """Computes the right side of a printed line, by arithmetic of this test's own."""
    for sign, word in (("·", "*"), ("−", "-"), ("ᵗ", "**t"), ("²", "**2"), ("^", "**")):
        text = text.replace(sign, word)
    text = re.sub(r"√(\w[\u0300-\u036f]*)(?![\w(])", r"sqrt(\1)", text).replace("√(", "sqrt(")
    text = text.replace("√max", "SQRTMAX")
    text = re.sub(r"SQRTMAX(\([^()]*\))", r"sqrt(max\1)", text)
    names = sorted(numbers, key=len, reverse=True)
    stand_ins = {name: f"x{position}_" for position, name in enumerate(names)}
    for name in names:
        text = re.sub(rf"(?<![A-Za-z_]){re.escape(name)}(?![A-Za-z_(\u0300-\u036f₀-₉])", stand_ins[name], text)
    known = {stand_ins[name]: numbers[name] for name in names}
    known |= {"sqrt": math.sqrt, "max": max, "min": min, "sign": lambda x: math.copysign(1.0, x) if x else 0.0}
    return float(eval(text, {"__builtins__": {}}, known))


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_the_printed_formula_is_what_is_computed(name):
    model = small_model()
    optimizer = optimizer_named(name, model)
    for _ in range(2):
        tape = small_step(model, optimizer)
    for several in explanations(tape).values():
        explanation = several[0]
        if explanation.kind != "function":
            continue
        numbers = {**explanation.arithmetic.constants}
        numbers |= {term.label.partition("[")[0]: term.value for term in explanation.terms}
        result = math.nan
        for one in explanation.formula.splitlines():
            symbol, _sign, right = re.split(r" (←|=) ", one, maxsplit=1)
            numbers[symbol] = result = as_python(right, numbers)
        assert result == pytest.approx(explanation.result, rel=1e-12, abs=1e-300), explanation.formula


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_every_term_matters(name):
    model = small_model()
    optimizer = optimizer_named(name, model)
    for _ in range(3):
        tape = small_step(model, optimizer)
    for address, several in explanations(tape).items():
        for explanation in several:
            values = [term.value for term in explanation.terms]
            for position, term in enumerate(explanation.terms):
                near, far = 3 * abs(term.value) + 1, 20 * term.value + 0.5
                if term.label[0] in "gmwvM":  # a sign shows another number only where it turns
                    near = -20 * term.value - 0.5
                results = {
                    explanation.evaluate([*values[:position], number, *values[position + 1 :]])
                    for number in (near, far)
                }
                assert results != {explanation.result}, (address, term, explanation.formula)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_wrong_term_does_not_agree(name):
    """Of an explanation that takes a number for another the check says so."""
    model = small_model()
    tape = small_step(model, optimizer_named(name, model))
    explanation = tape.explain("update 3.weight[0,0]")
    values = [term.value for term in explanation.terms]
    wrong = [0.0, *values[1:]]  # without the weight before
    assert explanation.terms[0].label.startswith("w")
    assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance
    unchanged = values[0]  # as if there were no step
    assert abs(unchanged - explanation.recorded) > explanation.tolerance


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_an_update_expands_into_gradient_and_state(name):
    model = small_model()
    tape = small_step(model, optimizer_named(name, model))
    for expanded in tape.explain("update 0.weight[0,0,1,1]").expand(levels=2, top=8):
        assert expanded.explanation.agrees, expanded.explanation
        assert expanded.explanation.kind != "unexplained", expanded.explanation
        if expanded.term.label in ("m", "v", "E", "G"):
            assert expanded.term.value == 0.0  # there was no state yet


def test_state_before_a_later_step_is_given():
    model = small_model()
    optimizer = optimizer_named("adam", model)
    first = small_step(model, optimizer)
    second = small_step(model, optimizer)
    term = next(term for term in second.explain("update 3.bias[1]").terms if term.label.startswith("m"))
    assert term.value == first.value("state 3.bias.exp_avg[1]")
    before = second.explain_at(term.value_id, term.index)
    assert before.kind == "given"
    assert before.arithmetic.note == "the optimizer's state, as it was before the step"


def test_an_operation_is_explained_as_such():
    model = small_model()
    tape = small_step(model, optimizer_named("adam", model))
    update = tape.explain("update 3.bias[1]")
    operation = tape.explain(f"op {update.operation.index}[1]")
    assert operation.recorded == update.recorded
    assert operation.agrees
    assert {term.address for term in operation.terms} != {term.address for term in update.terms}
    assert "state 3.bias.exp_avg[1]" in {term.address for term in operation.terms}


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "radam", "adamax_of_their_own"])
def test_the_counter_of_steps_is_plain_arithmetic(optimizer: str) -> None:
    model = torch.nn.Linear(4, 3)
    stepper = torch.optim.Adamax(model.parameters()) if optimizer == "adamax_of_their_own" else optimizer
    data = (torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1]))
    tape = record(model, data, loss="cross-entropy", optimizer=stepper)
    explanation = tape.explain("state weight.step")
    assert explanation.recorded == explanation.result == 1
    assert [term.value for term in explanation.terms] == [0.0]
