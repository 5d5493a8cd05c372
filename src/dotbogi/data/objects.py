"""Data from Python: tensors, arrays, ``Dataset``s or lists of pairs, checked and brought to uint8."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dotbogi.data.cache import fingerprint_of
from dotbogi.data.convert import convert, picture_of, resolved
from dotbogi.data.dataset import Dataset
from dotbogi.data.fit import is_coloured, pixels_of, upright
from dotbogi.data.image_size import Wanted, choose_image_size
from dotbogi.data.levels import to_uint8
from dotbogi.data.prepared import Prepared, split_dataset
from dotbogi.data.source import Labelled, Listener, silent
from dotbogi.errors import DataError, DotbogiError
from dotbogi.language import _
from dotbogi.recipe import Data

NAME = "objects"
MOST_CLASSES = 10_000  # beyond what the images alone make likely


def dataset_from_objects(
    data: Any,
    recipe: Data,
    *,
    wants_channels: int | None = None,
    wants_image_size: tuple[int, int] | None = None,
    seed: int = 0,
    listener: Listener = silent,
) -> Dataset:
    """Makes a data set of objects.

    Args:
        data: ``(images, labels)``; a ``Dataset`` or list of (image, label) pairs, read once from first
            to last; a pair of either as ``(train, test)``; or a dict of them under ``train``,
            ``validation`` and ``test``, with class names under ``classes``.
            Images are (N, C, H, W) or (N, H, W): uint8, uint16 (divided by 257) or floating point
            in 0…1; pairs may hold Pillow's images. Labels are integers (N,) from 0. A regression is
            (N, F) floating point with (N, G) floating point labels.
        recipe, wants_channels, wants_image_size, seed, listener: as in :func:`~dotbogi.data.open.open_dataset`.

    Raises:
        DataError: no such data, or images or labels that cannot be trained on; the message says
            what came and what to do.
    """
    parts, classes = _parts(data)
    wanted = Wanted.of(recipe, wants_channels, wants_image_size)
    notices: list[str] = []
    read = {name: _labelled(part, wanted, notices, listener) for name, part in parts.items()}
    if read["train"].labels.dtype.kind == "f":
        return _regression(read)
    classes = _checked_classes(read, classes)
    shape = resolved(wanted, read["train"].images)
    images = np.concatenate([convert(part.images, *shape, wanted.fit) for part in read.values()])
    labels = np.concatenate([part.labels for part in read.values()])
    counts = {name: len(part.images) for name, part in read.items()}
    fingerprint = fingerprint_of(images, labels, classes, counts)
    unique = tuple(dict.fromkeys(notices))
    return split_dataset(Prepared(NAME, classes, images, labels, counts, fingerprint, None, unique), recipe, seed)


def _parts(data: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    if isinstance(data, Mapping):
        given = dict(cast(Mapping[str, Any], data))
        classes = tuple(str(name) for name in given.pop("classes", ()))
        unknown = sorted(set(given) - {"train", "validation", "test"})
        if unknown or "train" not in given:
            raise DataError(
                _("A dict of data has the keys train, validation, test and classes; this one has {keys}.").format(
                    keys=", ".join(map(str, cast(Mapping[str, Any], data))) or "–"
                ),
                fix=_("Give at least train."),
            )
        ordered = {name: given[name] for name in ("train", "validation", "test") if given.get(name) is not None}
        return ordered, classes or _class_names(given["train"])
    if isinstance(data, tuple) and len(cast(tuple[Any, ...], data)) == 2 and not _is_arrays(data):
        train, test = cast(tuple[Any, Any], data)
        return {"train": train, "test": test}, _class_names(train)
    return {"train": data}, _class_names(data)


def _class_names(dataset: Any) -> tuple[str, ...]:
    names = getattr(dataset, "classes", ())
    return tuple(map(str, cast(Sequence[Any], names))) if isinstance(names, list | tuple) else ()


def _is_arrays(part: Any) -> bool:
    """Whether this is (images, labels)."""
    pair = cast(tuple[Any, ...], part) if isinstance(part, tuple) else ()
    return len(pair) == 2 and isinstance(pair[0], torch.Tensor | np.ndarray)


def _labelled(part: Any, wanted: Wanted, notices: list[str], listener: Listener) -> Labelled:
    if _is_arrays(part):
        images, labels = _array(part[0]), _array(part[1])
    elif hasattr(part, "__getitem__") and hasattr(part, "__len__"):
        images, labels = _read_pairs(part, _length(part), wanted, notices, listener)
    else:
        raise DataError(
            _("Data of type {type} is not understood.").format(type=type(part).__name__),
            fix=_("Give (images, labels), or a Dataset with a length, or a list of (image, label) pairs."),
        )
    if len(images) != len(labels):
        raise DataError(
            _("There are {images} images but {labels} labels.").format(images=len(images), labels=len(labels)),
            fix=_("Give one label for each image."),
        )
    if not len(images):
        raise DataError(_("There are no images."), fix=_("Give at least one image of each of two classes."))
    if images.ndim == 2 and images.dtype.kind == labels.dtype.kind == "f":
        return Labelled(images, labels[:, None] if labels.ndim == 1 else labels)
    return Labelled(to_uint8(_with_channels(images), notices), _checked_labels(labels))


def _array(values: Any) -> NDArray[Any]:
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    if values.layout is not torch.strided or values.is_meta or values.is_quantized:
        raise DataError(
            _("A tensor of the data is {kind}; a plain tensor with values is expected.").format(
                kind="meta" if values.is_meta else str(values.layout if not values.is_quantized else values.dtype)
            ),
            fix=_("Give tensor.to_dense(), or tensor.dequantize()."),
        )
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # numpy has no bfloat16


def _with_channels(images: NDArray[Any]) -> NDArray[Any]:
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images  # (N, C, H, W)
    shape = tuple(images.shape)
    if images.ndim == 4 and images.shape[3] in (1, 3):
        raise DataError(
            _("The images are {shape}; (N, C, H, W) is expected. The last axis looks like the channels.").format(
                shape=shape
            ),
            fix=_("Give images.permute(0, 3, 1, 2), or of a numpy array images.transpose(0, 3, 1, 2)."),
        )
    raise DataError(
        _("The images are {shape}; (N, C, H, W) with 1 or 3 channels is expected.").format(shape=shape),
        fix=_("Reshape them, or choose the channels that matter."),
    )


def _checked_labels(labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.ndim == 2 and labels.shape[1] == 1 and labels.dtype.kind in "iu":
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            _("The labels are {dtype} of shape {shape}; whole numbers of shape (N,) are expected.").format(
                dtype=labels.dtype, shape=tuple(labels.shape)
            ),
            fix=_("Give labels.argmax(1) of one-hot labels, labels.long() of others."),
        )
    return labels.astype(np.int64)


def _checked_classes(read: dict[str, Labelled], classes: tuple[str, ...]) -> tuple[str, ...]:
    lowest = min(int(part.labels.min()) for part in read.values())
    highest = max(int(part.labels.max()) for part in read.values())
    most = len(classes) or max(MOST_CLASSES, len(read["train"].labels))
    if lowest < 0 or highest >= most:
        raise DataError(
            _("The labels lie in {lowest}…{highest}; 0…{most} is possible.").format(
                lowest=lowest, highest=highest, most=most - 1
            ),
            fix=_("Count the classes from 0."),
        )
    if (len(classes) or highest + 1) < 2:
        raise DataError(
            _("All images have the same label, {label}.").format(label=highest),
            fix=_("Give images of a second class, or name the classes: {'train': …, 'classes': […]}."),
        )
    return classes or tuple(str(label) for label in range(highest + 1))


def _regression(read: dict[str, Labelled]) -> Dataset:
    images = np.concatenate([part.images for part in read.values()])
    labels = np.concatenate([part.labels for part in read.values()])
    counts = {name: len(part.images) for name, part in read.items()}
    fingerprint = fingerprint_of(images, labels, (), counts)
    return split_dataset(Prepared(NAME, (), images, labels, counts, fingerprint, held_out=False), Data(), 0)


def _length(dataset: Any) -> int:
    try:
        return len(dataset)
    except Exception as error:
        raise DataError(
            _("The length of the data set cannot be read: {error}").format(error=f"{type(error).__name__}: {error}"),
            fix=_("Give (images, labels), or a Dataset with a length, or a list of (image, label) pairs."),
        ) from error


def _read_pairs(
    dataset: Any, total: int, wanted: Wanted, notices: list[str], listener: Listener
) -> tuple[NDArray[Any], NDArray[Any]]:
    images: list[Any] = []
    labels: list[Any] = []
    for index in range(total):
        image, label = _pair(_item(dataset, index))
        images.append(image)
        labels.append(_array(label))
        if index % 256 == 255 or index + 1 == total:
            listener(_("reading the data set"), index + 1, total)
    return _stacked(images, wanted, notices), np.array(labels)


def _item(dataset: Any, index: int) -> Any:
    try:
        return dataset[index]
    except DotbogiError:
        raise
    except Exception as error:
        raise DataError(
            _("Item {index} of the data set cannot be read: {error}").format(
                index=index, error=f"{type(error).__name__}: {error}"
            ),
            fix=_("Mend the data set; each of its {count} items is a pair (image, label).").format(count=len(dataset)),
        ) from error


def _pair(item: Any) -> tuple[Any, Any]:
    pair = cast(Sequence[Any], item) if isinstance(item, tuple | list) else ()
    if len(pair) != 2:
        raise DataError(
            _("An item of the data set is {type}; a pair (image, label) is expected.").format(type=type(item).__name__),
            fix=_("Give a Dataset whose items are pairs."),
        )
    return pair[0], pair[1]


def _stacked(images: list[Any], wanted: Wanted, notices: list[str]) -> NDArray[Any]:
    pictures = [image for image in images if isinstance(image, Image.Image)]
    if pictures and len(pictures) == len(images):
        return _decoded([upright(picture) for picture in pictures], wanted)
    arrays = [_array(image) for image in images]
    if len({array.shape for array in arrays}) <= 1:
        return np.array(arrays)
    if not all(array.ndim == 3 and len(array) in (1, 3) for array in arrays):
        shapes = ", ".join(str(shape) for shape in sorted({array.shape for array in arrays})[:4])
        raise DataError(
            _("The images have shapes that do not go together: {shapes}.").format(shapes=shapes),
            fix=_("Give each image as (C, H, W) with 1 or 3 channels, or as Pillow's image."),
        )
    return _decoded([picture_of(to_uint8(array, notices)) for array in arrays], wanted)


def _decoded(pictures: list[Image.Image], wanted: Wanted) -> NDArray[np.uint8]:
    channels = wanted.channels or (3 if any(is_coloured(picture) for picture in pictures) else 1)
    image_size = wanted.image_size or choose_image_size([(picture.height, picture.width) for picture in pictures])
    try:
        pixels = [pixels_of(picture, channels, image_size, wanted.fit) for picture in pictures]
    except ValueError as error:
        raise DataError(
            _("An image of the data set cannot be used: {error}.").format(error=error),
            fix=_("Give images of 8 bits per channel, such as image.convert('RGB')."),
        ) from error
    return np.stack(pixels)  # (N, C, H, W)
