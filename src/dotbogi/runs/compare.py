"""What differs between runs, beside what they reached."""

from typing import Any

from dotbogi.runs.run import Run


def compare(runs: list[Run]) -> list[dict[str, Any]]:
    """Returns one row per run: ``run``, ``name``, ``recipe`` (only what differs, dotted keys), ``metrics``."""
    flat = [flattened(run.recipe.to_dict()) for run in runs]
    keys = list(dict.fromkeys(key for recipe in flat for key in recipe))
    differing = [key for key in keys if any(recipe.get(key) != flat[0].get(key) for recipe in flat)]
    return [
        {
            "run": run.id,
            "name": run.name,
            "recipe": {key: recipe.get(key) for key in differing},
            "metrics": run.metrics,
        }
        for run, recipe in zip(runs, flat, strict=True)
    ]


def flattened(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a nested table with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
