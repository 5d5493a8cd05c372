"""Compare two optimizers on the same images, from the same first weights, in the same order.

    python examples/two_optimizers.py

What differs between the two trainings is one table of the recipe. Everything random
depends on the seed alone, so the difference that is printed is the optimizers'.
"""

import dotbogi
from dotbogi import Recipe

OPTIMIZERS = (
    {"name": "sgd", "lr": 0.1},
    {"name": "adam", "lr": 0.003},
)


def train(optimizer: dict) -> dotbogi.Run:
    recipe = Recipe(
        data="sample",  # 10,000 + 2,000 images of clothes that come with the package
        model="simple-cnn",
        optimizer=optimizer,
        schedule="cosine",
        training={"epochs": 2, "seed": 0},
    )
    return dotbogi.train(recipe, name=f"two-optimizers-{optimizer['name']}")


def main() -> None:
    runs = [train(optimizer) for optimizer in OPTIMIZERS]

    print(f"{'epoch':>5}", *(f"{run.recipe.optimizer.name:>8}" for run in runs))
    for rows in zip(*(run.history() for run in runs), strict=True):
        losses = (f"{row['validation_loss']:8.4f}" for row in rows)
        print(f"{rows[0]['epoch'] + 1:5}", *losses)

    for run in runs:
        print(f"{run.recipe.optimizer.name}: {run.metrics['accuracy']:.1%} of the test images")


if __name__ == "__main__":
    main()
