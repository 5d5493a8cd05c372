"""Nesterov's accelerated gradient."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, learning_rate, momentum
from dotbogi.optim.optimizer import OptimizerEntry

OPTIMIZER = OptimizerEntry(
    title=mark("Nesterov's accelerated gradient (NAG)"),
    text=mark("Momentum whose gradient is taken where the velocity is about to lead."),
    implementation="torch.optim:SGD",
    hyperparameters=(learning_rate(0.01), momentum(0.9), added_decay()),
    # The class keeps the look-ahead point as its parameter: w here is what textbooks write as w − lr·μ·v.
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
v_t &= \mu v_{t-1} + g_t, \qquad v_0 = 0 \\
w_t &= w_{t-1} - \mathrm{lr}\,(g_t + \mu v_t)
\end{aligned}
\qquad \mu: \text{momentum};\; w: \text{the look-ahead point}""",
    source="Nesterov 1983, Soviet Math. Dokl. 27(2):372–376; Sutskever et al. 2013, PMLR 28(3):1139–1147",
    pros=mark("Corrects its course earlier than plain momentum, so it often converges faster and more steadily."),
    cons=mark("Harder to follow: the weights that are stored are the look-ahead point."),
    uses=mark("Convolutional networks, and recurrent ones."),
    constants={"nesterov": True},
    fused_devices=("cpu", "cuda", "mps"),
)
