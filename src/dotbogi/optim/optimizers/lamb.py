"""LAMB."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import beta1, beta2, epsilon, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry
from dotbogi.registry import Hyperparameter

OPTIMIZER = OptimizerEntry(
    title=mark("LAMB (layer-wise adaptive moments)"),
    text=mark("Adam's direction, scaled in each tensor so that the step is in proportion to the weights' norm."),
    implementation="timm.optim:Lamb",
    # A step changes a tensor by the fraction lr of its norm: timm's 0.001 suits tens of thousands of steps.
    hyperparameters=(
        learning_rate(0.01),
        beta1(),
        beta2(),
        epsilon(1e-6),
        Hyperparameter("weight_decay", 0.01, low=0, text=mark("λ; λ·w is added to Adam's direction")),
    ),
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}) \\
m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad \hat m_t = \frac{m_t}{1 - \beta_1^t}, \qquad m_0 = 0 \\
v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2, \qquad \hat v_t = \frac{v_t}{1 - \beta_2^t}, \qquad v_0 = 0 \\
r_t &= \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon} + \lambda w_{t-1} \\
\eta_t &= \frac{\lVert w_{t-1} \rVert}{\lVert r_t \rVert}
\quad\text{per tensor, } 1 \text{ where a norm is } 0 \\
w_t &= w_{t-1} - \mathrm{lr}\, \eta_t\, r_t
\end{aligned}""",
    source="You et al. 2020, arXiv:1904.00962",
    pros=mark("Keeps training stable with very large batches."),
    cons=mark("Two norms per tensor and step; little gain with small batches."),
    uses=mark("Training BERT with batches of tens of thousands."),
    arguments={"betas": ("beta1", "beta2"), "eps": "epsilon"},
    # As in the paper. By default timm also clips the norm of all gradients to 1 (training.clip_norm does that, for
    # every optimizer), and leaves η out wherever the weight decay is 0, which turns LAMB into Adam.
    constants={"max_grad_norm": None, "always_adapt": True},
)
