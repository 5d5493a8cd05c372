import numpy as np

from dotbogi.data.source import Found, Labelled, Material, Request, SourceEntry
from dotbogi.language import mark

RED = [[148, 33, 232, 240], [87, 162, 143, 148], [27, 169, 50, 173], [35, 25, 144, 38]]
GREEN = [[63, 158, 46, 102], [80, 193, 139, 137], [53, 192, 29, 114], [138, 77, 90, 153]]
BLUE = [[211, 182, 26, 51], [155, 12, 54, 201], [173, 242, 211, 112], [50, 91, 141, 162]]
LABEL = 2


def read() -> Material:
    image = np.array([[RED, GREEN, BLUE]], np.uint8)  # (1, 3, 4, 4)
    return Material(("0", "1", "2"), Labelled(image, np.array([LABEL])))


def load(request: Request) -> Found:
    return Found("lecture-image", read, held_out=False)


SOURCE = SourceEntry(
    title="4×4",
    description=mark("the lecture's one image of 4×4 pixels in colour, label 2 of 3"),
    licence="–",
    load=load,
)
