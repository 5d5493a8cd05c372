"""RAdam."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, beta1, beta2, epsilon, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry

OPTIMIZER = OptimizerEntry(
    title=mark("RAdam (rectified Adam)"),
    text=mark("Adam that divides by the average squared gradient only as far as enough gradients were seen for it."),
    implementation="torch.optim:RAdam",
    hyperparameters=(learning_rate(0.001), beta1(), beta2(), epsilon(1e-8), added_decay()),
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad \hat m_t = \frac{m_t}{1 - \beta_1^t}, \qquad m_0 = 0 \\
v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2, \qquad v_0 = 0 \\
\rho_\infty &= \frac{2}{1 - \beta_2} - 1, \qquad \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t} \\
r_t &= \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\, \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2)\, \rho_t}} \\
w_t &= w_{t-1} - \mathrm{lr}\, \hat m_t \cdot
\begin{cases} r_t\, \dfrac{\sqrt{1 - \beta_2^t}}{\sqrt{v_t} + \epsilon} & \rho_t > 5 \\ 1 & \text{otherwise} \end{cases}
\end{aligned}""",
    source="Liu et al. 2020, arXiv:1908.03265",
    pros=mark("Stable from the start without warmup: with the default β₂ the first five steps are plain momentum."),
    cons=mark("Those first steps depend on the gradient's size as SGD's do."),
    uses=mark("Transformers and convolutional networks."),
    arguments={"betas": ("beta1", "beta2"), "eps": "epsilon"},
)
