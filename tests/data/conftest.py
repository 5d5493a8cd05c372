from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dotbogi.data.bundled import SAMPLE
from dotbogi.data.idx import read_idx

WriteFolder = Callable[..., Path]


@pytest.fixture(scope="session")
def sample_images() -> np.ndarray:
    return read_idx(SAMPLE / "t10k-images-idx3-ubyte.gz")  # (2000, 28, 28)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DOTBOGI_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def write_folder(tmp_path: Path, sample_images: np.ndarray) -> Iterator[WriteFolder]:
    taken = iter(sample_images)

    def write(root: Path | None = None, suffix: str = ".png", mode: str = "L", **classes: int) -> Path:
        root = root or tmp_path / "photos"
        for name, count in classes.items():
            (root / name).mkdir(parents=True)
            for index in range(count):
                Image.fromarray(next(taken)).convert(mode).save(root / name / f"{index:03}{suffix}")
        return root

    yield write
