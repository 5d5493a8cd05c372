import unicodedata
from datetime import datetime

import pytest

from dotbogi.errors import RunError
from dotbogi.store.names import checked_name, new_id

MOMENT = datetime(2026, 11, 24, 23, 15, 2)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("simple-cnn", "20261124-231502-simple-cnn"),
        ("auto", "20261124-231502"),
        ("timm/resnet18.a1_in1k", "20261124-231502-resnet18"),
        ("torchvision/vit_b_16", "20261124-231502-vit-b-16"),
        ("models/My Net.py:factory", "20261124-231502-my-net"),
        (r"C:\models\net.py:factory", "20261124-231502-net"),
        ("모델", "20261124-231502"),
        ("x" * 80, "20261124-231502-" + "x" * 24),
        ("", "20261124-231502"),
    ],
)
def test_ids_say_when_and_which_model(model, expected):
    assert new_id(MOMENT, model) == expected


def test_ids_sort_by_time():
    moments = [MOMENT.replace(second=second, day=day) for day in (1, 20) for second in (1, 10, 59)]
    ids = [new_id(moment, "zoo" if moment.day == 1 else "a") for moment in moments]
    assert ids == sorted(ids)


@pytest.mark.parametrize("name", ["baseline", "lr .1", "첫 번째", "a" * 100, "20261124", "v1.2+x", "e\u0301t\u00e9"])
def test_names_that_are_taken(name):
    assert checked_name(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", ["last", "LAST", "Last"])
def test_last_is_a_word_of_ours(name):
    with pytest.raises(RunError, match=f"A run cannot be called {name}: that word means the newest run"):
        checked_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a/b",
        "a\\b",
        "..",
        ".hidden",
        "-n",
        " a",
        "a ",
        "a\nb",
        "a\0",
        "a\u200bb",
        "\ud800",
        "a" * 101,
        "\u202eabc",
    ],
)
def test_names_that_are_refused(name):
    with pytest.raises(RunError, match="A run cannot be called '") as caught:
        checked_name(name)
    assert "Choose a --name" in caught.value.fix
    assert caught.value.exit_code == 2
