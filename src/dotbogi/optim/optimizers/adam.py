"""Adam."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, beta1, beta2, epsilon, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry

OPTIMIZER = OptimizerEntry(
    title=mark("Adam"),
    text=mark("Step along the average gradient, divided by the root of the average squared gradient."),
    implementation="torch.optim:Adam",
    hyperparameters=(learning_rate(0.001), beta1(), beta2(), epsilon(1e-8), added_decay()),
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad \hat m_t = \frac{m_t}{1 - \beta_1^t}, \qquad m_0 = 0 \\
v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2, \qquad \hat v_t = \frac{v_t}{1 - \beta_2^t}, \qquad v_0 = 0 \\
w_t &= w_{t-1} - \mathrm{lr}\, \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}
\end{aligned}""",
    source="Kingma & Ba 2015, arXiv:1412.6980",
    pros=mark("Works on most networks with its default values, and converges fast."),
    cons=mark("Weight decay is mixed into the averages; on images a well-tuned SGD often generalises better."),
    uses=mark("Most of deep learning."),
    arguments={"betas": ("beta1", "beta2"), "eps": "epsilon"},
    fused_devices=("cpu", "cuda", "mps"),
)
