"""Nesterov's accelerated gradient (Nesterov 1983; Sutskever et al. 2013, PMLR 28(3):1139–1147)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.explain.updates.momentum import velocity_rule
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import UpdateStep


@explains_update("torch.optim.sgd:SGD", when=lambda options: options["momentum"] != 0 and options["nesterov"])
def nag(step: UpdateStep) -> Rule | None:
    """As torch.optim.SGD with nesterov=True, whose parameter is the look-ahead point."""
    return velocity_rule(step, "rounded(w - product(factor(lr)*rounded(g + product(factor(μ)*v))))", latex_of("nag"))
