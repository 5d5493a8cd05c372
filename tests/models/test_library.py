"""Every classification model of torchvision and timm is found, fitted and checked, and nothing is executed unasked."""

import pickle
import socket
from pathlib import Path

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from dotbogi import recipe as recipes
from dotbogi.errors import ModelError, ShapeError, UnknownNameError
from dotbogi.models.build import build_model, check_model, find_model
from dotbogi.models.library import library_names
from dotbogi.recipe import Recipe

SMALL_SIZE = (64, 64)


def build(name: str, channels: int = 3, size: tuple[int, int] = SMALL_SIZE, classes: int = 7, pretrained: bool = False):
    recipe = recipes.Model(name=name, pretrained=pretrained)
    return build_model(recipe, num_classes=classes, in_channels=channels, image_size=size, seed=0)


def shape_of_logits(name: str, channels: int) -> tuple[int, ...]:
    """Builds a model, without memory for its weights where it can be, and returns what comes out of two images."""
    entry = find_model(name)
    size = entry.wants.image_size or SMALL_SIZE
    # RegNets compute their widths with tensors, which then need values.
    with torch.device("cpu" if "/regnet_" in name and name.startswith("torchvision") else "meta"), torch.no_grad():
        model = entry.load_factory()(num_classes=7, in_channels=channels, image_size=size, pretrained=False)
        logits = model(torch.empty(2, channels, *size))
    assert isinstance(logits, torch.Tensor)
    return tuple(logits.shape)


def test_the_lists_are_the_libraries_own() -> None:
    assert library_names("torchvision") == models.list_models(module=models)
    assert len(library_names("torchvision")) >= 80
    assert library_names("timm") == timm.list_models()


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "vit_b_32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_torchvision_models_are_fitted(name: str, channels: int) -> None:
    assert shape_of_logits(f"torchvision/{name}", channels) == (2, 7)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "resnet10t"])
def test_timm_models_are_fitted_and_train_a_step(name: str) -> None:
    size = find_model(f"timm/{name}").wants.image_size or SMALL_SIZE
    model = build(f"timm/{name}", 1, size)
    images = torch.rand(2, 1, *size)
    check_model(model, images, 7)
    nn.functional.cross_entropy(model(images), torch.tensor([0, 1])).backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", models.list_models(module=models))
def test_every_torchvision_model_is_fitted(name: str, channels: int) -> None:
    assert shape_of_logits(f"torchvision/{name}", channels) == (2, 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", timm.list_models()[::5])
def test_every_fifth_timm_model_is_fitted(name: str) -> None:
    if name.endswith("_enc") or "gemma4" in name or "ghostnetv3" in name:
        pytest.skip("an encoder without a classifier, or one that 64 pixels are too few for")
    assert shape_of_logits(f"timm/{name}", 1) == (2, 7)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("torchvision/inception_v3", (299, 299)),
        ("torchvision/vit_b_16", (224, 224)),
        ("torchvision/swin_v2_t", (256, 256)),
        ("torchvision/resnet18", None),
        ("timm/inception_v3", (299, 299)),
        ("timm/vit_tiny_patch16_224", (224, 224)),
        ("timm/test_vit", (160, 160)),
        ("timm/resnet18", None),
        ("timm/resnet18.a1_in1k", None),
    ],
)
def test_the_size_that_a_model_wants(name: str, size: tuple[int, int] | None) -> None:
    assert find_model(name).wants.image_size == size


def test_transformers_are_built_for_another_size_where_it_is_asked_for() -> None:
    check_model(build("timm/test_vit", 3, (64, 64)), torch.rand(2, 3, 64, 64), 7)
    with torch.device("meta"):
        factory = find_model("torchvision/vit_b_32").load_factory()
        model = factory(num_classes=7, in_channels=3, image_size=(64, 64), pretrained=False)
        assert model(torch.empty(2, 3, 64, 64)).shape == (2, 7)


def test_the_least_size_of_torchvision_models() -> None:
    with pytest.raises(ShapeError, match="torchvision/vgg11 needs images of at least 32×32 pixels, but these are 28×"):
        build("torchvision/vgg11", 1, (28, 28))


def test_a_size_that_cannot_be_built_is_said() -> None:
    with pytest.raises(
        ModelError, match=r"torchvision/vit_b_32 cannot be built for 3 channels and 40×40 pixels: .*divis"
    ):
        build("torchvision/vit_b_32", 3, (40, 40))


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/test_resnet"])
def test_the_recipe_is_one(name: str) -> None:
    recipe = Recipe(model=recipes.Model(name=name)).over(find_model(name).recipe).complete()
    assert (recipe.optimizer.name, recipe.schedule.name) == ("adamw", "cosine")


@pytest.mark.parametrize(
    ("name", "near"),
    [("torchvision/resnet19", "torchvision/resnet18"), ("timm/resnet18d1", "timm/resnet18d"), ("timm/zz", "timm/aim")],
)
def test_unknown_names_get_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"There is no model '{name}'\.\nDid you mean |Possible: .*{near}"):
        find_model(name)


@pytest.mark.parametrize("name", ["timm/hf-hub:someone/model", "timm/resnet18.nobody", "timm/local-dir:/tmp"])
def test_names_of_other_places_are_none_of_timms(name: str) -> None:
    with pytest.raises(UnknownNameError, match="There is no model"):
        find_model(name)


def test_a_grey_image_gives_what_it_gave_as_three_equal_channels() -> None:
    grey, colour = build("torchvision/squeezenet1_1", 1), build("torchvision/squeezenet1_1", 3)
    image = torch.rand(2, 1, 64, 64)
    first = [next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d)) for model in (grey, colour)]
    torch.testing.assert_close(first[0](image), first[1](image.expand(-1, 3, -1, -1)))


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


SQUEEZENET = models.SqueezeNet1_1_Weights.DEFAULT


def test_published_weights_are_taken_and_the_classifier_is_new(torch_home: Path) -> None:
    published = models.squeezenet1_1()
    torch.save(published.state_dict(), torch_home / Path(SQUEEZENET.url).name)
    model = build("torchvision/squeezenet1_1", 3, pretrained=True)
    assert torch.equal(model.features[3].squeeze.weight, published.features[3].squeeze.weight)
    check_model(model, torch.rand(2, 3, 64, 64), 7)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_side_classifiers_are_off_with_published_weights_and_one_channel(name: str, torch_home: Path) -> None:
    published = models.get_model(name, aux_logits=True, init_weights=False)
    url = models.get_model_weights(name).DEFAULT.url
    torch.save(published.state_dict(), torch_home / Path(url).name)
    check_model(build(f"torchvision/{name}", 1, (80, 80), pretrained=True), torch.rand(2, 1, 80, 80), 7)


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("trap-was-sprung"),)


def test_a_pickle_in_the_place_of_published_weights_is_not_executed(
    torch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(torch_home)
    (torch_home / Path(SQUEEZENET.url).name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match=r"published weights of torchvision/squeezenet1_1 cannot be loaded"):
        build("torchvision/squeezenet1_1", 3, pretrained=True)
    assert not Path("trap-was-sprung").exists()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown_host(*_arguments: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown_host)
    monkeypatch.setattr("dotbogi.models.timm_library.getproxies", dict)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("offline", "torch_home")
@pytest.mark.parametrize("name", ["torchvision/squeezenet1_1", "timm/test_resnet"])
def test_published_weights_while_offline(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dotbogi.models.timm_library.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(ModelError, match=rf"{name} are not on this machine, and there is no connection\.\nConnect"):
        build(name, 3, pretrained=True)


def test_a_timm_model_without_published_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(name for name in timm.list_models("vit_*") if not timm.list_models(name, pretrained=True))
    size = find_model(f"timm/{name}").wants.image_size or SMALL_SIZE
    factory = find_model(f"timm/{name}").load_factory()
    with (
        torch.device("meta"),
        pytest.raises(ModelError, match=rf"The published weights of timm/{name} cannot be loaded: .*\nTrain it from"),
    ):
        factory(num_classes=7, in_channels=3, image_size=size, pretrained=True)
