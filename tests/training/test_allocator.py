import platform
import resource
import sys

import pytest
import torch

from dotbogi.training.allocator import keep_freed_memory

GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def page_faults(allocations: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(allocations):
        torch.empty(50_000_000, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not GLIBC, reason="glibc alone hands large blocks back")
def test_large_blocks_are_reused() -> None:
    assert keep_freed_memory()
    page_faults(2)
    # Anew from the kernel it would be 12,207 pages of 4 KiB each time.
    assert page_faults(8) < 4 * 12_207


@pytest.mark.skipif(GLIBC, reason="elsewhere")
def test_other_allocators_are_left_as_they_are() -> None:
    assert not keep_freed_memory()
