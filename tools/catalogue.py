"""Keeps the catalogues of what people read in step with the code.

    python tools/catalogue.py update    the texts in the code → the .po files; translations are kept
    python tools/catalogue.py compile   the .po files → the .mo files that a program reads
    python tools/catalogue.py check     lists what is missing, untranslated or out of step; exit 1 if anything is

The domain ``dotbogi`` is extracted from ``src``, the domain ``click`` from the installed click.
"""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

from dotbogi.language import LANGUAGES, LOCALE_FOLDER

SOURCE = Path(__file__).parent.parent / "src" / "dotbogi"
DOMAINS = ("dotbogi", "click")
KEYWORDS = {"_": None, "mark": None, "plural": (1, 2), "ngettext": (1, 2)}
LINE_WIDTH = 120


def extracted(domain: str) -> Catalog:
    """Returns the messages that stand in the code, sorted, without their places: those change with every edit."""
    catalogue = Catalog(domain=domain, fuzzy=False)
    for _file, _line, message, _comments, _context in extract_from_dir(_folder(domain), keywords=KEYWORDS):
        catalogue.add(message)
    return catalogue


def _folder(domain: str) -> Path:
    if domain == "dotbogi":
        return SOURCE
    spec = find_spec(domain)
    assert spec and spec.origin
    return Path(spec.origin).parent


def stored(domain: str, language: str) -> Catalog:
    """Returns the catalogue of the .po file, or an empty one."""
    path = po_path(domain, language)
    if not path.exists():
        return Catalog(locale=language, domain=domain, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=domain)


def po_path(domain: str, language: str) -> Path:
    """Returns where a catalogue's text lies."""
    return LOCALE_FOLDER / language / "LC_MESSAGES" / f"{domain}.po"


def updated(domain: str, language: str) -> Catalog:
    """Returns the messages that stand in the code, with the translations that the .po file has."""
    before, catalogue = stored(domain, language), Catalog(locale=language, domain=domain, fuzzy=False)
    for message in _messages(extracted(domain)):
        known = before.get(message.id)
        # English is what stands in the code.
        catalogue.add(message.id, message.id if language == "en" else known.string if known else "")
    return catalogue


def _messages(catalogue: Catalog) -> Iterator[Message]:
    return (message for message in catalogue if message.id)


def po_text(catalogue: Catalog) -> bytes:
    """Returns a catalogue as a .po file, without dates: the same messages are the same bytes."""
    buffer = io.BytesIO()
    head = f'# {catalogue.domain}: {catalogue.locale}\nmsgid ""\nmsgstr ""\n'
    head += '"Content-Type: text/plain; charset=utf-8\\n"\n'
    head += f'"Language: {catalogue.locale}\\n"\n'
    head += f'"Plural-Forms: {catalogue.plural_forms}\\n"\n\n'
    write_po(buffer, catalogue, width=LINE_WIDTH, omit_header=True, sort_output=True, no_location=True)
    return head.encode() + buffer.getvalue()


def mo_path(domain: str, language: str) -> Path:
    """Returns where the compiled catalogue lies."""
    return po_path(domain, language).with_suffix(".mo")


def texts(catalogue: Catalog) -> dict[str, tuple[str, ...]]:
    """Returns every message's translation, one per plural form, by its (singular) English text."""
    every = {_forms(message.id)[0]: _forms(message.string) for message in _messages(catalogue)}
    return {english: translated for english, translated in every.items() if any(translated)}


def compiled(domain: str, language: str) -> dict[str, tuple[str, ...]]:
    """Returns what the .mo file holds, as :func:`texts` does."""
    path = mo_path(domain, language)
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return texts(read_mo(file))


def mistakes(domain: str, language: str) -> list[str]:
    """Returns a line for each message that is missing, left over, untranslated, or has fields that English lacks."""
    there = {_forms(message.id): _forms(message.string) for message in _messages(stored(domain, language))}
    wanted = {_forms(message.id) for message in _messages(extracted(domain))}
    kinds = {
        "missing": wanted - there.keys(),
        "not in the code": there.keys() - wanted,
        "untranslated": {english for english, translated in there.items() if not all(translated)},
        "other fields": {
            english
            for english, translated in there.items()
            if any(_fields(text) - _fields(" ".join(english)) for text in translated)
        },
    }
    return [
        f"{domain} {language}: {kind}: {english[0]!r}" for kind, found in kinds.items() for english in sorted(found)
    ]


def _forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return (text or "",) if isinstance(text, str | None) else tuple(text)


def _fields(text: str) -> set[str]:
    return set(re.findall(r"{(\w*)[^{}]*}|%\((\w+)\)", text))


def update(domain: str, language: str) -> None:
    """Writes the .po file anew."""
    path = po_path(domain, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(po_text(updated(domain, language)))


def compile_if_changed(domain: str, language: str) -> None:
    """Writes the .mo file, unless it holds the same texts already: it has a date in it."""
    catalogue = stored(domain, language)
    if texts(catalogue) != compiled(domain, language):
        # Babel compiles a plural without a translation as its English text.
        for message in list(_messages(catalogue)):
            if not any(_forms(message.string)):
                catalogue.delete(message.id)
        with mo_path(domain, language).open("wb") as file:
            write_mo(file, catalogue)


def main(command: str) -> int:
    """Carries out ``update``, ``compile`` or ``check`` for every domain and language; returns the exit code."""
    pairs = [(domain, language) for domain in DOMAINS for language in LANGUAGES]
    if command == "check":
        found = [line for pair in pairs for line in mistakes(*pair)]
        print("\n".join(found) or "all catalogues are complete")
        return 1 if found else 0
    for pair in pairs:
        {"update": update, "compile": compile_if_changed}[command](*pair)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
