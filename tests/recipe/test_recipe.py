from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.errors import RecipeError, UnknownNameError
from dotbogi.recipe import Recipe

SUGGESTED = {
    "optimizer": {"name": "nag", "lr": 0.15, "momentum": 0.9},
    "schedule": {"name": "one-cycle", "rise": 0.2},
    "training": {"epochs": 18, "loss": {"name": "cross-entropy", "label_smoothing": 0.1}},
}


def test_a_table_may_be_given_as_its_name_alone() -> None:
    recipe = Recipe(data="sample", model="simple-cnn", optimizer="adam", training={"loss": "mse"})
    assert (recipe.data.source, recipe.model.name, recipe.optimizer.name) == ("sample", "simple-cnn", "adam")
    assert recipe.training.loss.name == "mse"


def test_what_was_asked_for_stays_apart_from_the_defaults() -> None:
    recipe = Recipe(optimizer={"name": "adam", "lr": 0.01})
    assert recipe.to_dict() == {"optimizer": {"name": "adam", "lr": 0.01}}
    complete = recipe.complete()
    assert complete.optimizer.hyperparameters["beta2"] == 0.999
    assert complete.to_dict()["training"]["epochs"] == 5


def test_a_complete_recipe_survives_toml() -> None:
    complete = Recipe(optimizer="adam", schedule={"name": "step", "warmup": 0.1}).complete()
    assert Recipe.from_toml(complete.to_toml()) == complete
    assert Recipe.from_toml(complete.to_toml()).complete() == complete


@given(
    lr=st.floats(1e-6, 1e3),
    beta2=st.floats(0, 0.9999),
    epochs=st.integers(1, 1000),
    flip=st.sampled_from(["none", "random"]),
)
def test_values_survive_toml_exactly(lr: float, beta2: float, epochs: int, flip: str) -> None:
    recipe = Recipe(
        optimizer={"name": "adam", "lr": lr, "beta2": beta2},
        training={"epochs": epochs},
        data={"augmentation": {"flip": flip}},
    )
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_suggestions_fill_what_was_not_asked_for() -> None:
    recipe = Recipe(training={"epochs": 3}, optimizer={"lr": 0.1}).over(SUGGESTED)
    assert (recipe.training.epochs, recipe.optimizer.name, recipe.optimizer.hyperparameters) == (
        3,
        "nag",
        {"lr": 0.1, "momentum": 0.9},
    )
    assert recipe.training.loss.hyperparameters == {"label_smoothing": 0.1}


def test_suggestions_for_another_optimizer_say_nothing() -> None:
    recipe = Recipe(optimizer="adam").over(SUGGESTED)
    assert recipe.optimizer.hyperparameters == {} and recipe.complete().optimizer.hyperparameters["lr"] == 0.001
    assert recipe.schedule.name == "one-cycle"


def test_hyperparameters_without_a_name_are_those_of_the_suggestion() -> None:
    assert (
        Recipe().with_values({"optimizer.momentum": 0.8}).over(SUGGESTED).optimizer.hyperparameters["momentum"] == 0.8
    )
    with pytest.raises(RecipeError, match=r"no key optimizer\.momentun") as caught:
        Recipe().with_values({"optimizer.momentun": 0.8}).over(SUGGESTED)
    assert "optimizer.momentum" in caught.value.fix


def test_dotted_keys_replace_single_values() -> None:
    recipe = Recipe(optimizer={"name": "adam", "lr": 0.01}).with_values(
        {"optimizer.beta2": 0.95, "data.augmentation.flip": "random", "training.loss.label_smoothing": 0.1}
    )
    assert recipe.optimizer.hyperparameters == {"lr": 0.01, "beta2": 0.95}
    assert recipe.data.augmentation.flip == "random"


@pytest.mark.parametrize(
    ("values", "message", "fix"),
    [
        ({"trainig": {}}, "no key trainig", "Did you mean training"),
        ({"training": {"epoch": 3}}, r"no key training\.epoch", r"training\.epochs"),
        (
            {"data": {"augmentation": {"flips": "random"}}},
            r"no key data\.augmentation\.flips",
            r"data\.augmentation\.flip",
        ),
        ({"optimizer": {"name": "adam", "beta3": 0.9}}, r"no key optimizer\.beta3", r"optimizer\.beta"),
        ({"training": {"epochs": 0}}, r"training\.epochs = 0 is not possible", "a number ≥ 1"),
        ({"training": {"epochs": True}}, r"training\.epochs = true is not possible", "an integer"),
        ({"training": {"epochs": "3"}}, r"training\.epochs = '3' is not possible", "an integer"),
        ({"training": {"batch_size": 0}}, r"training\.batch_size = 0 is not possible", "a number ≥ 1"),
        ({"training": {"batch_size": "big"}}, r"training\.batch_size = 'big' is not possible", "auto"),
        ({"training": {"seed": -1}}, r"training\.seed = -1 is not possible", "a number ≥ 0"),
        ({"training": {"precision": "fp8"}}, r"training\.precision = 'fp8' is not possible", "bf16"),
        ({"data": {"validation": 1.0}}, r"data\.validation = 1\.0 is not possible", "a number < 1"),
        ({"data": {"image_size": [3, 4, 5]}}, r"data\.image_size", "fewer items"),
        ({"optimizer": {"name": "sgd", "lr": 0}}, r"optimizer\.lr = 0\.0 is not possible", r"\(0, ∞\)"),
        ({"optimizer": {"name": "sgd", "lr": -1.0}}, r"optimizer\.lr = -1\.0 is not possible", r"\(0, ∞\)"),
        ({"optimizer": {"name": "sgd", "lr": True}}, r"optimizer\.lr = true is not possible", "float"),
        ({"optimizer": {"name": "sgd", "lr": float("nan")}}, r"optimizer\.lr = nan is not possible", "float"),
        ({"optimizer": {"name": "sgd", "lr": float("inf")}}, r"optimizer\.lr = inf is not possible", "float"),
        ({"schema_version": 2}, r"schema_version = 2 is not possible", "1"),
        (
            {"model": {"name": "timm/resnet18", "pretrained": True, "weights": "w.safetensors"}},
            "both say where to start",
            "one",
        ),
        ({"data": {"augmentation": {"erasing_low": 0.5}}}, "erasing_low is larger", "Exchange"),
    ],
)
def test_mistakes_name_the_key_the_value_and_the_mend(values: dict, message: str, fix: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        Recipe(**values).complete()
    import re

    assert re.search(fix, caught.value.fix), caught.value.fix


@pytest.mark.parametrize(
    ("values", "message", "fix"),
    [
        ({"optimizer": "adan"}, "no optimizer 'adan'", "adam"),
        ({"schedule": "cosin"}, "no schedule 'cosin'", "cosine"),
        ({"training": {"loss": "cross_entropy"}}, "no loss 'cross_entropy'", "cross-entropy"),
    ],
)
def test_unknown_names_come_with_the_nearest(values: dict, message: str, fix: str) -> None:
    with pytest.raises(UnknownNameError, match=message) as caught:
        Recipe(**values)
    assert fix in caught.value.fix


def test_a_file_with_a_mistake_is_named(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text("[training]\nepochz = 3\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"recipe\.toml: .*no key training\.epochz") as caught:
        Recipe.from_file(file)
    assert "training.epochs" in caught.value.fix
    file.write_text("[training\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"recipe\.toml: this is not TOML: .*line 1"):
        Recipe.from_file(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not UTF-8 text"):
        Recipe.from_file(file)
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        Recipe.from_file(tmp_path / "nowhere.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.from_file(tmp_path)


def test_two_mistakes_in_a_table_are_not_one() -> None:
    with pytest.raises(RecipeError, match=r"training\.epochs = 0 is not possible") as caught:
        Recipe(training={"epochs": 0, "steps": -1})
    assert caught.value.fix == "What is expected: a number ≥ 1."


def test_more_threads_than_any_machine_has_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"training\.threads = 10000 is not possible"):
        Recipe(training={"threads": 10000})
