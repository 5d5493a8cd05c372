import re
from html.parser import HTMLParser

import pytest
import torch
from torch import nn

from dotbogi.tape.record import record
from dotbogi.tape.render.html import to_html
from dotbogi.tape.tape import Tape

VOID = {"br"}


class Reader(HTMLParser):
    """Collects what is shown, and sees that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name in ("src", "href", "onclick") for name, _value in attrs)
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


class Odd(nn.Module):
    """Whose modules have names that would be markup."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("<b>&conv", nn.Conv2d(1, 2, 3))
        self.fc = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self._modules["<b>&conv"](images).flatten(1))


@pytest.fixture(scope="module")
def tape() -> Tape:
    torch.manual_seed(0)
    return record(Odd(), (torch.randn(1, 1, 4, 4), torch.tensor([1])), loss="cross-entropy", optimizer="sgd")


def test_a_notebook_shows_formula_window_sum_and_verdict(tape: Tape) -> None:
    shown = read(tape.explain("<b>&conv[0,1,1,1]")._repr_html_())
    assert "<b>&conv[0,1,1,1]" in shown.text and "b" not in shown.tags
    for words in ("window x", "kernel w", "products x · w", "total", "tolerance", "✓ agrees"):
        assert words in shown.text


def test_terms_open_in_place_with_their_own_terms_inside(tape: Tape) -> None:
    shown = read(to_html(tape.explain("fc[0,0]")))
    assert shown.tags.count("details") == shown.tags.count("summary") >= 6
    assert "<b>&conv[0," in shown.text and "a parameter" in shown.text


def test_what_is_written_in_html_adds_up(tape: Tape) -> None:
    html = to_html(tape.explain("logits[0,2]"))
    table = html.split("<table>")[1].split("</table>")[0]
    first = [re.sub(r"<[^>]+>", "", row.split("</td>")[0]) for row in table.split("<tr")[2:]]
    *terms, total = [cell.split(">")[-1] for cell in first]
    assert total.startswith("= ") and len(terms) == 9
    assert round(sum(map(float, terms)), 9) == float(total.removeprefix("= "))


@pytest.mark.parametrize("address", ["loss", "update fc.weight[0,0]", "gradient fc[0,1]", "input[0,0,1,1]"])
def test_every_kind_is_whole(tape: Tape, address: str) -> None:
    assert address in read(to_html(tape.explain(address))).text


def test_no_colour_is_fixed_but_those_seen_on_both_grounds(tape: Tape) -> None:
    colours = set(re.findall(r"#[0-9a-f]{6}", to_html(tape.explain("loss"))))

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]  # WCAG 2.2, relative luminance

    for colour in colours:
        on_white, on_black = 1.05 / (luminance(colour) + 0.05), (luminance(colour) + 0.05) / 0.05
        assert min(on_white, on_black) > 3.8, colour
