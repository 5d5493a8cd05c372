import pytest

from dotbogi.replay.replay import replay
from dotbogi.tape.analyses.what_if import run_again

from .conftest import Trained, small_net

VARIED = {"crop": 2, "flip": "random", "erasing": 0.5}
WEIGHT = "conv1.weight[0,0,1,1]"


@pytest.mark.parametrize(
    "augmentation", [VARIED, {"rotation": 10.0, "scale": 0.1, "flip": "random"}], ids=["moved", "resampled"]
)
def test_a_replayed_step_is_recorded_completely(trained: Trained, augmentation: dict) -> None:
    tape = replay(trained({"data.augmentation": augmentation, "training.clip_norm": 0.5}, stop=3), step=2)
    assert tape.difference(run_again(tape)) == []


def test_dropout_is_recorded_completely(trained: Trained) -> None:
    tape = replay(trained(model=small_net(), stop=3), step=2)
    assert tape.difference(run_again(tape)) == []


def test_another_pixel_gives_other_weights(trained: Trained) -> None:
    run = trained({"data.augmentation": VARIED}, stop=3)
    tape = replay(run, step=2)
    changed = tape.what_if({"pixel[3,14,9,0]": 255.0 - tape.value("pixel[3,14,9,0]")})
    assert changed.value(f"update {WEIGHT}") != tape.value(f"update {WEIGHT}")
    assert changed.value(WEIGHT) == tape.value(WEIGHT)


def test_another_weight_has_no_past_but_the_others_have(trained: Trained) -> None:
    tape = replay(trained(stop=3), step=2)
    changed = tape.what_if({WEIGHT: 0.5})
    assert changed.explain(WEIGHT).kind == "given" and changed.value(WEIGHT) == 0.5
    (term,) = changed.explain("conv1.weight[0,0,1,2]").terms
    assert term.address == "update conv1.weight[0,0,1,2] @1"
