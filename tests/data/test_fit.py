import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dotbogi.data.bundled import PHOTO
from dotbogi.data.fit import fitted, is_coloured, pixels_of, upright, upright_size

ORIENTATION = 0x0112


def saved(image: Image.Image, file_format: str, **options: object) -> Image.Image:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def photo() -> Image.Image:
    return Image.open(PHOTO).resize((48, 32))


@settings(deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from([1, 3]), st.sampled_from(["crop", "pad", "squash"]),
)  # fmt: skip
def test_any_size_becomes_any_other(height: int, width: int, to_height: int, to_width: int, channels: int, fit: str):
    pixels = pixels_of(photo().resize((width, height)), channels, (to_height, to_width), fit)
    assert (pixels.shape, pixels.dtype) == ((channels, to_height, to_width), np.uint8)


def test_crop_takes_the_middle_pad_adds_black_squash_takes_all():
    image = Image.fromarray(np.repeat(np.array([[10, 20, 30, 40]], np.uint8), 2, axis=0))  # 2 × 4
    assert np.asarray(fitted(image, (2, 2), "crop")).tolist() == [[20, 30]] * 2
    assert np.asarray(fitted(image, (4, 4), "pad")).tolist() == [[0] * 4, [10, 20, 30, 40], [10, 20, 30, 40], [0] * 4]
    assert np.asarray(fitted(image, (2, 4), "squash")).tolist() == [[10, 20, 30, 40]] * 2
    assert fitted(image, (1, 2), "squash").size == (2, 1)


def test_an_image_of_the_right_size_stays_as_it_is(sample_images: np.ndarray):
    assert np.array_equal(pixels_of(Image.fromarray(sample_images[0]), 1, (28, 28), "crop")[0], sample_images[0])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_grey_and_colour(mode: str):
    image = photo().convert(mode)
    for channels in (1, 3):
        assert pixels_of(image, channels, (32, 48), "crop").shape == (channels, 32, 48)


def test_grey_is_told_from_colour():
    grey = photo().convert("L")
    assert not any(map(is_coloured, [grey, grey.convert("LA"), grey.convert("1"), saved(grey.convert("P"), "PNG")]))
    assert all(is_coloured(photo().convert(mode)) for mode in ("RGB", "RGBA", "CMYK", "P", "YCbCr"))


def test_transparent_parts_show_white():
    image = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert pixels_of(image, 3, (1, 2), "crop").tolist() == [[[200, 255]], [[0, 255]], [[0, 255]]]
    assert pixels_of(image.convert("LA"), 1, (1, 2), "crop").tolist() == [[[60, 255]]]


def test_a_transparent_palette_entry_shows_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    transparent = saved(image, "PNG", transparency=1)
    assert pixels_of(transparent, 3, (1, 2), "crop")[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]


def test_cmyk_white_is_white():
    assert pixels_of(saved(Image.new("CMYK", (8, 8)), "JPEG"), 3, (8, 8), "crop").min() == 255


def test_16_bits_are_scaled_not_cut_off():
    values = np.array([[0, 257, 128 * 257, 65535, 300]], np.uint16)
    for file_format in ("PNG", "TIFF"):
        assert pixels_of(saved(Image.fromarray(values), file_format), 1, (1, 5), "crop").tolist() == [
            [[0, 1, 128, 255, 1]]
        ]


def test_integers_of_32_bits_are_taken_as_16():
    assert pixels_of(Image.fromarray(np.array([[65535, 514]], np.int32)), 1, (1, 2), "crop").tolist() == [[[255, 2]]]


def test_floating_point_is_0_to_1():
    assert pixels_of(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), 1, (1, 3), "crop").tolist() == [
        [[0, 128, 255]]
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array([[0, 2]], np.float32), r"pixels of 0…2 instead of 0…1"),
        (np.array([[0, np.nan]], np.float32), r"pixels of nan…nan instead of 0…1"),
        (np.array([[-5, 2]], np.int32), r"pixels of -5…2 instead of 0…65535"),
    ],
)
def test_pixels_outside_their_range_are_refused(values: np.ndarray, text: str):
    with pytest.raises(ValueError, match=text):
        pixels_of(Image.fromarray(values), 1, (1, 2), "crop")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WebP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_followed(file_format: str, orientation: int):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = saved(photo(), file_format, exif=exif)
    assert upright_size(image) == ((48, 32) if orientation >= 5 else (32, 48))
    turned = upright(image)
    assert (turned.height, turned.width) == upright_size(image)
    plain = saved(photo(), file_format)
    assert (np.asarray(turned).tolist() == np.asarray(plain).tolist()) == (orientation == 1)
