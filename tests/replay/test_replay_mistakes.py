import math

import pytest
import torch

from dotbogi.errors import CheckpointError, DataError, ModelError, NonFiniteLossError, RunError
from dotbogi.replay.replay import replay
from dotbogi.runs.listening import nobody_listens
from dotbogi.runs.run import open_run

from .conftest import Trained, small_net

FREE = {"training.deterministic": False, "training.precision": "fp32", "training.memory_format": "contiguous"}


def test_a_step_or_epoch_that_is_not_there(trained: Trained) -> None:
    run = trained(stop=6)
    with pytest.raises(RunError, match=r"has no step 6\.\nIts steps are 0 to 5\."):
        replay(run, step=6)
    with pytest.raises(RunError, match=r"has no step -1"):
        replay(run, step=-1)
    with pytest.raises(RunError, match=r"has no epoch 2\.\nIts epochs are 0 to 1\."):
        replay(run, epoch=2)
    with pytest.raises(RunError, match=r"Both a step and an epoch were asked for: 3 and 1"):
        replay(run, step=3, epoch=1)
    assert replay(run, epoch=1).step == 4


def test_a_run_that_has_made_no_step(trained: Trained) -> None:
    with pytest.raises(RunError, match=r"has made no step yet\.\nGo on with it: dotbogi resume"):
        replay(trained(stop=0))


def test_a_run_that_stopped_before_it_began(trained: Trained) -> None:
    run = trained(stop=1)
    run.stored._record = run.stored._record.model_copy(update={"resolved": None})
    with pytest.raises(RunError, match="stopped before it had begun"):
        replay(run)


def test_a_lost_step_of_a_run_that_was_not_deterministic(trained: Trained) -> None:
    run = trained(FREE | {"training.snapshots": [0, 2, 5]}, stop=6)
    with pytest.raises(RunError, match=r"Nothing was kept of step 3.* was not deterministic.*\n.*nearest are: 2, 5"):
        replay(run, step=3)
    with pytest.raises(RunError, match=r"Nothing was kept of step 1"):
        replay(run, step=2).explain("loss @1")
    assert replay(run, step=2).step == 2


def test_a_run_without_snapshots_that_was_not_deterministic(trained: Trained) -> None:
    with pytest.raises(RunError, match=r"Nothing was kept of step 5.*\nTrain with --deterministic"):
        replay(trained(FREE | {"training.snapshots": "none"}, stop=6))


def test_a_damaged_snapshot(trained: Trained) -> None:
    run = trained(FREE | {"training.snapshots": [0, 2, 5]}, stop=6)
    (run.path / "snapshots" / "step-00000002" / "state.pt").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"step-00000002: state\.pt has 3 bytes.*\n.*nearest are: 0, 5"):
        replay(run, step=2)


def test_nothing_whole_before_the_step(trained: Trained) -> None:
    run = trained({"training.snapshots": [0]}, model=small_net(), stop=6)
    run.listener = nobody_listens
    (run.path / "snapshots" / "step-00000000" / "state.pt").unlink()
    with pytest.raises(RunError, match=r"no whole snapshot or checkpoint before step 0\.\nAsk for a later step"):
        replay(run, step=0)


def test_data_that_changed(trained: Trained, clothes) -> None:
    run = trained(stop=2)
    images, labels = clothes["train"]
    with pytest.raises(DataError, match="have changed since the run"):
        replay(run, data=clothes | {"train": (images.flip(0), labels)})


def test_objects_from_python_are_given_again(trained: Trained, clothes, tmp_path) -> None:
    trained(model=small_net(), stop=3)
    run = open_run("last", runs_dir=tmp_path / "runs")
    with pytest.raises(
        RunError, match=r"objects from Python: model, data\.\nGive them again, from Python: model=…, data=…"
    ):
        replay(run)
    with pytest.raises(RunError, match=r"did not begin with these objects: loss\.\nLeave them out"):
        replay(run, model=small_net(), data=clothes, loss=torch.nn.CrossEntropyLoss())
    assert replay(run, model=small_net(), data=clothes, step=2).replay_difference == 0.0
    with pytest.raises(ModelError, match=r"The model is not that of the run"):
        replay(run, model=small_net(width=5), data=clothes)


def test_a_model_file_that_changed(trained: Trained, tmp_path) -> None:
    file = tmp_path / "net.py"
    text = "from torch import nn\ndef net(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
    file.write_text(text)
    run = trained({"model": {"name": f"{file}:net"}}, stop=3)
    assert replay(run, step=2).replay_difference == 0.0
    file.write_text(text + "# another\n")
    with pytest.raises(ModelError, match="changed"):
        replay(run, step=2)


def test_another_version_of_torch_is_told(trained: Trained, monkeypatch) -> None:
    run = trained(stop=2)
    monkeypatch.setitem(run.facts["versions"], "torch", "1.0")
    notices: list[str] = []
    replay(run, listener=lambda event: notices.append(getattr(event, "text", "")))
    assert notices[0].startswith("The run was trained with torch 1.0: with torch ")


def test_the_step_at_which_a_run_failed_can_be_opened(trained: Trained, clothes, tmp_path) -> None:
    with pytest.raises(NonFiniteLossError):
        trained({"optimizer": {"name": "sgd", "lr": 1e30}})
    run = open_run("last", runs_dir=tmp_path / "runs")
    tape = replay(run, step=1, data=clothes)
    assert not math.isfinite(tape.value("loss")) and math.isfinite(tape.value("loss @0"))
    with pytest.raises(NonFiniteLossError, match="the training stopped"):
        replay(run, step=5, data=clothes)
