from pathlib import Path

import pytest
import torch
from torch import nn

from dotbogi.recipe import Training
from dotbogi.training.precision import Setting, fastest_setting, fixed_setting


def conv_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 3))


def measured(recipe: Training, model: nn.Module, cache: Path) -> Setting:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 1, 8, 8, generator=generator)
    labels = torch.randint(3, (8,), generator=generator)
    return fastest_setting(
        recipe,
        model,
        nn.CrossEntropyLoss(),
        lambda copied: torch.optim.SGD(copied.parameters(), lr=0.1),
        images,
        labels,
        cache=cache,
    )


def test_what_the_recipe_names_is_kept(tmp_path: Path) -> None:
    recipe = Training(precision="bf16", memory_format="contiguous", threads=1)
    assert measured(recipe, conv_net(), tmp_path / "cache.json") == Setting("bf16", "contiguous", 1)


def test_what_is_open_is_chosen_among_the_possible(tmp_path: Path) -> None:
    found = measured(Training(), conv_net(), tmp_path / "cache.json")
    assert found.precision in ("fp32", "bf16")
    assert found.memory_format in ("contiguous", "channels-last")
    assert 1 <= found.threads <= torch.get_num_threads()


def test_measuring_changes_neither_the_model_nor_what_is_drawn_next(tmp_path: Path) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.LazyLinear(3)
    )
    model(torch.zeros(2, 1, 8, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    measured(Training(), model, tmp_path / "cache.json")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_precision_and_format_are_remembered(tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    first = measured(Training(), conv_net(), cache)
    content = cache.read_bytes()
    second = measured(Training(), conv_net(), cache)
    assert (second.precision, second.memory_format) == (first.precision, first.memory_format)
    assert cache.read_bytes() == content


@pytest.mark.parametrize("content", ["", "[]", '{"', '{"a": 1}'])
def test_a_damaged_memory_is_measured_anew(tmp_path: Path, content: str) -> None:
    cache = tmp_path / "cache.json"
    cache.write_text(content, encoding="utf-8")
    assert measured(Training(), conv_net(), cache).precision in ("fp32", "bf16")


def test_without_measuring_it_is_fp32_on_all_cores_and_channels_last_where_there_are_convolutions() -> None:
    assert fixed_setting(Training(), conv_net()) == Setting("fp32", "channels-last", torch.get_num_threads())
    assert fixed_setting(Training(), nn.Linear(2, 2)).memory_format == "contiguous"


def test_a_model_is_placed_in_either_format_whatever_it_was_in_before() -> None:
    model = nn.Conv2d(3, 4, 3)
    for name in ("channels-last", "contiguous", "channels-last"):
        setting = Setting("fp32", name, 1)
        setting.place(model, torch.device("cpu"))
        assert model.weight.is_contiguous(memory_format=torch.channels_last) == (name == "channels-last")
        assert model.weight.is_contiguous() == (name == "contiguous")
        images = setting.place_images(torch.zeros(2, 3, 8, 8))
        assert model(images).is_contiguous(memory_format=torch.channels_last) == (name == "channels-last")
