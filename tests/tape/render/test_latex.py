import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dotbogi.tape.arithmetic import given
from dotbogi.tape.explanation import Explanation
from dotbogi.tape.record import record
from dotbogi.tape.render.latex import plain_formula, text, to_latex
from dotbogi.tape.tape import Tape

# KaTeX's own list: https://katex.org/docs/support_table.html
COMMANDS = set(
    re.findall(
        r"\w+",
        """
    Bigl Bigr Delta Gamma Phi Vert alpha approx backslash bar begin beta bigl bigr cases cdot char delta
    dot dots end epsilon eta exp frac gamma ge hat in infty lVert lambda lceil le left leftarrow lfloor
    ln log mathrm max mid min mu nabla ne odot operatorname partial pi prod psi qquad quad rVert rceil
    rfloor rho right sigma sim sqrt sum surd tanh tau text textbackslash texttt tfrac theta tilde times
    to top underbrace varepsilon varphi
    """,
    )
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(1, 2, 3)
        self.fc = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(F.relu(self.conv_1(images)).flatten(1)).softmax(1)


@pytest.fixture(scope="module")
def tape() -> Tape:
    torch.manual_seed(0)
    images, labels = torch.randn(2, 1, 4, 4), torch.tensor([1, 0])
    return record(Net(), (images, labels), loss="cross-entropy", optimizer="adamw")


ADDRESSES = [
    *("conv_1[0,1,1,1]", "fc[0,2]", "logits[1,0]", "loss", "conv_1.weight[0,0,1,1]", "op 1[0,0,0,0]"),
    *("gradient conv_1.weight[0,0,1,1]", "update fc.bias[0]", "state fc.bias.exp_avg_sq[0]", "gradient fc[0,1]"),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_what_katex_knows_is_used_and_every_brace_is_closed(tape: Tape, address: str) -> None:
    latex = tape.explain(address).to_latex()
    assert latex.startswith("\\begin{aligned}") and latex.endswith("\\end{aligned}")
    assert set(re.findall(r"\\([A-Za-z]+)", latex)) <= COMMANDS, latex
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    for left, right in (("\\begin", "\\end"), ("\\left", "\\right")):
        assert len(re.findall(re.escape(left) + r"(?![A-Za-z])", latex)) == len(
            re.findall(re.escape(right) + r"(?![A-Za-z])", latex)
        )
    outside = re.sub(r"\\text(tt)?\{(?:[^{}]|\\[{}]|\{\})*\}", "", latex)
    assert all(letter.isascii() for letter in outside), outside
    assert not re.search(r"(?<!\\)[#$%_]", re.sub(r"_(?=[{\w\\])", "", outside))


def test_the_written_products_add_up_to_the_written_total(tape: Tape) -> None:
    latex = to_latex(tape.explain("fc[0,2]"))
    *_more, products, total = latex.splitlines()[:-1]
    numbers = [float(part.strip("( )")) for part in products.split("\\approx ")[1].rstrip("\\ ").split(" + ")]
    sign, written = total.strip("&").split(" ", 1)
    assert (round(sum(numbers), 9) == float(written)) == (sign == "=")


def test_an_address_is_escaped(tape: Tape) -> None:
    latex = tape.explain("conv_1[0,1,1,1]").to_latex()
    assert r"\texttt{conv\_1[0,1,1,1]}" in latex
    assert text("50 % {a}_b ~^\\") == r"50 \% \{a\}\_b \char`~\char`^\textbackslash{}"


def test_a_plain_formula_becomes_commands() -> None:
    assert plain_formula("w ← w − lr·m̂ / (√v̂ + ε)").startswith(r"w \leftarrow  w - \mathrm{lr}\cdot \hat{m}")
    assert plain_formula("β₁ᵗ + 10⁻⁶·x_k^2 + 1.5e-07") == r"\beta _{1}^{t} + 10^{-6}\cdot x_{k}^{2} + 1.5 \cdot 10^{-7}"


def test_a_given_number_has_its_origin(tape: Tape) -> None:
    value = tape.names.given["loss"]
    assert r"\text{100 \% given}" in to_latex(Explanation(tape, "loss", value, (), given("100 % given"), None))
