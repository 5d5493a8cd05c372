"""What a training sets in torch for the whole process, put back afterwards."""

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch

from dotbogi.training.allocator import keep_freed_memory


@contextmanager
def torch_set_for(deterministic: bool) -> Generator[None]:
    """Sets torch's global switches for a training, and puts them and the number of threads back afterwards.

    Args:
        deterministic: only algorithms that give the same bits every time; an operation that has none raises.
    """
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
