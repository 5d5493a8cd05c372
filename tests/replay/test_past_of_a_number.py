import math
import random
from collections import Counter

import pytest

from dotbogi.errors import AddressError
from dotbogi.replay.replay import replay
from dotbogi.tape.address import parse_address
from dotbogi.tape.explanation import Explanation
from dotbogi.tape.tape import Tape

from .conftest import Trained, small_net

WEIGHT = "conv1.weight[0,0,1,1]"


def back(tape: Tape, address: str) -> list[Explanation]:
    """The explanations of a weight and of the updates that it came from, one after the other."""
    found = [tape.explain(address)]
    while found[-1].kind == "copy":
        (expanded,) = found[-1].expand(1)
        found.append(expanded.explanation)
        weight = next(one for one in found[-1].expand(1, top=20) if one.term.address.startswith("conv1.weight["))
        found.append(weight.explanation)
    return found


def test_a_weight_leads_back_to_the_initial_one(trained: Trained) -> None:
    run = trained(stop=4)
    tape = replay(run, step=3)
    chain = back(tape, WEIGHT)
    assert [one.kind for one in chain] == ["copy", "function"] * 3 + ["given"]
    assert [one.address for one in chain[1::2]] == [f"update {WEIGHT} @{step}" for step in (2, 1, 0)]
    assert all(one.agrees for one in chain)
    assert "built with the seed 3" in chain[-1].arithmetic.note
    assert chain[-1].recorded == float(run.stored.checkpoints.read_snapshot(0).weights["conv1.weight"][0, 0, 1, 1])


def test_what_a_step_begins_with_is_what_the_one_before_left(trained: Trained) -> None:
    tape = replay(trained(stop=4), step=3)
    explanation = tape.explain(WEIGHT)
    (term,) = explanation.terms
    assert term.address == f"update {WEIGHT} @2"
    assert term.value == explanation.recorded == tape.value(term.address) == tape.at(2).value(f"update {WEIGHT}")
    opened = tape.explain_at(term.value_id, term.index)
    assert opened.tape is tape.at(2) and opened.recorded == term.value


def test_the_optimizers_state_has_a_past_too(trained: Trained) -> None:
    tape = replay(trained(stop=4), step=3)
    state = "state conv1.weight.exp_avg[0,0,1,1]"
    (term,) = (one for one in tape.explain(state).terms if one.address.startswith("state"))
    assert term.address == f"{state} @2"
    before = tape.explain_at(term.value_id, term.index)
    assert before.address == f"{state} @2" and before.recorded == term.value and before.agrees
    assert {one.address for one in before.terms} >= {f"{state} @1", "gradient conv1.weight[0,0,1,1] @2"}


def test_a_buffer_has_a_past_too(trained: Trained) -> None:
    tape = replay(trained(model=small_net(), stop=3), step=2)
    (term,) = tape.explain("1.running_mean[2]").terms
    assert term.address == "update 1.running_mean[2] @1"
    assert tape.value(term.address) == term.value
    initial = tape.explain("1.running_mean[2] @0")
    assert initial.kind == "given" and "module that was given from Python" in initial.arithmetic.note


def test_addresses_on_an_earlier_tape_name_its_step(trained: Trained) -> None:
    tape = replay(trained(stop=3), step=2)
    earlier = tape.explain("conv1[0,3,10,12] @1")
    assert earlier.address == "conv1[0,3,10,12] @1"
    assert all(term.address.endswith(" @1") for term in earlier.terms)
    for term in earlier.terms[:3]:
        assert tape.value(term.address) == term.value  # so they are addresses of the first tape too


def test_of_a_run_that_was_not_deterministic_a_weight_is_given(trained: Trained) -> None:
    values = {"training.deterministic": False, "training.precision": "fp32", "training.snapshots": [0, 3]}
    run = trained(values, stop=4)
    tape = replay(run, step=3)
    weight = tape.explain(WEIGHT)
    assert weight.kind == "given" and "updates so far: 3" in weight.arithmetic.note
    assert "built with the seed 3" in tape.explain(f"{WEIGHT} @0").arithmetic.note


@pytest.mark.parametrize("augmentation", [{"crop": 2, "flip": "random"}, {"rotation": 10.0, "scale": 0.1}])
def test_whichever_terms_are_opened_it_ends_with_given_numbers(trained: Trained, augmentation: dict) -> None:
    tape = replay(trained({"data.augmentation": augmentation}, stop=3), step=2)
    draw, ends = random.Random(5), Counter()
    for _walk in range(60):
        at = tape.explain(f"update {WEIGHT}")
        while len(at.terms):  # a sum may have none: what lies in the padding alone is 0
            assert at.kind != "unexplained" and at.agrees, at.to_dict(top=6)
            term = at.terms[draw.randrange(len(at.terms))]
            following = at.tape.explain_at(term.value_id, term.index)
            assert following.recorded == term.value
            at = following
        assert at.kind != "unexplained" and at.agrees, at.to_dict(top=6)
        ends[at.arithmetic.note.partition(" ")[0]] += 1
    assert ends["a"] and ends["an"]  # pixels ("a number of train:7 …") and initial weights


@pytest.mark.slow
def test_a_weight_of_step_137_is_opened_through_136_and_135(trained: Trained) -> None:
    run = trained({"training.epochs": 36, "training.snapshots": [0, 100], "optimizer.lr": 1e-4}, stop=140)
    tape = replay(run, step=137)
    chain = [tape.explain(f"update {WEIGHT}"), *back(tape, WEIGHT)[:4]]
    assert [one.address for one in chain if one.address.startswith("update")] == [
        f"update {WEIGHT}",
        f"update {WEIGHT} @136",
        f"update {WEIGHT} @135",
    ]
    for one in chain:
        assert one.kind in ("function", "copy") and one.agrees
        again = one.evaluate([term.value for term in one.terms])
        assert math.isclose(again, one.recorded, abs_tol=one.tolerance)
    gradients = [one.tape.explain("gradient conv1.weight[0,0,1,1]") for one in chain if one.kind == "function"]
    for gradient in gradients:
        total = math.fsum(term.coefficient * term.value for term in gradient.terms)
        assert abs(total - gradient.recorded) <= gradient.tolerance


def test_a_step_in_an_address() -> None:
    address = parse_address("update conv1.weight[0,0,1,1] @135")
    assert (address.kind, address.name, address.index, address.step) == ("update", "conv1.weight", (0, 0, 1, 1), 135)
    assert address.within == "update conv1.weight[0,0,1,1]"
    assert parse_address("loss@3").step == 3 and parse_address("loss").step is None
    with pytest.raises(AddressError, match="This is no address"):
        parse_address("loss @last")


def test_a_step_is_no_address_of_a_tape_that_stands_alone(trained: Trained) -> None:
    tape = replay(trained(stop=2), step=1)
    with pytest.raises(AddressError, match=r"loss @0 is a number of another step than this tape's\.\n.*tape\.at\(0\)"):
        tape.names.find(parse_address("loss @0"), list(tape.operations))
    tape.step, tape.tape_of = None, None
    with pytest.raises(AddressError, match=r"not one of a training's steps, so there is no step 7\.\nLeave @7 out"):
        tape.explain("loss @7")
