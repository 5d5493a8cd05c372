import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dotbogi.data.levels import to_uint8
from dotbogi.errors import DataError

levels = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)))


@given(levels, st.sampled_from([np.float16, np.float32, np.float64]))
def test_levels_survive_as_floating_point_in_0_to_1(images: np.ndarray, dtype: type):
    notices: list[str] = []
    assert np.array_equal(to_uint8((images / 255).astype(dtype), notices), images)
    assert not notices


@given(levels)
def test_levels_survive_as_16_bits(images: np.ndarray):
    images[..., 0] = 255
    assert np.array_equal(to_uint8(images.astype(np.uint16) * 257, []), images)


@given(levels, st.sampled_from([np.int8, np.int64, np.int32, np.uint64]))
def test_other_whole_numbers_are_taken_as_they_are_and_it_is_said(images: np.ndarray, dtype: type):
    images = images // 2
    images[..., 0] = 100
    notices: list[str] = []
    assert np.array_equal(to_uint8(images.astype(dtype), notices), images)
    assert f"{np.dtype(dtype)} with whole numbers in" in notices[0]


def test_16_bits_are_divided_the_same_way_however_dark_the_images_are():
    assert to_uint8(np.array([0, 200, 257, 65535], np.uint16), []).tolist() == [0, 1, 1, 255]
    assert to_uint8(np.array([0, 200], np.uint16), []).tolist() == [0, 1]


def test_whole_numbers_of_0_and_1_are_refused():
    with pytest.raises(DataError, match="int64 with values in 0…1: nearly black") as caught:
        to_uint8(np.array([0, 1]), [])
    assert "(images * 255)" in caught.value.fix


def test_floating_point_in_0_to_255_is_taken_where_it_is_whole():
    notices: list[str] = []
    assert to_uint8(np.array([0.0, 255.0]), notices).tolist() == [0, 255]
    assert "whole numbers in 0…255" in notices[0]


def test_uint8_and_booleans_need_no_notice():
    notices: list[str] = []
    images = np.array([3, 200], np.uint8)
    assert to_uint8(images, notices) is images
    assert to_uint8(np.array([True, False]), notices).tolist() == [255, 0]
    assert not notices


def test_rounding_is_said():
    notices: list[str] = []
    assert to_uint8(np.array([0.1234, 1.0]), notices).tolist() == [31, 255]
    assert notices == ["The images were rounded to 256 levels; they lay between them."]


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (np.array([0, 256], np.int64), "int64 with values in 0…256"),
        (np.array([-1, 4], np.int64), "int64 with values in -1…4"),
        (np.array([-0.4, 2.8], np.float32), "float32 with values in -0.4…2.8"),
        (np.array([0, np.nan], np.float32), "float32 with values in nan…nan"),
        (np.array([0.5, 200.0]), "float64 with values in 0.5…200"),
        (np.array([1j]), "type complex128; numbers are expected"),
        (np.array(["a"]), "type <U1; numbers are expected"),
    ],
)
def test_values_that_are_no_brightness_are_refused(images: np.ndarray, text: str):
    with pytest.raises(DataError, match=text):
        to_uint8(images, [])


def test_the_fix_names_normalize():
    with pytest.raises(DataError) as caught:
        to_uint8(np.array([-1.5, 2.0]), [])
    assert "without Normalize" in caught.value.fix
