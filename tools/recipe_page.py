"""Writes docs/recipe.md and docs/recipe.ko.md: every key of a recipe, from the code that reads it.

    python tools/recipe_page.py          writes both pages
    python tools/recipe_page.py check    exit 1 if a page is not up to date

What a key means stands in the docstrings of ``recipe.py``, its default and range in the types; what the entries of
the registries take stands in their files. The Korean of the docstrings is in ``recipe_page_ko.toml``, by the English.
"""

import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from dotbogi.cli.options import RECIPE_OPTIONS
from dotbogi.language import _, set_language
from dotbogi.recipe import Augmentation, Data, Loss, Model, Optimizer, Part, Recipe, Schedule, Training
from dotbogi.registry import LOSSES, MODELS, OPTIMIZERS, SCHEDULES, Registry

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {"en": DOCS / "recipe.md", "ko": DOCS / "recipe.ko.md"}
KOREAN = Path(__file__).parent / "recipe_page_ko.toml"
PARTS: dict[str, tuple[type[Part], Registry | None]] = {
    "data": (Data, None),
    "data.augmentation": (Augmentation, None),
    "model": (Model, MODELS),
    "optimizer": (Optimizer, OPTIMIZERS),
    "schedule": (Schedule, SCHEDULES),
    "training": (Training, None),
    "training.loss": (Loss, LOSSES),
}
HEAD = (
    "# Every key of a recipe",
    "A recipe is a TOML file for `dotbogi train RECIPE.toml`, `--set KEY=VALUE` on the command line, or "
    "`dotbogi.Recipe(…)` in Python. A key that is not given has what suits the model, else the default below. "
    "`dotbogi show RUN --toml` prints every value that a training really had.",
    "This page is written by `tools/recipe_page.py`.",
)
CHOSEN_BY_NAME = "Further keys, by what is chosen as `name`:"
COLUMNS = ("key", "default", "possible", "option", "meaning")
FURTHER_COLUMNS = ("name", "key", "default", "possible", "meaning")

Translate = Callable[[str], str]


def meanings(part: type[Part]) -> dict[str, str]:
    """Returns what each key means, from the ``Args`` of the class's docstring."""
    lines = (inspect.getdoc(part) or "").partition("Args:\n")[2].splitlines()
    found: dict[str, str] = {}
    names: list[str] = []
    for line in lines:
        start = re.match(r"    (\w+(?:, \w+)*): (.*)", line)
        if start:
            names = start[1].split(", ")
            found |= dict.fromkeys(names, start[2])
        elif line.startswith("        "):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            break
    return {name: text.replace("``", "`").removesuffix(".") for name, text in found.items()}


def possible(schema: dict[str, Any], say: Translate) -> str:
    """Returns which values a key takes, from its JSON schema."""
    match schema:
        case {"anyOf": branches}:
            return say("{one} or {other}").format(
                one=", ".join(possible(branch, say) for branch in branches[:-1]), other=possible(branches[-1], say)
            )
        case {"enum": values}:
            return ", ".join(_code(value) for value in values)
        case {"const": value}:
            return _code(value)
        case {"type": "array", "items": items}:
            return say("a list of {items}").format(items=possible(items, say))
        case {"type": "integer" | "number" as kind}:
            return f"{say(kind)} {_range(schema)}"
        case _:
            return say(schema["type"])


def _range(schema: dict[str, Any]) -> str:
    low = f"[{schema['minimum']:g}" if "minimum" in schema else f"({schema['exclusiveMinimum']:g}"
    if "maximum" in schema:
        return f"{low}, {schema['maximum']:g}]"
    high = schema.get("exclusiveMaximum")
    return f"{low}, {'∞' if high is None else '2⁶³' if high == 2**63 else f'{high:g}'})"


def _code(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def part_rows(prefix: str, part: type[Part], say: Translate) -> Iterator[tuple[str, ...]]:
    """Yields a row per key of a table of the recipe; tables inside it have a section of their own."""
    schema, told = part.model_json_schema()["properties"], meanings(part)
    flags = {option.key: f"`{option.flag}`" for option in RECIPE_OPTIONS}
    for name, field in part.model_fields.items():
        if f"{prefix}.{name}" in PARTS:
            continue
        text = told.get(name, "which one")
        yield (
            f"`{name}`",
            _code(field.get_default()),
            possible(schema[name], say),
            flags.get(f"{prefix}.{name}", ""),
            say(text),
        )


def further_rows(registry: Registry) -> Iterator[tuple[str, ...]]:
    """Yields a row per hyperparameter of each entry."""
    for name in registry.names():
        for number, hyperparameter in enumerate(registry.load(name).hyperparameters):
            yield (
                "" if number else f"`{name}`",
                f"`{hyperparameter.name}`",
                _code(hyperparameter.default),
                hyperparameter.range.replace(" | ", ", ") or "–",
                _(hyperparameter.text),
            )


def table(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    """Returns a table in Markdown."""
    head, *lines = (f"| {' | '.join(row)} |" for row in [tuple(columns), *rows])
    return "\n".join([head, f"|{'-|' * (head.count('|') - 1)}", *lines])


def page(language: str) -> str:
    """Returns the page in a language.

    Raises:
        KeyError: an English text that has no Korean in ``recipe_page_ko.toml``.
    """
    set_language(language)
    korean = tomllib.loads(KOREAN.read_text(encoding="utf-8"))
    say: Translate = korean.__getitem__ if language == "ko" else str
    sections = [say(text) for text in HEAD]
    for prefix, (part, registry) in PARTS.items():
        rows = part_rows(prefix, part, say)
        sections += [f"## `[{prefix}]`", say(_first_line(part)), table(map(say, COLUMNS), rows)]
        further = list(further_rows(registry)) if registry else []
        if further:
            sections += [say(CHOSEN_BY_NAME), table(map(say, FURTHER_COLUMNS), further)]
    set_language("en")
    return "\n\n".join(sections) + "\n"


def _first_line(part: type[Part]) -> str:
    return " ".join((inspect.getdoc(part) or "").partition("\n\n")[0].split()).replace("``", "`")


def main(words: list[str]) -> int:
    """Writes the pages, or compares them; returns the exit code."""
    assert {*PARTS} >= {name for name in Recipe.model_fields if name != "schema_version"}
    pages = {path: page(language) for language, path in PAGES.items()}
    if words == ["check"]:
        return int(any(path.read_text(encoding="utf-8") != text for path, text in pages.items()))
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
