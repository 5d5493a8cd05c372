"""What is printed is read back and added up, with arithmetic of its own."""

import re
from decimal import Decimal

import pytest
import torch
from rich.cells import cell_len
from torch import nn
from torch.nn import functional as F

from dotbogi.language import set_language
from dotbogi.tape.arithmetic import unexplained
from dotbogi.tape.explanation import Explanation
from dotbogi.tape.record import record
from dotbogi.tape.render.text import TERMINAL_STYLES, to_lines, to_text
from dotbogi.tape.tape import Tape

NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 2, (1, 5), stride=2, padding=(0, 2))
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.pool(F.relu(self.conv1(images)))  # (B, 4, 4, 4)
        return self.fc(torch.flatten(self.conv2(x), 1))  # (B, 10)


@pytest.fixture(scope="module")
def tape() -> Tape:
    torch.manual_seed(1)
    images = torch.randn(2, 3, 8, 8)
    return record(Net(), (images, torch.tensor([3, 4])), loss="cross-entropy", optimizer="adam")


def totals(text: str) -> list[tuple[list[Decimal], str, Decimal]]:
    """Returns the rows above each rule that a total follows, its sign, and the total."""
    found, rows = [], []
    for line in text.splitlines():
        total = re.match(rf"^ *([=≈]) ({NUMBER})(?:  |$)", line)
        row = re.match(rf"^ +({NUMBER})(?:  |$)", line)
        if total:
            found.append((rows, total[1], Decimal(total[2])))
            rows = []
        elif row:
            rows.append(Decimal(row[1]))
        elif "─" not in line and not line.strip().startswith("· "):  # the second of two addresses
            rows = []
    return found


def channel_sums(text: str, width: int) -> list[tuple[list[Decimal], str, Decimal]]:
    """Returns what stands in each grid of products, which lies at the right, the sign behind Σ, and the sum."""
    found, cells = [], []
    for line in text.splitlines():
        total = re.match(rf"^  Σ ([=≈]) ({NUMBER})$", line)
        if total:
            found.append((cells, total[1], Decimal(total[2])))
            cells = []
        if "products" in line:
            cells = []
        elif not total:
            cells += [Decimal(cell) for cell in line.split()[-width:] if re.fullmatch(NUMBER, cell) and "." in line]
    return found


def test_the_window_the_kernel_and_the_products_of_a_convolution_add_up(tape: Tape) -> None:
    for index in ((0, 0, 4, 4), (1, 3, 2, 6), (0, 2, 0, 0), (1, 1, 7, 3)):
        text = to_text(tape.explain("conv1[" + ",".join(map(str, index)) + "]"))
        assert text.count("window x") == text.count("kernel w") == text.count("products x · w") == 3
        sums = channel_sums(text, 3)
        assert len(sums) == 3
        ((rows, sign, total),) = totals(text)
        assert len(rows) == 4  # three channels and the bias
        for cells, mark, added in [*sums, (rows, sign, total)]:
            assert (sum(cells, Decimal(0)) == added) == (mark == "="), text
        assert f"conv1.bias[{index[1]}]" in text


def test_the_grids_hold_the_numbers_of_the_window_and_name_their_rows_and_columns(tape: Tape) -> None:
    text = to_text(tape.explain("conv1[0,0,4,5]"))
    assert "input[0,1,3,4] … input[0,1,5,6]" in text and "conv1.weight[0,1,0,0] … conv1.weight[0,1,2,2]" in text
    assert re.search(r"^ +4 +5 +6 *$", text, re.MULTILINE)
    rows = [line.split() for line in text.splitlines() if re.match(r"^ +[345] +-?\d+\.", line)]
    assert [row[0] for row in rows] == ["3", "4", "5"] * 3
    x = tape.names.given["input"].tensor()
    for channel in range(3):
        for row in range(3):
            written = [float(cell) for cell in rows[3 * channel + row][1:4]]
            assert written == pytest.approx(x[0, channel, 3 + row, 4:7].tolist(), abs=6e-3)


def test_what_lies_in_the_padding_is_a_dot(tape: Tape) -> None:
    text = to_text(tape.explain("conv1[0,0,0,0]"))
    assert re.search(r"^ +· +· +· +· +· +· +· +· +·$", text, re.MULTILINE)


@pytest.mark.parametrize(
    "address",
    ["logits[1,7]", "conv2[0,1,1,1]", "gradient conv1.weight[0,1,1,1]", "gradient fc.weight[3,2]", "fc[0,0]", "loss"],
)
@pytest.mark.parametrize("top", [1, 5, 12, 1000])
def test_long_sums_add_up_with_the_rest_as_one_line(tape: Tape, address: str, top: int) -> None:
    explanation = tape.explain(address)
    text = to_text(explanation, top=top)
    ((rows, sign, total),) = totals(text)
    assert (sum(rows, Decimal(0)) == total) == (sign == "="), text
    assert float(total) == pytest.approx(explanation.result, abs=1e-3 * explanation.scale)
    if address == "logits[1,7]":
        assert len(rows) == min(top + 1, 9)
        assert ("terms together" in text) == (top < 8)


def test_what_is_printed_can_be_asked_for_next(tape: Tape) -> None:
    text = to_text(tape.explain("logits[1,7]"))
    addresses = re.findall(r"[a-z][\w.#]*(?: \d+)?\[[\d,]+\]", text)
    assert len(addresses) >= 17  # the title, eight pairs, the bias
    for address in addresses:
        assert tape.explain(address).address.replace(" ", "") == address.replace(" ", "")


def test_a_pooling_window_marks_the_winner(tape: Tape) -> None:
    explanation = tape.explain("pool[0,1,2,3]")
    text = to_text(explanation)
    (marked,) = re.findall(rf"▸({NUMBER})", text)
    assert float(marked) == pytest.approx(explanation.recorded, rel=1e-4)
    assert f"chosen: {explanation.recorded:.9g}" in text


def test_the_row_of_a_softmax_adds_up(tape: Tape) -> None:
    operation = next(one for one in tape.operations if one.packet == "_log_softmax")
    explanation = tape.explain(operation.outputs[0], (1, 4))
    for top in (3, 10):
        lines = to_text(explanation, top=top).splitlines()
        body = [line.split() for line in lines[lines.index(next(one for one in lines if "e^(x − max)" in one)) + 1 :]]
        end = next(position for position, row in enumerate(body) if row and row[0] in "=≈")
        powers = [Decimal(row[1]) for row in body[:end] if len(row) > 2]
        assert len(powers) in (min(top, 10) + (top < 10), top + 2)  # the asked one may not be among the largest
        assert (sum(powers) == Decimal(body[end][1])) == (body[end][0] == "=")
    assert "▸ fc[1,4]" in to_text(explanation)


def test_the_difference_can_be_checked_by_eye(tape: Tape) -> None:
    explanation = tape.explain("conv1[0,0,4,4]")
    written = dict(re.findall(rf"^  (recorded|result) +({NUMBER})", to_text(explanation), re.MULTILINE))
    difference = Decimal(written["recorded"]) - Decimal(written["result"])
    assert float(difference) == pytest.approx(explanation.difference, rel=0.1)
    assert "✓ agrees" in to_text(explanation)


def test_a_disagreement_is_a_failure_in_words_and_in_colour(tape: Tape) -> None:
    right = tape.explain("conv1[0,0,4,4]")
    arithmetic = right.arithmetic
    wrong = type(arithmetic)(**{**arithmetic.__dict__, "groups": arithmetic.groups[:1]})  # without the bias
    explanation = Explanation(tape, right.address, right.value, right.index, wrong, right.operation)
    assert "✗ DOES NOT AGREE" in to_text(explanation) and "agrees:" not in to_text(explanation)
    (line,) = [one for one in to_lines(explanation) if "✗" in one.plain]
    assert TERMINAL_STYLES["bad"] in [str(span.style) for span in line.spans]
    difference = re.search(rf"difference +({NUMBER})", to_text(explanation))
    assert difference and float(difference[1]) == pytest.approx(explanation.difference, rel=0.1)


def test_a_given_number_says_where_it_comes_from_and_an_unexplained_one_why(tape: Tape) -> None:
    assert "given: a parameter" in to_text(tape.explain("conv1.weight[0,0,0,0]"))
    value = tape.names.given["loss"]
    told = to_text(Explanation(tape, "loss", value, (), unexplained("nobody knows"), None))
    assert "no explanation: nobody knows" in told and f"{value.item(()):.9g}" in told


def test_terms_are_opened_inside_the_explanation(tape: Tape) -> None:
    explanation = tape.explain("conv2[0,1,1,1]")
    text = to_text(explanation, top=2, expanded=explanation.expand(3, 2))
    assert re.search(r"^┌ pool\[", text, re.MULTILINE) and re.search(r"^│ ┌ ", text, re.MULTILINE)
    assert re.search(r"^│ │ ┌ conv1\[", text, re.MULTILINE)


def test_an_update_shows_its_formula_with_numbers(tape: Tape) -> None:
    text = to_text(tape.explain("update conv1.weight[0,1,1,1]"))
    assert "gradient conv1.weight[0,1,1,1]" in text and "conv1.weight[0,1,1,1]" in text
    assert "✓ agrees" in text


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_terminal(tape: Tape, language: str, width: int) -> None:
    set_language(language)
    try:
        for address in ("conv1[0,0,4,4]", "conv2[0,1,1,1]", "logits[1,7]", "loss", "pool[0,1,2,3]", "fc.weight[0,0]"):
            explanation = tape.explain(address)
            text = to_text(explanation, width=width, expanded=explanation.expand(2, 2))
            assert max(map(cell_len, text.splitlines())) <= width, text
    finally:
        set_language("en")


def test_print_shows_the_same(tape: Tape) -> None:
    explanation = tape.explain("loss")
    assert str(explanation) == to_text(explanation)
