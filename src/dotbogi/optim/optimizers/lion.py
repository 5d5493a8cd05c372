"""Lion."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import beta1, beta2, decoupled_decay, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry

OPTIMIZER = OptimizerEntry(
    title=mark("Lion (evolved sign momentum)"),
    text=mark("Step by exactly lr in every weight, along the sign of a mixture of gradient and average gradient."),
    implementation="timm.optim:Lion",
    # The paper advises a third to a tenth of AdamW's lr.
    hyperparameters=(learning_rate(0.0003), beta1(), beta2(0.99), decoupled_decay(0.0)),
    # The sign is that of the β₁-mixture, not of the stored average: a quarter of the signs differ (opt-lion).
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) \\
u_t &= \operatorname{sign}\bigl(\beta_1 m_{t-1} + (1 - \beta_1)\, g_t\bigr), \qquad m_0 = 0 \\
w_t &= (1 - \mathrm{lr}\,\lambda)\, w_{t-1} - \mathrm{lr}\, u_t \\
m_t &= \beta_2 m_{t-1} + (1 - \beta_2)\, g_t
\end{aligned}""",
    source="Chen et al. 2023, arXiv:2302.06675",
    pros=mark("Light: half of Adam's memory, and no division or root."),
    cons=mark("Wants a learning rate 3 to 10 times smaller than Adam's and a larger weight decay; less tried."),
    uses=mark("Large image, language and diffusion models in its paper."),
    arguments={"betas": ("beta1", "beta2")},
)
