"""The formulas by which optimizers update a weight and their state, one optimizer per file.

A file is named as the optimizer's id and holds a function, marked with the class whose step it explains::

    @explains_update("torch.optim.adagrad:Adagrad")
    def adagrad(step: UpdateStep) -> Rule | None: ...

It returns ``None`` where the class is told to do something that the formula does not cover; the last operation that
wrote the weight is then the explanation. Every file of this folder is found by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from dotbogi.registry import OPTIMIZERS
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import UpdateStep

Updater = Callable[[UpdateStep], Rule | None]
Condition = Callable[[Mapping[str, Any]], bool]
_UPDATERS: dict[str, list[tuple[Condition, Updater]]] = {}


def _always(_options: Mapping[str, Any]) -> bool:
    return True


def explains_update(*classes: str, when: Condition = _always) -> Callable[[Updater], Updater]:
    """Marks a function as the explanation of an optimizer's step.

    Args:
        classes: such as ``torch.optim.sgd:SGD``; a class derived from it is another one.
        when: of a parameter group's options, whether they make the class this optimizer.
    """

    def mark(function: Updater) -> Updater:
        for name in classes:
            _UPDATERS.setdefault(name, []).append((when, function))
        return function

    return mark


@cache
def _load() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def rule_of(implementation: str, step: UpdateStep) -> Rule | None:
    """Returns the formula of an optimizer's class, or ``None`` for one that is not known.

    Args:
        implementation: the class, as ``module:name``.
        step: which number of which parameter.
    """
    _load()
    for when, updater in _UPDATERS.get(implementation, []):
        if when(step.options):
            return updater(step)
    return None


def latex_of(optimizer: str) -> str:
    """Returns the formula in LaTeX that an optimizer's own file has."""
    return OPTIMIZERS.load(optimizer).formula
