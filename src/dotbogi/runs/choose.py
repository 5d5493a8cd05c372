"""From what a person asked for to a recipe without gaps: what the model says suits it, then the defaults."""

from dotbogi.errors import RecipeError
from dotbogi.language import _
from dotbogi.models.build import find_model
from dotbogi.models.model import ModelEntry, Wants
from dotbogi.recipe import Recipe
from dotbogi.registry import MODELS
from dotbogi.runs.objects import Objects

BUNDLED = "sample"
ANY_MODEL = ModelEntry(
    title="", description="", factory="", wants=Wants(), recipe={"training": {"epochs": 5}}, hyperparameters=()
)


def chosen_recipe(requested: Recipe, objects: Objects) -> tuple[Recipe, ModelEntry]:
    """Fills a recipe up.

    Args:
        requested: what a person asked for.
        objects: what is taken from Python.

    Returns:
        The recipe with every key but those that are measured or depend on the images, and the model's entry.

    Raises:
        UnknownNameError: no such model.
        RecipeError: the data is not what the model is for.
    """
    if objects.model is not None and (requested.model.pretrained or requested.model.weights):
        raise RecipeError(
            _("model.pretrained and model.weights are for models that are chosen by name."),
            fix=_("Load the weights into the module yourself, and leave them out of the recipe."),
        )
    requested = _with_model_name(requested, objects)
    entry = ANY_MODEL if objects.model is not None else find_model(requested.model.name)
    suggestions = pretrained_recipe(entry) if requested.model.pretrained else entry.recipe
    recipe = requested.over(suggestions)
    if recipe.data.source == "auto" and objects.data is None:
        recipe = recipe.with_values({"data.source": entry.wants.data or BUNDLED})
    _refuse_other_data(recipe, entry, objects)
    return recipe.complete(), entry


def pretrained_recipe(entry: ModelEntry) -> dict[str, object]:
    """Returns what suits a model that starts from published weights: the entry's own recipe, at a tenth of the rate."""
    lr = entry.recipe.get("optimizer", {}).get("lr")
    return {**entry.recipe, "optimizer": {**entry.recipe["optimizer"], "lr": lr / 10}} if lr else entry.recipe


def _with_model_name(requested: Recipe, objects: Objects) -> Recipe:
    if requested.model.name != "auto":
        return requested
    return requested.with_values({"model.name": _automatic_model(requested.data.source, objects)})


def _automatic_model(source: str, objects: Objects) -> str:
    if objects.model is not None:
        return type(objects.model).__name__
    if objects.data is not None:
        return "small-cnn"
    if source in ("auto", BUNDLED):
        return "simple-cnn"
    made_for_it = [name for name in MODELS.names() if MODELS.load(name).wants.data == source]
    return made_for_it[0] if made_for_it else "small-cnn"


def _refuse_other_data(recipe: Recipe, entry: ModelEntry, objects: Objects) -> None:
    wanted = entry.wants.data
    if wanted and objects.data is None and recipe.data.source != wanted:
        raise RecipeError(
            _("{model} is for the data {wanted}, not for {data}.").format(
                model=recipe.model.name, wanted=wanted, data=recipe.data.source
            ),
            fix=_("Leave --data out, or choose a model for images, such as small-cnn."),
        )
