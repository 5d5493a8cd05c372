"""The lecture's first network: y = wx + b."""

from torch import nn

from dotbogi.language import mark
from dotbogi.models.model import ModelEntry, Wants


def linear_regression(num_classes: int, in_channels: int, image_size: tuple[int, int]) -> nn.Linear:
    """Returns one linear layer, y = xWᵀ + b, over rows of numbers.

    Args:
        num_classes: numbers to predict, K.
        in_channels: features of a row, F.
        image_size: of no use to it.

    Source: the lecture's ``model = nn.Linear(1, 1)``.
    """
    return nn.Linear(in_channels, num_classes)  # (B, F) → (B, K)


MODEL = ModelEntry(
    title=mark("Linear regression"),
    description=mark("The lecture's first network, y = wx + b: one weight and one bias for the four points of y = 2x."),
    factory=linear_regression,
    wants=Wants(data="line"),
    recipe={
        "data": {"validation": 0.0, "normalisation": "none"},
        "optimizer": {"name": "sgd", "lr": 0.01},
        "schedule": {"name": "constant"},
        "training": {"loss": {"name": "mse"}, "batch_size": 4, "epochs": 10, "precision": "fp64"},
    },
)
