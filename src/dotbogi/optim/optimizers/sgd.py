"""Stochastic gradient descent."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry

OPTIMIZER = OptimizerEntry(
    title=mark("Stochastic gradient descent (SGD)"),
    text=mark("Step against the gradient of the batch's loss."),
    implementation="torch.optim:SGD",
    hyperparameters=(learning_rate(0.1), added_decay()),
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
w_t &= w_{t-1} - \mathrm{lr}\, g_t
\end{aligned}""",
    source="Robbins & Monro 1951, doi:10.1214/aoms/1177729586",
    pros=mark("Simple, and keeps nothing beside the weights."),
    cons=mark("Slow where the loss curves differently in different directions; can linger on plateaus and at saddles."),
    uses=mark("The baseline of every comparison; simple models."),
    fused_devices=("cpu", "cuda", "mps"),
)
