import math

from hypothesis import given
from hypothesis import strategies as st

from dotbogi.store.rows import (
    EPOCH_COLUMNS,
    STEP_COLUMNS,
    append_steps,
    from_columns,
    is_row,
    read_steps,
    rewrite_steps,
    to_columns,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.dictionaries(st.sampled_from([*EPOCH_COLUMNS, *STEP_COLUMNS]) | st.text(max_size=4), JSON, max_size=8)


@given(ROWS, st.sampled_from([STEP_COLUMNS, EPOCH_COLUMNS]))
def test_a_row_comes_back_whatever_it_holds(row, columns):
    values = to_columns(row, columns)
    assert len(values) == len(columns) + 1
    back = from_columns(values, columns)
    # repr: NaN is not equal to itself, 1 is equal to 1.0 and to True
    assert {key: repr(value) for key, value in back.items()} == {key: repr(value) for key, value in row.items()}


def test_known_numbers_have_columns_and_the_rest_is_json():
    row = {"step": 3, "loss": math.nan, "lr": math.inf, "gradient_norm": 2.5, "images": True}
    assert to_columns(row, STEP_COLUMNS) == (3, None, None, "nan", math.inf, '{"gradient_norm": 2.5, "images": true}')


def test_lines_come_back_and_the_later_of_one_step_wins(tmp_path):
    append_steps(tmp_path, [{"step": 1, "epoch": 0, "loss": 2.0}, {"step": 2, "epoch": 0, "loss": math.nan}])
    append_steps(tmp_path, [{"step": 2, "epoch": 0, "loss": 0.1 + 0.2}])
    assert read_steps(tmp_path) == [{"step": 1, "epoch": 0, "loss": 2.0}, {"step": 2, "epoch": 0, "loss": 0.1 + 0.2}]
    rewrite_steps(tmp_path, [{"step": 1, "epoch": 0}])
    assert read_steps(tmp_path) == [{"step": 1, "epoch": 0}]


@given(st.data())
def test_a_line_cut_short_spoils_no_other(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    append_steps(folder, [{"step": step, "epoch": 0, "loss": 0.5} for step in range(1, 4)])
    content = (folder / "steps.jsonl").read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    (folder / "steps.jsonl").write_bytes(content[:cut])
    append_steps(folder, [{"step": 9, "epoch": 1}])
    rows = read_steps(folder)
    assert rows[-1] == {"step": 9, "epoch": 1}
    whole = content[:cut].count(b"}")
    assert rows[:-1] == [{"step": step, "epoch": 0, "loss": 0.5} for step in range(1, whole + 1)]


def test_lines_that_are_no_rows_are_left_out(tmp_path):
    lines = [
        "[1]",
        '"step"',
        '{"step": "1", "epoch": 0}',
        '{"step": true, "epoch": 0}',
        '{"epoch": 0}',
        "[" * 99_999,
        "\xff",
    ]
    lines += ['{"step": 99999999999999999999, "epoch": 0}', '{"step": 5, "epoch": 0}']
    (tmp_path / "steps.jsonl").write_bytes("\n".join(lines).encode("latin-1"))
    assert read_steps(tmp_path) == [{"step": 5, "epoch": 0}]


def test_no_file_is_no_rows(tmp_path):
    assert read_steps(tmp_path) == []


def test_is_row_asks_for_integers():
    assert is_row({"epoch": 0, "step": 4}, "epoch")
    assert not is_row({"epoch": 0.0, "step": 4}, "epoch")
    assert not is_row(None, "epoch")
