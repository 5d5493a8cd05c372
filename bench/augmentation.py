"""What each augmentation costs beside a whole training step of the lecture's CNN.

Prints microseconds per batch of 128, the fastest of many short rounds, as a Markdown table; the machine should be idle:
``uv run python bench/augmentation.py``.
"""

import platform
import time
from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from dotbogi.data.augment import draw, vary
from dotbogi.data.batches import Batches
from dotbogi.data.dataset import Split
from dotbogi.data.normalise import normalisation_for
from dotbogi.models.architectures.simple_cnn import SimpleCNN
from dotbogi.recipe import Augmentation

BATCH, IMAGES, THREADS = 128, 10_000, 2
SIZES = ((1, 28, 28), (3, 32, 32))
AUGMENTATIONS = {
    "crop 2": Augmentation(crop=2),
    "flip random": Augmentation(flip="random"),
    "flip alternating": Augmentation(flip="alternating"),
    "erasing .5": Augmentation(erasing=0.5),
    "crop + flip + erasing": Augmentation(crop=2, flip="random", erasing=0.5),
    "rotation 10°": Augmentation(rotation=10.0),
    "rotation + scale + flip + crop": Augmentation(rotation=10.0, scale=0.1, flip="random", crop=2),
}


def fastest_us(work: Callable[[], object], repeats: int = 5, budget_s: float = 1.0) -> float:
    """Returns microseconds of one call: the fastest round's mean, since other programs only ever slow it down."""
    work()
    fastest_s, end = float("inf"), time.perf_counter() + budget_s
    while (start := time.perf_counter()) < end:
        for _ in range(repeats):
            work()
        fastest_s = min(fastest_s, (time.perf_counter() - start) / repeats)
    return fastest_s * 1e6


def training_step(images: torch.Tensor, labels: torch.Tensor) -> Callable[[], object]:
    """Returns one whole step on a resident batch, in float32, contiguous, with Adam."""
    model = SimpleCNN(10, images.shape[1], (images.shape[2], images.shape[3]))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> None:
        loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def rows(channels: int, height: int, width: int) -> dict[str, list[str]]:
    """Measures everything for images of one size: name → cells of the table."""
    split = Split(
        torch.randint(0, 256, (IMAGES, channels, height, width), dtype=torch.uint8), torch.randint(0, 10, (IMAGES,))
    )
    batches = Batches(split, normalisation_for("unit", split), batch_size=BATCH, seed=0, shuffle=True)
    batch = batches.batch(0, 0)
    pixels = split.images[batch.indices]
    step_us = fastest_us(training_step(batch.images, batch.labels), repeats=2)
    measured = {"training step": step_us, "batch, not varied": fastest_us(lambda: batches.batch(0, 5))}
    for name, augmentation in AUGMENTATIONS.items():
        measured[name] = fastest_us(lambda augmentation=augmentation: varied(augmentation, pixels, batch.indices))
    return {name: [f"{us:.0f}", f"{us / step_us:.1%}"] for name, us in measured.items()}


def varied(augmentation: Augmentation, pixels: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Draws and varies, as a training does: bytes where they are only moved, floats where they are mixed."""
    draws = draw(augmentation, 0, 0, indices, (pixels.shape[2], pixels.shape[3]))
    return vary(pixels.float() if draws.resamples else pixels, draws)


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(THREADS)
    print(f"torch {torch.__version__}, {THREADS} threads, {platform.processor() or platform.machine()}\n")
    columns = [rows(*size) for size in SIZES]
    heads = [f"{BATCH}×{'×'.join(map(str, size))}, µs | of a step" for size in SIZES]
    print(f"| draw, vary | {' | '.join(heads)} |\n|-|{'-:|-:|' * len(SIZES)}")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(' | '.join(column[name]) for column in columns)} |")


if __name__ == "__main__":
    main()
