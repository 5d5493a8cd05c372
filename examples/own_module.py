"""Train a network of your own on tensors of your own.

    python examples/own_module.py

Any nn.Module that takes images (B, C, H, W) and returns logits (B, K) can be trained;
dotbogi keeps the run, measures it, and gives the trained module back.
"""

import torch
from torch import Tensor, nn

import dotbogi
from dotbogi import Recipe


class Striped(nn.Module):
    """One convolution, its largest answer anywhere in the image, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, kernel_size=5)
        self.fc = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.conv(images))  # (B, 8, 12, 12)
        return self.fc(maps.amax(dim=(2, 3)))  # (B, 2)


def stripes(count: int) -> tuple[Tensor, Tensor]:
    """Images of horizontal (class 0) or vertical (class 1) stripes in noise: uint8 (N, 1, 16, 16), int64 (N,)."""
    labels = torch.arange(count) % 2  # (N,)
    wave = torch.arange(16) // 2 % 2 * 100  # (16,)
    images = torch.randint(0, 156, (count, 1, 16, 16))
    images[labels == 0] += wave[:, None]
    images[labels == 1] += wave
    return images.to(torch.uint8), labels


def main() -> None:
    torch.manual_seed(0)  # the module's first weights and the images are ours: so is their randomness
    recipe = Recipe(optimizer={"name": "adam", "lr": 0.01}, training={"epochs": 5, "batch_size": 32})
    run = dotbogi.train(recipe, model=Striped(), data={"train": stripes(1000), "test": stripes(200)})

    for row in run.history():
        print(f"epoch {row['epoch'] + 1}: loss {row['training_loss']:.4f}")
    print(f"{run.metrics['accuracy']:.1%} of the test images")

    model = run.model()  # the trained module, in evaluation mode
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters in {run.path}")


if __name__ == "__main__":
    main()
