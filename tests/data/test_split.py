import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.data.split import hold_out

labels_strategy = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(lambda labels: np.array(labels, np.int64))


@given(labels_strategy, st.floats(0, 0.95), st.integers(0, 2**63 - 1))
def test_every_image_lands_on_one_side_and_every_class_keeps_one(labels: np.ndarray, fraction: float, seed: int):
    kept, held = hold_out(labels, fraction, seed, "test")
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert set(labels[kept]) == set(labels)


@given(labels_strategy, st.floats(0.01, 0.95), st.integers(0, 99))
def test_a_class_of_three_or_more_has_one_held_out(labels: np.ndarray, fraction: float, seed: int):
    _kept, held = hold_out(labels, fraction, seed, "test")
    large = {label for label in set(labels.tolist()) if (labels == label).sum() >= 3}
    assert large <= set(labels[held])


def test_the_fraction_is_taken_of_each_class():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    _kept, held = hold_out(labels, 0.2, 0, "test")
    assert np.bincount(labels[held]).tolist() == [20, 10, 2]


def test_the_same_seed_holds_out_the_same_images_and_another_others():
    labels = np.zeros(100, np.int64)
    first = hold_out(labels, 0.5, 1, "test")[1]
    assert np.array_equal(first, hold_out(labels, 0.5, 1, "test")[1])
    assert not np.array_equal(first, hold_out(labels, 0.5, 2, "test")[1])
    assert not np.array_equal(first, hold_out(labels, 0.5, 1, "validation")[1])


@pytest.mark.parametrize("fraction", [0.0, 0.4])
def test_a_class_of_one_is_kept(fraction: float):
    kept, held = hold_out(np.array([0, 4]), fraction, 0, "test")
    assert (kept.tolist(), held.tolist()) == ([0, 1], [])
