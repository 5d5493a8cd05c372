import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.data.image_size import LARGEST_SIDE, Wanted, choose_image_size
from dotbogi.recipe import Data

side = st.integers(1, 6000)


@given(st.lists(st.tuples(side, side), min_size=1, max_size=40))
def test_the_size_is_always_one_that_can_be_trained(sizes: list[tuple[int, int]]):
    height, width = choose_image_size(sizes)
    assert 1 <= height <= LARGEST_SIDE
    assert 1 <= width <= LARGEST_SIDE


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(48, 64)] * 3 + [(100, 90)], (48, 64)),
        ([(3000, 4000), (4000, 3000)], (128, 128)),
        ([(90, 120), (100, 77), (130, 99)], (64, 64)),
        ([(100, 120), (110, 150), (130, 99)], (96, 96)),
        ([(5, 9), (7, 6), (8, 8)], (32, 32)),
    ],
)
def test_the_rule(sizes: list[tuple[int, int]], expected: tuple[int, int]):
    assert choose_image_size(sizes) == expected


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Data(), Wanted(3, (224, 224), "crop")),
        (Data(image_size=64, channels=1, fit="pad"), Wanted(1, (64, 64), "pad")),
        (Data(image_size=[20, 30]), Wanted(3, (20, 30), "crop")),
    ],
)
def test_the_recipe_wins_over_the_model(recipe: Data, expected: Wanted):
    assert Wanted.of(recipe, 3, (224, 224)) == expected
