"""RMSprop."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, epsilon, learning_rate, momentum
from dotbogi.optim.optimizer import OptimizerEntry
from dotbogi.registry import Hyperparameter

OPTIMIZER = OptimizerEntry(
    title=mark("RMSprop"),
    text=mark("Divide each weight's step by the root of a decaying average of its squared gradients."),
    implementation="torch.optim:RMSprop",
    # The average starts at 0 and is not corrected: the first step is lr/√(1 − α), 10·lr at α = 0.99. Hence lr 0.001.
    hyperparameters=(
        learning_rate(0.001),
        Hyperparameter(
            "alpha",
            0.99,
            low=0,
            high=1,
            high_open=True,
            text=mark("how much of the average squared gradient is kept"),
        ),
        epsilon(1e-8),
        added_decay(),
        momentum(0.0, zero=True),
        Hyperparameter("centered", False, text=mark("subtract the squared average gradient: divide by the deviation")),
    ),
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
E_t &= \alpha E_{t-1} + (1 - \alpha)\, g_t^2, \qquad E_0 = 0 \\
s_t &= E_t \quad\text{or, centered,}\quad E_t - \bar g_t^2, \qquad
\bar g_t = \alpha \bar g_{t-1} + (1 - \alpha)\, g_t, \quad \bar g_0 = 0 \\
b_t &= \mu b_{t-1} + \frac{g_t}{\sqrt{s_t} + \epsilon}, \qquad b_0 = 0 \\
w_t &= w_{t-1} - \mathrm{lr}\, b_t
\end{aligned}
\qquad \mu: \text{momentum}""",
    source="Tieleman & Hinton 2012, Coursera lecture 6.5; centred: Graves 2013, arXiv:1308.0850",
    pros=mark("Steps of a steady size although the gradients' size changes; strong on recurrent networks."),
    cons=mark("α wants tuning; the first steps are several times lr, since the average starts at 0."),
    uses=mark("Recurrent networks and time series."),
    arguments={"eps": "epsilon"},
)
