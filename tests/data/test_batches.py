import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dotbogi.data.batches as batches_module
from dotbogi.data.augment import draw, vary
from dotbogi.data.batches import Batches, automatic_batch_size
from dotbogi.data.dataset import Split
from dotbogi.data.normalise import Normalisation, normalisation_for
from dotbogi.data.randomness import permutation
from dotbogi.errors import DataError
from dotbogi.recipe import Augmentation

UNIT = Normalisation((0.0,), (255.0,))
SAMPLE = Path(batches_module.__file__).parent / "bundled" / "sample" / "t10k-images-idx3-ubyte.gz"


def numbered(n: int, channels: int = 1, size: int = 4) -> Split:
    """Images of which each is filled with its own number."""
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, channels, size, size).contiguous()
    return Split(images, torch.arange(n) % 7)


@pytest.fixture(scope="module")
def clothes() -> Split:
    pixels = np.frombuffer(gzip.decompress(SAMPLE.read_bytes()), np.uint8, offset=16).copy()
    images = torch.from_numpy(pixels).view(-1, 1, 28, 28)[:300]
    return Split(images, torch.arange(300) % 10)


@given(st.integers(1, 60), st.integers(1, 70), st.booleans(), st.integers(0, 3), st.integers(0, 2**63 - 1))
def test_each_image_comes_once_per_epoch(n: int, batch_size: int, shuffle: bool, epoch: int, seed: int):
    batch_size = min(batch_size, n) if shuffle else batch_size
    batches = Batches(numbered(n), UNIT, batch_size=batch_size, seed=seed, shuffle=shuffle)
    parts = [batches.indices(epoch, position) for position in range(len(batches))]
    assert torch.cat(parts).tolist() == (permutation(seed, epoch, n).tolist() if shuffle else list(range(n)))
    assert all(len(part) == batch_size for part in parts[:-1])
    assert min(2, n, batch_size) <= len(parts[-1]) <= batch_size + 1


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(10, 5, [5, 5]), (12, 5, [5, 5, 2]), (11, 5, [5, 6]), (3, 1, [1, 1, 1]), (1, 1, [1]), (4, 9, [4]), (3, 2, [3])],
)
def test_a_last_batch_of_one_image_joins_the_batch_before(n: int, batch_size: int, sizes: list[int]):
    batches = Batches(numbered(n), UNIT, batch_size=batch_size)
    assert [len(batches.batch(0, position).labels) for position in range(len(batches))] == sizes


def test_images_labels_and_indices_belong_together():
    split = numbered(50)
    batches = Batches(split, Normalisation((0.0,), (1.0,)), batch_size=8, seed=3, shuffle=True)
    for position in range(len(batches)):
        batch = batches.batch(1, position)
        assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.indices)
        assert torch.equal(batch.labels, split.labels[batch.indices])


def test_any_batch_of_any_epoch_can_be_asked_for_at_any_time(clothes: Split):
    settings = {"batch_size": 64, "seed": 5, "shuffle": True, "augmentation": Augmentation(crop=2, flip="random")}
    first, second = Batches(clothes, UNIT, **settings), Batches(clothes, UNIT, **settings)
    in_order = [first.batch(epoch, position) for epoch in range(2) for position in range(len(first))]
    backwards = [second.batch(epoch, position) for epoch in (1, 0) for position in reversed(range(len(second)))]
    for one, other in zip(in_order, reversed(backwards), strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("name", ["unit", "standardise", "symmetric", "none"])
def test_images_are_pixel_minus_mean_over_deviation(clothes: Split, name: str):
    normalisation = normalisation_for(name, clothes)
    images = Batches(clothes, normalisation, batch_size=300, dtype=torch.float64).batch(0, 0).images
    expected = (clothes.images.double() - normalisation.mean[0]) / normalisation.deviation[0]
    assert torch.equal(images, expected)


def test_each_channel_has_its_own_mean_and_deviation():
    normalisation = Normalisation((0.0, 10.0, 20.0), (1.0, 2.0, 4.0))
    images = Batches(numbered(30, channels=3), normalisation, batch_size=30).batch(0, 0).images
    assert images[24, :, 1, 1].tolist() == [24, 7, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("augmentation", [None, Augmentation(crop=1, flip="random"), Augmentation(rotation=9.0)])
def test_images_have_the_type_and_order_that_are_asked_for(
    dtype: torch.dtype, memory_format: torch.memory_format, augmentation: Augmentation | None
):
    normalisation = Normalisation((7.0,) * 3, (9.0,) * 3)
    split = numbered(6, channels=3)
    settings = {"batch_size": 6, "augmentation": augmentation}
    batch = Batches(split, normalisation, dtype=dtype, memory_format=memory_format, **settings).batch(0, 0)
    assert batch.images.dtype == dtype and batch.images.is_contiguous(memory_format=memory_format)
    plain = Batches(split, normalisation, dtype=torch.float32, **settings).batch(0, 0).images
    assert torch.allclose(batch.images.float(), plain, rtol=2**-8, atol=1e-6)
    assert batch.labels.dtype == torch.int64


def test_the_augmentation_is_that_of_the_samples_keys(clothes: Split):
    augmentation = Augmentation(crop=2, flip="alternating", erasing=0.5)
    batches = Batches(clothes, UNIT, batch_size=32, seed=9, shuffle=True, augmentation=augmentation)
    batch = batches.batch(4, 2)
    pixels = clothes.images[batch.indices]
    draws = draw(augmentation, 9, 4, batch.indices, (28, 28))
    assert torch.equal(batch.images, vary(pixels, draws).float() / 255)
    assert not torch.equal(batch.images, pixels.float() / 255)


def test_what_enters_from_outside_is_black_whatever_the_normalisation(clothes: Split):
    standardised = Normalisation((72.9,), (90.0,))
    for moves in (Augmentation(crop=3), Augmentation(crop=3, rotation=1e-9)):
        batches = Batches(clothes, standardised, batch_size=32, seed=1, shuffle=True, augmentation=moves)
        batch = batches.batch(0, 0)
        down = int(batches.draws(batch.indices, 0).shift[:, 0].argmax())
        torch.testing.assert_close(batch.images[down, 0, 0], torch.full((28,), (0 - 72.9) / 90))


def test_prepare_takes_pixels_from_elsewhere(clothes: Split):
    batches = Batches(clothes, UNIT, batch_size=32, seed=9, shuffle=True, augmentation=Augmentation(crop=2))
    batch = batches.batch(1, 1)
    assert torch.equal(batches.prepare(clothes.images[batch.indices], batches.draws(batch.indices, 1)), batch.images)


def test_an_augmentation_with_nothing_on_is_none(clothes: Split):
    assert Batches(clothes, UNIT, batch_size=32, augmentation=Augmentation()).augmentation is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_numbers_of_a_regression_only_change_their_type(dtype: torch.dtype):
    split = Split(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[2.0], [4.0], [6.0], [8.0]]))
    batches = Batches(split, normalisation_for("unit", split), batch_size=4, seed=0, shuffle=True, dtype=dtype)
    batch = batches.batch(0, 0)
    assert batch.images.dtype == batch.labels.dtype == dtype
    assert torch.equal(batch.images * 2, batch.labels)
    assert sorted(batch.images.flatten().tolist()) == [1, 2, 3, 4]


def test_batches_are_gathered_from_a_memory_map(clothes: Split, tmp_path: Path):
    np.save(tmp_path / "images.npy", clothes.images.numpy())
    mapped = Split(torch.from_numpy(np.load(tmp_path / "images.npy", mmap_mode="r+")), clothes.labels)
    for split in (clothes, mapped):
        batch = Batches(split, UNIT, batch_size=50, seed=2, shuffle=True).batch(0, 3)
        assert torch.equal(batch.images, clothes.images[batch.indices].float() / 255)


def test_a_batch_larger_than_the_training_images_is_refused():
    with pytest.raises(DataError, match="A batch of 65 is larger than the 64 training images"):
        Batches(numbered(64), UNIT, batch_size=65, shuffle=True)
    assert len(Batches(numbered(64), UNIT, batch_size=64, shuffle=True)) == 1


def test_the_automatic_batch_size_is_128_or_all():
    assert [automatic_batch_size(n) for n in (1, 127, 128, 60_000)] == [1, 127, 128, 128]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("augmentation", [Augmentation(crop=2, flip="random", erasing=0.5), Augmentation(rotation=9.0)])
def test_batches_on_cuda_are_those_on_the_cpu(clothes: Split, augmentation: Augmentation):
    settings = {"batch_size": 64, "seed": 5, "shuffle": True, "augmentation": augmentation}
    on_cuda = Batches(clothes, UNIT, device="cuda", **settings).batch(1, 2)
    on_cpu = Batches(clothes, UNIT, **settings).batch(1, 2)
    assert on_cuda.images.device.type == on_cuda.labels.device.type == "cuda"
    assert torch.equal(on_cuda.labels.cpu(), on_cpu.labels) and torch.equal(on_cuda.indices, on_cpu.indices)
    assert torch.allclose(on_cuda.images.cpu(), on_cpu.images, atol=1e-5)
