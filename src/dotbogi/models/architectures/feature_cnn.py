"""The network whose feature maps the lecture looks at."""

import torch
from torch import Tensor, nn

from dotbogi.language import mark
from dotbogi.models.model import ModelEntry, Wants


class FeatureCNN(nn.Module):
    """Two narrow convolutions, 4 and 8 feature maps, few enough to look at every one.

    Args:
        num_classes: K.
        in_channels: C.
        image_size: (H, W), in pixels, each ≥ 2.

    Source: the lecture's Fashion-MNIST ``SimpleCNN(1→4→8)``, which returned its feature maps; ``fc`` makes it classify.
    """

    def __init__(self, num_classes: int, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        height, width = image_size
        self.conv1 = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(8 * (height // 2) * (width // 2), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, K) of images (B, C, H, W)."""
        x = self.relu(self.conv1(x))  # (B, 4, H, W)
        x = self.pool(self.relu(self.conv2(x)))  # (B, 8, H/2, W/2)
        x = torch.flatten(x, 1)  # (B, 8·H/2·W/2)
        return self.fc(x)  # (B, K)


MODEL = ModelEntry(
    title=mark("Feature-map CNN"),
    description=mark("The lecture's CNN with 4 and 8 feature maps, few enough to look at every one, and a classifier."),
    factory=FeatureCNN,
    wants=Wants(smallest_side=2),
    recipe={
        "optimizer": {"name": "adam", "lr": 0.01},
        "schedule": {"name": "one-cycle", "rise": 0.2, "anneal": "linear"},
        "training": {"epochs": 5},
    },
)
