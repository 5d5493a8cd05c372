import json
import pkgutil
import signal
import subprocess
import sys

import click
import pytest

from dotbogi.cli import commands
from dotbogi.cli.main import program
from dotbogi.cli.signals import Interrupted
from dotbogi.errors import DotbogiError, TrainingError

NAMES = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
HEAVY = ("torch", "torchvision", "timm", "rich", "pydantic", "plotly", "numpy")


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise error

    monkeypatch.setattr("dotbogi.cli.entries.entries_table", fail)


def test_the_commands_are_those_of_the_contract() -> None:
    promised = {"train", "resume", "evaluate", "predict", "runs", "show", "compare", "list"}
    assert promised <= set(program.list_commands(click.Context(program)))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_help_names_every_command_and_fits_the_screen(dotbogi, lang) -> None:
    from dotbogi.cli.formatter import displayed_width

    for words in ([], *([name] for name in NAMES)):
        page = dotbogi(*words, "--help", lang=lang)
        assert page.exit_code == 0
        assert all(displayed_width(line) <= 80 for line in page.stdout.splitlines()), page.stdout
    page = dotbogi("--help", lang=lang).stdout
    assert all(f"\n  {name} " in page for name in NAMES)


def test_without_a_command_the_help_is_shown(dotbogi) -> None:
    assert dotbogi().stdout == dotbogi("--help").stdout
    assert dotbogi("-h").stdout == dotbogi("--help").stdout


@pytest.mark.parametrize("name", NAMES)
def test_help_speaks_korean(dotbogi, name) -> None:
    english, korean = dotbogi(name, "--help", lang="en").stdout, dotbogi(name, "--help", lang="ko").stdout
    assert english.startswith("Usage:") and korean.startswith("사용법:")
    assert "Show this help." in english and "이 도움말을 보여 줍니다." in korean
    # Every text is translated: what is left in Latin letters are names, values and placeholders.
    assert not any(word in korean for word in (" the ", " and ", " with ", " of "))


@pytest.mark.parametrize(
    "words", [["--lang", "ko"], ["list", "--lang", "ko", "--help"], ["list", "--lang=ko", "--help"]]
)
def test_lang_is_understood_anywhere(dotbogi, words) -> None:
    assert "사용법:" in dotbogi(*words).stdout


def test_another_language_is_refused(dotbogi) -> None:
    result = dotbogi("list", "--lang", "fr")
    assert result.exit_code == 2
    assert "'fr' is not one of 'en', 'ko'." in result.stderr


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from dotbogi.cli.main import program
try:
    program.main(["--help"])
except SystemExit:
    pass
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_module_is_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dotbogi", "--version"], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.startswith("dotbogi ")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_console_of_another_encoding_gets_utf8(lang, tmp_path) -> None:
    import os

    environment = {**os.environ, "PYTHONIOENCODING": "cp949", "DOTBOGI_LANG": lang}
    words = [sys.executable, "-m", "dotbogi", "list", "schedules", "cosine", "--plot"]
    done = subprocess.run(words, capture_output=True, env=environment, check=True)
    assert "─" in done.stdout.decode("utf-8")


def test_an_unknown_command_names_the_nearest(dotbogi) -> None:
    result = dotbogi("trian")
    assert result.exit_code == 2
    assert result.stderr == "Error: There is no command 'trian'.\nDid you mean train?\n"


def test_an_unknown_command_like_no_other_points_to_the_help(dotbogi) -> None:
    assert "`dotbogi --help` says what is possible." in dotbogi("qqqq").stderr


def test_an_unknown_option_is_a_mistake(dotbogi) -> None:
    result = dotbogi("train", "--epoch", "2")
    assert result.exit_code == 2
    assert "No such option '--epoch'. Did you mean '--epochs'?" in result.stderr
    assert "`dotbogi train --help`" in result.stderr


def test_an_error_is_a_json_line_too(lines) -> None:
    (line,) = lines("list", "optimizers", "adm", code=2)
    assert line["event"] == "error"
    assert line["message"] == "There is no optimizer 'adm'."
    assert "adam" in line["fix"]


def test_a_mistake_in_the_words_is_a_json_line_too(lines) -> None:
    (line,) = lines("list", "--nonsense", code=2)
    assert line == {
        "event": "error",
        "message": "No such option '--nonsense'.",
        "fix": "`dotbogi list --help` says what is possible.",
    }


@pytest.mark.parametrize(("error", "code"), [(DotbogiError("no", fix="do"), 2), (TrainingError("no", fix="do"), 1)])
def test_an_error_of_ours_is_told_without_a_traceback(dotbogi, monkeypatch, error, code) -> None:
    failing(monkeypatch, error)
    result = dotbogi("list", "losses")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "Error: no\ndo\n")


def test_an_unexpected_error_asks_for_a_report(dotbogi, monkeypatch) -> None:
    failing(monkeypatch, ValueError("boom"))
    result = dotbogi("list", "losses")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: Something went wrong inside dotbogi: ValueError: boom",
        "Please report it with what the same command says with --debug.",
    ]


def test_debug_shows_the_traceback(dotbogi, monkeypatch) -> None:
    failing(monkeypatch, ValueError("boom"))
    assert "Traceback" in dotbogi("list", "losses", "--debug").stderr
    assert "Traceback" in dotbogi("list", "losses", DOTBOGI_DEBUG="1").stderr


def test_an_error_of_the_system_names_the_file(dotbogi, monkeypatch) -> None:
    failing(monkeypatch, PermissionError(13, "Permission denied", "runs"))
    result = dotbogi("list", "losses")
    assert result.exit_code == 2
    assert result.stderr == "Error: runs: Permission denied\n"


@pytest.mark.parametrize(
    ("interruption", "code"),
    [(KeyboardInterrupt(), 130), (Interrupted(signal.SIGINT), 130), (Interrupted(signal.SIGTERM), 143)],
)
def test_an_interruption_has_its_code(dotbogi, monkeypatch, interruption, code) -> None:
    failing(monkeypatch, interruption)
    result = dotbogi("list", "losses")
    assert result.exit_code == code
    assert "Stopped." in result.stderr


def test_nothing_but_json_reaches_standard_output(lines, monkeypatch) -> None:
    from dotbogi.cli import entries

    def chatty(kind: str, name: str, entry: object) -> dict[str, str]:
        print("a library talks")
        return {"id": name}

    monkeypatch.setattr(entries, "entry_record", chatty)
    assert {"id": "mse"} in lines("list", "losses")


def test_words_after_two_dashes_are_no_options(dotbogi) -> None:
    result = dotbogi("list", "optimizers", "--", "--json")
    assert result.exit_code == 2
    assert "There is no optimizer '--json'." in result.stderr
    assert result.stdout == ""


def test_an_error_reads_as_json_in_korean(dotbogi) -> None:
    result = dotbogi("list", "optimizers", "adm", "--json", lang="ko")
    assert "옵티마이저" in json.loads(result.stdout)["message"]
