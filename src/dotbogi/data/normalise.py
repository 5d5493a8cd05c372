"""From 0…255 to what the network is given, and all that predicting needs to do the same."""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from dotbogi.data.dataset import Split
from dotbogi.errors import DataError
from dotbogi.language import _

LEVELS = 256  # of a uint8 pixel
CHUNK_BYTES = 2**26  # of images in memory at once while they are counted; they may be mapped from a file

Number = Annotated[float, Field(allow_inf_nan=False)]
Divisor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=2**14)]
STRICT = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, config=STRICT)
class Normalisation:
    """(pixel − mean) / deviation, per channel.

    Args:
        mean, deviation: of each channel, on the scale 0…255; the deviation is > 0.
    """

    mean: tuple[Number, ...]
    deviation: tuple[Divisor, ...]

    @model_validator(mode="after")
    def _same_length(self) -> "Normalisation":
        if len(self.mean) != len(self.deviation):
            raise ValueError(f"{len(self.mean)} means but {len(self.deviation)} deviations")
        return self


@dataclass(frozen=True, config=STRICT)
class Preprocessing:
    """What was done to the training images, and so must be done to any other.

    Args:
        classes: names, in the order of the labels; empty for a regression.
        channels: of an image.
        image_size: height and width, in pixels.
        fit: how an image of another shape is brought to the size.
        normalisation: of as many channels.
    """

    classes: tuple[str, ...]
    channels: Annotated[int, Field(ge=1)]
    image_size: tuple[Side, Side]
    fit: Literal["crop", "pad", "squash"]
    normalisation: Normalisation

    @model_validator(mode="after")
    def _normalises_each_channel(self) -> "Preprocessing":
        if len(self.normalisation.mean) != self.channels:
            raise ValueError(f"{self.channels} channels but {len(self.normalisation.mean)} means")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Returns the same as plain dicts, lists, strings and numbers."""
        return _PREPROCESSING.dump_python(self, mode="json")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Reads what ``to_dict`` returned, perhaps from a file that came from elsewhere.

        Raises:
            DataError: it is not such a description; the message names the key.
        """
        try:
            return _PREPROCESSING.validate_json(json.dumps(values))
        except ValidationError as error:
            mistake = error.errors(include_url=False)[0]
            key = ".".join(str(word) for word in mistake["loc"])
            reason = f"{key}: {mistake['msg']}" if key else mistake["msg"]
        except (TypeError, ValueError, RecursionError) as error:
            reason = str(error)
        raise DataError(
            _("This is no description of how images were prepared: {reason}.").format(reason=reason.rstrip(".")),
            fix=_("Take the file from the run again as training wrote it."),
        )


_PREPROCESSING = TypeAdapter(Preprocessing)


def normalisation_for(name: str, split: Split) -> Normalisation:
    """Returns the mean and deviation that a name stands for.

    Args:
        name: ``unit`` 0…1, ``standardise`` by the split's mean and deviation per channel,
            ``symmetric`` −1…1, ``none`` 0…255.
        split: the training images; the numbers of a regression are left as they are, whatever the name.
    """
    channels = split.images.shape[1]
    if split.images.is_floating_point():
        name = "none"
    if name == "standardise":
        return standardisation(split.images)
    mean, deviation = {"unit": (0.0, 255.0), "symmetric": (127.5, 127.5), "none": (0.0, 1.0)}[name]
    return Normalisation((mean,) * channels, (deviation,) * channels)


def standardisation(images: Tensor) -> Normalisation:
    """Returns the exact mean and deviation of each channel over all pixels.

    Sums are counted in integers, so they depend neither on the order nor on the platform. A channel
    that never varies is divided by 255.

    Args:
        images: uint8 (N, C, H, W), N ≥ 1; read in chunks.
    """
    moments = [_moments(counts) for counts in _histograms(images)]
    mean = tuple(mean for mean, _deviation in moments)
    return Normalisation(mean, tuple(deviation or 255.0 for _mean, deviation in moments))


def _histograms(images: Tensor) -> list[list[int]]:
    # How often each level occurs in each channel: (C, 256).
    channels = images.shape[1]
    counts = torch.zeros(channels, LEVELS, dtype=torch.int64)
    for chunk in images.split(max(1, CHUNK_BYTES // images[0].numel())):
        for channel in range(channels):
            counts[channel] += torch.bincount(chunk[:, channel].flatten(), minlength=LEVELS)
    return counts.tolist()


def _moments(counts: list[int]) -> tuple[float, float]:
    n = sum(counts)
    total = sum(level * count for level, count in enumerate(counts))
    squares = sum(level * level * count for level, count in enumerate(counts))
    return total / n, math.sqrt(n * squares - total * total) / n
