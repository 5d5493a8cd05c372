"""How training images are varied: drawn for each sample from its key, applied to the batch as a whole.

``draw`` decides, ``vary`` computes: a few kinds of tensor operations, from which every
number of the varied image can be followed back. Pixels are moved and erased while they
are bytes, a quarter of the memory that floats would take; what enters from outside an
image is black (0), and so is what is erased.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dotbogi.data.randomness import uniform
from dotbogi.recipe import Augmentation

STREAM = "augmentation"
NUMBERS = ("flip", "down", "right", "rotation", "scale", "erased", "area", "aspect", "top", "left")  # of the stream
START_STREAM = "alternating flip"
LEAST_ASPECT = 0.3  # of an erased rectangle, relative to the image's own; the greatest is 1 / 0.3


@dataclass(frozen=True)
class Draws:
    """What was drawn for a batch; ``None`` where that augmentation is off.

    Args:
        image_size: height and width, in pixels.
        flip: bool (B,), mirrored left and right.
        shift: int64 (B, 2), pixels down and to the right.
        rotation: float64 (B,), degrees counter-clockwise around the middle.
        scale: float64 (B,), new size / old size.
        erased: int64 (B, 4), the rectangle's top, left, bottom and right; all 0 where nothing is erased.
    """

    image_size: tuple[int, int]
    flip: Tensor | None = None
    shift: Tensor | None = None
    rotation: Tensor | None = None
    scale: Tensor | None = None
    erased: Tensor | None = None

    @property
    def resamples(self) -> bool:
        """Whether pixels are mixed, and not only moved."""
        return self.rotation is not None or self.scale is not None

    def of(self, samples: slice) -> "Draws":
        """Returns the draws of some of the samples."""
        drawn = (self.flip, self.shift, self.rotation, self.scale, self.erased)
        return Draws(self.image_size, *(values if values is None else values[samples] for values in drawn))


def varies(augmentation: Augmentation) -> bool:
    """Returns whether any augmentation is on."""
    moves = augmentation.crop > 0 or augmentation.flip != "none"
    return moves or augmentation.rotation > 0 or augmentation.scale > 0 or augmentation.erasing > 0


def draw(augmentation: Augmentation, seed: int, epoch: int, indices: Tensor, image_size: tuple[int, int]) -> Draws:
    """Draws how each image of a batch is varied.

    A sample's numbers are those of ``uniform(seed, epoch, indices, STREAM)``, in the order of ``NUMBERS``
    whichever augmentations are on; where an alternating flip begins is
    ``uniform(seed, 0, indices, START_STREAM)``.

    Args:
        augmentation: what may be varied, and how far.
        seed: of the training.
        epoch: which, from 0.
        indices: int64 (B,) on the CPU, the samples' positions in their split.
        image_size: height and width, in pixels.
    """
    drawn = uniform(seed, epoch, indices, STREAM, len(NUMBERS)).numpy().astype(np.float64)  # (B, 10)
    crop, angle, scale = augmentation.crop, augmentation.rotation, augmentation.scale
    return Draws(
        image_size,
        flip=_flips(augmentation, seed, epoch, indices, drawn[:, 0]),
        shift=torch.from_numpy((drawn[:, 1:3] * (2 * crop + 1)).astype(np.int64) - crop) if crop else None,
        rotation=torch.from_numpy((2 * drawn[:, 3] - 1) * angle) if angle else None,
        scale=torch.from_numpy(1 + (2 * drawn[:, 4] - 1) * scale) if scale else None,
        erased=torch.from_numpy(_rectangles(augmentation, image_size, drawn[:, 5:])) if augmentation.erasing else None,
    )


def _flips(
    augmentation: Augmentation, seed: int, epoch: int, indices: Tensor, drawn: NDArray[np.float64]
) -> Tensor | None:
    if augmentation.flip == "none":
        return None
    if augmentation.flip == "random":
        return torch.from_numpy(drawn < 0.5)
    starts_flipped = uniform(seed, 0, indices, START_STREAM)[:, 0].numpy() < 0.5
    return torch.from_numpy(starts_flipped ^ (epoch % 2 == 1))


def _rectangles(
    augmentation: Augmentation, image_size: tuple[int, int], drawn: NDArray[np.float64]
) -> NDArray[np.int64]:
    erased, area, aspect, *corner = drawn.T  # each (B,)
    area = augmentation.erasing_low + area * (augmentation.erasing_high - augmentation.erasing_low)
    # An aspect between the area and its inverse is one whose rectangle fits into the image.
    longest = -np.log(np.maximum(area, LEAST_ASPECT))
    aspect = np.exp((2 * aspect - 1) * longest)
    sides = np.sqrt(np.stack([area * aspect, area / aspect], axis=1)) * image_size  # (B, 2)
    sides = np.clip(np.rint(sides), 1, image_size)
    corners = np.floor(np.stack(corner, axis=1) * (image_size - sides + 1))
    rectangles = np.concatenate([corners, corners + sides], axis=1)  # (B, 4)
    return (rectangles * (erased < augmentation.erasing)[:, None]).astype(np.int64)


def vary(images: Tensor, draws: Draws) -> Tensor:
    """Flips, rotates and scales, shifts, and erases a batch as drawn, in this order.

    Args:
        images: (B, C, H, W), on the scale 0…255; floating point where there is a rotation or a scale.
        draws: of the same B, H and W, on the CPU.

    Returns:
        The varied images, in the shape, type and device of ``images``, which stay as they are.
    """
    images = _move(images, draws)
    return images if draws.erased is None else _erase(images, draws.erased)


def _move(images: Tensor, draws: Draws) -> Tensor:
    if draws.resamples:
        return _transform(images, draws)
    images = images if draws.flip is None else _flip(images, draws.flip)
    return images if draws.shift is None else _shift(images, draws.shift)


def _flip(images: Tensor, flip: Tensor) -> Tensor:
    # Copying whole images from both versions is faster than choosing pixel by pixel with torch.where.
    n = len(images)
    both = torch.cat([images, images.flip(3)])  # (2·B, C, H, W)
    return _select(both, np.arange(n) + n * flip.numpy())


def _select(values: Tensor, indices: NDArray[np.int64]) -> Tensor:
    return values.index_select(0, torch.from_numpy(indices).to(values.device))


def _shift(images: Tensor, shift: Tensor) -> Tensor:
    # Each row of the result is a run of W numbers of the zero-padded batch, laid out as one line.
    n, channels, height, width = images.shape
    margin = int(np.abs(shift.numpy()).max())
    padded = F.pad(images, (margin, margin, margin, margin))  # (B, C, H + 2m, W + 2m)
    row, image = padded.stride(2), padded.stride(1)
    down, right = shift.numpy().T[:, :, None, None]  # each (B, 1, 1)
    planes = np.arange(n * channels).reshape(n, channels, 1) * image
    starts = planes + (np.arange(height) + margin - down) * row + margin - right  # (B, C, H)
    runs = padded.flatten().unfold(0, width, 1)  # (…, W), a view
    return _select(runs, starts.ravel()).view(images.shape)


def _erase(images: Tensor, erased: Tensor) -> Tensor:
    height, width = images.shape[2:]
    top, left, bottom, right = erased.numpy().T[:, :, None]  # each (B, 1)
    rows, columns = np.arange(height), np.arange(width)
    row_kept = ((rows < top) | (rows >= bottom)).astype(np.uint8)  # (B, H)
    column_kept = ((columns < left) | (columns >= right)).astype(np.uint8)  # (B, W)
    kept = torch.maximum(
        torch.from_numpy(row_kept).to(images.device)[:, None, :, None],
        torch.from_numpy(column_kept).to(images.device)[:, None, None, :],
    )  # (B, 1, H, W)
    return images * kept


def _transform(images: Tensor, draws: Draws) -> Tensor:
    matrices = affine_matrices(draws).to(images.device, images.dtype)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)  # (B, H, W, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def affine_matrices(draws: Draws) -> Tensor:
    """Where each pixel of a varied image comes from, in torch's coordinates (−1…1 from edge to edge).

    With the middle of the image as origin, x to the right and y down, a pixel at p comes from
    F·R(−θ)·(p − t)/s: flip F = diag(±1, 1), rotation θ, scale s, shift t.

    Returns:
        float64 (B, 2, 3).
    Source: Jaderberg et al. 2015, arXiv:1506.02025, equation 1.
    """
    height, width = draws.image_size
    # The numbers are given: numpy keeps what is done to them out of a recording of the batch's own operations.
    angle = np.radians(0.0 if draws.rotation is None else draws.rotation.numpy())
    scale = 1.0 if draws.scale is None else draws.scale.numpy()
    mirror = 1.0 if draws.flip is None else np.where(draws.flip.numpy(), -1.0, 1.0)
    down, right = (0.0, 0.0) if draws.shift is None else draws.shift.numpy().T
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    x = (cos, -sin * height / width, (sin * down - cos * right) * 2 / width)
    y = (sin * width / height, cos, -(sin * right + cos * down) * 2 / height)
    entries = np.broadcast_arrays(*(mirror * entry for entry in x), *y)  # each (B,)
    return torch.from_numpy(np.stack(entries, axis=-1)).view(-1, 2, 3)
