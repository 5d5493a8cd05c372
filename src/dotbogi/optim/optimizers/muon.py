"""Muon."""

from dotbogi.language import mark
from dotbogi.optim.hyperparameters import beta1, beta2, decoupled_decay, epsilon, learning_rate, momentum
from dotbogi.optim.optimizer import OptimizerEntry

OPTIMIZER = OptimizerEntry(
    title=mark("Muon (momentum, orthogonalised by Newton–Schulz)"),
    text=mark("Replace a matrix's momentum by a nearby orthogonal matrix: a step of equal size in every direction."),
    # torch's own Muon takes matrices only. timm's takes kernels too, flattened to (out, in·height·width).
    implementation="timm.optim:Muon",
    hyperparameters=(
        learning_rate(0.002),
        momentum(0.95, zero=True),
        decoupled_decay(0.0),
        beta1(),
        beta2(0.95),
        epsilon(1e-7),
    ),
    # timm splits by shape: biases, normalisation weights, tensors whose first or second axis is 1 (a first layer on
    # grey images, depthwise kernels), and flattened matrices with a side below 4 or sides more than 128 : 1 apart
    # fall back to AdamW. Which these are is measured by optim.optimizer.muon_split.
    formula=r"""\begin{aligned}
G_t &= \nabla L(W_{t-1}) \\
M_t &= \mu M_{t-1} + (1 - \mu)\, G_t, \qquad M_0 = 0 \\
X_0 &= \frac{M_t}{\max(\lVert M_t \rVert_F, \epsilon)}, \qquad
X_k = a_k X_{k-1} + (b_k A_k + c_k A_k^2)\, X_{k-1}, \qquad A_k = X_{k-1} X_{k-1}^\top
\quad\text{in bfloat16} \\
W_t &= (1 - \mathrm{lr}\,\lambda)\, W_{t-1} - 0.2 \sqrt{\max(\text{rows}, \text{columns})}\; \mathrm{lr}\, X_5
\end{aligned}
\qquad
\begin{array}{c|rrr} k & a_k & b_k & c_k \\ \hline
1 & 4.0848 & -6.8946 & 2.9270 \\
2 & 3.9505 & -6.3029 & 2.6377 \\
3 & 3.7418 & -5.5913 & 2.3037 \\
4 & 2.8769 & -3.1427 & 1.2046 \\
5 & 2.8366 & -3.0525 & 1.2012
\end{array}
\qquad \mu: \text{momentum; tall matrices are transposed; other tensors: AdamW with } \beta_1, \beta_2, \epsilon""",
    source="Jordan et al. 2024, kellerjordan.github.io/posts/muon; scale: Liu et al. 2025, arXiv:2502.16982",
    pros=mark("Few steps to a given loss on networks of large matrices; half of Adam's memory there."),
    cons=mark("Ten or more matrix products per tensor and step; on small networks most weights fall back to AdamW."),
    uses=mark("Speed records on CIFAR-10 and GPT-2; large language models."),
    arguments={"betas": ("beta1", "beta2"), "eps": "epsilon"},
    # timm's default, stated: the table of coefficients above is the one that it calls quintic.
    constants={"ns_coefficients": "quintic", "adjust_lr_fn": "match_rms_adamw", "conv_mode": "flatten"},
    foreach=False,
)
