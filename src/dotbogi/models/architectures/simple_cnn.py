"""The lecture's convolutional network."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dotbogi.language import mark
from dotbogi.models.model import ModelEntry, Wants


class SimpleCNN(nn.Module):
    """Two convolutions, each followed by ReLU and max pooling, and one linear layer.

    Args:
        num_classes: K.
        in_channels: C.
        image_size: (H, W), in pixels, each ≥ 4.

    Source: the lecture's ``SimpleCNN`` (3×32×32 images, 10 classes: 25,578 parameters).
    """

    def __init__(self, num_classes: int, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        height, width = image_size
        self.conv1 = nn.Conv2d(in_channels, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.fc = nn.Linear(32 * (height // 4) * (width // 4), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, K) of images (B, C, H, W)."""
        x = self.pool(F.relu(self.conv1(x)))  # (B, 16, H/2, W/2)
        x = self.pool(F.relu(self.conv2(x)))  # (B, 32, H/4, W/4)
        # The lecture's view(-1, 32*8*8) would mix images up where the size is another one.
        x = torch.flatten(x, 1)  # (B, 32·H/4·W/4)
        return self.fc(x)  # (B, K)


MODEL = ModelEntry(
    title=mark("Simple CNN"),
    description=mark("The lecture's CNN: two convolutions with ReLU and max pooling, and one linear layer."),
    factory=SimpleCNN,
    wants=Wants(smallest_side=4),
    recipe={
        "optimizer": {"name": "adam", "lr": 0.01},
        "schedule": {"name": "one-cycle", "rise": 0.2, "anneal": "linear"},
        "training": {"epochs": 5},
    },
)
