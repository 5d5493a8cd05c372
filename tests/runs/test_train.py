from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

import dotbogi
from dotbogi.errors import (
    DataError,
    ModelError,
    NonFiniteLossError,
    RecipeError,
    RunError,
    TrainingError,
    UnknownNameError,
)
from dotbogi.recipe import Recipe
from dotbogi.runs.choose import chosen_recipe
from dotbogi.runs.objects import Objects
from dotbogi.runs.run import Run, open_run
from dotbogi.runs.train import train
from dotbogi.store.weights import weights_sha256
from dotbogi.training.events import EpochDone, Notice, RunFinished, RunStarted, StepDone

Trained = Callable[..., Run]


def test_a_run_has_what_was_asked_and_what_came_of_it(trained: Trained) -> None:
    run = trained(name="first")
    assert run.status == "finished" and run.name == "first"
    assert 0 <= run.metrics["accuracy"] <= 1 and run.metrics["loss"] > 0
    assert run.requested.training.epochs == 2 and run.requested.to_dict()["model"] == {"name": "simple-cnn"}
    resolved = run.recipe
    assert (resolved.training.precision, resolved.training.threads, resolved.training.device) == ("fp32", 1, "cpu")
    assert "auto" not in str(
        [resolved.training, resolved.data.image_size, resolved.data.channels, resolved.optimizer.form]
    )
    assert run.weights_sha256 == weights_sha256(run.state_dict())
    assert [row["epoch"] for row in run.history()] == [0, 1]
    assert [row["step"] for row in run.steps()] == list(range(1, 19))  # 287 images in batches of 32: 9 steps


def test_events_come_in_order(trained: Trained) -> None:
    events: list = []
    run = trained(listener=events.append)
    kinds = [type(event) for event in events]
    assert kinds.index(RunStarted) < kinds.index(StepDone) < kinds.index(EpochDone) < kinds.index(RunFinished)
    assert [event.step for event in events if isinstance(event, StepDone)] == list(range(1, 19))
    assert events[-1].summary["weights_sha256"] == run.weights_sha256


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(trained: Trained) -> None:
    first, again, other = trained(), trained(), trained({"training.seed": 4})
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256
    assert [row["loss"] for row in first.steps()] == [row["loss"] for row in again.steps()]


def test_the_recipe_that_a_run_shows_trains_the_same_run_again(trained: Trained, clothes, tmp_path: Path) -> None:
    run = trained()
    shown = Recipe.from_toml(run.recipe.to_toml())
    assert train(shown, data=clothes, runs_dir=tmp_path / "again").weights_sha256 == run.weights_sha256


def test_it_learns(trained: Trained) -> None:
    history = trained({"training.epochs": 8}).history()
    assert history[-1]["training_loss"] < 0.7 * history[0]["training_loss"]


def test_steps_limit_a_training_in_the_middle_of_an_epoch(trained: Trained) -> None:
    run = trained({"training.steps": 5})
    assert run.summary()["steps"] == 5 and len(run.steps()) == 5 and run.status == "finished"


def test_what_torch_was_set_to_is_put_back(trained: Trained) -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    trained()
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_best_is_the_epoch_of_the_highest_validation_accuracy(trained: Trained) -> None:
    run = trained({"training.epochs": 4})
    best = max(run.history(), key=lambda row: row["validation_accuracy"])
    assert run.stored.checkpoints.read_best().step == best["step"]


def test_snapshots_lie_before_each_epoch_and_before_the_last_step(trained: Trained) -> None:
    run = trained()
    folder = run.stored.checkpoints
    assert folder.snapshots() == [0, 9, 17]
    last = folder.read_snapshot(17)
    assert last.state["indices"].shape == (31,)  # 287 images: 8 batches of 32 and one of 31
    assert weights_sha256(last.next_weights) == run.weights_sha256


@pytest.mark.parametrize(("asked", "kept"), [("none", []), ([3, 4, 400], [3, 4])])
def test_snapshots_can_be_chosen(trained: Trained, asked, kept) -> None:
    assert trained({"training.snapshots": asked}).stored.checkpoints.snapshots() == kept


def test_a_module_and_a_loss_from_python_win_over_the_recipe(trained: Trained) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    seen: list[torch.Size] = []

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen.append(logits.shape)
        return nn.functional.cross_entropy(logits, labels) * 2

    run = trained(model=model, loss=loss)
    assert seen and torch.Size([32, 10]) in seen
    assert run.facts["objects"] == ["model", "data", "loss"]
    assert run.weights_sha256 == weights_sha256(model.state_dict())
    assert run.evaluate()["metrics"]["accuracy"] == run.metrics["accuracy"]


def test_the_lectures_line_is_learnt_in_float64_without_accuracy(tmp_path: Path) -> None:
    recipe = Recipe(model="linear-regression", training={"epochs": 400, "deterministic": True})
    run = train(recipe, runs_dir=tmp_path)
    assert set(run.metrics) == {"loss"} and "training_accuracy" not in run.history()[0]
    weights = run.state_dict()
    assert {value.dtype for value in weights.values()} == {torch.float64}
    assert [float(value) for value in weights.values()] == pytest.approx([2, 0], abs=0.2)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint_before(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError, match=r"The loss became (nan|inf) at step \d+ ") as caught:
        trained({"optimizer": {"name": "sgd", "lr": 1e30}})
    assert caught.value.exit_code == 1 and "--lr 0.1," in caught.value.fix
    run = open_run("last", runs_dir=tmp_path / "runs")
    assert run.status == "failed"
    assert all(bool(value.isfinite().all()) for value in run.state_dict().values())


def test_losses_of_steps_are_kept_even_where_they_explode(trained: Trained) -> None:
    # One step short of infinity: the table keeps what was seen.
    run = trained({"optimizer": {"name": "sgd", "lr": 1e3}, "training.steps": 1})
    assert run.status == "finished" and len(run.steps()) == 1


def test_a_batch_larger_than_the_data_is_refused(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="A batch of 500 is larger than the 287 training images"):
        trained({"training.batch_size": 500})
    assert not list((tmp_path / "runs").glob("2*"))


def test_linear_regression_refuses_photos(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="linear-regression is for the data line, not for sample"):
        train(Recipe(model="linear-regression", data="sample"), runs_dir=tmp_path)


def test_numbers_to_predict_have_no_cross_entropy(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="line has numbers to predict, not classes"):
        train(Recipe(model={"name": "linear-regression"}, training={"loss": "cross-entropy"}), runs_dir=tmp_path)


def test_an_unknown_device_is_refused_with_those_there_are(trained: Trained) -> None:
    with pytest.raises(RecipeError, match="There is no device 'tpu' here") as caught:
        trained({"training.device": "tpu"})
    assert "cpu" in caught.value.fix


def test_an_unknown_model_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="There is no model 'simple-cn'") as caught:
        train(Recipe(model="simple-cn"), runs_dir=tmp_path)
    assert "simple-cnn" in caught.value.fix


def test_a_name_that_is_taken_is_refused_before_anything_is_decoded(trained: Trained) -> None:
    trained(name="mine")
    events: list = []
    with pytest.raises(RunError, match="mine"):
        trained(name="mine", listener=events.append)
    assert events == []


def test_too_few_outputs_are_refused_before_the_training(trained: Trained) -> None:
    with pytest.raises(ModelError, match="10"):
        trained(model=nn.Sequential(nn.Flatten(), nn.Linear(784, 4)))


def test_the_lazy_surface_gives_the_same_functions() -> None:
    assert dotbogi.train is train and dotbogi.Recipe is Recipe and dotbogi.open_run is open_run
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        dotbogi.trian  # noqa: B018


class Moody(nn.Module):
    """Raises on the last batch of an epoch, which is smaller than the others."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) == 31:
            raise ValueError("not today")
        return self.fc(images.flatten(1))


def test_a_model_that_raises_in_the_middle_is_named_with_file_and_line(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"Step 9 failed \(.*test_train\.py, line \d+\): ValueError: not today"
    ) as caught:
        trained(model=Moody())
    assert caught.value.exit_code == 1 and "checkpoint before it is kept" in caught.value.fix
    run = open_run("last", runs_dir=tmp_path / "runs")
    assert run.status == "failed" and run.stored.checkpoints.read_last().step == 0


def test_memory_that_is_full_asks_for_smaller_batches(trained: Trained) -> None:
    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if len(logits) == 32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return nn.functional.cross_entropy(logits, labels)

    with pytest.raises(TrainingError, match="The memory of cpu is full with batches of 32") as caught:
        trained(loss=loss)
    assert "--batch-size" in caught.value.fix


def test_interrupting_from_python_keeps_the_run(trained: Trained, tmp_path: Path) -> None:
    def listener(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(listener=listener)
    assert open_run("last", runs_dir=tmp_path / "runs").status == "interrupted"


def test_what_the_optimizer_keeps_is_measured_on_the_model_at_hand(trained: Trained) -> None:
    assert trained().facts["optimizer_state_per_parameter"] == pytest.approx(2, abs=0.01)  # Adam: m and v
    run = trained({"optimizer": {"name": "sgd"}})
    assert run.facts["optimizer_state_per_parameter"] == 0


def test_muon_says_which_share_of_the_weights_is_its_own(trained: Trained) -> None:
    notices: list[str] = []
    trained(
        {"optimizer": {"name": "muon"}, "training.steps": 2},
        listener=lambda event: notices.append(event.text) if isinstance(event, Notice) else None,
    )
    assert notices == ["Muon's own rule updates 22% of the weights of this model, AdamW the others."]


@pytest.mark.parametrize(
    ("source", "model"),
    [("auto", "simple-cnn"), ("sample", "simple-cnn"), ("line", "linear-regression"), ("fashion-mnist", "small-cnn")],
)
def test_without_a_name_the_model_is_the_one_for_the_data(source: str, model: str) -> None:
    chosen, _entry = chosen_recipe(Recipe(data=source), Objects())
    assert chosen.model.name == model


def normed() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(2704, 10))


def test_a_module_in_evaluation_mode_is_trained_like_any_other(trained: Trained) -> None:
    assert trained(model=normed().eval()).weights_sha256 == trained(model=normed()).weights_sha256


def test_a_layer_that_keeps_itself_frozen_stays_so(trained: Trained) -> None:
    class Frozen(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> nn.Module:
            return super().train(False)

    model = normed()
    model[1] = Frozen(4)
    trained({"optimizer": {"name": "sgd", "lr": 1e-4}}, model=model)
    assert int(model[1].num_batches_tracked) == 0


def test_fewer_images_than_a_usual_batch_are_one_batch(clothes, tmp_path: Path) -> None:
    images, labels = clothes["train"]
    few = (images[:40], labels[:40])
    for values in ({}, {"training.accumulation": 4}):
        recipe = Recipe(training={"steps": 2}).with_values(values)
        run = train(recipe, data={"train": few, "test": few}, runs_dir=tmp_path)
        assert run.recipe.model.name == "small-cnn" and run.recipe.training.batch_size == 40 // ((values and 4) or 1)


def test_what_the_caller_has_set_has_no_influence(trained: Trained) -> None:
    alone = trained(model=normed()).weights_sha256
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert trained(model=normed()).weights_sha256 == alone
    model = normed()
    with torch.no_grad():
        assert trained(model=model).weights_sha256 == alone
    named = trained().weights_sha256
    torch.set_default_dtype(torch.float64)
    try:
        assert trained().weights_sha256 == named
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.device("meta"), torch.inference_mode():
        assert trained().weights_sha256 == named


def test_trainings_in_two_threads_do_not_disturb_each_other(trained: Trained) -> None:
    alone = [trained({"training.seed": seed}).weights_sha256 for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda seed: trained({"training.seed": seed}), (1, 2)))
    assert [run.weights_sha256 for run in runs] == alone
    assert not torch.are_deterministic_algorithms_enabled()


def test_lazy_layers_take_their_shapes_and_their_weights_from_the_seed(trained: Trained) -> None:
    def lazy() -> nn.Module:
        return nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(10))

    assert trained(model=lazy()).weights_sha256 == trained(model=lazy()).weights_sha256


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda logits, labels: nn.functional.cross_entropy(logits, labels, reduction="none"), r"returned \(2,\)"),
        (lambda logits, labels: 3.0, "returned float"),
        (lambda logits, labels: logits.detach().sum(), r"returned \(\); one number with a gradient"),
        (nn.CrossEntropyLoss, "The loss failed on logits"),
    ],
)
def test_a_loss_that_is_none_is_refused_before_the_training(
    trained: Trained, loss, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        trained(loss=loss)
    assert not list((tmp_path / "runs").glob("2*"))


def test_a_name_is_taken_as_the_recipes(trained: Trained) -> None:
    assert trained(loss="mse").recipe.training.loss.name == "mse"
    with pytest.raises(DataError, match="nowhere"):
        train(Recipe(model="simple-cnn"), data="nowhere/photos")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"recipe": {"model": "simple-cnn"}}, RecipeError, "A recipe is expected, not dict"),
        ({"model": nn.Flatten}, ModelError, "The model is type, not a torch.nn.Module"),
        ({"model": "small-cnn"}, ModelError, "The model is str, not a torch.nn.Module"),
        ({"recipe": Recipe(model={"weights": "w.safetensors"}), "model": nn.Flatten()}, RecipeError, "chosen by name"),
    ],
)
def test_arguments_of_another_kind_are_refused(arguments: dict, error: type, message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        train(**arguments, runs_dir=tmp_path)


def test_notices_are_warnings_where_nobody_listens(trained: Trained, clothes) -> None:
    images, labels = clothes["train"]
    with pytest.warns(UserWarning, match="were taken as uint8"):
        trained(data={"train": (images.long(), labels), "test": clothes["test"]})
    with pytest.raises(DataError, match="nearly black"):
        trained(data=((images > 99).long(), labels))


def test_a_loss_that_is_infinite_on_the_test_images_fails_and_says_so(trained: Trained, tmp_path: Path) -> None:
    class OnlyHereFinite(nn.Module):
        def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            loss = nn.functional.cross_entropy(logits, labels)
            return loss if torch.is_grad_enabled() else loss / 0

    with pytest.raises(NonFiniteLossError, match=r"the loss of its evaluation is inf") as caught:
        trained({"data.validation": 0.0}, loss=OnlyHereFinite())
    assert "--lr" in caught.value.fix
    assert open_run(runs_dir=tmp_path / "runs").status == "failed"


def test_ones_own_module_is_not_left_with_nan(trained: Trained, clothes) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))
    with pytest.raises(NonFiniteLossError):
        trained({"optimizer": {"name": "sgd", "lr": 1e30}, "model": {"name": "auto"}}, model=module)
    assert all(bool(parameter.isfinite().all()) for parameter in module.parameters())


def test_parameters_of_a_loss_are_not_trained_and_that_is_said(trained: Trained) -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return nn.functional.cross_entropy(logits, labels) * self.weight.sum()

    events: list = []
    trained({"training.steps": 1}, loss=Weighted(), listener=events.append)
    assert any("The loss has 3 parameters of its own" in one.text for one in events if isinstance(one, Notice))


def test_modules_without_numbers_or_without_python_are_refused() -> None:
    with pytest.raises(ModelError, match="parameters on the device meta"):
        train(Recipe(), model=nn.Linear(2, 2, device="meta"))


def test_a_run_is_asked_for_by_text(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="A run is asked for by text, not by int"):
        open_run(3, runs_dir=tmp_path)  # type: ignore[arg-type]
