import json
import math

import torch
from torch.nn import functional as F

from dotbogi.cli.output import json_line
from dotbogi.tape.render.text import to_text

from ..conftest import record_function

KEYS = {
    *("address", "kind", "formula", "numbers", "terms", "result", "recorded", "difference", "scale", "tolerance"),
    "agrees",
}


def test_everything_of_the_contract_is_there_and_the_rest_is_summed_up() -> None:
    tape = record_function(F.linear, torch.randn(1, 20), parameters=(torch.randn(3, 20), torch.randn(3)))
    explanation = tape.explain("logits[0,2]")
    whole, short = explanation.to_dict(), explanation.to_dict(top=4)
    assert whole.keys() >= KEYS and len(whole["terms"]) == whole["terms_in_all"] == 21 and "rest" not in whole
    assert math.isclose(math.fsum(term["product"] for term in whole["terms"]), whole["result"], abs_tol=1e-12)
    assert len(short["terms"]) == 4 and short["rest"]["terms"] == 17
    shown = math.fsum(term["product"] for term in short["terms"])
    assert math.isclose(shown + short["rest"]["sum"], short["result"], abs_tol=1e-12)
    assert json.loads(json_line(whole)) == whole


def test_a_replayed_difference_is_told_only_where_there_is_one() -> None:
    tape = record_function(torch.exp, torch.zeros(1))
    assert "replay_difference" not in tape.explain("logits[0]").to_dict()
    tape.replay_difference = 0.0
    assert tape.explain("logits[0]").to_dict()["replay_difference"] == 0
    assert "exactly the stored ones" in to_text(tape.explain("logits[0]"))
    tape.replay_difference = 2.5e-7
    assert "by up to 2.5e-07" in to_text(tape.explain("logits[0]"))


def test_nan_and_infinity_are_json_and_text() -> None:
    images = torch.ones(1, 1, 3, 3)
    images[0, 0, 1, 1], images[0, 0, 0, 0] = math.nan, math.inf
    tape = record_function(lambda x, w: F.conv2d(x, w, padding=1), images, parameters=(torch.ones(1, 1, 3, 3),))
    explanation = tape.explain("logits[0,0,1,1]")
    record = json.loads(json_line(explanation.to_dict()))
    assert record["recorded"] == "nan" and "nan" in {term["value"] for term in record["terms"]}
    text = to_text(explanation)
    assert "nan" in text and "inf" in text and "Σ ≈ nan" in text
    assert "·" not in text.partition("window")[2].partition("Σ")[0].replace("x · w", "")
