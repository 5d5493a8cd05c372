import json

import pytest
import torch

from dotbogi.data.batches import Batches
from dotbogi.data.objects import dataset_from_objects
from dotbogi.registry import OPTIMIZERS
from dotbogi.replay.replay import replay
from dotbogi.store.checkpoints import _manifest, _sum  # a manifest that a stranger could write
from dotbogi.store.weights import to_safetensors

from .conftest import Trained, small_net

MOVED = {"data.augmentation": {"crop": 2, "flip": "alternating", "erasing": 0.5}}
RESAMPLED = {"data.augmentation": {"flip": "random", "rotation": 10.0, "scale": 0.1, "crop": 1}}


@pytest.mark.parametrize("augmentation", [{}, MOVED, RESAMPLED], ids=["plain", "moved", "resampled"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_a_deterministic_run_is_replayed_without_any_difference(trained: Trained, optimizer: str, augmentation) -> None:
    values = {"optimizer": {"name": optimizer}, "schedule": "cosine", "training.snapshots": [0, 5]}
    run = trained(values | augmentation, stop=6)
    assert replay(run).step == 5
    assert [replay(run, step=step).replay_difference for step in (0, 5)] == [0.0, 0.0]


@pytest.mark.parametrize(
    "values",
    [
        {"training.accumulation": 2, "training.batch_size": 8, "training.clip_norm": 0.1},
        {"training.precision": "bf16"},
        {"training.precision": "fp64", "training.memory_format": "contiguous"},
        {"data.normalisation": "standardise", "optimizer.decay_one_dimensional": False},
        {"schedule": {"name": "one-cycle", "warmup": 0.2}, "training.loss": {"name": "cross-entropy"}},
    ],
    ids=["accumulation and clipping", "bf16", "fp64", "standardise", "one-cycle"],
)
def test_whatever_the_step_does_is_replayed(trained: Trained, values: dict) -> None:
    run = trained(values, stop=5)
    assert [replay(run, epoch=epoch).replay_difference for epoch in (0, 1)] == [0.0, 0.0]


def test_dropout_and_batch_statistics_are_those_of_the_step(trained: Trained) -> None:
    run = trained(model=small_net(), stop=5)
    tape = replay(run, step=4)
    assert tape.replay_difference == 0.0
    assert any(operation.packet.startswith("bernoulli") for operation in tape.operations)
    assert tape.value("update 1.num_batches_tracked") == 5.0


def test_a_run_of_numbers_is_replayed(trained: Trained) -> None:
    values = {
        "model": {"name": "linear-regression"},
        "data": {"source": "line"},
        "optimizer": {"name": "sgd", "lr": 0.01},
    }
    run = trained(values | {"training.batch_size": 4, "training.precision": "fp64"}, data=None)
    tape = replay(run, step=0)
    assert tape.replay_difference == 0.0
    assert tape.value("input[2,0]") in (1.0, 2.0, 3.0, 4.0)
    assert "train:" in tape.explain("input[2,0]").arithmetic.note


def test_the_update_is_what_plain_torch_computes(trained: Trained, clothes) -> None:
    values = {"optimizer": {"name": "sgd", "lr": 0.1}, "schedule": "constant"}
    run = trained(values, stop=3)
    tape = replay(run, step=0)
    snapshot = run.stored.checkpoints.read_snapshot(0)
    model = run.model()
    model.load_state_dict(snapshot.weights)
    train = dataset_from_objects(clothes, run.recipe.data, seed=run.recipe.training.seed).train
    images, labels = (part[snapshot.state["indices"]] for part in (train.images, train.labels))
    loss = torch.nn.functional.cross_entropy(model.train()(images / 255), labels)
    loss.backward()
    assert tape.value("loss") == pytest.approx(loss.item(), rel=1e-6)
    weight = model.conv1.weight
    assert tape.value("gradient conv1.weight[0,0,1,1]") == pytest.approx(weight.grad[0, 0, 1, 1].item(), rel=1e-4)
    updated = (weight - 0.1 * weight.grad)[0, 0, 1, 1].item()
    assert tape.value("update conv1.weight[0,0,1,1]") == pytest.approx(updated, rel=1e-6)


def test_a_difference_is_told(trained: Trained) -> None:
    run = trained(stop=1)
    folder = run.path / "snapshots" / "step-00000000"
    snapshot = run.stored.checkpoints.read_snapshot(0)
    assert snapshot.next_weights is not None
    snapshot.next_weights["conv1.weight"][0, 0, 1, 1] += 0.25
    content = to_safetensors(snapshot.next_weights)
    (folder / "next.safetensors").write_bytes(content)
    files = json.loads((folder / "checkpoint.json").read_text())["files"]
    (folder / "checkpoint.json").write_bytes(_manifest("snapshot", 0, files | {"next.safetensors": _sum(content)}))
    notices: list[str] = []
    tape = replay(run, step=0, listener=lambda event: notices.append(getattr(event, "text", "")))
    assert tape.replay_difference == pytest.approx(0.25, abs=1e-7)
    assert "Step 0, made again, differs from the stored one by up to 0.25." in notices
    assert tape.explain("update conv1.weight[0,0,1,1]").to_dict()["replay_difference"] == tape.replay_difference


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_of_another_run_the_difference_is_rounding(trained: Trained, precision: str) -> None:
    values = {"training.deterministic": False, "training.precision": precision, "training.snapshots": [0, 3]}
    run = trained(values | {"training.memory_format": "channels-last"}, stop=4)
    assert run.recipe.optimizer.form != "single-tensor"
    tape = replay(run)
    assert tape.step == 3
    assert tape.replay_difference is not None and tape.replay_difference < 1e-5


def test_recording_some_modules_changes_no_number(trained: Trained) -> None:
    run = trained(stop=5)
    whole, part = replay(run, step=4), replay(run, step=4, modules=["conv1"])
    assert part.replay_difference == 0.0
    assert part.value("conv1[0,3,5,5]") == whole.value("conv1[0,3,5,5]")


def test_a_given_module_is_left_as_it_is(trained: Trained) -> None:
    model = small_net()
    run = trained(model=model, stop=5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert replay(run, step=0).replay_difference == 0.0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_batch_prepared_alone_is_the_batch_of_the_training(trained: Trained, clothes) -> None:
    run = trained(MOVED, stop=5)
    recipe = run.recipe
    dataset = dataset_from_objects(clothes, recipe.data, seed=recipe.training.seed)
    batches = Batches(
        dataset.train,
        run.preprocessing.normalisation,
        batch_size=16,
        seed=recipe.training.seed,
        shuffle=True,
        augmentation=recipe.data.augmentation,
    )
    recorded = replay(run, step=4).names.given["input"].tensor()
    assert torch.equal(recorded, batches.batch(1, 0).images)
