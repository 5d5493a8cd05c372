from dotbogi.data.bundled import SAMPLE
from dotbogi.data.cache import digest
from dotbogi.data.idx import NAMES, read_material
from dotbogi.data.source import Found, Request, SourceEntry
from dotbogi.data.sources.fashion_mnist import CLASSES
from dotbogi.language import mark


def load(request: Request) -> Found:
    paths = [SAMPLE / name for name in NAMES]
    # Not by their place and time: several installations share one cache.
    return Found(digest([path.stat().st_size for path in paths]), lambda: read_material(paths, CLASSES))


SOURCE = SourceEntry(
    title=mark("Fashion-MNIST, a sample"),
    description=mark("10,000 + 2,000 grey pictures of clothes, 28×28, 10 classes; comes with the program"),
    licence="MIT (Zalando SE)",
    load=load,
)
