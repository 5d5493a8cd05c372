"""What pydantic found wrong with a recipe, in our words and the reader's language."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dotbogi.errors import RecipeError
from dotbogi.language import _
from dotbogi.registry import unknown_key

_BRANCHES = ("int", "float", "str", "bool")  # a union's branch stands in a location as one more word


def recipe_error(error: ValidationError, keys_beside: Callable[[list[str]], Iterable[str]]) -> RecipeError:
    """Returns the first mistake as an error that names the key, the value and what is expected.

    Args:
        error: of pydantic.
        keys_beside: gives the keys that stand beside one, in its table.
    """
    mistake = error.errors(include_url=False)[0]
    path = [str(word) for word in mistake["loc"]]
    if mistake["type"] == "extra_forbidden":
        return unknown_key(".".join(path), keys_beside(path))
    key = _key(mistake)
    others = [other for other in error.errors(include_url=False) if _key(other) == key]
    expected = dict.fromkeys(_expected(one) for one in (mistake, *others))
    return RecipeError(
        _("{key} = {value} is not possible.").format(key=key, value=_toml_value(mistake["input"])),
        fix=_("What is expected: {expected}.").format(expected=_(" or ").join(expected)),
    )


def _key(mistake: ErrorDetails) -> str:
    words = (str(word) for word in mistake["loc"])
    return ".".join(word for word in words if word.isidentifier() and word not in _BRANCHES)


def _expected(mistake: ErrorDetails) -> str:
    context: Mapping[str, Any] = mistake.get("ctx", {})
    kind = mistake["type"]
    bounds = {
        "greater_than_equal": ("≥", "ge"),
        "greater_than": (">", "gt"),
        "less_than_equal": ("≤", "le"),
        "less_than": ("<", "lt"),
    }
    if kind in bounds:
        sign, name = bounds[kind]
        return _("a number {sign} {bound}").format(sign=sign, bound=context[name])
    if kind == "literal_error":
        return str(context["expected"]).replace(" or ", _(" or "))
    texts = {
        "int_type": _("an integer"),
        "int_from_float": _("an integer"),
        "float_type": _("a number"),
        "finite_number": _("a finite number"),
        "bool_type": _("true or false"),
        "string_type": _("text"),
        "list_type": _("a list"),
        "too_short": _("a list of more items"),
        "too_long": _("a list of fewer items"),
        "model_type": _("a table"),
        "dict_type": _("a table"),
    }
    return texts.get(kind, mistake["msg"])


def _toml_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
