"""Torch's arithmetic operation by operation, for a recording and for whatever is computed again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def plain_arithmetic(optimizer: torch.optim.Optimizer | None) -> Generator[None]:
    """Lets torch compute operation by operation: no multi-tensor or fused optimizer, no fast path, no TF32."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, torch.backends.mha.get_fastpath_enabled()
    groups = (
        [(group, group.get("foreach"), group.get("fused")) for group in optimizer.param_groups] if optimizer else []
    )
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    torch.backends.mha.set_fastpath_enabled(False)
    for group, _foreach, _fused in groups:
        group.update({name: False for name in ("foreach", "fused") if name in group})
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before[:2]
        torch.backends.mha.set_fastpath_enabled(before[2])
        for group, foreach, fused in groups:
            group.update({name: value for name, value in (("foreach", foreach), ("fused", fused)) if name in group})
