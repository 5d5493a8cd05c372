import json
import os
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from dotbogi.cli.main import program
from dotbogi.language import set_language


@pytest.fixture(autouse=True)
def _english_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("DOTBOGI_DEBUG", raising=False)
    monkeypatch.setenv("LANGUAGE", os.environ.get("LANGUAGE", ""))
    yield
    set_language("en")


@pytest.fixture
def dotbogi() -> Callable[..., Result]:
    """Runs a command line in this process."""

    def run(*words: str, lang: str = "en", **environment: str) -> Result:
        return CliRunner().invoke(program, list(words), env={"DOTBOGI_LANG": lang, "COLUMNS": "80"} | environment)

    return run


@pytest.fixture
def lines(dotbogi: Callable[..., Result]) -> Callable[..., list[dict]]:
    """Runs a command line with ``--json`` and returns its lines."""

    def run(*words: str, code: int = 0, **environment: str) -> list[dict]:
        result = dotbogi(*words, "--json", **environment)
        assert result.exit_code == code, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run
