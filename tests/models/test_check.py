"""A model that does not fit is known by its layer, what came and what fits; one that fits is left as it was."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dotbogi.errors import ModelError, ShapeError
from dotbogi.models.check import check_model


class Lecture(nn.Module):
    """The lecture's network for 32×32 images, with its view."""

    def __init__(self, flatten: bool) -> None:
        super().__init__()
        self.flatten = flatten
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(2048, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.flatten(x, 1) if self.flatten else x.view(-1, 2048)
        return self.fc(x)


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape)


def named(**layers: nn.Module) -> nn.Sequential:
    network = nn.Sequential()
    for name, layer in layers.items():
        network.add_module(name, layer)
    return network


CASES = {
    "linear": (
        Lecture(flatten=True),
        images(128, 3, 28, 28),
        r"^fc expects 2048 features but 1568 came \(from \(128, 32, 7, 7\) flattened\)\.\nFix: nn\.Linear\(1568, 10\)$",
    ),
    "linear of rows": (
        named(a=nn.Linear(4, 8), b=nn.Linear(9, 2)),
        images(2, 4),
        r"^b expects 9 features but 8 came\.\nFix: nn\.Linear\(8, 2\)$",
    ),
    "not flattened": (
        named(conv=nn.Conv2d(1, 2, 3), fc=nn.Linear(72, 10)),
        images(2, 1, 8, 8),
        r"^fc expects \(B, 72\) but \(2, 2, 6, 6\) came, which is not flattened\.\nFix: torch\.flatten\(x, 1\)$",
    ),
    "not flattened, and another size": (
        named(fc=nn.Linear(100, 10)),
        images(2, 1, 8, 8),
        r"Fix: torch\.flatten\(x, 1\), nn\.Linear\(64, 10\)$",
    ),
    "channels": (
        Lecture(flatten=True),
        images(2, 1, 32, 32),
        r"^conv1 expects \(B, 3, H, W\) but \(2, 1, 32, 32\) came: 1 channels\.\nFix: Conv2d\(1, 16, 3, …\)$",
    ),
    "channels last": (
        Lecture(flatten=True),
        images(128, 32, 32, 3),
        r"^conv1 expects \(B, 3, H, W\) but the images are \(128, 32, 32, 3\)\.\n"
        r"The last axis looks like the channels\.\n"
        r"Fix: images\.permute\(0, 3, 1, 2\), or add ToImage\(\) to the transforms\.$",
    ),
    "a convolution of rows": (
        named(conv=nn.Conv2d(3, 4, 3)),
        images(2, 12),
        r"^conv expects \(B, 3, H, W\) but \(2, 12\) came\.\nFix: leave the images unflattened before this layer\.$",
    ),
    "a kernel of two sides": (
        named(conv=nn.Conv2d(3, 4, (1, 5))),
        images(2, 1, 8, 8),
        r"Fix: Conv2d\(1, 4, \(1, 5\), …\)$",
    ),
    "batch norm": (
        named(conv=nn.Conv2d(1, 8, 3), norm=nn.BatchNorm2d(16)),
        images(2, 1, 8, 8),
        r"^norm expects 16 channels but 8 came, in \(2, 8, 6, 6\)\.\nFix: BatchNorm2d\(8\)$",
    ),
    "too small for a kernel": (
        named(pool=nn.MaxPool2d(4), inner=named(conv=nn.Conv2d(1, 8, 5, padding=1))),
        images(2, 1, 8, 8),
        r"^inner\.conv has a kernel of 5×5, but the feature map that came is only 2×2 pixels\.\nFix: larger images",
    ),
    "too small for a pool": (
        named(one=nn.MaxPool2d(2), two=nn.MaxPool2d(4)),
        images(2, 1, 4, 4),
        r"^two has a kernel of 4×4, but the feature map that came is only 2×2 pixels",
    ),
    "view": (
        Lecture(flatten=False),
        images(2, 3, 28, 28),
        r"test_check\.py, line \d+, in Lecture, which got \(2, 3, 28, 28\): RuntimeError: shape '\[-1, 2048\]' is "
        r"invalid.*\nFix: torch\.flatten\(x, 1\) fits every image size\.",
    ),
    "view that mixes images": (
        Lecture(flatten=False),
        images(128, 3, 16, 16),
        r"^The model made 32 rows of 128 images\.\nFix: torch\.flatten\(x, 1\) instead of view\(-1, N\)",
    ),
    "feature maps": (
        named(conv=nn.Conv2d(1, 10, 3)),
        images(2, 1, 8, 8),
        r"^The model returned \(2, 10, 6, 6\), not logits \(B, K\)\.",
    ),
    "classes": (
        named(flat=nn.Flatten(), fc=nn.Linear(64, 7)),
        images(2, 1, 8, 8),
        r"^The model gives 7 values per image, but the data has 10 classes\.\nFix: 10 outputs in the last layer",
    ),
}


@pytest.mark.parametrize(("model", "batch", "message"), CASES.values(), ids=CASES)
def test_what_does_not_fit_is_said(model: nn.Module, batch: torch.Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        check_model(model, batch, 10)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_layer_is_named_by_its_path_and_a_call_by_keyword_is_understood() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(input=x)

    with pytest.raises(ShapeError, match=r"^stem\.conv expects \(B, 3, H, W\) but \(2, 1, 8, 8\) came"):
        check_model(named(stem=Block()), images(2, 1, 8, 8), 10)


def test_an_exception_that_the_model_catches_does_not_blame_the_layer_after() -> None:
    class Tolerant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right, self.fc = nn.Linear(3, 3), nn.Flatten(), nn.Linear(9, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                x = self.wrong(x)
            except RuntimeError:
                x = self.right(x)
            return self.fc(x)

    with pytest.raises(ShapeError, match=r"^fc expects 9 features but 64 came"):
        check_model(Tolerant(), images(2, 1, 8, 8), 10)


def test_another_dtype_is_no_matter_of_shapes() -> None:
    model = named(flat=nn.Flatten(), fc=nn.Linear(64, 10))
    with pytest.raises(ModelError, match=r"Sequential, in fc, which got \(2, 64\): RuntimeError: .*dtype") as caught:
        check_model(model, images(2, 1, 8, 8).double(), 10)
    assert not isinstance(caught.value, ShapeError)


def test_several_outputs_are_refused() -> None:
    class Features(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    with pytest.raises(ModelError, match=r"returned tuple, not one tensor of logits\.\nLet forward return the logits"):
        check_model(Features(), images(2, 1, 8, 8), 10)


def test_the_number_of_outputs_may_be_unknown() -> None:
    check_model(nn.Linear(1, 1), images(4, 1), 0)


class Restless(nn.Module):
    """Changes all that a forward may change."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.fc = nn.BatchNorm2d(1), nn.Linear(64, 10)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls = self.calls + 1
        return self.fc(nn.functional.dropout(self.norm(x).flatten(1), training=self.training))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("classes", [10, 11])
def test_all_is_left_as_it_was(training: bool, classes: int) -> None:
    model = Restless().train(training)
    calls = model.calls
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        check_model(model, images(2, 1, 8, 8), classes)
    except ShapeError:
        assert classes == 11
    assert model.training is training and model.calls is calls
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())


def test_the_random_state_is_left_as_it_was() -> None:
    model, batch = Restless(), images(2, 1, 8, 8)
    random = torch.get_rng_state()
    check_model(model, batch, 10)
    assert torch.equal(torch.get_rng_state(), random)


@settings(max_examples=40, deadline=None)
@given(
    channels=st.integers(1, 4),
    expected=st.integers(1, 4),
    side=st.integers(1, 9),
    kernel=st.integers(1, 5),
    padding=st.integers(0, 1),
    features=st.integers(1, 40),
)
def test_the_fix_fits(channels: int, expected: int, side: int, kernel: int, padding: int, features: int) -> None:
    """Every refused network is accepted with the number of the fix in its place, unless the images are too small."""
    conv = nn.Conv2d(expected, 2, kernel, padding=padding)
    model = named(conv=conv, flat=nn.Flatten(), fc=nn.Linear(features, 10))
    for _ in range(3):
        try:
            return check_model(model, images(2, channels, side, side), 10)
        except ShapeError as error:
            if "larger images" in error.fix:
                assert kernel > side + 2 * padding
                return None
            if "permute" in error.fix:
                return None
            layer = error.fix.removeprefix("Fix: ").replace("…", f"padding={padding}")
            name = "conv" if "Conv2d" in layer else "fc"
            setattr(model, name, eval(layer, {"nn": nn, "Conv2d": nn.Conv2d}))
    raise AssertionError("the fixes do not fit")


def test_an_output_without_a_gradient_is_refused() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.fc(images.flatten(1)).detach()

    with pytest.raises(ModelError, match="output has no gradient"):
        check_model(Detached(), torch.zeros(2, 1, 8, 8), 3)
