import gettext
import os

import pytest

from dotbogi import language
from dotbogi.language import _, current_language, detect_language, plural, set_language


@pytest.fixture(autouse=True)
def _english_afterwards(monkeypatch):
    monkeypatch.setenv("LANGUAGE", os.environ.get("LANGUAGE", ""))
    yield
    set_language("en")


@pytest.mark.parametrize(
    ("words", "environment", "found"),
    [
        ([], {"DOTBOGI_LANG": "ko"}, "ko"),
        ([], {"DOTBOGI_LANG": "", "LANG": "ko_KR.UTF-8"}, "ko"),
        ([], {"DOTBOGI_LANG": "en", "LANG": "ko_KR.UTF-8"}, "en"),
        ([], {"LC_ALL": "C.UTF-8", "LANG": "ko_KR.UTF-8"}, "en"),
        ([], {"LC_ALL": "", "LC_MESSAGES": "ko_KR", "LANG": "en_US"}, "ko"),
        ([], {"LANG": "de_DE.UTF-8"}, "en"),
        (["train", "--lang", "ko"], {"DOTBOGI_LANG": "en"}, "ko"),
        (["--lang=ko", "train"], {}, "ko"),
        (["train", "--lang", "en"], {"LANG": "ko_KR.UTF-8"}, "en"),
        (["predict", "last", "--", "--lang", "ko"], {"LANG": "en_US"}, "en"),
        (["train", "--lang"], {"LANG": "ko_KR"}, "ko"),
    ],
)
def test_the_language_is_found_before_any_command_is_loaded(words, environment, found) -> None:
    assert detect_language(words, environment) == found


@pytest.mark.parametrize(("system", "found"), [("Korean_Korea", "ko"), ("ko_KR", "ko"), (None, "en"), ("en_US", "en")])
def test_without_variables_the_systems_locale_decides(monkeypatch, system, found) -> None:
    monkeypatch.setattr(language.locale, "getlocale", lambda: (system, "cp949"))
    assert detect_language([], {}) == found


def test_a_locale_that_python_does_not_know_is_english(monkeypatch) -> None:
    def unknown() -> tuple[str, str]:
        raise ValueError("unknown locale: UTF-8")

    monkeypatch.setattr(language.locale, "getlocale", unknown)
    assert detect_language([], {}) == "en"


def test_messages_are_in_the_language_in_force() -> None:
    set_language("ko")
    assert current_language() == "ko"
    assert _("learning rate: the size of a step") != ""
    assert _("Stopped.") == "멈췄습니다."
    set_language("en")
    assert _("Stopped.") == "Stopped."


@pytest.mark.parametrize(
    ("code", "count", "text"),
    [
        ("en", 1, "1 file is no whole image."),
        ("en", 2, "2 files are no whole images."),
        ("ko", 1, "파일 1개는 온전한 이미지가 아닙니다."),
        ("ko", 2, "파일 2개는 온전한 이미지가 아닙니다."),
    ],
)
def test_a_plural_follows_the_languages_rule(code, count, text) -> None:
    set_language(code)
    form = plural("{count} file is no whole image.", "{count} files are no whole images.", count)
    assert form.format(count=count) == text


def test_the_command_lines_library_speaks_it_too() -> None:
    set_language("ko")
    assert gettext.gettext("Usage:") == "사용법:"
    set_language("en")
    assert gettext.gettext("Usage:") == "Usage:"
