import pytest
import torch
from torch import nn

from dotbogi.data.batches import Batches
from dotbogi.data.dataset import Split
from dotbogi.data.normalise import Normalisation
from dotbogi.training.metrics import evaluate_model, running_validation
from dotbogi.training.step import PLAIN

LABELS = torch.tensor([0, 0, 0, 1, 1, 2])
PREDICTED = [0, 0, 1, 1, 1, 0]


class Fixed(nn.Module):
    """Gives logits that were written down: the pixel is the image's number."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits[images.flatten(1)[:, 0].long()]


def batches(batch_size: int = 4) -> Batches:
    images = torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1)
    return Batches(Split(images, LABELS), Normalisation((0.0,), (1.0,)), batch_size=batch_size)


@pytest.fixture
def model() -> nn.Module:
    logits = torch.zeros(6, 3)
    logits[torch.arange(6), PREDICTED] = 2.0
    return Fixed(logits).train()


def test_metrics_are_those_counted_by_hand(model: nn.Module) -> None:
    found = evaluate_model(model, batches(), nn.CrossEntropyLoss(), PLAIN, classes=3)
    # Class 0: 2 of 3 found, 2 of 3 said are right; class 1: 2 of 2 found, 2 of 3 right; class 2: none found, none said.
    assert found.metrics["accuracy"] == 4 / 6
    assert found.metrics["recall"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.metrics["precision"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert found.metrics["f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    right, wrong = torch.tensor([2.0, 0, 0]).log_softmax(0)[0], torch.tensor([2.0, 0, 0]).log_softmax(0)[1]
    assert found.metrics["loss"] == pytest.approx(float(-(4 * right + 2 * wrong) / 6))
    # All six images say the same probability, so the calibration error is |confidence − accuracy|.
    assert found.metrics["calibration_error"] == pytest.approx(float(right.exp()) - 4 / 6, abs=1e-6)
    assert found.confusion == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found.predictions.tolist() == PREDICTED


def test_each_class_is_told_apart(model: nn.Module) -> None:
    found = evaluate_model(model, batches(), nn.CrossEntropyLoss(), PLAIN, classes=3)
    first, second, third = found.per_class(("a", "b", "c"))
    assert (first["name"], first["images"], first["precision"], first["recall"]) == ("a", 3, 2 / 3, 2 / 3)
    assert (second["precision"], second["recall"], second["f1"]) == (2 / 3, 1.0, 4 / 5)
    assert (third["precision"], third["recall"], third["f1"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("batch_size", [2, 4, 6])
def test_validation_does_not_depend_on_the_batch(model: nn.Module, batch_size: int) -> None:
    found = running_validation(model, batches(batch_size), nn.CrossEntropyLoss(), PLAIN, classifies=True)
    assert found["validation_accuracy"] == 4 / 6
    whole = nn.functional.cross_entropy(model.logits, LABELS)
    assert found["validation_loss"] == pytest.approx(float(whole.detach()), rel=1e-6)
    assert model.training


def test_a_regression_has_a_loss_and_no_accuracy() -> None:
    split = Split(torch.arange(4.0).reshape(4, 1), 2 * torch.arange(4.0).reshape(4, 1))
    model = nn.Linear(1, 1)
    found = evaluate_model(
        model, Batches(split, Normalisation((0.0,), (1.0,)), batch_size=4), nn.MSELoss(), PLAIN, classes=0
    )
    assert set(found.metrics) == {"loss"} and found.confusion == []
