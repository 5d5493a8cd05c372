from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dotbogi.data.bundled import SAMPLE
from dotbogi.data.idx import read_idx
from dotbogi.recipe import Recipe
from dotbogi.runs.run import Run
from dotbogi.runs.train import train

Tensors = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="session")
def clothes() -> dict[str, Tensors]:
    """Images of the bundled sample, few enough for a training of a second: 320 to train, 80 to test."""
    images = torch.from_numpy(np.array(read_idx(SAMPLE / "t10k-images-idx3-ubyte.gz")))[:, None]  # (2000, 1, 28, 28)
    labels = torch.from_numpy(np.array(read_idx(SAMPLE / "t10k-labels-idx1-ubyte.gz"))).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, labels = images[order], labels[order]
    return {"train": (images[:320], labels[:320]), "test": (images[320:400], labels[320:400])}


TINY = {
    "model": {"name": "simple-cnn"},
    "data": {"validation": 0.1},
    "training": {"epochs": 2, "batch_size": 32, "deterministic": True, "threads": 1, "seed": 3},
}


@pytest.fixture
def tiny() -> Recipe:
    return Recipe(**TINY)


@pytest.fixture
def trained(clothes: dict[str, Tensors], tmp_path: Path) -> Callable[..., Run]:
    """Trains the lecture's CNN on a few clothes; dotted keys change the recipe."""

    def run(values: dict | None = None, **arguments) -> Run:
        recipe = Recipe(**TINY).with_values(values or {})
        return train(recipe, **({"data": clothes, "runs_dir": tmp_path / "runs"} | arguments))

    return run
