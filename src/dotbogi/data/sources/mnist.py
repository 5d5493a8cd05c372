from dotbogi.data.idx import idx_publication, load_idx
from dotbogi.data.source import Found, Request, SourceEntry
from dotbogi.language import mark

CLASSES = tuple("0123456789")

PUBLICATION = idx_publication(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "MNIST",
    (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
)


def load(request: Request) -> Found:
    return load_idx(PUBLICATION, CLASSES, request)


SOURCE = SourceEntry(
    title="MNIST",
    description=mark("60,000 + 10,000 grey pictures of handwritten digits, 28×28, 10 classes"),
    licence="CC BY-SA 3.0 (Y. LeCun, C. Cortes)",
    load=load,
)
