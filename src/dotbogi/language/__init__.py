"""What a person reads, in Korean or English, through gettext.

Messages are written in English in the code and looked up in ``locale/``. The
domain ``dotbogi`` holds our own messages, the domain ``click`` those of the
command line's library, which asks the standard library's global domain.
"""

import gettext
import locale
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

LANGUAGES = ("en", "ko")
LOCALE_FOLDER = Path(__file__).parent / "locale"

_translations: gettext.NullTranslations = gettext.NullTranslations()
_current = "en"


def _(message: str) -> str:
    """Returns the message in the language in force."""
    return _translations.gettext(message)


def plural(one: str, many: str, count: int) -> str:
    """Returns the form of the message that fits the count, in the language in force."""
    return _translations.ngettext(one, many, count)


def mark(message: str) -> str:
    """Marks a message for translation and returns it as it is; ``_`` translates it where it is shown."""
    return message


def current_language() -> str:
    """Returns the language in force, ``"en"`` or ``"ko"``."""
    return _current


def set_language(language: str) -> None:
    """Puts a language in force for our own messages and for the command line's library.

    Args:
        language: one of ``LANGUAGES``.
    """
    global _translations, _current
    _current = language
    _translations = gettext.translation("dotbogi", LOCALE_FOLDER, [language], fallback=True)
    os.environ["LANGUAGE"] = language
    gettext.bindtextdomain("click", str(LOCALE_FOLDER))
    gettext.textdomain("click")


def detect_language(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Finds the language that a person wants, before any command is loaded.

    Args:
        arguments: the command line's words; ``--lang ko`` and ``--lang=ko`` are understood.
        environment: ``DOTBOGI_LANG``, then the locale's variables; an empty value counts as unset.

    Returns:
        One of ``LANGUAGES``; English where nothing says otherwise.
    """
    for position, word in enumerate(arguments):
        if word == "--":
            break
        if word == "--lang" and position + 1 < len(arguments):
            return _supported(arguments[position + 1])
        if word.startswith("--lang="):
            return _supported(word.removeprefix("--lang="))
    for variable in ("DOTBOGI_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(variable):
            return _supported(environment[variable])
    return _supported(_system_language())


def _supported(language: str) -> str:
    code = language.lower().replace("-", "_").split("_")[0].split(".")[0]
    return "ko" if code in ("ko", "korean") else "en"


def _system_language() -> str:
    # Windows sets none of the variables; its locale is named "Korean_Korea".
    try:
        return locale.getlocale()[0] or "en"
    except ValueError:
        return "en"
