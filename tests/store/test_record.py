import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.errors import RunError
from dotbogi.store.record import RunRecord, read_run_file, write_run_file

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
TABLES = st.dictionaries(st.text(max_size=4), JSON, max_size=3)


@given(TABLES, TABLES, TABLES | st.none(), st.lists(TABLES, max_size=2))
def test_a_record_comes_back(tmp_path_factory, facts, requested, resolved, epochs):
    folder = tmp_path_factory.mktemp("run")
    record = RunRecord(id=folder.name, name="첫", requested=requested, resolved=resolved, facts=facts, status="failed")
    write_run_file(folder, record, epochs)
    assert read_run_file(folder) == (record, epochs)
    assert [path.name for path in folder.iterdir()] == ["run.json"]


def test_nan_and_infinity_are_kept(tmp_path):
    record = RunRecord(id=tmp_path.name, requested={}, metrics={"loss": math.nan, "low": -math.inf})
    write_run_file(tmp_path, record, [{"epoch": 0, "step": 1, "training_loss": math.inf}])
    back, epochs = read_run_file(tmp_path)
    assert math.isnan(back.metrics["loss"])
    assert back.metrics["low"] == -math.inf
    assert epochs[0]["training_loss"] == math.inf


def test_unknown_keys_are_left_out(tmp_path):
    content = {"id": tmp_path.name, "requested": {}, "from_the_future": 1}
    (tmp_path / "run.json").write_text(json.dumps(content), encoding="utf-8")
    record, epochs = read_run_file(tmp_path)
    assert (record.status, record.name, epochs) == ("running", "", [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"requested": {}}',
        '{"id": 1, "requested": {}}',
        '{"id": "RUN", "requested": []}',
        '{"id": "RUN", "requested": {}, "status": "flying"}',
        '{"id": "RUN", "requested": {}, "epochs": [1]}',
        '{"id": "../other", "requested": {}}',
        "\xff",
    ],
)
def test_damaged_files(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.replace("RUN", tmp_path.name).encode("latin-1"))
    with pytest.raises(RunError, match=r"run\.json is damaged: "):
        read_run_file(tmp_path)


def test_another_runs_file(tmp_path):
    write_run_file(tmp_path, RunRecord(id="other", requested={}), [])
    with pytest.raises(RunError, match="it is of the run other"):
        read_run_file(tmp_path)


def test_a_missing_file(tmp_path):
    with pytest.raises(RunError, match="No such file"):
        read_run_file(tmp_path)
