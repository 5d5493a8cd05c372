"""Train on a folder of image files, and classify files with the result.

    python examples/folder_of_photos.py                   with pictures of three kinds of clothes
    python examples/folder_of_photos.py path/to/photos    with your own: one subfolder per class

The pictures of clothes are written as PNG files first, so that there is a folder to
look into. A fifth of the files is held out as test images, since the folder has no test/.
"""

import sys
from pathlib import Path

from PIL import Image

import dotbogi
from dotbogi import Recipe
from dotbogi.data.open import open_dataset
from dotbogi.recipe import Data

CLASSES = ("Trouser", "Sneaker", "Bag")
PER_CLASS = 100


def write_clothes(folder: Path) -> Path:
    """Writes some images of the bundled sample into one subfolder per class."""
    sample = open_dataset(Data(source="sample"))
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        chosen = sample.train.labels == sample.classes.index(name)
        for number, image in enumerate(sample.train.images[chosen][:PER_CLASS]):  # image: (1, 28, 28) uint8
            Image.fromarray(image[0].numpy()).save(folder / name / f"{number:03}.png")
    return folder


def main(folder: Path) -> None:
    recipe = Recipe(
        data={"source": str(folder), "augmentation": {"flip": "random", "crop": 2}},
        model="simple-cnn",
        training={"epochs": 10, "batch_size": 16},
    )
    run = dotbogi.train(recipe)
    print(f"{run.metrics['accuracy']:.1%} of the test images")
    for row in run.per_class:
        print(f"  {row['name']:10} {row['images']:3} images, recall {row['recall']:.1%}")

    for prediction in list(run.predict([folder]))[::75]:
        print(f"{prediction.path}: {prediction.label} {prediction.probability:.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else write_clothes(Path("clothes")))
