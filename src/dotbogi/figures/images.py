"""Images as pictures: what a training reads, pixel by pixel, with captions."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dotbogi.figures.theme import new_figure, plain, shortened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from plotly.graph_objs import Figure

SMALLEST_SIDE, LARGEST_SIDE = 112, 224  # of a picture, in pixels
COLUMNS = 5
CAPTION_LENGTH = 26  # of a line, in characters
CAPTION_SHARE = 0.24  # of a cell's height


def png(image: NDArray[np.uint8]) -> bytes:
    """Returns an image as a PNG file; a small one is enlarged by whole pixels, a large one reduced.

    Args:
        image: (C, H, W) uint8; of other than 1 or 3 channels the first is shown.
    """
    from PIL import Image

    shown = image.transpose(1, 2, 0) if image.shape[0] == 3 else image[0]
    picture = Image.fromarray(shown.copy())
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    factor = max(1, SMALLEST_SIDE // max(picture.size))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def data_uri(image: NDArray[np.uint8]) -> str:
    """Returns an image, as :func:`png` takes it, as an address that holds all of it."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")


def image_grid(images: NDArray[np.uint8], captions: Sequence[str], title: str, *, columns: int = COLUMNS) -> Figure:
    """Draws images in rows, each with its caption below.

    Args:
        images: (N, C, H, W) uint8, as :func:`png` takes them.
        captions: N plain texts; line breaks count.
        title: plain text.
        columns: images in a row.
    """
    figure = new_figure(title)
    for position, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(position, columns)
        place = {"x": column + 0.5, "xref": "x", "yref": "y", "xanchor": "center", "yanchor": "top"}
        height = 1 - CAPTION_SHARE
        figure.add_layout_image(
            source=data_uri(image), y=row, sizex=0.92, sizey=height - 0.02, sizing="contain", layer="above", **place
        )
        figure.add_annotation(text=plain(_fitted(caption)), y=row + height, showarrow=False, font={"size": 12}, **place)
    rows = -(-len(images) // columns)
    figure.update_xaxes(range=[0, columns], visible=False)
    figure.update_yaxes(range=[rows, 0], visible=False)
    figure.update_layout(width=170 * columns, height=205 * rows + 64, margin={"l": 8, "r": 8, "t": 56, "b": 8})
    return figure


def _fitted(caption: str) -> str:
    return "\n".join(shortened(line, CAPTION_LENGTH) for line in caption.splitlines())
