"""At which size a folder of images is trained on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from dotbogi.recipe import Data

LARGEST_SIDE = 128
STEP = 32


@dataclass(frozen=True)
class Wanted:
    """What the images are to become.

    Args:
        channels: 1, 3, or None to keep them as they are (1 where all are grey, else 3).
        image_size: (height, width), or None for the rule of :func:`choose_image_size`.
        fit: ``crop``, ``pad`` or ``squash``.
    """

    channels: int | None
    image_size: tuple[int, int] | None
    fit: str

    @classmethod
    def of(cls, recipe: Data, channels: int | None, image_size: tuple[int, int] | None) -> "Wanted":
        """What the recipe says, else what the model wants (``channels``, ``image_size``; None takes any)."""
        if recipe.channels != "auto":
            channels = recipe.channels
        if isinstance(recipe.image_size, int):
            image_size = (recipe.image_size, recipe.image_size)
        elif recipe.image_size != "auto":
            image_size = (recipe.image_size[0], recipe.image_size[1])
        return cls(channels, image_size, recipe.fit)


def choose_image_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Chooses the size for images of which neither the recipe nor the model says one.

    Where at least half of the images have the same size and no side is over 128 pixels, that
    size is kept: icons of 28×28 are trained on as they are. Else it is a square whose side is
    the median of the images' shorter sides, rounded down to a multiple of 32, at least 32 and
    at most 128: photos from a phone become 128×128.

    Args:
        sizes: (height, width) of the images, upright, at least one.
    """
    commonest, count = Counter(sizes).most_common(1)[0]
    if 2 * count >= len(sizes) and max(commonest) <= LARGEST_SIDE:
        return commonest
    side = int(median(min(size) for size in sizes)) // STEP * STEP
    side = max(STEP, min(side, LARGEST_SIDE))
    return side, side
