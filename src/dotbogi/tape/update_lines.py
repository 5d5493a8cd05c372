"""Lines that the formulas of several optimizers begin with."""

from __future__ import annotations

from dotbogi.tape.updates import UpdateStep

Line = tuple[str, str]


def gradient_lines(step: UpdateStep) -> tuple[Line, ...]:
    """Returns g ← −g where the loss is maximised, and g ← g + λ·w where the decay is added to the gradient."""
    turned = (("g", "-g"),) if step.options.get("maximize") else ()
    is_added = step.options.get("weight_decay") and not step.options.get("decoupled_weight_decay")
    return (*turned, *((("g", "rounded(g + product(factor(λ)*w))"),) if is_added else ()))


def decay_lines(step: UpdateStep) -> tuple[Line, ...]:
    """Returns w ← (1 − lr·λ)·w where there is a decay that shrinks the weights themselves."""
    return (("w", "rounded((1 - lr*λ)*w)"),) if step.options.get("weight_decay") else ()


def average_lines() -> tuple[Line, ...]:
    """Returns the decaying averages of the gradient, m, and of its square, v (Kingma & Ba 2015, arXiv:1412.6980)."""
    return (
        ("m", "rounded(β1*m + (1 - β1)*g)"),
        ("v", "rounded(rounded(β2*v) + (1 - β2)*g**2)"),
    )


def adam_constants(step: UpdateStep) -> dict[str, float]:
    """Returns lr, β₁, β₂, ε, λ and the number of the update."""
    beta1, beta2 = step.options["betas"]
    return {
        "lr": step.options["lr"],
        "β1": beta1,
        "β2": beta2,
        "ε": step.options["eps"],
        "λ": step.options["weight_decay"],
        "t": step.count,
    }
