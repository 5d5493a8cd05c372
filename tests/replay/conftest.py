"""Shared by the tests of replaying: a few clothes, and trainings of a few steps that are not evaluated at their end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dotbogi.data.bundled import SAMPLE
from dotbogi.data.idx import read_idx
from dotbogi.recipe import Recipe
from dotbogi.runs.listening import nobody_listens
from dotbogi.runs.run import Run
from dotbogi.runs.train import train

Tensors = tuple[torch.Tensor, torch.Tensor]
Trained = Callable[..., Run]

RECIPE = {
    "model": {"name": "simple-cnn"},
    "optimizer": {"name": "adam"},
    "data": {"validation": 0.1},
    "training": {"epochs": 2, "batch_size": 16, "deterministic": True, "threads": 1, "seed": 3},
}


@pytest.fixture(scope="session")
def clothes() -> dict[str, Tensors]:
    """Images of the bundled sample: 58 to train and 6 to validate, or 64 to train, and 16 to test."""
    images = torch.from_numpy(np.array(read_idx(SAMPLE / "t10k-images-idx3-ubyte.gz")))[:80, None]  # (80, 1, 28, 28)
    labels = torch.from_numpy(np.array(read_idx(SAMPLE / "t10k-labels-idx1-ubyte.gz")))[:80].long()
    return {"train": (images[:64], labels[:64]), "test": (images[64:], labels[64:])}


def stop_after(steps: int) -> Callable[[], str | None]:
    """Asks to stop after as many steps."""
    asked = iter(range(steps + 1))
    return lambda: "SIGINT" if next(asked) == steps else None


@pytest.fixture
def trained(clothes: dict[str, Tensors], tmp_path: Path) -> Trained:
    """Trains the lecture's CNN on a few clothes; dotted keys change the recipe. Stops before the evaluation."""

    def run(values: dict | None = None, *, stop: int | None = None, **arguments) -> Run:
        recipe = Recipe(**RECIPE).with_values(values or {})
        given = {"data": clothes, "runs_dir": tmp_path / "runs", "listener": nobody_listens}
        return train(recipe, **given | ({} if stop is None else {"stop": stop_after(stop)}) | arguments)

    return run


def small_net(width: int = 4) -> nn.Module:
    """A net of 14×14 outputs with batch normalisation and dropout, always with the same weights."""
    torch.manual_seed(7)
    convolution, norm = nn.Conv2d(1, width, 3, stride=2, padding=1), nn.BatchNorm2d(width)
    return nn.Sequential(convolution, norm, nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(width * 196, 10))
