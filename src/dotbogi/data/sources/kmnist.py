from dotbogi.data.idx import idx_publication, load_idx
from dotbogi.data.source import Found, Request, SourceEntry
from dotbogi.language import mark

CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

PUBLICATION = idx_publication(
    "kmnist",
    "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    "KMNIST",
    (
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
)


def load(request: Request) -> Found:
    return load_idx(PUBLICATION, CLASSES, request)


SOURCE = SourceEntry(
    title="Kuzushiji-MNIST",
    description=mark("60,000 + 10,000 grey pictures of cursive Japanese characters, 28×28, 10 classes"),
    licence="CC BY-SA 4.0 (ROIS-DS Center for Open Data in the Humanities)",
    load=load,
)
