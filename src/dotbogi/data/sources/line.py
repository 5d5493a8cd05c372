import numpy as np

from dotbogi.data.source import Found, Labelled, Material, Request, SourceEntry
from dotbogi.language import mark


def read() -> Material:
    x = np.array([[1.0], [2.0], [3.0], [4.0]])  # (4, 1)
    return Material(classes=(), train=Labelled(x, 2 * x))


def load(request: Request) -> Found:
    return Found("line", read, held_out=False)


SOURCE = SourceEntry(
    title="y = 2x",
    description=mark("the four points of the lecture's linear regression"),
    licence="–",
    load=load,
)
