"""The lecture's fully connected network."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dotbogi.language import mark
from dotbogi.models.model import ModelEntry
from dotbogi.registry import Hyperparameter


class SimpleFCN(nn.Module):
    """Two linear layers with a ReLU between.

    Args:
        num_classes: K.
        in_channels: C.
        image_size: (H, W), in pixels.
        hidden: outputs of the first layer; the lecture has 2.

    Source: the lecture's ``SimpleFCN`` (4×4 image, 3 classes).
    """

    def __init__(self, num_classes: int, in_channels: int, image_size: tuple[int, int], hidden: int = 2) -> None:
        super().__init__()
        height, width = image_size
        self.fc1 = nn.Linear(in_channels * height * width, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, K) of images (B, C, H, W)."""
        x = torch.flatten(x, 1)  # (B, C·H·W)
        x = F.relu(self.fc1(x))  # (B, hidden)
        return self.fc2(x)  # (B, K)


MODEL = ModelEntry(
    title=mark("Simple fully connected network"),
    description=mark("The lecture's network without convolutions: flatten, linear, ReLU, linear."),
    factory=SimpleFCN,
    recipe={"optimizer": {"name": "sgd", "lr": 0.01}, "schedule": {"name": "constant"}},
    hyperparameters=(Hyperparameter("hidden", 2, low=1, text=mark("outputs of the first layer; the lecture has 2")),),
)
