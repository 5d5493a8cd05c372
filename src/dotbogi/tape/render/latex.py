"""An explanation in LaTeX, as KaTeX and MathJax read it: the formula, and the formula with its numbers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from dotbogi.tape.arithmetic import COPY, FUNCTION, GIVEN, SELECTION, SUM_OF_PRODUCTS, UNEXPLAINED
from dotbogi.tape.render.numbers import Notation, column_notation, formula_with_numbers, notation_of_sum, shown
from dotbogi.tape.render.sums import product_of

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation

SHORT = 6
SPECIAL = {
    **{letter: f"\\{letter}" for letter in "#$%&_{}"},
    "\\": r"\textbackslash{}",
    "^": r"\char`^",
    "~": r"\char`~",
}
# Of formulas that are plain text: what KaTeX knows as commands. Whatever else is there stands as text.
SYMBOLS = {
    "Σ": r"\sum ", "·": r"\cdot ", "−": "-", "√": r"\surd ", "≈": r"\approx ", "≤": r"\le ", "≥": r"\ge ",
    "×": r"\times ", "∂": r"\partial ", "∞": r"\infty ", "…": r"\dots ", "ε": r"\varepsilon ", "≠": r"\ne ",
    "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "λ": r"\lambda ", "μ": r"\mu ", "σ": r"\sigma ", "η": r"\eta ",
    "φ": r"\varphi ", "Φ": r"\Phi ", "π": r"\pi ", "α": r"\alpha ", "ρ": r"\rho ", "Δ": r"\Delta ", "θ": r"\theta ",
    "τ": r"\tau ", "ψ": r"\psi ", "Π": r"\prod ", "Γ": r"\Gamma ", "½": r"\tfrac12 ", "⌊": r"\lfloor ",
    "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "→": r"\to ", "←": r"\leftarrow ", "∈": r"\in ", "‖": r"\Vert ",
    "′": "'", "–": "-", "ḡ": r"\bar{g}", "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_", "{": r"\{",
    "}": r"\}", "\\": r"\backslash ", "^": r"\hat{\ }", "~": r"\sim ",
}  # fmt: skip
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵗⁿᵀᵈ", "0123456789-tnTd", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊ₜ", "0123456789+t", strict=True))
ACCENTS = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "bar"}
PIECES = re.compile(
    r"(?P<power>\d[\d.]*e[+-]\d+)"
    r"|(?P<accent>.[\u0302-\u0305])"
    rf"|(?P<raised>[{''.join(RAISED)}]+)|(?P<lowered>[{''.join(LOWERED)}]+)"
    r"|(?P<exponent>\^(?:\w+|\([^()^{}]*\)))|(?P<index>(?<=[^\W\d_])_(?:[A-Za-z0-9]+|\{[^{}]*\}|\([^()]*\)))"
    r"|(?P<word>[A-Za-z][A-Za-z]+)|(?P<symbol>.)",
    re.DOTALL,
)


def to_latex(explanation: Explanation, top: int = 12) -> str:
    """Returns the formula, and below it the formula with its largest terms.

    Args:
        explanation: of a number.
        top: how many terms of a long sum.

    Returns:
        An ``aligned`` environment without dollar signs.
    """
    rows = [rf"\texttt{{{text(explanation.address)}}} &= {_number(explanation.recorded)}"]
    if explanation.kind in (GIVEN, UNEXPLAINED):
        rows.append(rf"&\quad \text{{{text(explanation.arithmetic.note)}}}")
    else:
        rows += [rf"&\quad {_formula(explanation)}", *_with_numbers(explanation, top)]
    inner = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{inner}\n\\end{{aligned}}"


def text(words: str) -> str:
    r"""Returns words as they stand inside ``\text`` and ``\texttt``."""
    return "".join(SPECIAL.get(letter, letter) for letter in words)


def _formula(explanation: Explanation) -> str:
    return explanation.arithmetic.latex or " \\\\\n&\\quad ".join(map(plain_formula, explanation.formula.split("\n")))


def plain_formula(formula: str) -> str:
    """Returns a line of a formula of plain text in LaTeX: words upright, symbols as commands."""
    return "".join(_piece(str(match.lastgroup), match[0]) for match in PIECES.finditer(formula))


def _piece(kind: str, part: str) -> str:
    match kind:
        case "power":
            return _power(part)
        case "accent":
            return rf"\{ACCENTS[part[1]]}{{{_symbol(part[0])}}}"
        case "raised":
            return f"^{{{''.join(RAISED[letter] for letter in part)}}}"
        case "lowered":
            return f"_{{{''.join(LOWERED[letter] for letter in part)}}}"
        case "exponent" | "index":
            return f"{part[0]}{{{plain_formula(part[1:].strip('()' if part[0] == '^' else '{}'))}}}"
        case "word":
            return rf"\mathrm{{{part}}}"
        case _:
            return _symbol(part)


def _symbol(letter: str) -> str:
    if letter in SYMBOLS:
        return SYMBOLS[letter]
    return letter if letter.isascii() else rf"\text{{{letter}}}"


def _with_numbers(explanation: Explanation, top: int) -> list[str]:
    if explanation.kind == SUM_OF_PRODUCTS:
        return _sum(explanation, top)
    if explanation.kind in (SELECTION, COPY):
        return [rf"&= {_number(explanation.result)}"]
    if explanation.kind == FUNCTION or explanation.arithmetic.numbers is not None:
        lines = formula_with_numbers(explanation, SHORT).split("\n")
        first = "&\\approx " if len(lines) == 1 else "&\\quad "
        numbers = [first + plain_formula(one) for one in lines]
        return [*numbers, rf"&\approx {_number(explanation.result, SHORT)}"]
    return [rf"&\approx {_number(explanation.result, SHORT)}"]


def _sum(explanation: Explanation, top: int) -> list[str]:
    terms = explanation.terms
    shown_terms = [terms[position] for position in sorted(terms.order()[:top])]
    products = [product_of(term) for term in shown_terms]
    rest = [explanation.result - math.fsum(products)] if len(shown_terms) < len(terms) else []
    notation = notation_of_sum([*products, *rest], explanation.result)
    values = column_notation(term.value for term in shown_terms)
    factors = column_notation(term.coefficient or 0.0 for term in shown_terms)
    written = [
        _written(values, term.value)
        if term.coefficient in (None, 1.0)
        else rf"{_written(values, term.value)} \cdot {_written(factors, term.coefficient)}"
        for term in shown_terms
    ]
    more = [rf"\underbrace{{{_written(notation, rest[0])}}}_{{{len(terms) - len(shown_terms)}\ \dots}}"] if rest else []
    sign = "=" if notation.exact else r"\approx"
    added = " + ".join([*(_written(notation, product) for product in products), *more])
    return [
        rf"&\approx {' + '.join([*written, *([chr(92) + 'dots'] if rest else [])]) or '0'}",
        rf"&\approx {added or '0'}",
        rf"&{sign} {_written(notation, explanation.result)}",
    ]


def _written(notation: Notation, number: float) -> str:
    return _brackets(_power(notation(number)))


def _number(number: float, digits: int = 9) -> str:
    return _power(shown(number, digits))


def _power(written: str) -> str:
    """Returns ``1.2e-05`` as a power of ten, and what is no number as text."""
    if not math.isfinite(float(written)):
        return {"inf": r"\infty", "-inf": r"-\infty"}.get(written, r"\text{NaN}")
    mantissa, _e, exponent = written.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def _brackets(written: str) -> str:
    return rf"({written})" if written.startswith("-") else written
