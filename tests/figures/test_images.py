import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from dotbogi.figures.images import data_uri, image_grid, png


def read(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@given(arrays(np.uint8, st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40))))
def test_small_images_are_enlarged_by_whole_pixels(image: np.ndarray) -> None:
    shown = read(png(image))
    factor = shown.shape[0] // image.shape[1]
    assert factor == max(1, 112 // max(image.shape[1:]))
    expected = image.transpose(1, 2, 0).repeat(factor, 0).repeat(factor, 1)
    assert (shown.reshape(expected.shape) == expected).all()


def test_large_images_are_reduced() -> None:
    assert read(png(np.full((3, 600, 300), 7, np.uint8))).shape == (224, 112, 3)


@pytest.mark.parametrize("channels", [2, 4])
def test_of_other_channels_the_first_is_shown(channels: int) -> None:
    image = np.arange(channels, dtype=np.uint8).repeat(112 * 112).reshape(channels, 112, 112) + 5
    assert (read(png(image)) == 5).all()


def test_an_address_holds_all_of_the_image() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    kind, content = data_uri(image).split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == png(image)


def test_a_grid_has_each_image_above_its_caption() -> None:
    images = np.zeros((7, 1, 28, 28), np.uint8)
    captions = [f"<i>{number}</i>\nsecond" for number in range(7)]
    figure = image_grid(images, captions, "Mistakes", columns=3)
    assert len(figure.layout.images) == len(figure.layout.annotations) == 7
    assert figure.layout.annotations[6].text == "&lt;i&gt;6&lt;/i&gt;<br>second"
    assert (figure.layout.images[6].x, figure.layout.images[6].y) == (0.5, 2)
    assert figure.layout.annotations[6].y > figure.layout.images[6].y
    assert tuple(figure.layout.yaxis.range) == (3, 0)


def test_every_image_has_a_caption() -> None:
    with pytest.raises(ValueError, match="shorter"):
        image_grid(np.zeros((2, 1, 4, 4), np.uint8), ["one"], "")
