import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dotbogi.figures.confusion import confusion_figure, largest_confusions, row_shares

COUNTS = [[8, 2, 0], [0, 5, 0], [0, 0, 0]]
CLASSES = ["1", "<i>cat</i>", "a name that is longer than an axis has room for"]


def test_colours_are_shares_of_the_row_and_cells_hold_counts() -> None:
    heat = confusion_figure(COUNTS, CLASSES).data[0]
    np.testing.assert_allclose(heat.z[:2], [[0.8, 0.2, 0], [0, 1, 0]])
    assert list(heat.text[0]) == ["8", "2", ""]
    assert heat.texttemplate == "%{text}"


def test_a_class_without_images_is_hatched() -> None:
    figure = confusion_figure(COUNTS, CLASSES)
    assert figure.data[1].fillpattern.shape == "/"
    assert "3 values are no finite numbers" in figure.layout.title.subtitle.text


def test_names_stand_at_their_positions_and_mean_nothing_to_plotly() -> None:
    figure = confusion_figure(COUNTS, CLASSES)
    assert figure.layout.xaxis.tickvals == (0, 1, 2)
    assert figure.layout.yaxis.ticktext == ("1", "&lt;i&gt;cat&lt;/i&gt;", "a name that is…")
    assert figure.data[0].customdata[0, 2].tolist() == [0, "1", CLASSES[2]]


def test_many_classes_have_no_counts_and_fewer_names() -> None:
    figure = confusion_figure(np.eye(100, dtype=int).tolist(), [f"class {number}" for number in range(100)])
    assert not figure.data[0].texttemplate
    assert len(figure.layout.xaxis.ticktext) <= 40
    assert figure.layout.xaxis.ticktext[1] == f"class {figure.layout.xaxis.tickvals[1]}"


def test_the_largest_confusions_come_first() -> None:
    assert largest_confusions([[9, 1, 4], [7, 9, 0], [0, 4, 9]]) == [(1, 0, 7), (0, 2, 4), (2, 1, 4)]
    assert largest_confusions([[3, 0], [0, 3]]) == []


@given(arrays(np.int64, st.integers(1, 6).map(lambda side: (side, side)), elements=st.integers(0, 2**40)))
def test_rows_of_shares_sum_to_one(counts: np.ndarray) -> None:
    shares = row_shares(counts)
    filled = counts.sum(axis=1) > 0
    np.testing.assert_allclose(shares[filled].sum(axis=1), 1)
    assert np.isnan(shares[~filled]).all()
