"""NAdam."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, beta1, beta2, epsilon, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry
from dotbogi.registry import Hyperparameter

OPTIMIZER = OptimizerEntry(
    title=mark("NAdam (Nesterov and Adam)"),
    text=mark("Adam whose average gradient looks one step ahead, as Nesterov's does."),
    implementation="torch.optim:NAdam",
    hyperparameters=(
        learning_rate(0.002),
        beta1(),
        beta2(),
        epsilon(1e-8),
        added_decay(),
        Hyperparameter(
            "momentum_decay", 0.004, low=0, text=mark("ψ: how soon the momentum rises from β₁/2 to β₁ (0: never)")
        ),
    ),
    # Other variants keep β₁ constant or bias-correct differently: their first step differs (opt-nadam).
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
\mu_t &= \beta_1 \left(1 - \tfrac12\, 0.96^{\,t\psi}\right) \\
m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad m_0 = 0 \\
v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2, \qquad \hat v_t = \frac{v_t}{1 - \beta_2^t}, \qquad v_0 = 0 \\
\hat m_t &= \frac{\mu_{t+1}\, m_t}{1 - \prod_{i=1}^{t+1} \mu_i} + \frac{(1 - \mu_t)\, g_t}{1 - \prod_{i=1}^{t} \mu_i} \\
w_t &= w_{t-1} - \mathrm{lr}\, \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}
\end{aligned}
\qquad \psi: \text{momentum decay}""",
    source="Dozat 2016, openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ",
    pros=mark("Often fast at the beginning."),
    cons=mark("Can be a little unstable; libraries disagree on its formula, so values do not carry over."),
    uses=mark("Recurrent networks (LSTM)."),
    arguments={"betas": ("beta1", "beta2"), "eps": "epsilon"},
)
