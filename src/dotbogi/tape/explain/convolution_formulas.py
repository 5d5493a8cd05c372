"""A convolution and its gradients in symbols, for one, two and three spatial axes."""

from __future__ import annotations

_PLACES = ("i", "j", "k")
_KERNEL = ("u", "v", "t")


def convolution_formula(axes: int, has_bias: bool, transposed: bool, is_batched: bool = True) -> str:
    """Returns ``y = Σ x · w + bias`` with its indices."""
    place = ",".join(_PLACES[:axes])
    kernel = ("c,o," if transposed else "o,c,") + ",".join(_KERNEL[:axes])
    sample = "b," if is_batched else ""
    met = ",".join(_pixels(axes, transposed, fraction="({})/s"))
    return f"y[{sample}o,{place}] = Σ x[{sample}c,{met}] · w[{kernel}]" + (" + bias[o]" if has_bias else "")


def convolution_latex(axes: int, has_bias: bool, transposed: bool, is_batched: bool = True) -> str:
    """Returns the same in LaTeX."""
    place, taps = ",".join(_PLACES[:axes]), ",".join(_KERNEL[:axes])
    kernel = ("c,o," if transposed else "o,c,") + taps
    sample = "b," if is_batched else ""
    met = r",\,".join(_pixels(axes, transposed, fraction=r"\frac{{{}}}{{s}}")).replace("·", "").replace("−", "-")
    bias = r" + \mathrm{bias}_o" if has_bias else ""
    return rf"y_{{{sample}o,{place}}} = \sum_{{c,{taps}}} x_{{{sample}c,\,{met}}}\; w_{{{kernel}}}{bias}"


def input_gradient_formula(axes: int, transposed: bool) -> str:
    """Returns the loss's gradient with respect to the input: the other convolution of δ, the output's gradient."""
    place, kernel = ",".join(_PLACES[:axes]), ",".join(_KERNEL[:axes])
    met = ",".join(_pixels(axes, not transposed, fraction="({})/s"))
    return f"∂L/∂x[b,c,{place}] = Σ δ[b,o,{met}] · w[{'c,o' if transposed else 'o,c'},{kernel}]"


def weight_gradient_formula(axes: int, transposed: bool) -> str:
    """Returns the loss's gradient with respect to the kernel."""
    place, kernel = ",".join(_PLACES[:axes]), ",".join(_KERNEL[:axes])
    met = ",".join(_pixels(axes, False))
    if transposed:
        return f"∂L/∂w[c,o,{kernel}] = Σ δ[b,o,{met}] · x[b,c,{place}]"
    return f"∂L/∂w[o,c,{kernel}] = Σ δ[b,o,{place}] · x[b,c,{met}]"


def bias_gradient_formula(axes: int) -> str:
    """Returns the loss's gradient with respect to the bias."""
    return f"∂L/∂bias[o] = Σ δ[b,o,{','.join(_PLACES[:axes])}]"


def _pixels(axes: int, transposed: bool, fraction: str = "{}") -> list[str]:
    pairs = zip(_PLACES[:axes], _KERNEL[:axes], strict=True)
    if transposed:
        return [fraction.format(f"{place}+p−{tap}·d") for place, tap in pairs]
    return [f"{place}·s+{tap}·d−p" for place, tap in pairs]
