"""AdamW."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import beta1, beta2, decoupled_decay, epsilon, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry

OPTIMIZER = OptimizerEntry(
    title=mark("AdamW"),
    text=mark("Adam whose weight decay shrinks the weights directly instead of entering the gradient."),
    implementation="torch.optim:AdamW",
    hyperparameters=(learning_rate(0.001), beta1(), beta2(), epsilon(1e-8), decoupled_decay(0.01)),
    # The decay is proportional to w: "− lr·λ" alone, as some tables have it, pushes negative weights away from 0.
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) \\
m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad \hat m_t = \frac{m_t}{1 - \beta_1^t}, \qquad m_0 = 0 \\
v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2, \qquad \hat v_t = \frac{v_t}{1 - \beta_2^t}, \qquad v_0 = 0 \\
w_t &= (1 - \mathrm{lr}\,\lambda)\, w_{t-1} - \mathrm{lr}\, \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}
\end{aligned}""",
    source="Loshchilov & Hutter 2019, arXiv:1711.05101",
    pros=mark("Regularises as intended: overfits less than Adam with the same weight decay, at about the same cost."),
    cons=mark("One more value to tune, the weight decay."),
    uses=mark("Vision and language (ViT, BERT)."),
    arguments={"betas": ("beta1", "beta2"), "eps": "epsilon"},
    fused_devices=("cpu", "cuda", "mps"),
)
