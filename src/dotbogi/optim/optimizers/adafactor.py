"""Adafactor."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import decoupled_decay, learning_rate
from dotbogi.optim.optimizer import OptimizerEntry
from dotbogi.registry import Hyperparameter

OPTIMIZER = OptimizerEntry(
    title=mark("Adafactor"),
    text=mark("Adam's division by the average squared gradient, kept only as one row and one column per matrix."),
    implementation="torch.optim:Adafactor",
    hyperparameters=(
        learning_rate(0.01),
        Hyperparameter(
            "beta2_decay", -0.8, high=0, text=mark("τ: the average of update t keeps the fraction 1 − t^τ of the old")
        ),
        Hyperparameter(
            "epsilon1",
            None,
            low=0,
            low_open=True,
            type=float,
            text=mark("ε₁: least size of a gradient that is divided by; none: the precision of the weights' type"),
        ),
        Hyperparameter("epsilon2", 0.001, low=0, low_open=True, text=mark("ε₂: least scale of a tensor")),
        Hyperparameter("clipping_threshold", 1.0, low=1, text=mark("d: largest root mean square of a step")),
        decoupled_decay(0.0),
    ),
    # torch's: ε₁ bounds the averages from below where they are used; the paper adds it to the squared gradients.
    # A kernel (out, in, height, width) is a stack of out × in matrices of height × width.
    formula=r"""\begin{aligned}
g_t &= \nabla L(w_{t-1}), \qquad
\alpha_t = \max\bigl(\epsilon_2, \operatorname{RMS}(w_{t-1})\bigr) \min\bigl(\mathrm{lr}, \tfrac{1}{\sqrt t}\bigr) \\
R_t &= (1 - t^\tau)\, R_{t-1} + t^\tau \operatorname{mean}_{\text{last axis}}(g_t^2), \qquad
C_t = (1 - t^\tau)\, C_{t-1} + t^\tau \operatorname{mean}_{\text{axis before}}(g_t^2) \\
\hat v_t &= \frac{R_t C_t}{\max\bigl(\operatorname{mean}_{\text{axis before}} R_t,\; \epsilon_1\bigr)}
\qquad\text{(vectors: } \hat v_t = (1 - t^\tau)\, \hat v_{t-1} + t^\tau g_t^2 \text{)} \\
u_t &= \frac{g_t}{\sqrt{\max(\hat v_t, \epsilon_1^2)}} \\
w_t &= (1 - \mathrm{lr}\,\lambda)\, w_{t-1} - \alpha_t \frac{u_t}{\max\bigl(1, \operatorname{RMS}(u_t) / d\bigr)}
\end{aligned}""",
    source="Shazeer & Stern 2018, arXiv:1804.04235",
    pros=mark("Little memory on large matrices; steps in proportion to the weights' size."),
    cons=mark("Intricate, and libraries differ; it saves less on small kernels than on large matrices."),
    uses=mark("Transformers (T5)."),
    arguments={"eps": ("epsilon1", "epsilon2"), "d": "clipping_threshold"},
)
