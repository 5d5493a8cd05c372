"""Windows on paper: what lies under a kernel, the kernel, the products; what lies under a pooling window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dotbogi.language import _, plural
from dotbogi.tape.arithmetic import Elements, Group, Numbers
from dotbogi.tape.render.numbers import Notation, notation_of_sum, plain_notation
from dotbogi.tape.render.page import Cell, Gap, Grid, Grids, Part, Rows, line, signed
from dotbogi.tape.render.sums import product_of, row, total_row

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation, Terms

WHOLE_GRIDS = 3  # channels whose grids are always shown: those of a colour image
LARGEST_SIDE = 11


@dataclass(frozen=True)
class Channel:
    """What one input channel adds to a convolution's output.

    Args:
        number: of the channel.
        symbols: of what lies under the kernel, and of the kernel.
        x, w, products: (kernel height, kernel width).
        inside: of the same shape, where the window lies on the image.
        rows, columns: of the image that the window lies on; empty where it lies outside.
        total: Σ products.
        x_name, w_name: addresses of its first pixel and its first weight.
    """

    number: int
    symbols: tuple[str, str]
    x: Numbers
    w: Numbers
    products: Numbers
    inside: NDArray[np.bool_]
    rows: Sequence[str]
    columns: Sequence[str]
    total: float
    x_name: str
    w_name: str


def has_windows(explanation: Explanation) -> bool:
    """Whether a sum is a convolution's over a window of more than one pixel."""
    operation, groups = explanation.operation, explanation.arithmetic.groups
    if operation is None or operation.packet not in ("convolution", "convolution_backward") or not groups:
        return False
    if explanation.value.output:  # of the weights' gradient the terms lie all over the images
        return False
    first = groups[0]
    if first.factors is None or len(first.factors.value.shape) != 4 or len(first.elements.value.shape) != 4:
        return False
    kernel = first.factors.value.shape[2:]
    return int(np.prod(kernel)) > 1 and max(kernel) <= LARGEST_SIDE and len(first.elements) > 1


def window_parts(explanation: Explanation, top: int) -> list[Part]:
    """Returns a convolution's grids per input channel, the channels' sums, the bias and the total.

    Args:
        explanation: see :func:`has_windows`.
        top: how many sums; of grids as many as have so many products, at least three.
    """
    channels = _channels(explanation)
    grids = max(WHOLE_GRIDS, top // channels[0].x.size)
    strongest = sorted(channels, key=lambda channel: -abs(channel.total))
    not_zero = [channel for channel in strongest if channel.total] or strongest[:1]
    shown = sorted(not_zero[:grids], key=lambda channel: channel.number)
    parts: list[Part] = []
    for channel in shown:
        parts += [*_channel_parts(channel), Gap()]
    return [*parts, _sums(explanation, strongest, min(top, len(not_zero)))]


def _channels(explanation: Explanation) -> list[Channel]:
    first, terms = explanation.arithmetic.groups[0], explanation.terms
    numbers = first.elements.index[:, 1]
    return [
        _channel(explanation, first, terms, int(number), np.flatnonzero(numbers == number))
        for number in np.unique(numbers)
    ]


def _channel(explanation: Explanation, group: Group, terms: Terms, number: int, positions: Any) -> Channel:
    assert group.factors is not None
    pixels, taps = group.elements.index[positions, 2:], group.factors.index[positions, 2:]
    x, w = terms.values[positions], terms.coefficients[positions]
    kernel = group.factors.value.shape[2:]
    inside = np.zeros(kernel, np.bool_)
    inside[taps[:, 0], taps[:, 1]] = True
    grids = [np.zeros(kernel) for _unused in range(3)]
    for grid, numbers in zip(grids, (x, w, x * w), strict=True):
        grid[taps[:, 0], taps[:, 1]] = numbers
    return Channel(
        number,
        (group.symbol, group.factor_symbol),
        *grids,
        inside=inside,
        rows=_labels(kernel[0], taps[:, 0], pixels[:, 0]),
        columns=_labels(kernel[1], taps[:, 1], pixels[:, 1]),
        total=float(np.sum(x * w)),
        x_name=_range(explanation, group.elements, positions),
        w_name=_range(explanation, group.factors, positions),
    )


def _labels(size: int, taps: Any, pixels: Any) -> list[str]:
    places = dict(zip(taps.tolist(), pixels.tolist(), strict=True))
    return [str(places.get(tap, "")) for tap in range(size)]


def _range(explanation: Explanation, elements: Elements, positions: Any) -> str:
    """Returns the addresses of the first and the last of some elements."""
    ends = sorted({tuple(elements.index[position].tolist()) for position in (positions.min(), positions.max())})
    tape = explanation.tape
    return " … ".join(tape.address(*tape.source(elements.value, end)) for end in ends)


def _channel_parts(channel: Channel) -> list[Part]:
    notation = notation_of_sum(channel.products[channel.inside].tolist(), channel.total)
    choices = tuple(_grids(channel, notation, digits) for digits in (5, 4, 3))
    x, w = channel.symbols
    return [
        line(Cell(_("channel {number}").format(number=channel.number), "strong")),
        line(Cell(f"  {x}  ", "muted"), channel.x_name, hanging=5),
        line(Cell(f"  {w}  ", "muted"), channel.w_name, hanging=5),
        Gap(),
        Grids(choices),
        line("  Σ ", Cell(f"{notation.sign} {notation(channel.total)}", "strong")),
    ]


def _grids(channel: Channel, notation: Notation, digits: int) -> tuple[Grid, ...]:
    x, w = (plain_notation(grid[channel.inside].tolist(), digits) for grid in (channel.x, channel.w))
    none: list[str] = []
    symbols = channel.symbols
    return (
        Grid(
            _("window {symbol}").format(symbol=symbols[0]),
            channel.rows,
            channel.columns,
            _cells(channel.x, x, channel.inside),
        ),
        Grid(_("kernel {symbol}").format(symbol=symbols[1]), none, none, _cells(channel.w, w, channel.inside)),
        Grid(
            _("products {symbols}").format(symbols=" · ".join(symbols)),
            none,
            none,
            _cells(channel.products, notation, channel.inside),
        ),
    )


def _cells(grid: Numbers, notation: Notation, inside: NDArray[np.bool_]) -> list[list[Cell | None]]:
    return [
        [_cell(number, notation) if is_there else None for number, is_there in zip(row, there, strict=True)]
        for row, there in zip(grid.tolist(), inside.tolist(), strict=True)
    ]


def _cell(number: float, notation: Notation) -> Cell:
    return signed(notation(number)) if number else Cell("0", "muted")


def _sums(explanation: Explanation, strongest: Sequence[Channel], top: int) -> Rows:
    """Returns a row per channel, the others as one, the bias, and the total."""
    first, terms = len(explanation.arithmetic.groups[0].elements), explanation.terms
    shown = sorted(strongest[:top], key=lambda channel: channel.number)
    others = strongest[top:]
    further = [terms[position] for position in range(first, len(terms))]
    numbers = [(channel.total, _("channel {number}").format(number=channel.number)) for channel in shown]
    if others:
        numbers.append((sum(channel.total for channel in others), _other_channels(others)))
    numbers += [(product_of(term), term.address) for term in further]
    notation = notation_of_sum([number for number, _words in numbers], explanation.result)
    rows = [row(notation(number), words, 2) for number, words in numbers]
    rows.append(total_row(notation, explanation.result, 2))
    return Rows([_("sum"), _("of")], rows, "rl", frozenset({len(rows) - 1}))


def _other_channels(others: Sequence[Channel]) -> str:
    text = plural("{count} more channel", "{count} more channels together", len(others))
    if not any(channel.products.any() for channel in others):
        text = plural("{count} more channel, which is 0", "{count} more channels, all 0", len(others))
    return text.format(count=len(others))


def is_pooling_window(explanation: Explanation) -> bool:
    """Whether a selection's candidates lie in a rectangle of an image."""
    groups = explanation.arithmetic.groups
    if len(groups) != 1 or len(groups[0].elements.value.shape) < 3 or not 1 < len(groups[0].elements) <= 64:
        return False
    index = groups[0].elements.index
    return bool((index[:, :-2] == index[0, :-2]).all()) and len(np.unique(index[:, -1])) <= LARGEST_SIDE


def pooling_parts(explanation: Explanation) -> list[Part]:
    """Returns a pooling window with its winner marked, and the winner's address.

    Args:
        explanation: see :func:`is_pooling_window`.
    """
    index = explanation.arithmetic.groups[0].elements.index[:, -2:]
    values, chosen = explanation.terms.values, explanation.arithmetic.chosen
    notation = plain_notation(values.tolist(), 6)
    rows, columns = np.unique(index[:, 0]), np.unique(index[:, 1])
    cells: list[list[Cell | None]] = [[None] * len(columns) for _unused in rows]
    for position, (at_row, at_column) in enumerate(index):
        text = notation(float(values[position]))
        cell = (
            Cell(f"▸{text}", "chosen")
            if position == chosen
            else (signed(text) if values[position] else Cell("0", "muted"))
        )
        cells[int(np.searchsorted(rows, at_row))][int(np.searchsorted(columns, at_column))] = cell
    grid = Grid(_("window"), [str(one) for one in rows], [str(one) for one in columns], cells)
    ends = _range(explanation, explanation.arithmetic.groups[0].elements, np.arange(len(index)))
    return [line(Cell("  x  ", "muted"), ends, hanging=5), Grids(((grid,),))]
