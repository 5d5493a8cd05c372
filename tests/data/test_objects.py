import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import TensorDataset

from dotbogi.data.bundled import PHOTO
from dotbogi.data.dataset import Dataset
from dotbogi.data.objects import dataset_from_objects
from dotbogi.errors import DataError
from dotbogi.recipe import Data

WHOLE = Data(validation=0.0, test=0.0)


@pytest.fixture
def images(sample_images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(sample_images[:40].copy())[:, None]  # (40, 1, 28, 28)


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.arange(40) % 4


def made(data: object, recipe: Data = WHOLE, **wants: object) -> Dataset:
    return dataset_from_objects(data, recipe, **wants)


def test_tensors_arrays_pairs_and_datasets_are_the_same_data(images: torch.Tensor, labels: torch.Tensor):
    pairs = list(zip(images, labels, strict=True))
    data = [
        (images, labels),
        (images.numpy(), labels.numpy()),
        (images[:, 0], labels.int()),
        (images / 255, labels[:, None]),
        (images.numpy().astype(np.uint16) * np.uint16(257), labels.tolist()),
        TensorDataset(images, labels),
        pairs,
        [(Image.fromarray(image[0].numpy()), int(label)) for image, label in pairs],
        {"train": (images, labels)},
    ]
    made_of = [made(each) for each in data]
    assert len({dataset.fingerprint for dataset in made_of}) == 1
    for dataset in made_of:
        assert torch.equal(dataset.train.images, images)
        assert torch.equal(dataset.train.labels, labels)
        assert dataset.classes == ("0", "1", "2", "3")
        assert not dataset.notices


def test_train_and_test_come_as_a_pair_or_by_name(images: torch.Tensor, labels: torch.Tensor):
    train, test = (images[:30], labels[:30]), (images[30:], labels[30:])
    named = {"train": train, "test": test, "validation": test, "classes": ["a", "b", "c", "d"]}
    for dataset in (made((train, test)), made((TensorDataset(*train), TensorDataset(*test))), made(named)):
        assert torch.equal(dataset.train.images, images[:30])
        assert dataset.test is not None
        assert torch.equal(dataset.test.images, images[30:])
    assert made(named).classes == ("a", "b", "c", "d")
    assert made(named).validation is not None


def test_what_is_not_given_is_held_out(images: torch.Tensor, labels: torch.Tensor):
    dataset = made((images, labels), Data())
    assert dataset.test is not None
    assert dataset.validation is not None
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (28, 4, 8)


def test_images_are_brought_to_what_the_model_wants(images: torch.Tensor, labels: torch.Tensor):
    dataset = made((images, labels), wants_channels=3, wants_image_size=(14, 20))
    assert dataset.train.images.shape == (40, 3, 14, 20)


def test_the_lectures_list_of_one_image():
    image = torch.zeros(3, 4, 4, dtype=torch.uint8)
    dataset = made([(image, torch.tensor(2))])
    assert (dataset.train.images.shape, dataset.classes) == ((1, 3, 4, 4), ("0", "1", "2"))


def test_photos_of_different_sizes_are_brought_to_one():
    photo = Image.open(PHOTO)
    dataset = made([(photo, 0), (photo.resize((200, 150)), 1), (photo.convert("L"), 1)])
    assert dataset.train.images.shape == (3, 3, 128, 128)
    as_tensors = [(torch.from_numpy(np.array(photo)).permute(2, 0, 1), 0), (torch.zeros(3, 9, 9), 1)]
    assert made(as_tensors, wants_image_size=(8, 8)).train.images.shape == (2, 3, 8, 8)


def test_a_datasets_class_names_are_taken(images: torch.Tensor, labels: torch.Tensor):
    dataset = TensorDataset(images, labels)
    dataset.classes = ["ape", "bee", "cat", "dog", "elk"]
    assert made(dataset).classes == ("ape", "bee", "cat", "dog", "elk")


def test_a_data_set_is_read_once_with_progress(images: torch.Tensor, labels: torch.Tensor):
    reads: list[int] = []

    class Counting(TorchDataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            reads.append(index)
            return images[index], labels[index]

    heard: list[tuple[str, int, int]] = []
    made(Counting(), listener=lambda *progress: heard.append(progress))
    assert reads == list(range(40))
    assert heard == [("reading the data set", 40, 40)]


def test_a_regression():
    x = torch.arange(4.0)[:, None]
    for y in (2 * x, 2 * x[:, 0]):
        dataset = made((x, y), Data())
        assert not dataset.is_classification
        assert torch.equal(dataset.train.labels, 2 * x)


def test_whole_numbers_of_another_type_are_converted_and_it_is_said(images: torch.Tensor, labels: torch.Tensor):
    dataset = made((images.long(), labels))
    assert torch.equal(dataset.train.images, images)
    assert "int64 with whole numbers in 0…255" in dataset.notices[0]


def of(shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


TWO = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ((of((2, 8, 8, 3)), TWO), r"\(2, 8, 8, 3\); \(N, C, H, W\) is expected. The last axis looks like the channels"),
        ((of((2, 7, 8, 8)), TWO), r"\(2, 7, 8, 8\); \(N, C, H, W\) with 1 or 3 channels is expected"),
        ((of((2, 9)), TWO), r"\(2, 9\); \(N, C, H, W\)"),
        ((of((2, 1, 8, 8)), torch.tensor([0, 1, 1])), r"There are 2 images but 3 labels"),
        ((of((0, 1, 8, 8)), torch.tensor([])), r"There are no images"),
        ((of((2, 1, 8, 8)), torch.eye(2)), r"labels are float32 of shape \(2, 2\); whole numbers of shape \(N,\)"),
        ((of((2, 1, 8, 8)), torch.tensor([0.0, 1.0])), r"labels are float32 of shape \(2,\)"),
        ((of((2, 1, 8, 8)), torch.tensor([-1, 1])), r"labels lie in -1…1; 0…9999 is possible"),
        ((of((2, 1, 8, 8)), torch.tensor([0, 10_000])), r"labels lie in 0…10000; 0…9999 is possible"),
        ({"train": (of((2, 1, 8, 8)), TWO), "classes": ["a"]}, r"labels lie in 0…1; 0…0 is possible"),
        ((of((2, 1, 8, 8)), torch.tensor([0, 0])), r"All images have the same label, 0"),
        ((of((2, 1, 8, 8), torch.int64) + 300, TWO), r"int64 with values in 300…300"),
        ({"test": (of((2, 1, 8, 8)), TWO)}, r"keys train, validation, test and classes; this one has test"),
        ({"train": (of((2, 1, 8, 8)), TWO), "text": 1}, r"this one has train, text"),
        (3, r"Data of type int is not understood"),
        ([1, 2], r"An item of the data set is int; a pair \(image, label\) is expected"),
        ([{"image": 1, "label": 2}], r"An item of the data set is dict; a pair"),
        ([(of((2, 3)), 0), (of((2, 4)), 1)], r"shapes that do not go together: \(2, 3\), \(2, 4\)"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(data: object, text: str):
    with pytest.raises(DataError, match=text):
        made(data)


def test_the_fix_for_channels_at_the_end_works(images: torch.Tensor, labels: torch.Tensor):
    last = images.permute(0, 2, 3, 1)
    with pytest.raises(DataError) as caught:
        made((last, labels))
    assert "images.permute(0, 3, 1, 2)" in caught.value.fix
    assert torch.equal(made((last.permute(0, 3, 1, 2), labels)).train.images, images)


class Failing:
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int):
        if index == 2:
            raise OSError("no such photo")
        return torch.zeros(1, 8, 8), index % 2


def test_an_item_that_cannot_be_read_is_named():
    with pytest.raises(DataError, match=r"Item 2 of the data set cannot be read: OSError: no such photo"):
        dataset_from_objects(Failing(), Data())


def test_bfloat16_images_are_taken():
    images = torch.rand(8, 1, 8, 8).to(torch.bfloat16)
    dataset = dataset_from_objects((images, torch.arange(8) % 2), Data(validation=0.0, test=0.0))
    assert dataset.train.images.dtype == torch.uint8


def test_tensors_without_plain_values_are_refused():
    for images, kind in (
        (torch.rand(8, 1, 8, 8).to_sparse(), "sparse_coo"),
        (torch.rand(8, 1, 8, 8, device="meta"), "meta"),
    ):
        with pytest.raises(DataError, match=f"A tensor of the data is .*{kind}"):
            dataset_from_objects((images, torch.arange(8) % 2), Data())


def test_a_picture_out_of_range_is_named():
    pictures = [(Image.fromarray(np.full((8, 8), 7.5, np.float32)), index % 2) for index in range(8)]
    with pytest.raises(DataError, match=r"An image of the data set cannot be used: pixels of 7.5…7.5"):
        dataset_from_objects(pictures, Data())


def test_a_length_that_cannot_be_read_is_said():
    class Endless(Failing):
        def __len__(self) -> int:
            raise ValueError("no length")

    with pytest.raises(DataError, match="The length of the data set cannot be read: ValueError: no length"):
        dataset_from_objects(Endless(), Data())
