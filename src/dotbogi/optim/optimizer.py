"""What an optimizer's file says, and how an optimizer is built from a recipe.

Nothing here imports torch until an optimizer is built, so that names, ranges and
formulas can be listed without it.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from dotbogi.errors import ModelError, RecipeError
from dotbogi.language import _
from dotbogi.optim.eager import construct
from dotbogi.registry import OPTIMIZERS, Hyperparameter, check_hyperparameters

if TYPE_CHECKING:
    import torch
    from torch import nn

    from dotbogi import recipe as recipes

FUSED, FOREACH, SINGLE_TENSOR = "fused", "foreach", "single-tensor"
# Elsewhere torch runs a foreach operation tensor by tensor, or not at all.
FOREACH_DEVICES = ("cpu", "cuda", "xpu")


@dataclass(frozen=True)
class OptimizerEntry:
    r"""An optimizer that can be chosen by name.

    Args:
        title: the name in full, marked for translation.
        text: the idea in one sentence, marked for translation.
        implementation: the class, as ``"torch.optim:Adam"``.
        hyperparameters: what a recipe can set; the first is ``lr``.
        formula: the update in LaTeX, as the class carries it out. w: weights; L: loss; t: number of the update, from
            1; lr: learning rate; λ: weight decay; products, squares, roots and divisions are taken element by element.
        source: the paper.
        pros, cons, uses: what speaks for it, what against it, where it is used; marked for translation.
        arguments: constructor argument → the hyperparameter, or the tuple of hyperparameters, that it is given;
            a hyperparameter that is not mentioned is given under its own name.
        constants: further constructor arguments.
        fused_devices: types of device that the class has a fused form for.
        foreach: whether the class has a form that updates all tensors in one call.
    """

    title: str
    text: str
    implementation: str
    hyperparameters: tuple[Hyperparameter, ...]
    formula: str
    source: str
    pros: str
    cons: str
    uses: str
    arguments: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict[str, str | tuple[str, ...]])
    constants: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fused_devices: tuple[str, ...] = ()
    foreach: bool = True

    def forms(self, device_type: str) -> tuple[str, ...]:
        """Returns the forms that exist on a type of device such as ``"cpu"``, the fastest first."""
        fused = (FUSED,) if device_type in self.fused_devices else ()
        foreach = (FOREACH,) if self.foreach and device_type in FOREACH_DEVICES else ()
        return (*fused, *foreach, SINGLE_TENSOR)

    def constructor_arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what the class is constructed with, parameters and form aside.

        Args:
            values: every hyperparameter of the entry, by name.
        """
        taken: set[str] = set()
        arguments = dict(self.constants)
        for argument, names in self.arguments.items():
            together = isinstance(names, tuple)
            arguments[argument] = tuple(values[name] for name in names) if together else values[names]
            taken.update(names if together else (names,))
        return arguments | {name: value for name, value in values.items() if name not in taken}


def resolved_form(recipe: recipes.Optimizer, device: torch.device, *, deterministic: bool = False) -> str:
    """Returns the form that an optimizer takes on a device: ``fused``, ``foreach`` or ``single-tensor``.

    Args:
        recipe: its ``form`` wins; ``auto`` is the fastest that exists.
        device: where the parameters are.
        deterministic: makes ``auto`` the form that is recorded operation by operation, ``single-tensor``.

    Raises:
        RecipeError: the form does not exist for this optimizer on this device.
    """
    forms = OPTIMIZERS.load(recipe.name).forms(device.type)
    if recipe.form == "auto":
        return SINGLE_TENSOR if deterministic else forms[0]
    if recipe.form not in forms:
        raise RecipeError(
            _("{name} has no form {form} on {device}.").format(name=recipe.name, form=recipe.form, device=device.type),
            fix=_("Possible: {names}.").format(names=", ".join(["auto", *forms])),
        )
    return recipe.form


def build_optimizer(recipe: recipes.Optimizer, model: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """Builds the optimizer that a recipe describes.

    Every parameter group has the key ``initial_lr``, which the schedule's factor is taken of.

    Args:
        recipe: name, form and hyperparameters.
        model: its parameters that require a gradient are updated.
        device: where the parameters are.

    Raises:
        ModelError: the model has no such parameter.
        RecipeError: a hyperparameter out of its range, or a form that does not exist.
    """
    entry: OptimizerEntry = OPTIMIZERS.load(recipe.name)
    values = check_hyperparameters(entry.hyperparameters, recipe.hyperparameters, "optimizer")
    optimizer_class = _load_class(entry.implementation)
    form = _form_arguments(optimizer_class, resolved_form(recipe, device))
    groups = _parameter_groups(model, decay_one_dimensional=recipe.decay_one_dimensional)
    optimizer = construct(optimizer_class, groups, **entry.constructor_arguments(values), **form)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def _load_class(implementation: str) -> type[torch.optim.Optimizer]:
    module, name = implementation.split(":")
    return getattr(importlib.import_module(module), name)


def _form_arguments(optimizer_class: Callable[..., Any], form: str) -> dict[str, bool]:
    # Without a word, torch itself chooses by device: say both, where the class (of this version) has them.
    switches = {"fused": form == FUSED, "foreach": form == FOREACH}
    known = inspect.signature(optimizer_class).parameters
    return {name: value for name, value in switches.items() if name in known}


def _parameter_groups(model: nn.Module, *, decay_one_dimensional: bool) -> list[dict[str, Any]]:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ModelError(
            _("The model has no parameter that requires a gradient."),
            fix=_("Give a model with weights, and leave requires_grad of those that shall be trained."),
        )
    if decay_one_dimensional:
        return [{"params": parameters}]
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def state_floats_per_parameter(optimizer: torch.optim.Optimizer) -> float:
    """Returns how many numbers an optimizer keeps for one of its weights, measured on what it holds.

    Counters of steps, one number per tensor, are left out. Before the first step
    most optimizers hold nothing.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    kept = sum(_state_numbers(parameter, optimizer.state.get(parameter, {})) for parameter in parameters)
    return kept / sum(parameter.numel() for parameter in parameters)


def _state_numbers(parameter: torch.Tensor, state: Mapping[str, Any]) -> int:
    tensors = [value for name, value in state.items() if hasattr(value, "numel") and name not in ("step", "mu_product")]
    return sum(tensor.numel() for tensor in tensors if tensor.dim() > 0 or parameter.dim() == 0)


@dataclass(frozen=True)
class MuonSplit:
    """How many weights each of Muon's two rules updates.

    Args:
        muon: weights whose update is orthogonalised.
        adamw: weights whose tensor's shape does not suit that, updated as by AdamW.
    """

    muon: int
    adamw: int

    @property
    def share(self) -> float:
        """The fraction of the weights that Muon's own rule updates, 0…1."""
        return self.muon / (self.muon + self.adamw)


def muon_split(optimizer: torch.optim.Optimizer) -> MuonSplit:
    """Counts what Muon's own rule updates and what falls back to AdamW.

    The class decides by shape, at its first step. It is asked by letting it take one over
    parameters of the same shapes that hold no numbers.

    Args:
        optimizer: built from the recipe name ``muon``; left as it is.
    """
    import torch

    muon = cast("Callable[..., torch.optim.Optimizer]", type(optimizer))
    counts = {True: 0, False: 0}
    for group in optimizer.param_groups:
        shapes = [torch.nn.Parameter(torch.empty(parameter.shape, device="meta")) for parameter in group["params"]]
        for shape in shapes:
            shape.grad = torch.empty_like(shape)
        shadow = muon([{**group, "params": shapes}])
        shadow.step()
        for shape in shapes:
            counts[shadow.state[shape]["use_muon"]] += shape.numel()
    return MuonSplit(muon=counts[True], adamw=counts[False])
