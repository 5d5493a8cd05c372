import importlib.util
import re
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "tools" / "catalogue.py"
SPECIFICATION = importlib.util.spec_from_file_location("catalogue", PATH)
assert SPECIFICATION and SPECIFICATION.loader
catalogue = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(catalogue)

PAIRS = [(domain, language) for domain in catalogue.DOMAINS for language in catalogue.LANGUAGES]


@pytest.mark.parametrize(("domain", "language"), PAIRS)
def test_the_compiled_catalogue_is_the_texts(domain, language) -> None:
    """If this fails: python tools/catalogue.py compile"""
    written = catalogue.texts(catalogue.stored(domain, language))
    assert written
    assert catalogue.compiled(domain, language) == written


@pytest.mark.parametrize(("domain", "language"), PAIRS)
def test_the_catalogue_is_complete(domain, language) -> None:
    """If this fails: python tools/catalogue.py update, translate what is empty, then compile"""
    assert catalogue.mistakes(domain, language) == []
    assert [message.id for message in catalogue.stored(domain, language) if message.id and message.fuzzy] == []


def forms(text) -> list[str]:
    """A text, or each form of a plural."""
    return [text] if isinstance(text, str) else list(text)


def fields(text) -> list[str]:
    """The fields of a text with their formats, sorted: a language may say them in another order."""
    return sorted(re.findall(r"{\w*[^{}]*}|%\(\w+\)\w", text))


@pytest.mark.parametrize(("domain", "language"), PAIRS)
def test_a_translation_has_the_fields_of_its_text(domain, language) -> None:
    """A language without plurals may follow either form of a plural."""
    differing = [
        text
        for message in catalogue.stored(domain, language)
        if message.id
        for text in forms(message.string)
        if fields(text) not in map(fields, forms(message.id))
    ]
    assert differing == []


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small program with catalogues of its own."""
    (tmp_path / "program.py").write_text(
        '_("one {a}")\nmark("two")\nplural("{n} dog", "{n} dogs", 3)\n', encoding="utf-8"
    )
    monkeypatch.setattr(catalogue, "SOURCE", tmp_path)
    monkeypatch.setattr(catalogue, "LOCALE_FOLDER", tmp_path / "locale")
    return tmp_path


def translate(path, english, korean) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f'msgid "{english}"\nmsgstr ""', f'msgid "{english}"\nmsgstr "{korean}"'), "utf-8")


def test_update_keeps_translations_and_follows_the_code(tree) -> None:
    catalogue.update("dotbogi", "ko")
    path = catalogue.po_path("dotbogi", "ko")
    translate(path, "two", "둘")
    (tree / "program.py").write_text('mark("two")\n_("three")\n', encoding="utf-8")
    catalogue.update("dotbogi", "ko")
    assert catalogue.texts(catalogue.stored("dotbogi", "ko")) == {"two": ("둘",)}
    assert "three" in path.read_text(encoding="utf-8") and "one" not in path.read_text(encoding="utf-8")
    before = path.read_bytes()
    catalogue.update("dotbogi", "ko")
    assert path.read_bytes() == before


def test_english_is_what_stands_in_the_code(tree) -> None:
    catalogue.update("dotbogi", "en")
    catalogue.compile_if_changed("dotbogi", "en")
    assert catalogue.compiled("dotbogi", "en") == {
        "one {a}": ("one {a}",),
        "two": ("two",),
        "{n} dog": ("{n} dog", "{n} dogs"),
    }
    assert catalogue.mistakes("dotbogi", "en") == []


def test_mistakes_are_named(tree) -> None:
    catalogue.update("dotbogi", "ko")
    translate(catalogue.po_path("dotbogi", "ko"), "one {a}", "하나 {b}")
    (tree / "more.py").write_text('_("new")\n', encoding="utf-8")
    assert catalogue.mistakes("dotbogi", "ko") == [
        "dotbogi ko: missing: 'new'",
        "dotbogi ko: untranslated: 'two'",
        "dotbogi ko: untranslated: '{n} dog'",
        "dotbogi ko: other fields: 'one {a}'",
    ]
    (tree / "program.py").write_text("", encoding="utf-8")
    assert "dotbogi ko: not in the code: 'two'" in catalogue.mistakes("dotbogi", "ko")


def test_what_is_not_translated_is_not_compiled(tree) -> None:
    catalogue.update("dotbogi", "ko")
    translate(catalogue.po_path("dotbogi", "ko"), "two", "둘")
    catalogue.compile_if_changed("dotbogi", "ko")
    assert catalogue.compiled("dotbogi", "ko") == {"two": ("둘",)}


def test_compile_leaves_a_file_that_is_right_alone(tree) -> None:
    catalogue.update("dotbogi", "en")
    catalogue.compile_if_changed("dotbogi", "en")
    path = catalogue.mo_path("dotbogi", "en")
    path.write_bytes(path.read_bytes() + b" ")
    catalogue.compile_if_changed("dotbogi", "en")
    assert path.read_bytes().endswith(b" ")
