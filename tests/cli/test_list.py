import json
import subprocess
import sys

import pytest

from dotbogi.cli.curves import schedule_curve, terminal_curve
from dotbogi.registry import LOSSES, MODELS, OPTIMIZERS, SCHEDULES, SOURCES

REGISTRIES = {"optimizers": OPTIMIZERS, "schedules": SCHEDULES, "models": MODELS, "data": SOURCES, "losses": LOSSES}
ENTRIES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry.names()]


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_line_of_json_per_entry(lines, kind) -> None:
    records = lines("list", kind)
    assert [record["id"] for record in records] == REGISTRIES[kind].names()
    assert all(record["kind"] == kind and record["title"] for record in records)


def test_an_optimizers_line_holds_what_the_lecture_says(lines) -> None:
    (adam,) = lines("list", "optimizers", "adam")
    assert {"formula", "source", "pros", "cons", "uses", "implementation"} <= adam.keys()
    rate = adam["hyperparameters"][0]
    assert (rate["name"], rate["type"], rate["low"], rate["high"], rate["range"]) == ("lr", "float", 0, "inf", "(0, ∞)")
    assert rate["default"] == 0.001


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_table_names_every_entry(dotbogi, kind) -> None:
    text = dotbogi("list", kind).stdout
    assert all(f"\n{name} " in text for name in REGISTRIES[kind].names())
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_an_entry_has_a_page(dotbogi, kind, name) -> None:
    result = dotbogi("list", kind, name)
    assert result.exit_code == 0, result.stderr
    entry = REGISTRIES[kind].load(name)
    text = " ".join(result.stdout.split())
    assert text.startswith(f"{name} · {entry.title}")
    for hyperparameter in getattr(entry, "hyperparameters", ()):
        assert f" {hyperparameter.name} " in text
    if hasattr(entry, "formula"):
        assert " ".join(entry.formula.split())[:20] in text


def test_without_a_kind_all_names_are_listed(dotbogi, lines) -> None:
    text = dotbogi("list").stdout
    assert all(name in text for _kind, name in ENTRIES)
    assert sorted((record["kind"], record["id"]) for record in lines("list")) == sorted(ENTRIES)


def test_search_keeps_names_that_contain_the_text(lines) -> None:
    found = [record["id"] for record in lines("list", "optimizers", "--search", "adam")]
    assert found == [name for name in OPTIMIZERS.names() if "adam" in name]
    assert {"adam", "adamw", "nadam", "radam"} <= set(found)


def test_an_unknown_entry_names_the_nearest(dotbogi) -> None:
    result = dotbogi("list", "schedules", "onecycle")
    assert result.exit_code == 2
    assert result.stderr == "Error: There is no schedule 'onecycle'.\nDid you mean one-cycle?\n"


@pytest.mark.parametrize("kind", ["optimizers", "schedules", "losses", "data"])
def test_listing_does_not_import_torch(kind) -> None:
    code = f"""
import sys
from dotbogi.cli.main import program
try:
    program.main(["list", "{kind}"])
except SystemExit as ended:
    assert not ended.code
print("torch" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stderr.strip() == "False"


def test_the_models_of_a_library(lines, dotbogi) -> None:
    words = ["list", "models", "--library", "torchvision", "--search", "resnet1"]
    assert {"kind": "models", "id": "torchvision/resnet18"} in lines(*words)
    assert "torchvision/resnet18\n" in dotbogi(*words).stdout


def test_only_models_come_from_a_library(dotbogi) -> None:
    result = dotbogi("list", "losses", "--library", "timm")
    assert result.exit_code == 2
    assert "Only models come from a library." in result.stderr


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_every_schedule_is_drawn(dotbogi, name) -> None:
    result = dotbogi("list", "schedules", name, "--plot")
    assert result.exit_code == 0
    first, *rows = result.stdout.splitlines()
    assert first == name
    assert all(len(row) <= 80 for row in rows)
    assert any(0x2801 <= ord(character) <= 0x28FF for row in rows for character in row)


def test_all_schedules_are_drawn_without_a_name(dotbogi) -> None:
    text = dotbogi("list", "schedules", "--plot").stdout
    assert all(f"{name}\n" in text for name in SCHEDULES.names())


def test_a_curve_is_the_schedules_own() -> None:
    assert schedule_curve("constant", ()) == [1.0] * 600
    warm = schedule_curve("constant", ("schedule.warmup=.5",))
    assert warm[0] < 0.01 and warm[150] == pytest.approx(0.5, abs=0.01) and warm[300:] == [1.0] * 300
    assert min(schedule_curve("plateau", ())) < 1


def test_a_rising_line_is_drawn_from_the_lower_left_to_the_upper_right() -> None:
    rows = [row.partition("│")[2] for row in terminal_curve([step / 99 for step in range(100)]).splitlines()[:10]]
    assert rows[0].startswith(" ") and rows[0].endswith(("⠉", "⠁", "⠈", "⠋", "⠊", "⠎"))
    assert rows[-1][0] != " " and len(rows[-1]) < 10


def test_a_curve_of_zeros_lies_on_the_axis() -> None:
    rows = terminal_curve([0.0] * 10).splitlines()
    assert rows[9].endswith("⣀" * 60)


def test_schedules_are_drawn_into_a_page(dotbogi, tmp_path) -> None:
    page = tmp_path / "schedules.html"
    result = dotbogi("list", "schedules", "cosine", "step", "--output", str(page))
    assert result.exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "cosine" in text and "step" in text and "Learning rate, as a factor of lr" in text


def test_another_kind_of_file_is_refused(dotbogi, tmp_path) -> None:
    result = dotbogi("list", "schedules", "--output", str(tmp_path / "a.txt"))
    assert result.exit_code == 2
    assert "cannot be written as" in result.stderr


def test_only_schedules_can_be_drawn(dotbogi) -> None:
    result = dotbogi("list", "losses", "--plot")
    assert result.exit_code == 2
    assert "Only schedules can be drawn." in result.stderr


def test_a_drawn_schedule_is_numbers_for_programs(lines) -> None:
    (record,) = lines("list", "schedules", "cosine", "--plot")
    assert record["factors"][0] == 1.0 and len(record["factors"]) == 600


def test_texts_are_in_korean_where_the_catalogue_has_them(dotbogi) -> None:
    result = dotbogi("list", "optimizers", "adam", "--json", lang="ko")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["id"] == "adam"
    assert "하이퍼파라미터" in dotbogi("list", "optimizers", "adam", lang="ko").stdout
