"""Adadelta."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, epsilon, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry
from dotbogi.registry import Hyperparameter

OPTIMIZER = OptimizerEntry(
    title=mark("Adadelta"),
    text=mark("Scale each weight's step by the ratio of its average past step to its average gradient."),
    implementation="torch.optim:Adadelta",
    hyperparameters=(
        learning_rate(1.0),
        Hyperparameter("rho", 0.9, low=0, high=1, high_open=True, text=mark("how much of the average squares is kept")),
        epsilon(1e-6),
        added_decay(),
    ),
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
E_t &= \rho E_{t-1} + (1 - \rho)\, g_t^2, \qquad E_0 = 0 \\
\Delta_t &= \frac{\sqrt{D_{t-1} + \epsilon}}{\sqrt{E_t + \epsilon}}\, g_t \\
D_t &= \rho D_{t-1} + (1 - \rho)\, \Delta_t^2, \qquad D_0 = 0 \\
w_t &= w_{t-1} - \mathrm{lr}\, \Delta_t
\end{aligned}""",
    source="Zeiler 2012, arXiv:1212.5701",
    pros=mark("Steps have the weights' own unit, and do not shrink for ever as Adagrad's do."),
    cons=mark(
        "Starts slowly: the first step is about √(ε/(1 − ρ)), 0.003 by default, however large the gradient; "
        "so the default lr = 1 is not free of tuning."
    ),
    uses=mark("Convolutional and recurrent networks; seldom today."),
    arguments={"eps": "epsilon"},
)
