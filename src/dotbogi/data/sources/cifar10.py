from dotbogi.data.cifar import read_cifar
from dotbogi.data.files import Publication, Published, find_files, stamp_of
from dotbogi.data.source import Found, Request, SourceEntry
from dotbogi.language import mark

PUBLICATION = Publication(
    name="cifar10",
    url="https://www.cs.toronto.edu/~kriz/",
    files=(Published("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),),
    folders=("", "cifar-10-batches-py"),
    contents=(
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
        "batches.meta",
    ),
)


def load(request: Request) -> Found:
    paths = find_files(PUBLICATION, request)
    return Found(stamp_of(paths), lambda: read_cifar(paths, PUBLICATION.contents, "labels", "label_names"))


SOURCE = SourceEntry(
    title="CIFAR-10",
    description=mark("50,000 + 10,000 small photos of animals and vehicles, 32×32, 10 classes"),
    licence="not stated (A. Krizhevsky, 2009)",
    load=load,
)
