"""SGD with momentum."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import added_decay, learning_rate, momentum
from dotbogi.optim.optimizer import OptimizerEntry
from dotbogi.registry import Hyperparameter

OPTIMIZER = OptimizerEntry(
    title=mark("SGD with momentum"),
    text=mark("Keep a velocity, a decaying sum of the gradients so far, and step along it."),
    implementation="torch.optim:SGD",
    # With momentum 0.9 the velocity grows to 10 gradients: a tenth of plain SGD's lr moves as far.
    hyperparameters=(
        learning_rate(0.01),
        momentum(0.9),
        Hyperparameter(
            "dampening",
            0.0,
            low=0,
            high=1,
            text=mark("the part of a gradient that is kept out of the velocity, from the second step on"),
        ),
        added_decay(),
    ),
    # The velocity holds gradients, not steps: where lr drops, the very next step is shorter (opt-momentum).
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
v_1 &= g_1, \qquad v_t = \mu v_{t-1} + (1 - \tau)\, g_t \\
w_t &= w_{t-1} - \mathrm{lr}\, v_t
\end{aligned}
\qquad \mu: \text{momentum},\; \tau: \text{dampening}""",
    source="Polyak 1964, doi:10.1016/0041-5553(64)90137-5; Sutskever et al. 2013, PMLR 28(3):1139–1147",
    pros=mark("Damps oscillation across a valley and gains speed along it."),
    cons=mark("Can overshoot near the minimum."),
    uses=mark("Convolutional networks, and recurrent ones."),
    fused_devices=("cpu", "cuda", "mps"),
)
