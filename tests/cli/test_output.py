import io
import json
import math
import os
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbogi.cli.formatter import displayed_width
from dotbogi.cli.output import Output, json_line
from dotbogi.cli.tables import table
from dotbogi.errors import DotbogiError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output(as_json: bool = False, results: io.StringIO | None = None) -> Output:
    return Output(as_json, results or io.StringIO(), io.StringIO())


def test_special_numbers_are_words_at_every_depth() -> None:
    line = json_line({"a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": (1.5, "nan")})
    assert json.loads(line) == {"a": "nan", "b": ["inf", {"c": "-inf"}], "d": [1.5, "nan"]}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_in_full(value) -> None:
    assert json.loads(json_line({"x": value}))["x"] == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), json_values, max_size=3))
def test_a_record_is_one_line_and_reads_back(record) -> None:
    line = json_line(record)
    assert "\n" not in line
    assert json.loads(line) == record
    line.encode("utf-8")


def test_korean_stays_readable() -> None:
    assert json_line({"label": "고양이"}) == '{"label": "고양이"}'


def test_a_file_name_that_is_no_text_survives() -> None:
    name = os.fsdecode(b"caf\xe9.png") if os.name == "posix" else "caf\udce9.png"
    line = json_line({"path": Path(name)})
    assert json.loads(line.encode("utf-8"))["path"] == name


def test_an_error_is_text_and_with_json_a_line_too() -> None:
    for as_json in (False, True):
        shown = output(as_json)
        shown.error(DotbogiError("what", fix="how"))
        assert shown.messages.getvalue() == "Error: what\nhow\n"
        lines = shown._results.getvalue().splitlines()
        assert [json.loads(line) for line in lines] == [{"event": "error", "message": "what", "fix": "how"}] * as_json


def test_an_error_of_a_full_disk_is_told_all_the_same() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    shown = output(True, Full())
    shown.error(DotbogiError("what"))
    assert shown.messages.getvalue() == "Error: what\n"


def test_a_pipe_gets_neither_colours_nor_padding_nor_cuts() -> None:
    shown = output()
    rows = table("a", "b")
    rows.add_row("x" * 300, "y")
    rows.add_row("[red]z[/]", "")
    shown.show(rows)
    text = shown._results.getvalue()
    assert "\x1b" not in text
    assert "x" * 300 in text and "[red]z[/]" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_terminal_gets_lines_of_its_width(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    rows = table("이름", "설명")
    rows.add_row("학습률", "학습률(learning rate)은 한 걸음의 크기입니다. " * 3)
    output(results=terminal).show(rows)
    lines = click.unstyle(terminal.getvalue()).splitlines()
    assert len(lines) > 3
    assert all(displayed_width(line) <= 40 for line in lines)


def test_no_color_is_respected(monkeypatch) -> None:
    from rich.text import Text

    monkeypatch.setenv("TERM", "xterm-256color")
    for setting in ({}, {"NO_COLOR": "1"}):
        for name, value in setting.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal()
        output(results=terminal).show(Text("x", style="red"))
        assert ("\x1b[31m" in terminal.getvalue()) == (not setting)


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("합성곱", 6), ("학습률 lr", 9), ("", 0), ("━", 1)])
def test_hangul_is_two_columns_wide(text, width) -> None:
    assert displayed_width(text) == width
