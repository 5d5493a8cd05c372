from dotbogi.data.cifar import read_cifar
from dotbogi.data.files import Publication, Published, find_files, stamp_of
from dotbogi.data.source import Found, Request, SourceEntry
from dotbogi.language import mark

PUBLICATION = Publication(
    name="cifar100",
    url="https://www.cs.toronto.edu/~kriz/",
    files=(Published("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),),
    folders=("", "cifar-100-python"),
    contents=("train", "test", "meta"),
)


def load(request: Request) -> Found:
    paths = find_files(PUBLICATION, request)
    return Found(stamp_of(paths), lambda: read_cifar(paths, PUBLICATION.contents, "fine_labels", "fine_label_names"))


SOURCE = SourceEntry(
    title="CIFAR-100",
    description=mark("50,000 + 10,000 small photos of animals, plants and things, 32×32, 100 classes"),
    licence="not stated (A. Krizhevsky, 2009)",
    load=load,
)
