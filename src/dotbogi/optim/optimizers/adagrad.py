"""Adagrad."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, epsilon, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry

OPTIMIZER = OptimizerEntry(
    title=mark("Adagrad"),
    text=mark("Divide each weight's step by the root of the sum of its squared gradients so far."),
    implementation="torch.optim:Adagrad",
    hyperparameters=(learning_rate(0.01), epsilon(1e-10), added_decay()),
    # ε stands outside the root: with √(G + ε) the first step at g = 1e-6 would be a tenth of this one (opt-adagrad).
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
G_t &= G_{t-1} + g_t^2, \qquad G_0 = 0 \\
w_t &= w_{t-1} - \mathrm{lr}\, \frac{g_t}{\sqrt{G_t} + \epsilon}
\end{aligned}""",
    source="Duchi, Hazan & Singer 2011, JMLR 12:2121–2159",
    pros=mark("Strong where features are sparse: a weight that is seldom used keeps large steps."),
    cons=mark("The sum only grows, so the steps keep shrinking and may end too early."),
    uses=mark("Language processing and recommender systems."),
    arguments={"eps": "epsilon"},
    # torch's CUDA kernel is newer than the oldest torch that is supported, and MPS has none.
    fused_devices=("cpu",),
)
