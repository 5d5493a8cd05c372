"""From a split to batches: gathered, normalised and varied as whole tensors, no work per sample in Python."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dotbogi.data.augment import Draws, draw, varies, vary
from dotbogi.data.dataset import Split
from dotbogi.data.normalise import Normalisation
from dotbogi.data.randomness import permutation
from dotbogi.errors import DataError
from dotbogi.language import _
from dotbogi.recipe import Augmentation

AUTOMATIC_BATCH_SIZE = 128
# What is small is done for several batches at once: after a step the caches are cold, and each operation
# on one batch takes 10 to 50 µs, whatever its size (all of it together .3 ms of a step of 4.5 ms).
BATCHES_TOGETHER = 16
BYTES_TOGETHER = 2**22  # of pixels; larger batches come alone


@dataclass(frozen=True)
class Batch:
    """What one forward pass is given.

    Args:
        images: (B, C, H, W) of the training's type, on its device; (B, F) for a regression.
        labels: int64 (B,), or (B, F) of the images' type for a regression; on the same device.
        indices: int64 (B,) on the CPU, the samples' positions in their split.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


def automatic_batch_size(n: int) -> int:
    """Returns the batch size for ``auto``: 128, or all n images where there are fewer."""
    return min(AUTOMATIC_BATCH_SIZE, n)


@dataclass(frozen=True)
class _Group:
    """Batches that follow each other, gathered and varied, not yet normalised.

    Args:
        place: epoch and number of the group in it.
        pixels: as the split has them, on the device where they are normalised.
        labels: of the training's type, on its device.
        indices: int64, on the CPU.
        draws: of all of them.
    """

    place: tuple[int, int]
    pixels: Tensor
    labels: Tensor
    indices: Tensor
    draws: Draws | None


class Batches:
    """The batches of a split, any of them at any time: they follow from (seed, epoch, position).

    Each image comes once per epoch. A last batch of a single image joins the batch before,
    since batch normalisation needs two.

    Args:
        split: images and labels, in memory or mapped from a file.
        normalisation: applied to uint8 images; a regression's numbers are left as they are.
        batch_size: images per batch, ≥ 1; without shuffling it may exceed the number of images.
        seed: of the training.
        shuffle: a new order each epoch; otherwise 0…N−1.
        augmentation: how images are varied; not at all where ``None``.
        device: where batches go.
        dtype: of the images; normalising and varying happen in float32 (float64 where that is asked for).
        memory_format: of the images.

    Raises:
        DataError: shuffled batches that are larger than the split; the message has both numbers.
    """

    def __init__(
        self,
        split: Split,
        normalisation: Normalisation,
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        augmentation: Augmentation | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        if shuffle and batch_size > len(split.images):
            raise DataError(
                _("A batch of {batch_size} is larger than the {images} training images.").format(
                    batch_size=batch_size, images=len(split.images)
                ),
                fix=_("Give a batch size, times accumulation, of at most {images}.").format(images=len(split.images)),
            )
        self.split = split
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.augmentation = augmentation if augmentation is not None and varies(augmentation) else None
        self.device = torch.device(device)
        self.dtype = dtype
        self.memory_format = memory_format
        self._mean, self._deviation = self._constants(normalisation)
        self._order: tuple[int, Tensor] | None = None  # of the epoch that was asked for last
        self._group: _Group | None = None  # of the batch that was asked for last
        batch_bytes = max(split.images[:1].nbytes, 1) * batch_size
        self._together = max(1, min(BATCHES_TOGETHER, BYTES_TOGETHER // batch_bytes))

    def _constants(self, normalisation: Normalisation) -> tuple[Tensor, Tensor]:
        arithmetic = torch.float64 if self.dtype == torch.float64 else torch.float32
        mean, deviation = (
            torch.tensor(values, dtype=arithmetic, device=self._workplace).view(-1, 1, 1)  # (C, 1, 1)
            for values in (normalisation.mean, normalisation.deviation)
        )
        return mean, deviation

    @property
    def _workplace(self) -> torch.device:
        # MPS copies an overlapping view in full before it selects from it, which shifting an image needs.
        varied_elsewhere = self.device.type == "mps" and self.augmentation is not None
        return torch.device("cpu") if varied_elsewhere else self.device

    def __len__(self) -> int:
        """Batches per epoch."""
        full, rest = divmod(len(self.split.images), self.batch_size)
        return max(1, full) if rest <= 1 else full + 1

    def indices(self, epoch: int, position: int) -> Tensor:
        """Returns which samples a batch holds.

        Args:
            epoch: which, from 0.
            position: of the batch in its epoch, 0 ≤ position < ``len(self)``.

        Returns:
            int64 (B,), positions in the split.
        """
        return self._indices(epoch, position, position + 1)

    def _indices(self, epoch: int, first: int, end: int) -> Tensor:
        n = len(self.split.images)
        start = first * self.batch_size
        stop = n if end >= len(self) else end * self.batch_size
        return self._epoch_order(epoch)[start:stop] if self.shuffle else torch.arange(start, stop)

    def _epoch_order(self, epoch: int) -> Tensor:
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, permutation(self.seed, epoch, len(self.split.images)))
        return self._order[1]

    def batch(self, epoch: int, position: int) -> Batch:
        """Returns a batch; the arguments are those of :meth:`indices`."""
        group = self._group_with(epoch, position)
        start = (position % self._together) * self.batch_size
        last = position == len(self) - 1
        samples = slice(start, None if last else start + self.batch_size)
        draws = group.draws.of(samples) if group.draws is not None else None
        return Batch(self._finished(group.pixels[samples], draws), group.labels[samples], group.indices[samples])

    def _group_with(self, epoch: int, position: int) -> _Group:
        place = (epoch, position // self._together)
        if self._group is None or self._group.place != place:
            first = place[1] * self._together
            indices = self._indices(epoch, first, first + self._together)
            draws = self.draws(indices, epoch)
            pixels = self._varied(self.split.images.index_select(0, indices), draws)
            labels = self._to_device(self.split.labels.index_select(0, indices), self.device)
            labels = labels.to(self.dtype) if labels.is_floating_point() else labels
            self._group = _Group(place, pixels, labels, indices, draws)
        return self._group

    def draws(self, indices: Tensor, epoch: int) -> Draws | None:
        """Returns how samples are varied in an epoch, or ``None`` where nothing is varied.

        Args:
            indices: int64 (B,) on the CPU, what each sample's draws depend on.
            epoch: which, from 0.
        """
        if self.augmentation is None:
            return None
        height, width = self.split.images.shape[2:]
        return draw(self.augmentation, self.seed, epoch, indices, (height, width))

    def prepare(self, pixels: Tensor, draws: Draws | None = None) -> Tensor:
        """Makes of pixels what the network is given: varied, then (pixel − mean) / deviation.

        Args:
            pixels: uint8 (B, C, H, W) on the CPU, or float (B, F) for a regression, which only changes its type.
            draws: how each of the images is varied, or ``None``.
        """
        return self._finished(self._varied(pixels, draws), draws)

    def _varied(self, pixels: Tensor, draws: Draws | None) -> Tensor:
        pixels = self._to_device(pixels, self._workplace)
        # Pixels that are mixed need floats, four times the memory: that is left for each batch by itself.
        return pixels if draws is None or draws.resamples else vary(pixels, draws)

    def _finished(self, pixels: Tensor, draws: Draws | None) -> Tensor:
        if pixels.is_floating_point():
            return pixels.to(self.device, self.dtype)
        if draws is not None and draws.resamples:
            pixels = vary(pixels.to(self._mean.dtype), draws)
        images = (pixels - self._mean).div_(self._deviation)  # (B, C, H, W)
        # Format first, then type: both in one `to` take 2.7 times as long with 3 channels.
        return images.contiguous(memory_format=self.memory_format).to(self.device, self.dtype)

    def _to_device(self, values: Tensor, device: torch.device) -> Tensor:
        if device.type != "cuda":
            return values.to(device)
        return values.pin_memory().to(device, non_blocking=True)
