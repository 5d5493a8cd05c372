"""What can be chosen by name, as a table, as a page, and as a record for programs."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from dotbogi.cli.tables import table
from dotbogi.language import _

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from dotbogi.registry import Hyperparameter

# What an entry of any kind may say of itself; what else it holds is for building it.
FIELDS = (
    "title", "text", "description", "formula", "source", "pros", "cons", "uses", "implementation", "licence",
    "wants", "recipe", "has_published_weights",
)  # fmt: skip


def entry_record(kind: str, name: str, entry: Any) -> dict[str, Any]:
    """Returns what an entry says, for programs; texts in the language in force."""
    record = {"kind": kind, "id": name} | {
        field: _plain(getattr(entry, field)) for field in FIELDS if hasattr(entry, field)
    }
    if hasattr(entry, "hyperparameters"):
        record["hyperparameters"] = [_hyperparameter_record(each) for each in entry.hyperparameters]
    return record


def entries_table(kind: str, entries: Mapping[str, Any]) -> Table:
    """Returns one row per entry: id, name, idea."""
    result = table(_("id"), _("name"), _("what it is"))
    result.columns[0].no_wrap = True
    result.columns[1].max_width = 24
    for name, entry in entries.items():
        idea = getattr(entry, "text", "") or getattr(entry, "description", "")
        result.add_row(name, _plain(entry.title), _plain(idea))
    if kind == "models":
        result.caption = _("and timm/NAME, torchvision/NAME, path/to/file.py:factory")
    return result


def entry_page(name: str, entry: Any) -> list[RenderableType]:
    """Returns all there is to know of an entry, part by part."""
    from rich.padding import Padding

    parts: list[RenderableType] = [f"{name} · {_plain(entry.title)}"]
    for field, heading in _headings().items():
        text = _plain(getattr(entry, field, ""))
        if text:
            shown = _recipe_text(text) if isinstance(text, Mapping) else str(text)
            parts += ["", *([heading] if heading else []), Padding.indent(_literal(shown), 2)]
    hyperparameters = getattr(entry, "hyperparameters", ())
    if hyperparameters:
        parts += ["", _hyperparameters_table(hyperparameters)]
    return parts


def _headings() -> dict[str, str]:
    return {
        "text": "",
        "description": "",
        "pros": _("speaks for it"),
        "cons": _("speaks against it"),
        "uses": _("where it is used"),
        "formula": _("formula (LaTeX)"),
        "recipe": _("the recipe that suits it"),
        "implementation": _("implementation"),
        "licence": _("licence"),
        "source": _("source"),
    }


def _hyperparameters_table(hyperparameters: Sequence[Hyperparameter]) -> Table:
    result = table(_("hyperparameter"), _("default"), _("range"), _("what it does"))
    for column in result.columns[:2]:
        column.no_wrap = True
    for each in hyperparameters:
        default = "–" if each.default is None else str(each.default)
        result.add_row(each.name, default, each.range, _plain(each.text))
    return result


def _hyperparameter_record(each: Hyperparameter) -> dict[str, Any]:
    return {
        "name": each.name,
        "type": each.kind.__name__,
        "default": each.default,
        "low": each.low,
        "high": each.high,
        "range": each.range,
        "choices": list(each.choices),
        "text": _plain(each.text),
    }


def _plain(value: Any) -> Any:
    # The empty message is the catalogue's header.
    if isinstance(value, str):
        return _(value) if value else ""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value


def _recipe_text(recipe: Mapping[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(cast("dict[str, Any]", recipe)).strip()


def _literal(text: str) -> Any:
    from rich.text import Text

    return Text(textwrap.dedent(text))
