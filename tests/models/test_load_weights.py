"""A safetensors file becomes a model's weights, wholly or not at all."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dotbogi import recipe as recipes
from dotbogi.errors import ModelError
from dotbogi.models.build import build_model
from dotbogi.models.weights import load_weights


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


def test_parameters_and_buffers_are_taken(file: Path) -> None:
    first, second = network(), network()
    first(torch.rand(2, 1, 4, 4))  # moves the running statistics
    save_file(first.state_dict(), file)
    load_weights(second, file)
    for name, tensor in second.state_dict().items():
        assert torch.equal(tensor, first.state_dict()[name])


def test_build_model_starts_from_them(file: Path) -> None:
    shape = {"num_classes": 3, "in_channels": 1, "image_size": (8, 8)}
    first = build_model(recipes.Model(name="simple-cnn"), **shape, seed=1)
    save_file(first.state_dict(), file)
    second = build_model(recipes.Model(name="simple-cnn", weights=str(file)), **shape, seed=2)
    assert torch.equal(first.fc.weight, second.fc.weight)


def test_of_tied_tensors_one_is_enough(file: Path) -> None:
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    tied[1].weight = tied[0].weight
    save_file({"0.weight": torch.ones(4, 4)}, file)
    load_weights(tied, file)
    assert (tied[1].weight == 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("3.bias"), r"missing: 3\.bias"),
        (lambda state: state.update({"4.weight": torch.ones(1)}), r"not the model's: 4\.weight"),
        (
            lambda state: state.update({"3.weight": torch.ones(5, 16)}),
            r"of another shape: 3\.weight is \(5, 16\) in the file and \(3, 16\) in the model",
        ),
        (lambda state: [state.pop(name) for name in list(state)[:4]], r"missing: 0\.weight, .* … \(4\)"),
    ],
    ids=["missing", "unexpected", "shape", "many"],
)
def test_what_does_not_fit_is_named_and_nothing_changes(file: Path, change, message: str) -> None:
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = network().state_dict()
    change(state)
    save_file(state, file)
    with pytest.raises(ModelError, match=message):
        load_weights(model, file)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("trap-was-sprung"),)


@pytest.mark.parametrize(
    "save", [lambda path: torch.save(Trap(), path), lambda path: path.write_bytes(pickle.dumps(Trap()))]
)
def test_a_pickle_posing_as_weights_is_refused(file: Path, save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    save(file)
    with pytest.raises(
        ModelError, match=r"is a pickle, which can execute anything; it was not opened\.\nSave the weigh"
    ):
        load_weights(network(), file)
    assert not Path("trap-was-sprung").exists()


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\xff" * 64])
def test_a_damaged_file(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ModelError, match="is no whole safetensors file"):
        load_weights(network(), file)


def test_half_a_file(file: Path) -> None:
    save_file(network().state_dict(), file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ModelError, match="is no whole safetensors file"):
        load_weights(network(), file)


def test_no_file(file: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file or directory"):
        load_weights(network(), file)
