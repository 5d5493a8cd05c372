from importlib.metadata import EntryPoint

import pytest

from dotbogi import registry
from dotbogi.errors import RecipeError, UnknownNameError
from dotbogi.registry import LOSSES, MODELS, OPTIMIZERS, SCHEDULES, SOURCES, Hyperparameter, Registry

# The ids that users' scripts rely on.
PROMISED = {
    OPTIMIZERS: "sgd momentum nag adagrad rmsprop adam adamw adadelta nadam lion lamb adafactor radam muon",
    SCHEDULES: "constant step multistep cosine one-cycle plateau",
    MODELS: "linear-regression simple-fcn simple-cnn feature-cnn small-cnn",
    SOURCES: "sample line lecture-image fashion-mnist mnist kmnist cifar10 cifar100",
    LOSSES: "cross-entropy mse",
}


@pytest.mark.parametrize("kind", list(PROMISED), ids=lambda kind: kind.kind)
def test_every_promised_name_is_there(kind: Registry) -> None:
    assert set(PROMISED[kind].split()) <= set(kind.names())
    assert all(kind.load(name) is kind.load(name) for name in kind.names())


def test_an_unknown_name_comes_with_the_nearest_or_with_all() -> None:
    with pytest.raises(UnknownNameError, match="There is no optimizer 'adma'") as caught:
        OPTIMIZERS.load("adma")
    assert "adam" in caught.value.fix
    with pytest.raises(UnknownNameError) as caught:
        SCHEDULES.load("xyzzy")
    assert caught.value.fix == "Possible: constant, cosine, multistep, one-cycle, plateau, step."


def test_another_package_adds_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "dotbogi.optim.optimizers.adam:OPTIMIZER", "dotbogi.optimizers")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "dotbogi.optimizers" else [])
    fresh = Registry("optimizer", "dotbogi.optim.optimizers", "OPTIMIZER")
    assert "theirs" in fresh.names() and fresh.load("theirs") is fresh.load("adam")


def test_a_name_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("adam", "elsewhere:OPTIMIZER", "dotbogi.optimizers")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(RuntimeError, match="elsewhere:OPTIMIZER registers optimizer adam, which is taken"):
        Registry("optimizer", "dotbogi.optim.optimizers", "OPTIMIZER").names()


@pytest.mark.parametrize(
    ("hyperparameter", "shown"),
    [
        (Hyperparameter("lr", 0.1, low=0, low_open=True), "(0, ∞)"),
        (Hyperparameter("beta", 0.9, low=0, high=1, high_open=True), "[0, 1)"),
        (Hyperparameter("any", 0.0), "(−∞, ∞)"),
        (Hyperparameter("anneal", "linear", choices=("linear", "cosine")), "linear | cosine"),
        (Hyperparameter("flag", False), "true | false"),
        (Hyperparameter("weights", []), ""),
    ],
)
def test_ranges_are_shown_as_mathematics_writes_them(hyperparameter: Hyperparameter, shown: str) -> None:
    assert hyperparameter.range == shown


def test_a_float_takes_an_integer_and_nothing_else() -> None:
    lr = Hyperparameter("lr", 0.1, low=0, low_open=True)
    assert lr.check(1, "optimizer.lr") == 1.0 and type(lr.check(1, "optimizer.lr")) is float
    for value in (True, "1", None, [1]):
        with pytest.raises(RecipeError, match=r"optimizer\.lr = .* is not possible"):
            lr.check(value, "optimizer.lr")
