import click
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.cli import options
from dotbogi.cli.options import RECIPE_OPTIONS, image_size, parse_value, recipe_from
from dotbogi.errors import RecipeError
from dotbogi.recipe import Recipe


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (".95", 0.95),
        ("1e-3", 1e-3),
        ("128", 128),
        ("true", True),
        ("auto", "auto"),
        ("photos/cats", "photos/cats"),
        ('"quoted"', "quoted"),
        ("[28, 28]", [28, 28]),
        ("2024-01-01", "2024-01-01"),
        ("1\nb = 2", "1\nb = 2"),
        ("", ""),
        ("C:\\photos", "C:\\photos"),
    ],
)
def test_a_value_is_toml_else_a_number_else_text(text, value) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@given(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text()))
def test_a_value_written_as_toml_is_read_back(value) -> None:
    written = tomli_w.dumps({"value": value}).removeprefix("value = ").removesuffix("\n")
    assert parse_value(written) == value


@given(st.text())
def test_any_text_is_a_value(text) -> None:
    assert isinstance(parse_value(text), bool | int | float | str | list | dict)


def test_every_option_sets_a_key_that_a_recipe_has() -> None:
    given_values = {str: "x", int: 3, float: 0.1, bool: True, options.auto_or_integer: 4, options.image_size: 32}
    special = {
        "fit": "pad",
        "normalisation": "none",
        "optimizer": "adam",
        "schedule": "cosine",
        "loss": "mse",
        "precision": "bf16",
    }
    for option in RECIPE_OPTIONS:
        value = special.get(option.name, given_values[option.type])
        recipe = recipe_from(None, {option.name: value}, ())
        found = recipe.to_dict()
        for word in option.key.split("."):
            found = found[word]
        assert found == value


def test_nothing_said_is_an_empty_recipe() -> None:
    assert recipe_from(None, {"lr": None, "data": None}, ()).to_dict() == {}


def test_settings_win_over_options_and_these_over_the_file(tmp_path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[training]\nepochs = 1\nseed = 1\nbatch_size = 1\n", encoding="utf-8")
    recipe = recipe_from(path, {"epochs": 2, "seed": 2}, ("training.epochs=3",))
    assert (recipe.training.epochs, recipe.training.seed, recipe.training.batch_size) == (3, 2, 1)


def test_another_optimizer_takes_none_of_the_files_hyperparameters(tmp_path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('[optimizer]\nname = "adam"\nlr = 0.003\nbeta2 = 0.9\n', encoding="utf-8")
    assert recipe_from(path, {"optimizer": "sgd"}, ()).optimizer.hyperparameters == {}
    assert recipe_from(path, {"optimizer": "adam"}, ()).optimizer.hyperparameters == {"lr": 0.003, "beta2": 0.9}
    assert recipe_from(path, {"lr": 0.5}, ()).optimizer.hyperparameters == {"lr": 0.5, "beta2": 0.9}
    assert recipe_from(path, {}, ("optimizer.name=lion",)).optimizer.hyperparameters == {}


def test_a_setting_reaches_every_depth() -> None:
    recipe = recipe_from(None, {}, ("data.augmentation.flip=random", "training.loss.label_smoothing=.1"))
    assert recipe.data.augmentation.flip == "random"
    assert recipe.training.loss.hyperparameters == {"label_smoothing": 0.1}


def test_a_boolean_is_not_a_number() -> None:
    with pytest.raises(RecipeError, match=r"training\.epochs = true is not possible"):
        recipe_from(None, {}, ("training.epochs=true",))


@pytest.mark.parametrize("text", ["optimizer.lr", "=3", " =3"])
def test_a_setting_needs_key_and_value(text) -> None:
    with pytest.raises(RecipeError, match="has no key and value"):
        recipe_from(None, {}, (text,))


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"optimizer\.learning_rat") as caught:
        recipe_from(None, {}, ("optimizer.name=adam", "optimizer.learning_rat=3"))
    assert caught.value.fix


@pytest.mark.parametrize(("text", "value"), [("auto", "auto"), ("32", 32), ("224x160", [224, 160])])
def test_an_image_size(text, value) -> None:
    assert image_size(text) == value


def test_three_sides_are_no_image_size() -> None:
    with pytest.raises(click.BadParameter, match="'1x2x3' is no image size"):
        image_size("1x2x3")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "x"], "'x' is not a valid integer"),
        (["--lr", "x"], "'x' is not a valid float"),
        (["--batch-size", "x"], "Invalid value for '--batch-size'"),
        (["--image-size", "big"], "Invalid value for '--image-size'"),
        (["--lr", "0"], "optimizer.lr = 0.0 is not possible"),
        (["--lr", "nan"], "optimizer.lr = nan is not possible"),
        (["--epochs", "0"], "training.epochs = 0 is not possible"),
        (["--batch-size", "0"], "training.batch_size = 0 is not possible"),
        (["--seed", "-1"], "training.seed = -1 is not possible"),
        (["--precision", "fp8"], "training.precision = 'fp8' is not possible"),
        (["--optimizer", "adm"], "There is no optimizer 'adm'"),
        (["--weights", "a", "--pretrained"], "model.pretrained and model.weights both say"),
        (["missing.toml"], "The recipe missing.toml cannot be read"),
    ],
)
def test_a_mistake_is_told_before_anything_heavy_happens(dotbogi, tmp_path, words, message) -> None:
    result = dotbogi("train", *words, "--runs-dir", str(tmp_path / "runs"))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_typo_in_a_file_names_file_key_and_nearest(dotbogi, tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nepoch = 3\n", encoding="utf-8")
    result = dotbogi("train", str(path))
    assert result.exit_code == 2
    assert "mine.toml" in result.stderr and "training.epoch " in result.stderr and "training.epochs" in result.stderr


def test_words_for_a_choice_are_those_of_the_recipe() -> None:
    """What a help page offers is what a recipe takes."""
    tables = {"data": Recipe().data, "training": Recipe().training}
    for option in RECIPE_OPTIONS:
        table, _dot, key = option.key.partition(".")
        if option.metavar and "|" in option.metavar and option.metavar.islower() and option.type is str:
            for word in option.metavar.split("|"):
                assert type(tables[table]).model_validate({key: word})
