"""What a training sets in torch for the whole process, put back afterwards."""

import os
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import torch

from dotbogi.training.allocator import keep_freed_memory

# The switches, the generators and the number of threads are the process's: a second training waits.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def torch_set_for(deterministic: bool) -> Generator[None]:
    """Sets torch's global switches for a training, and puts them and the number of threads back afterwards.

    What the caller has set around it (autocast, no_grad, a default dtype or device) has no
    influence: what is not in the recipe cannot change a result.

    Args:
        deterministic: only algorithms that give the same bits every time; an operation that has none raises.
    """
    with _ONE_AT_A_TIME, plain_torch(), _switches(deterministic):
        yield


@contextmanager
def plain_torch() -> Generator[None]:
    """Computes as torch does when nothing is set around it: no autocast, gradients on, float32, on the CPU."""
    dtype = torch.get_default_dtype()
    with ExitStack() as around:
        around.enter_context(torch.inference_mode(False))
        around.enter_context(torch.enable_grad())
        around.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda", "mps"):
            if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
                around.enter_context(torch.autocast(device, enabled=False))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@contextmanager
def _switches(deterministic: bool) -> Generator[None]:
    keep_freed_memory()
    threads = torch.get_num_threads()
    algorithms = torch.get_deterministic_debug_mode()
    benchmark = torch.backends.cudnn.benchmark
    generator = torch.random.get_rng_state()
    if deterministic:
        # cuBLAS reads it when it starts: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Not use_deterministic_algorithms, which does the same, but imports torch's compiler first: 2.5 s.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    torch.backends.cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(algorithms)
        torch.backends.cudnn.benchmark = benchmark
        torch.random.set_rng_state(generator)
