"""Models are found by name and built from a seed, and nothing else changes."""

import pytest
import torch
from torch import nn

from dotbogi import recipe as recipes
from dotbogi.errors import ModelError, UnknownNameError
from dotbogi.models.build import build_model, find_model, parameter_count

SHAPE = {"num_classes": 10, "in_channels": 1, "image_size": (28, 28)}


def weights(seed: int) -> dict[str, torch.Tensor]:
    return build_model(recipes.Model(name="simple-cnn"), **SHAPE, seed=seed).state_dict()


def test_the_seed_decides_the_weights_and_the_random_state_stays() -> None:
    before = torch.get_rng_state()
    first, second, other = weights(7), weights(7), weights(8)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_the_largest_seed_of_a_key_is_taken() -> None:
    assert weights(2**63 - 1)["fc.bias"].isfinite().all()


def test_a_model_comes_in_training_mode() -> None:
    assert build_model(recipes.Model(name="small-cnn"), **SHAPE, seed=0).training


@pytest.mark.parametrize("name", ["simple-cn", "simple_cnn", "SimpleCNN"])
def test_an_unknown_name_gets_the_nearest(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"There is no model '.*'\.\nDid you mean .*simple-cnn"):
        find_model(name)


def test_a_name_like_nothing_gets_all_possibilities() -> None:
    with pytest.raises(UnknownNameError, match=r"Possible: .*small-cnn, timm/NAME, torchvision/NAME, path/to/file\.py"):
        find_model("qqqqqq")


def test_a_registered_model_has_no_published_weights() -> None:
    with pytest.raises(ModelError, match=r"simple-cnn has no published weights\.\nLeave --pretrained out"):
        build_model(recipes.Model(name="simple-cnn", pretrained=True), **SHAPE, seed=0)


def test_parameters_that_are_tied_or_frozen() -> None:
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert parameter_count(tied) == 16 + 4 + 4
    tied[1].bias.requires_grad_(False)
    assert parameter_count(tied) == 16 + 4
