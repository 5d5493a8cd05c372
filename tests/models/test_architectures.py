"""Every registered architecture builds, trains a step, and has the parameters that its source says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dotbogi import recipe as recipes
from dotbogi.errors import RecipeError, ShapeError
from dotbogi.models.build import build_model, check_model, find_model, parameter_count
from dotbogi.models.model import ModelEntry
from dotbogi.recipe import Recipe
from dotbogi.registry import MODELS

IMAGE_MODELS = [name for name in MODELS.names() if name != "linear-regression"]


def build(name: str, channels: int, size: tuple[int, int], classes: int = 10, seed: int = 0, **keys):
    recipe = recipes.Model(name=name, **keys)
    return build_model(recipe, num_classes=classes, in_channels=channels, image_size=size, seed=seed)


def step(model: torch.nn.Module, channels: int, size: tuple[int, int]) -> bool:
    """Takes one step and returns whether every parameter got a gradient and moved."""
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images = torch.rand(4, channels, *size, generator=torch.Generator().manual_seed(0))
    F.cross_entropy(model(images), torch.arange(4)).backward()
    optimizer.step()
    return all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("name", MODELS.names())
def test_an_entry_is_complete_and_its_recipe_is_one(name: str) -> None:
    entry = find_model(name)
    assert isinstance(entry, ModelEntry)
    assert entry.title and entry.description.endswith(".")
    recipe = Recipe(model=recipes.Model(name=name)).over(entry.recipe).complete()
    assert recipe.optimizer.name == entry.recipe["optimizer"]["name"]


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (45, 37)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_it_trains_a_step_on_any_size(name: str, channels: int, size: tuple[int, int]) -> None:
    model = build(name, channels, size)
    check_model(model, torch.rand(2, channels, *size), 10)
    moved = step(model, channels, size)
    # Two hidden units of the fully connected network may both be dead for four images.
    assert moved or name == "simple-fcn"


@pytest.mark.parametrize(
    ("name", "channels", "size", "classes", "parameters"),
    [
        ("simple-cnn", 3, (32, 32), 10, 25_578),  # the lecture: 448 + 4,640 + 2,048·10 + 10
        ("simple-cnn", 1, (28, 28), 10, 160 + 4_640 + 15_690),
        ("simple-fcn", 3, (4, 4), 3, 48 * 2 + 2 + 2 * 3 + 3),  # the lecture's 4×4 image and three classes
        ("feature-cnn", 1, (28, 28), 10, 40 + 296 + 15_690),  # the lecture's 1→4→8 and a classifier
        ("small-cnn", 1, (28, 28), 10, 298_090),  # the table of the recipe that it is measured with
        ("linear-regression", 1, (1, 1), 1, 2),  # w and b
    ],
)
def test_parameter_counts(name: str, channels: int, size: tuple[int, int], classes: int, parameters: int) -> None:
    assert parameter_count(build(name, channels, size, classes)) == parameters


def test_the_lectures_names_of_the_layers() -> None:
    assert [name for name, _ in build("simple-cnn", 3, (32, 32)).named_children()] == ["conv1", "conv2", "pool", "fc"]
    assert [name for name, _ in build("simple-fcn", 3, (4, 4)).named_children()] == ["fc1", "fc2"]


def test_the_lectures_cnn_gives_what_the_lectures_code_gives() -> None:
    model = build("simple-cnn", 3, (32, 32))
    x = images = torch.rand(5, 3, 32, 32)
    x = model.pool(F.relu(model.conv1(x)))
    x = model.pool(F.relu(model.conv2(x)))
    assert torch.equal(model(images), model.fc(x.view(-1, 32 * 8 * 8)))


def test_feature_cnn_pools_after_the_second_convolution_only() -> None:
    model = build("feature-cnn", 1, (28, 28))
    sizes = []
    model.conv2.register_forward_hook(lambda _layer, inputs, output: sizes.extend([inputs[0].shape, output.shape]))
    model(torch.rand(2, 1, 28, 28))
    assert sizes == [(2, 4, 28, 28), (2, 8, 28, 28)]


def test_hidden_units_of_simple_fcn_are_a_hyperparameter() -> None:
    assert build("simple-fcn", 1, (8, 8), hidden=16).fc1.out_features == 16
    with pytest.raises(RecipeError, match=r"model\.hidden = 0 is not possible"):
        build("simple-fcn", 1, (8, 8), hidden=0)
    with pytest.raises(RecipeError, match=r"no key model\.hiden here.*\n.*model\.hidden"):
        build("simple-fcn", 1, (8, 8), hiden=16)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(4, 224), width=st.integers(4, 224), channels=st.sampled_from([1, 3]))
def test_small_cnn_keeps_its_linear_layer_small_at_any_size(height: int, width: int, channels: int) -> None:
    with torch.device("meta"):
        model = find_model("small-cnn").load_factory()(10, channels, (height, width))
        assert model(torch.empty(2, channels, height, width)).shape == (2, 10)
    assert model.fc.in_features <= 128 * 4 * 4


def test_small_cnn_pools_more_often_only_for_images_over_32_pixels() -> None:
    stages = {
        side: sum(isinstance(layer, torch.nn.MaxPool2d) for layer in build("small-cnn", 3, (side, side)).modules())
        for side in (8, 28, 32, 64, 224)
    }
    assert stages == {8: 3, 28: 3, 32: 3, 64: 4, 224: 6}


def test_pooling_before_relu_gives_the_numbers_of_relu_first() -> None:
    layer = build("small-cnn", 3, (32, 32)).features[0].eval()
    images = torch.rand(2, 3, 32, 32)
    after = layer.pool(F.relu(layer.norm(layer.conv(images))))
    torch.testing.assert_close(layer(images), after)  # a positive scale commutes with the maximum


@pytest.mark.parametrize(("name", "side"), [("simple-cnn", 4), ("feature-cnn", 2), ("small-cnn", 4)])
def test_too_small_images_are_refused_with_the_least_size(name: str, side: int) -> None:
    build(name, 1, (side, side))
    with pytest.raises(ShapeError, match=rf"{name} needs images of at least {side}×{side} pixels, but these are"):
        build(name, 1, (side - 1, 8))
