import pytest
import torch

from dotbogi.replay.replay import replay
from dotbogi.runs.run import Run
from dotbogi.tape.tape import Tape

from .conftest import Trained, small_net

EVERY = list(range(12))
PLATEAU = {"name": "plateau", "patience": 0, "factor": 0.5}


def assert_leaves(tape: Tape, weights: dict[str, torch.Tensor]) -> None:
    for name, tensor in weights.items():
        assert torch.equal(tape.names.given[f"update {name}"].tensor(), tensor), name


def weights_after(run: Run, step: int) -> dict[str, torch.Tensor]:
    stored = run.stored.checkpoints.read_snapshot(step).next_weights
    assert stored is not None
    return stored


@pytest.mark.parametrize(
    "values",
    [{}, {"data.augmentation": {"crop": 2, "flip": "alternating"}}, {"schedule": PLATEAU, "training.clip_norm": 0.5}],
    ids=["plain", "moved", "plateau"],
)
def test_a_step_without_a_snapshot_is_made_again_bit_for_bit(trained: Trained, tmp_path, values: dict) -> None:
    values = values | {"training.epochs": 3, "optimizer.lr": 0.01}
    kept = trained(values | {"training.snapshots": EVERY}, runs_dir=tmp_path / "kept", stop=10)
    run = trained(values | {"training.snapshots": [0]}, stop=10)
    for step in (1, 4, 9):  # 4 steps are an epoch
        assert_leaves(replay(run, step=step), weights_after(kept, step))


def test_plateau_without_validation_images_is_made_again(trained: Trained, tmp_path) -> None:
    values = {"training.epochs": 3, "schedule": PLATEAU, "data.validation": 0.0, "optimizer.lr": 0.05}
    kept = trained(values | {"training.snapshots": EVERY}, runs_dir=tmp_path / "kept", stop=10)
    run = trained(values | {"training.snapshots": [0, 6]}, stop=10)
    for step in (5, 9):
        assert_leaves(replay(run, step=step), weights_after(kept, step))


def test_without_any_snapshot_it_begins_with_the_model_as_it_was_built(trained: Trained, tmp_path) -> None:
    kept = trained({"training.snapshots": EVERY}, runs_dir=tmp_path / "kept", stop=6)
    run = trained({"training.snapshots": "none"}, stop=6)
    assert_leaves(replay(run, step=2), weights_after(kept, 2))
    last = replay(run)
    assert last.step == 5 and last.replay_difference == 0.0  # the checkpoint holds what came of it
    assert_leaves(last, weights_after(kept, 5))


def test_a_checkpoint_serves_where_it_is_nearer_than_a_snapshot(trained: Trained, tmp_path) -> None:
    values = {"training.epochs": 3}
    kept = trained(values | {"training.snapshots": EVERY}, runs_dir=tmp_path / "kept", stop=9)
    run = trained(values | {"training.snapshots": [8]}, model=None, stop=9)
    for damaged in (run.path / "checkpoints").glob("last-00000009"):
        (damaged / "state.pt").unlink()  # that of step 8, at the epoch's end, is left
    assert_leaves(replay(run, step=8), weights_after(kept, 8))


def test_a_damaged_snapshot_is_passed_over_where_steps_can_be_made_again(trained: Trained, tmp_path) -> None:
    kept = trained({"training.snapshots": EVERY}, runs_dir=tmp_path / "kept", stop=6)
    notices: list[str] = []
    run = trained({"training.snapshots": [0, 3]}, stop=6)
    run.listener = lambda event: notices.append(getattr(event, "text", ""))
    (run.path / "snapshots" / "step-00000003" / "weights.safetensors").write_bytes(b"cut")
    assert_leaves(replay(run, step=3), weights_after(kept, 3))
    assert any("step-00000003: weights.safetensors has 3 bytes instead of" in text for text in notices)


def test_a_later_step_can_be_asked_of_the_tape_of_an_earlier_one(trained: Trained, tmp_path) -> None:
    kept = trained({"training.snapshots": EVERY}, runs_dir=tmp_path / "kept", stop=6)
    tape = replay(trained({"training.snapshots": [0]}, stop=6), step=1)
    assert_leaves(tape.at(4), weights_after(kept, 4))
    assert_leaves(tape.at(2), weights_after(kept, 2))  # back, from what was kept on the way
    assert tape.at(1) is tape


def test_only_a_few_tapes_are_kept_and_each_is_the_same_again(trained: Trained) -> None:
    tape = replay(trained({"training.snapshots": [0]}, stop=7), step=6)
    losses = [tape.at(step).value("loss") for step in range(6)]
    first = tape.at(5)
    assert [tape.at(step).value("loss") for step in range(6)] == losses
    assert tape.at(5) is not first


def test_a_module_with_dropout_is_made_again(trained: Trained, tmp_path) -> None:
    kept = trained({"training.snapshots": EVERY}, model=small_net(), runs_dir=tmp_path / "kept", stop=6)
    run = trained({"training.snapshots": [0]}, model=small_net(), stop=6)
    assert_leaves(replay(run, step=5), weights_after(kept, 5))
