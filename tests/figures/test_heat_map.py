import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dotbogi.figures.heat_map import heat_map


def test_signed_values_are_symmetric_around_zero_and_the_range_is_printed() -> None:
    figure = heat_map(np.array([[-0.5, 0.25]]), "weights", signed=True)
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-0.5, 0.5)
    assert figure.layout.title.subtitle.text == "colours: −0.5 … 0.5"


def test_the_scale_comes_from_the_ground() -> None:
    figure = heat_map(np.array([[0.0, 1.0]]), "shares", signed=False)
    assert figure.data[0].autocolorscale
    assert figure.data[0].colorscale is None


def test_what_is_no_number_is_hatched_and_counted() -> None:
    figure = heat_map(np.array([[1, np.nan, np.inf], [2, 3, 4]]), "activations", signed=False)
    assert "2 values are no finite numbers: hatched" in figure.layout.title.subtitle.text
    assert np.isnan(figure.data[0].z[0, 1:]).all()
    hatching = figure.data[1]
    assert hatching.fillpattern.shape == "/"
    assert hatching.x == (0.5, 2.5, 2.5, 0.5, 0.5, None)
    assert hatching.y == (-0.5, -0.5, 0.5, 0.5, -0.5, None)


@given(
    arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.sampled_from([0.0, 1.0, np.nan]))
)
def test_the_hatching_covers_exactly_what_is_no_number(values: np.ndarray) -> None:
    figure = heat_map(values, "", signed=False)
    covered = np.zeros(values.shape, dtype=bool)
    if len(figure.data) > 1:
        x, y = figure.data[1].x, figure.data[1].y
        for corner in range(0, len(x), 6):
            left, right, top = x[corner], x[corner + 1], y[corner]
            covered[int(top + 0.5), int(left + 0.5) : int(right + 0.5)] = True
    assert (covered == np.isnan(values)).all()


def test_titles_are_shown_as_they_are() -> None:
    figure = heat_map(np.ones((1, 1)), "<b>conv1</b>", signed=False, x="<a href='x'>")
    assert figure.layout.title.text == "&lt;b&gt;conv1&lt;/b&gt;"
    assert figure.layout.xaxis.title.text == "&lt;a href='x'&gt;"
