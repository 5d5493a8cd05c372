"""Losses equal their formula, and say what does not go together."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbogi import recipe as recipes
from dotbogi.errors import RecipeError, ShapeError, UnknownNameError
from dotbogi.registry import LOSSES
from dotbogi.training.loss import LossEntry, build_loss

CPU = torch.device("cpu")


def build(name: str, classes: int = 3, dtype: torch.dtype = torch.float64, **keys):
    return build_loss(recipes.Loss(name=name, **keys), num_classes=classes, device=CPU, dtype=dtype)


@pytest.mark.parametrize("name", LOSSES.names())
def test_an_entry_is_complete_and_differentiable(name: str) -> None:
    entry = LOSSES.load(name)
    assert isinstance(entry, LossEntry)
    assert entry.title and entry.text.endswith(".") and entry.formula.startswith("L =") and entry.source
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0, 1])
    assert torch.autograd.gradcheck(lambda logits: build(name)(logits, labels), logits)


def test_listing_losses_needs_no_torch() -> None:
    code = (
        "import sys; from dotbogi.registry import LOSSES; "
        "[LOSSES.load(name) for name in LOSSES.names()]; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def formula(logits: torch.Tensor, labels: torch.Tensor, smoothing: float, weights: list[float]) -> float:
    """The formula of the entry, number by number."""
    classes = logits.shape[1]
    total = 0.0
    for row, right in zip(logits.tolist(), labels.tolist(), strict=True):
        largest = max(row)
        partition = largest + math.log(sum(math.exp(logit - largest) for logit in row))
        for k in range(classes):
            share = (1 - smoothing) * (k == right) + smoothing / classes
            total -= weights[k] * share * (row[k] - partition)
    return total / sum(weights[right] for right in labels.tolist())


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 6),
    classes=st.integers(1, 5),
    smoothing=st.floats(0, 0.99),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_cross_entropy_is_its_formula(
    batch: int, classes: int, smoothing: float, seed: int, data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 9), min_size=classes, max_size=classes))
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    labels = torch.randint(classes, (batch,), generator=generator)
    loss = build("cross-entropy", classes, label_smoothing=smoothing, class_weights=weights)(logits, labels)
    assert loss.item() == pytest.approx(formula(logits, labels, smoothing, weights), rel=1e-12, abs=1e-12)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes() -> None:
    loss = build("cross-entropy", 10)(torch.zeros(4, 10, dtype=torch.float64), torch.arange(4))
    assert loss.item() == pytest.approx(math.log(10))


def test_cross_entropy_under_autocast_with_class_weights() -> None:
    loss_function = build("cross-entropy", 3, dtype=torch.float32, class_weights=[1, 2, 3.5])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_function(torch.zeros(2, 3, dtype=torch.bfloat16), torch.tensor([0, 2]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(3))


def test_cross_entropy_of_numbers_is_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"compares with class indices, but the labels are float32 \(4, 1\)\.\nSet train"
    ):
        build("cross-entropy")(torch.zeros(4, 1), torch.zeros(4, 1))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"class_weights": [1.0, 2.0]}, r"class_weights has 2 numbers, but there are 3 classes"),
        ({"class_weights": [1.0, 2.0, 0.0]}, r"class_weights has 0\.0, which is no positive number"),
        ({"class_weights": [1.0, 2.0, math.inf]}, r"class_weights has inf, which is no positive number"),
        ({"class_weights": [1.0, 2.0, "3"]}, r"class_weights has '3', which is no positive number"),
        ({"class_weights": [1.0, 2.0, True]}, r"class_weights has True, which is no positive number"),
        ({"class_weights": 3.0}, r"training\.loss\.class_weights = 3\.0 is not possible"),
        ({"label_smoothing": 1.0}, r"training\.loss\.label_smoothing = 1\.0 is not possible.*\n.*\[0, 1\)"),
        ({"label_smothing": 0.1}, r"no key training\.loss\.label_smothing here.*\n.*training\.loss\.label_smoothing"),
    ],
)
def test_hyperparameters_that_do_not_go(keys: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build("cross-entropy", **keys)


def test_unknown_loss() -> None:
    with pytest.raises(UnknownNameError, match=r"There is no loss 'crossentropy'\.\nDid you mean cross-entropy"):
        build("crossentropy")


def test_mse_of_the_lectures_four_points() -> None:
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64)
    # y = 2x against 0.5x + 1: differences −0.5, −2, −3.5, −5 … their mean square by hand.
    assert build("mse", 0)(0.5 * x + 1, 2 * x).item() == pytest.approx((0.5**2 + 2**2 + 3.5**2 + 5**2) / 4)


def test_mse_of_classes_compares_with_one_hot_rows() -> None:
    outputs = torch.tensor([[0.5, 0.0, 0.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    loss = build("mse")(outputs, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx((0.25 + 1.0) / 6)


def test_mse_of_bf16_outputs_is_computed_in_float32() -> None:
    assert (
        build("mse", dtype=torch.float32)(torch.zeros(2, 3, dtype=torch.bfloat16), torch.tensor([0, 1])).dtype
        == torch.float32
    )


def test_mse_of_other_shapes_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"The model gives \(4, 1\) but the labels are \(4,\)\.\nGive labels of shape"):
        build("mse")(torch.zeros(4, 1), torch.zeros(4))
