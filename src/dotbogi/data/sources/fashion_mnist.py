from dotbogi.data.idx import idx_publication, load_idx
from dotbogi.data.source import Found, Request, SourceEntry
from dotbogi.language import mark

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

PUBLICATION = idx_publication(
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "FashionMNIST",
    (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
)


def load(request: Request) -> Found:
    return load_idx(PUBLICATION, CLASSES, request)


SOURCE = SourceEntry(
    title="Fashion-MNIST",
    description=mark("60,000 + 10,000 grey pictures of clothes, 28×28, 10 classes"),
    licence="MIT (Zalando SE)",
    load=load,
)
