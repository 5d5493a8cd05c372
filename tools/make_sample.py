"""Makes the bundled sample from Fashion-MNIST: the first images of each class, in the order of the originals.

    python tools/make_sample.py FOLDER

FOLDER holds the four published files (Debian's package dataset-fashion-mnist puts them into
/usr/share/datasets/fashion-mnist). The output is the same byte for byte wherever zlib is.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dotbogi.data.bundled import SAMPLE
from dotbogi.data.idx import NAMES, read_idx

TRAIN_PER_CLASS, TEST_PER_CLASS = 1000, 200


def first_of_each_class(labels: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """Returns the positions of the first ``count`` images of each class, ascending."""
    chosen = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    """Writes uint8 values as a gzipped IDX file."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes(), compresslevel=9, mtime=0))


def main() -> None:
    source = Path(sys.argv[1])
    for (images, labels), count in zip((NAMES[:2], NAMES[2:]), (TRAIN_PER_CLASS, TEST_PER_CLASS), strict=True):
        all_labels = read_idx(source / labels)
        rows = first_of_each_class(all_labels, count)
        write_idx(SAMPLE / images, read_idx(source / images)[rows])
        write_idx(SAMPLE / labels, all_labels[rows])


if __name__ == "__main__":
    main()
