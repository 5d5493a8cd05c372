"""The explanations that the documents show are those that the commands above them print."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

ROOT = Path(__file__).parents[2]
DOCUMENTS = {"README.md": "en", "README.ko.md": "ko", "docs/addresses.md": "en", "docs/addresses.ko.md": "ko"}
EXAMPLE = re.compile(
    r"^```bash\ndotbogi (explain simple-cnn[^\n]*)\n```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def examples() -> list[tuple[str, str, str]]:
    return [
        (document, words, text)
        for document in DOCUMENTS
        for words, text in EXAMPLE.findall((ROOT / document).read_text(encoding="utf-8"))
    ]


def comparable(text: str) -> list[str]:
    """Returns words without their last digits: another processor rounds in another order."""
    lines = re.split(r"^ *─+\n", text, flags=re.MULTILINE)
    words = " ".join(line for part in lines for line in part.splitlines() if "float" not in line and "e-" not in line)
    return [re.sub(r"(-?\d\.\d{3})\d+", r"\1", word) for word in words.split()]


@pytest.mark.parametrize(("document", "words", "shown"), examples())
def test_a_document_shows_what_the_command_prints(
    document: str, words: str, shown: str, dotbogi: Callable[..., Result]
) -> None:
    result = dotbogi(*shlex.split(words), lang=DOCUMENTS[document])
    assert result.exit_code == 0, result.stderr
    assert comparable(result.stdout) == comparable(shown)


def test_every_document_has_an_example() -> None:
    assert {document for document, _words, _text in examples()} == set(DOCUMENTS)


@pytest.mark.parametrize("document", ["docs/addresses.md", "docs/addresses.ko.md"])
def test_the_python_of_the_page_runs(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / document).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, document, "exec"), names)
    assert names["explanation"].terms[0].address == "input[0,0,2,2]"
    assert "0[0,3,2,2]" in capsys.readouterr().out
