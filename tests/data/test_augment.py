import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from dotbogi.data.augment import LEAST_ASPECT, Draws, affine_matrices, draw, varies, vary
from dotbogi.recipe import Augmentation

MANY = torch.arange(20_000)
SIZES = st.integers(1, 9)
ALL = Augmentation(crop=2, flip="random", rotation=10.0, scale=0.1, erasing=0.5)


def pictures(n: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Images in which every pixel is another number, none of them 0."""
    return torch.arange(1.0, n * channels * height * width + 1).reshape(n, channels, height, width)


def moved(image: torch.Tensor, flip: bool, down: int, right: int) -> torch.Tensor:
    """The definition, pixel by pixel: mirrored, then shifted, with zeros entering."""
    _channels, height, width = image.shape
    result = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            source_row, source_column = row - down, column - right
            if 0 <= source_row < height and 0 <= source_column < width:
                source_column = width - 1 - source_column if flip else source_column
                result[:, row, column] = image[:, source_row, source_column]
    return result


@given(st.integers(1, 4), st.integers(1, 3), SIZES, SIZES, st.integers(0, 4), st.data())
def test_flip_and_shift_move_every_pixel_to_its_place(
    n: int, channels: int, height: int, width: int, crop: int, data: st.DataObject
):
    flip = torch.tensor(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    steps = st.integers(-crop, crop)
    shift = torch.tensor(data.draw(st.lists(st.tuples(steps, steps), min_size=n, max_size=n)))
    images = pictures(n, channels, height, width)
    result = vary(images, Draws((height, width), flip=flip, shift=shift))
    assert result.shape == images.shape
    for index in range(n):
        expected = moved(images[index], bool(flip[index]), int(shift[index, 0]), int(shift[index, 1]))
        assert torch.equal(result[index], expected)


@given(st.integers(1, 4), st.integers(1, 3), SIZES, SIZES, st.data())
def test_erasing_blanks_exactly_the_rectangle(n: int, channels: int, height: int, width: int, data: st.DataObject):
    corners: list[tuple[int, int, int, int]] = []
    for _ in range(n):
        top, left = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
        corners.append((top, left, data.draw(st.integers(top, height)), data.draw(st.integers(left, width))))
    expected = pictures(n, channels, height, width)
    result = vary(expected.clone(), Draws((height, width), erased=torch.tensor(corners)))
    for image, (top, left, bottom, right) in zip(expected, corners, strict=True):
        image[:, top:bottom, left:right] = 0
    assert torch.equal(result, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_images_is_kept(dtype: torch.dtype):
    images = torch.rand(3, 2, 8, 8, dtype=dtype)
    for augmentation in (ALL, Augmentation(crop=1, flip="random", erasing=1.0)):
        assert vary(images, draw(augmentation, 0, 0, torch.arange(3), (8, 8))).dtype == dtype


def test_bytes_stay_bytes_and_are_varied_as_floats_are():
    images = torch.randint(0, 256, (9, 2, 8, 8), dtype=torch.uint8)
    draws = draw(Augmentation(crop=1, flip="random", erasing=1.0), 0, 0, torch.arange(9), (8, 8))
    varied = vary(images, draws)
    assert varied.dtype == torch.uint8
    assert torch.equal(varied.float(), vary(images.float(), draws))


def test_the_images_given_are_left_as_they_were():
    images = pictures(8, 1, 6, 6)
    for augmentation in (ALL, Augmentation(crop=1, flip="random", erasing=1.0)):
        vary(images, draw(augmentation, 0, 0, torch.arange(8), (6, 6)))
        assert torch.equal(images, pictures(8, 1, 6, 6))


@pytest.mark.parametrize(("height", "width"), [(9, 9), (8, 13), (13, 8)])
def test_the_affine_path_without_rotation_is_the_path_of_whole_pixels(height: int, width: int):
    drawn = draw(Augmentation(crop=3, flip="random"), 1, 0, torch.arange(64), (height, width))
    turned = Draws(drawn.image_size, drawn.flip, drawn.shift, rotation=torch.zeros(64, dtype=torch.float64))
    images = torch.rand(64, 2, height, width, dtype=torch.float64)
    assert torch.allclose(vary(images, turned), vary(images, drawn), atol=1e-12)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_by_quarters_is_rot90(turns: int):
    images = torch.rand(5, 3, 12, 12, dtype=torch.float64)
    drawn = Draws((12, 12), rotation=torch.full((5,), 90.0 * turns, dtype=torch.float64))
    assert torch.allclose(vary(images, drawn), torch.rot90(images, turns, (2, 3)), atol=1e-12)


@pytest.mark.parametrize(("angle", "scale"), [(17.0, 1.0), (-40.0, 1.2), (0.0, 0.8)])
def test_rotation_and_scale_agree_with_torchvision(angle: float, scale: float):
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import affine

    images = torch.rand(2, 1, 15, 22)
    both = [torch.full((2,), number, dtype=torch.float64) for number in (angle, scale)]
    ours = vary(images, Draws((15, 22), rotation=both[0], scale=both[1]))
    theirs = affine(images, -angle, [0, 0], scale, [0.0, 0.0], InterpolationMode.BILINEAR)  # theirs is clockwise
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_scale_of_two_shows_the_middle_twice_as_large():
    matrices = affine_matrices(Draws((4, 4), scale=torch.tensor([2.0], dtype=torch.float64)))
    assert matrices.tolist() == [[[0.5, 0, 0], [0, 0.5, 0]]]


def test_flip_comes_before_rotation_and_shift_after():
    image = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    image[0, 0, 4, 6] = 1  # two pixels to the right of the middle
    drawn = Draws(
        (9, 9),
        flip=torch.tensor([True]),  # two to the left
        rotation=torch.tensor([90.0], dtype=torch.float64),  # counter-clockwise: two below
        shift=torch.tensor([[1, 3]]),
    )
    assert vary(image, drawn)[0, 0].argmax().item() == (4 + 2 + 1) * 9 + 4 + 3


@pytest.mark.parametrize("augmentation", [ALL, Augmentation(crop=3, flip="alternating", erasing=0.7)])
def test_a_samples_variation_does_not_depend_on_its_batch(augmentation: Augmentation):
    indices = torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:50]
    whole = draw(augmentation, 7, 3, indices, (28, 20))
    alone = [draw(augmentation, 7, 3, indices[i : i + 1], (28, 20)) for i in range(50)]
    for name in ("flip", "shift", "rotation", "scale", "erased"):
        numbers = getattr(whole, name)
        if numbers is not None:
            assert torch.equal(numbers, torch.cat([getattr(one, name) for one in alone]))


def test_turning_one_augmentation_on_leaves_the_draws_of_the_others():
    both = draw(ALL, 0, 0, MANY[:99], (28, 28))
    one = draw(Augmentation(erasing=0.5), 0, 0, MANY[:99], (28, 28))
    assert one.flip is None and one.shift is None and one.rotation is None and one.scale is None
    assert both.erased is not None and one.erased is not None and torch.equal(both.erased, one.erased)


def test_every_epoch_and_seed_varies_anew():
    drawn = [draw(ALL, seed, epoch, MANY[:9], (28, 28)).rotation for seed in range(2) for epoch in range(2)]
    assert len({tuple(angles.tolist()) for angles in drawn if angles is not None}) == 4


def test_a_random_flip_is_half_of_the_images():
    flip = draw(Augmentation(flip="random"), 0, 0, MANY, (4, 4)).flip
    assert flip is not None and abs(flip.double().mean().item() - 0.5) < 3.3 * 0.5 / len(MANY) ** 0.5


def test_an_alternating_flip_starts_at_random_and_changes_every_epoch():
    epochs = [draw(Augmentation(flip="alternating"), 0, epoch, MANY, (4, 4)).flip for epoch in range(4)]
    first, second, third, fourth = [flip for flip in epochs if flip is not None]
    assert torch.equal(first, ~second) and torch.equal(first, third) and torch.equal(second, fourth)
    assert abs(first.double().mean().item() - 0.5) < 3.3 * 0.5 / len(MANY) ** 0.5


def test_shifts_are_equally_often_each_number_of_pixels():
    shift = draw(Augmentation(crop=2), 0, 0, MANY, (28, 28)).shift
    assert shift is not None
    counts = torch.bincount((shift[:, 0] + 2) * 5 + shift[:, 1] + 2, minlength=25).double()
    chi_squared = ((counts - len(MANY) / 25) ** 2 / (len(MANY) / 25)).sum().item()
    assert chi_squared < 51.2  # 24 degrees of freedom; passed once in 1000 times


def test_angles_and_sizes_fill_their_range():
    drawn = draw(Augmentation(rotation=30.0, scale=0.2), 0, 0, MANY, (28, 28))
    assert drawn.rotation is not None and drawn.scale is not None
    for numbers, low, high in ((drawn.rotation, -30, 30), (drawn.scale, 0.8, 1.2)):
        assert low <= numbers.min().item() < low + 0.001 * (high - low)
        assert high - 0.001 * (high - low) < numbers.max().item() <= high
        assert numbers.mean().item() == pytest.approx((low + high) / 2, abs=0.01 * (high - low))


@pytest.mark.parametrize(("height", "width"), [(28, 28), (32, 48)])
def test_rectangles_have_the_area_and_aspect_that_are_asked_for(height: int, width: int):
    augmentation = Augmentation(erasing=0.5, erasing_low=0.1, erasing_high=0.3)
    erased = draw(augmentation, 0, 0, MANY, (height, width)).erased
    assert erased is not None
    chosen = erased[erased.any(dim=1)].double()
    assert abs(len(chosen) / len(MANY) - 0.5) < 3.3 * 0.5 / len(MANY) ** 0.5
    top, left, bottom, right = chosen.T
    assert bool(((top >= 0) & (left >= 0) & (bottom <= height) & (right <= width)).all())
    tall, wide = (bottom - top) / height, (right - left) / width
    half_pixel = 0.5 / min(height, width)  # each side is rounded
    assert bool((tall * wide >= 0.1 - half_pixel * (tall + wide)).all())
    assert bool((tall * wide <= 0.3 + half_pixel * (tall + wide)).all())
    assert (tall * wide).mean().item() == pytest.approx(0.2, abs=0.005)
    assert (tall / wide).log().mean().item() == pytest.approx(0, abs=0.02)
    assert (tall / wide).log().abs().max().item() == pytest.approx(-math.log(LEAST_ASPECT), abs=0.3)
    assert bool((chosen[:, :2].amin(dim=0) == 0).all())
    assert (top + bottom).mean().item() == pytest.approx(height, rel=0.01)  # as often above as below the middle


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 0.99), st.floats(0, 0.99), st.integers(0, 99))
def test_a_rectangle_always_fits(height: int, width: int, low: float, high: float, seed: int):
    augmentation = Augmentation(erasing=1.0, erasing_low=min(low, high), erasing_high=max(low, high))
    erased = draw(augmentation, seed, 0, torch.arange(20), (height, width)).erased
    assert erased is not None
    top, left, bottom, right = erased.T
    assert bool(((top >= 0) & (top < bottom) & (bottom <= height)).all())
    assert bool(((left >= 0) & (left < right) & (right <= width)).all())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"erasing_low": 0.1}, False),
        ({"crop": 1}, True),
        ({"flip": "alternating"}, True),
        ({"rotation": 1.0}, True),
        ({"scale": 0.1}, True),
        ({"erasing": 0.1}, True),
    ],
)
def test_varies_says_whether_anything_is_on(settings: dict[str, Any], expected: bool):
    assert varies(Augmentation(**settings)) is expected


def test_nothing_drawn_changes_nothing():
    images = pictures(2, 1, 3, 3)
    assert vary(images, draw(Augmentation(), 0, 0, torch.arange(2), (3, 3))) is images


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_the_operations_are_few_and_known():
    moves = draw(Augmentation(crop=2, flip="random", erasing=0.5), 0, 0, torch.arange(8), (28, 28))
    turns = draw(Augmentation(rotation=5.0, scale=0.1), 0, 0, torch.arange(8), (28, 28))
    images = torch.rand(8, 1, 28, 28)
    with _Operations() as moving:
        vary(images, moves)
    with _Operations() as turning:
        vary(images, turns)
    plumbing = {"detach", "lift_fresh", "slice", "view"}
    assert moving.names - plumbing == {
        "cat", "constant_pad_nd", "flip", "index_select", "maximum", "mul", "unfold", "unsqueeze",
    }  # fmt: skip
    assert turning.names - plumbing == {"_to_copy", "affine_grid_generator", "grid_sampler_2d"}
