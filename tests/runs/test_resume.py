import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from dotbogi.errors import CheckpointError, DataError, ModelError, RunError
from dotbogi.recipe import Recipe
from dotbogi.registry import OPTIMIZERS
from dotbogi.runs.listening import nobody_listens
from dotbogi.runs.resume import resume
from dotbogi.runs.run import Run, open_run
from dotbogi.runs.train import train
from dotbogi.training.events import Notice

Trained = Callable[..., Run]


def stop_after(asked: int) -> Callable[[], str | None]:
    """Asks to stop at that step."""
    count = 0

    def stop() -> str | None:
        nonlocal count
        count += 1
        return "SIGINT" if count > asked else None

    return stop


def rows(run: Run) -> tuple[list, list]:
    """What the tables hold, but for times."""
    timed = ("elapsed_s", "images_per_second")
    return run.steps(), [{key: row[key] for key in row if key not in timed} for row in run.history()]


VARIED = {
    "data.augmentation": {"crop": 2, "flip": "alternating", "erasing": 0.5},
    "schedule": {"name": "one-cycle", "warmup": 0.1},
    "training.clip_norm": 1.0,
}


@pytest.mark.parametrize(
    "stopped", [0, 1, 8, 9, 17]
)  # at once, after a step, around the end of an epoch, before the last
def test_a_resumed_run_is_the_undisturbed_one_bit_for_bit(
    trained: Trained, clothes, tmp_path: Path, stopped: int
) -> None:
    undisturbed = trained(VARIED, runs_dir=tmp_path / "undisturbed")
    interrupted = trained(VARIED, stop=stop_after(stopped))
    assert interrupted.status == "interrupted" and interrupted.metrics == {}
    resumed = resume(interrupted.id, runs_dir=tmp_path / "runs", data=clothes)
    assert resumed.status == "finished"
    assert resumed.weights_sha256 == undisturbed.weights_sha256
    assert resumed.metrics == undisturbed.metrics
    assert rows(resumed) == rows(undisturbed)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_every_optimizer_resumes_bit_for_bit(trained: Trained, clothes, tmp_path: Path, optimizer: str) -> None:
    values = {"optimizer": {"name": optimizer}, "training.steps": 6, "schedule": "cosine"}
    undisturbed = trained(values, runs_dir=tmp_path / "undisturbed", listener=nobody_listens)
    trained(values, stop=stop_after(3), listener=nobody_listens)
    assert resume("last", runs_dir=tmp_path / "runs", data=clothes).weights_sha256 == undisturbed.weights_sha256


def test_dropout_batch_norm_and_plateau_resume_bit_for_bit(trained: Trained, clothes, tmp_path: Path) -> None:
    def net() -> nn.Module:
        torch.manual_seed(7)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(4 * 676, 10)
        )

    values = {"schedule": {"name": "plateau", "patience": 0}, "training.epochs": 3, "optimizer": {"name": "adam"}}
    undisturbed = trained(values, model=net(), runs_dir=tmp_path / "undisturbed")
    trained(values, model=net(), stop=stop_after(13))
    resumed = resume("last", runs_dir=tmp_path / "runs", data=clothes, model=net())
    assert resumed.weights_sha256 == undisturbed.weights_sha256
    assert rows(resumed) == rows(undisturbed)


def test_rows_that_a_checkpoint_has_not_seen_are_replaced(trained: Trained, clothes, tmp_path: Path) -> None:
    undisturbed = trained(runs_dir=tmp_path / "undisturbed")
    interrupted = trained(stop=stop_after(5))
    interrupted.stored.add_steps([{"step": step, "epoch": 0, "loss": 9.0, "lr": 9.0} for step in range(6, 9)])
    assert rows(resume("last", runs_dir=tmp_path / "runs", data=clothes)) == rows(undisturbed)


def test_a_checkpoint_cut_in_half_is_passed_over_and_said(trained: Trained, clothes, tmp_path: Path) -> None:
    undisturbed = trained(runs_dir=tmp_path / "undisturbed")
    interrupted = trained(stop=stop_after(12))  # checkpoints of step 9, the epoch's end, and of step 12
    newest = max((interrupted.path / "checkpoints").glob("last-*"))
    file = newest / "weights.safetensors"
    os.truncate(file, file.stat().st_size // 2)
    notices: list[str] = []
    resumed = resume(
        "last",
        runs_dir=tmp_path / "runs",
        data=clothes,
        listener=lambda event: notices.append(event.text) if isinstance(event, Notice) else None,
    )
    assert any("weights.safetensors" in text and "bytes instead of" in text for text in notices)
    assert resumed.weights_sha256 == undisturbed.weights_sha256 and rows(resumed) == rows(undisturbed)


def test_without_a_whole_checkpoint_it_says_so(trained: Trained, clothes, tmp_path: Path) -> None:
    interrupted = trained(stop=stop_after(2))
    shutil.rmtree(interrupted.path / "checkpoints")
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        resume("last", runs_dir=tmp_path / "runs", data=clothes)


def test_a_finished_run_is_left_as_it_is(trained: Trained, clothes, tmp_path: Path) -> None:
    run = trained()
    events: list = []
    again = resume("last", runs_dir=tmp_path / "runs", data=clothes, listener=events.append)
    assert again.weights_sha256 == run.weights_sha256
    assert "is finished; there is nothing to resume" in events[0].text


def test_a_run_that_is_being_written_is_refused(trained: Trained, clothes, tmp_path: Path) -> None:
    interrupted = trained(stop=stop_after(2))
    with interrupted.stored.lock(), pytest.raises(RunError, match="another process is writing it"):
        resume("last", runs_dir=tmp_path / "runs", data=clothes)


def test_data_that_changed_are_refused(trained: Trained, clothes, tmp_path: Path) -> None:
    trained(stop=stop_after(2))
    images, labels = clothes["train"]
    changed = images.clone()
    changed[5, 0, 3, 3] ^= 1
    with pytest.raises(DataError, match="have changed since the run"):
        resume("last", runs_dir=tmp_path / "runs", data=clothes | {"train": (changed, labels)})


def test_objects_from_python_must_be_given_again(trained: Trained, tmp_path: Path) -> None:
    trained(stop=stop_after(2))
    with pytest.raises(RunError, match="trained with objects from Python: data") as caught:
        resume("last", runs_dir=tmp_path / "runs")
    assert "data=…" in caught.value.fix


OWN = """
from torch import nn


def net(num_classes, image_size):
    height, width = image_size
    return nn.Sequential(nn.Flatten(), nn.Linear(height * width, num_classes))
"""


@pytest.fixture
def own_run(clothes, tmp_path: Path) -> Callable[..., Run]:
    """A run of a model in a file, stopped after two steps."""
    file = tmp_path / "nets.py"
    file.write_text(OWN, encoding="utf-8")
    recipe = Recipe(
        model=f"{file}:net", optimizer={"name": "sgd"}, training={"batch_size": 32, "epochs": 1, "deterministic": True}
    )

    def run(**arguments) -> Run:
        return train(recipe, data=clothes, runs_dir=tmp_path / "runs", **arguments)

    return run


def test_a_run_of_a_file_keeps_its_text_and_resumes(own_run, clothes, tmp_path: Path) -> None:
    run = own_run(stop=stop_after(2))
    assert (run.path / "model.py.txt").read_text(encoding="utf-8") == OWN
    assert resume("last", runs_dir=tmp_path / "runs", data=clothes).status == "finished"
    assert isinstance(open_run(runs_dir=tmp_path / "runs").model(), nn.Sequential)


def test_a_model_file_that_changed_is_refused_and_can_be_named(own_run, clothes, tmp_path: Path) -> None:
    own_run(stop=stop_after(2))
    file = tmp_path / "nets.py"
    file.write_text(OWN + "\n# changed\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"nets\.py has changed since the run"):
        resume("last", runs_dir=tmp_path / "runs", data=clothes)
    named = resume("last", runs_dir=tmp_path / "runs", data=clothes, model_file=f"{file}:net")
    assert named.status == "finished"


def test_a_model_file_that_is_gone_is_said_with_what_to_do(own_run, tmp_path: Path) -> None:
    own_run()
    (tmp_path / "nets.py").unlink()
    run = open_run(runs_dir=tmp_path / "runs")
    assert run.metrics and run.history() and run.recipe  # reading needs no model
    with pytest.raises(ModelError, match=r"nets\.py") as caught:
        run.model()
    assert "--model path/to/file.py:factory" in caught.value.fix


def test_a_run_from_elsewhere_never_executes_the_file_that_it_names(own_run, tmp_path: Path, monkeypatch) -> None:
    run = own_run()
    trap = tmp_path / "executed"
    (tmp_path / "nets.py").write_text(
        f"import pathlib\n\npathlib.Path({str(trap)!r}).touch()\n" + OWN, encoding="utf-8"
    )
    monkeypatch.setenv("DOTBOGI_CACHE_DIR", str(tmp_path / "another-computer"))
    with pytest.raises(ModelError, match="came from elsewhere"):
        open_run(run.id, runs_dir=tmp_path / "runs").model()
    assert not trap.exists()
    assert open_run(run.id, runs_dir=tmp_path / "runs", model_file=f"{tmp_path / 'nets.py'}:net").model()
    assert trap.exists()


def test_a_pickle_that_poses_as_a_checkpoint_is_not_executed(trained: Trained, clothes, tmp_path: Path) -> None:
    import hashlib
    import pickle

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    interrupted = trained(stop=stop_after(2))
    for folder in (interrupted.path / "checkpoints").glob("last-*"):
        content = pickle.dumps({"optimizer": Trap()})
        (folder / "state.pt").write_bytes(content)
        manifest = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        manifest["files"]["state.pt"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (folder / "checkpoint.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        resume("last", runs_dir=tmp_path / "runs", data=clothes)
    assert not (tmp_path / "executed").exists()


def test_objects_that_the_run_never_had_are_refused(trained: Trained, clothes, tmp_path: Path) -> None:
    trained(stop=stop_after(2))
    with pytest.raises(RunError, match="did not begin with these objects: loss"):
        resume("last", runs_dir=tmp_path / "runs", data=clothes, loss=nn.CrossEntropyLoss())


def test_another_module_is_refused(trained: Trained, clothes, tmp_path: Path) -> None:
    def net(width: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.Linear(width, 10))

    trained(model=net(4), stop=stop_after(2))
    with pytest.raises(ModelError, match="The model is not that of the run"):
        resume("last", runs_dir=tmp_path / "runs", data=clothes, model=net(5))


def test_evaluating_in_between_changes_nothing(trained: Trained, clothes, tmp_path: Path) -> None:
    def net() -> nn.Module:
        torch.manual_seed(7)
        return nn.Sequential(nn.Dropout(0.3), nn.Flatten(), nn.Linear(784, 10))

    undisturbed = trained(model=net(), runs_dir=tmp_path / "undisturbed")
    model = net()
    trained(model=model, stop=stop_after(8)).evaluate(clothes["test"])
    resumed = resume("last", runs_dir=tmp_path / "runs", data=clothes, model=model)
    assert resumed.weights_sha256 == undisturbed.weights_sha256
