"""RMSprop (Tieleman & Hinton 2012, Coursera lecture 6.5; centred: Graves 2013, arXiv:1308.0850)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import Line, gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep


@explains_update("torch.optim.rmsprop:RMSprop")
def rmsprop(step: UpdateStep) -> Rule | None:
    """As torch.optim.RMSprop, centred and with momentum where it is told so."""
    options = step.options
    states = {"E": "square_avg"}
    states |= {"ḡ": "grad_avg"} if options["centered"] else {}
    states |= {"b": "momentum_buffer"} if options["momentum"] > 0 else {}
    return Rule(
        lines=(*gradient_lines(step), *_lines(centered=options["centered"], momentum=options["momentum"] > 0)),
        reads={"w": step.weight, "g": step.gradient, **step.states(**states)},
        constants={
            "lr": options["lr"],
            "α": options["alpha"],
            "ε": options["eps"],
            "λ": options["weight_decay"],
            "μ": options["momentum"],
        },
        results={WEIGHT: "w", **{key: name for name, key in states.items()}},
        latex=latex_of("rmsprop"),
    )


def _lines(*, centered: bool, momentum: bool) -> tuple[Line, ...]:
    squares: tuple[Line, ...] = (("E", "rounded(rounded(α*E) + (1 - α)*g**2)"),)
    if centered:
        squares += (("ḡ", "rounded(α*ḡ + (1 - α)*g)"), ("s", "rounded(E - ḡ**2)"))
    root = f"rounded(rounded(sqrt({'s' if centered else 'E'})) + factor(ε))"
    if momentum:
        return (*squares, ("b", f"rounded(rounded(μ*b) + g/{root})"), ("w", "rounded(w - product(factor(lr)*b))"))
    return (*squares, ("w", f"rounded(w - lr*g/{root})"))
