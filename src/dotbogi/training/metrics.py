"""How good a model is on images it is asked about: torchmetrics over whole-batch logits."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dotbogi.data.batches import Batches
from dotbogi.training.step import LossFunction, StepRules

CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv:1706.04599


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        images: how many.
        metrics: ``loss`` and, for a classifier, ``accuracy``, ``top5_accuracy`` (of more than five classes),
            ``precision``, ``recall``, ``f1`` (macro averages), ``calibration_error``; fractions 0…1.
        confusion: (K, K) counts, row the label, column the prediction; empty for a regression.
        predictions: (N,) int64 classes in the order of the images; empty for a regression.
        probabilities: (N,) probability of the predicted class; empty for a regression.
        losses: (N,) each image's cross entropy; empty for a regression.
    """

    images: int
    metrics: dict[str, float]
    confusion: list[list[int]] = field(default_factory=list[list[int]])
    predictions: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    probabilities: Tensor = field(default_factory=lambda: torch.zeros(0))
    losses: Tensor = field(default_factory=lambda: torch.zeros(0))

    def per_class(self, classes: tuple[str, ...]) -> list[dict[str, Any]]:
        """Returns ``{name, images, precision, recall, f1}`` of each class, from the confusion matrix."""
        counts = torch.tensor(self.confusion, dtype=torch.float64)  # (K, K)
        hits, labelled, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
        return [
            {
                "name": name,
                "images": int(labelled[index]),
                "precision": _ratio(hits[index], predicted[index]),
                "recall": _ratio(hits[index], labelled[index]),
                "f1": _ratio(2 * hits[index], labelled[index] + predicted[index]),
            }
            for index, name in enumerate(classes)
        ]


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part / whole) if whole else 0.0


def model_outputs(
    model: nn.Module, batches: Batches, rules: StepRules, progress: Callable[[int], None] = lambda done: None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields logits (B, K) in float32 or wider and labels (B,), in the order of the images, in evaluation mode.

    Args:
        model: is put back into the mode it was in.
        batches: not shuffled.
        rules: whose precision is used.
        progress: told how many images are done.
    """
    done = 0
    with _evaluation_mode(model), torch.no_grad():
        for position in range(len(batches)):
            batch = batches.batch(0, position)
            with rules.precision(batch.images.device):
                logits = model(batch.images)
            yield (logits if logits.dtype == torch.float64 else logits.float()), batch.labels
            done += len(batch.images)
            progress(done)


@contextmanager
def _evaluation_mode(model: nn.Module) -> Generator[None]:
    """Puts each module back into the mode that it was in: some may be kept in evaluation mode for good."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def running_validation(
    model: nn.Module, batches: Batches, loss_function: LossFunction, rules: StepRules, classifies: bool
) -> dict[str, float]:
    """Returns ``validation_loss`` and, for a classifier, ``validation_accuracy``: what every epoch shows."""
    loss, correct, images = 0.0, 0, 0
    for logits, labels in model_outputs(model, batches, rules):
        images += len(logits)
        with torch.no_grad():
            loss += float(loss_function(logits, labels)) * len(logits)
        correct += int((logits.argmax(1) == labels).sum()) if classifies else 0
    return {"validation_loss": loss / images} | ({"validation_accuracy": correct / images} if classifies else {})


def evaluate_model(
    model: nn.Module,
    batches: Batches,
    loss_function: LossFunction,
    rules: StepRules,
    *,
    classes: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Evaluates a model on every image of some batches.

    Args:
        model: is put back into the mode it was in.
        batches: not shuffled.
        loss_function: of logits and labels.
        rules: whose precision is used.
        classes: K, or 0 for a regression.
        progress: told how many images are done.
    """
    outputs = list(model_outputs(model, batches, rules, progress))
    logits = torch.cat([part for part, _ in outputs])  # (N, K)
    labels = torch.cat([part for _, part in outputs])  # (N,)
    with torch.no_grad():
        loss = float(loss_function(logits, labels))
    if not classes:
        return Evaluation(len(logits), {"loss": loss})
    probabilities, predictions = logits.softmax(1).max(1)
    correct = int((predictions == labels).sum())
    return Evaluation(
        len(logits),
        {"accuracy": correct / len(logits), "loss": loss, **_classification_metrics(logits, labels, classes)},
        _confusion(predictions, labels, classes),
        predictions.cpu(),
        probabilities.cpu(),
        nn.functional.cross_entropy(logits, labels, reduction="none").cpu(),
    )


def _classification_metrics(logits: Tensor, labels: Tensor, classes: int) -> dict[str, float]:
    # Imported here: torchmetrics brings torchvision, together as long as torch itself.
    from torchmetrics.functional import classification as torchmetrics

    def macro(metric: Callable[..., Tensor]) -> float:
        return float(metric(logits, labels, num_classes=classes, average="macro", validate_args=False))

    calibration_error = torchmetrics.multiclass_calibration_error(
        logits.softmax(1), labels, num_classes=classes, n_bins=CALIBRATION_BINS, validate_args=False
    )
    metrics = {
        "precision": macro(torchmetrics.multiclass_precision),
        "recall": macro(torchmetrics.multiclass_recall),
        "f1": macro(torchmetrics.multiclass_f1_score),
        "calibration_error": float(calibration_error),
    }
    if classes > 5:
        top5 = torchmetrics.multiclass_accuracy(
            logits, labels, num_classes=classes, average="micro", top_k=5, validate_args=False
        )
        metrics["top5_accuracy"] = float(top5)
    return metrics


def _confusion(predictions: Tensor, labels: Tensor, classes: int) -> list[list[int]]:
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    matrix = multiclass_confusion_matrix(predictions, labels, num_classes=classes, validate_args=False)
    return [[int(count) for count in row] for row in matrix]
