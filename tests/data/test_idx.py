import gzip
from pathlib import Path

import numpy as np
import pytest

from dotbogi.data.bundled import SAMPLE
from dotbogi.data.idx import NAMES, read_idx, read_material
from dotbogi.errors import DataError


def test_a_gzipped_and_a_plain_file_are_read_alike(tmp_path: Path):
    plain = tmp_path / "labels"
    plain.write_bytes(gzip.decompress((SAMPLE / NAMES[1]).read_bytes()))
    labels = read_idx(plain)
    assert np.array_equal(labels, read_idx(SAMPLE / NAMES[1]))
    assert labels.shape == (10_000,)


def test_images_and_labels_go_together():
    material = read_material([SAMPLE / name for name in NAMES], ("a", "b"))
    assert material.train.images.shape == (10_000, 1, 28, 28)
    assert material.train.labels.dtype == np.int64
    assert material.test is not None
    assert len(material.test.images) == len(material.test.labels) == 2000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08\x01\0\0\0\x09abc",
        b"\0\0\x0d\x01\0\0\0\x01abcd",
        b"\1\0\x08\x01\0\0\0\x01a",
        (SAMPLE / NAMES[1]).read_bytes()[:900],
    ],
)
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path):
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte is damaged"):
        read_idx(path)
